"""What a row asks for, complete, and its description digest: what that rests on and what not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from seedream_cli.batch import resolve as targets
from seedream_cli.batch.lock.entries import Entry
from seedream_cli.batch.manifest import read as manifest
from seedream_cli.batch.resolve import Source, Target, aspect_of, count_of, keyword_of
from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Call, Purpose
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seedream_cli.batch.manifest.read import Row

NOW = datetime(2026, 11, 30, tzinfo=UTC)
LOCKED = Entry(
    name="hero",
    n=1,
    output="hero.jpg",
    description_digest="1:old",
    sha256="a" * 64,
    size=1,
    provider="ark",
    model="doubao-seedream-4-0-250828",
    keyword="4K",
    aspect="16:9",
    date="2026-11-21",
)


_STEPPED = replace(
    PROVIDERS["ark"].dialect,
    submit=lambda request: Call(
        purpose=Purpose.SUBMIT, method="POST", path="/", body={"steps": request.steps}
    ),
)


def row(defaults: Mapping[str, object] | None = None, /, **fields: object) -> Row:
    """Build a row as a manifest would."""
    said = {"prompt": "a fox", **fields}
    text = "[images.hero]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in said.items())
    if defaults:
        text += "[defaults]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in defaults.items())
    kind = manifest.Syntax.TOML
    return manifest.read(text, file="art.toml", kind=kind, load=lambda name: name).rows[0]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


def target(
    asked: Row,
    provider: str = "ark",
    typed: Mapping[str, object] | None = None,
    sources: Sequence[Source] = (),
    entry: Entry | None = None,
    named: str | None = None,
) -> Target:
    """Return a row's request."""
    spec, all_ = PROVIDERS[provider], PROVIDERS.values()
    return targets.resolve_row(
        asked, spec, typed or {}, sources, entry, now=NOW, named=(named, "hero"), providers=all_
    )


def print_of(asked: Row, provider: str = "ark", **more: object) -> str:
    """Return a row's description digest."""
    found = target(asked, provider, **more).description_digest  # type: ignore[arg-type]
    assert found is not None
    return found


def sources(*digests: str) -> list[Source]:
    """Build local references with these bytes."""
    return [Source(text=f"{digest}.png", digest=digest) for digest in digests]


def test_the_description_digest_of_a_picture_is_frozen() -> None:
    """An upgrade that changes this makes everybody's pictures stale, and they pay for them again.

    Never write the new value here: compute the old one beside the new one, and take either.
    """
    asked = row(
        prompt="a lighthouse at dawn",
        model="seedream/5-lite-text-to-image",
        size="2K",
        aspect="16:9",
        set={"nsfw_checker": False},
    )
    assert print_of(asked, "kie") == (
        "1:de6bf6a1aef43e3c855214cf46f512ac62043ac3aabfbcea2b63f5881ca97e95"
    )
    assert print_of(row(seed=7, guidance=2.5), "ark", typed={"model": "doubao-x"}) == (
        "1:6771d9b8461b1f675d52837a2b64c0b4aac4284938ca1c11d7028298e4a37783"
    )


def test_the_description_digest_of_a_set_with_references_is_frozen() -> None:
    """The same promise for what the first example does not say."""
    asked = row(series=3, watermark=True, size="2560x1440", model="doubao-seedream-4-0-250828")
    found = print_of(asked, sources=[*sources("a" * 64), Source(text="https://example.com/b.png")])
    assert found == ("1:993e6ab437a52ee7ddc6d4e266ab2f3fddc4c1dfa423c3d95fa1b754350f09c6")


SAME = [
    ("kie", {"set": {"a": 1, "b": {"c": 2, "d": 3}}}, {"set": {"b": {"d": 3, "c": 2}, "a": 1}}),
    ("ark", {"size": "2k"}, {"size": "2K"}),
    ("ark", {"size": "2K", "aspect": "1:1"}, {}),
    ("ark", {"watermark": False}, {}),
    ("ark", {"count": 3}, {}),
    ("ark", {"output": "site/fox.jpg"}, {}),
    ("ark", {"sidecar": True}, {}),
    ("ark", {"profile": "work"}, {}),
    ("kie", {"callback_url": "https://example.com/"}, {}),
    ("ark", {"model": "own-model", "guidance": 7}, {"model": "own-model", "guidance": 7.0}),
    ("kie", {"quality": "basic"}, {"size": "2K"}),
    ("ark", {"prompt_suffix": ", flat"}, {"prompt": "a fox, flat"}),
]


@pytest.mark.parametrize(("provider", "left", "right"), SAME)
def test_what_a_description_digest_does_not_rest_on(
    provider: str, left: dict[str, object], right: dict[str, object]
) -> None:
    """The same picture in other words, or at another place, is not made again."""
    assert print_of(row(**left), provider) == print_of(row(**right), provider)


def test_who_says_it_does_not_matter() -> None:
    """Defaults, the row and the command line are one when they say the same."""
    said = {"size": "4K", "aspect": "16:9", "set": {"x": 1}}
    prints = {
        print_of(row(**said)),
        print_of(row(said)),
        print_of(row(), typed=said),
        print_of(row(size="4K"), typed={**said, "size": "2K"}),
    }
    assert len(prints) == 1


