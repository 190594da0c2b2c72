"""Ark's and BytePlus' models, prices and ends as data (facts: ModelArk pages, 2026-11-30)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities, InputLimits, Tariff, Tier
from seedream_cli.providers.tables import (
    PRO_CHEAP_PIXELS,
    SEED,
    SEEDREAM_3,
    SEEDREAM_4,
    SEEDREAM_4_5,
    SEEDREAM_5_5,
    SEEDREAM_5_FLASH,
    SEEDREAM_5_LITE,
    SEEDREAM_5_PRO,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SETS: Final = frozenset(
    {"sequential_image_generation", "sequential_image_generation_options", "stream"}
)
_LAYERS: Final = frozenset({"background", "layer_decomposition"})
_OPTIMIZE: Final = frozenset({"optimize_prompt_options"})
# Web search is for 5.0 lite on Ark alone: pro answers it with 400 (live, 2026-09), and so does
# lite on BytePlus (bragi-canvas PR 42); 82379/1541523 names no other model.
_SEARCH: Final = frozenset({"tools"})


# ArkAPI 2026-09; the seed, and older pages, say 10 MB and know no HEIC.
_INPUTS: Final = InputLimits(
    formats=frozenset({"jpeg", "png", "webp", "bmp", "tiff", "gif", "heic", "heif"}),
    max_bytes=30_000_000,
    advised_bytes=10_000_000,
    min_side=15,
    area=(196, 36_000_000),
    max_ratio=16.0,
)
_INPUTS_3: Final = replace(_INPUTS, max_bytes=10_000_000, max_ratio=3.0)


# Layers take PNG and JPEG only (image API page 82379/1541523 and tutorial 82379/1824121, 2026-10).
_INPUTS_OF_LAYERS: Final = replace(
    _INPUTS, formats=frozenset({"jpeg", "png"}), area=(262_144, 36_000_000)
)

_MODE: Final = "optimize_prompt_options.mode"
_STANDARD: Final = {_MODE: frozenset[object]({"standard"})}
_FAST: Final = {_MODE: frozenset[object]({"standard", "fast"})}
"""`fast` is for 5.0 pro and 4.0 (82379/1541523, 2026-10); older pages have it for 4.5 too.

