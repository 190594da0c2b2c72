"""Which model is asked: today's default, who stands in for it, and what is said of retired ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Options, Reference, Size
from seedream_cli.providers import PROVIDERS
from seedream_cli.request.check import Resolved, resolve_named

FLASH, V4 = "doubao-seedream-5-0-flash-260915", "doubao-seedream-4-0-20260415"
PRO, LITE = "doubao-seedream-5-0-pro-260628", "doubao-seedream-5-0-260128"
OLD = "doubao-seedream-4-5-251128"
ENDED = datetime(2026, 11, 24, 14, 0, tzinfo=timezone(timedelta(hours=8)))
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def ask(
    at: str = "ark", /, *, now: datetime = NOW, named: str | None = None, **fields: object
) -> Resolved:
    """Resolve a request with these options, whose file's name asks for the format `named`."""
    options = Options(**{"prompt": "a fox"} | fields)  # type: ignore[arg-type]  # real names
    others = PROVIDERS.values()
    return resolve_named(PROVIDERS[at], options, named, "cat", now=now, providers=others)


def refused(at: str = "ark", /, **fields: object) -> UsageError:
    """Return the mistake that these options are."""
    with pytest.raises(UsageError) as caught:
        ask(at, **fields)  # type: ignore[arg-type]  # as above
    return caught.value


def pictures(count: int) -> dict[str, object]:
    """Return the options of an edit with so many references."""
    one = Reference(source="a.png", url="https://example.com/a.png")
    return {"references": (one,) * count, "edit": True}


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({}, FLASH),
        ({"size": "1.5K", "aspect": "16:9"}, FLASH),
        ({"size": "2000x2312"}, FLASH),
        ({"format": "png"}, FLASH),
        ({"named": "png"}, FLASH),
        (pictures(10), FLASH),
        ({"extra": {"background": "transparent"}, **pictures(1)}, FLASH),
        ({"size": "4K"}, V4),
        ({"size": "2001x2312"}, V4),
        ({"size": "4K", "named": "jpeg"}, V4),
        ({"series": 4}, V4),
        ({"series": 3, "aspect": "16:9", **pictures(2)}, V4),
        (pictures(11), V4),
        (pictures(14), V4),
        ({"extra": {"sequential_image_generation": "auto"}}, V4),
        ({"extra": {"optimize_prompt_options": {"mode": "fast"}}}, V4),
        ({"series": 4, "validate": False}, V4),
        ({"size": "4K", "seed": 7, "defaulted": frozenset({"seed"})}, V4),
    ],
)
def test_who_can_do_it_is_asked(fields: dict[str, object], model: str) -> None:
    """Where nobody chose a model, the default makes it, or else its stand-in, and that is said."""
    found = ask(**fields)  # type: ignore[arg-type]  # real names
    assert found.request.model == model
    told = [note for note in found.notes if "stands in" in note]
    assert [model in note for note in told] == ([] if model == FLASH else [True])


def test_a_profile_that_asks_for_more_gets_the_stand_in() -> None:
    """A profile's 4K is made in 4K; its seed, which neither takes, changes nothing."""
    mine = frozenset({"size", "seed"})
    found = ask(size="4K", seed=7, defaulted=mine)
    assert (found.request.model, found.request.keyword) == (V4, "4K")
    assert any("what the profile asks for" in note for note in found.notes)
    assert ask(seed=7, defaulted=mine).request.model == FLASH


@pytest.mark.parametrize("defaulted", [frozenset[str](), frozenset({"model"})])
def test_a_model_that_somebody_chose_is_kept(defaulted: frozenset[str]) -> None:
    """Named on the line or by a profile: what it cannot do is refused, naming who can."""
    found = refused(model=FLASH, series=4, defaulted=defaulted)
    assert "takes no --series" in found.message
    assert f"-m {V4}" in found.hint
    assert OLD not in found.hint


