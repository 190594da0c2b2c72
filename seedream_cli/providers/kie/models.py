"""KIE's Seedream models and prices as data (facts: docs.kie.ai and its clients, 2026-11-21).

`fields` names what a model documents inside `input`: exactly that is what `dialect.py` sends.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Size
from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities, InputLimits, Tariff, Tier
from seedream_cli.providers.tables import (
    PRO_CHEAP_PIXELS,
    SEED,
    SEEDREAM_4,
    SEEDREAM_4_5,
    SEEDREAM_5_FLASH,
    SEEDREAM_5_LITE,
    SEEDREAM_5_PRO,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DOLLARS_A_CREDIT: Final = Decimal("0.005")

MB: Final = 1_000_000

IMAGE_SIZES: Final[Mapping[str, str]] = {
    "1:1": "square_hd",
    "4:3": "landscape_4_3",
    "3:4": "portrait_4_3",
    "16:9": "landscape_16_9",
    "9:16": "portrait_16_9",
    "3:2": "landscape_3_2",
    "2:3": "portrait_3_2",
    "21:9": "landscape_21_9",
}
"""KIE's older names of ratios."""


Allowed = frozenset[object] | range

_VALUES: Final[Mapping[str, Allowed]] = {
    "nsfw_checker": frozenset({True, False}),
    "output_format": frozenset({"png", "jpeg"}),
    "image_size": frozenset({*IMAGE_SIZES.values(), "square"}),
    "image_resolution": frozenset({"1K", "2K", "4K"}),
    "aspect_ratio": frozenset(IMAGE_SIZES),
    "size": frozenset({"1K", "1.5K", "2K"}),
    "max_images": range(1, 7),
}
"""All words are case sensitive (docs.kie.ai, 2026-08-19)."""


def _usd(amount: str, *, high: str = "", reference: str = "0", free: int = 0) -> Tariff:
    """Read a flat price, or one up to 1.5K and `high` above."""
    cheap = Tier(amount=Decimal(amount), pixels=PRO_CHEAP_PIXELS if high else None)
    return Tariff(
        currency="USD",
        tiers=(cheap, Tier(amount=Decimal(high))) if high else (cheap,),
        reference=Decimal(reference),
        free_references=free,
    )


_INPUTS: Final = InputLimits(formats=frozenset({"jpeg", "png", "webp"}), max_bytes=10 * MB)
_LAYER_INPUTS: Final = InputLimits(
    formats=frozenset({"jpeg", "png", "webp", "bmp", "tiff", "gif"}),
    max_bytes=30 * MB,
    area=(262_144, 36_000_000),
    max_ratio=16.0,
)


def _edits(base: Capabilities, most: int) -> Capabilities:
    """Return the twin of a text model that needs 1 to `most` reference images."""
    return replace(base, references=(1, most), inputs=_INPUTS, fields=base.fields | {"image_urls"})


def _on_kie(base: Capabilities, fields: frozenset[str], *, is_4: bool = False) -> Capabilities:
    """Leave of a generation what KIE documents: no free pixels; 5.x picks PNG or JPEG."""
    return replace(
        base,
        pixels=None,
        formats=() if is_4 else ("png", "jpeg"),
        picks_format=not is_4,
        fields=fields,
        values=_values(fields),
    )


def _values(fields: frozenset[str], quality: Iterable[str] = ()) -> dict[str, Allowed]:
    """Return the words that these fields take; those of `quality` differ between models."""
    words = {"quality": frozenset[object](quality)} if quality else {}
    every = {**_VALUES, **words}
    return {name: every[name] for name in every if name in fields}


_RATIO: Final = frozenset({"aspect_ratio", "nsfw_checker"})
_QUALITY_4_5: Final = {"2K": "basic", "4K": "high"}
_QUALITY_LITE: Final = {"2K": "basic", "3K": "high", "4K": "ultra"}
_QUALITY_PRO: Final = {"1K": "basic", "2K": "high"}

