"""Sizes, ratios and quality words: from what a person writes to what one model makes."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Size
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seedream_cli.providers.spec import Capabilities

_PIXELS: Final = pattern(r"([0-9]{1,6})\s*[xX×*]\s*([0-9]{1,6})")  # noqa: RUF001
_RATIO: Final = pattern(r"([0-9]{1,4})\s*:\s*([0-9]{1,4})")
_KILO: Final = pattern(r"([0-9]+(?:\.[0-9]+)?)[kK]")

_STEP: Final = 16
"""Emitting multiples of 16 is safe with every host (one source asks for it, 2026-11)."""

_STEEPEST: Final = 16
"""Ark answers ratios from 1:16 to 16:1 only (82379/1541523, 2026-09)."""

_NEAR: Final = 0.02
"""How far a table's pixels stray from their ratio (5504x3040 for 16:9: 1.8 %), and some room."""

_RATIO_WEIGHT: Final = 10
"""A missed ratio is seen at once, a missed area hardly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The shape of a picture, in every word that a dialect may want."""

    keyword: str | None = None
    size: Size | None = None
    aspect: str | None = None
    quality: str | None = None


def frame(
    capabilities: Capabilities,
    name: str,
    *,
    size: str | None = None,
    aspect: str | None = None,
    quality: str | None = None,
) -> Frame:
    """Return what the model called `name` makes of these words, defaults filled in.

    Raises `UsageError` for what it does not take, and for words that contradict each other.
    Of a model that makes 2K by default, in ratios and in pixels:

        nothing                  2K, 1:1, 2048x2048
        size 2K, aspect 16:9     2K, 16:9, the model's own pixels for it: 2848x1600
        size 2560x1440           these pixels, 16:9; beside an aspect 1:1 a mistake
    """
    wanted = parse_size(size) if size is not None else None
    if isinstance(wanted, Size):
        return _of_pixels(capabilities, name, wanted, aspect, quality)
    keyword = _keyword(capabilities, name, wanted, quality)
    shape = _shape(capabilities, name, aspect)
    return Frame(
        keyword=keyword,
        size=_pixels(capabilities, name, keyword, shape),
        aspect=shape,
        quality=capabilities.quality.get(keyword or ""),
    )


def frame_as_given(
    guide: Capabilities | None,
    *,
    size: str | None = None,
    aspect: str | None = None,
    quality: str | None = None,
) -> Frame:
    """Return the words as they were written, for models whose limits are not known or not asked.

    Where `guide`, a model of the same API, speaks ratios in pixels, they become pixels.
    """
    wanted = parse_size(size) if size is not None else None
    if isinstance(wanted, Size):
        _check_agreement(wanted, aspect)
        return Frame(size=wanted, aspect=aspect, quality=quality)
    if guide is None:
        return Frame(keyword=wanted, aspect=aspect, quality=quality)
    keyword = _match_word(wanted, guide.sizes) or wanted
    shape = _guide_shape(guide, aspect)
    pixels = None
    if guide.any_aspect and (keyword or shape):
        shape = shape or "1:1"
        pixels = _guide_pixels(guide, keyword or guide.default_size or "", shape)
    return Frame(
        keyword=keyword,
        size=pixels,
        aspect=shape,
        quality=quality or guide.quality.get(keyword or ""),
    )


def parse_size(text: str) -> Size | str:
    """Return pixels for `2048x2048`, else the keyword, with its K in upper case.

    Raises `UsageError` where it can be neither.
    """
    text = text.strip()
    if pair := _PIXELS.fullmatch(text):
        size = Size(int(pair[1]), int(pair[2]))
        if not size.pixels:
            raise UsageError(f"--size {text}: a picture has at least one pixel each way")
        return size
    if not re.fullmatch(r"[A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9._-]*", text):
        raise UsageError(f"--size {text!r} is neither a word like 2K nor pixels like 2048x1152")
    return text.upper() if _KILO.fullmatch(text) else text