DIFFERENT = [
    ("ark", {}, {"prompt": "a hen"}),
    ("ark", {}, {"model": "doubao-seedream-4-0-250828"}),
    ("ark", {}, {"size": "4K"}),
    ("ark", {}, {"size": "2048x2304"}),
    ("ark", {}, {"aspect": "16:9"}),
    ("ark", {}, {"watermark": True}),
    ("ark", {}, {"set": {"x": 1}}),
    ("ark", {"set": {"x": 1}}, {"set": {"x": 2}}),
    ("ark", {}, {"series": 3}),
    ("ark", {"series": 4}, {"series": 3}),
    ("ark", {"model": "own"}, {"model": "own", "seed": 0}),
    ("ark", {"model": "own", "seed": 1}, {"model": "own", "seed": 0}),
    ("ark", {"model": "own", "guidance": 1}, {"model": "own", "guidance": 1.5}),
    ("kie", {"quality": "basic"}, {"quality": "high"}),
    ("kie", {"model": "own"}, {"model": "own", "quality": "high"}),
    ("kie", {"model": "own", "quality": "low"}, {"model": "own", "quality": "high"}),
]


@pytest.mark.parametrize(("provider", "left", "right"), DIFFERENT)
def test_what_a_description_digest_rests_on(
    provider: str, left: dict[str, object], right: dict[str, object]
) -> None:
    """Whatever changes the picture makes it stale."""
    assert print_of(row(**left), provider) != print_of(row(**right), provider)


def test_a_format_counts_by_whatever_asks_for_it() -> None:
    """A format is a wish like any other, also one that a file's name says."""
    name, model = next(
        (provider.name, model)
        for provider in PROVIDERS.values()
        for model, capabilities in provider.models.items()
        if model and capabilities.picks_format and not capabilities.references[0]
    )
    png = print_of(row(model=model, format="png"), name)
    assert png != print_of(row(model=model, format="jpeg"), name)
    assert png == print_of(row(model=model), name, named="png")


def test_steps_count() -> None:
    """Also an option that no model here has today: one of tomorrow may."""
    able = replace(PROVIDERS["ark"].models["doubao-seedream-4-5-251128"], steps=(1, 50))
    spec = replace(PROVIDERS["ark"], models={"m": able}, default_model="m", dialect=_STEPPED)
    few, many = (
        targets.resolve_row(row(steps=n), spec, {}, (), None, now=NOW).description_digest
        for n in (10, 20)
    )
    assert few != many


def test_the_provider_counts() -> None:
    """The same model from elsewhere is another picture."""
    assert print_of(row(model="own"), "ark") != print_of(row(model="own"), "byteplus")


def test_references_count_by_their_bytes_and_order() -> None:
    """Where a reference lies does not matter, what it shows does, and which one comes first."""
    one = print_of(row(), sources=sources("a", "b"))
    elsewhere = [Source(text="/other/x.png", digest="a"), Source(text="y.png", digest="b")]
    assert one == print_of(row(), sources=elsewhere)
    assert one != print_of(row(), sources=sources("b", "a"))
    assert one != print_of(row(), sources=sources("a"))
    assert one != print_of(row(), sources=sources("a", "c"))
    url = [Source(text="https://example.com/1.png")]
    assert print_of(row(), sources=url) != print_of(
        row(), sources=[replace(url[0], text="https://example.com/2.png")]
    )


def test_a_reference_that_is_yet_to_be_made_leaves_it_open() -> None:
    """Until the bytes are there nobody knows what it is made from; all else is checked already."""
    found = target(row(), sources=[Source(text="images.sea", digest=None), *sources("a")])
    assert found.description_digest is None
    with pytest.raises(UsageError, match="aspect"):
        target(row(aspect="nonsense 1"), sources=[Source(text="images.sea", digest=None)])


def test_files_are_refused_where_only_urls_go() -> None:
    """That is said before anything is sent; a picture of the same manifest may have a URL yet."""
    with pytest.raises(UsageError, match=r"by URL only, and style\.png is a file"):
        target(row(), "seedreams", sources=[Source(text="style.png", digest="a")])
    target(row(), "seedreams", sources=[Source(text="images.sea", digest="a")])
    target(row(), "seedreams", sources=[Source(text="https://example.com/a.png")])


# -- filled up from the lock -----------------------------------------------------------------------


def test_what_was_left_unset_stays_as_the_lock_has_it() -> None:
    """A new default of ours, or another prompt, changes neither model nor size nor shape."""
    request = target(row(prompt="another"), entry=LOCKED).resolved.request
    assert request.model == LOCKED.model
    assert (keyword_of(request), aspect_of(request)) == ("4K", "16:9")


def test_what_is_said_wins_over_the_lock() -> None:
    """The manifest and the command line decide; only the rest is filled up."""
    request = target(row(size="2K"), entry=LOCKED, typed={"aspect": "1:1"}).resolved.request
    assert (keyword_of(request), aspect_of(request)) == ("2K", "1:1")
    assert request.model == LOCKED.model


