"""`--accept NAME`: pictures are recorded as they lie there, changed by hand or made elsewhere."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import TYPE_CHECKING

from seedream_cli.batch.resolve import count_of, sort_by_source
from seedream_cli.core.errors import UsageError
from seedream_cli.core.record import replace
from seedream_cli.storage.files.digest import look

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.action import Action
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.batch.plan import Planner
    from seedream_cli.storage.files.digest import FileDigest


def accept(
    planner: Planner, actions: Sequence[Action], patterns: Sequence[str], now: datetime
) -> Iterator[Entry]:
    """Yield the lock's lines of the pictures that are meant, by name or as `icon-*`.

    Raises `UsageError` for a name that no picture has, and where there is no file.
    """
    for pattern in patterns:
        _check_pattern(planner, actions, pattern)
    names = [pattern for pattern in patterns if not _is_glob(pattern)]
    # Sources first: what is accepted for one is what the next was made from.
    rows = sort_by_source([*{action.row.name: action.row for action in actions}.values()])
    place = {row.name: k for k, row in enumerate(rows)}
    origins: dict[tuple[str, int], str] = {}
    for action in sorted(actions, key=lambda action: place[action.row.name]):
        is_named = any(_is_meant(action, name) for name in names)
        is_meant = is_named or any(_is_meant(action, pattern) for pattern in patterns)
        # A name without a file is a mistake, told by `_entries`; a pattern means what lies there.
        if is_named or (is_meant and _file_of(planner, action) is not None):
            for entry in _entries(planner, action, origins, now):
                origins[entry.key] = entry.origin
                yield entry


def _check_pattern(planner: Planner, actions: Sequence[Action], pattern: str) -> None:
    """Object to a pattern for which there is nothing to record."""
    meant = [action for action in actions if _is_meant(action, pattern)]
    if not meant:
        if any(_is_of(row, pattern, planner.context.typed) for row in planner.manifest.rows):
            raise UsageError(
                f"--accept {pattern}: that picture is in another shard",
                hint="accept it with that --shard, or without --shard",
            )
        raise UsageError(f"--accept {pattern}: no picture of the manifest is called that")
    if _is_glob(pattern) and not any(_file_of(planner, action) for action in meant):
        raise UsageError(
            f"--accept {pattern}: of {len(meant)} pictures none has a file",
            hint="nothing was recorded",
        )


def _is_of(row: Row, pattern: str, typed: Mapping[str, object]) -> bool:
    numbered = (f"{row.name}-{n}" for n in range(1, count_of(row, typed) + 1))
    return any(fnmatchcase(name, pattern) for name in (row.name, *numbered))


def _is_glob(pattern: str) -> bool:
    return any(mark in pattern for mark in "*?[")


def _file_of(planner: Planner, action: Action) -> FileDigest | None:
    """Return the file that lies where a picture belongs."""
    file = look(posixpath.join(planner.context.base, action.output))
    return file if file is not None and file.sha256 else None


def _is_meant(action: Action, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (action.name, action.row.name))


def _entries(
    planner: Planner, action: Action, origins: Mapping[tuple[str, int], str], now: datetime
) -> Iterator[Entry]:
    """Yield the line of a picture; of a set that the lock has not whole, one of each that lies."""
    entry = _entry(planner, action, origins, now)
    places = planner.places(action)
    if len(places) == 1 or action.of is None:
        yield entry
        return
    there = [replace(action, n=n, output=path, entry=None) for n, path in enumerate(places, 1)]
    found = list(takewhile(lambda each: _file_of(planner, each) is not None, there))
    rest = there[len(found) :]
    if rest and (
        planner.is_whole(action) or any(_file_of(planner, each) is not None for each in rest)
    ):
        raise UsageError(
            f"--accept {action.row.name}: {rest[0].output} of the set is not there",
            hint="take it from version control, or move the others away",
        )
    if not found:
        yield entry
    for each in found:
        yield replace(_entry(planner, each, origins, now), of=len(found))


def _entry(
    planner: Planner, action: Action, origins: Mapping[tuple[str, int], str], now: datetime
) -> Entry:
    file = _file_of(planner, action)
    if file is None:
        raise UsageError(
            f"--accept {action.name}: there is no file {action.output}",
            hint="nothing was recorded",
        )
    target, old = planner.target(action.row, origins, action.n), action.entry
    if target.description_digest is None:
        raise UsageError(
            f"--accept {action.name}: a picture that it is made from is not there yet",
            hint="accept or make that one first",
        )
    twins = planner.twins(action)
    same = [entry for entry in twins if entry.sha256 == file.sha256]
    entry = replace(
        target.entry(action.n, action.output, file.sha256, file.size, now),
        # Byte for byte ours, it may be made again whenever its description changes.
        accepted=not any(_is_made_by_us(each, file) for each in twins),
        sandbox=bool(same) and all(entry.sandbox for entry in same),
    )
    if old is None or old.description_digest != target.description_digest:
        return entry
    # Others were made from the first bytes: to accept changed ones makes none of those stale.
    made = old.origin if old.origin != file.sha256 else None
    return replace(entry, of=old.of, label=old.label, made=made, price=old.price)


def _is_made_by_us(entry: Entry, file: FileDigest) -> bool:
    """Tell whether a file is byte for byte what an entry says that we made."""
    made = entry.made if entry.is_by_hand else entry.sha256
    return made == file.sha256
