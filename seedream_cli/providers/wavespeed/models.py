"""WaveSpeed's Seedream models and prices as data.

Facts: wavespeed.ai/docs/docs-api/bytedance/… and wavespeed.ai/models/bytedance/…/llms.txt,
2026-11-30. Prices are those without the discount of a day.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities, InputLimits, Tariff, Tier
from seedream_cli.providers.tables import (
    PRO_CHEAP_PIXELS,
    SEEDREAM_3,
    SEEDREAM_4,
    SEEDREAM_4_5,
    SEEDREAM_5_5,
    SEEDREAM_5_FLASH,
    SEEDREAM_5_LITE,
    SEEDREAM_5_PRO,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX: Final = "bytedance/seedream-"
_RATIOS: Final = (
    *("1:1", "1:2", "2:1", "1:3", "3:1", "2:3", "3:2", "3:4", "4:3"),
    *("4:5", "5:4", "9:16", "16:9", "9:21", "21:9"),
)
_REJECTS: Final = frozenset({"enable_sync_mode", "enable_base64_output"})
"""An answer that may time out while the task goes on, and pictures as bare base64."""
_INPUTS: Final = InputLimits(
    formats=frozenset({"jpeg", "png", "webp", "bmp", "tiff", "gif"}), max_bytes=20_000_000
)


def _usd(amount: str, *, high: str = "") -> Tariff:
    """Read a flat price, or one up to 1.5k and `high` above."""
    cheap = Tier(amount=Decimal(amount), pixels=PRO_CHEAP_PIXELS if high else None)
    tiers = (cheap, Tier(amount=Decimal(high))) if high else (cheap,)
    return Tariff(currency="USD", tiers=tiers)


def _in_pixels(base: Capabilities, tariff: Tariff, *fields: str) -> Capabilities:
    """Return a model that takes `size` as `WIDTH*HEIGHT`."""
    has_format = "output_format" in fields
    return replace(
        base,
        any_aspect=True,
        formats=base.formats if has_format else (),
        picks_format=has_format,
        seed=None,
        guidance=None,
        fields=frozenset({"size", *fields}),
        rejects=_REJECTS,
        tariff=tariff,
    )


def _in_words(base: Capabilities, tariff: Tariff | None, *fields: str) -> Capabilities:
    """Return a model that takes a resolution and a ratio; its pixels are not documented here."""
    return replace(
        base,
        sizes={keyword: {} for keyword in base.sizes},
        values={
            "resolution": frozenset(keyword.lower() for keyword in base.sizes),
            "aspect_ratio": frozenset(_RATIOS),
            "output_format": frozenset(base.formats),
        },
        aspects=_RATIOS,
        pixels=None,
        fields=frozenset({"aspect_ratio", "resolution", "output_format", *fields}),
        rejects=_REJECTS,
        tariff=tariff,
    )


def _family(name: str, text: Capabilities, *, has_sets: bool) -> dict[str, Capabilities]:
    """Return the endpoints of a model: from text, from references, and sets of both."""
    words, edit = f"{_PREFIX}{name}", f"{_PREFIX}{name}/edit"
    series, series_edit = f"{words}/sequential", f"{words}/edit-sequential"
    editing = replace(text, references=(1, 10), inputs=_INPUTS, fields=text.fields | {"images"})
    made = {words: replace(text, edit_twin=edit), edit: replace(editing, text_twin=words)}
    if not has_sets:
        return made
    counts = {**text.values, "max_images": range(1, 16)}
    return made | {
        series: replace(
            text,
            edit_twin=series_edit,
            max_series=15,
            fields=text.fields | {"max_images"},
            values=counts,
        ),
        series_edit: replace(
            editing,
            text_twin=series,
            max_series=15,
            max_inputs_and_outputs=15,
            fields=editing.fields | {"max_images"},
            values=counts,
        ),
    }


_PRO: Final = _in_words(SEEDREAM_5_PRO, _usd("0.045", high="0.09"), "prompt_optimization_mode")
_FLASH: Final = _in_words(SEEDREAM_5_FLASH, _usd("0.018"))
# Its own page names 1k to 2k, the family's also 3k, of about 8 megapixels; prices: its quote only.
_5_5: Final = _in_words(
    replace(SEEDREAM_5_5, sizes={**SEEDREAM_5_5.sizes, "3K": {}}), None, "background"
)
_LAYERS: Final = Capabilities(
    label="Seedream 5.0 pro layers",
    sizes={"1K": {}, "1.5K": {}, "2K": {}},
    formats=("jpeg", "png"),
    picks_format=True,
    layers=17,  # a base and at most 16 more, as everywhere
    is_layered=True,
    references=(1, 1),
    inputs=_INPUTS,
    prompt=(0, None),
    fields=frozenset({"image", "resolution", "output_format", "prompt_optimization_mode"}),
    rejects=_REJECTS,
)

MODELS: Final[Mapping[str, Capabilities]] = {
    **_family("v4.5", _in_pixels(SEEDREAM_4_5, _usd("0.04")), has_sets=True),
    # Its pages differ, $0.035 and $0.04: the dearer.
    **_family(
        "v5.0-lite",
        _in_pixels(SEEDREAM_5_LITE, _usd("0.04"), "output_format"),
        has_sets=True,
    ),
    **_family("v5.0-pro", _PRO, has_sets=False),
    f"{_PREFIX}v5.0-pro/layer-decomposition": _LAYERS,
    **_family("v5.0-flash", _FLASH, has_sets=False),
    f"{_PREFIX}v5.0-flash/layer-decomposition": replace(
        _LAYERS,
        label="Seedream 5.0 flash layers",
        fields=_LAYERS.fields - {"prompt_optimization_mode"},
    ),
    **_family("v5.5", _5_5, has_sets=False),
    f"{_PREFIX}v5.5/layer-decomposition": replace(_LAYERS, label="Seedream 5.5 layers", layers=100),
    **_family("v4", _in_pixels(SEEDREAM_4, _usd("0.027")), has_sets=True),
    f"{_PREFIX}v3.1": replace(_in_pixels(SEEDREAM_3, _usd("0.027")), label="Seedream 3.1"),
    f"{_PREFIX}v3": _in_pixels(SEEDREAM_3, _usd("0.027")),
}
