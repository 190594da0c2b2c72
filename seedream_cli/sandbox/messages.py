"""What the stand-in is asked and what it answers, without any socket."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seedream_cli.core.model import Money


LAYER_NAMES: Final = ("base", "sun", "hills", "foreground")
LAYERS: Final = len(LAYER_NAMES)
"""Pictures of an answer in layers, the base first."""


class Where(Enum):
    """What a request is about; a fault strikes one of these."""

    SUBMIT = "submit"
    POLL = "poll"
    IMAGE = "image"
    UPLOAD = "upload"
    FREE = "free"


class Fate(IntEnum):
    """What becomes of an accepted request. The numbers are written into task ids."""

    MADE = 0
    FAILED = 1
    ENDLESS = 2
    REFUSED = 3
    """Turned down for its content, but only once it was worked on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the stand-in behaves, other than by its documents."""

    delay: float = 2.0
    """Seconds that a picture takes."""
    late: float = 10.0
    """Seconds that a picture is late at its host, with the fault of that name."""
    endless: float = 600.0
    """Seconds after which a synchronous answer comes that should never have come."""
    list_delay: float = 1.0
    """Seconds after which an accepted submit shows in its provider's list of recent requests."""
    at: datetime | None = None
    """The day by which models live or are retired; None: today's."""
    is_wrapped: bool = False
    """KIE's older record-info in the envelope of all other pages, and with their two failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRecord:
    """An accepted submit, as the provider's list of recent requests has it."""

    provider: str
    task: str
    key: str
    """A digest: one account's list has no requests of another's. Keys are never kept."""
    at: float
    """Seconds since 1970."""
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The moment at which a request is answered, and what shall become of it."""

    now: float
    """Seconds since 1970."""
    settings: Settings = field(default_factory=Settings)
    fate: Fate = Fate.MADE
    records: Sequence[SubmitRecord] = ()
    """What this server has accepted, oldest first."""

    @property
    def date(self) -> datetime:
        """`now` as UTC."""
        return datetime.fromtimestamp(self.now, UTC)

    @property
    def today(self) -> datetime:
        """The day that is rehearsed. URLs lapse by `now` all the same, as their readers' do."""
        return self.settings.at or self.date

    @property
    def patience(self) -> float:
        """Seconds until a synchronous answer."""
        return self.settings.endless if self.fate is Fate.ENDLESS else self.settings.delay


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One HTTP request."""

    method: str
    path: str
    """Decoded, without its query; a provider sees it without the provider's own prefix."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    nonce: int = 0
    """32 bits that tell it from its equals; the server draws them."""
    provider: str = ""
    """Who is asked: the router says it."""

    @property
    def origin(self) -> str:
        """Who was asked, as the client names it: URLs that are handed out begin with it."""
        return f"http://{self.headers.get('host', '127.0.0.1')}"

    @property
    def key(self) -> str:
        """The bearer token, empty where there is none."""
        return self.token("Bearer")

    def token(self, scheme: str) -> str:
        """Return the key that is given by this scheme, empty where there is none."""
        word, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if word.lower() == scheme.lower() else ""

    @property
    def client_request_id(self) -> str:
        """The client's own name for this request, empty where it gave none."""
        return self.headers.get("x-client-request-id", "")

    def json(self) -> dict[str, object] | None:
        """Return the body as a JSON object, None for anything else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    @property
    def account(self) -> str:
        """A digest of the key, whatever its scheme; the same for every request of an account."""
        _, _, token = self.headers.get("authorization", "").partition(" ")
        return hashlib.sha256(token.strip().encode()).hexdigest()[:16]

    def hash(self, *parts: object) -> str:
        """Return 64 hex digits that stand for this request and `parts`."""
        digest = hashlib.sha256(self.body)
        digest.update(repr((self.path, self.client_request_id, *parts)).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """What a provider posts to the address of a submit when its task has ended."""

    url: str
    after: float
    """Seconds from the submit on."""
    body: bytes
    """JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a request was about and whether it went well, for counters and faults."""

    provider: str = ""
    where: Where = Where.FREE
    is_good: bool = False
    """Accepted, found, delivered. An accepted submit is a charge."""
    task: str = ""
    """The provider's task id, or its request id where there are no tasks."""
    images: int = 1
    """Pictures that an accepted submit makes, by its body as it was sent."""
    price: Money | None = None
    """Of all of them, by the provider's list; None where it has no price."""
    callback: Callback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer, and how it goes over the wire."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    """Seconds before the first byte."""
    events: tuple[tuple[float, bytes], ...] = ()
    """Sent after the headers instead of `body`: seconds to wait, then bytes."""
    cut_at: int | None = None
    """The connection is closed after this many bytes of `body`; None: all are sent."""
    is_dropped: bool = False
    """The connection is closed without an answer."""
    deed: Effect = field(default_factory=Effect)


JSON: Final = {"content-type": "application/json; charset=utf-8"}


def says(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return `value` as a JSON answer."""
    return Answer(status=status, headers={**JSON, **(headers or {})}, body=encode(value))


def encode(value: object) -> bytes:
    """Return compact JSON as the providers write it, other scripts unescaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogatepass")


def is_whole(value: object) -> bool:
    """Say whether `value` is a JSON integer; JSON's true is Python's 1."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Say whether `value` is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def texts(value: object) -> list[str]:
    """Return the strings of a string or a list of strings; anything else gives none."""
    match value:
        case str():
            return [value] if value else []
        case list():
            return [item for item in value if isinstance(item, str) and item]
        case _:
            return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How one provider says that something is wrong."""

    busy: Callable[[HttpRequest, Stage], Answer]
    broken: Callable[[HttpRequest, Stage], Answer]
    """An internal error, after which nobody knows whether the work was done."""
    refused: Callable[[HttpRequest, Stage], Answer] | None
    """Content policy; None: it says so only in the result (`Fate.REFUSED`)."""
