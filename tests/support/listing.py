"""A provider that keeps a list of requests, played in this process on a clock that a test owns."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from support.pictures import chunk, png
from support.transport import FakeHeard

from seedream_cli.core.errors import OutcomeUnknown, SeedreamError, UnreadableReply
from seedream_cli.core.model import REFUND, Call, Page, Purpose, Record, Reply
from seedream_cli.providers import PROVIDERS
from seedream_cli.providers.kie.dialect import KIE
from seedream_cli.providers.spec import Listing, Provider
from seedream_cli.sandbox.messages import HttpRequest, Settings, Stage
from seedream_cli.sandbox.messages import SubmitRecord as SandboxRecord
from seedream_cli.sandbox.router import answer as stand_in
from seedream_cli.transport.client import Download

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from support.clock import FakeClock

    from seedream_cli.core.model import Profile, Window
    from seedream_cli.sandbox.messages import Answer
    from seedream_cli.transport.exchange import Limits

HOST = "https://images.example"


def find(window: Window, cursor: str | None) -> Call:
    """Ask for a page of requests."""
    query = {"since": window.since.isoformat(), "until": window.until.isoformat()}
    page = {"page": cursor or "1"}
    return Call(purpose=Purpose.FIND, method="GET", path="/list", host="list", query=query | page)


def charges(window: Window, cursor: str | None) -> Call:
    """Ask for a page of charges."""
    return replace(find(window, cursor), path="/charges")


def listed(reply: Reply) -> Page:
    """Read a page of requests, or of charges."""
    if reply.status != 200:
        raise UnreadableReply(f"it answered {reply.status}")
    said = json.loads(reply.body)
    records = tuple(
        Record(
            task_id=each["id"],
            model=each["model"],
            at=datetime.fromisoformat(each["at"]),
            input=each["input"],
            state=each["state"],
        )
        for each in said["items"]
    )
    return Page(records=records, next=said["next"])


def picture_of(task: str) -> bytes:
    """Return the picture that a task made."""
    return png(1, 1, chunk(b"tEXt", b"Task\0" + task.encode()))


LISTING = Listing(empty_looks=2, inputs_kept=timedelta(minutes=60))
LISTED: Provider = replace(
    KIE,
    limit=None,
    poll_limit=None,
    title="Listed",
    dialect=replace(KIE.dialect, find=find, listed=listed, charges=charges, charged=listed),
    listing=LISTING,
)
"""KIE, if it kept a list."""


@dataclass
class Entry:
    """What the provider's own book says of one request that it took."""

    task: str
    at: datetime
    body: Mapping[str, object]
    model: str
    shows_at: datetime
    """When it is in the list."""
    has_input: bool = True
    is_ours: bool = True
    is_charged: bool = True
    is_refunded: bool = False


