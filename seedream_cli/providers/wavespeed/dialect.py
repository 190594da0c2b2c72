"""WaveSpeed's tasks: one path a model, and an envelope around everything."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from seedream_cli.core.model import Call, Charge, Demand, Purpose
from seedream_cli.providers.demand import area_of, count_of, references_of
from seedream_cli.providers.reading import keep_given, merge, number_at, read_object
from seedream_cli.providers.spec import Dialect, Provider
from seedream_cli.providers.wavespeed.answers import decode
from seedream_cli.providers.wavespeed.listing import LISTING, charges, find, read_charges, read_list
from seedream_cli.providers.wavespeed.models import MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import LocalImage, Reply, Request, Task
    from seedream_cli.providers.spec import Capabilities

_NEVER: Final = frozenset({"enable_sync_mode", "enable_base64_output"})


def submit(request: Request) -> Call:
    """Encode one purchase.

    What is left out would be 1k on the newer models, and one picture of a set, so both are said.
    """
    model = MODELS.get(request.model) if request.is_known_model else None
    urls = [each.url for each in request.references]
    is_layered = model is not None and model.is_layered
    size, keyword = request.size, request.keyword
    is_set = model.max_series > 1 if model else request.series is not None
    wanted = keep_given(
        images=None if is_layered else urls or None,
        image=urls[0] if is_layered and urls else None,
        size=f"{size.width}*{size.height}" if size else None,
        aspect_ratio=request.aspect,
        resolution=keyword.lower() if keyword else None,
        max_images=(request.series or 1) if is_set else None,
        output_format=request.format,
    )
    if model is None and size is not None:
        wanted = {key: wanted[key] for key in wanted if key not in {"aspect_ratio", "resolution"}}
    body = {"prompt": request.prompt} | {
        key: value for key, value in wanted.items() if model is None or key in model.fields
    }
    extra = {key: value for key, value in request.extra.items() if key not in _NEVER}
    return Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path=f"/{request.model}",
        query={"webhook": request.callback_url} if request.callback_url else {},
        body=merge(body, extra),
    )


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for: one picture, but for sets and layers."""
    images = count_of(body.get("max_images"), 1)
    is_layered = model is not None and model.is_layered
    if is_layered and model is not None and images is not None:
        images *= model.layers
    words = [word for word in (body.get("size"), body.get("resolution")) if word is not None]
    is_plain = len(words) == 1 and isinstance(words[0], str)
    return Demand(
        images=images,
        area=area_of(model, str(words[0]).replace("*", "x")) if is_plain else None,
        references=references_of(body.get("images"), body.get("image")),
        is_layered=is_layered,
    )


def poll(task: Task) -> Call:
    """Ask about a task."""
    path = f"/predictions/{quote(task.id, safe='')}/result"
    return Call(purpose=Purpose.POLL, method="GET", path=path)


def upload(image: LocalImage) -> Call:
    """Take a reference image to its file host, which is free; it is kept for seven days."""
    path, files = "/media/upload/binary", (("file", image),)
    return Call(purpose=Purpose.UPLOAD, method="POST", path=path, files=files)


def check() -> Call:
    """Ask for the balance, which is free."""
    return Call(purpose=Purpose.CHECK, method="GET", path="/balance")


def read_check(reply: Reply) -> str:
    """Say the balance."""
    return f"{number_at(read_object(reply), 'data', 'balance') or 0} USD"


WAVESPEED: Final = Provider(
    name="wavespeed",
    title="WaveSpeedAI",
    base_url="https://api.wavespeed.ai/api/v3",
    path="/<model id>",
    key_env=("WAVESPEED_API_KEY",),
    docs="https://wavespeed.ai/docs",
    charges_page="https://wavespeed.ai/billing",
    keys_page="https://wavespeed.ai/accesskey",
    credit_page="https://wavespeed.ai/billing",
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
        charges=charges,
        charged=read_charges,
    ),
    listing=LISTING,
    models=MODELS,
    default_model="bytedance/seedream-v4.5",
    short_names={
        "5.5": ("bytedance/seedream-v5.5",),
        "5-pro": ("bytedance/seedream-v5.0-pro",),
        "5-flash": ("bytedance/seedream-v5.0-flash",),
        "5-lite": ("bytedance/seedream-v5.0-lite",),
        "4.5": ("bytedance/seedream-v4.5",),
        "4": ("bytedance/seedream-v4",),
    },
    stand_ins=("bytedance/seedream-v4.5/sequential", "bytedance/seedream-v5.0-flash"),
    url_lifetime=timedelta(days=7),
    # The lowest level makes 3 at once and 10 a minute, the next 100 and 500 (wavespeed.ai/docs,
    # rate limits, 2026). What is beyond is a 429 with Retry-After, so no level is held here.
    most_at_once=3,
    # A failed task is refunded within three hours.
    charge_of_failed=Charge.NONE,
    counts=frozenset({"max_images"}),
    sandbox_path="/wavespeed",
    reference_kinds=frozenset({"url", "upload"}),
)
