"""The tables of the pages are made from the code; UPDATE_README=1 writes them anew."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from seedream_cli.cli.app import build
from seedream_cli.cli.output.capabilities import aspects, tariff, until
from seedream_cli.core.errors import EXITS
from seedream_cli.core.text import human_span
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parents[2]
README = TOP / "README.md"
PAGES = {
    "exit codes": README,
    "commands": README,
    "providers": README,
    "models": TOP / "docs/models.md",
}
SPECIAL = {
    "ark": "answers when finished; sets come one by one; layers, clear backgrounds",
    "byteplus": "the same outside China, with models and keys of its own",
    "kie": "polled; 20 submits in 10 s; takes local references by upload",
    "kie-seedream": "KIE's older endpoint: no choice of model",
    "uniall": "answers when finished; references by URL only",
    "seedreams": "polled; references by URL only; costs credits",
    "fal": "two questions a result, which is kept for one hour; **lost answers are found**",
    "replicate": "deletes pictures one hour after they are made; **lost answers are found**",
    "openrouter": "picture and exact charge are in the answer; nothing can be fetched later",
    "wavespeed": "a key works after the first top-up; **lost answers are found**",
    "openai-images": "any gateway of OpenAI's image API: [docs/gateways.md](docs/gateways.md)",
}
WHEN = {
    0: "everything asked for is on disk",
    1: "`--check`: a picture is not as described; `status --exit-status`: a job did not end well",
    2: "usage: nothing was sent",
    3: "not everything asked for was made: refused, failed, partly made",
    4: "account: no key, bad key, no credit, no access to the model, budget used up",
    5: "an outcome is unknown, or a paid image is gone",
    69: "the provider cannot be reached or is too busy, or the batch runs; nothing was bought",
    70: "a bug in seedream",
    74: "disk, folder or ledger would not take it; what was bought can still be fetched",
    75: "not finished within `--timeout`; `seedream download` goes on",
    130: "interrupted; state is saved",
    143: "terminated; state is saved",
}


def _exit_codes() -> Iterator[str]:
    yield "| code | when | `error.code` |"
    yield "|---|---|---|"
    for code, when in WHEN.items():
        words = " ".join(f"`{word}`" for word, found in EXITS.items() if found == code)
        yield f"| {code} | {when} | {words} |"


def _commands() -> Iterator[str]:
    yield "| command | does |"
    yield "|---|---|"
    yield from _rows(typer.main.get_command(build()), "seedream")


def _rows(command: object, path: str) -> Iterator[str]:
    for name, child in getattr(command, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from _rows(child, f"{path} {name}")
        else:
            yield f"| `{path} {name}` | {(child.help or '').splitlines()[0]} |"


def _providers() -> Iterator[str]:
    yield "| provider | key | URLs live | special |"
    yield "|---|---|---|---|"
    for provider in PROVIDERS.values():
        (variable,) = provider.key_env or ("",)
        key = f"[`{variable}`]({provider.keys_page})" if variable else "as the profile says"
        lifetime = provider.url_lifetime
        lives = (
            human_span(lifetime).replace(" h", " hours").replace(" d", " days") if lifetime else "?"
        )
        yield f"| `{provider.name}` | {key} | {lives} | {SPECIAL[provider.name]} |"


def _models() -> Iterator[str]:
    yield "| provider | model | sizes | aspects | formats | price |"
    yield "|---|---|---|---|---|---|"
    for provider in PROVIDERS.values():
        for name, model in provider.models.items():
            sizes = " ".join(model.sizes) + (" WxH" if model.pixels else "") or "-"
            formats = " ".join(model.formats) or "-"
            row = (provider.name, f"`{name}`" if name else "-", sizes, aspects(model), formats)
            yield f"| {' | '.join(row)} | {tariff(model.tariff)}{until(model)} |"


def test_the_tables_are_those_of_the_code() -> None:
    """README and docs say of commands, models and exit codes what the code says."""
    tables = {
        "exit codes": _exit_codes(),
        "commands": _commands(),
        "providers": _providers(),
        "models": _models(),
    }
    for name, lines in tables.items():
        page = PAGES[name]
        text, body = page.read_text(encoding="utf-8"), "\n".join(lines)
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        assert pattern.search(text), name
        made = pattern.sub(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", text)  # type: ignore[misc]
        if os.environ.get("UPDATE_README"):
            page.write_text(made, encoding="utf-8")
        assert made == text or os.environ.get("UPDATE_README"), page


def test_the_readme_is_read_in_one_sitting() -> None:
    """It has at most 150 lines; what goes further lies in docs/."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_every_exit_code_is_explained() -> None:
    """No error code ends with an exit code that the README does not explain."""
    assert set(EXITS.values()) <= set(WHEN)
