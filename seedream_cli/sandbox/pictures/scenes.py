"""Composes a landscape from two numbers: one gives its shapes, the other its colours."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Final

from seedream_cli.sandbox.pictures.canvas import Boxes, Canvas, Disc, Shades, Silhouette

if TYPE_CHECKING:
    from collections.abc import Callable

    from seedream_cli.sandbox.pictures.canvas import Colour, Layer

_MOODS: Final = tuple(
    tuple(bytes.fromhex(colour) for colour in line.split())
    for line in (
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
        "c2477f ffc27a fff2c4 a85a8c 33204f",
        "14375e 8ed0e0 f7fdff 4d8fae 0f2b45",
    )
)
"""High sky, horizon, sun, far land, near land."""

_SKY_SHADES: Final = 100
_LAND_SHADES: Final = 24
_DARK: Final = 90
"""A sky below this luma has stars, and its city has lit windows."""

Outline = list[int]


def compose(width: int, height: int, *, shapes: int, colours: int, is_marked: bool) -> Canvas:
    """Return the landscape of these numbers; the same ones always give the same picture.

    `is_marked` writes the small "AI" that providers put bottom right when a watermark is on.
    """
    scene = _Scene(width, height, Random(shapes), Random(colours))
    scene.light()
    scene.choice((_mountains, _coast, _city, _forest, _dunes))(scene)
    if is_marked:
        scene.mark()
    return scene.canvas


class _Scene:
    """A canvas under construction: places are shares of the picture, so any size looks alike."""

    def __init__(self, width: int, height: int, shapes: Random, colours: Random) -> None:
        tint = (colours.random() * 255, colours.random() * 255, colours.random() * 255)
        mood = _MOODS[int(colours.random() * len(_MOODS))]
        high, low, sun, far, near = ((c[0], c[1], c[2]) for c in mood)
        self.high = _mix(high, tint, 0.09)
        self.low, self.sun = _mix(low, tint, 0.05), sun
        self.far, self.near = _mix(far, tint, 0.1), _mix(near, tint, 0.06)
        self.width, self.height, self._random = width, height, shapes
        self.unit = min(width, height)
        sky = Shades(0, _SKY_SHADES, 0, int(height * 0.8))
        ramp = _ramp(self.high, self.low, _SKY_SHADES)
        self.canvas = Canvas(width=width, height=height, palette=ramp, sky=sky)

    @property
    def is_dark(self) -> bool:
        red, green, blue = self.high
        return 0.3 * red + 0.6 * green + 0.1 * blue < _DARK

    def between(self, low: float, high: float) -> float:
        return low + self._random.random() * (high - low)

    def choice(self, things: tuple[Callable[[_Scene], None], ...]) -> Callable[[_Scene], None]:
        return things[int(self._random.random() * len(things))]

    def add(self, *layers: Layer) -> None:
        self.canvas.layers.extend(layers)

    def colour(self, colour: Colour) -> int:
        self.canvas.palette.append(colour)
        return len(self.canvas.palette) - 1

    def light(self) -> None:
        """Place stars where it is dark, then the sun with its rings."""
        if self.is_dark:
            self._stars()
        self.sun_x = int(self.between(0.2, 0.8) * self.width)
        sun_y = int(self.between(0.2, 0.48) * self.height)
        radius = int(self.between(0.06, 0.12) * self.unit)
        behind = self.canvas.palette[self.canvas.sky.at(sun_y)]
        for factor, share in ((2.1, 0.14), (1.5, 0.32), (1.0, 1.0)):
            colour = self.colour(_mix(behind, self.sun, share))
            self.add(Disc(self.sun_x, sun_y, int(radius * factor), colour))

    def _stars(self) -> None:
        side = max(1, self.unit // 500)
        spots = [
            (int(self.between(0, 1) * self.width), int(self.between(0, 0.5) * self.height))
            for _ in range(70)
        ]
        boxes = [(x, y, side, side) for x, y in spots]
        self.add(Boxes(boxes, self.colour(_mix(self.high, self.sun, 0.7))))

    def land(self, outline: Outline, nearness: float, *, base: Colour | None = None) -> None:
        """Add a silhouette; air lies between us and what is far."""
        colour = base or _mix(self.far, self.near, nearness)
        hazy = _mix(colour, self.low, 0.34 * (1 - nearness))
        shades = self.shades(colour, hazy, min(outline), self.height)
        self.add(Silhouette(outline, self.height, shades))

    def shades(self, top: Colour, bottom: Colour, start: int, end: int) -> Shades:
        first = len(self.canvas.palette)
        self.canvas.palette.extend(_ramp(top, bottom, _LAND_SHADES))
        return Shades(first, _LAND_SHADES, start, end)

    def hills(self, level: float, rise: float, waves: float) -> Outline:
        """Return a soft outline around `level`, shares of the height."""
        parts = [
            (rise / order, waves * order * self.between(0.8, 1.2), self.between(0, math.tau))
            for order in (1, 2, 4)
        ]
        turn = math.tau / self.width
        return [
            int(self.height * (level - sum(a * math.sin(x * turn * n + p) for a, n, p in parts)))
            for x in range(self.width)
        ]

    def peaks(self, level: float, rise: float, count: int) -> Outline:
        """Return a jagged outline: mountains with broken flanks."""
        points = [self.between(-0.1, 0.1)] * 2
        while len(points) < count * 2:
            points.extend((self.between(0.45, 1.0), self.between(-0.3, 0.25)))
        for roughness in (0.22, 0.11, 0.05):
            points = self._broken(points, roughness)
        step = (len(points) - 1) / self.width
        outline: Outline = []
        for x in range(self.width):
            place, share = divmod(x * step, 1)
            left, right = points[int(place)], points[int(place) + 1]
            outline.append(int(self.height * (level - rise * (left + (right - left) * share))))
        return outline

    def _broken(self, points: list[float], roughness: float) -> list[float]:
        broken = points[:1]
        for left, right in pairwise(points):
            broken.extend((_halfway(left, right) + self.between(-roughness, roughness), right))
        return broken

    def mark(self) -> None:
        """Write "AI" bottom right, in dots."""
        dot = max(1, self.unit // 160)
        left, top = self.width - 13 * dot, self.height - 10 * dot
        letters = (".##..###", "#..#..#.", "#..#..#.", "####..#.", "#..#..#.", "#..#.###")
        dots = [
            (left + column * dot, top + row * dot, dot, dot)
            for row, line in enumerate(letters)
            for column, letter in enumerate(line)
            if letter == "#"
        ]
        self.add(Boxes(dots, self.colour((244, 244, 240))))


def _mountains(scene: _Scene) -> None:
    scene.land(scene.peaks(0.66, 0.34, 4), 0.0)
    scene.land(scene.peaks(0.74, 0.22, 5), 0.3)
    scene.land(scene.hills(0.78, 0.035, 1.4), 0.62)
    scene.land(_wooded(scene, scene.hills(0.9, 0.035, 1.0), 26), 1.0)


def _forest(scene: _Scene) -> None:
    scene.land(scene.hills(0.6, 0.05, 1.3), 0.0)
    scene.land(_wooded(scene, scene.hills(0.7, 0.035, 1.2), 60, tall=0.08), 0.35)
    scene.land(_wooded(scene, scene.hills(0.8, 0.03, 1.0), 34, tall=0.14), 0.7)
    scene.land(_wooded(scene, scene.hills(0.95, 0.03, 0.8), 13, tall=0.3), 1.0)


def _dunes(scene: _Scene) -> None:
    scene.land(scene.peaks(0.62, 0.12, 4), 0.1)
    for level, nearness in ((0.68, 0.3), (0.76, 0.52), (0.85, 0.76), (0.95, 1.0)):
        scene.land(scene.hills(level, 0.045, scene.between(0.5, 1.1)), nearness)


def _coast(scene: _Scene) -> None:
    horizon = int(scene.height * 0.62) // 8 * 8
    scene.land(scene.peaks(0.635, 0.14, 3), 0.1)
    water = scene.shades(scene.low, _mix(scene.high, scene.near, 0.45), horizon, scene.height)
    scene.add(Silhouette([horizon] * scene.width, scene.height, water))
    _glitter(scene, horizon)
    scene.land(scene.hills(0.97, 0.055, 0.7), 1.0)


def _glitter(scene: _Scene, horizon: int) -> None:
    thin = max(2, scene.unit // 260)
    boxes = []
    for number in range(18):
        top = int(horizon + (scene.height - horizon) * ((number + 0.6) / 19) ** 1.5)
        wide = int(scene.unit * scene.between(0.02, 0.13))
        middle = scene.sun_x + int(scene.unit * scene.between(-0.03, 0.03))
        boxes.append((middle - wide // 2, top, wide, thin))
    scene.add(Boxes(boxes, scene.colour(_mix(scene.low, scene.sun, 0.75))))


def _city(scene: _Scene) -> None:
    scene.land(scene.hills(0.64, 0.04, 1.2), 0.0)
    rows = ((0.74, 0.3, 0.35), (0.86, 0.34, 0.68), (0.97, 0.3, 1.0))
    for level, rise, nearness in rows:
        outline, houses = _skyline(scene, level, rise)
        scene.land(outline, nearness)
        if scene.is_dark or nearness == 1.0:
            _windows(scene, houses)


def _skyline(
    scene: _Scene, level: float, rise: float
) -> tuple[Outline, list[tuple[int, int, int]]]:
    outline: Outline = []
    houses = []
    while len(outline) < scene.width:
        wide = max(8, int(scene.width * scene.between(0.03, 0.09)) // 8 * 8)
        tall = rise * scene.between(0.05, 1.0) ** 2
        top = int(scene.height * (level - tall)) // 8 * 8
        houses.append((len(outline), top, wide))
        outline.extend([top] * wide)
    return outline[: scene.width], houses


def _windows(scene: _Scene, houses: list[tuple[int, int, int]]) -> None:
    pane = max(2, scene.unit // 128 // 2 * 2)
    lit = [
        (x, y, pane, pane)
        for left, top, wide in houses
        for y in range(top + 2 * pane, scene.height, 3 * pane)
        for x in range(left + pane, left + wide - pane, 3 * pane)
        if scene.between(0, 1) < 0.3  # noqa: PLR2004  # about a third of the lights is on
    ]
    scene.add(Boxes(lit, scene.colour(_mix(scene.low, scene.sun, 0.6))))


def _wooded(scene: _Scene, ground: Outline, count: int, tall: float = 0.1) -> Outline:
    """Return `ground` with conifers on it."""
    outline = list(ground)
    for _ in range(count):
        x = int(scene.between(0, 1) * scene.width)
        height = int(scene.unit * tall * scene.between(0.5, 1.0))
        half = max(2, int(height * 0.24))
        foot = ground[min(x, scene.width - 1)]
        for column in range(max(0, x - half), min(scene.width, x + half)):
            top = foot - int(height * (1 - abs(column - x) / half))
            outline[column] = min(outline[column], top)
    return outline


def _halfway(left: float, right: float) -> float:
    return (left + right) / 2


def _mix(colour: Colour, other: tuple[float, float, float], share: float) -> Colour:
    red, green, blue = (
        round(mine + (theirs - mine) * share) for mine, theirs in zip(colour, other, strict=True)
    )
    return (red, green, blue)


def _ramp(top: Colour, bottom: Colour, count: int) -> list[Colour]:
    return [_mix(top, bottom, number / (count - 1)) for number in range(count)]
