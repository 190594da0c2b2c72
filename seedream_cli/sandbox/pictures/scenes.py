"""Composes a landscape from two numbers: one gives its shapes, the other its colours."""

from __future__ import annotations

from math import isqrt
from random import Random
from typing import TYPE_CHECKING, Final

from seedream_cli.sandbox.pictures.tiles import TILE, Tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seedream_cli.sandbox.pictures.tiles import Colour

    _Form = Callable[[float, float, float], float]

_MOODS: Final = (
    "355c9b ffd3a5 fff3d6 b58db6 3b2f5c",
    "3f8fd9 d8f0fb fffbe8 8fb9c9 1f5c4a",
    "2b1d52 ff8c61 ffd9a0 8a4a7d 1c1333",
    "0b1030 2d4a7c f3f1dc 2a3b66 070b1d",
    "1d6f78 dff5d8 fffbe0 7fc3ad 144a4f",
    "7a4b8f ffd9b0 fff0c9 d98c5f 5c2626",
    "5d5fa8 ffc9d6 fff4ec c98bb0 46305f",
    "4aa3b8 ffe7c2 fff8e0 e0a36d 8a4529",
    "33475b b9c9d0 f2f4ef 7c95a3 22313c",
    "081c2e 2f8f83 e9fff2 1d5560 04141c",
)
"""High sky, horizon, sun, far land, near land."""
_DARK: Final = 270
"""A sky whose red, green and blue are less together has stars."""

_FORMS: Final[dict[str, _Form]] = {
    "flat": lambda left, right, share: 0,  # noqa: ARG005  # still water
    "hill": lambda left, right, share: left + (right - left) * share * share * (3 - 2 * share),
    "peak": lambda left, right, share: left + (right - left) * share,
    "tree": lambda left, right, share: (left + right) * (1 - abs(2 * share - 1)) / 2,
    "house": lambda left, right, share: left * left,  # noqa: ARG005  # flat roofs
}
"""Height somewhere between two random points, all as shares of 1."""

_LANDS: Final = (
    "peak 6 .40 .72, peak 8 .24 .78, hill 4 .10 .82, tree 38 .12 .96",
    "hill 4 .14 .66, tree 50 .14 .74, tree 27 .22 .84, tree 13 .42 .98",
    "peak 6 .20 .66, hill 4 .13 .74, hill 4 .13 .82, hill 4 .13 .91, hill 3 .13 1",
    "peak 5 .22 .64, flat 2 .00 .62, hill 3 .20 1.04",
    "hill 4 .12 .68, house 19 .38 .76, house 15 .40 .88, house 12 .38 .98",
)
"""Mountains, forest, dunes, sea, city, each from far to near: form, how many in a square picture,
how high, above which level. Shares of the picture's height."""

_LIGHT: Final = 0
_MARK: Final = 1
"""Palette indices: of the sun, of stars, windows and glitter; of the watermark."""
_WHITE: Final = (244, 244, 240)
_SHADES: Final = 40
"""Of the sky and of each land at most: six of them fit a palette."""

LETTERS: Final = (".##..###", "#..#..#.", "#..#..#.", "####..#.", "#..#..#.", "#..#.###")


