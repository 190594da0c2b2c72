"""KIE's market jobs: a task is created, then asked about until it has URLs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Call, Demand, Purpose
from seedream_cli.core.record import replace
from seedream_cli.providers.demand import (
    area_of,
    count_of,
    keyword_of_quality,
    references_of,
)
from seedream_cli.providers.kie.answers import (
    read,
    read_done,
    read_failure,
    read_under_way,
    result,
    urls_in,
)
from seedream_cli.providers.kie.models import DOLLARS_A_CREDIT, IMAGE_SIZES, MODELS
from seedream_cli.providers.reading import (
    at,
    id_at,
    keep_given,
    merge,
    message_at,
    number_at,
    read_object,
    str_at,
)
from seedream_cli.providers.spec import Dialect, Provider, RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import LocalImage, Outcome, Reply, Request, Task
    from seedream_cli.providers.spec import Capabilities

_UNDER_WAY: Final = frozenset({"waiting", "queuing", "generating"})
_ENVELOPE: Final = frozenset({"input", "callBackUrl"})

_COUNTS: Final = ("max_images", "n", "num_images")
"""Documented is the first one, of v4; others are words of its siblings, and counted if said."""

# A model that we do not know is asked in the words of the newer ones.
_USUAL: Final = frozenset(
    {"aspect_ratio", "quality", "output_format", "seed", "guidance_scale", "image_urls"}
    | {"max_images"}
)


def submit(request: Request) -> Call:
    """Encode one purchase; `--set` goes into `input`."""
    model = MODELS.get(request.model) if request.is_known_model else None
    fields = model.fields if model else _USUAL
    quality = request.quality or (model.quality.get(request.keyword or "") if model else None)
    wanted = inputs(request, quality)
    taken = {key: wanted[key] for key in wanted if key in fields or key == "prompt"}
    # What belongs to the envelope stays outside; all else of `--set` is a field of the model.
    outer = {key: value for key, value in request.extra.items() if key in _ENVELOPE}
    inner = {key: value for key, value in request.extra.items() if key not in _ENVELOPE}
    body = keep_given(
        model=request.model, callBackUrl=request.callback_url, input=merge(taken, inner)
    )
    return Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path="/api/v1/jobs/createTask",
        body=merge(body, outer),
    )


def inputs(request: Request, quality: str | None) -> dict[str, object]:
    """Return a request in all the words that any KIE model has for it."""
    urls = [each.url for each in request.references]
    name = IMAGE_SIZES.get(request.aspect or "")
    if name == "square_hd" and request.keyword == "1K":
        name = "square"
    return keep_given(
        prompt=request.prompt or None,  # layers can be had without a word
        image_url=urls[0] if urls else None,
        image_urls=urls or None,
        input_image_url=urls[0] if urls else None,
        aspect_ratio=request.aspect,
        image_size=name,
        image_resolution=request.keyword,
        size=request.keyword,
        quality=quality,
        output_format=request.format,
        max_images=request.series,
        seed=request.seed,
        guidance_scale=request.guidance,
        num_inference_steps=request.steps,
    )


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for: all of it stands in `input`."""
    inner = body.get("input")
    if not isinstance(inner, dict):
        return Demand(images=None, references=None)
    demand = measure_inputs(model, inner)
    # An id that nobody knows here tells by its name that it makes layers, not how many.
    is_open = model is None and "layer" in str(body.get("model"))
    return replace(demand, images=None) if is_open else demand


def measure_inputs(model: Capabilities | None, fields: Mapping[str, object]) -> Demand:
    """Read what KIE's fields ask for.

    A size in a field that the model does not have is priced as the dearest: should it be heard
    after all, it is not cheaper than that.
    """
    sizes = {
        "quality": keyword_of_quality(model, fields.get("quality")),
        "size": fields.get("size"),
        "image_resolution": fields.get("image_resolution"),
        "resolution": None,
    }
    said = [name for name in sizes if fields.get(name) is not None]
    # Two words for a size: which one is heard nobody says, so the dearest counts.
    is_plain = len(said) == 1 and model is not None and said[0] in model.fields
    counts = [count_of(fields.get(name), 1) for name in _COUNTS]
    images = None if None in counts else max(count for count in counts if count)
    is_layered = model is not None and model.is_layered
    if is_layered and model is not None and images is not None:
        images *= model.layers
    return Demand(
        images=images,
        area=area_of(model, sizes[said[0]]) if is_plain else None,
        references=references_of(*map(fields.get, ("image_url", "image_urls", "input_image_url"))),
        is_layered=is_layered,
    )


