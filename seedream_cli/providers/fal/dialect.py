"""fal's queue: a request is put in line, asked about, and what came of it is a second question."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from seedream_cli.core.model import Call, Demand, Purpose
from seedream_cli.providers.demand import area_of, count_of, references_of
from seedream_cli.providers.fal.answers import decode
from seedream_cli.providers.fal.listing import LISTING, find, read_list
from seedream_cli.providers.fal.models import MODELS
from seedream_cli.providers.reading import (
    keep_given,
    merge,
    number_at,
    read_object,
    str_at,
    whole_at,
)
from seedream_cli.providers.spec import Dialect, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import LocalImage, Reply, Request, Task
    from seedream_cli.providers.spec import Capabilities

_DEFAULT: Final = "fal-ai/bytedance/seedream/v4.5/text-to-image"
_CDN: Final = {"storage_type": "fal-cdn-v3"}
_NEVER: Final = frozenset({"sync_mode"})
"""Pictures inline, and no record of the run to find it by (fal.ai/docs, 2026)."""


def submit(request: Request) -> Call:
    """Encode one purchase.

    A request may bill num_images x max_images pictures, so both are always said.
    """
    model = MODELS.get(request.model) if request.is_known_model else None
    urls = [each.url for each in request.references]
    is_layered = model is not None and model.is_layered
    is_set = model.max_series > 1 if model else request.series is not None
    wanted = keep_given(
        image_urls=None if is_layered else urls or None,
        image_url=urls[0] if is_layered and urls else None,
        image_size=_size(request),
        num_images=None if is_layered else request.count,
        max_images=(request.series or 1) if is_set else None,
        seed=request.seed,
        guidance_scale=request.guidance,
        output_format=request.format,
    )
    body = {"prompt": request.prompt} | {
        key: value for key, value in wanted.items() if model is None or key in model.fields
    }
    extra = {key: value for key, value in request.extra.items() if key not in _NEVER}
    return Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path=f"/{request.model}",
        query={"fal_webhook": request.callback_url} if request.callback_url else {},
        body=merge(body, extra),
    )


def _size(request: Request) -> object:
    """Return pixels, or the word for a class of sizes."""
    if request.size is not None:
        return {"width": request.size.width, "height": request.size.height}
    word = request.keyword
    return f"auto_{word}" if word is not None and word != "auto" else word


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for: of each run at most a set, up to 36 pictures are billed."""
    counts = [count_of(body.get(name), 1) for name in ("num_images", "max_images")]
    # `max_images` is of each run, and `num_images` are the runs.
    images = None if None in counts else math.prod(count for count in counts if count)
    is_layered = model is not None and model.is_layered
    if is_layered and model is not None and images is not None:
        images *= model.layers
    return Demand(
        images=images,
        area=_area(model, body.get("image_size")),
        references=references_of(body.get("image_urls"), body.get("image_url")),
        is_layered=is_layered,
    )


def _area(model: Capabilities | None, size: object) -> int | None:
    """Return the pixels of a size; those that only its other words name are not known."""
    if isinstance(size, dict):
        width, height = whole_at(size, "width") or 0, whole_at(size, "height") or 0
        return width * height if width > 0 < height else None
    return area_of(model, size.removeprefix("auto_")) if isinstance(size, str) else None


def poll(task: Task) -> Call:
    """Ask where a request stands."""
    path = task.links.get("poll") or f"{_place(task)}/status"
    return Call(purpose=Purpose.POLL, method="GET", path=path)


def result(task: Task) -> Call:
    """Ask what came of a request that is over."""
    path = task.links.get("result") or _place(task)
    return Call(purpose=Purpose.RESULT, method="GET", path=path)


def _place(task: Task) -> str:
    """Return where a request lies: below the first two segments of its model's id.

    The documents want the addresses of the answer to be used; where there was no such answer
    (a task that a person or a list names), this is the rule of the official clients.
    """
    # A task that a person names by its id alone: the default's app is the likeliest.
    model = task.model if "/" in task.model else _DEFAULT
    return f"/{'/'.join(model.split('/')[:2])}/requests/{quote(task.id, safe='')}"


def upload(image: LocalImage) -> Call:
    """Ask for a place for a reference image, which is free; its bytes are put there next."""
    return Call(
        purpose=Purpose.UPLOAD,
        method="POST",
        host="upload",
        path="/storage/upload/initiate",
        query=_CDN,
        body={"file_name": image.name, "content_type": image.media_type},
    )


def check() -> Call:
    """Ask for a price, which is free.

    The list of requests would prove a key, too; newer pages know that one for the caller's own
    endpoints only, and its 404 would say nothing about the key.
    """
    query = {"endpoint_id": _DEFAULT}
    return Call(
        purpose=Purpose.CHECK, method="GET", host="list", path="/models/pricing", query=query
    )


def read_check(reply: Reply) -> str:
    """Say the price that was asked for, where it can be read; there is no balance by this key."""
    prices = read_object(reply).get("prices")
    first = prices[0] if isinstance(prices, list) and prices else None
    price, currency = number_at(first, "unit_price"), str_at(first, "currency")
    return f"Seedream 4.5: {price} {currency}" if price and currency else "it may ask for prices"


FAL: Final = Provider(
    name="fal",
    title="fal.ai",
    base_url="https://queue.fal.run",
    path="/<model id>",
    key_env=("FAL_KEY",),
    docs="https://fal.ai/docs",
    charges_page="https://fal.ai/dashboard/billing",
    keys_page="https://fal.ai/dashboard/keys",
    credit_page="https://fal.ai/dashboard/billing",
    dialect=Dialect(
        submit=submit,
        measure=measure,
        decode=decode,
        poll=poll,
        result=result,
        upload=upload,
        check=check,
        checked=read_check,
        find=find,
        listed=read_list,
    ),
    listing=LISTING,
    models=MODELS,
    default_model=_DEFAULT,
    short_names={
        "5.5": ("bytedance/seedream/v5.5/text-to-image",),
        "5-pro": ("bytedance/seedream/v5/pro/text-to-image",),
        "5-flash": ("bytedance/seedream/v5/flash/text-to-image",),
        "5-lite": ("bytedance/seedream/v5/lite/text-to-image",),
        "4.5": (_DEFAULT,),
        "4": ("fal-ai/bytedance/seedream/v4/text-to-image",),
    },
    stand_ins=(
        "bytedance/seedream/v5/flash/text-to-image",  # 1K, PNG
        "fal-ai/bytedance/seedream/v3/text-to-image",  # guidance
    ),
    # "At least 7 days" (FAQ), "for ever" (page on headers): the shorter one.
    url_lifetime=timedelta(days=7),
    # "1 hour after completion" where payloads are not stored; large answers 6 minutes.
    answer_lifetime=timedelta(hours=1),
    upload_base_url="https://rest.fal.ai",
    list_base_url="https://api.fal.ai/v1",
    auth_scheme="Key",
    request_id_header="x-fal-request-id",
    counts=frozenset({"num_images", "max_images"}),
    sandbox_path="/fal",
    reference_kinds=frozenset({"url", "upload"}),
)