def test_pixels_of_the_lock_give_way_to_an_aspect() -> None:
    """Pixels have a shape of their own, so they do not stay beside another one."""
    locked = replace(LOCKED, keyword="2560x1440", aspect=None)
    assert keyword_of(target(row(), entry=locked).resolved.request) == "2560x1440"
    request = target(row(aspect="1:1"), entry=locked).resolved.request
    assert aspect_of(request) == "1:1"
    assert keyword_of(request) == "2K"


def test_another_providers_words_do_not_stay() -> None:
    """A model of kie is none of ark's."""
    request = target(row(), "kie", entry=LOCKED).resolved.request
    assert request.model == PROVIDERS["kie"].default_model


def test_what_the_model_takes_no_more_does_not_stay() -> None:
    """A size in the lock that the row's new model lacks gives way in silence."""
    found = target(row(model="doubao-seedream-4-5-251128"), entry=replace(LOCKED, keyword="1K"))
    assert keyword_of(found.resolved.request) == "2K"


def test_filled_up_it_is_the_same_request() -> None:
    """What the lock keeps of a request is enough to find it again."""
    for provider, fields in (
        ("ark", {"size": "4K", "aspect": "16:9"}),
        ("ark", {"size": "2560x1440"}),
        ("kie", {"quality": "high"}),
        ("uniall", {"size": "2912x1456"}),
    ):
        first = target(row(**fields), provider)
        request = first.resolved.request
        entry = replace(
            LOCKED,
            provider=provider,
            model=request.model,
            keyword=keyword_of(request),
            aspect=aspect_of(request),
        )
        assert (
            target(row(), provider, entry=entry).description_digest == first.description_digest
        ), provider


# -- rows and the command line ---------------------------------------------------------------------


def test_a_rows_shape_is_not_bent_by_the_command_line() -> None:
    """Size, quality and aspect speak of one thing: what the row says of it stands."""
    assert target(row(quality="high"), "kie", typed={"size": "2K"}).resolved.request.keyword == "4K"
    assert target(row(size="2K"), "kie", typed={"quality": "high"}).resolved.request.keyword == "2K"
    pixels = target(row(size="2560x1440"), typed={"aspect": "1:1"}).resolved.request
    assert str(pixels.size) == "2560x1440"


def test_a_set_of_fields_is_merged() -> None:
    """`--set` adds to the row's own fields and never changes one."""
    found = target(row(set={"a": 1}), typed={"set": {"a": 2, "b": 3}})
    assert found.resolved.request.extra == {"a": 1, "b": 3}


def test_the_count_is_no_part_of_the_request() -> None:
    """A row's pictures are judged and bought one by one."""
    assert target(row(count=3)).resolved.request.count == 1
    assert count_of(row(count=3), {"count": 5}) == 3
    assert count_of(row(), {"count": 5}) == 5
    assert count_of(row(), {}) == 1


def test_a_series_is_one_request() -> None:
    """Its pictures belong together."""
    assert target(row(series=3)).is_set
    assert not target(row(count=3)).is_set


def test_a_name_asks_for_its_format() -> None:
    """A PNG of a model that makes JPEG only is refused, unless any format will do."""
    with pytest.raises(UsageError, match="JPEG only"):
        target(row(), "byteplus", named="png")
    asked = row(any_format=True)
    assert target(asked, "byteplus", named="png").resolved.request.format is None


def test_a_short_name_means_what_it_meant_to_the_lock() -> None:
    """An update that gives a name a new meaning makes no picture stale; a new one takes today's."""
    assert target(row(model="4")).resolved.request.model == "doubao-seedream-4-0-20260415"
    locked = target(row(model="4"), entry=LOCKED)
    assert locked.resolved.request.model == LOCKED.model
    assert locked.description_digest == target(row(), entry=LOCKED).description_digest
    other = replace(LOCKED, model="doubao-seedream-4-5-251128")
    assert target(row(model="4"), entry=other).resolved.request.model.endswith("20260415")
    elsewhere = target(row(model="4"), "byteplus", entry=LOCKED)
    assert elsewhere.resolved.request.model == "seedream-4-0-250828"


def test_a_short_name_means_either_twin_to_the_lock() -> None:
    """What edits is found by the lock's edit id; a row that no longer edits draws from text."""
    entry = replace(LOCKED, provider="kie", model="seedream/4.5-edit", keyword="2K")
    edits = target(row(model="4.5"), "kie", sources=sources("b"), entry=entry)
    assert edits.resolved.request.model == "seedream/4.5-edit"
    assert target(row(model="4.5"), "kie", entry=entry).resolved.request.model.endswith("to-image")


def test_who_chose_a_model_is_known() -> None:
    """An id and today's meaning are a person's choice; an older meaning is the lock's alone."""
    for asked, entry, is_chosen in (
        (row(model="4"), LOCKED, False),
        (row(model="4"), None, True),
        (row(model=LOCKED.model), LOCKED, True),
        (row(), LOCKED, False),
    ):
        found = target(asked, entry=entry)
        assert targets.is_model_chosen({}, found) is is_chosen
