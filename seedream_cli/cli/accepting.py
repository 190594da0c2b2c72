"""`--accept NAME`: pictures are recorded as they lie there, changed by hand or made elsewhere."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from seedream_cli.assets import made_first
from seedream_cli.errors import UsageError
from seedream_cli.lock import Entry
from seedream_cli.shelf import look
from seedream_cli.wishes import aspect_of, keyword_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.assets import Judge, Picture


def accepted(
    judge: Judge, pictures: Sequence[Picture], patterns: Sequence[str], now: datetime
) -> Iterator[Entry]:
    """Yield the lock's lines of the pictures that are meant, by name or as `icon-*`.

    Raises `UsageError` for a name that no picture has, and where there is no file.
    """
    for pattern in patterns:
        if not any(_is_meant(picture, pattern) for picture in pictures):
            raise UsageError(f"--accept {pattern}: no picture of the manifest is called that")
    rows = made_first([*{picture.row.name: picture.row for picture in pictures}.values()])
    place = {row.name: k for k, row in enumerate(rows)}
    origins: dict[tuple[str, int], str] = {}
    for picture in sorted(pictures, key=lambda picture: place[picture.row.name]):
        if any(_is_meant(picture, pattern) for pattern in patterns):
            entry = _entry(judge, picture, origins, now)
            origins[entry.key] = entry.origin
            yield entry


def _is_meant(picture: Picture, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (picture.name, picture.row.name))


def _entry(
    judge: Judge, picture: Picture, origins: Mapping[tuple[str, int], str], now: datetime
) -> Entry:
    file = look(posixpath.join(judge.terms.base, picture.output))
    if file is None or not file.sha256:
        raise UsageError(
            f"--accept {picture.name}: there is no file {picture.output}",
            hint="nothing was recorded",
        )
    wish, old = judge.wish(picture.row, origins), picture.entry
    if wish.fingerprint is None:
        raise UsageError(
            f"--accept {picture.name}: a picture that it is made from is not there yet",
            hint="accept or make that one first",
        )
    request = wish.resolved.request
    is_ours = old is not None and old.fingerprint == wish.fingerprint
    return Entry(
        name=picture.row.name,
        n=picture.n,
        of=old.of if old and is_ours else None,
        output=picture.output,
        label=old.label if old and is_ours else None,
        fingerprint=wish.fingerprint,
        sha256=file.sha256,
        made=old.origin if old and is_ours and old.origin != file.sha256 else None,
        size=file.size,
        provider=wish.provider.name,
        model=request.model,
        keyword=keyword_of(request),
        aspect=aspect_of(request),
        price=old.price if old and is_ours else None,
        date=f"{now:%Y-%m-%d}",
    )
