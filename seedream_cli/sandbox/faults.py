"""Bad weather on request: each fault is a record of where it strikes and what it does there."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UsageError
from seedream_cli.core.record import dataclass, replace
from seedream_cli.sandbox.messages import Answer, Fate, Where
from seedream_cli.sandbox.pictures.host import deny, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seedream_cli.sandbox.messages import Effect, HttpRequest, Stage, Voice

    Bend = Callable[[Answer, Voice, HttpRequest, Stage], Answer | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of bad weather. It strikes only what would have gone well."""

    name: str
    where: Where
    help: str
    fate: Fate | None = None
    """What becomes of the accepted work; None: as usual."""
    bend: Bend | None = None
    """What becomes of the good answer; it gives None where the provider has no such words."""
    instead: Fate = Fate.MADE
    """The fate of work that `bend` had no words for."""
    is_for_a_while: bool = False
    """It strikes a picture from when that is first asked for, and then no more."""


def _busy(_reply: Answer, voice: Voice, asked: HttpRequest, stage: Stage) -> Answer:
    busy = voice.busy(asked, stage)
    return replace(busy, headers={**busy.headers, "retry-after": "1"})


def _broken(reply: Answer, voice: Voice, asked: HttpRequest, stage: Stage) -> Answer:
    return replace(voice.broken(asked, stage), delay=reply.delay, deed=reply.deed)


def _drop(reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer:
    return replace(reply, is_dropped=True)


def _deny(_reply: Answer, _voice: Voice, _asked: HttpRequest, stage: Stage) -> Answer:
    """Turn a picture away as a host does whose clock is beyond every URL's life."""
    late = format_datetime(stage.date + _LATER, usegmt=True)
    return replace(deny(), headers={**deny().headers, "date": late})


def _missing(_reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer:
    return missing()


def _refuse(_reply: Answer, voice: Voice, asked: HttpRequest, stage: Stage) -> Answer | None:
    return voice.refused(asked, stage) if voice.refused else None


def _truncate(reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer:
    return replace(reply, cut_at=len(reply.body) // 2)


def _odd(reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer:
    """Send a picture whole that is not as its format says, and that viewers open all the same."""
    end = len(reply.body) - len(_PNG_END)
    if reply.body.startswith(b"\x89PNG"):
        return replace(reply, body=reply.body[:end] + _BAD_TEXT + reply.body[end:])
    return replace(reply, body=reply.body.removesuffix(b"\xff\xd9"))


def _cut(reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer:
    """Break a stream off after half of its images; other answers in the middle of their body."""
    images = len(reply.events) - _ENDINGS
    return replace(reply, cut_at=images // 2 if reply.events else len(reply.body) // 2)


def _partial(reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer | None:
    """Let the second image of a streamed set fail; the others are made."""
    if len(reply.events) <= 1 + _ENDINGS:
        return None
    pause, content = reply.events[1]
    failed = content.replace(b"partial_succeeded", b"partial_failed")
    failed = re.sub(rb'"url": ?"[^"]*"', b'"error": ' + _UNSEEMLY, failed)
    return replace(reply, events=(reply.events[0], (pause, failed), *reply.events[2:]))


def _webpage(reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer:
    return Answer(
        headers={"content-type": "text/html; charset=utf-8"},
        body=b"<!DOCTYPE html><html><head><title>One moment, please</title></head></html>",
        delay=reply.delay,
        deed=reply.deed,
    )


_SUBMIT: Final = Where.SUBMIT
_LATER: Final = timedelta(days=30)
_ENDINGS: Final = 2
"""Events of a stream behind its images: `completed` and `[DONE]`."""
_PNG_END: Final = b"\0\0\0\0IEND\xae\x42\x60\x82"
_BAD_TEXT: Final = b"\0\0\0\x09tEXtComment\0x\0\0\0\1"
"""A text chunk whose checksum is wrong."""
_UNSEEMLY: Final = (
    b'{"code": "OutputImageSensitiveContentDetected", "message": "The output image may contain'
    b' sensitive information."}'
)

FAULTS: Final = {
    fault.name: fault
    for fault in (
        Fault(name="429", where=_SUBMIT, help="too busy, come again in 1 s", bend=_busy),
        Fault(name="500", where=_SUBMIT, help="charged, then an internal error", bend=_broken),
        Fault(name="drop", where=_SUBMIT, help="charged, then no answer", bend=_drop),
        Fault(name="slow", where=_SUBMIT, help="never gets ready", fate=Fate.ENDLESS),
        Fault(name="expire", where=Where.IMAGE, help="the image URL has lapsed", bend=_deny),
        Fault(
            name="refuse",
            where=_SUBMIT,
            help="content policy",
            bend=_refuse,
            instead=Fate.REFUSED,
        ),
        Fault(name="fail", where=_SUBMIT, help="accepted, then failed", fate=Fate.FAILED),
        Fault(name="truncate", where=Where.IMAGE, help="half an image", bend=_truncate),
        Fault(name="cut", where=_SUBMIT, help="charged, then cut in the middle", bend=_cut),
        Fault(name="partial", where=_SUBMIT, help="an image of a set fails", bend=_partial),
        Fault(name="html", where=_SUBMIT, help="charged, then a web page", bend=_webpage),
        Fault(name="lost", where=_SUBMIT, help="accepted, charged, no answer", bend=_drop),
        Fault(
            name="late",
            where=Where.IMAGE,
            help="404 for 10 s",
            bend=_missing,
            is_for_a_while=True,
        ),
        Fault(name="odd", where=Where.IMAGE, help="whole, but not as its format says", bend=_odd),
    )
}


class Weather:
    """The faults that still have to strike; the only state that changes answers."""

    def __init__(self, faults: Iterable[str] = ()) -> None:
        """Take `KIND` (always) or `KIND:TIMES`; raises `UsageError`."""
        self._lock = threading.Lock()
        self._left = [parse_fault(text) for text in faults]
        self._until: dict[str, float] = {}
        """When pictures that are late are there, by path."""

    def strike(self, deed: Effect, path: str, stage: Stage) -> Fault | None:
        """Return the fault that strikes this good deed, and count it off."""
        # A refusal is weather enough.
        if not deed.is_good:
            return None
        with self._lock:
            for place, (fault, left) in enumerate(self._left):
                if fault.where is not deed.where:
                    continue
                if fault.is_for_a_while and path in self._until:
                    if stage.now < self._until[path]:
                        return fault
                # None is for ever, and counts nothing off.
                elif left != 0:
                    self._left[place] = (fault, left - 1 if left is not None else None)
                    self._until[path] = stage.now + stage.settings.late
                    return fault
        return None

    def change(self, faults: Iterable[str]) -> None:
        """Put `faults` in the place of all others; raises `UsageError`."""
        parsed = [parse_fault(text) for text in faults]
        with self._lock:
            self._left = parsed
            self._until.clear()


def parse_fault(text: str) -> tuple[Fault, int | None]:
    """Return the fault of `KIND[:TIMES]` and how often it strikes (None: always).

    Raises `UsageError`.
    """
    name, colon, times = text.partition(":")
    if name not in FAULTS:
        raise UsageError(f"there is no fault {name!r}", hint=f"one of: {', '.join(FAULTS)}")
    if colon and not (times.isascii() and times.isdecimal()):
        raise UsageError(f"how often is {times!r}?", hint=f"a whole number: --fault {name}:2")
    return FAULTS[name], int(times) if colon else None
