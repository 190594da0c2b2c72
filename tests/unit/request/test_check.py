"""Requests are held against a model before anything is paid."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import (
    Call,
    Demand,
    Options,
    Outcome,
    Purpose,
    Reference,
    Reply,
    Request,
    Size,
)
from seedream_cli.providers import PROVIDERS
from seedream_cli.providers.demand import references_of
from seedream_cli.providers.spec import Capabilities, Dialect, Provider
from seedream_cli.request.check import Resolved, resolve, split
from seedream_cli.request.sizes import fit

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 30, tzinfo=UTC)
RATIOS = ("1:1", "4:3", "16:9", "21:9")
TWO_K = {
    "1:1": Size(2048, 2048),
    "4:3": Size(2304, 1728),
    "16:9": Size(2848, 1600),
    "21:9": Size(3136, 1344),
}
FOUR_K = {"1:1": Size(4096, 4096), "16:9": Size(5504, 3040)}
ONE_K = {"1:1": Size(1024, 1024), "16:9": Size(1424, 800)}

PIXEL_4_5 = Capabilities(
    label="Pixel 4.5",
    sizes={"2K": TWO_K, "4K": FOUR_K},
    aspects=RATIOS,
    any_aspect=True,
    pixels=(3_686_400, 16_777_216),
    references=(0, 14),
    max_inputs_and_outputs=15,
    max_series=15,
    watermark=True,
    prompt_advice=(300, 600),
    fields=frozenset({"optimize_prompt_options"}),
)
PIXEL_PRO = Capabilities(
    label="Pixel pro",
    sizes={"1K": ONE_K, "1.5K": {}, "2K": {"1:1": Size(2048, 2048)}},
    aspects=RATIOS,
    any_aspect=True,
    pixels=(921_600, 4_624_220),
    formats=("jpeg", "png"),
    picks_format=True,
    references=(0, 10),
    rejects=frozenset({"stream"}),
)
PIXEL_3 = Capabilities(
    label="Pixel 3",
    default_size=None,
    pixels=(262_144, 4_194_304),
    seed=(-1, 2_147_483_647),
    guidance=(1, 10),
)
WORD_4_5 = Capabilities(
    label="Word 4.5",
    sizes={"2K": {}, "4K": {}},
    aspects=RATIOS,
    quality={"2K": "basic", "4K": "high"},
    formats=("png", "jpeg"),
    prompt=(3, 3000),
    edit_twin="word/4.5-edit",
    fields=frozenset({"nsfw_checker"}),
)
WORD_4_5_EDIT = Capabilities(
    label="Word 4.5 edit",
    sizes={"2K": {}, "4K": {}},
    aspects=RATIOS,
    quality={"2K": "basic", "4K": "high"},
    references=(1, 14),
    text_twin="word/4.5",
)
WORD_4 = Capabilities(
    label="Word 4",
    sizes={"1K": ONE_K, "2K": TWO_K},
    aspects=RATIOS,
    seed=(0, 99),
    max_series=6,
    references=(0, 10),
)
LAYERS = Capabilities(
    label="Layers", references=(1, 1), sizes={"2K": {}}, prompt=(3, 5000), needs_prompt=False
)
BATCHING = Capabilities(
    label="Batching",
    sizes={"2K": TWO_K},
    aspects=RATIOS,
    any_aspect=True,
    pixels=(921_600, 16_777_216),
    max_side=4096,
    references=(0, 10),
    max_inputs_and_outputs=15,
    max_count=6,
)
OLD = Capabilities(
    label="Old endpoint",
    sizes={"1K": {}, "2K": {}},
    aspects=("1:1", "16:9"),
    seed=(0, 99),
    guidance=(1, 20),
    steps=(1, 50),
)


def pixel_submit(request: Request) -> Call:
    """Encode as an API that takes pixels."""
    body: dict[str, object] = {"model": request.model, "prompt": request.prompt}
    if request.size or request.keyword:
        body["size"] = str(request.size or request.keyword)
    if request.seed is not None:
        body["seed"] = request.seed
    if request.references:
        body["image"] = [reference.url for reference in request.references]
    return Call(
        purpose=Purpose.SUBMIT, method="POST", path="/images", body=body | dict(request.extra)
    )


def word_submit(request: Request) -> Call:
    """Encode as an API that takes ratios and quality words, and calls back."""
    body: dict[str, object] = {"model": request.model, "input": {"prompt": request.prompt}}
    if request.aspect:
        body["aspect_ratio"] = request.aspect
    if request.quality:
        body["quality"] = request.quality
    if request.seed is not None:
        body["seed"] = request.seed
    if request.callback_url:
        body["callback"] = request.callback_url
    return Call(purpose=Purpose.SUBMIT, method="POST", path="/jobs", body=body)


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what either API is asked for."""
    del model
    return Demand(references=references_of(body["image"]) if "image" in body else None)


