"""What is sent is what is counted: no `--set` slips under a bound, whatever it says.

The oracle reads the final body by the rules of the providers' pages, as dear as they can be read,
and knows nothing of the tables that are tested.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Options, Reference
from seedream_cli.providers import PROVIDERS
from seedream_cli.request.check import Resolved, resolve, split
from seedream_cli.request.demand import check_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.soak import Soak

    from seedream_cli.core.model import Request

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PICTURE = Reference(source="a", url="https://example.com/a.png")
ENDLESS = 10**9
"""More than any bound: nobody could say."""

FIELDS = [
    *("n", "num_images", "num_outputs", "batch_size", "max_images", "maxImages"),
    *("sequential_image_generation", "sequential_image_generation_options"),
    *("sequential_image_generation_options.max_images", "layer_decomposition", "stream"),
    *("size", "quality", "resolution", "image_resolution", "image_size", "custom_size", "ratio"),
    *("aspect_ratio", "image", "image_url", "image_urls", "images", "input_image_url", "tools"),
    *("background", "output_format", "response_format", "optimize_prompt_options.mode"),
    *("input", "input.max_images", "input.quality", "input.n", "callBackUrl", "nsfw_checker"),
    *("seed", "guidance_scale", "watermark", "timeout_seconds", "bogus"),
]
"""The fields of all providers, and some of none; dots lead into tables."""
VALUES: list[object] = [
    *(None, True, False, 0, 1, 2, 4, 6, 15, 16, -1, 1.0, 2.5, 1e3, 10**12),
    *("", "1", "15", " 4", "1e3", "auto", "AUTO", "disabled", "true", "none"),
    *("1K", "1k", "1.5K", "2K", "3K", "4K", "basic", "high", "ultra", "High"),
    *("1024x1024", "1536x1536", "1613x1613", "2048x2048", "6240x2656", "2048X2048", "2 x 2"),
    *("https://example.com/a.png", "opaque", "transparent", "png", "jpeg", "url", "b64_json"),
    *([], ["a"], ["a", "b", "c"], [["a", "b"]], [1], {}, {"max_images": 9}, {"n": 3}),
    *({"max_images": "9"}, {"max_images": None}, {"url": "x"}, {"width": 4096, "height": 4096}),
    *([{"url": "x"}, {"url": "y"}], [{"type": "web_search"}], "square", "16:9", "fast"),
]
AUTO = {"sequential_image_generation": "auto"}
BELONG: list[dict[str, object]] = [
    {**AUTO, "sequential_image_generation_options": {"max_images": 1}},
    {**AUTO, "sequential_image_generation_options": {"max_images": True}},
    {**AUTO, "image": ["a", "b", "c"]},
    {"layer_decomposition": True, "size": "1K"},
    {"layer_decomposition": True, "size": "2K"},
    {"n": 1, "num_images": 4},
    {"quality": "basic", "resolution": "2K"},
    {"quality": None},
    {"input": {"quality": "high", "max_images": 3}},
]
"""Fields that mean something only together."""


def nested(path: str, value: object) -> dict[str, object]:
    """Return what `--set path=value` sets."""
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


settings_of = st.one_of(
    st.sampled_from(BELONG),
    st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(VALUES)), max_size=3).map(
        lambda pairs: {key: value for pair in pairs for key, value in nested(*pair).items()}
    ),
)

# -- how many pictures the page says may come ------------------------------------------------------


def whole(value: object, default: int) -> int:
    """Return a count as a lenient server might take it; anything odd is endless."""
    if value is None:
        return default
    text = str(value).strip()
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    if not is_number or not re.fullmatch(r"[0-9]+(\.0+)?", text) or float(text) < 1:
        return ENDLESS
    return int(float(text))


def held(*values: object) -> int:
    """Return how many pictures these fields hold."""
    total = 0
    for value in values:
        if isinstance(value, list):
            total += len(value) if all(isinstance(v, str | dict) for v in value) else ENDLESS
        elif value is not None:
            total += 1 if isinstance(value, str | dict) else ENDLESS
    return total


def images_on_ark(model: str, body: Mapping[str, object]) -> int:
    """Read sets and layers; `n` and what is not known are ignored."""
    layered = body.get("layer_decomposition")
    if layered is not None and layered is not False:
        return (100 if "5-5" in model else 17) if layered is True else ENDLESS
    mode = body.get("sequential_image_generation")
    if mode in (None, "disabled"):
        return 1
    options = body.get("sequential_image_generation_options")
    if mode != "auto" or not isinstance(options, dict | None):
        return ENDLESS
    return whole((options or {}).get("max_images"), max(1, 15 - held(body.get("image"))))


def images_on_kie(model: str, body: Mapping[str, object]) -> int:
    """Read `max_images`; layers are 17 at most."""
    fields = body.get("input", body)
    if not isinstance(fields, dict):
        return ENDLESS
    count = max(whole(fields.get(name), 1) for name in ("max_images", "n", "num_images"))
    return count * (17 if "layer" in model else 1)


def images_on_uniall(model: str, body: Mapping[str, object]) -> int:
    """Read both names of the count, the greater one of them."""
    del model
    return max(whole(body.get("n"), 1), whole(body.get("num_images"), 1))


def images_on_seedreams(model: str, body: Mapping[str, object]) -> int:
    """Left out, it is 4 where several can be made."""
    several = model == "bytedance/seedream-v4" or model.startswith("nova")
    return whole(body.get("maxImages"), 4 if several else 1)


def images_at_gateways(model: str, body: Mapping[str, object]) -> int:
    """Read every word for a count that a gateway may know, Ark's too."""
    words = ("n", "num_images", "num_outputs", "batch_size", "max_images", "maxImages")
    is_set = body.get("sequential_image_generation") not in (None, "disabled", False)
    is_set = is_set or body.get("layer_decomposition") not in (None, False, "disabled")
    del model
    return ENDLESS if is_set else max(whole(body.get(word), 1) for word in words)


