"""`--accept NAME`: pictures are recorded as they lie there, changed by hand or made elsewhere."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import TYPE_CHECKING

from seedream_cli.batch.lock.entries import Entry
from seedream_cli.batch.plan import made_first
from seedream_cli.batch.resolve import aspect_of, count_of, keyword_of
from seedream_cli.core.errors import UsageError
from seedream_cli.storage.files.digest import look

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.action import Picture
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.batch.plan import Judge
    from seedream_cli.storage.files.digest import Found


def accepted(
    judge: Judge, pictures: Sequence[Picture], patterns: Sequence[str], now: datetime
) -> Iterator[Entry]:
    """Yield the lock's lines of the pictures that are meant, by name or as `icon-*`.

    Raises `UsageError` for a name that no picture has, and where there is no file.
    """
    for pattern in patterns:
        _hold_pattern(judge, pictures, pattern)
    names = [pattern for pattern in patterns if not _is_glob(pattern)]
    rows = made_first([*{picture.row.name: picture.row for picture in pictures}.values()])
    place = {row.name: k for k, row in enumerate(rows)}
    origins: dict[tuple[str, int], str] = {}
    for picture in sorted(pictures, key=lambda picture: place[picture.row.name]):
        is_named = any(_is_meant(picture, name) for name in names)
        is_meant = is_named or any(_is_meant(picture, pattern) for pattern in patterns)
        if is_named or (is_meant and _file_of(judge, picture) is not None):
            for entry in _entries(judge, picture, origins, now):
                origins[entry.key] = entry.origin
                yield entry


def _hold_pattern(judge: Judge, pictures: Sequence[Picture], pattern: str) -> None:
    """Object to a pattern for which there is nothing to record."""
    meant = [picture for picture in pictures if _is_meant(picture, pattern)]
    if not meant:
        if any(_is_of(row, pattern, judge.terms.typed) for row in judge.manifest.rows):
            raise UsageError(
                f"--accept {pattern}: that picture is in another shard",
                hint="accept it with that --shard, or without --shard",
            )
        raise UsageError(f"--accept {pattern}: no picture of the manifest is called that")
    if _is_glob(pattern) and not any(_file_of(judge, picture) for picture in meant):
        raise UsageError(
            f"--accept {pattern}: of {len(meant)} pictures none has a file",
            hint="nothing was recorded",
        )


def _is_of(row: Row, pattern: str, typed: Mapping[str, object]) -> bool:
    numbered = (f"{row.name}-{n}" for n in range(1, count_of(row, typed) + 1))
    return any(fnmatchcase(name, pattern) for name in (row.name, *numbered))


def _is_glob(pattern: str) -> bool:
    return any(mark in pattern for mark in "*?[")


def _file_of(judge: Judge, picture: Picture) -> Found | None:
    """Return the file that lies where a picture belongs."""
    file = look(posixpath.join(judge.terms.base, picture.output))
    return file if file is not None and file.sha256 else None


def _is_meant(picture: Picture, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (picture.name, picture.row.name))


def _entries(
    judge: Judge, picture: Picture, origins: Mapping[tuple[str, int], str], now: datetime
) -> Iterator[Entry]:
    """Yield the line of a picture; of a set that the lock has not whole, one of each that lies."""
    entry = _entry(judge, picture, origins, now)
    places = judge.places(picture)
    if len(places) == 1 or picture.of is None:
        yield entry
        return
    there = [replace(picture, n=n, output=path, entry=None) for n, path in enumerate(places, 1)]
    found = list(takewhile(lambda each: _file_of(judge, each) is not None, there))
    rest = there[len(found) :]
    if rest and (picture.lost or any(_file_of(judge, each) is not None for each in rest)):
        raise UsageError(
            f"--accept {picture.row.name}: {rest[0].output} of the set is not there",
            hint="take it from version control, or move the others away",
        )
    if not found:
        yield entry
    for each in found:
        yield replace(_entry(judge, each, origins, now), of=len(found))


def _entry(
    judge: Judge, picture: Picture, origins: Mapping[tuple[str, int], str], now: datetime
) -> Entry:
    file = _file_of(judge, picture)
    if file is None:
        raise UsageError(
            f"--accept {picture.name}: there is no file {picture.output}",
            hint="nothing was recorded",
        )
    wish, old = judge.wish(picture.row, origins, picture.n), picture.entry
    if wish.fingerprint is None:
        raise UsageError(
            f"--accept {picture.name}: a picture that it is made from is not there yet",
            hint="accept or make that one first",
        )
    request = wish.resolved.request
    same = [entry for entry in judge.twins(picture) if entry.sha256 == file.sha256]
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
        accepted=not any(_is_made_by_us(each, file) for each in judge.twins(picture)),
        size=file.size,
        provider=wish.provider.name,
        model=request.model,
        keyword=keyword_of(request),
        aspect=aspect_of(request),
        price=old.price if old and is_ours else None,
        date=f"{now:%Y-%m-%d}",
        sandbox=bool(same) and all(entry.sandbox for entry in same),
    )


def _is_made_by_us(entry: Entry, file: Found) -> bool:
    """Tell whether a file is byte for byte what an entry says that we made."""
    made = entry.made if entry.is_by_hand else entry.sha256
    return made == file.sha256
