"""The words of the house as frozen records: what is asked, sent, answered and kept."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Never

from seedream_cli.core.errors import EXITS
from seedream_cli.core.record import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal


class State(StrEnum):
    """Where a job stands (`docs/cli.md`, "Words")."""

    PLANNED = "planned"
    SENDING = "sending"
    RUNNING = "running"
    READY = "ready"
    SAVED = "saved"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CLOSED = "closed"


OPEN_STATES = frozenset({State.PLANNED, State.SENDING, State.RUNNING, State.READY})
"""States from which a job still moves by itself."""


class Charge(StrEnum):
    """Whether a job cost money."""

    NONE = "none"
    MAYBE = "maybe"
    CHARGED = "charged"


class Purpose(StrEnum):
    """Why a call is made; the same words of a provider mean different things in each."""

    SUBMIT = "submit"
    POLL = "poll"
    RESULT = "result"
    """What a finished task brought, where a poll says only that it is finished."""
    UPLOAD = "upload"
    REFRESH = "refresh"
    CHECK = "check"
    FIND = "find"
    """A page of what an account asked for lately, to settle a submit without an answer."""
    EVENT = "event"
    """One event of a submit that answers as a stream."""


class Secret:
    """A key that prints as `****` and never shows itself by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Hold `value`; only `reveal` gives it back."""
        self._value = value

    def reveal(self) -> str:
        """Return the key itself: for the transport's one authorisation header."""
        return self._value

    def __repr__(self) -> str:
        """Show stars."""
        return "****"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Show stars in f-strings too."""
        return format("****", spec)

    def __reduce__(self) -> Never:
        """Refuse to be pickled."""
        msg = "a Secret is not serialised"
        raise TypeError(msg)


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        """Write the form that providers read: `2048x2048`."""
        return f"{self.width}x{self.height}"

    @property
    def pixels(self) -> int:
        """The area."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in one currency (ISO 4217)."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so much money in any such span."""

    SPANS: ClassVar[Mapping[str, timedelta]] = {
        "day": timedelta(hours=24),
        "month": timedelta(days=30),
    }
    """Rolling: the last 24 hours, the last 30 days."""

    most: Money
    word: str
    """A key of `SPANS`."""

    def __str__(self) -> str:
        """Write it as a profile has it: `20 USD/day`."""
        return f"{self.most.amount:f} {self.most.currency}/{self.word}"

    @property
    def span(self) -> timedelta:
        """How long what was spent counts."""
        return self.SPANS[self.word]

    def has(self, price: Money | None) -> bool:
        """Tell whether a price is one that it can be held against."""
        return price is not None and price.currency == self.most.currency


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something did not work, in the provider's words where it gave some."""

    code: str
    message: str
    hint: str = ""

    @property
    def exit(self) -> int:
        """The process exit code of this problem."""
        return EXITS[self.code]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One reference image of a request."""

    source: str
    """What the person wrote: a path, a URL, `job:last.2`, `-`."""
    url: str
    """What goes on the wire: an https URL or a `data:` URI."""
    digest: str = ""
    """Lower-case hex SHA-256 of the bytes, empty for a foreign URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImage:
    """The bytes of a reference image on this machine."""

    name: str
    """A file name for the provider, unique to the bytes."""
    media_type: str
    digest: str
    """Lower-case hex SHA-256."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person asked for, before it is held against a model. None means: not said."""

    prompt: str
    model: str | None = None
    size: str | None = None
    aspect: str | None = None
    count: int = 1
    series: int | None = None
    seed: int | None = None
    guidance: float | None = None
    steps: int | None = None
    quality: str | None = None
    format: str | None = None
    watermark: bool | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    """`--set`: the provider's own fields, nested as they go into the body."""
    references: tuple[Reference, ...] = ()
    callback_url: str | None = None
    edit: bool = False
    validate: bool = True
    defaulted: frozenset[str] = frozenset()
    """Names of fields above that come from a profile: where a model lacks one, it is a note."""
    whose: str = "the profile's"
    """Whose words those are, for the note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a model, complete and checked. A dialect turns it into a `Call`."""

    model: str
    prompt: str
    keyword: str | None = None
    """`1K`, `2K`…; None when `size` was given in pixels, or the model has no sizes."""
    size: Size | None = None
    """Pixels, where they are known beforehand."""
    aspect: str | None = None
    count: int = 1
    """Independent pictures in this one request (UniAll's `n`)."""
    series: int | None = None
    """Upper bound of a set of related pictures in this one request; None: no set."""
    seed: int | None = None
    guidance: float | None = None
    steps: int | None = None
    quality: str | None = None
    """The provider's own word, already derived from `keyword` where it has one."""
    format: str | None = None
    """`png` or `jpeg`; None: not sent."""
    watermark: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    callback_url: str | None = None
    edit: bool = False
    is_known_model: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a provider accepted, as its dialect asks about it."""

    id: str
    model: str = ""
    """Empty where it is not known: a task that was made elsewhere."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Addresses that the provider named for it, on its own origin, by what is asked there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one body asks for."""

    images: int | None = 1
    """The most pictures that may come; None: its words do not tell."""
    area: int | None = None
    """Pixels of a picture at most; None: its words do not tell, and the dearest is meant."""
    references: int | None = 0
    """Reference images as sent; None: its words do not tell."""
    is_layered: bool = False
    """The pictures are layers of one."""
    is_priced: bool = True
    """Nothing in it costs extra by a price that is not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request as a provider wants it, without host and key."""

    purpose: Purpose
    method: str
    path: str
    """Stands behind the address that `host` names, or is a whole address on the API's origin."""
    host: Literal["api", "upload", "list"] = "api"
    """The profile's `base_url`, `upload_base_url` or `list_base_url`."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    """Sent as JSON."""
    files: tuple[tuple[str, LocalImage], ...] = ()
    """Sent under these names, with `body`'s fields, as a multipart form."""
    is_inline: bool = False
    """The answer holds the pictures themselves."""
    is_stream: bool = False
    """The answer is a server-sent event stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer, raw, as it is stored before anybody reads it."""

    purpose: Purpose
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    peer: str = ""
    """Of which kind the address was that answered: an `AddressKind`; empty behind a proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteImage:
    """One image of an answer: where it is, or what it is, or why it is missing."""

    index: int
    """From 1, in the provider's order."""
    url: str | None = None
    data: str | None = None
    """Base64, where the provider answers inline, perhaps with the prefix of a `data:` URL."""
    expires_at: datetime | None = None
    """When the URL lapses, where the URL itself says so."""
    problem: Problem | None = None
    name: str | None = None
    """The provider's name of a layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Accepted and not finished."""

    task_id: str
    word: str = ""
    """The provider's own word for where it stands."""
    is_missing: bool = False
    """The provider says that it does not know the task: normal just after a submit."""
    is_strange: bool = False
    """`word` is none that we know; treated as running, said once."""
    is_empty: bool = False
    """The provider says that it is done, and no picture has come with that yet."""
    ended_at: datetime | None = None
    """When it was done, where the provider says so."""
    is_finished: bool = False
    """It is over; what came of it is asked for by the dialect's `result`."""
    began_at: datetime | None = None
    """When the provider took it on, by its clock, where it says so."""
    progress: float | None = None
    """Which part of the work is done, between 0 and 1, where it says so."""
    queue: int | None = None
    """How many are before it in a queue; None: it is in none, or nobody says."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Where the provider says that it is to be asked: see `Task.links`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where the bytes of a reference image are put, without the key, before its URL is good."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Finished: at least one image, or at least one reason for a missing one."""

    images: tuple[RemoteImage, ...]
    task_id: str | None = None
    request_id: str | None = None
    cost: Money | None = None
    """What the provider says that it charged."""
    ended_at: datetime | None = None
    """When it was done, where the provider says so."""
    made_seconds: float | None = None
    """How long it took from being taken on to being done, by the provider's clock alone."""
    slot: Slot | None = None
    """Of an upload in two steps: the image's URL is good once the bytes are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Accepted, then failed for good."""

    problem: Problem
    task_id: str | None = None
    charge: Charge | None = None
    """Whether this ending is charged, where that differs from `Provider.charge_of_failed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Turned down before any work; not charged."""

    problem: Problem
    is_model: bool = False
    """The model is not to be had: not known, retired, or not open to this account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Not now: provably nothing was started; the same may be sent again later."""

    problem: Problem
    retry_after: float | None = None
    """Seconds, where the provider gave a usable number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A stream says that it is over."""


