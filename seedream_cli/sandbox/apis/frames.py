"""Pixels of the sizes that providers name in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from seedream_cli.core.model import Money
    from seedream_cli.providers.spec import Capabilities

Pixels = tuple[int, int]

KILO: Final = 1024
LARGEST: Final = 6240
"""The longest side that any Seedream makes."""

_STEP: Final = 16
_SIZE: Final = re.compile(r"([0-9]{1,5})[xX]([0-9]{1,5})")
_RATIO: Final = re.compile(r"(?<![0-9:])([0-9]{1,2}):([0-9]{1,2})(?![0-9:])")
_KEYWORD: Final = re.compile(r"([0-9](?:\.[0-9])?)[kK]")


def models_of(provider: str) -> dict[str, Capabilities]:
    """Return what each model of `provider` takes, as the product's own data has it."""
    from seedream_cli.providers import PROVIDERS

    return dict(PROVIDERS[provider].models)


def price_of(model: Capabilities | None, area: int, images: int, references: int) -> Money | None:
    """Return what `images` of `area` pixels from so many references cost; None: no list has it."""
    from seedream_cli.core.model import Money

    if model is None or model.tariff is None:
        return None
    tariff = model.tariff
    fitting = (one for one in tariff.tiers if one.pixels is None or area <= one.pixels)
    tier = next(fitting, tariff.tiers[-1])
    extra = max(0, references - tariff.free_references) * tariff.reference
    return Money(tier.amount * images + extra, tariff.currency)


def read_size(text: str) -> Pixels | None:
    """Return the pixels of `2048x2048`; None for anything else."""
    match = _SIZE.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def ratio_in(prompt: str) -> str | None:
    """Return the ratio that a prompt asks for in words, as a model picks one from them."""
    match = _RATIO.search(prompt)
    return match[0] if match else None


def pixels(model: Capabilities | None, keyword: str, aspect: str) -> Pixels:
    """Return the pixels of `keyword` at `aspect`: the published ones, else about that area."""
    table = model.sizes.get(keyword, {}) if model else {}
    if aspect in table:
        return (table[aspect].width, table[aspect].height)
    match = _KEYWORD.fullmatch(keyword)
    side = KILO * float(match[1]) if match else 2 * KILO
    across, down = _numbers(aspect)
    root = (across / down) ** 0.5
    return (_round(side * root), _round(side / root))


def _numbers(aspect: str) -> Pixels:
    match = _RATIO.fullmatch(aspect)
    return (int(match[1]), int(match[2])) if match and int(match[1]) * int(match[2]) else (1, 1)


def _round(side: float) -> int:
    return min(LARGEST, max(_STEP, round(side / _STEP) * _STEP))