def no_decode(reply: Reply) -> Outcome:
    """Fail: a check never reads an answer."""
    raise AssertionError(reply)


def provider(
    name: str, models: dict[str, Capabilities], default: str | None, *, speaks_words: bool = False
) -> Provider:
    """Return a provider of these models."""
    submit = word_submit if speaks_words else pixel_submit
    return Provider(
        name=name,
        title=name.title(),
        base_url="https://api.example",
        key_env=(),
        docs="",
        charges_page="",
        keys_page="https://example.com/keys_page",
        credit_page="https://example.com/credit_page",
        path="/make",
        dialect=Dialect(submit=submit, measure=measure, decode=no_decode),
        models=models,
        default_model=default,
        url_lifetime=timedelta(hours=24),
        reference_kinds=frozenset({"url"} if name == "batch" else {"url", "inline"}),
    )


PIXEL = provider(
    "pixel", {"pixel-4-5": PIXEL_4_5, "pixel-pro": PIXEL_PRO, "pixel-3": PIXEL_3}, "pixel-4-5"
)
WORD = provider(
    "word",
    {
        "word/4.5": WORD_4_5,
        "word/4.5-edit": WORD_4_5_EDIT,
        "word/v4": WORD_4,
        "word/layers": LAYERS,
    },
    "word/4.5",
    speaks_words=True,
)
BATCH = provider("batch", {"batch-4.5": BATCHING}, "batch-4.5")
FIXED = provider("fixed", {"": OLD}, None, speaks_words=True)
ALL = (PIXEL, WORD, BATCH, FIXED)
PICTURE = Reference(source="a.png", url="https://example.com/a.png")


def ask(at: Provider = PIXEL, /, **fields: object) -> Resolved:
    """Resolve a request with these options."""
    said = {"prompt": "a lighthouse"} | fields
    options = Options(**said)  # type: ignore[arg-type]  # a test's shorthand
    return resolve(at, options, now=NOW, providers=ALL)


def refused(at: Provider = PIXEL, /, **fields: object) -> UsageError:
    """Return the mistake that these options are."""
    with pytest.raises(UsageError) as caught:
        ask(at, **fields)
    return caught.value


# Models


def test_defaults_are_complete() -> None:
    """A prompt alone is a request for the default model at 2K, 1:1, without a watermark."""
    resolved = ask()
    assert resolved.request == Request(
        model="pixel-4-5",
        prompt="a lighthouse",
        keyword="2K",
        size=Size(2048, 2048),
        aspect="1:1",
    )
    assert resolved.capabilities is PIXEL_4_5
    assert resolved.notes == ()


def test_an_unknown_model_passes_with_one_note() -> None:
    """An id that is not known is sent as is, and the note says what it may have meant."""
    resolved = ask(model="pixel-45")
    assert resolved.request.model == "pixel-45"
    assert not resolved.request.is_known_model
    assert resolved.capabilities is None
    assert len(resolved.notes) == 1
    assert "did you mean pixel-4-5?" in resolved.notes[0]


def test_a_model_of_another_provider_is_named_as_such() -> None:
    """The note on another provider's id says whose it is."""
    (note,) = ask(model="word/v4").notes
    assert "it is a model of word (-p word)" in note


def test_an_endpoint_id_is_no_misspelling() -> None:
    """An account's endpoint id gets no guess."""
    (note,) = ask(model="ep-20260101120000-abcde").notes
    assert "endpoint id" in note
    assert "did you mean" not in note


@pytest.mark.parametrize("model", ["", "a b", "pixel\n4", "\x1b[0m"])
def test_what_cannot_be_an_id_is_refused(model: str) -> None:
    """Spaces and controls are no part of a model id."""
    assert "is no model id" in refused(model=model).message


