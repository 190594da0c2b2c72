"""Volcengine Ark and BytePlus ModelArk: one synchronous call that answers with the images."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Call, Charge, Demand, Purpose
from seedream_cli.core.record import replace
from seedream_cli.providers.ark.answers import decode, event, read_check
from seedream_cli.providers.ark.models import ARK_MODELS, BYTEPLUS_MODELS, PLAN_MODELS
from seedream_cli.providers.demand import area_of, count_of, references_of
from seedream_cli.providers.reading import keep_given, merge, one_or_list
from seedream_cli.providers.spec import Dialect, Provider, RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Request
    from seedream_cli.providers.spec import Capabilities

_KNOWN: Final = {**ARK_MODELS, **BYTEPLUS_MODELS}
_MOST_TOGETHER: Final = 15
"""Pictures of a set and its references; also how many come where nobody says (82379/1541523)."""
_MOST_LAYERS: Final = 100
"""Of 5.5, base included; others make fewer."""


def submit(request: Request) -> Call:
    """Encode one purchase; a keyword does not fix the ratio, so pixels are sent where known."""
    model = _KNOWN.get(request.model) if request.is_known_model else None
    # A transparent background wants PNG to be asked for (live on 5.0 pro, 2026-09).
    is_clear = request.extra.get("background") == "transparent"
    format_ = request.format or ("png" if is_clear else None)
    # What a known model has no field for is left out: it was a mistake, or a note, before this.
    takes_references = model is None or model.references[1] > 0
    body = keep_given(
        model=request.model,
        prompt=request.prompt or None,  # layers can be had without a word
        image=one_or_list(each.url for each in request.references) if takes_references else None,
        size=str(request.size) if request.size else request.keyword,
        response_format="url",
        watermark=request.watermark,  # the server's default is yes
        output_format=format_ if model is None or model.picks_format else None,
        seed=request.seed if model is None or model.seed else None,
        guidance_scale=request.guidance if model is None or model.guidance else None,
    )
    if request.series is not None and (model is None or model.max_series > 1):
        body["sequential_image_generation"] = "auto"
        body["sequential_image_generation_options"] = {"max_images": request.series}
        body["stream"] = True
    body = merge(body, request.extra)
    return Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path="/images/generations",
        body=body,
        is_inline=body.get("response_format") == "b64_json",
        is_stream=body.get("stream") is True,
    )


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for (82379/1541523, 2026-09); `n` is ignored, 1 is made and billed."""
    references = references_of(body.get("image"))
    layered = body.get("layer_decomposition")
    is_layered = layered is True
    images: int | None
    if is_layered:
        # How many layers come the model decides; the bound is what may be billed.
        images = (model.layers if model is not None else 0) or _MOST_LAYERS
    else:
        images = _set_of(body, references) if layered is None or layered is False else None
    size = body.get("size")
    if size is None and model is not None:
        size = model.default_size
    return Demand(
        images=images,
        area=area_of(model, size),
        references=references,
        is_layered=is_layered,
        is_priced=not body.get("tools"),  # a search's price is not published
    )


def _set_of(body: Mapping[str, object], references: int | None) -> int | None:
    """Return the most pictures of a set; the model makes as many as it likes up to there."""
    match body.get("sequential_image_generation"):
        case None | "disabled":
            return 1
        case "auto":
            options = body.get("sequential_image_generation_options")
            if options is not None and not isinstance(options, dict):
                return None
            # Without `max_images` references and pictures share one bound.
            room = max(1, _MOST_TOGETHER - (references or 0))
            return count_of((options or {}).get("max_images"), room)
        case _:
            return None


def check() -> Call:
    """Ask for the list of models, which is free."""
    return Call(purpose=Purpose.CHECK, method="GET", path="/models")


