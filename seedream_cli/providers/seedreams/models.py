"""seedreams.app's capability matrix as data (facts: www.seedreams.app/api-docs, 2026-11-21).

Credits, not money, are what it charges, and of one model alone it says how many.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.money import CREDITS
from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities, Tariff, Tier
from seedream_cli.providers.tables import RATIOS, SEEDREAM_4_5

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_REFERENCES: Final = 16
"""The page names a bound for GPT Image 2 only; nothing is known to take more."""

_ONE: Final = {"maxImages": range(1, 2)}
"""The matrix gives several pictures to v4 alone."""

_ANY: Final = Capabilities(
    label="",
    default_size=None,
    aspects=RATIOS,
    formats=(),
    references=(0, _MOST_REFERENCES),
    prompt=(1, 1000),
    fields=frozenset({"ratio", "image", "maxImages"}),
    values=_ONE,
)
_BANANA: Final = replace(
    _ANY,
    sizes={"1K": {}, "2K": {}, "4K": {}},
    default_size="2K",
    quality={"1K": "1K", "2K": "2K", "4K": "4K"},
    fields=_ANY.fields | {"quality"},
    values=_ONE | {"quality": frozenset({"1K", "2K", "4K"})},
)
_4_5: Final = replace(
    _ANY,
    label="Seedream 4.5",
    sizes=SEEDREAM_4_5.sizes,
    default_size="2K",
    quality={"2K": "basic", "4K": "high"},
    references=(0, 14),
    fields=_ANY.fields | {"quality"},
    values=_ONE | {"quality": frozenset({"basic", "high"})},
)
# Which pixels `high` is on 5.0 is not said here, and on KIE it is 3K.
_5: Final = replace(
    _4_5, label="Seedream 5.0 lite", sizes={"2K": SEEDREAM_4_5.sizes["2K"], "4K": {}}
)

MODELS: Final[Mapping[str, Capabilities]] = {
    "seedream/4.5-text-to-image": replace(_4_5, references=(0, 0), edit_twin="seedream/4.5-edit"),
    "seedream/4.5-edit": replace(_4_5, references=(1, 14), text_twin="seedream/4.5-text-to-image"),
    "seedream/5-lite-text-to-image": replace(
        _5, references=(0, 0), edit_twin="seedream/5-lite-image-to-image"
    ),
    "seedream/5-lite-image-to-image": replace(
        _5, references=(1, 14), text_twin="seedream/5-lite-text-to-image"
    ),
    "bytedance/seedream-v5.0": replace(_5, label="Seedream 5.0"),
    "bytedance/seedream-v4.5": _4_5,
    "bytedance/seedream-v4": replace(
        _ANY,
        label="Seedream 4.0",
        references=(0, 14),
        max_series=15,
        values={"maxImages": range(1, 16)},
    ),
    "google/nano-banana-2": replace(
        _BANANA,
        label="Banana 2",
        aspects=(*RATIOS, "1:4", "1:8", "4:1", "4:5", "5:4", "8:1", "auto"),
        prompt=(1, 10_000),
    ),
    "google/nano-banana-pro": replace(
        _BANANA, label="Banana Pro", references=(1, _MOST_REFERENCES)
    ),
    "gpt-image-2": replace(
        _ANY,
        label="GPT Image 2",
        aspects=("auto", "1:1", "5:4", "9:16", "21:9", "16:9", "4:3", "3:2", "4:5", "3:4", "2:3"),
        prompt=(1, 20_000),
        # "Each request costs 2 credits" (www.seedreams.app/api-docs, 2026-11-30).
        tariff=Tariff(currency=CREDITS, tiers=(Tier(amount=Decimal(2)),)),
    ),
    "4o-Image": replace(
        _ANY, label="4o-Image", aspects=("1:1", "3:2", "2:3"), references=(1, _MOST_REFERENCES)
    ),
    "z-image": replace(
        _ANY,
        label="z-image",
        aspects=("1:1", "4:3", "3:4", "16:9", "9:16"),
        references=(0, 0),
        fields=_ANY.fields - {"image"},
    ),
}