def test_a_provider_without_a_choice_refuses_one() -> None:
    """`-m` is a mistake where there is no choice; from a profile it is a note."""
    assert "no choice of model" in refused(FIXED, model="word/v4").message
    resolved = ask(FIXED, model="word/v4", defaulted=frozenset({"model"}))
    assert resolved.request.model == ""
    assert "left out" in resolved.notes[0]


def test_an_unknown_model_takes_pixels_where_its_provider_does() -> None:
    """Ratios reach an unknown model as its provider speaks them."""
    assert ask(model="pixel-9", aspect="16:9").request.size == Size(2848, 1600)
    assert ask(model="pixel-9", size="2k").request.size == Size(2048, 2048)
    assert ask(model="pixel-9", size="1K").request.size == Size(1024, 1024)
    assert ask(model="pixel-9", size="640x480").request.size == Size(640, 480)
    assert ask(model="pixel-9").request.size is None
    assert ask(WORD, model="word/9", aspect="32:18").request.aspect == "16:9"


def test_what_an_unknown_model_cannot_be_told_is_not_dropped() -> None:
    """An option without a form in the provider's API is a mistake, from a profile a note."""
    error = refused(model="pixel-9", steps=20)
    assert "--steps has no known form for pixel-9" in error.message
    assert "--set" in error.hint
    resolved = ask(model="pixel-9", steps=20, defaulted=frozenset({"steps"}))
    assert len(resolved.notes) == 2
    assert len(ask(model="pixel-9", steps=20, validate=False).notes) == 2


# Options that a model lacks


@pytest.mark.parametrize(
    ("fields", "flag", "way"),
    [
        ({"seed": 5}, "--seed", "-m pixel-3"),
        ({"steps": 5}, "--steps", "-p fixed"),
        ({"quality": "basic"}, "--quality", "-p word -m word/4.5"),
    ],
)
def test_a_lacking_option_names_models_that_have_it(
    fields: dict[str, object], flag: str, way: str
) -> None:
    """The mistake names models of this provider first, else of others."""
    error = refused(**fields)
    assert error.message == f"pixel-4-5 takes no {flag}"
    assert error.hint == f"models that do: {way}"


def test_named_models_serve_the_same_kind_of_request() -> None:
    """For an edit no model is named that takes no images."""
    assert "pixel-3" not in refused(seed=5, references=(PICTURE,)).hint
    assert "word/v4" in refused(seed=5, references=(PICTURE,)).hint


def test_a_lacking_option_of_a_profile_is_a_note() -> None:
    """A profile's default that the model lacks is left out, and said."""
    resolved = ask(seed=5, defaulted=frozenset({"seed"}))
    assert resolved.request.seed is None
    assert resolved.notes == ("pixel-4-5 takes no --seed: the profile's seed is left out",)


def test_all_mistakes_are_listed_together() -> None:
    """Several mistakes make one message, each on its line."""
    error = refused(seed=5, aspect="sideways:1", count=0, series=99)
    assert error.message.startswith("4 mistakes:\n- ")
    for part in ("--seed", "--aspect", "--count 0", "--series 99"):
        assert part in error.message
    assert error.exit == 2


@pytest.mark.parametrize(
    ("at", "fields", "part"),
    [
        (WORD, {"model": "word/v4", "seed": 100}, "--seed 100 is outside 0 to 99"),
        (FIXED, {"guidance": 0.5}, "--guidance 0.5 is outside 1 to 20"),
        (FIXED, {"guidance": math.nan}, "is no number"),
        (FIXED, {"steps": 51}, "--steps 51 is outside 1 to 50"),
        (WORD, {"watermark": True}, "word/4.5 takes no --watermark"),
        (PIXEL, {"series": 16}, "at most 15"),
        (PIXEL, {"series": 1}, "at least 2"),
        (PIXEL, {"count": -1}, "--count -1"),
        (PIXEL, {"count": 10**9}, "from 1 to 1000"),
    ],
)
def test_values_beyond_a_model_are_refused(
    at: Provider, fields: dict[str, object], part: str
) -> None:
    """Each limit of the model is checked before anything is sent."""
    assert part in refused(at, **fields).message


def test_no_watermark_is_always_fine() -> None:
    """`--no-watermark` asks nothing of a model that makes none."""
    assert ask(WORD, watermark=False).request.watermark is False
    assert ask(watermark=True).request.watermark is True


# Prompts