On lite it is a 400: "optimize_prompt_options.mode must be 'standard'" (live, 2026-09).
"""
_OPAQUE: Final = {"background": frozenset[object]({"opaque", "transparent"})}
_OPAQUE_OR_AUTO: Final = {"background": frozenset[object]({"opaque", "transparent", "auto"})}
_YES_OR_NO: Final = frozenset[object]({True, False})
_ALL_MODELS: Final[Mapping[str, frozenset[object] | range]] = {
    "response_format": frozenset({"url", "b64_json"}),
    "watermark": _YES_OR_NO,
}
_OF_SETS: Final[Mapping[str, frozenset[object] | range]] = {
    "sequential_image_generation": frozenset({"auto", "disabled"}),
    "sequential_image_generation_options.max_images": range(1, 16),
    "stream": _YES_OR_NO,
}
_SIZES_OF_LAYERS: Final = ("auto", "1K", "1.5K", "2K")


def _in_layers(base: Capabilities) -> Capabilities:
    """Return what a model does where `layer_decomposition` is true.

    Exactly one picture in, the prompt optional, sizes by keyword only, never as pixels; a
    background with it is an error (82379/1541523, 2026-10; live on 5.0 pro, 2026-09).
    """
    words = {word for size in _SIZES_OF_LAYERS for word in (size, size.lower())}
    return replace(
        base,
        sizes={size: {} for size in _SIZES_OF_LAYERS},
        default_size="auto",
        aspects=(),
        any_aspect=False,
        pixels=None,
        formats=("jpeg", "png"),  # of the base; layers are PNG
        references=(1, 1),
        inputs=_INPUTS_OF_LAYERS,
        is_layered=True,
        needs_prompt=False,
        rejects=base.rejects | {"background"},
        values={**base.values, "size": frozenset(words)},
        modes={},
    )


def _on_glass(base: Capabilities) -> Capabilities:
    """Return what 5.0 pro and flash do where the `background` is transparent.

    Refused before drawing: not exactly one picture, one that is no PNG with a transparent pixel,
    and any `output_format` but png, which has to be said (live on 5.0 pro, 2026-09).
    """
    inputs = replace(_INPUTS, formats=frozenset({"png"}), is_transparent=True)
    return replace(_as_png(base), references=(1, 1), inputs=inputs)


def _as_png(base: Capabilities) -> Capabilities:
    """Return what 5.5 does where the `background` is transparent: from text too, as PNG."""
    values = {**base.values, "output_format": frozenset[object]({"png"})}
    rejects = base.rejects | {"layer_decomposition"}
    return replace(base, formats=("png",), rejects=rejects, values=values, modes={})


def _on_ark(
    base: Capabilities,
    references: tuple[int, int],
    *,
    fields: frozenset[str] = frozenset(),
    rejects: frozenset[str] = frozenset(),
    max_series: int = 1,
    values: Mapping[str, frozenset[object] | range] = _ALL_MODELS,
) -> Capabilities:
    """Add what holds for every model on Ark: pixels are sent, and a watermark is the default."""
    return replace(
        base,
        any_aspect=True,
        references=references,
        inputs=_INPUTS if references[1] else None,
        fields=fields | ({"image"} if references[1] else frozenset()),
        values={
            **_ALL_MODELS,
            **values,
            **({"output_format": frozenset[object](base.formats)} if base.picks_format else {}),
        },
        rejects=rejects,
        max_series=max_series,
        max_inputs_and_outputs=15 if max_series > 1 else None,
        watermark=True,
        prompt_advice=(300, 600),
    )


def _tariff(
    currency: str, *amounts: str, reference: str = "0", free: int = 0, layers: tuple[str, ...] = ()
) -> Tariff:
    """Read a flat price, or one up to 1.5K and one above; and that of each layer."""
    return Tariff(
        currency=currency,
        tiers=_tiers(*amounts),
        reference=Decimal(reference),
        free_references=free,
        layers=_tiers(*layers),
    )


def _tiers(*amounts: str) -> tuple[Tier, ...]:
    bounds = (PRO_CHEAP_PIXELS, None)[2 - len(amounts) :]
    return tuple(Tier(amount=Decimal(a), pixels=p) for a, p in zip(amounts, bounds, strict=True))


# 5.x but lite answer 400 to the fields of sets even when they say `disabled` (LZ, APIYI, 2026).
def _recent(
    base: Capabilities,
    values: Mapping[str, frozenset[object] | range],
    *,
    layers: int,
    transparent: Callable[[Capabilities], Capabilities],
) -> Capabilities:
    """Return 5.0 pro, flash or 5.5: no sets, but layers and transparent backgrounds."""
    model = _on_ark(
        base,
        (0, 10),
        fields=_LAYERS | _OPTIMIZE,
        rejects=_SETS | _SEARCH,
        values={**values, "layer_decomposition": _YES_OR_NO},
    )
    modes = {"layer_decomposition": (True, _in_layers), "background": ("transparent", transparent)}
    return replace(model, layers=layers, modes=modes)


def _in_sets(
    base: Capabilities,
    values: Mapping[str, frozenset[object] | range],
    *,
    rejects: frozenset[str] = frozenset(),
    fields: frozenset[str] = frozenset(),
) -> Capabilities:
    """Return 5.0 lite, 4.5 or 4.0: sets, as a stream too, and none of what came later."""
    return _on_ark(
        base,
        (0, 14),
        fields=_SETS | _OPTIMIZE | fields,
        rejects=_LAYERS | rejects,
        max_series=15,
        values={**_OF_SETS, **values},
    )


_5_5: Final = _recent(SEEDREAM_5_5, _OPAQUE_OR_AUTO, layers=100, transparent=_as_png)
_5_PRO: Final = _recent(SEEDREAM_5_PRO, _FAST | _OPAQUE, layers=17, transparent=_on_glass)
_5_FLASH: Final = _recent(SEEDREAM_5_FLASH, _STANDARD | _OPAQUE, layers=17, transparent=_on_glass)
_5_LITE: Final = _in_sets(SEEDREAM_5_LITE, _STANDARD, fields=_SEARCH)
# "output_format … not supported by the current model" (openhanako#657)
_4_5: Final = _in_sets(SEEDREAM_4_5, _FAST, rejects=_SEARCH | {"output_format"})
_4: Final = _in_sets(SEEDREAM_4, _FAST, rejects=_SEARCH)
_3: Final = _on_ark(SEEDREAM_3, (0, 0), rejects=_LAYERS | _SETS | _SEARCH | {"image"})
_SEEDEDIT: Final = replace(
    _on_ark(
        Capabilities(label="SeedEdit 3.0", sizes={"adaptive": {}}, default_size="adaptive"),
        (1, 1),
        rejects=_LAYERS | _SETS | _SEARCH,
    ),
    any_aspect=False,
    inputs=_INPUTS_3,
    seed=SEED,
    guidance=(1.0, 10.0),
)

# The tenth batch of https://www.volcengine.com/docs/82379/1350667 (notice of 2026-09-22, read
# 2026-10-09): no new customers from 2026-09-24, no service from here on. The notice names 5.0 lite;
# 4.0 and 4.5 in it are by public readers. Nobody has published an answer from after that minute.
_TENTH_BATCH: Final = datetime(2026, 11, 24, 14, 0, tzinfo=timezone(timedelta(hours=8)))
# Ark's list of models says `Shutdown` (2026-09-19); 404s were seen in April, the day is not known.
_ARK_3_ENDED: Final = datetime(2026, 4, 30, tzinfo=timezone(timedelta(hours=8)))
# https://docs.byteplus.com/en/docs/ModelArk/1350667 (page of 2026-03-16; ComfyUI PR 13060).
_BP_3_ENDED: Final = datetime(2026, 5, 13, tzinfo=UTC)
_BP_SEEDEDIT_ENDED: Final = datetime(2026, 1, 22, tzinfo=UTC)  # ComfyUI PR 11490 alone

# Prices in CNY: Ark's price page (82379/1544106) by more than eight readers, 2026-08 to -10.
# Of layers each picture costs, the base too; by its own size, it is said, which one source has.
_ARK_PRO: Final = replace(
    _5_PRO,
    tariff=_tariff("CNY", "0.30", "0.60", reference="0.02", free=1, layers=("0.15", "0.30")),
)
_ARK_4: Final = replace(_4, tariff=_tariff("CNY", "0.20"))
_ARK_LITE: Final = replace(
    _5_LITE,
    tariff=_tariff("CNY", "0.22"),
    retired_at=_TENTH_BATCH,
    successor="doubao-seedream-5-0-pro-260628",  # named by the notice
)

# Names of the Agent Plan (https://ark.cn-beijing.volces.com/api/plan/v3 and its own keys), which is
# paid by subscription: 31 requests that were refused before drawing, 2026-09. Whether lite outlived
# the tenth batch there is not known.
_OF_PLANS: Final[Mapping[str, Capabilities]] = {
    "doubao-seedream-5.0-pro": replace(_5_PRO, is_plan_only=True),
    "doubao-seedream-5-0-pro": replace(_5_PRO, is_plan_only=True),
    "doubao-seedream-5.0-lite": replace(_5_LITE, is_plan_only=True),
}
PLAN_MODELS: Final[Mapping[str, Capabilities]] = {
    **{name: replace(model, is_plan_only=False) for name, model in _OF_PLANS.items()},
    # Its whole names are those of pay-as-you-go, too.
    "doubao-seedream-5-0-pro-260628": _5_PRO,
    "doubao-seedream-5-0-lite-260128": _5_LITE,
}

ARK_MODELS: Final[Mapping[str, Capabilities]] = {
    "doubao-seedream-5-0-flash-260915": replace(_5_FLASH, tariff=_tariff("CNY", "0.12")),
    "doubao-seedream-4-0-20260415": _ARK_4,  # a newer build of 4.0, in no notice
    "doubao-seedream-5-0-pro-260628": _ARK_PRO,
    "doubao-seedream-5-5-261028": _5_5,  # id by APIYI only; no price published
    **_OF_PLANS,
    "doubao-seedream-4-5-251128": replace(
        _4_5,
        tariff=_tariff("CNY", "0.25"),
        retired_at=_TENTH_BATCH,
        successor="doubao-seedream-5-0-pro-260628",  # by two public projects
    ),
    "doubao-seedream-5-0-260128": _ARK_LITE,
    "doubao-seedream-5-0-lite-260128": _ARK_LITE,
    "doubao-seedream-4-0-250828": replace(
        _ARK_4, retired_at=_TENTH_BATCH, successor="doubao-seedream-4-0-20260415"
    ),
    "doubao-seedream-3-0-t2i-250415": replace(
        _3, edit_twin="doubao-seededit-3-0-i2i-250628", retired_at=_ARK_3_ENDED
    ),
    "doubao-seededit-3-0-i2i-250628": replace(
        _SEEDEDIT, text_twin="doubao-seedream-3-0-t2i-250415", retired_at=_ARK_3_ENDED
    ),
}

# Prices in USD: BytePlus' price page by PRISM, 2026-09; 5.5 and flash by resellers (2026-11).
_BP_5_5: Final = replace(_5_5, tariff=_tariff("USD", "0.020", "0.035", reference="0.008"))
_BP_PRO: Final = replace(
    _5_PRO,
    tariff=_tariff("USD", "0.045", "0.09", reference="0.003", free=1, layers=("0.0225", "0.045")),
)
_BP_FLASH: Final = replace(_5_FLASH, tariff=_tariff("USD", "0.018"))
# BytePlus answers `tools` with 400 (bragi-canvas PR 42, live).
_BP_LITE: Final = replace(
    _5_LITE,
    tariff=_tariff("USD", "0.035"),
    fields=_5_LITE.fields - _SEARCH,
    rejects=_5_LITE.rejects | _SEARCH,
)

BYTEPLUS_MODELS: Final[Mapping[str, Capabilities]] = {
    "seedream-4-5-251128": replace(_4_5, tariff=_tariff("USD", "0.04")),
    # From 5.0 pro on BytePlus' own names begin with dola-; without it they are resellers' spelling.
    "dola-seedream-5-5-261028": _BP_5_5,
    "seedream-5-5-261028": _BP_5_5,
    "dola-seedream-5-0-pro-260628": _BP_PRO,
    "seedream-5-0-pro-260628": _BP_PRO,
    "dola-seedream-5-0-flash-260915": _BP_FLASH,
    "seedream-5-0-flash-260915": _BP_FLASH,
    "seedream-5-0-260128": _BP_LITE,
    "seedream-5-0-lite-260128": _BP_LITE,
    "seedream-4-0-250828": replace(_4, tariff=_tariff("USD", "0.03")),
    "seedream-3-0-t2i-250415": replace(
        _3,
        edit_twin="seededit-3-0-i2i-250628",
        tariff=_tariff("USD", "0.03"),
        retired_at=_BP_3_ENDED,
        successor="seedream-4-0-250828",  # named by the page
    ),
    "seededit-3-0-i2i-250628": replace(
        _SEEDEDIT,
        text_twin="seedream-3-0-t2i-250415",
        retired_at=_BP_SEEDEDIT_ENDED,
        successor="dola-seedream-5-0-flash-260915",
    ),
}
