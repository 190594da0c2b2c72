"""OpenRouter: one synchronous call that answers with one picture inline, and with its price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Call, Charge, Demand, Purpose
from seedream_cli.providers.demand import area_of, count_of, references_of
from seedream_cli.providers.openrouter.answers import cost_of, decode, read_check
from seedream_cli.providers.openrouter.models import MODELS
from seedream_cli.providers.reading import keep_given, merge
from seedream_cli.providers.spec import Dialect, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Request
    from seedream_cli.providers.spec import Capabilities


def submit(request: Request) -> Call:
    """Encode one purchase; what a model does not list is refused, so only that is sent.

    Resolution, ratio and the one picture are always said: their defaults differ between models.
    """
    model = MODELS.get(request.model) if request.is_known_model else None
    # `size` beside `resolution` or `aspect_ratio` is answered with 400 where they contradict.
    is_free = "size" in request.extra or (request.size is not None and request.keyword is None)
    references = [
        {"type": "image_url", "image_url": {"url": each.url}} for each in request.references
    ]
    body = keep_given(
        model=request.model,
        prompt=request.prompt,
        n=1,
        resolution=None if is_free else request.keyword,
        aspect_ratio=None if is_free else request.aspect,
        size=str(request.size) if is_free and request.size else None,
        output_format=request.format if model is None or model.picks_format else None,
        seed=request.seed if model is None or model.seed else None,
        input_references=references or None,
    )
    return Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path="/images",
        body=merge(body, request.extra),
        is_inline=True,
    )


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for; a size beside a resolution is refused, where they differ."""
    said = [body[name] for name in ("size", "resolution") if body.get(name) is not None]
    return Demand(
        images=count_of(body.get("n"), 1),
        area=area_of(model, said[0]) if len(said) == 1 else None,
        references=references_of(body.get("input_references")),
    )


def check() -> Call:
    """Ask about the key itself, which is free."""
    return Call(purpose=Purpose.CHECK, method="GET", path="/key")


def cost(request_id: str) -> Call:
    """Ask about a generation by the id of its answer's header, which is free."""
    query = {"id": request_id}
    return Call(purpose=Purpose.FIND, method="GET", path="/generation", query=query)


OPENROUTER: Final = Provider(
    name="openrouter",
    title="OpenRouter",
    base_url="https://openrouter.ai/api/v1",
    path="/images",
    key_env=("OPENROUTER_API_KEY",),
    docs="https://openrouter.ai/docs/features/multimodal/image-generation",
    charges_page="https://openrouter.ai/activity",
    keys_page="https://openrouter.ai/settings/keys",
    credit_page="https://openrouter.ai/settings/credits",
    access_page="https://openrouter.ai/settings/privacy",
    dialect=Dialect(
        submit=submit,
        measure=measure,
        decode=decode,
        check=check,
        checked=read_check,
        cost=cost,
        cost_of=cost_of,
    ),
    models=MODELS,
    default_model="bytedance-seed/seedream-4.5",
    # No 4.0 (openrouter.ai/bytedance-seed, 2026-11).
    short_names={
        "5.5": ("bytedance-seed/seedream-5-5",),
        "5-pro": ("bytedance-seed/seedream-5-0-pro",),
        "5-flash": ("bytedance-seed/seedream-5-0-flash",),
        "5-lite": ("bytedance-seed/seedream-5-0-lite",),
        "4.5": ("bytedance-seed/seedream-4.5",),
    },
    url_lifetime=None,  # there are no URLs
    names_charge=True,
    charge_of_failed=Charge.NONE,  # "failed generations are not billed"
    request_id_header="x-generation-id",
    sandbox_path="/openrouter",
    counts=frozenset({"n"}),
    reference_kinds=frozenset({"url", "inline"}),
)
