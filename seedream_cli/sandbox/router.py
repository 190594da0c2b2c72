"""Knows which provider stands behind which path, and answers as it does: pure and stateless."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.sandbox.messages import says
from seedream_cli.sandbox.pictures import host as images

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from seedream_cli.sandbox.faults import Fault
    from seedream_cli.sandbox.messages import Answer, HttpRequest, Stage, Voice

PREFIXES: Final = {
    "/ark/api/v3": "ark",
    "/byteplus/api/v3": "byteplus",
    "/kie": "kie",
    "/uniall": "uniall",
    "/seedreams/api": "seedreams",
    "/replicate": "replicate",
    "/openrouter": "openrouter",
    "/openai-images/v1": "openai-images",
    "/fal": "fal",
    "/wavespeed": "wavespeed",
}
"""Where each provider's base URL begins; KIE's older endpoint lies below KIE's."""
_MODULES: Final = {"byteplus": "ark"}
"""Which module of `apis` answers, where that is not the provider's own."""


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Return what the real provider or image host would say, as far as its documents tell."""
    if asked.path.startswith(images.PATH):
        return images.answer(asked, stage)
    provider, rest = _split(asked.path)
    if not provider:
        served = ", ".join(PREFIXES)
        return says({"error": f"The sandbox serves {served}; there is nothing here."}, 404)
    answering: Callable[[HttpRequest, Stage], Answer] = api_of(provider).answer
    return answering(replace(asked, path=rest, provider=provider), stage)


def apply_fault(asked: HttpRequest, stage: Stage, fault: Fault, reply: Answer) -> Answer:
    """Return what becomes of `reply`, a good answer to `asked`, when `fault` strikes it."""
    voice: Voice = api_of(_split(asked.path)[0] or "ark").VOICE
    if fault.fate is not None:
        reply = answer(asked, replace(stage, fate=fault.fate))
    if fault.bend is None:
        return reply
    bent = fault.bend(reply, voice, asked, stage)
    # Without words for it at submission, the provider says it in the result.
    return bent or answer(asked, replace(stage, fate=fault.instead))


def _split(path: str) -> tuple[str, str]:
    for prefix, provider in PREFIXES.items():
        # Whole segments: `/ark/api/v30` is none of Ark's.
        if path == prefix or path.startswith(prefix + "/"):
            return provider, path.removeprefix(prefix)
    return "", path


def api_of(provider: str) -> ModuleType:
    """Return the module that answers for a provider; only those that are asked are imported."""
    module = _MODULES.get(provider, provider).replace("-", "_")
    return import_module(f"seedream_cli.sandbox.apis.{module}")