def compose(width: int, height: int, *, shapes: int, colours: int, is_marked: bool) -> Tiles:
    """Return the landscape of these numbers; the same ones always give the same picture.

    `is_marked` writes the small "AI" that providers put bottom right when a watermark is on.
    """
    across, down = -(-width // TILE), -(-height // TILE)
    random, mood = Random(shapes), Random(colours)
    tint = [mood.random() * 255 for _ in range(3)]
    words = _MOODS[int(mood.random() * len(_MOODS))].split()
    high, low, sun, far, near = (_mix(bytes.fromhex(word), tint, 0.08) for word in words)
    palette = [sun, _WHITE]
    sky = _ramp(palette, (high, low), range(int(down * 0.8)), down)
    sun_x = int((0.2 + 0.6 * random.random()) * across)
    sun_y = int((0.2 + 0.3 * random.random()) * down)
    radius = (0.06 + 0.06 * random.random()) * min(across, down)
    rings = ((radius * 2.1, len(palette)), (radius * 1.5, len(palette) + 1), (radius, _LIGHT))
    palette += [_mix(palette[sky[sun_y]], sun, share) for share in (0.14, 0.32)]
    lit = [(sky, 0.004, across / 2)] if sum(high) < _DARK else []
    lands: list[tuple[list[int], bytes]] = []
    scene = _LANDS[int(random.random() * len(_LANDS))].split(", ")
    for number, (form, *numbers) in enumerate(map(str.split, scene)):
        outline = _outline(_FORMS[form], list(map(float, numbers)), across, down, random)
        nearness = number / (len(scene) - 1)
        colour = _mix(far, near, nearness)
        # Air lies between us and what is far; water mirrors the sky.
        ends = (colour, _mix(colour, low, 0.34 * (1 - nearness)))
        if form == "flat":
            ends = (low, _mix(high, near, 0.45))
        lands.append((outline, _ramp(palette, ends, range(min(outline), down), down)))
        if form in {"flat", "house"}:
            share, reach = (0.015, radius) if form == "flat" else (0.04, across / 2)
            lit.append((lands[-1][1], share, reach))
    cells = _paint(sky, [(sun_x, sun_y, *ring) for ring in rings], lands)
    for shades, share, reach in lit:
        for _ in range(int(len(cells) * share)):
            x = (sun_x + int((2 * random.random() - 1) * reach)) % across // 2 * 2
            at = int(random.random() * down / 2) * 2 * across + x
            if cells[at] in shades:
                cells[at] = _LIGHT
    if is_marked:
        _mark(cells, across, down)
    return Tiles(width=width, height=height, palette=palette, cells=bytes(cells))


def _paint(
    sky: bytes, discs: list[tuple[int, int, float, int]], lands: list[tuple[list[int], bytes]]
) -> bytearray:
    """Return the cells row by row, painted column by column: there each land is one slice."""
    columns, down = [], len(sky)
    for x in range(len(lands[0][0])):
        column = sky
        for middle, level, reach, colour in discs:
            half = isqrt(max(0, int(reach * reach) - (x - middle) ** 2))
            top, end = max(0, level - half), min(down, level + half)
            column = column[:top] + bytes((colour,)) * (end - top) + column[end:]
        for outline, shades in lands:
            column = column[: outline[x]] + shades[outline[x] :]
        columns.append(column)
    turned = b"".join(columns)
    return bytearray().join(turned[y::down] for y in range(down))


def _mark(cells: bytearray, across: int, down: int) -> None:
    dot = max(1, min(across, down) // 128)
    left, top = max(0, across - 9 * dot), max(0, down - 7 * dot)
    for y in range(top, min(down, top + 6 * dot)):
        for x in range(left, min(across, left + 8 * dot)):
            if LETTERS[(y - top) // dot][(x - left) // dot] == "#":
                cells[y * across + x] = _MARK


def _ramp(palette: list[Colour], ends: tuple[Colour, Colour], rows: range, down: int) -> bytes:
    """Add the shades of `rows` to the palette; return which one each of all rows shows."""
    first, span = len(palette), max(1, len(rows))
    count = min(_SHADES, span)
    palette += [_mix(*ends, number / count) for number in range(count)]
    steps = ((y - rows.start) * count // span for y in range(down))
    return bytes(first + min(count - 1, max(0, step)) for step in steps)


def _outline(
    form: _Form, numbers: Sequence[float], across: int, down: int, random: Random
) -> list[int]:
    """Return the first row that a land covers, in each column."""
    often, rise, level = numbers
    tops = [level] * across
    for pace, share in ((1.0, 0.85), (3.4, 0.15)):
        pieces = max(2, round(often * pace * across / down))
        points = [random.random() for _ in range(pieces + 1)]
        for x in range(across):
            piece, place = divmod(x * pieces, across)
            tops[x] -= rise * share * form(points[piece], points[piece + 1], place / across)
    return [min(down, max(0, int(top * down))) for top in tops]


def _mix(colour: Sequence[int], other: Sequence[float], share: float) -> Colour:
    red, green, blue = (
        round(mine + (theirs - mine) * share) for mine, theirs in zip(colour, other, strict=True)
    )
    return (red, green, blue)