def images_on_fal(model: str, body: Mapping[str, object]) -> int:
    """Multiply runs and the most of each; layers are 17 at most."""
    count = whole(body.get("num_images"), 1) * whole(body.get("max_images"), 1)
    return count * (17 if "layerize" in model else 1)


def images_on_wavespeed(model: str, body: Mapping[str, object]) -> int:
    """Read the most of a set; layers are 17 at most, of 5.5 a hundred."""
    layers = (100 if "5.5" in model else 17) if "layer" in model else 1
    return whole(body.get("max_images"), 1) * layers


def images_on_replicate(model: str, body: Mapping[str, object]) -> int:
    """Read sets and layers in `input`; of models that are not known any word for a count."""
    fields = body.get("input")
    if not isinstance(fields, dict):
        return ENDLESS
    layered = fields.get("layer_decomposition")
    if layered is not None and layered is not False:
        return 17 if layered is True and model.endswith("5-pro") else ENDLESS
    if model.startswith("nova"):
        words = ("n", "num_images", "num_outputs", "max_images")
        return max(whole(fields.get(word), 1) for word in words)
    mode = fields.get("sequential_image_generation")
    if mode in (None, "disabled"):
        return 1
    return whole(fields.get("max_images"), 1) if mode == "auto" else ENDLESS


def images_on_openrouter(model: str, body: Mapping[str, object]) -> int:
    """Read `n`, which is 1 or refused."""
    del model
    return whole(body.get("n"), 1)


IMAGES: dict[str, Callable[[str, Mapping[str, object]], int]] = {
    "ark": images_on_ark,
    "byteplus": images_on_ark,
    "kie": images_on_kie,
    "kie-seedream": images_on_kie,
    "uniall": images_on_uniall,
    "seedreams": images_on_seedreams,
    "replicate": images_on_replicate,
    "openrouter": images_on_openrouter,
    "openai-images": images_at_gateways,
    "fal": images_on_fal,
    "wavespeed": images_on_wavespeed,
}

# -- what the page says that costs -----------------------------------------------------------------

