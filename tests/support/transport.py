"""A transport that plays answers instead of asking anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from support.pictures import PNG

from seedream_cli.core.errors import SeedreamError
from seedream_cli.core.model import Purpose, Reply
from seedream_cli.transport.client import Download

if TYPE_CHECKING:
    from collections.abc import Collection

    from seedream_cli.core.addresses import AddressKind
    from seedream_cli.core.model import Call, Profile
    from seedream_cli.transport.exchange import Limits

Answer = Reply | SeedreamError
"""What the wire brings: a reply, or how it broke."""
Piece = bytes | SeedreamError | Callable[[], None]
"""What a stream brings next: bytes, how it broke, or what happens elsewhere just then."""
Play = bytes | SeedreamError | Callable[[], bytes]
"""What an image host brings."""


@dataclass
class FakeHeard:
    """An answer on its way, as the transport would hand it out."""

    pieces: list[Piece]
    is_stream: bool = True
    has_visible_end: bool = True
    answer: Reply | None = None
    """The whole answer, where it is no stream."""
    spill: object = None

    def chunks(self) -> Iterator[bytes]:
        """Play the pieces in order."""
        for piece in self.pieces:
            if isinstance(piece, SeedreamError):
                raise piece
            if isinstance(piece, bytes):
                yield piece
            else:
                piece()

    def event(self, data: bytes) -> Reply:
        """Return one event as it is stored."""
        return Reply(purpose=Purpose.EVENT, status=200, headers={}, body=data)

    def whole(self) -> Reply:
        """Return the answer."""
        assert self.answer is not None
        return self.answer


@dataclass
class FakeTransport:
    """Plays answers in order; says what had been asked, and what the ledger held at that time."""

    answers: list[Answer] = field(default_factory=list)
    streams: list[FakeHeard] = field(default_factory=list)
    """What is heard instead of an answer, where a stream was asked for."""
    pictures: dict[str, list[Play]] = field(default_factory=dict)
    sent: list[Call] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    allowed: frozenset[AddressKind] = frozenset()
    """From where the last picture might have come."""
    whole: tuple[bytes, ...] = (PNG,)
    """A good picture."""
    is_measured: bool = True
    """Whether HTTP tells where a picture ends."""
    at_send: Callable[[Call], None] = lambda _: None
    answer: Callable[[Call], Answer] | None = None
    """What answers a call by what it asks; None: `answers`, in order."""

    def send(
        self,
        profile: Profile,
        call: Call,
        limits: Limits,
        *,
        on_first_byte: Callable[[], None] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Play the next answer."""
        del profile, limits, headers
        answer = self.answer(call) if self.answer is not None else self.answers.pop(0)
        is_unsent = isinstance(answer, SeedreamError) and answer.code == "unreachable"
        if on_first_byte is not None and not is_unsent:
            on_first_byte()
        self.sent.append(call)
        self.at_send(call)
        if isinstance(answer, SeedreamError):
            raise answer
        return replace(answer, purpose=call.purpose)

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
        """Play the next stream, or the next answer where none is left."""
        if not self.streams:
            answer = self.send(profile, call, limits, on_first_byte=on_first_byte, headers=headers)
            yield FakeHeard([], is_stream=False, answer=answer)
            return
        assert on_first_byte is not None
        on_first_byte()
        self.sent.append(call)
        self.at_send(call)
        yield self.streams.pop(0)

    def hears(self, *pieces: Piece, has_visible_end: bool = True) -> None:
        """Let the next stream bring these pieces."""
        self.streams.append(FakeHeard(list(pieces), has_visible_end=has_visible_end))

    @contextmanager
    def fetch(
        self, url: str, limits: Limits, *, allowed: Collection[AddressKind], plain_host: str = ""
    ) -> Iterator[Download]:
        """Play the next picture of this URL; the last one stays."""
        del limits, plain_host
        self.allowed = frozenset(allowed)
        self.fetched.append(url)
        plays = self.pictures.get(url, [PNG])
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        if isinstance(play, SeedreamError):
            raise play
        if not isinstance(play, bytes):
            play = play()
        yield Download(
            length=len(play),
            chunks=iter([play[:20], play[20:]]),
            is_measured=self.is_measured,
        )
