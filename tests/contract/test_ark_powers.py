"""What Ark's newer models can do is checked before it is paid for, by the words of its pages.

Image API page and tutorials (82379/1541523, 82379/1824121) and refused requests, 2026-09 to -11.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Options, Reference
from seedream_cli.providers import PROVIDERS
from seedream_cli.providers.spec import RateLimit
from seedream_cli.request.check import Resolved, resolve, split

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PICTURE = Reference(source="a", url="https://example.com/a.png")
LAYERED: dict[str, object] = {"layer_decomposition": True}
CLEAR: dict[str, object] = {"background": "transparent"}
ALL = PROVIDERS.values()


def ask(model: str, extra: dict[str, object], **more: object) -> Resolved:
    """Resolve a request with fields of its own; with one picture unless it says how many."""
    count, at = more.pop("pictures", 1), str(more.pop("at", "ark"))
    assert isinstance(count, int)
    said = {"prompt": "a fox", "references": (PICTURE,) * count, "edit": count > 0} | more
    options = Options(model=model, extra=extra, **said)  # type: ignore[arg-type]  # a shorthand
    return resolve(PROVIDERS[at], options, now=NOW, providers=ALL)


def body(found: Resolved, at: str = "ark") -> dict[str, object]:
    """Return what goes out."""
    return dict(PROVIDERS[at].dialect.submit(split(found)[0]).body or {})


def refusal(model: str, extra: dict[str, object], **more: object) -> str:
    """Return why it is refused."""
    with pytest.raises(UsageError) as found:
        ask(model, extra, **more)
    return found.value.message


# -- layers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "model", "size", "layers", "price"),
    [
        ("ark", "5-pro", None, 17, "5.10"),
        ("ark", "5-pro", "1K", 17, "2.55"),
        ("ark", "5-pro", "1.5K", 17, "2.55"),
        ("ark", "5-pro", "2K", 17, "5.10"),
        ("ark", "5-flash", "2K", 17, "2.04"),
        ("byteplus", "5-pro", "1K", 17, "0.3825"),
        ("byteplus", "5-pro", "auto", 17, "0.765"),
        ("byteplus", "5-flash", None, 17, "0.306"),
        ("byteplus", "5.5", None, 100, "3.508"),
    ],
)
def test_layers_are_priced_as_all_that_may_come(
    at: str, model: str, size: str | None, layers: int, price: str
) -> None:
    """Base and layers cost each; how many come nobody knows before, so it is the most."""
    found = ask(model, LAYERED, at=at, size=size)
    assert found.most_images == layers
    assert found.price is not None
    assert found.price.amount == Decimal(price)
    sent = body(found, at)
    assert (sent["size"], sent["layer_decomposition"]) == (size or "auto", True)


def test_layers_need_no_prompt() -> None:
    """Without a word no word goes out."""
    assert "prompt" not in body(ask("5-pro", LAYERED, prompt=""))
    assert "the prompt is empty" in refusal("5-pro", {}, prompt="")


@pytest.mark.parametrize(
    ("extra", "more", "why"),
    [
        (LAYERED, {"pictures": 0}, "0 reference images"),
        (LAYERED, {"pictures": 2}, "2 reference images"),
        (LAYERED, {"size": "1024x1024"}, "no --size in pixels, only auto, 1K, 1.5K, 2K"),
        (LAYERED, {"size": "4K"}, "takes --size auto, 1K, 1.5K, 2K, not 4K"),
        (LAYERED, {"aspect": "16:9"}, "takes no --aspect"),
        (LAYERED | {"size": "1024x1024"}, {}, "--set size=1024x1024"),
        (LAYERED | CLEAR, {}, "answers background with an error"),
        ({"layer_decomposition": "true"}, {}, "takes false, true"),
        ({"layer_decomposition": 1}, {}, "takes false, true"),
    ],
)
def test_what_layers_are_not_had_with(
    extra: dict[str, object], more: dict[str, object], why: str
) -> None:
    """Exactly one picture, a keyword for a size, no background: else it is exit 2."""
    assert why in refusal("5-pro", extra, **more)


@pytest.mark.parametrize("model", ["4", "4.5", "5-lite"])
def test_who_makes_no_layers_says_so(model: str) -> None:
    """A key that a model does not know is a 400 there, and is not sent."""
    assert "layer_decomposition with an error" in refusal(model, LAYERED, at="byteplus")
    assert "background with an error" in refusal(model, CLEAR, at="byteplus")


def test_layers_weigh_what_ark_reserves() -> None:
    """A call for layers is counted as 17 images in the minute, or as many as may come."""
    limit = PROVIDERS["ark"].limit
    assert isinstance(limit, RateLimit)
    assert (limit.count, limit.per, limit.layers) == (500, timedelta(minutes=1), 17)


# -- transparent backgrounds -----------------------------------------------------------------------


def test_a_clear_background_asks_for_png() -> None:
    """The default is JPEG, which it refuses: PNG goes out with it."""
    for at, model in (("ark", "5-pro"), ("ark", "5-flash"), ("byteplus", "5-pro")):
        found = ask(model, CLEAR, at=at)
        assert body(found, at)["output_format"] == "png"
        assert found.capabilities is not None
        assert found.capabilities.formats == ("png",)
        assert found.capabilities.inputs is not None
        assert found.capabilities.inputs.is_transparent
    assert "output_format" not in body(ask("5-pro", {"background": "opaque"}))


def test_a_clear_background_is_drawn_from_text_by_5_5() -> None:
    """5.5 takes no picture, one or several."""
    for pictures in (0, 1, 3):
        found = ask("5.5", CLEAR, at="byteplus", pictures=pictures)
        assert body(found, "byteplus")["output_format"] == "png"
    assert ask("5.5", {"background": "auto"}, at="byteplus").capabilities is not None


@pytest.mark.parametrize(
    ("extra", "more", "why"),
    [
        (CLEAR, {"pictures": 0}, "0 reference images"),
        (CLEAR, {"pictures": 2}, "2 reference images"),
        (CLEAR, {"format": "jpeg"}, "makes PNG only, not JPEG"),
        (CLEAR | {"output_format": "jpeg"}, {}, "takes png"),
        ({"background": "auto"}, {}, "takes opaque, transparent"),
    ],
)
def test_what_a_clear_background_is_not_had_with(
    extra: dict[str, object], more: dict[str, object], why: str
) -> None:
    """Exactly one picture in and PNG out: else it is exit 2."""
    assert why in refusal("5-pro", extra, **more)


# -- prompts and tools -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "model", "modes"),
    [
        ("ark", "5-pro", {"standard", "fast"}),
        ("ark", "4", {"standard", "fast"}),
        ("ark", "5-flash", {"standard"}),
        ("byteplus", "5-lite", {"standard"}),
        ("byteplus", "4.5", {"standard", "fast"}),  # an older page has both
        ("byteplus", "4", {"standard", "fast"}),
    ],
)
def test_prompts_are_optimized_as_the_model_can(at: str, model: str, modes: set[str]) -> None:
    """A mode that a model answers with 400 is exit 2."""
    for mode in ("standard", "fast", "slow", ["fast"]):
        extra: dict[str, object] = {"optimize_prompt_options": {"mode": mode}}
        if isinstance(mode, str) and mode in modes:
            assert body(ask(model, extra, at=at), at)["optimize_prompt_options"] == {"mode": mode}
        else:
            assert "optimize_prompt_options.mode" in refusal(model, extra, at=at)


def test_the_web_is_searched_by_lite_on_ark_alone() -> None:
    """Everybody else answers `tools` with 400; what a search costs is not published."""
    search: dict[str, object] = {"tools": [{"type": "web_search"}]}
    for at in ("ark", "byteplus"):
        for model in PROVIDERS[at].models:
            is_lite = at == "ark" and ("lite" in model or "5-0-260128" in model)
            pictures = 1 if "edit" in model else 0
            if is_lite:
                assert ask(model, search, pictures=0).price is None
            else:
                assert "tools with an error" in refusal(model, search, at=at, pictures=pictures)


# -- the Agent Plan --------------------------------------------------------------------------------


def test_a_plan_has_models_of_its_own() -> None:
    """At its address pro is the default, flash is unknown, and no money is named."""
    plan = PROVIDERS["ark"].at("https://ark.cn-beijing.volces.com/api/plan/v3/")
    found = resolve(plan, Options(prompt="a fox"), now=NOW, providers=ALL)
    assert (found.request.model, found.price) == ("doubao-seedream-5.0-pro", None)
    named = resolve(plan, Options(prompt="a fox", model="5-pro"), now=NOW, providers=ALL)
    assert named.request.model == "doubao-seedream-5.0-pro"
    assert set(plan.models) == {
        *("doubao-seedream-5.0-pro", "doubao-seedream-5-0-pro", "doubao-seedream-5-0-pro-260628"),
        *("doubao-seedream-5.0-lite", "doubao-seedream-5-0-lite-260128"),
    }
    flash = Options(prompt="a fox", model="doubao-seedream-5-0-flash-260915")
    assert resolve(plan, flash, now=NOW, providers=ALL).capabilities is None
    assert plan.dialect.check is None
    assert PROVIDERS["ark"].at("https://gateway.example/api/v3") is PROVIDERS["ark"]
