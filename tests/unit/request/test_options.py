"""Options are said once: one table, one rule of what overrules what, read by all who set them."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from seedream_cli.batch.manifest.read import Syntax, read
from seedream_cli.batch.resolve import options_of
from seedream_cli.cli.arguments import GenerateArguments, options
from seedream_cli.cli.commands.edit import edit
from seedream_cli.core.model import Options, Profile
from seedream_cli.request.options import (
    KINDS,
    OF_MANIFESTS,
    OF_MODELS,
    OF_PROFILES,
    OF_REQUESTS,
    OPTIONS,
    overlay,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 12, 1, tzinfo=UTC)
NEARER_AND_FURTHER = [
    ({"size": "4K"}, {"size": "2K"}, {"size": "4K"}),
    ({"size": "4K"}, {"aspect": "16:9"}, {"size": "4K", "aspect": "16:9"}),
    ({"size": "2048x1152"}, {"aspect": "1:1"}, {"size": "2048x1152"}),
    ({"size": " 2048 X 1152 "}, {"aspect": "1:1"}, {"size": " 2048 X 1152 "}),
    ({"size": "2048*1152"}, {"aspect": "1:1"}, {"size": "2048*1152"}),
    ({"size": "2048\u00d71152"}, {"aspect": "1:1"}, {"size": "2048\u00d71152"}),
    ({"size": "4K"}, {"quality": "basic"}, {"size": "4K"}),
    ({"quality": "high"}, {"size": "2K", "aspect": "1:1"}, {"quality": "high", "aspect": "1:1"}),
    ({"watermark": False}, {"watermark": True}, {"watermark": False}),
    ({"set": {"a": {"b": 1}}}, {"set": {"a": {"c": 2}}}, {"set": {"a": {"b": 1, "c": 2}}}),
    ({"set": {"a": 1}}, {"set": {"a": {"c": 2}, "d": 3}}, {"set": {"a": 1, "d": 3}}),
]
"""What was said nearer, what further away, and what stands."""


@pytest.mark.parametrize(("nearer", "further", "both"), NEARER_AND_FURTHER)
def test_one_rule_of_what_overrules_what(
    nearer: Mapping[str, object], further: Mapping[str, object], both: Mapping[str, object]
) -> None:
    """An option overrules itself, a quality or size the other, a size in pixels an aspect."""
    assert overlay(nearer, further) == both
    assert overlay({**nearer, "steps": None}, {**further, "series": None}) == both


def said(found: Options) -> dict[str, object]:
    """Return what these options say, by name."""
    values = {name: getattr(found, name) for name in OF_REQUESTS} | {"set": found.extra or None}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(("nearer", "further", "both"), NEARER_AND_FURTHER)
def test_profiles_and_manifests_follow_it(
    nearer: Mapping[str, object], further: Mapping[str, object], both: Mapping[str, object]
) -> None:
    """Typed over a profile, a row over [defaults], a row over what was typed: one outcome."""
    typed = {name: value for name, value in nearer.items() if name != "set"}
    if "set" not in nearer:
        profile = Profile(name="p", provider="ark", base_url="", defaults=further)
        arguments = GenerateArguments(prompt="x", **typed)  # type: ignore[arg-type]
        assert said(options(arguments, profile, "x")) == both
    text = "".join(f"{name} = {_toml(value)}\n" for name, value in nearer.items())
    defaults = "".join(f"{name} = {_toml(value)}\n" for name, value in further.items())
    whole = f'[defaults]\n{defaults}[images.a]\nprompt = "x"\n{text}'
    [row] = read(whole, file="f", kind=Syntax.TOML, load=str).rows
    assert row.options == both
    [bare] = read(f'[images.a]\nprompt = "x"\n{text}', file="f", kind=Syntax.TOML, load=str).rows
    assert said(options_of(bare, further, ())) == both


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
        case bool():
            return str(value).lower()
        case _:
            return repr(value)


def test_the_table_is_whole() -> None:
    """Each option's kind is known; what goes into a request is a field, what is typed an option."""
    assert {option.kind for option in OPTIONS} <= KINDS.keys()
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)
    fields = {field.name for field in dataclasses.fields(Options)}
    assert {*OF_REQUESTS, *(option.name for option in OF_MODELS)} <= fields
    typed = {
        "references" if name == "image" else name for name in inspect.signature(edit).parameters
    }
    assert OF_PROFILES.keys() | OF_MANIFESTS.keys() <= typed
