"""A picture as layers of runs over a palette, painted strip by strip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STRIP: Final = 8
"""Rows that are painted at once: the height of a JPEG block, within which shades do not change."""

Colour = tuple[int, int, int]
Run = tuple[int, int]
"""From this column to before that one."""


class Layer(Protocol):
    """Something that covers a part of each row."""

    def runs(self, y: int) -> Sequence[Run]:
        """Return what row `y` shows of it, from left to right."""

    def shade(self, y: int) -> int:
        """Return its palette index in row `y`."""


@dataclass(frozen=True, slots=True)
class Shades:
    """A vertical gradient: palette entries `first` … `first + count - 1` from `top` to `bottom`."""

    first: int
    count: int
    top: int
    bottom: int

    def at(self, y: int) -> int:
        """Return the palette index in row `y`, the same for all rows of a strip."""
        middle = y - y % STRIP + STRIP // 2
        share = (middle - self.top) / max(1, self.bottom - self.top)
        return self.first + min(self.count - 1, max(0, int(share * self.count)))


class Silhouette:
    """Everything below an outline that has one height in each column."""

    def __init__(self, outline: Sequence[int], height: int, shades: Shades) -> None:
        """Take the first covered row of each column."""
        self._shades = shades
        self._starts_covered = [outline[0] <= y for y in range(height)]
        self._turns: list[list[int]] = [[] for _ in range(height)]
        self._width = len(outline)
        before = outline[0]
        for x, top in enumerate(outline):
            if top != before:
                for y in range(max(0, min(top, before)), min(height, max(top, before))):
                    self._turns[y].append(x)
                before = top

    def runs(self, y: int) -> Sequence[Run]:
        """Return the covered parts of row `y`."""
        edges = [*self._turns[y], self._width]
        if self._starts_covered[y]:
            edges.insert(0, 0)
        return list(zip(edges[::2], edges[1::2], strict=False))

    def shade(self, y: int) -> int:
        """Return the palette index in row `y`."""
        return self._shades.at(y)


@dataclass(frozen=True, slots=True)
class Disc:
    """A sun, a moon, or a ring of light around one."""

    x: int
    y: int
    radius: int
    colour: int

    def runs(self, y: int) -> Sequence[Run]:
        """Return the chord of row `y`."""
        rest = self.radius**2 - (y - self.y) ** 2
        if rest <= 0:
            return ()
        half = int(rest**0.5)
        return ((self.x - half, self.x + half),)

    def shade(self, y: int) -> int:  # noqa: ARG002  # one colour in every row
        """Return its one colour."""
        return self.colour


class Boxes:
    """Small rectangles of one colour: stars, glitter, lit windows, letters."""

    def __init__(self, boxes: Sequence[tuple[int, int, int, int]], colour: int) -> None:
        """Take left, top, width and height of each, in pixels."""
        self._rows: dict[int, list[Run]] = {}
        self._colour = colour
        for left, top, width, height in boxes:
            for y in range(top, top + height):
                self._rows.setdefault(y, []).append((left, left + width))

    def runs(self, y: int) -> Sequence[Run]:
        """Return what row `y` cuts of them."""
        return self._rows.get(y, ())

    def shade(self, y: int) -> int:  # noqa: ARG002  # one colour in every row
        """Return their one colour."""
        return self._colour


@dataclass(slots=True, kw_only=True)
class Canvas:
    """A picture that paints itself row by row, so that no whole bitmap is ever held."""

    width: int
    height: int
    palette: list[Colour]
    """At most 256."""
    sky: Shades
    layers: list[Layer] = field(default_factory=list)
    """From back to front."""

    def strips(self) -> Iterator[list[bytes]]:
        """Yield the rows, a byte a pixel, `STRIP` at a time (the last time maybe fewer)."""
        fills = [bytes((index,)) * self.width for index in range(len(self.palette))]
        for top in range(0, self.height, STRIP):
            bottom = min(top + STRIP, self.height)
            yield [self._row(y, fills) for y in range(top, bottom)]

    def _row(self, y: int, fills: list[bytes]) -> bytes:
        visible: list[tuple[Sequence[Run], bytes]] = []
        ground = fills[self.sky.at(y)]
        whole = [(0, self.width)]
        for layer in reversed(self.layers):
            runs = layer.runs(y)
            if runs:
                fill = fills[layer.shade(y)]
                if runs == whole:
                    ground = fill
                    break
                visible.append((runs, fill))
        if not visible:
            return ground
        row = bytearray(ground)
        for runs, fill in reversed(visible):
            for start, end in runs:
                left, right = max(0, start), min(self.width, end)
                if left < right:
                    row[left:right] = fill[: right - left]
        return bytes(row)
