"""Task ids and image names that hold all that is needed to answer for them, in any process."""

from __future__ import annotations

import hashlib
import struct
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, replace
from seedream_cli.sandbox.messages import Fate, is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTENSIONS: Final = {"jpeg": "jpeg", "png": "png"}

_PICTURE: Final = struct.Struct(">QIHHBI")
_TASK: Final = struct.Struct(">QIIBBB")
_CHECK: Final = struct.Struct(">I")

_PNG: Final = 1
_MARKED: Final = 2
_SIGNED: Final = 4
_CLEAR: Final = 8


class TicketKind(IntEnum):
    """Who handed a ticket out; one provider does not know the tasks of another."""

    PICTURE = 1
    KIE = 2
    KIE_OLDER = 3
    SEEDREAMS = 4
    FAL = 5
    REPLICATE = 6
    WAVESPEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What to draw."""

    seed: int
    """64 bits, of prompt, seed and number."""
    tint: int = 0
    """32 bits of the reference images' digest, which give the colours; 0: there were none."""
    width: int
    height: int
    format: str
    """`png` or `jpeg`."""
    is_marked: bool = False
    """With the provider's watermark."""
    is_signed: bool = False
    """Its URL is only good with the query that it was handed out with."""
    is_clear: bool = False
    """A PNG whose background is transparent."""
    expires_at: int = 0
    """Seconds since 1970; 0: never."""

    def sibling(self, number: int) -> Drawing:
        """Return the picture with this number, from 0, of the same request."""
        if number == 0:
            return self
        return replace(self, seed=_number(8, self.seed, number))

    def layer(self, number: int) -> Drawing:
        """Return a layer of this picture: 0 is the base, the others are clear PNGs above it."""
        if number == 0:
            return self
        return replace(self.sibling(number), format="png", is_clear=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An accepted request of a provider that is polled."""

    kind: TicketKind
    created_ms: int
    nonce: int
    """Tells equal requests of one millisecond apart."""
    delay_ms: int
    fate: Fate
    count: int
    references: int
    model: str
    picture: Drawing
    """The first of `count`; its `expires_at` is the one of all."""

    def progress(self, now: float) -> float:
        """Return how much is done at `now`, from 0 to 1; an endless task never is."""
        elapsed = max(0.0, now * 1000 - self.created_ms)
        share = min(1.0, elapsed / self.delay_ms) if self.delay_ms else 1.0
        return min(share, 0.99) if self.fate is Fate.ENDLESS else share

    @property
    def finished_ms(self) -> int:
        """When it is or will be done."""
        return self.created_ms + self.delay_ms


def seed_of(prompt: str, seed: object, references: Sequence[str] = (), *, nonce: int) -> int:
    """Return the 64-bit number of a picture; `nonce` tells purchases without a seed apart."""
    is_chosen = is_whole(seed) and seed != -1
    return _number(8, prompt, (seed, None) if is_chosen else (None, nonce), *references)


def tint_of(references: Sequence[str]) -> int:
    """Return the 32-bit number of a picture's colours, from what its references hold."""
    return _number(4, *references) | 1 if references else 0


def image_name(picture: Drawing) -> str:
    """Return the file name under which the stand-in serves `picture`."""
    return f"{_seal(TicketKind.PICTURE, _pack(picture))}.{EXTENSIONS[picture.format]}"


def read_image_name(name: str) -> Drawing | None:
    """Return what an image name stands for; None when it is not one of ours."""
    ticket, _, extension = name.rpartition(".")
    content = _unseal(TicketKind.PICTURE, ticket)
    if content is None or len(content) != _PICTURE.size:
        return None
    picture = _unpack(content)
    return picture if extension == EXTENSIONS[picture.format] else None


def task_id(task: Ticket, prefix: str) -> str:
    """Return the id that stands for `task`."""
    numbers = (task.delay_ms, task.fate, task.count, task.references)
    content = (
        _TASK.pack(task.created_ms, task.nonce, *numbers)
        + _pack(task.picture)
        + task.model.encode()
    )
    return prefix + _seal(task.kind, content)


def read_task_id(kind: TicketKind, prefix: str, text: str) -> Ticket | None:
    """Return what a task id of `kind` stands for; None when it is not one of ours."""
    content = _unseal(kind, text.removeprefix(prefix)) if text.startswith(prefix) else None
    if content is None:
        return None
    created_ms, nonce, delay_ms, fate, count, references = _TASK.unpack_from(content)
    model = _TASK.size + _PICTURE.size
    return Ticket(
        kind=kind,
        created_ms=created_ms,
        nonce=nonce,
        delay_ms=delay_ms,
        fate=Fate(fate),
        count=count,
        references=references,
        model=content[model:].decode(),
        picture=_unpack(content[_TASK.size : model]),
    )


def _pack(picture: Drawing) -> bytes:
    flags = (
        _PNG * (picture.format == "png")
        + _MARKED * picture.is_marked
        + _SIGNED * picture.is_signed
        + _CLEAR * picture.is_clear
    )
    size = (picture.width, picture.height)
    return _PICTURE.pack(picture.seed, picture.tint, *size, flags, picture.expires_at)


def _unpack(content: bytes) -> Drawing:
    seed, tint, width, height, flags, expires_at = _PICTURE.unpack(content)
    return Drawing(
        seed=seed,
        tint=tint,
        width=width,
        height=height,
        format="png" if flags & _PNG else "jpeg",
        is_marked=bool(flags & _MARKED),
        is_signed=bool(flags & _SIGNED),
        is_clear=bool(flags & _CLEAR),
        expires_at=expires_at,
    )


def _seal(kind: TicketKind, content: bytes) -> str:
    content = bytes((kind,)) + content
    return urlsafe_b64encode(content + _CHECK.pack(zlib.crc32(content))).decode().rstrip("=")


def _unseal(kind: TicketKind, text: str) -> bytes | None:
    try:
        whole = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    content, check = whole[:-4], whole[-4:]
    if check != _CHECK.pack(zlib.crc32(content)) or content[:1] != bytes((kind,)):
        return None
    return content[1:]


def _number(size: int, *parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:size], "big")