PRICES: list[tuple[str, str, tuple[str, str], tuple[str, str], str, int]] = [
    # provider, words in the id, (up to 1.5K, above), the same of a layer, a reference, free ones
    ("ark", "5-0-pro", ("0.30", "0.60"), ("0.15", "0.30"), "0.02", 1),
    ("ark", "flash", ("0.12", "0.12"), ("0.12", "0.12"), "0", 0),
    ("ark", "4-0", ("0.20", "0.20"), ("0.20", "0.20"), "0", 0),
    ("ark", "4-5", ("0.25", "0.25"), ("0.25", "0.25"), "0", 0),
    ("byteplus", "5-5", ("0.020", "0.035"), ("0.020", "0.035"), "0.008", 0),
    ("byteplus", "5-0-pro", ("0.045", "0.09"), ("0.0225", "0.045"), "0.003", 1),
    ("byteplus", "flash", ("0.018", "0.018"), ("0.018", "0.018"), "0", 0),
    ("byteplus", "5-0-", ("0.035", "0.035"), ("0.035", "0.035"), "0", 0),
    ("byteplus", "4-5", ("0.04", "0.04"), ("0.04", "0.04"), "0", 0),
    ("byteplus", "4-0", ("0.03", "0.03"), ("0.03", "0.03"), "0", 0),
    ("kie", "5-pro-layer", ("0.035", "0.07"), ("0.035", "0.07"), "0", 0),
    ("kie", "5-pro-image", ("0.035", "0.07"), ("0.035", "0.07"), "0.0025", 1),
    ("kie", "5-pro", ("0.035", "0.07"), ("0.035", "0.07"), "0", 0),
    ("kie", "5-flash", ("0.0162", "0.0162"), ("0.0162", "0.0162"), "0", 0),
    ("kie", "5-lite", ("0.0275", "0.0275"), ("0.0275", "0.0275"), "0", 0),
    ("kie", "4.5", ("0.0325", "0.0325"), ("0.0325", "0.0325"), "0", 0),
    ("kie", "v4", ("0.0325", "0.0325"), ("0.0325", "0.0325"), "0", 0),
    ("kie", "seedream", ("0.0175", "0.0175"), ("0.0175", "0.0175"), "0", 0),
    ("kie-seedream", "", ("0.0175", "0.0175"), ("0.0175", "0.0175"), "0", 0),
    ("fal", "v5/pro/layerize", ("0.03375", "0.0675"), ("0.03375", "0.0675"), "0", 0),
    ("fal", "v5/pro/edit", ("0.0675", "0.135"), ("0.0675", "0.135"), "0.0045", 1),
    ("fal", "v5/pro", ("0.0675", "0.135"), ("0.0675", "0.135"), "0", 0),
    ("fal", "v5/flash", ("0.027", "0.027"), ("0.027", "0.027"), "0", 0),
    ("fal", "v5/lite", ("0.035", "0.035"), ("0.035", "0.035"), "0", 0),
    ("fal", "v5.5", ("0.03", "0.0405"), ("0.03", "0.0405"), "0", 0),
    ("fal", "v4.5", ("0.04", "0.04"), ("0.04", "0.04"), "0", 0),
    ("fal", "seedream", ("0.03", "0.03"), ("0.03", "0.03"), "0", 0),
    ("wavespeed", "pro", ("0.045", "0.09"), ("0.045", "0.09"), "0", 0),
    ("wavespeed", "flash", ("0.018", "0.018"), ("0.018", "0.018"), "0", 0),
    ("wavespeed", "lite", ("0.04", "0.04"), ("0.04", "0.04"), "0", 0),
    ("wavespeed", "v4.5", ("0.04", "0.04"), ("0.04", "0.04"), "0", 0),
    ("wavespeed", "seedream", ("0.027", "0.027"), ("0.027", "0.027"), "0", 0),
]
BOUND = 2_601_123


def is_cheap_in_a_queue(model: str, body: Mapping[str, object]) -> bool:
    """Tell it of fal, which has pixels or `auto_1K`, and of WaveSpeed, which has `1k`."""
    size, word = body.get("image_size"), body.get("resolution")
    if isinstance(size, dict):
        width, height = whole(size.get("width"), 1), whole(size.get("height"), 1)
        return width * height <= (2_610_000 if "v5.5" in model else 1536 * 1536)
    is_small = isinstance(word, str) and word.lower() in {"1k", "1.5k"} and not body.get("size")
    return is_small or size in ("auto_1K", "auto_1.5K")