@pytest.mark.parametrize(
    ("prompt", "part"),
    [
        (" \n", "the prompt is empty"),
        ("a\x00b", "control characters"),
        ("a\x1b[0m", "control characters"),
        ("caf\udce9", "no UTF-8"),
    ],
)
@pytest.mark.parametrize("model", ["pixel-4-5", "unheard-of"])
def test_a_prompt_that_is_no_text_is_refused(prompt: str, part: str, model: str) -> None:
    """Emptiness, controls and undecodable bytes are mistakes for every model, even unchecked."""
    assert part in refused(prompt=prompt, model=model).message
    assert part in refused(prompt=prompt, model=model, validate=False).message


def test_prompt_lengths_are_limits_and_advice_is_a_note() -> None:
    """The hard limit refuses, the advised one notes, line breaks and tabs pass."""
    assert "3001 characters" in refused(WORD, prompt="x" * 3001).message
    assert "at least 3" in refused(WORD, prompt="ab").message
    assert "301 Han" in ask(prompt="塔" * 301).notes[0]
    assert "601 words" in ask(prompt="tower " * 601).notes[0]
    assert ask(prompt="塔" * 300 + " tower" * 600).notes == ()
    assert ask(prompt="two\n\tlines\r\n").request.prompt == "two\n\tlines\r\n"


# Sizes


@pytest.mark.parametrize("size", ["2k", " 2K ", "2048x2048", "2048×2048", "2048*2048", "2048X2048"])  # noqa: RUF001
def test_every_spelling_of_a_size_is_read(size: str) -> None:
    """Keywords in any case and pixels with any cross mean the same picture."""
    assert ask(size=size).request.size == Size(2048, 2048)


def test_pixels_are_sent_as_pixels() -> None:
    """A free size has no keyword, and the ratio that it is."""
    request = ask(size="2560x1440").request
    assert (request.keyword, request.size, request.aspect) == (None, Size(2560, 1440), "16:9")
    assert ask(size="2000x1999").request.aspect is None


def test_too_few_pixels_says_what_would_do() -> None:
    """The message has the number, the limit and a way out."""
    assert refused(size="1024x1024").message == (
        "1024x1024 has 1048576 pixels; pixel-4-5 needs at least 3686400 "
        "(for example 2048x2048 or --size 2K)"
    )
    assert refused(size="1024x1024").hint == "models that do: -m pixel-pro, -m pixel-3"


@pytest.mark.parametrize(
    ("at", "size", "part"),
    [
        (PIXEL, "5000x5000", "at most 16777216 (for example 4096x4096 or --size 4K)"),
        (PIXEL, "16384x512", "is too long and thin"),
        (BATCH, "4112x1024", "sides of at most 4096"),
        (PIXEL, "0x2048", "at least one pixel"),
        (PIXEL, "2048", "neither a word like 2K nor pixels"),
        (PIXEL, "big", "takes --size 2K, 4K, not big"),
        (PIXEL, "3K", "takes --size 2K, 4K, not 3K"),
        (WORD, "2048x2048", "takes no --size in pixels"),
    ],
)
def test_sizes_beyond_a_model_are_refused(at: Provider, size: str, part: str) -> None:
    """Area, ratio, longest side and keyword are checked, each in its words."""
    assert part in refused(at, size=size).message


def test_a_model_with_a_table_takes_its_entries() -> None:
    """Pixels out of the table become keyword and ratio; others name the nearest."""
    request = ask(WORD, model="word/v4", size="2848x1600").request
    assert (request.keyword, request.aspect) == ("2K", "16:9")
    error = refused(WORD, model="word/v4", size="2800x1600")
    assert error.message == (
        "word/v4 does not make 2800x1600; the nearest is 2848x1600 (--size 2K --aspect 16:9)"
    )


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("16:9", Size(2848, 1600)), ("32:18", Size(2848, 1600)), ("7:3", Size(3136, 1344))],
)
def test_a_ratio_is_reduced_to_the_listed_one(aspect: str, size: Size) -> None:
    """Equal ratios are one ratio, in the spelling of the model."""
    request = ask(aspect=aspect).request
    assert request.size == size
    assert request.aspect in RATIOS


@pytest.mark.parametrize("aspect", ["16/9", "16x9", "0:1", "-1:2", "1.5:1", "", ":", "１:1"])  # noqa: RUF001
def test_what_is_no_ratio_is_refused(aspect: str) -> None:
    """Only two positive whole numbers with a colon are a ratio."""
    assert "is not a ratio" in refused(aspect=aspect).message