_3: Final = Capabilities(
    label="Seedream 3.0",
    default_size=None,  # six names, no resolution; `square` can be had with --set image_size=square
    aspects=("1:1", "4:3", "3:4", "16:9", "9:16"),
    formats=(),
    seed=SEED,
    guidance=(1.0, 10.0),
    prompt=(1, 5000),
    tariff=_usd("0.0175"),
    fields=frozenset({"image_size", "guidance_scale", "seed"}),
)
_4: Final = replace(
    _on_kie(
        SEEDREAM_4,
        frozenset({"image_size", "image_resolution", "max_images", "seed", "nsfw_checker"}),
        is_4=True,
    ),
    max_series=6,
    seed=SEED,
    prompt=(1, 5000),
    tariff=_usd("0.0325"),  # clients say 3.5 or 6.5 credits: the dearer
)
_4_5: Final = replace(
    _on_kie(SEEDREAM_4_5, _RATIO | {"quality"}, is_4=True),
    quality=_QUALITY_4_5,
    values=_values(_RATIO | {"quality"}, _QUALITY_4_5.values()),
    prompt=(1, 3000),
    tariff=_usd("0.0325"),
)
_5_LITE: Final = replace(
    _on_kie(SEEDREAM_5_LITE, _RATIO | {"quality", "output_format"}),
    quality=_QUALITY_LITE,
    values=_values(_RATIO | {"quality", "output_format"}, _QUALITY_LITE.values()),
    prompt=(3, 3000),
    tariff=_usd("0.0275"),
)
_5_PRO: Final = replace(
    _on_kie(SEEDREAM_5_PRO, _RATIO | {"quality", "output_format"}),
    sizes={word: SEEDREAM_5_PRO.sizes[word] for word in ("1K", "2K")},
    quality=_QUALITY_PRO,
    values=_values(_RATIO | {"quality", "output_format"}, _QUALITY_PRO.values()),
    prompt=(3, 5000),
    tariff=_usd("0.035", high="0.07"),
)
_5_FLASH: Final = replace(
    _on_kie(SEEDREAM_5_FLASH, _RATIO | {"size", "output_format"}),
    prompt=(3, 5000),
    tariff=_usd("0.0162"),
)
_LAYERS: Final = Capabilities(
    label="Seedream 5.0 pro layers",
    sizes={"auto": {}, "1K": {}, "1.5K": {}, "2K": {}},
    default_size="auto",
    formats=("jpeg", "png"),  # of the base image; layers are PNG
    picks_format=True,
    layers=17,
    is_layered=True,
    references=(1, 1),
    inputs=_LAYER_INPUTS,
    prompt=(1, 5000),
    needs_prompt=False,
    tariff=_usd("0.035", high="0.07"),  # one source; perhaps for each layer: so it is counted
    fields=frozenset({"image_url", "size", "output_format"}),
    values={
        "size": frozenset({"auto", "1K", "1.5K", "2K"}),
        "output_format": frozenset({"png", "jpeg"}),
    },
)

MODELS: Final[Mapping[str, Capabilities]] = {
    "seedream/4.5-text-to-image": replace(_4_5, edit_twin="seedream/4.5-edit"),
    "seedream/4.5-edit": replace(_edits(_4_5, 14), text_twin="seedream/4.5-text-to-image"),
    "seedream/5-lite-text-to-image": replace(_5_LITE, edit_twin="seedream/5-lite-image-to-image"),
    "seedream/5-lite-image-to-image": replace(
        _edits(_5_LITE, 14), text_twin="seedream/5-lite-text-to-image"
    ),
    "seedream/5-pro-text-to-image": replace(_5_PRO, edit_twin="seedream/5-pro-image-to-image"),
    "seedream/5-pro-image-to-image": replace(
        _edits(_5_PRO, 10),
        text_twin="seedream/5-pro-text-to-image",
        tariff=_usd("0.035", high="0.07", reference="0.0025", free=1),  # one source
    ),
    "seedream/5-pro-layer-decomposition": _LAYERS,
    "seedream/5-flash-text-to-image": replace(
        _5_FLASH, edit_twin="seedream/5-flash-image-to-image"
    ),
    "seedream/5-flash-image-to-image": replace(
        _edits(_5_FLASH, 10), text_twin="seedream/5-flash-text-to-image"
    ),
    "seedream/5-flash-layer-decomposition": replace(
        _LAYERS, label="Seedream 5.0 flash layers", prompt=(3, 5000), tariff=_usd("0.0162")
    ),
    "bytedance/seedream-v4-text-to-image": replace(_4, edit_twin="bytedance/seedream-v4-edit"),
    "bytedance/seedream-v4-edit": replace(
        _edits(_4, 10), text_twin="bytedance/seedream-v4-text-to-image"
    ),
    "bytedance/seedream": _3,
}

# KIE's older endpoint has no choice of model. Its pixels are those of its page, no others.
OLDER: Final = Capabilities(
    label="Seedream (KIE's older endpoint)",
    sizes={
        "1K": {"1:1": Size(1024, 1024)},
        "2K": {"1:1": Size(2048, 2048)},
        "4K": {"4:3": Size(4096, 3072)},
    },
    aspects=tuple(IMAGE_SIZES),
    formats=(),
    references=(0, 1),
    inputs=_INPUTS,
    seed=SEED,
    guidance=(1.0, 20.0),
    steps=(1, 50),
    tariff=_usd("0.0175"),
    fields=frozenset(
        {
            "image_size",
            "image_resolution",
            "num_inference_steps",
            "guidance_scale",
            "seed",
            "input_image_url",
        }
    ),
)