def is_cheap(provider: str, model: str, body: Mapping[str, object]) -> bool:
    """Tell whether the page puts the picture in the lower price for sure."""
    if provider in {"ark", "byteplus"}:
        size = body.get("size")
        pair = re.fullmatch(r"(\d+)[xX](\d+)", size) if isinstance(size, str) else None
        if pair is not None:
            return int(pair[1]) * int(pair[2]) <= BOUND
        return isinstance(size, str) and size.upper() in {"1K", "1.5K"}
    if provider in {"fal", "wavespeed"}:
        return is_cheap_in_a_queue(model, body)
    fields = body.get("input", body)
    assert isinstance(fields, dict)
    if fields.get("resolution") is not None or fields.get("image_resolution") is not None:
        return False
    if "layer" in model:
        return fields.get("size") in ("1K", "1.5K") and fields.get("quality") is None
    return fields.get("quality") == "basic" and fields.get("size") is None


def cost(provider: str, model: str, body: Mapping[str, object]) -> Decimal | None:
    """Return what the page says that a body costs at most; None where it has no price."""
    row = next((row for row in PRICES if row[0] == provider and row[1] in model), None)
    if row is None:
        return None
    fields = body.get("input", body)
    assert isinstance(fields, dict)
    names = ("image", "image_url", "image_urls", "images", "input_image_url")
    given_ = held(*(fields.get(name) for name in names))
    is_layered = fields.get("layer_decomposition") is True or "layer" in model
    prices = row[3] if is_layered else row[2]
    one = prices[0 if is_cheap(provider, model, body) else 1]
    paid = max(0, given_ - row[5]) * Decimal(row[4])
    return Decimal(one) * IMAGES[provider](model, body) + paid


# -- the property ----------------------------------------------------------------------------------


def final(provider: str, request: Request) -> Mapping[str, object]:
    """Return the body as it will be sent."""
    return PROVIDERS[provider].dialect.submit(request).body or {}


def ask(provider: str, model: str, extra: dict[str, object], **more: object) -> Resolved | None:
    """Return the request under a bound; None where it is refused."""
    spec = PROVIDERS[provider]
    able = spec.models.get(model)
    is_edit = able is not None and able.references[0] > 0
    said = {
        "prompt": "a fox at dawn",
        "model": model or None,
        "references": (PICTURE,) * is_edit,
        "edit": is_edit,
        "extra": extra,
    }
    options = Options(**said | more)  # type: ignore[arg-type]  # a test's shorthand
    try:
        found = resolve(spec, options, now=NOW, providers=PROVIDERS.values())
        check_bounded(spec, found.capabilities, found.request)
    except UsageError:
        return None
    return found


MODELS = [
    (name, model)
    for name, provider in PROVIDERS.items()
    for model in [*provider.models, *(["nova-9"] if provider.default_model is not None else [])]
]
KINDS = {
    (name, getattr(PROVIDERS[name].models.get(model), "label", "")): model for name, model in MODELS
}
"""One of each kind: builds and spellings of a generation take the same."""


@pytest.mark.parametrize(("provider", "model"), MODELS)
@given(
    extra=settings_of,
    validate=st.booleans(),
    size=st.sampled_from([None, "1K", "2K"]),
    series=st.sampled_from([None, None, 2]),
)
@settings(max_examples=25)
def test_no_field_slips_under_a_bound(
    *,
    provider: str,
    model: str,
    extra: dict[str, object],
    validate: bool,
    size: str | None,
    series: int | None,
) -> None:
    """Never are more pictures asked for, and never is more spent, than was counted."""
    found = ask(provider, model, extra, validate=validate, size=size, series=series)
    if found is None:
        return
    for request in split(found):
        body = final(provider, request)
        asked = IMAGES[provider](request.model, body)
        assert found.demand.images is not None
        assert asked <= found.demand.images
        assert found.most_images == found.demand.images
        if found.price is not None:
            dear = cost(provider, request.model, body)
            assert dear is None or dear <= found.price.amount


@pytest.mark.parametrize(("provider", "model"), [(at, model) for (at, _), model in KINDS.items()])
def test_every_single_field_is_counted_or_refused(provider: str, model: str, soak: Soak) -> None:
    """A field with any value: what passes `--max-images 1` asks for one picture."""
    pairs = [(path, value) for path in FIELDS for value in VALUES]
    for path, value in soak.dice().sample(pairs, soak.times(150, long=len(pairs))):
        # With the checks of its values fewer get so far.
        found = ask(provider, model, nested(path, value), validate=False)
        if found is not None and found.demand.images == 1:
            body = final(provider, split(found)[0])
            assert IMAGES[provider](model, body) == 1, (path, value, soak.again)