def test_unlisted_ratios_become_pixels_where_the_model_takes_pixels() -> None:
    """Another ratio is computed where pixels are sent, and refused where words are."""
    request = ask(aspect="5:4").request
    assert request.size == Size(2320, 1856)
    assert request.aspect == "5:4"
    assert refused(WORD, aspect="5:4").message == (
        "word/4.5 takes --aspect 1:1, 4:3, 16:9, 21:9, not 5:4"
    )
    assert "1:16 to 16:1" in refused(aspect="17:1").message


def test_a_long_side_can_make_a_ratio_impossible() -> None:
    """A ratio whose pixels fit no bound is refused rather than bent."""
    strict = replace(BATCHING, pixels=(3_686_400, 16_777_216))
    at = replace(BATCH, models={"batch-4.5": strict})
    assert "makes no 2K picture of 16:1" in refused(at, aspect="16:1").message
    assert ask(BATCH, size="2K", aspect="16:1").request.size == Size(4096, 256)


@given(
    wide=st.integers(1, 64),
    high=st.integers(1, 64),
    area=st.sampled_from([1024**2, 1536**2, 2048**2, 4096**2]),
)
@settings(max_examples=60)
def test_computed_pixels_keep_every_promise(wide: int, high: int, area: int) -> None:
    """Computed sizes are multiples of 16 within the bounds, close to ratio and area."""
    bounds = (round(area * 0.85), round(area * 1.1))
    size = fit(area, (wide, high), bounds, None)
    if max(wide, high) > 16 * min(wide, high):
        return
    assert size is not None
    assert size.width % 16 == size.height % 16 == 0
    assert bounds[0] <= size.pixels <= bounds[1]
    assert abs(math.log(size.width * high / (size.height * wide))) < 0.04
    assert max(size.width, size.height) <= 16 * min(size.width, size.height)


def test_pixels_and_ratio_must_agree() -> None:
    """Pixels with their own ratio pass, with another they are a mistake."""
    assert ask(size="2848x1600", aspect="16:9").request.aspect == "16:9"
    error = refused(size="2048x2048", aspect="16:9")
    assert "--size 2048x2048 is not --aspect 16:9" in error.message


def test_what_is_typed_wins_over_a_profile() -> None:
    """Where a typed word clashes with a profile's, the profile's gives way with a note."""
    resolved = ask(size="2048x2048", aspect="16:9", defaulted=frozenset({"aspect"}))
    assert resolved.request.size == Size(2048, 2048)
    assert "the profile's aspect is left out" in resolved.notes[0]
    resolved = ask(
        WORD, size="4K", aspect="16:9", quality="basic", defaulted=frozenset({"size", "aspect"})
    )
    assert (resolved.request.keyword, resolved.request.aspect) == ("2K", "16:9")
    assert "the profile's size is left out" in resolved.notes[0]


# Quality


@pytest.mark.parametrize(
    ("fields", "keyword", "word"),
    [
        ({}, "2K", "basic"),
        ({"size": "4k"}, "4K", "high"),
        ({"quality": "HIGH"}, "4K", "high"),
        ({"quality": "high", "size": "4K"}, "4K", "high"),
    ],
)
def test_size_speaks_for_quality(fields: dict[str, object], keyword: str, word: str) -> None:
    """Keyword and quality word follow from each other."""
    request = ask(WORD, **fields).request
    assert (request.keyword, request.quality) == (keyword, word)


def test_quality_is_checked() -> None:
    """Unknown words and contradictions are mistakes."""
    assert (
        refused(WORD, quality="ultra").message == "word/4.5 takes --quality basic, high, not ultra"
    )
    assert "disagree (4K is high)" in refused(WORD, size="4K", quality="basic").message


# Formats


def test_formats_are_sent_where_the_model_can_choose() -> None:
    """A choice is sent, an only format is not, and an impossible one is refused."""
    assert ask(model="pixel-pro", format="png").request.format == "png"
    assert ask(model="pixel-pro", format="JPG").request.format == "jpeg"
    assert ask(format="jpeg").request.format is None
    error = refused(format="png")
    assert error.message == "pixel-4-5 makes JPEG only, not PNG"
    assert error.hint == "models that do: -m pixel-pro"
    assert "chooses its format itself" in refused(WORD, format="png").message