Outcome = Running | Done | Failed | Refused | Busy


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTerms:
    """What a profile says of one model, known here or not. None: nothing."""

    label: str | None = None
    """For people: `Seedream 6`."""
    price: Money | None = None
    """For one picture, at most."""
    sizes: tuple[str, ...] | None = None
    """What `--size` takes: words, pixels like `1024x1024`, and `WxH` for any pixels."""
    aspects: tuple[str, ...] | None = None
    formats: tuple[str, ...] | None = None
    """What it makes, the default first."""
    references: int | None = None
    """Greatest number of reference images."""
    series: int | None = None
    """Greatest set of related pictures in one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What differs between gateways that speak OpenAI's image API, as a profile says it."""

    edits: Literal["json", "multipart", "generations"] = "json"
    """How reference images go to `/images/edits`, or that they go to `/images/generations`."""
    references: Literal["inline", "url"] = "inline"
    """Whether it takes the bytes of a reference, or addresses only."""
    image_field: str = ""
    """The field of the reference images; empty: `image`."""
    size_fields: Literal["size", "width-height"] = "size"
    response_format: str = ""
    """Sent as it is; empty: not sent."""

    @property
    def takes_files_only(self) -> bool:
        """Whether a reference has to be on this machine: a form has no place for addresses."""
        return self.edits == "multipart" and self.references == "inline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which requests of an account are asked for, by the provider's clock."""

    since: datetime
    until: datetime
    model: str