@dataclass
class ListingServer:
    """Answers as the transport would; loses the answers that it is told to."""

    clock: FakeClock
    offset: timedelta = timedelta()
    """Its clock less ours."""
    book: list[Entry] = field(default_factory=list)
    name: str = "t"
    """What its task ids begin with."""
    page_size: int = 100
    has_date: bool = True
    delay: Callable[[], float] = lambda: 0.0
    """Seconds until a request is listed."""
    has_input: Callable[[], bool] = lambda: True
    """Whether a request is listed with what was asked."""
    fate: Callable[[Call], str] = lambda _: "answer"
    """Of a submit: `answer`, `lose` (accepted, no answer), `drop` (never read)."""
    trouble: Callable[[Call], Reply | SeedreamError | None] = lambda _: None
    at_send: Callable[[Call], None] = lambda _: None
    sent: list[Call] = field(default_factory=list)
    model_of: Callable[[Call], str] = lambda call: str((call.body or {}).get("model"))
    inputs: Callable[[Entry], Mapping[str, object] | None] = lambda entry: (
        entry.body if entry.has_input else None
    )

    @property
    def now(self) -> datetime:
        """The time by its clock."""
        return self.clock.now() + self.offset

    def submits(self) -> list[Call]:
        """Return the submits that came."""
        return [call for call in self.sent if call.purpose is Purpose.SUBMIT]

    def looks(self) -> int:
        """Return how many pages were asked for."""
        return sum(call.purpose is Purpose.FIND for call in self.sent)

    def accept(self, call: Call, **more: object) -> Entry:
        """Take a request into the book."""
        entry = Entry(
            task=f"{self.name}{len(self.book)}",
            at=self.now,
            body=call.body or {},
            model=self.model_of(call),
            shows_at=self.now + timedelta(seconds=self.delay()),
            has_input=self.has_input(),
        )
        self.book.append(replace(entry, **more))  # type: ignore[arg-type] # its own fields
        return self.book[-1]

    def send(
        self,
        profile: Profile,
        call: Call,
        limits: Limits,
        *,
        on_first_byte: Callable[[], None] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Answer a call, or lose the answer."""
        del profile, limits, headers
        if on_first_byte is not None:
            on_first_byte()
        self.sent.append(call)
        self.at_send(call)
        trouble = self.trouble(call)
        if isinstance(trouble, SeedreamError):
            raise trouble
        if trouble is not None:
            return replace(trouble, purpose=call.purpose)
        match call.purpose:
            case Purpose.SUBMIT:
                return self._take(call)
            case _:
                return self._free(call)

    @contextmanager
    def listen(
        self,
        profile: Profile,
        call: Call,
        limits: Limits,
        *,
        on_first_byte: Callable[[], None] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[FakeHeard]:
        """Answer a call whole."""
        answer = self.send(profile, call, limits, on_first_byte=on_first_byte, headers=headers)
        yield FakeHeard([], is_stream=False, answer=answer)

    @contextmanager
    def fetch(
        self, url: str, limits: Limits, *, allowed: object, plain_host: str = ""
    ) -> Iterator[Download]:
        """Bring a picture that names its task."""
        del limits, allowed, plain_host
        picture = picture_of(url.rpartition("/")[2])
        yield Download(length=len(picture), chunks=iter([picture]), is_measured=True)

    def _free(self, call: Call) -> Reply:
        if call.purpose is Purpose.FIND:
            return self._reply(call, self._page(call))
        return self._reply(call, self._finished(call.query["taskId"]))

    def _take(self, call: Call) -> Reply:
        fate = self.fate(call)
        if fate == "drop":
            raise OutcomeUnknown("the connection was closed")
        entry = self.accept(call)
        if fate == "lose":
            raise OutcomeUnknown("the connection was closed")
        return self._reply(call, {"code": 200, "msg": "ok", "data": {"taskId": entry.task}})

    def _page(self, call: Call) -> dict[str, object]:
        since, until = (datetime.fromisoformat(call.query[key]) for key in ("since", "until"))
        seen = [e for e in self.book if since <= e.at <= until and e.shows_at <= self.now]
        if call.path == "/charges":
            seen = [each for each in self.book if each.is_charged and since <= each.at <= until]
        seen.sort(key=lambda entry: entry.at, reverse=True)
        number = int(call.query["page"])
        cut = seen[(number - 1) * self.page_size : number * self.page_size]
        more = len(seen) > number * self.page_size
        items = [self._item(each, "done") for each in cut]
        if call.path == "/charges":
            items += [self._item(each, REFUND) for each in cut if each.is_refunded]
        return {"items": items, "next": str(number + 1) if more else None}

    def _item(self, entry: Entry, state: str) -> dict[str, object]:
        return {
            "id": entry.task,
            "model": entry.model,
            "at": entry.at.isoformat(),
            "input": self.inputs(entry),
            "state": state,
        }

    def _finished(self, task: str) -> dict[str, object]:
        result = json.dumps({"resultUrls": [f"{HOST}/{task}"]})
        return {
            "code": 200,
            "msg": "ok",
            "data": {"taskId": task, "state": "success", "resultJson": result},
        }

    def _reply(self, call: Call, body: object) -> Reply:
        date = format_datetime(self.now.astimezone(UTC).replace(microsecond=0), usegmt=True)
        headers = {"date": date} if self.has_date else {}
        return Reply(
            purpose=call.purpose, status=200, headers=headers, body=json.dumps(body).encode()
        )


@dataclass
class StandIn(ListingServer):
    """One of the providers that keep a list, as the sandbox plays it, on that clock."""

    provider: str = "wavespeed"
    seconds: float = 15.0
    """That a picture takes."""
    records: list[tuple[SandboxRecord, Entry]] = field(default_factory=list)

    def accept(self, call: Call, **more: object) -> Entry:
        """Let the stand-in take a request; raise where it does not."""
        body = more.pop("body", call.body)
        call = replace(call, body=cast("Mapping[str, object]", body))
        return self._accepted(call, self._ask(call), **more)

    def _accepted(self, call: Call, answer: Answer, **more: object) -> Entry:
        assert answer.deed.is_good, answer.body
        entry = super().accept(call, task=answer.deed.task, **more)
        record = SandboxRecord(
            provider=self.provider,
            task=entry.task,
            key=self._asked(call).account,
            at=self.now.timestamp(),
            body=entry.body if entry.has_input else {},
        )
        self.records.append((record, entry))
        return entry

    def _take(self, call: Call) -> Reply:
        fate = self.fate(call)
        if fate == "drop":
            raise OutcomeUnknown("the connection was closed")
        answer = self._ask(call)
        self._accepted(call, answer)
        if fate == "lose":
            raise OutcomeUnknown("the connection was closed")
        return self._answered(call, answer)

    def _free(self, call: Call) -> Reply:
        return self._answered(call, self._ask(call))

    def _ask(self, call: Call) -> Answer:
        is_list = call.purpose is Purpose.FIND
        shown = [r for r, entry in self.records if not is_list or entry.shows_at <= self.now]
        settings = Settings(delay=self.seconds, list_delay=0.0)
        stage = Stage(now=self.now.timestamp(), settings=settings, records=shown)
        return stand_in(self._asked(call), stage)

    def _asked(self, call: Call) -> HttpRequest:
        provider = PROVIDERS[self.provider]
        parts = urlsplit(call.path)
        prefix = "" if parts.netloc else provider.sandbox_path
        return HttpRequest(
            method=call.method,
            path=unquote(f"{prefix}{parts.path}"),
            query={**dict(parse_qsl(parts.query)), **call.query},
            headers={"host": "sandbox.example", "authorization": f"{provider.auth_scheme} sk-test"},
            body=json.dumps(call.body).encode() if call.body is not None else b"",
            nonce=len(self.records) + 1,
        )

    def _answered(self, call: Call, answer: Answer) -> Reply:
        return replace(self._reply(call, None), status=answer.status, body=answer.body)
