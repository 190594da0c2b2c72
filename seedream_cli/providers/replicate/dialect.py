"""Replicate: a prediction is created and polled; its pictures are gone one hour after its end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from seedream_cli.core.model import Call, Charge, Demand, Purpose
from seedream_cli.providers.demand import area_of, count_of, keyword_of_quality, references_of
from seedream_cli.providers.reading import keep_given, merge
from seedream_cli.providers.replicate.answers import decode, read_check
from seedream_cli.providers.replicate.listing import LISTING, find, read_list
from seedream_cli.providers.replicate.models import MODELS
from seedream_cli.providers.spec import Dialect, Provider, RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import LocalImage, Request, Task
    from seedream_cli.providers.spec import Capabilities

_COUNTS: Final = ("max_images", "num_images", "num_outputs", "n")
_ENVELOPE: Final = frozenset({"input", "webhook", "webhook_events_filter"})

# A model that we do not know is asked in the words of the newer ones.
_USUAL: Final = frozenset(
    {"image_input", "size", "aspect_ratio", "width", "height", "output_format"}
    | {"sequential_image_generation", "max_images", "seed", "guidance_scale"}
)


def submit(request: Request) -> Call:
    """Encode one purchase; `--set` goes into `input`.

    Never with `Prefer: wait`: the shorter the request, the less can be lost on its way.
    """
    model = MODELS.get(request.model) if request.is_known_model else None
    fields = model.fields if model else _USUAL
    wanted = _inputs(request, model)
    taken = {key: value for key, value in wanted.items() if key in fields}
    outer = {key: value for key, value in request.extra.items() if key in _ENVELOPE}
    inner = {key: value for key, value in request.extra.items() if key not in _ENVELOPE}
    body = keep_given(
        input=merge({"prompt": request.prompt, **taken}, inner),
        webhook=request.callback_url,
        webhook_events_filter=["completed"] if request.callback_url else None,
    )
    return Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path=f"/models/{quote(request.model)}/predictions",
        body=merge(body, outer),
    )


def _inputs(request: Request, model: Capabilities | None) -> dict[str, object]:
    """Return a request in all the words that any of the models has for it.

    Size, ratio and how many pictures may come are always said: their defaults differ, and the
    ratio's is that of the first reference.
    """
    has_sets = model.max_series > 1 if model else request.series is not None
    return _shape(request, model) | keep_given(
        image_input=[each.url for each in request.references] or None,
        output_format=request.format,
        sequential_image_generation=("auto" if request.series else "disabled")
        if has_sets
        else None,
        max_images=(request.series or 1) if has_sets else None,
        seed=request.seed,
        guidance_scale=request.guidance,
    )


def _shape(request: Request, model: Capabilities | None) -> dict[str, object]:
    """Return size and ratio: words, or pixels as `custom`, which 3.0 takes as a ratio."""
    size, ratio = request.quality or request.keyword, request.aspect
    if request.size is None or size is not None:
        return keep_given(size=size, aspect_ratio=ratio)
    is_3 = model is not None and bool(model.quality)
    return keep_given(
        size=None if is_3 else "custom",
        aspect_ratio="custom" if is_3 else ratio,
        width=request.size.width,
        height=request.size.height,
    )


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for: all of it stands in `input`."""
    inner = body.get("input")
    if not isinstance(inner, dict):
        return Demand(images=None, references=None)
    references = references_of(inner.get("image_input"))
    layered = inner.get("layer_decomposition")
    is_layered = layered is True and (model is None or model.layers > 0)
    images = _set_of(model, inner)
    if layered is not None and layered is not False:
        # Of another word for it, or of a model that is not known, nobody can say how many come.
        images = model.layers if is_layered and model is not None else None
    return Demand(
        images=images, area=_area(model, inner), references=references, is_layered=is_layered
    )


def _set_of(model: Capabilities | None, fields: Mapping[str, object]) -> int | None:
    """Return the most pictures of a run; of models that we do not know any count may be heard."""
    if model is None:
        counts = [count_of(fields.get(name), 1) for name in _COUNTS]
        return None if None in counts else max(count for count in counts if count)
    match fields.get("sequential_image_generation"):
        case None | "disabled":
            return 1
        case "auto":
            return count_of(fields.get("max_images"), 1)
        case _:
            return None


def _area(model: Capabilities | None, fields: Mapping[str, object]) -> int | None:
    """Return the pixels that are asked for; sides count only where the size or ratio is custom."""
    width, height, size = (fields.get(name) for name in ("width", "height", "size"))
    if "custom" in (size, fields.get("aspect_ratio")):
        is_plain = type(width) is int and type(height) is int
        return width * height if is_plain else None  # type: ignore[operator] # they are numbers
    return area_of(model, keyword_of_quality(model, size) or size)


def poll(task: Task) -> Call:
    """Ask about a prediction."""
    path = f"/predictions/{quote(task.id, safe='')}"
    return Call(purpose=Purpose.POLL, method="GET", path=path)


def upload(image: LocalImage) -> Call:
    """Take a reference image to Replicate's files, which is free; it is kept for 24 hours."""
    return Call(purpose=Purpose.UPLOAD, method="POST", path="/files", files=(("content", image),))


def check() -> Call:
    """Ask whose key it is, which is free."""
    return Call(purpose=Purpose.CHECK, method="GET", path="/account")


REPLICATE: Final = Provider(
    name="replicate",
    title="Replicate",
    base_url="https://api.replicate.com/v1",
    path="/models/…/predictions",
    key_env=("REPLICATE_API_TOKEN",),
    docs="https://replicate.com/docs/reference/http",
    charges_page="https://replicate.com/account/billing",
    keys_page="https://replicate.com/account/api-tokens",
    credit_page="https://replicate.com/account/billing",
    dialect=Dialect(
        submit=submit,
        measure=measure,
        decode=decode,
        poll=poll,
        upload=upload,
        check=check,
        checked=read_check,
        find=find,
        listed=read_list,
    ),
    listing=LISTING,
    models=MODELS,
    default_model="bytedance/seedream-4.5",
    # Of 5.5 and 5.0 flash there is none (replicate.com/bytedance, 2026-11).
    short_names={
        "5-pro": ("bytedance/seedream-5-pro",),
        "5-lite": ("bytedance/seedream-5-lite",),
        "4.5": ("bytedance/seedream-4.5",),
        "4": ("bytedance/seedream-4",),
    },
    stand_ins=("bytedance/seedream-4", "bytedance/seedream-5-lite"),  # 1K; 3K, formats
    # Inputs and outputs "are deleted one hour after the prediction ends" (docs: data retention).
    url_lifetime=timedelta(hours=1),
    # 600 predictions and 3000 other requests a minute (docs: rate limits); less with low credit.
    limit=RateLimit(count=600, per=timedelta(minutes=1), from_answer=True),
    poll_limit=RateLimit(count=40, per=timedelta(seconds=1)),
    most_at_once=50,
    charge_of_failed=Charge.NONE,
    sandbox_path="/replicate",
    counts=frozenset({"max_images", "sequential_image_generation"}),
    reference_kinds=frozenset({"url", "upload"}),
)