REFUND: Final = "refund"
"""The state of a record of a charge that ends the one before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request, or one charge, in a provider's own list of them."""

    task_id: str
    model: str = ""
    at: datetime
    """When the provider took it, by its clock."""
    input: Mapping[str, object] | None = None
    """What was asked, as it was sent; None: not there, or not any more."""
    state: str = ""
    """The provider's word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of such a list."""

    records: tuple[Record, ...]
    next: str | None = None
    """What brings the next page; None: this is the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An account at a provider, and where each of its values came from."""

    name: str
    provider: str
    base_url: str
    upload_base_url: str | None = None
    list_base_url: str | None = None
    """Where recent requests are listed; None: at `base_url`, or nowhere."""
    auth_scheme: str = "Bearer"
    """What stands before the key in `Authorization`."""
    api_key: Secret | None = None
    key_source: str = ""
    """Where the key came from, or would have been looked for."""
    model: str | None = None
    output: str | None = None
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Options of `generate` as the profile sets them, long names with `_`."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """For each field: `option`, `environment NAME`, `config FILE`, `default`."""
    sandbox: bool = False
    image_hosts: str | None = None
    """`any`: pictures may come from private addresses too."""
    budget: Budget | None = None
    """What the account may spend in the last day or month."""
    models: Mapping[str, ModelTerms] = field(default_factory=dict)
    """By id: what the profile says of them."""
    gateway: Gateway = field(default_factory=Gateway)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One picture of a job, as the ledger knows it."""

    job: str
    index: int
    n: int
    """The picture's number in its run, from 1."""
    url: str | None = None
    expires_at: datetime | None = None
    path: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    """Bytes."""
    sha256: str | None = None
    saved_at: datetime | None = None
    warning: str | None = None
    """What is odd about the bytes that were saved; None: nothing."""
    problem: Problem | None = None
    name: str | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether it is neither saved nor given up."""
        return self.saved_at is None and self.problem is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request of ours and all that became of it, as the ledger knows it."""

    id: str
    run: str
    state: State
    charge: Charge
    provider: str
    profile: str
    origin: str
    """Scheme, host and port of the API it was or will be sent to."""
    sandbox: bool
    model: str
    prompt: str
    request: Mapping[str, object]
    """`size aspect seed format references` as `--json` shows them."""
    recipe: Mapping[str, object]
    """The body as it was or will be sent, local references as `sha256:…`."""
    purchase_digest: str
    """Of what it buys; `fingerprint` in the ledger."""
    output: Mapping[str, object]
    """The naming plan: see `naming.Destination`."""
    first_n: int
    """The number in the run of this job's first picture."""
    expected: int
    """How many pictures may come."""
    price: Money | None = None
    cost: Money | None = None
    task_id: str | None = None
    request_id: str | None = None
    problem: Problem | None = None
    row: str | None = None
    owner: str = ""
    """The process that planned it; see `storage.ledger.owner`."""
    peer: str = ""
    """Of which kind the address was that last answered for it: an `AddressKind`; empty: unknown."""
    exhausted_at: datetime | None = None
    """When a command had first tried for its whole `--timeout`, without getting on."""
    found_at: datetime | None = None
    """When its provider's list of requests named its task; None: its own answer did, or nobody."""
    created_at: datetime
    sent_at: datetime | None = None
    finished_at: datetime | None = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The one submit of a job that may have been charged, as it was sent."""

    job: Job
    started_at: datetime
    ended_at: datetime | None
    """None: it has not ended, or its process died and nobody has said so yet."""
    body: str | None
    """JSON, a `data:` string by its digest; None: an old version did not keep it."""
    key_digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a provider's list of requests said, once, about a submit without an answer."""

    at: datetime
    since: datetime
    until: datetime
    pages: int
    is_whole: bool
    """Every page was read, and each record in it."""
    is_empty: bool
    """It was whole, and held nothing that may be the request."""
    verdict: str
    """`found`, `absent`, or `none`."""
    reason: str
    """Why so, in words."""
    records: tuple[Record, ...] = ()
    """Those that may be the request, without what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a person, or the provider's own list, says became of a job."""

    job: Job
    word: str
    """`adopt`, `not-charged` or `write-off`; of a list `found` or `absence`."""
    task_id: str | None = None
    image: Image | None = None
    """The task, or else the picture, that is adopted."""

    @property
    def becomes(self) -> State:
        """The state that the job has then."""
        if self.image is not None:
            return State.READY
        return State.RUNNING if self.task_id is not None else State.CLOSED

    @property
    def charge(self) -> Charge:
        """Whether it cost money then."""
        if self.word in {"adopt", "found"}:
            return Charge.CHARGED
        return Charge.NONE if self.word in {"not-charged", "absence"} else Charge.MAYBE