# References and twins


def test_an_edit_goes_to_the_twin() -> None:
    """The default changes to its twin quietly, a typed model with a note."""
    resolved = ask(WORD, edit=True, references=(PICTURE,))
    assert resolved.request.model == "word/4.5-edit"
    assert resolved.request.edit
    assert resolved.notes == ()
    resolved = ask(WORD, model="word/4.5", edit=True, references=(PICTURE,))
    assert resolved.request.model == "word/4.5-edit"
    assert resolved.notes == ("word/4.5-edit edits, so it stands in for word/4.5",)


def test_generate_with_a_model_that_only_edits_is_refused() -> None:
    """The message says how to edit; a profile's edit model gives way to its text twin."""
    error = refused(WORD, model="word/4.5-edit")
    assert "works from reference images" in error.message
    assert error.hint == "it takes edit, and -i IMAGE; without one: -m word/4.5"
    resolved = ask(WORD, model="word/4.5-edit", defaulted=frozenset({"model"}))
    assert resolved.request.model == "word/4.5"
    layers = refused(WORD, model="word/layers", defaulted=frozenset({"model"}))
    assert "works from reference images" in layers.message


def test_edit_needs_images_that_the_model_takes() -> None:
    """No image, too many, or a model that takes none are mistakes."""
    assert "needs a reference image" in refused(edit=True).message
    assert "15 reference images; pixel-4-5 takes at most 14" in (
        refused(edit=True, references=(PICTURE,) * 15).message
    )
    assert "pixel-3 takes no -i IMAGE" in (
        refused(model="pixel-3", edit=True, references=(PICTURE,)).message
    )


def test_inline_images_are_refused_where_only_urls_are_taken() -> None:
    """A local file cannot go to a provider that takes URLs only."""
    inline = Reference(source="a.png", url="data:image/png;base64,AA==")
    assert "https URL only" in refused(BATCH, edit=True, references=(inline,)).message
    assert ask(edit=True, references=(inline,)).request.references == (inline,)


def test_a_prompt_may_be_empty_where_the_model_needs_none() -> None:
    """A model that works from the image alone takes an empty prompt."""
    request = ask(WORD, prompt="", model="word/layers", edit=True, references=(PICTURE,)).request
    assert request.prompt == ""


# Sets and counts


def test_inputs_and_outputs_share_a_limit() -> None:
    """A set with references stays within what the model takes together."""
    assert ask(series=12, references=(PICTURE,) * 3).request.series == 12
    error = refused(series=13, references=(PICTURE,) * 3)
    assert "16 images; pixel-4-5 takes 15 together (--series 12 would do)" in error.message
    assert "fewer references" in refused(series=2, references=(PICTURE,) * 14).message


def test_split_requests_differ_in_nothing_but_their_count() -> None:
    """Sets and pictures are asked for as often as counted, one request each."""
    assert [part.count for part in split(ask(BATCH, count=7))] == [1] * 7
    sets = split(ask(series=4, count=2))
    assert [(part.series, part.count) for part in sets] == [(4, 1), (4, 1)]


# Fields of the provider's own


def test_own_fields_pass_with_a_warning_where_unknown() -> None:
    """Documented fields pass quietly, others with a note, refused ones not at all."""
    known: dict[str, object] = {"optimize_prompt_options": {"mode": "fast"}}
    resolved = ask(extra=known)
    assert resolved.request.extra == known
    assert resolved.notes == ()
    assert ask(extra={"size": "2560x1440"}).notes == ()
    (note,) = ask(extra={"bogus": 1}).notes
    assert "--set bogus is no field that pixel-4-5 documents" in note
    error = refused(model="pixel-pro", extra={"stream": False})
    assert "answers stream with an error" in error.message