def is_pixels(text: str) -> bool:
    """Tell whether a size is written in pixels, as `parse_size` reads them."""
    return _PIXELS.fullmatch(text.strip()) is not None


def parse_aspect(text: str) -> tuple[int, int] | None:
    """Return width and height of a ratio like `16:9` in lowest terms; None for a word.

    Raises `UsageError` for what is neither.
    """
    text = text.strip()
    pair = _RATIO.fullmatch(text)
    if pair and int(pair[1]) and int(pair[2]):
        divisor = math.gcd(int(pair[1]), int(pair[2]))
        return int(pair[1]) // divisor, int(pair[2]) // divisor
    if not re.fullmatch(r"[A-Za-z_-]+", text):
        raise UsageError(f"--aspect {text!r} is not a ratio like 16:9")
    return None


def fit(
    area: int, ratio: tuple[int, int], pixels: tuple[int, int], max_side: int | None
) -> Size | None:
    """Return about `area` pixels in that ratio, in steps of 16 within the bounds; None: no such.

    The ratio counts for more than the area.
    """

    def badness(size: Size) -> float:
        bend = abs(math.log(size.width * ratio[1] / (size.height * ratio[0])))
        return _RATIO_WEIGHT * bend + abs(math.log(size.pixels / area))

    fitting = (size for size in _grid(ratio, pixels[1]) if not _breach(size, pixels, max_side))
    return min(fitting, key=badness, default=None)


