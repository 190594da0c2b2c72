"""What a provider is: data, and pure functions between a `Request` and the wire."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from seedream_cli.core.addresses import SANDBOX_ORIGIN, origin
from seedream_cli.core.model import Charge, Size
from seedream_cli.core.record import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from seedream_cli.core.model import (
        Call,
        Demand,
        Done,
        Ended,
        Failed,
        Job,
        LocalImage,
        Money,
        Outcome,
        Page,
        Reply,
        Request,
        Task,
        Window,
    )

_MARGIN: Final = 1.05
"""Of a limit's span: what left later may arrive earlier."""
SHORT_NAMES: Final = ("5.5", "5-pro", "5-flash", "5-lite", "4.5", "4")
"""Of generations of Seedream, alike for every provider that has them."""
ON_ITS_WAY: Final = 30.0
"""Seconds after which a submit without an answer has arrived, if it ever does."""
_FLEETING: Final = timedelta(hours=1)
_NOT_THERE: Final = frozenset({404, 405})
"""HTTP's words for a path that nobody serves."""
_HAIR: Final = 1e-3
"""Seconds: times are written in microseconds, and who waited until a moment has to find it come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A price for one picture of at most `pixels` (None: of any size)."""

    amount: Decimal
    pixels: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What a model costs by its provider's public list; prices move, so it is an estimate."""

    currency: str
    tiers: tuple[Tier, ...]
    """Ascending; the last one has no bound."""
    reference: Decimal = Decimal(0)
    """For each reference image beyond the free ones."""
    free_references: int = 0
    layers: tuple[Tier, ...] = ()
    """For each picture of an answer in layers, ascending; empty: as any other picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLimits:
    """What a reference image must be; held against local files before anything is sent."""

    formats: frozenset[str]
    max_bytes: int
    advised_bytes: int | None = None
    """Above it a note: an older document of the provider names this limit."""
    min_side: int = 1
    area: tuple[int, int] | None = None
    """Least and greatest, in pixels."""
    max_ratio: float | None = None
    """Longer side to shorter side."""
    is_transparent: bool = False
    """At least one of its pixels has to let something through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What one model takes and makes. `providers show`, checks, completion and README read it."""

    label: str
    """For people: `Seedream 4.5`."""
    sizes: Mapping[str, Mapping[str, Size]] = field(default_factory=dict)
    """`--size` keyword → aspect → the pixels it makes (an empty inner mapping: not known)."""
    default_size: str | None = "2K"
    """None: the model takes no size at all."""
    aspects: tuple[str, ...] = ()
    """What `--aspect` takes; empty: none."""
    any_aspect: bool = False
    """Other ratios of 1:16 to 16:1 work too, because pixels are sent."""
    pixels: tuple[int, int] | None = None
    """Least and greatest area of a free WIDTHxHEIGHT; None: no free sizes."""
    min_side: int = 1
    """Shortest side in pixels of a free size."""
    max_side: int | None = None
    """Longest side in pixels of a free size."""
    formats: tuple[str, ...] = ("jpeg",)
    """What it makes, the default first."""
    picks_format: bool = False
    """The request can say which of `formats`."""
    references: tuple[int, int] = (0, 0)
    """Least and greatest number of reference images."""
    inputs: InputLimits | None = None
    """None: not documented."""
    max_inputs_and_outputs: int | None = None
    max_series: int = 1
    """Greatest set of related pictures in one request; 1: no sets."""
    layers: int = 0
    """Most pictures of an answer in layers, one of them the base; 0: it makes none."""
    is_layered: bool = False
    """It always answers in layers."""
    modes: Mapping[str, tuple[object, Callable[[Capabilities], Capabilities]]] = field(
        default_factory=dict
    )
    """Request field → the value that makes another model of it, and what it makes of it."""
    max_count: int = 1
    """Greatest number of independent pictures in one request; 1: one each."""
    seed: tuple[int, int] | None = None
    guidance: tuple[float, float] | None = None
    steps: tuple[int, int] | None = None
    quality: Mapping[str, str] = field(default_factory=dict)
    """`--size` keyword → the provider's word in its `quality` field; empty: no such field."""
    watermark: bool = False
    """The request can ask for one (and must say no where the default is yes)."""
    prompt: tuple[int, int | None] = (1, None)
    """Least and greatest length in characters."""
    needs_prompt: bool = True
    """The picture alone does not say enough."""
    prompt_advice: tuple[int, int] | None = None
    """Advised greatest length: Han characters, words of other scripts. A note, not a limit."""
    tariff: Tariff | None = None
    edit_twin: str | None = None
    """The model that does the same from reference images, where that is another one."""
    text_twin: str | None = None
    """The model that does the same from text alone, where that is another one."""
    fields: frozenset[str] = frozenset()
    """Further request fields that it documents: `--set` takes them without a warning."""
    values: Mapping[str, frozenset[object] | range] = field(default_factory=dict)
    """What it takes in some of its fields, by dotted name; other fields take anything."""
    rejects: frozenset[str] = frozenset()
    """Fields that it answers with an error: `--set` refuses them."""
    is_plan_only: bool = False
    """It lives at a subscription's own address, so nobody is sent to it."""
    retired_at: datetime | None = None
    """When its provider ends it, with a zone; None: no end is announced."""
    successor: str | None = None
    """The model that its provider names in its place."""
    unsaid: frozenset[str] | None = None
    """Of a model that only a profile describes: the options on which it says nothing, which go as
    they are asked. None: the model is known here."""

    def is_retired(self, now: datetime) -> bool:
        """Tell whether its provider has ended it."""
        return self.retired_at is not None and self.retired_at <= now

    def narrow(self, fields: Mapping[str, object]) -> Capabilities:
        """Return what it can do where a request has these fields: layers know fewer sizes."""
        for name, (value, change) in self.modes.items():
            said = fields.get(name)
            if said == value and type(said) is type(value):
                return change(self)
        return self

    def takes(self, path: str, value: object) -> bool:
        """Tell whether it documents a value for a field; null is: not said."""
        allowed = self.values.get(path)
        if allowed is None or value is None:
            return True
        if isinstance(allowed, range):
            return type(value) is int and value in allowed
        return any(type(value) is type(each) and value == each for each in allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `count` in any `per`, of an account; what comes beyond it is turned away."""

    count: int
    per: timedelta
    of: Literal["requests", "images"] = "requests"
    """What is counted: requests, or the images that they may bring."""
    is_per_model: bool = False
    """Each model has a count of its own."""
    layers: int | None = None
    """Images that a request for layers is counted as, however many it brings."""
    from_answer: bool = False
    """A submit counts from its answer on, for only that proves that it has arrived; for APIs that
    answer at once. Else it counts from its first byte, and what is on its way has the margin."""

    def __str__(self) -> str:
        """Say it to people: `20 requests in 10 s`."""
        return f"{self.count} {self.of} in {self.per.total_seconds():g} s"

    @property
    def span(self) -> float:
        """How long a start counts, in seconds: a little longer than the provider says."""
        return self.per.total_seconds() * _MARGIN

    @property
    def reach(self) -> float:
        """How long ago a submit may have begun that still counts, in seconds."""
        return self.span + (ON_ITS_WAY if self.from_answer else 0.0)

    def latest_arrival(self, ago: float, ended_ago: float | None) -> float:
        """Return how many seconds ago a submit has arrived at the latest.

        It began `ago`, and was over `ended_ago` (None: it is not).
        """
        if not self.from_answer:
            return ago
        return max(ended_ago or 0.0, 0.0, ago - ON_ITS_WAY)

    def weight(self, job: Job) -> int:
        """Return what a job's submit counts as."""
        if self.of == "requests":
            return 1
        is_layered = self.layers is not None and job.recipe.get("layer_decomposition") is True
        return max(job.expected, (self.layers or 1) if is_layered else 1)

    def wait(self, starts: Iterable[tuple[float, int]], weight: int, at: float) -> float:
        """Return the seconds from `at` until so much more may start; 0: at once.

        `starts` are times and weights, in any order. What is heavier than the whole limit starts
        when nothing else counts any more.
        """
        live = sorted(start for start in starts if start[0] > at - self.span + _HAIR)
        used, room = sum(each for _, each in live), max(self.count - weight, 0)
        free_at = at
        for began_at, began in live:
            if used <= room:
                break
            used -= began
            free_at = began_at + self.span
        return max(0.0, free_at - at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How an API is spoken. No I/O, no clock, no environment, no key."""

    submit: Callable[[Request], Call]
    measure: Callable[[Capabilities | None, Mapping[str, object]], Demand]
    """Reads from a body of `submit`, whatever `--set` has made of it, what it asks for at most."""
    decode: Callable[[Reply], Outcome]
    """Raises `UnreadableReply` for anything it has no reading for, and nothing else."""
    poll: Callable[[Task], Call] | None = None
    """None: the API answers its submit with the result."""
    result: Callable[[Task], Call] | None = None
    """Fetches what a task brought, where a poll says only that it is finished."""
    upload: Callable[[LocalImage], Call] | None = None
    """Takes a local reference image to a URL; decodes to `Done`, with a `Slot` where the bytes go
    somewhere first. None: inline, or URLs only."""
    refresh: Callable[[str], Call] | None = None
    """Asks for a fresh download URL in exchange for a result URL; decodes to `Done`."""
    check: Callable[[], Call] | None = None
    """A free call that proves a key."""
    event: Callable[[bytes], Done | Failed | Ended | None] | None = None
    """Reads one event of a streamed submit; None: it says nothing. Raises `UnreadableReply`."""
    checked: Callable[[Reply], str] | None = None
    """What a good answer to `check` says, in words (`5916.25 credits`)."""
    find: Callable[[Window, str | None], Call] | None = None
    """Asks for a page of what the account asked for lately; the second one is `Page.next`."""
    listed: Callable[[Reply], Page] | None = None
    """Reads such a page. Raises `UnreadableReply` for all but a page that it can read whole."""
    charges: Callable[[Window, str | None], Call] | None = None
    """Asks for a page of what the account was charged lately."""
    charged: Callable[[Reply], Page] | None = None
    """Reads such a page; raises as `listed` does."""
    cost: Callable[[str], Call] | None = None
    """Asks what a submit was charged that its answer's header names, whatever came of the rest."""
    cost_of: Callable[[Reply], Money] | None = None
    """Reads that. Raises `UnreadableReply` where nothing was charged, or not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a provider's list of recent requests tells of a submit without an answer."""

    before: timedelta = timedelta(seconds=5)
    after: timedelta = timedelta(seconds=60)
    """How far a record's time may lie outside the attempt, by the provider's clock."""
    input_at: tuple[str, ...] = ()
    """Where in our body lies what a record shows as its input; empty: it is the body."""
    adds_fields: bool = True
    """A record's input may hold more than was sent: defaults."""
    is_newest_first: bool = True
    """What follows a record that lies before the window lies before it, too."""
    is_until_now: bool = False
    """It may be filtered by when requests ended: it is asked for up to this moment."""
    looks: tuple[float, ...] = (10.0, 60.0)
    """Seconds after an answer was lost at which the command that lost it looks."""
    kept: timedelta = timedelta(days=7)
    """How long a request is listed."""
    inputs_kept: timedelta | None = None
    """How long after a submit its input is surely there; None: as long as the request."""
    empty_looks: int = 0
    """How many whole looks without it prove that a request was not accepted; 0: none do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One API that serves Seedream."""

    name: str
    title: str
    """For people: `Volcengine Ark`."""
    base_url: str
    """Empty: each profile has its own, for this is an API that many gateways speak."""
    path: str
    """What follows `base_url` in a submit, for people."""
    key_env: tuple[str, ...]
    """Environment variables that hold a key and choose this provider."""
    docs: str
    charges_page: str
    """Where a person sees what was charged."""
    keys_page: str
    """Where a person makes a key."""
    credit_page: str
    """Where a person buys credit."""
    access_page: str = ""
    """Where a person opens a model for an account; empty: there is nothing to open."""
    dialect: Dialect
    models: Mapping[str, Capabilities]
    default_model: str | None
    """None: the API has no choice of model; then `models` has one entry, under `""`. Empty: there
    is none, and a person has to choose."""
    short_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of `SHORT_NAMES`: every id that one has ever meant here, the present one last.

    Ids are added and never taken away: locks of manifests rest on what a name meant.
    """
    stand_ins: tuple[str, ...] = ()
    """Used in this order where nobody chose a model and the default cannot do what is asked."""
    former_defaults: tuple[str, ...] = ()
    """Of earlier versions, the first ever first: what was bought by them is still looked for."""
    url_lifetime: timedelta | None
    """How long result URLs live; None: not documented."""
    answer_lifetime: timedelta | None = None
    """How long after its end a task can surely be asked what came of it; None: no less than its
    URLs live."""
    limit: RateLimit | None = None
    """Of submits."""
    poll_limit: RateLimit | None = None
    """Of polls; held within one process."""
    listing: Listing | None = None
    """What its list of requests tells, where its dialect reads one."""
    most_at_once: int = 8
    """Jobs of a batch under way by default; modest where nothing is documented."""
    names_charge: bool = False
    """Its answers say what was charged; else what a job cost is reckoned by its list of prices."""
    charge_of_failed: Charge = Charge.MAYBE
    """Whether a failed job is charged, as the provider documents it."""
    upload_base_url: str | None = None
    list_base_url: str | None = None
    """Where recent requests are listed, if on another host."""
    auth_scheme: str = "Bearer"
    """What stands before the key in `Authorization`."""
    request_id_header: str = "x-request-id"
    """Header of an answer that names the request, in lower case."""
    client_id_header: str | None = None
    """Header that names a submit for the provider's support."""
    sandbox_path: str = ""
    """Where the stand-in serves it: `/ark/api/v3`."""
    counts: frozenset[str] = frozenset(
        {"n", "num_images", "max_images", "sequential_image_generation_options"}
    )
    """Body fields that say no more than how many pictures a request brings."""
    fields: frozenset[str] = frozenset()
    """Body fields that it documents beside those of each model."""
    inputs_in: str = ""
    """The body field that holds a model's own fields; empty: they are the body."""
    ignores_others: bool = False
    """It documents, or was seen, to take a field that it does not know for nothing."""
    has_own_words: bool = False
    """Its models have each their own words for a size, so none is lent to one that is unknown."""
    elsewhere: Mapping[str, Provider] = field(default_factory=dict)
    """What it is at other addresses of its own, by base URL: a subscription knows other models."""
    reference_kinds: frozenset[str] = frozenset({"url"})
    """How local references travel: `url` (only foreign URLs), `inline`, `upload`."""

    def at(self, base_url: str) -> Provider:
        """Return what it is at an account's address."""
        return self.elsewhere.get(base_url.rstrip("/"), self)

    @property
    def is_fleeting(self) -> bool:
        """What it made may be gone within the hour: that is asked about before all else."""
        spans = (self.url_lifetime, self.answer_lifetime)
        return any(span is not None and span <= _FLEETING for span in spans)

    def doubt(self, base_url: str, reply: Reply) -> str:
        """Say what `base_url` has to be, where an answer looks as if that was not it."""
        is_page = reply.body.lstrip()[:1] == b"<"
        is_elsewhere = base_url.rstrip("/") != self.base_url and not base_url.startswith(
            SANDBOX_ORIGIN
        )
        if not is_elsewhere or not (is_page or reply.status in _NOT_THERE):
            return ""
        like = self.base_url or "https://HOST/v1"
        return (
            f"is the profile's base_url right? {base_url} has to be what stands before {self.path},"
            f" like {like}"
        )

    def page(self, code: str, base_url: str) -> str:
        """Say where a person mends what an account lacks; empty for other errors, and elsewhere."""
        if not self.base_url or origin(base_url) != origin(self.base_url):
            return ""
        match code:
            case "auth":
                return f"keys are made at {self.keys_page}"
            case "credit":
                return f"credit is bought at {self.credit_page}"
            case "access" if self.access_page:
                return f"models are opened at {self.access_page}"
            case _:
                return ""

    @property
    def guide(self) -> Capabilities | None:
        """Whose sizes turn the words for an unknown model into pixels.

        Locks hold what came of it, so it stays the same when the default changes.
        """
        names = (*self.former_defaults, self.default_model or "")
        found = next((self.models[name] for name in names if name in self.models), None)
        return replace(found, quality={}) if found is not None and self.has_own_words else found

    def meanings(self, word: str) -> frozenset[str]:
        """Return every id that a short name has ever meant, twins too; empty for other words."""
        ids = self.short_names.get(word, ())
        models = [self.models[name] for name in ids if name in self.models]
        twins = (twin for each in models for twin in (each.edit_twin, each.text_twin) if twin)
        return frozenset({*ids, *twins})

    def living(self, now: datetime) -> dict[str, Capabilities]:
        """Return the models that are not retired."""
        return {name: model for name, model in self.models.items() if not model.is_retired(now)}

    def on_offer(self, now: datetime) -> dict[str, Capabilities]:
        """Return the models that may be proposed to anybody."""
        living = self.living(now)
        return {name: model for name, model in living.items() if not model.is_plan_only}

    def successors(self, model: str, now: datetime) -> list[str]:
        """Return what may be named instead of a retired model, the best first; else nothing."""
        old, living = self.models.get(model), self.living(now)
        if old is None or model in living:
            return []
        ways = (old.successor, self.default_model, *self.stand_ins)
        return [name for name in dict.fromkeys(ways) if name is not None and name in living]