@pytest.mark.parametrize(
    ("name", "model", "size", "aspect", "fields"),
    [
        ("ark", "ep-20261101-abcde", "2K", "16:9", {"size": "2848x1600"}),
        ("ark", "ep-20261101-abcde", "4k", None, {"size": "4096x4096"}),
        ("ark", "ep-20261101-abcde", None, "1:1", {"size": "2048x2048"}),
        ("byteplus", "nova-9", "2048x1152", "16:9", {"size": "2048x1152"}),
        ("uniall", "nova-9", "2K", "1:1", {"custom_size": {"width": 2048, "height": 2048}}),
        ("seedreams", "nova-9", "2K", "16:9", {"quality": "basic", "ratio": "16:9"}),
        ("kie", "nova-9", None, "16:9", {"aspect_ratio": "16:9"}),
        ("kie", "nova-9", None, "1:1", {"aspect_ratio": "1:1"}),
    ],
)
def test_an_unknown_model_gets_every_size(
    name: str, model: str, size: str | None, aspect: str | None, fields: dict[str, object]
) -> None:
    """What is said of a size goes out, also where it is what would be sent without a word."""
    at = PROVIDERS[name]
    resolved = ask(at, model=model, size=size, aspect=aspect)
    assert resolved.capabilities is None
    body = at.dialect.submit(resolved.request).body or {}
    inner = body.get("input", body)
    assert isinstance(inner, dict)
    assert fields.items() <= inner.items()


@pytest.mark.parametrize("size", ["2K", "4K", "2048x2048"])
def test_an_unknown_kie_model_is_lent_no_quality(size: str) -> None:
    """A word means another size on each model there, so the person says it as KIE does."""
    error = refused(PROVIDERS["kie"], model="nova-9", size=size)
    assert "--set quality=WORD" in error.hint


def test_an_unknown_models_words_may_not_clash() -> None:
    """Pixels and another ratio say two things, whoever makes the picture."""
    error = refused(PROVIDERS["ark"], model="ep-20261101-abcde", size="2048x2048", aspect="16:9")
    assert "leave one of them out" in error.message


@pytest.mark.parametrize("extra", [{"prompt": "x"}, {"model": "x"}, {"input": {"prompt": "x"}}])
def test_prompt_and_model_are_not_set_behind_our_back(extra: dict[str, object]) -> None:
    """Fields that names, prices and checks rest on have their own options."""
    assert "is not possible" in refused(WORD, extra=extra).message
    assert "is not possible" in refused(WORD, extra=extra, validate=False).message


@pytest.mark.parametrize(
    "url", ["ftp://example.com/x", "example.com", "https://", "http://[", "https://a b"]
)
def test_a_callback_is_a_web_address(url: str) -> None:
    """Anything but an http or https URL is refused."""
    assert "is no http or https URL" in refused(WORD, callback_url=url).message


def test_a_callback_goes_where_it_is_heard() -> None:
    """Providers without callbacks refuse one and name those that have them."""
    url = "https://example.com/hook"
    assert ask(WORD, callback_url=url).request.callback_url == url
    error = refused(callback_url=url)
    assert "Pixel takes no --callback-url" in error.message
    assert error.hint == "providers that do: word, fixed"


# Without validation


def test_no_validate_sends_things_as_given() -> None:
    """`--no-validate` skips the model's limits, and says what still cannot be said."""
    resolved = ask(size="640x480", seed=7, series=99, validate=False)
    assert resolved.request.size == Size(640, 480)
    assert resolved.request.seed == 7
    assert resolved.request.series == 99
    assert resolved.notes == ("--series has no known form for pixel-4-5: it is left out",)
    assert ask(size="3K", validate=False).request.keyword == "3K"
    assert ask(WORD, model="word/4.5-edit", validate=False).request.model == "word/4.5-edit"
    assert ask(validate=False).request == ask().request


@given(
    size=st.none() | st.text(max_size=9) | st.sampled_from(["2K", "4k", "1x1", "9999x9999"]),
    aspect=st.none() | st.text(max_size=6) | st.sampled_from(["1:1", "9999:1", "auto"]),
    quality=st.none() | st.sampled_from(["basic", "x"]),
    at=st.sampled_from(ALL),
    validate=st.booleans(),
    model=st.sampled_from([None, "pixel-9", "word/4.5", "pixel-3"]),
)
@settings(max_examples=150)
def test_any_words_give_a_request_or_a_usage_error(
    *,
    size: str | None,
    aspect: str | None,
    quality: str | None,
    at: Provider,
    validate: bool,
    model: str | None,
) -> None:
    """No combination of words ends in anything but a request or a helpful refusal."""
    options = Options(
        prompt="fox", size=size, aspect=aspect, quality=quality, validate=validate, model=model
    )
    with suppress(UsageError):
        assert split(resolve(at, options, now=NOW, providers=ALL))
