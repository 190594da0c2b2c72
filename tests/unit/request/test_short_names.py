"""Short names of models mean the same everywhere, and never lose what they meant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Options, Reference
from seedream_cli.providers import PROVIDERS
from seedream_cli.providers.spec import SHORT_NAMES
from seedream_cli.request.check import Resolved, resolve
from seedream_cli.request.model_choice import near_miss

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PICTURE = Reference(source="a", url="https://example.com/a.png")
EVER = {
    "ark": {
        "5.5": ["doubao-seedream-5-5-261028"],
        "5-pro": ["doubao-seedream-5-0-pro-260628"],
        "5-flash": ["doubao-seedream-5-0-flash-260915"],
        "5-lite": ["doubao-seedream-5-0-260128"],
        "4.5": ["doubao-seedream-4-5-251128"],
        "4": ["doubao-seedream-4-0-250828", "doubao-seedream-4-0-20260415"],
    },
    "byteplus": {
        "5.5": ["dola-seedream-5-5-261028"],
        "5-pro": ["dola-seedream-5-0-pro-260628"],
        "5-flash": ["dola-seedream-5-0-flash-260915"],
        "5-lite": ["seedream-5-0-260128"],
        "4.5": ["seedream-4-5-251128"],
        "4": ["seedream-4-0-250828"],
    },
    "kie": {
        "5-pro": ["seedream/5-pro-text-to-image"],
        "5-flash": ["seedream/5-flash-text-to-image"],
        "5-lite": ["seedream/5-lite-text-to-image"],
        "4.5": ["seedream/4.5-text-to-image"],
        "4": ["bytedance/seedream-v4-text-to-image"],
    },
    "uniall": {"5-lite": ["seedream-5.0-lite"], "4.5": ["seedream-4.5"], "4": ["seedream-4.0"]},
    "seedreams": {
        "5-lite": ["seedream/5-lite-text-to-image"],
        "4.5": ["seedream/4.5-text-to-image"],
        "4": ["bytedance/seedream-v4"],
    },
}
"""What they have meant since there were any: lines are added here and never changed."""


def ask(provider: str, model: str | None, **more: object) -> Resolved:
    """Resolve a request for a model."""
    references = (PICTURE,) if more.get("edit") else ()
    said = {"prompt": "a fox", "model": model, "references": references} | more
    options = Options(**said)  # type: ignore[arg-type]  # a test's shorthand
    return resolve(PROVIDERS[provider], options, now=NOW, providers=PROVIDERS.values())


def test_what_a_name_ever_meant_stays() -> None:
    """A history begins with all that was ever in it: locks of manifests rest on that."""
    for provider, names in EVER.items():
        found = PROVIDERS[provider].short_names
        assert {word: list(found[word][: len(ids)]) for word, ids in names.items()} == names


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_meaning_is_a_model(provider: str) -> None:
    """Names are of the six, and each id is a model that works from text."""
    spec = PROVIDERS[provider]
    assert set(spec.short_names) <= set(SHORT_NAMES)
    for ids in spec.short_names.values():
        assert len(set(ids)) == len(ids)
        assert all(spec.models[name].references[0] == 0 for name in ids)


def test_a_name_means_its_present_id() -> None:
    """The newest id is asked for, without a word about it; capitals do not matter."""
    found = ask("ark", "4")
    assert found.request.model == "doubao-seedream-4-0-20260415"
    assert found.notes == ()
    assert ask("kie", " 5-PRO ").request.model == "seedream/5-pro-text-to-image"


@pytest.mark.parametrize("validate", [True, False])
def test_the_deed_chooses_the_twin(validate: bool) -> None:  # noqa: FBT001 - a parameter
    """The same name edits and draws from text, typed or from a profile, without a note."""
    for defaulted in (frozenset[str](), frozenset({"model"})):
        more: dict[str, object] = {"validate": validate, "defaulted": defaulted}
        edited = ask("kie", "4.5", edit=True, **more)
        assert (edited.request.model, edited.notes) == ("seedream/4.5-edit", ())
        drawn = ask("kie", "4.5", **more)
        assert (drawn.request.model, drawn.notes) == ("seedream/4.5-text-to-image", ())


def test_a_name_that_is_lacked_says_who_has_it() -> None:
    """It is exit 2, and never an unknown id that passes."""
    with pytest.raises(UsageError) as found:
        ask("kie", "5.5")
    assert found.value.message == "kie has no Seedream 5.5"
    assert "-p ark, -p byteplus" in found.value.hint
    with pytest.raises(UsageError, match="has no choice of model"):
        ask("kie-seedream", "4")


def test_a_retired_meaning_is_named_and_noted() -> None:
    """A name whose present id is retired is sent as that id would be: with a note before."""
    found = ask("ark", "4.5")
    assert found.request.model == "doubao-seedream-4-5-251128"
    assert "was retired on 2026-11-24" in found.notes[0]


@pytest.mark.parametrize(
    ("provider", "model", "edits", "plain"),
    [
        ("kie", "seedream-4.6", "seedream/4.5-edit", ""),
        (
            "fal",
            "fal-ai/bytedance/seedream/v4.5/edits",
            "fal-ai/bytedance/seedream/v4.5/edit",
            "fal-ai/bytedance/seedream/v4.5/text-to-image",
        ),
    ],
)
def test_a_near_miss_can_do_what_is_asked(
    provider: str, model: str, edits: str, plain: str
) -> None:
    """Nobody is sent to a model that only edits for a picture from nothing, nor the other way."""
    _, with_images = near_miss(PROVIDERS[provider], model, NOW, has_references=True)
    _, without = near_miss(PROVIDERS[provider], model, NOW, has_references=False)
    assert with_images == edits
    assert without == plain


def test_a_near_miss_is_asked_about() -> None:
    """A slip in a short name is an unknown id, with a guess."""
    (note,) = ask("ark", "5pro").notes
    assert "did you mean 5-pro?" in note
