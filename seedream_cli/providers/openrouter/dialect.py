"""OpenRouter: one synchronous call that answers with one picture inline, and with its price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Call, Charge, Purpose
from seedream_cli.providers.openrouter.answers import checked, decode
from seedream_cli.providers.openrouter.models import MODELS
from seedream_cli.providers.reading import given, merge
from seedream_cli.providers.spec import Dialect, Provider

if TYPE_CHECKING:
    from seedream_cli.core.model import Request


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
    body = given(
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


def check() -> Call:
    """Ask about the key itself, which is free."""
    return Call(purpose=Purpose.CHECK, method="GET", path="/key")


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
    dialect=Dialect(submit=submit, decode=decode, check=check, checked=checked),
    models=MODELS,
    default_model="bytedance-seed/seedream-4.5",
    url_lifetime=None,  # there are no URLs
    names_charge=True,
    charge_of_failed=Charge.NONE,  # "failed generations are not billed"
    request_id_header="x-generation-id",
    sandbox_path="/openrouter",
    counts=frozenset({"n"}),
    reference_kinds=frozenset({"url", "inline"}),
)