def _grid(ratio: tuple[int, int], most: int) -> Iterator[Size]:
    """Yield the sizes in steps of 16 whose ratio is nearly `ratio`."""
    wide, high = ratio
    short, long = sorted(ratio)
    for side in range(_STEP, math.isqrt(most * short // long) + _STEP + 1, _STEP):
        floor = side * long // short // _STEP * _STEP
        for other in (floor, floor + _STEP):
            if other:
                yield Size(other, side) if wide >= high else Size(side, other)


def _breach(size: Size, pixels: tuple[int, int], max_side: int | None) -> str:
    """Return what is wrong with a free size, as the end of a sentence; empty when nothing is."""
    least, most = pixels
    if size.pixels < least:
        return f"has {size.pixels} pixels; {{name}} needs at least {least}"
    if size.pixels > most:
        return f"has {size.pixels} pixels; {{name}} makes at most {most}"
    if max(size.width, size.height) > _STEEPEST * min(size.width, size.height):
        return "is too long and thin; {name} makes 1:16 to 16:1"
    if max_side is not None and max(size.width, size.height) > max_side:
        return f"is too long; {{name}} makes sides of at most {max_side}"
    return ""


def _of_pixels(
    capabilities: Capabilities, name: str, size: Size, aspect: str | None, quality: str | None
) -> Frame:
    """Return the frame of WIDTHxHEIGHT, free or out of the model's table."""
    shape = _find_shape(capabilities, name, size, aspect)
    if capabilities.pixels is None:
        keyword = _table_keyword(capabilities, name, size, shape)
        _agree(capabilities, str(size), keyword, quality)
        word = capabilities.quality.get(keyword)
        return Frame(keyword=keyword, size=size, aspect=shape, quality=word)
    if quality is not None:
        raise UsageError(f"--size {size} and --quality {quality} exclude each other")
    breach = _breach(size, capabilities.pixels, capabilities.max_side)
    if not breach and _is_narrow(capabilities, size):
        breach = f"is too narrow; {{name}} makes sides of at least {capabilities.min_side}"
    if breach:
        example = _example(capabilities, size)
        raise UsageError(f"{size} {breach.format(name=name)}{example}")
    return Frame(size=size, aspect=shape)


def _find_shape(
    capabilities: Capabilities, name: str, size: Size, aspect: str | None
) -> str | None:
    """Return the ratio of WIDTHxHEIGHT in the model's spelling, where it has one.

    Raises `UsageError` where `--aspect` says another.
    """
    entries = {made: shape for _, shape, made in _entries(capabilities)}
    if aspect is None:
        return entries.get(size) or _find_listed(capabilities, _lowest(size))
    shape = _shape(capabilities, name, aspect)
    _check_agreement(size, aspect)
    return shape


def _check_agreement(size: Size, aspect: str | None) -> None:
    """Raise `UsageError` where `--aspect` says another ratio than WIDTHxHEIGHT."""
    if aspect is None:
        return
    ratio = parse_aspect(aspect)
    is_near = ratio and abs(math.log(size.width * ratio[1] / (size.height * ratio[0]))) < _NEAR
    if not is_near:
        raise UsageError(f"--size {size} is not --aspect {aspect}: leave one of them out")


def _table_keyword(capabilities: Capabilities, name: str, size: Size, shape: str | None) -> str:
    """Return the keyword whose table has these pixels; raises `UsageError` naming the nearest."""
    entries = list(_entries(capabilities))
    # A model with a table makes nothing beside it.
    for keyword, listed, made in entries:
        if made == size and shape in {listed, None}:
            return keyword
    if not entries:
        words = ", ".join(capabilities.sizes)
        shapes = " (and --aspect)" if capabilities.aspects else ""
        raise UsageError(f"{name} takes no --size in pixels, only {words}{shapes}")

    def distance(entry: tuple[str, str, Size]) -> float:
        # A square stays one: the ratio counts for more than the area.
        wide, high = entry[2].width / size.width, entry[2].height / size.height
        return _RATIO_WEIGHT * abs(math.log(wide / high)) + abs(math.log(wide * high))

    keyword, listed, made = min(entries, key=distance)
    raise UsageError(
        f"{name} does not make {size}; the nearest is {made} (--size {keyword} --aspect {listed})"
    )


def _keyword(
    capabilities: Capabilities, name: str, wanted: str | None, quality: str | None
) -> str | None:
    """Return the size keyword that `--size`, or else `--quality`, or else the model chooses."""
    if wanted is not None:
        keyword = _match_word(wanted, capabilities.sizes)
        if keyword is None:
            words = ", ".join(capabilities.sizes)
            raise UsageError(f"{name} takes --size {words or 'WIDTHxHEIGHT'}, not {wanted}")
        _agree(capabilities, keyword, keyword, quality)
        return keyword
    if quality is None:
        return capabilities.default_size
    word = _match_word(quality, capabilities.quality.values())
    if word is None:
        words = ", ".join(dict.fromkeys(capabilities.quality.values()))
        raise UsageError(f"{name} takes --quality {words}, not {quality}")
    # Several sizes may share a quality's word: the default is among them, or the first is meant.
    fitting = [key for key, value in capabilities.quality.items() if value == word]
    default = capabilities.default_size
    return default if default in fitting else fitting[0]


def _agree(capabilities: Capabilities, size: str, keyword: str, quality: str | None) -> None:
    """Raise `UsageError` where `--quality` says another size than `--size`."""
    if quality is None:
        return
    word = capabilities.quality.get(keyword)
    if word is None or word.casefold() != quality.strip().casefold():
        means = f" ({keyword} is {word})" if word else ""
        raise UsageError(
            f"--size {size} and --quality {quality} disagree{means}: leave one of them out"
        )


def _shape(capabilities: Capabilities, name: str, aspect: str | None) -> str | None:
    """Return the ratio in the model's spelling; without `aspect` its default."""
    if aspect is None:
        has_square = "1:1" in capabilities.aspects or capabilities.any_aspect
        return "1:1" if has_square else next(iter(capabilities.aspects), None)
    ratio = parse_aspect(aspect)
    listed = (
        _find_listed(capabilities, ratio) if ratio else _match_word(aspect, capabilities.aspects)
    )
    if listed is not None:
        return listed
    if ratio is None or not capabilities.any_aspect:
        words = ", ".join(capabilities.aspects)
        raise UsageError(f"{name} takes --aspect {words}, not {aspect.strip()}")
    if max(ratio) > _STEEPEST * min(ratio):
        raise UsageError(f"{name} makes ratios from 1:16 to 16:1, not {aspect.strip()}")
    return f"{ratio[0]}:{ratio[1]}"


def _pixels(
    capabilities: Capabilities, name: str, keyword: str | None, shape: str | None
) -> Size | None:
    """Return the pixels of a keyword in a ratio, where they are known or ours to choose."""
    if keyword is None or shape is None:
        return None
    table = capabilities.sizes.get(keyword, {})
    ratio = parse_aspect(shape)
    # A ratio beyond the table is ours to work out, if the model takes any.
    if shape in table or not capabilities.any_aspect or ratio is None:
        return table.get(shape)
    bounds = capabilities.pixels
    area = _area(capabilities, keyword)
    size = fit(area, ratio, bounds, capabilities.max_side) if bounds and area else None
    if size is None:
        raise UsageError(f"{name} makes no {keyword} picture of {shape}")
    return size


def _guide_shape(guide: Capabilities, aspect: str | None) -> str | None:
    """Return a ratio in the guide's spelling, else in lowest terms, else as it was written."""
    if aspect is None:
        return None
    ratio = parse_aspect(aspect)
    return (_find_listed(guide, ratio) or f"{ratio[0]}:{ratio[1]}") if ratio else aspect.strip()


def _guide_pixels(guide: Capabilities, keyword: str, shape: str) -> Size | None:
    """Return the guide's pixels for a keyword in a ratio, without its bounds."""
    if made := guide.sizes.get(keyword, {}).get(shape):
        return made
    area, ratio = _area(guide, keyword), parse_aspect(shape)
    # Its bounds are another model's: only the area is taken from it.
    return fit(area, ratio, (1, 2 * area), None) if area and ratio else None


def _example(capabilities: Capabilities, size: Size) -> str:
    """Return a size of the same ratio that would do, in brackets; empty where there is none."""
    if capabilities.pixels is None:
        return ""
    is_small = size.pixels < capabilities.pixels[0]
    areas = {key: _area(capabilities, key) for key in capabilities.sizes}
    known = {key: area for key, area in areas.items() if area}
    if not known:
        return ""
    # Of what is too small the smallest that will do, of what is too large the largest.
    keyword = (min if is_small else max)(known, key=lambda key: known[key])
    made = capabilities.sizes[keyword].get(_find_listed(capabilities, _lowest(size)) or "")
    made = made or fit(known[keyword], _lowest(size), capabilities.pixels, capabilities.max_side)
    if made is None or _is_narrow(capabilities, made):
        return f" (try --size {keyword})"
    return f" (for example {made} or --size {keyword})"


def _is_narrow(capabilities: Capabilities, size: Size) -> bool:
    return min(size.width, size.height) < capabilities.min_side


def _area(capabilities: Capabilities, keyword: str) -> int | None:
    """Return the area of a keyword's square picture."""
    if square := capabilities.sizes.get(keyword, {}).get("1:1"):
        return square.pixels
    kilo = _KILO.fullmatch(keyword)
    return round(float(kilo[1]) * 1024) ** 2 if kilo else None


def _entries(capabilities: Capabilities) -> Iterator[tuple[str, str, Size]]:
    """Yield every keyword, ratio and size of the model's tables."""
    for keyword, table in capabilities.sizes.items():
        for shape, size in table.items():
            yield keyword, shape, size


def _lowest(size: Size) -> tuple[int, int]:
    """Return the ratio of a size in lowest terms."""
    divisor = math.gcd(size.width, size.height)
    return size.width // divisor, size.height // divisor


def _find_listed(capabilities: Capabilities, ratio: tuple[int, int]) -> str | None:
    """Return the spelling that the model lists for a ratio: 7:3 is `21:9`."""
    return next((text for text in capabilities.aspects if parse_aspect(text) == ratio), None)


def _match_word(text: str | None, words: Iterable[str]) -> str | None:
    """Return the one of `words` that `text` is, whatever its case."""
    wanted = (text or "").strip().casefold()
    return next((word for word in words if word.casefold() == wanted), None)