@pytest.mark.parametrize(
    ("provider", "model", "extra", "images", "amount"),
    [
        ("ark", "4", {"sequential_image_generation": "auto"}, 15, "3.00"),
        ("byteplus", "4.5", {"sequential_image_generation": "auto"}, 15, "0.60"),
        ("ark", "4", {**AUTO, "sequential_image_generation_options": {"max_images": 3}}, 3, "0.60"),
        ("ark", "5-pro", {"size": "2K"}, 1, "0.60"),
        ("ark", "5-pro", {"size": "1K"}, 1, "0.30"),
        ("ark", "5-pro", {"image": ["https://example.com/a.png"] * 3, "size": "1K"}, 1, "0.34"),
        ("ark", "5-flash", {"quality": "high"}, None, None),
        ("ark", "5-flash", {"n": 3}, None, None),
        ("ark", "ep-20261101-abcde", {"size": "2K"}, None, None),
        ("kie", "5-pro", {"quality": "basic"}, 1, "0.035"),
        ("kie", "5-pro", {"quality": "high"}, 1, "0.07"),
        ("kie", "5-pro", {"resolution": "2K"}, None, None),
        ("kie", "5-pro", {"max_images": 3}, None, None),
        ("kie", "4", {"max_images": 3}, 3, "0.0975"),
        ("kie", "4", {"input": {"max_images": 3}}, 3, "0.0975"),
        ("kie", "4", {"max_images": "3"}, None, None),
        ("kie", "4", {"image_resolution": "4K"}, 1, "0.0325"),
        ("fal", "4.5", {"num_images": 3, "max_images": 4}, 12, "0.48"),
        ("fal", "4.5", {"max_images": "4"}, None, None),
        ("fal", "5-pro", {"image_size": "auto_1K"}, 1, "0.0675"),
        ("fal", "5-pro", {"image_size": "square_hd"}, 1, "0.135"),
        ("wavespeed", "5-pro", {"resolution": "1k"}, 1, "0.045"),
        ("wavespeed", "bytedance/seedream-v4.5/sequential", {"max_images": 4}, 4, "0.16"),
        ("uniall", "4.5", {"n": 3}, 3, None),
        ("uniall", "4.5", {"num_images": 3}, 3, None),
        ("seedreams", "4", {"maxImages": 7}, 7, None),
        ("seedreams", "4", {"maxImages": None}, 4, None),
        ("seedreams", "4.5", {"maxImages": 7}, None, None),
        ("seedreams", "gpt-image-2", {}, 1, "2"),
    ],
)
def test_known_fields_are_counted(
    provider: str, model: str, extra: dict[str, object], images: int | None, amount: str | None
) -> None:
    """The pages' own examples: counted exactly, or refused under a bound (no count here)."""
    found = ask(provider, model, extra)
    assert (found.demand.images if found else None) == images
    if found is not None:
        price = found.price.amount if found.price else None
        assert price == (Decimal(amount) if amount else None)


def test_what_is_ignored_does_not_count() -> None:
    """Ark makes one picture whatever `n` says: without a bound it goes out, with a note."""
    options = Options(prompt="a fox", extra={"n": 3})
    found = resolve(PROVIDERS["ark"], options, now=NOW, providers=PROVIDERS.values())
    assert found.most_images == 1
    assert "-n N makes N pictures" in found.notes[0]
    assert final("ark", split(found)[0])["n"] == 3


def test_sides_that_replicate_does_not_hear_make_nothing_cheaper() -> None:
    """Width and height count where the size is custom; beside `2K` they are ignored."""
    provider = PROVIDERS["replicate"]
    model = provider.models["bytedance/seedream-5-pro"]
    sides = {"width": 512, "height": 512}
    beside = provider.dialect.measure(model, {"input": {"size": "2K", **sides}})
    custom = provider.dialect.measure(model, {"input": {"size": "custom", **sides}})
    assert (beside.area or ENDLESS) > 512 * 512
    assert custom.area == 512 * 512


def test_what_openrouter_passes_on_is_within_no_bound() -> None:
    """Whom it asks is documented; what it hands to them as it is, nobody can count."""
    way, model = "provider", "bytedance-seed/seedream-4.5"
    more = {"sequential_image_generation": "auto", "max_images": 15}
    assert ask("openrouter", model, {way: {"only": ["seed"]}}) is not None
    assert ask("openrouter", model, {way: {"options": {"seed": more}}}) is None