@pytest.mark.parametrize(
    ("fields", "words", "way"),
    [
        ({"size": "3K"}, "not 3K", "-p byteplus -m seedream-5-0-260128"),
        ({"size": "4K", "format": "png"}, "makes JPEG only", "-p byteplus -m seedream-5-0-260128"),
        ({"size": "4K", "named": "png"}, "makes JPEG only", "use -o cat.jpg or -o cat"),
        ({"series": 4, "named": "png"}, "makes JPEG only", "-p byteplus -m seedream-5-0-260128"),
        ({"series": 16}, "sets of at most 15", ""),
        ({"size": "9000x9000"}, "at most 16777216", ""),
        (pictures(15), "takes at most 14", ""),
    ],
)
def test_what_nobody_here_can_do_names_who_can(
    fields: dict[str, object], words: str, way: str
) -> None:
    """The refusal tells of the default and of the stand-in, and of models that live."""
    found = refused(**fields)
    assert "its stand-in cannot either" in found.message
    assert words in found.message
    assert way in found.hint
    assert not any(gone in found.hint for gone in (OLD, "doubao-seedream-5-0-260128", "5.0-lite"))


def test_a_mistake_of_another_kind_is_told_once() -> None:
    """What is wrong whoever makes it says nothing of models."""
    assert refused(prompt="a\x07fox").message == "the prompt holds control characters"


def test_other_providers_have_no_stand_in() -> None:
    """BytePlus keeps 4.5, which can do all that it could."""
    found = ask("byteplus", series=4, size="4K")
    assert found.request.model == "seedream-4-5-251128"
    assert found.notes == ()


@pytest.mark.parametrize(
    ("model", "fields", "successor"),
    [
        (OLD, {}, PRO),
        (OLD, {"series": 4}, V4),
        (OLD, {"size": "4K"}, V4),
        (OLD, pictures(12), V4),
        (LITE, {"format": "png"}, PRO),
        ("doubao-seedream-4-0-250828", {}, V4),
        ("doubao-seedream-3-0-t2i-250415", {}, FLASH),
        ("doubao-seededit-3-0-i2i-250628", pictures(1), FLASH),
    ],
)
def test_a_retired_model_goes_out_with_a_note(
    model: str, fields: dict[str, object], successor: str
) -> None:
    """It is sent as it was asked for; the note names a living model that can do the same."""
    found = ask(model=model, **fields)  # type: ignore[arg-type]  # real names
    assert found.request.model == model
    assert f"{model} was retired on 2026-" in found.notes[0]
    assert f"-m {successor}" in found.notes[0]
    assert ask(model=successor, **fields).request.model == successor  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["seedream-3-0-t2i-250415", "seedream-4-0-250828"])
def test_byteplus_has_dates_of_its_own(model: str) -> None:
    """3.0 ended there in May, weeks after Ark; 4.0, 4.5 and lite live."""
    notes = ask("byteplus", model=model).notes
    gone = "seedream-3-0-t2i-250415 was retired on 2026-05-13; its successor is seedream-4-0-250828"
    assert [note.partition(" (")[0] for note in notes] == ([gone] if "3-0" in model else [])


def test_an_end_that_is_to_come_is_none() -> None:
    """Until its last minute a model lives, whatever this machine's clock says."""
    assert ask(model=OLD, now=ENDED - timedelta(seconds=1)).notes == ()
    assert "was retired" in ask(model=OLD, now=ENDED).notes[0]


def test_nobody_is_sent_to_a_model_that_is_gone() -> None:
    """A near miss of a retired id proposes its successor, that of a living one itself."""
    (note,) = ask(model="doubao-seedream-4-5-251129").notes
    assert f"did you mean {PRO}, the successor of {OLD}?" in note
    (note,) = ask(model="doubao-seedream-5-0-flash-260916").notes
    assert f"did you mean {FLASH}?" in note


def test_the_words_for_an_unknown_model_mean_what_they_meant() -> None:
    """An endpoint's 16:9 stays the pixels that locks have, whatever the default is today."""
    found = ask(model="ep-20260101120000-abcde", aspect="16:9")
    assert found.request.size == Size(2848, 1600)
