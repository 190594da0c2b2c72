"""Knows which provider stands behind which path, and answers as it does: pure and stateless."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from seedream_cli.sandbox.messages import says
from seedream_cli.sandbox.pictures import host as images

if TYPE_CHECKING:
    from seedream_cli.sandbox.faults import Fault
    from seedream_cli.sandbox.messages import Answer, Asked, Stage, Voice

PREFIXES: Final = {
    "/ark/api/v3": "ark",
    "/byteplus/api/v3": "byteplus",
    "/kie": "kie",
    "/uniall": "uniall",
    "/seedreams/api": "seedreams",
}
"""Where each provider's base URL begins; KIE's older endpoint lies below KIE's."""


def answer(asked: Asked, stage: Stage) -> Answer:
    """Return what the real provider or image host would say, as far as its documents tell."""
    if asked.path.startswith(images.PATH):
        return images.answer(asked, stage)
    provider, rest = _split(asked.path)
    inner = replace(asked, path=rest)
    match provider:
        case "ark" | "byteplus":
            from seedream_cli.sandbox.apis import ark

            return ark.answer(inner, stage, provider)
        case "kie":
            from seedream_cli.sandbox.apis import kie

            return kie.answer(inner, stage)
        case "uniall":
            from seedream_cli.sandbox.apis import uniall

            return uniall.answer(inner, stage)
        case "seedreams":
            from seedream_cli.sandbox.apis import seedreams

            return seedreams.answer(inner, stage)
        case _:
            served = ", ".join(PREFIXES)
            return says({"error": f"The sandbox serves {served}; there is nothing here."}, 404)


def struck(asked: Asked, stage: Stage, fault: Fault, reply: Answer) -> Answer:
    """Return what becomes of `reply`, a good answer to `asked`, when `fault` strikes it."""
    voice = _voice(asked.path)
    if fault.fate is not None:
        reply = answer(asked, replace(stage, fate=fault.fate))
    if fault.bend is None:
        return reply
    bent = fault.bend(reply, voice, asked, stage)
    # Without words for it at submission, the provider says it in the result.
    return bent or answer(asked, replace(stage, fate=fault.instead))


def _split(path: str) -> tuple[str, str]:
    for prefix, provider in PREFIXES.items():
        if path == prefix or path.startswith(prefix + "/"):
            return provider, path.removeprefix(prefix)
    return "", path


def _voice(path: str) -> Voice:
    match _split(path)[0]:
        case "kie":
            from seedream_cli.sandbox.apis import kie

            return kie.VOICE
        case "uniall":
            from seedream_cli.sandbox.apis import uniall

            return uniall.VOICE
        case "seedreams":
            from seedream_cli.sandbox.apis import seedreams

            return seedreams.VOICE
        case _:
            from seedream_cli.sandbox.apis import ark

            return ark.VOICE
