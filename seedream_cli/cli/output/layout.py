"""Lays text out for a terminal: tables whose words wrap within their column, sentences, places."""

from __future__ import annotations

import shutil
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

from seedream_cli.core.text import clean, columns, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NO_WIDTH = 100_000
"""Columns where nobody looks at a screen."""
_LEAST_WIDTH = 20


def terminal_width() -> int:
    """Return how wide a line may be; elsewhere than on a terminal as wide as it is."""
    return shutil.get_terminal_size((_NO_WIDTH, 24)).columns


def wrap(text: str, width: int) -> Iterator[str]:
    """Yield a sentence in lines; a path or URL longer than a line stands on its own."""
    yield from _lines(clean(text, one_line=True), max(width, _LEAST_WIDTH))


def hang(line: str, width: int, indent: int) -> Iterator[str]:
    """Yield a line, broken between words where it is too wide, what follows hanging below."""
    if columns(line) <= width:
        yield line
        return
    yield from textwrap.wrap(
        line,
        max(width, _LEAST_WIDTH),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def place(label: str, path: Path, width: int) -> Iterator[str]:
    """Yield a label and its path, the path on a line of its own where both have no room."""
    text = clean(str(path), one_line=True)
    line = f"{label:<9}{text}"
    yield from [line] if columns(line) <= width else [label, f"  {text}"]


def fits(rows: Sequence[tuple[str, ...]], width: int) -> bool:
    """Tell whether a table has room with each row on one line."""
    return sum(_widths(rows)) + 2 * (len(rows[0]) - 1) <= width


def lay_out(
    rows: Sequence[tuple[str, ...]],
    width: int = _NO_WIDTH,
    *,
    heads: Sequence[str] = (),
    droppable: Sequence[int] = (),
    least_room: int = 0,
) -> Iterator[str]:
    """Lay rows out in columns, without the `droppable` ones where they would be too wide.

    The last one may be cut to `least_room` or more; without that, words wrap within their column.
    What is still too wide goes one cell a line, named by `heads`.
    """
    rows = [tuple(clean(cell, one_line=True) for cell in row) for row in rows]
    if not rows:
        return
    if not fits(rows, width) and droppable and not _has_room(rows, width, least_room):
        rows = [tuple(c for k, c in enumerate(row) if k not in droppable) for row in rows]
    widths = _widths(rows)
    if least_room and _has_room(rows, width, least_room):
        widths[-1] = min(widths[-1], width - sum(widths[:-1]) - 2 * (len(widths) - 1))
        rows = [(*row[:-1], shorten(row[-1], widths[-1])) for row in rows]
    narrow = _narrowed(rows, widths, width)
    if narrow is not None:
        for row in rows:
            yield from _row(row, narrow)
        return
    for row in rows[1:] if heads else rows:
        yield row[0]
        for k, cell in enumerate(row[1:], 1):
            if cell not in {"", "-"}:
                words = f"{heads[k].lower()} {cell}" if heads else cell
                yield from (f"  {line}" for line in wrap(words, width - 2))


def _widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(columns, column)) for column in zip(*rows, strict=True)]


def _has_room(rows: Sequence[tuple[str, ...]], width: int, least_room: int) -> bool:
    """Tell whether a table fits once its last column is cut to `least_room`."""
    widths = _widths(rows)
    last = min(widths[-1], least_room) if least_room else widths[-1]
    return sum(widths[:-1]) + 2 * (len(widths) - 1) + last <= width


def _narrowed(rows: Sequence[tuple[str, ...]], widths: list[int], width: int) -> list[int] | None:
    """Return widths that fit when words wrap, the widest column narrowed first; None: none do."""
    least = [
        max(columns(word) for cell in column for word in cell.split() or [""])
        for column in zip(*rows, strict=True)
    ]
    found = list(widths)
    while sum(found) + 2 * (len(found) - 1) > width:
        able = [k for k in range(len(found)) if found[k] > least[k]]
        if not able:
            return None
        found[max(able, key=found.__getitem__)] -= 1
    return found


def _row(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    cells = [_lines(cell, width) for cell, width in zip(row, widths, strict=True)]
    for line in zip_longest(*cells, fillvalue=""):
        padded = (
            cell + " " * (width - columns(cell)) for cell, width in zip(line, widths, strict=True)
        )
        yield "  ".join(padded).rstrip()


def _lines(text: str, width: int) -> list[str]:
    if columns(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
