"""Replicate's Seedream models and prices as data.

Facts: replicate.com/bytedance/seedream-*/versions/*/api, 2025-09 to 2026-09. `fields` names what a
model documents inside `input`: exactly that is what `dialect.py` sends.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities, Tariff, Tier
from seedream_cli.providers.tables import (
    PRO_CHEAP_PIXELS,
    RATIOS,
    SEED,
    SEEDREAM_3,
    SEEDREAM_4,
    SEEDREAM_4_5,
    SEEDREAM_5_LITE,
    SEEDREAM_5_PRO,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST: Final = 4096
_SETS: Final = frozenset({"sequential_image_generation", "max_images"})
_PIXELS: Final = frozenset({"width", "height"})
_FIELDS: Final = frozenset({"image_input", "size", "aspect_ratio"})


def _usd(amount: str, *, high: str = "") -> Tariff:
    """Read a flat price, or one of 1K and `high` above."""
    cheap = Tier(amount=Decimal(amount), pixels=PRO_CHEAP_PIXELS if high else None)
    tiers = (cheap, Tier(amount=Decimal(high))) if high else (cheap,)
    return Tariff(currency="USD", tiers=tiers)


def _on_replicate(
    base: Capabilities, words: tuple[str, ...], references: int, tariff: Tariff
) -> Capabilities:
    """Leave of a generation what Replicate documents; what it makes of 3 and 4 is not said."""
    is_5 = "png" in base.formats
    return replace(
        base,
        sizes={word: base.sizes[word] for word in words},
        aspects=(*RATIOS, "match_input_image"),
        pixels=None,
        formats=("png", "jpeg") if is_5 else (),
        picks_format=is_5,
        references=(0, references),
        tariff=tariff,
        fields=_FIELDS | ({"output_format"} if is_5 else frozenset()),
    )


def _with_sets(base: Capabilities) -> Capabilities:
    """Add sets: the model decides how many of at most `max_images`, and each is billed."""
    return replace(base, max_series=15, max_inputs_and_outputs=15, fields=base.fields | _SETS)


def _with_pixels(base: Capabilities, bounds: tuple[int, int] | None) -> Capabilities:
    """Add free sizes: `custom`, with sides of 1024 to 4096."""
    sizes = {
        word: {r: size for r, size in table.items() if max(size.width, size.height) <= _LONGEST}
        for word, table in base.sizes.items()
    }
    return replace(
        base,
        sizes=sizes,
        pixels=bounds,
        min_side=1024,
        max_side=_LONGEST,
        fields=base.fields | _PIXELS,
    )


_4: Final = _with_sets(_on_replicate(SEEDREAM_4, ("1K", "2K", "4K"), 10, _usd("0.03")))
_4_5: Final = _with_sets(_on_replicate(SEEDREAM_4_5, ("2K", "4K"), 14, _usd("0.04")))

MODELS: Final[Mapping[str, Capabilities]] = {
    "bytedance/seedream-4.5": _with_pixels(_4_5, SEEDREAM_4_5.pixels),
    "bytedance/seedream-5-lite": _with_sets(
        _on_replicate(SEEDREAM_5_LITE, ("2K", "3K"), 14, _usd("0.035"))
    ),
    "bytedance/seedream-5-pro": replace(
        _on_replicate(SEEDREAM_5_PRO, ("1K", "2K"), 10, _usd("0.045", high="0.09")),
        prompt=(1, 4000),
        fields=_FIELDS | {"output_format", "layer_decomposition"},
        layers=17,  # of the newest version; as many as the maker says
    ),
    "bytedance/seedream-4": replace(
        _with_pixels(_4, SEEDREAM_4.pixels), fields=_4.fields | _PIXELS | {"enhance_prompt"}
    ),
    "bytedance/seedream-3": replace(
        SEEDREAM_3,
        # "Regular" is one megapixel, "big" has a longest side of 2048, "small" a shortest of 512.
        sizes={"1K": {}, "2K": {}, "small": {}},
        quality={"1K": "regular", "2K": "big", "small": "small"},
        pixels=(512 * 512, 2048 * 2048),
        min_side=512,
        max_side=2048,
        formats=(),
        seed=SEED,
        tariff=_usd("0.03"),
        fields=frozenset({"size", "aspect_ratio", "seed", "guidance_scale"}) | _PIXELS,
    ),
}
