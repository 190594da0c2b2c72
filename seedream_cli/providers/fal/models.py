"""fal's Seedream models and prices as data (facts: fal.ai/models/<id>/llms.txt, 2026-11-30).

3, 4 and 4.5 have `fal-ai/` in front of their ids, 5 lite has both forms, the others do not.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities, InputLimits, Tariff, Tier
from seedream_cli.providers.tables import (
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

_SEED: Final = (0, 2**31 - 1)
_MOST_RUNS: Final = 6
_VALUES: Final[Mapping[str, frozenset[object] | range]] = {
    "num_images": range(1, _MOST_RUNS + 1),
    "max_images": range(1, 7),
}
_PRO_PIXELS: Final = (1024 * 1024, 2048 * 2048)
_CHEAP_PRO: Final = 1536 * 1536
_CHEAP_5_5: Final = 2_610_000


def _usd(
    amount: str, *, high: str = "", pixels: int = _CHEAP_PRO, reference: str = "0", free: int = 0
) -> Tariff:
    """Read a flat price, or one up to `pixels` and `high` above."""
    cheap = Tier(amount=Decimal(amount), pixels=pixels if high else None)
    return Tariff(
        currency="USD",
        tiers=(cheap, Tier(amount=Decimal(high))) if high else (cheap,),
        reference=Decimal(reference),
        free_references=free,
    )


def _on_fal(base: Capabilities, tariff: Tariff | None, *fields: str) -> Capabilities:
    """Add what holds for every model here: pixels are sent, and up to six runs in one request.

    What lies outside the documented pixels is scaled in silence by some, so it is not sent.
    """
    least, most = base.pixels or (0, 0)
    sizes = {
        keyword: {ratio: size for ratio, size in table.items() if least <= size.pixels <= most}
        for keyword, table in base.sizes.items()
    }
    words = {**_VALUES, "output_format": frozenset[object](base.formats)}
    return replace(
        base,
        values={name: words[name] for name in words if name in {"num_images", *fields}},
        sizes=sizes,
        any_aspect=True,
        formats=base.formats if "output_format" in fields else (),
        picks_format="output_format" in fields,
        max_count=_MOST_RUNS,
        fields=frozenset({"image_size", "num_images", "enable_safety_checker", *fields}),
        # A data URI in place of a URL, and a run that the list of requests does not hold.
        rejects=frozenset({"sync_mode"}),
        tariff=tariff,
    )


def _edits(base: Capabilities, tariff: Tariff | None = None) -> Capabilities:
    """Return the twin that edits; of more than ten references only the last ten would be used."""
    return replace(
        base,
        references=(1, 10),
        max_inputs_and_outputs=15 if base.max_series > 1 else None,
        fields=base.fields | {"image_urls"},
        tariff=tariff or base.tariff,
    )


_3: Final = replace(
    _on_fal(SEEDREAM_3, _usd("0.03"), "seed", "guidance_scale"),
    seed=_SEED,
    max_side=2048,
    max_count=4,
)
_4: Final = replace(
    _on_fal(SEEDREAM_4, _usd("0.03"), "seed", "max_images", "enhance_prompt_mode"),
    max_series=6,
    seed=_SEED,
)
_4_5: Final = replace(
    _on_fal(SEEDREAM_4_5, _usd("0.04"), "seed", "max_images"),  # a price by third parties only
    max_series=6,
    seed=_SEED,
)
_5_LITE: Final = replace(_on_fal(SEEDREAM_5_LITE, _usd("0.035"), "max_images"), max_series=6)
_5_PRO: Final = _on_fal(
    replace(SEEDREAM_5_PRO, pixels=_PRO_PIXELS), _usd("0.0675", high="0.135"), "output_format"
)
_5_PRO_US: Final = _on_fal(SEEDREAM_5_PRO, _usd("0.0675", high="0.135"), "output_format")
_5_FLASH: Final = _on_fal(
    replace(SEEDREAM_5_FLASH, pixels=_PRO_PIXELS), _usd("0.027"), "output_format"
)
# Its pixels are not stated beyond "1K, 1.5K, 2K": those of 5.0 pro, the narrower ones.
_5_5: Final = _on_fal(
    replace(SEEDREAM_5_5, pixels=_PRO_PIXELS),
    _usd("0.03", high="0.0405", pixels=_CHEAP_5_5),
    "output_format",
)
_LAYERS: Final = Capabilities(
    label="Seedream 5.0 pro layers",
    sizes={"auto": {}, "1K": {}, "1.5K": {}, "2K": {}},
    default_size="auto",
    formats=(),
    layers=17,  # a base and at most 16 more, as everywhere
    is_layered=True,
    references=(1, 1),
    inputs=InputLimits(
        formats=frozenset({"jpeg", "png", "webp", "bmp", "tiff", "gif"}),
        max_bytes=30_000_000,
        min_side=512,
        area=(512 * 512, 6000 * 6000),
    ),
    prompt=(0, None),
    fields=frozenset({"image_url", "image_size", "enhance_prompt_mode", "enable_safety_checker"}),
    rejects=frozenset({"sync_mode"}),
    tariff=_usd("0.03375", high="0.0675"),  # a layer
)
_FLASH_LAYERS: Final = replace(
    _LAYERS,
    label="Seedream 5.0 flash layers",
    fields=_LAYERS.fields - {"enhance_prompt_mode"},
    tariff=None,  # no page is known that says it
)


def _pair(place: str, text: Capabilities, tariff: Tariff | None = None) -> dict[str, Capabilities]:
    """Return the two endpoints of a model; `tariff` is the edits', where it is another one."""
    words, edit = f"{place}/text-to-image", f"{place}/edit"
    return {
        words: replace(text, edit_twin=edit),
        edit: replace(_edits(text, tariff), text_twin=words),
    }


MODELS: Final[Mapping[str, Capabilities]] = {
    **_pair("fal-ai/bytedance/seedream/v4.5", _4_5),
    **_pair("bytedance/seedream/v5/lite", _5_LITE),
    **_pair("fal-ai/bytedance/seedream/v5/lite", _5_LITE),
    **_pair(
        "bytedance/seedream/v5/pro",
        _5_PRO,
        _usd("0.0675", high="0.135", reference="0.0045", free=1),
    ),
    "bytedance/seedream/v5/pro/us/text-to-image": _5_PRO_US,
    "bytedance/seedream/v5/pro/layerize": _LAYERS,
    **_pair("bytedance/seedream/v5/flash", _5_FLASH),
    "bytedance/seedream/v5/flash/layerize": _FLASH_LAYERS,
    "bytedance/seedream/v5.5/text-to-image": replace(
        _5_5, edit_twin="bytedance/seedream/v5.5/edit"
    ),
    # What an edit costs is not known; references may cost extra there, too.
    "bytedance/seedream/v5.5/edit": replace(
        _edits(_5_5), text_twin="bytedance/seedream/v5.5/text-to-image", tariff=None
    ),
    **_pair("fal-ai/bytedance/seedream/v4", _4),
    "fal-ai/bytedance/seedream/v3/text-to-image": _3,
}