_ARK: Final = Provider(
    name="ark",
    title="Volcengine Ark",
    base_url="https://ark.cn-beijing.volces.com/api/v3",
    path="/images/generations",
    key_env=("ARK_API_KEY",),
    docs="https://www.volcengine.com/docs/82379/1541523",
    charges_page="https://console.volcengine.com/finance/bill",
    keys_page="https://console.volcengine.com/ark/region:ark+cn-beijing/apiKey",
    credit_page="https://console.volcengine.com/finance/fund/recharge",
    access_page="https://console.volcengine.com/ark/region:ark+cn-beijing/openManagement",
    dialect=Dialect(
        submit=submit, measure=measure, decode=decode, event=event, check=check, checked=read_check
    ),
    models=ARK_MODELS,
    # 0.12 CNY whatever the size, and the fastest; at most 2K, 10 references, no sets (2026-11-30).
    default_model="doubao-seedream-5-0-flash-260915",
    short_names={
        "5.5": ("doubao-seedream-5-5-261028",),
        "5-pro": ("doubao-seedream-5-0-pro-260628",),
        "5-flash": ("doubao-seedream-5-0-flash-260915",),
        "5-lite": ("doubao-seedream-5-0-260128",),
        "4.5": ("doubao-seedream-4-5-251128",),
        "4": ("doubao-seedream-4-0-250828", "doubao-seedream-4-0-20260415"),
    },
    stand_ins=("doubao-seedream-4-0-20260415",),  # sets, 4K, 14 references
    former_defaults=("doubao-seedream-4-5-251128",),
    url_lifetime=timedelta(hours=24),
    # "IPM", of an account and model version; a call for layers reserves 17 until it is answered.
    limit=RateLimit(count=500, per=timedelta(minutes=1), of="images", is_per_model=True, layers=17),
    most_at_once=500,  # what the limit asks for where a picture takes a minute
    charge_of_failed=Charge.NONE,  # "only successfully generated images are billed"
    client_id_header="X-Client-Request-Id",
    sandbox_path="/ark/api/v3",
    # `n=2` made 1 picture, and a field of no meaning was 200 (real calls, 2026-09-19).
    ignores_others=True,
    reference_kinds=frozenset({"url", "inline"}),
)
_PLAN: Final = replace(
    _ARK,
    title="Volcengine Ark Agent Plan",
    base_url="https://ark.cn-beijing.volces.com/api/plan/v3",
    # Its keys are taken there alone, flash, 4.5 and 4.0 are 404 in every spelling, and there is no
    # list of models (31 refused requests of a plan's key, 2026-09).
    dialect=replace(_ARK.dialect, check=None, checked=None),
    models=PLAN_MODELS,
    default_model="doubao-seedream-5.0-pro",
    short_names={"5-pro": ("doubao-seedream-5.0-pro",), "5-lite": ("doubao-seedream-5.0-lite",)},
    stand_ins=(),
    former_defaults=(),
)
ARK: Final = replace(_ARK, elsewhere={_PLAN.base_url: _PLAN})
BYTEPLUS: Final = replace(
    _ARK,
    name="byteplus",
    title="BytePlus ModelArk",
    base_url="https://ark.ap-southeast.bytepluses.com/api/v3",
    key_env=("BYTEPLUS_API_KEY",),
    docs="https://docs.byteplus.com/en/docs/ModelArk/1541523",
    charges_page="https://console.byteplus.com/finance/bill",
    keys_page="https://console.byteplus.com/ark/region:ark+ap-southeast-1/apiKey",
    credit_page="https://console.byteplus.com/finance/overview",
    access_page="https://console.byteplus.com/ark/region:ark+ap-southeast-1/openManagement",
    models=BYTEPLUS_MODELS,
    default_model="seedream-4-5-251128",
    short_names={
        "5.5": ("dola-seedream-5-5-261028",),
        "5-pro": ("dola-seedream-5-0-pro-260628",),
        "5-flash": ("dola-seedream-5-0-flash-260915",),
        "5-lite": ("seedream-5-0-260128",),
        "4.5": ("seedream-4-5-251128",),
        "4": ("seedream-4-0-250828",),
    },
    stand_ins=(),
    former_defaults=(),
    sandbox_path="/byteplus/api/v3",
)
