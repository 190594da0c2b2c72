"""OpenRouter's Seedream models and prices as data.

Facts: openrouter.ai/bytedance-seed/*/llms.txt and the endpoint listings, to 2026-11. Formats are
listed for no model but 5.0 pro, which has none; so they go by `--set output_format=png` only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities, InputLimits, Tariff, Tier
from seedream_cli.providers.tables import (
    SEED,
    SEEDREAM_4_5,
    SEEDREAM_5_5,
    SEEDREAM_5_FLASH,
    SEEDREAM_5_LITE,
    SEEDREAM_5_PRO,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHEAP_PIXELS: Final = 2_360_000
"""Up to here a picture of 5.0 pro and 5.5 costs the lower price ("above 2.36 MP")."""
_FIELDS: Final = frozenset(
    {"n", "resolution", "aspect_ratio", "size", "input_references", "output_format"}
    # Whom it asks, not `provider.options`: what is passed on as it is may ask for anything.
    | {f"provider.{name}" for name in ("only", "order", "ignore", "sort", "allow_fallbacks")}
    | {"session_id", "user", "trace"}
)
_INPUTS: Final = InputLimits(
    # The greatest size is written nowhere; 10 MB is what every maker takes.
    formats=frozenset({"jpeg", "png", "webp", "gif", "bmp", "tiff"}),
    max_bytes=10_000_000,
)


def _usd(amount: str, *, high: str = "", reference: str = "0") -> Tariff:
    """Read a flat price, or one up to 2.36 MP and `high` above."""
    cheap = Tier(amount=Decimal(amount), pixels=_CHEAP_PIXELS if high else None)
    tiers = (cheap, Tier(amount=Decimal(high))) if high else (cheap,)
    return Tariff(currency="USD", tiers=tiers, reference=Decimal(reference))


def _on_openrouter(
    base: Capabilities, words: tuple[str, ...], references: int, tariff: Tariff
) -> Capabilities:
    """Leave of a generation what OpenRouter passes on: words, no free pixels, one picture."""
    return replace(
        base,
        sizes={word: base.sizes.get(word, {}) for word in words},
        pixels=None,
        formats=(),
        picks_format=False,
        references=(0, references),
        inputs=_INPUTS,
        tariff=tariff,
        fields=_FIELDS,
        values={"n": frozenset[object]({1})},  # more is answered with 400
    )


MODELS: Final[Mapping[str, Capabilities]] = {
    "bytedance-seed/seedream-4.5": _on_openrouter(
        SEEDREAM_4_5, ("1K", "2K", "4K"), 14, _usd("0.04")
    ),
    "bytedance-seed/seedream-5-0-lite": _on_openrouter(
        SEEDREAM_5_LITE, ("2K", "4K"), 14, _usd("0.035")
    ),
    "bytedance-seed/seedream-5-0-pro": replace(
        _on_openrouter(
            SEEDREAM_5_PRO, ("1K", "2K"), 14, _usd("0.045", high="0.09", reference="0.003")
        ),
        seed=SEED,
        fields=_FIELDS - {"output_format"},
        rejects=frozenset({"output_format"}),  # what a model does not list is refused
    ),
    "bytedance-seed/seedream-5-0-flash": _on_openrouter(
        SEEDREAM_5_FLASH, ("1K", "2K"), 14, _usd("0.018")
    ),
    # 1.5K, ten references and all prices but the first are one reading each of a list of lines: the
    # dear one is shown, and what is refused is not billed.
    "bytedance-seed/seedream-5-5": _on_openrouter(
        SEEDREAM_5_5, ("1K", "1.5K", "2K"), 10, _usd("0.02", high="0.035", reference="0.008")
    ),
}