def poll(task: Task) -> Call:
    """Ask about a task."""
    path = "/api/v1/jobs/recordInfo"
    return Call(purpose=Purpose.POLL, method="GET", path=path, query={"taskId": task.id})


def upload(image: LocalImage) -> Call:
    """Take a reference image to KIE's file host, which is free; it is kept for a day or more."""
    path = "/api/file-stream-upload"
    fields = {"uploadPath": "seedream", "fileName": image.name}
    files = (("file", image),)
    return Call(
        purpose=Purpose.UPLOAD, method="POST", host="upload", path=path, body=fields, files=files
    )


def refresh(url: str) -> Call:
    """Ask for a fresh download URL; it lives 20 minutes."""
    path = "/api/v1/common/download-url"
    return Call(purpose=Purpose.REFRESH, method="POST", path=path, body={"url": url})


def check() -> Call:
    """Ask for the balance, which is free."""
    return Call(purpose=Purpose.CHECK, method="GET", path="/api/v1/chat/credit")


def read_check(reply: Reply) -> str:
    """Say the balance in credits and dollars."""
    credit = number_at(read_object(reply), "data") or 0
    return f"{credit} credits ({Decimal(str(credit)) * DOLLARS_A_CREDIT:.2f} USD)"


def decode(reply: Reply) -> Outcome:
    """Read an answer of the market API."""
    return read(reply, _record)


def _record(said: Mapping[str, object]) -> Outcome | None:
    record = said.get("data")
    task_id, state = id_at(record, "taskId"), str_at(record, "state")
    if state is None:
        return None
    if state == "success":
        # Only here: `param` echoes the URLs of the person's own reference images.
        return read_done(task_id, urls_in(at(result(record), "resultUrls")), record)
    if state == "fail":
        return read_failure(task_id, id_at(record, "failCode"), message_at(record, "failMsg"))
    return read_under_way(task_id, state[:100], record, is_strange=state not in _UNDER_WAY)


KIE: Final = Provider(
    name="kie",
    title="KIE.ai",
    base_url="https://api.kie.ai",
    path="/api/v1/…",
    key_env=("KIE_API_KEY",),
    docs="https://docs.kie.ai",
    charges_page="https://kie.ai/logs",
    keys_page="https://kie.ai/api-key",
    credit_page="https://kie.ai/billing",
    dialect=Dialect(
        submit=submit,
        measure=measure,
        decode=decode,
        poll=poll,
        upload=upload,
        refresh=refresh,
        check=check,
        checked=read_check,
    ),
    models=MODELS,
    default_model="seedream/4.5-text-to-image",
    # Of 5.5 no id is published (docs.kie.ai, 2026-11-30).
    short_names={
        "5-pro": ("seedream/5-pro-text-to-image",),
        "5-flash": ("seedream/5-flash-text-to-image",),
        "5-lite": ("seedream/5-lite-text-to-image",),
        "4.5": ("seedream/4.5-text-to-image",),
        "4": ("bytedance/seedream-v4-text-to-image",),
    },
    url_lifetime=timedelta(days=14),
    limit=RateLimit(count=20, per=timedelta(seconds=10), from_answer=True),
    most_at_once=100,  # "~100+ concurrent tasks typical" (docs.kie.ai, getting started, 2026-08-19)
    # At most 10 queries a second of a key (docs.kie.ai, 2026-08-19); other programs ask, too.
    poll_limit=RateLimit(count=8, per=timedelta(seconds=1)),
    upload_base_url="https://kieai.redpandaai.co",
    sandbox_path="/kie",
    fields=frozenset({"callBackUrl", "input"}),
    inputs_in="input",
    # `basic` is 2K of 4.5 and 1K of 5 pro (docs.kie.ai, 2026-08-19).
    has_own_words=True,
    reference_kinds=frozenset({"url", "upload"}),
)
