"""Every documented size, ratio and quality of every model goes out as its page writes it.

The tables here are copied from the pages by hand: Ark's image API page and tutorial
(82379/1541523, 82379/1824121, 2026-09), docs.kie.ai (2026-08-19), the page of KIE's older endpoint,
docs.uniall.ai/models/image/seedream and www.seedreams.app/api-docs (2026-11-30).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Options, Reference
from seedream_cli.providers import PROVIDERS
from seedream_cli.request.check import resolve, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PICTURE = Reference(source="a", url="https://example.com/a.png")
EVERY_SIZE: tuple[str, ...] = ("1K", "1.5K", "2K", "3K", "4K")
EIGHT = ("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9")


def words(text: str) -> list[str]:
    """Return what stands in a line."""
    return text.split()


# One column of the published table each, in the order of EIGHT.
K1_PRO = words("1024x1024 1152x864 864x1152 1424x800 800x1424 1248x832 832x1248 1568x672")
K1_V4 = words("1024x1024 1152x864 864x1152 1312x736 736x1312 1248x832 832x1248 1568x672")
K15_PRO = words("1536x1536 1792x1344 1344x1792 2048x1152 1152x2048 1872x1248 1248x1872 2352x1008")
K2_PRO = words("2048x2048 2368x1776 1776x2368 2816x1584 1584x2816 2496x1664 1664x2496 3136x1344")
K2 = words("2048x2048 2304x1728 1728x2304 2848x1600 1600x2848 2496x1664 1664x2496 3136x1344")
K3 = words("3072x3072 3456x2592 2592x3456 4096x2304 2304x4096 3744x2496 2496x3744 4704x2016")
K4 = words("4096x4096 4704x3520 3520x4704 5504x3040 3040x5504 4992x3328 3328x4992 6240x2656")

PRO = {"1K": K1_PRO, "1.5K": K15_PRO, "2K": K2_PRO}
V4 = {"1K": K1_V4, "2K": K2, "4K": K4}
V45 = {"2K": K2, "4K": K4}
LITE = {"2K": K2, "3K": K3, "4K": K4}
ON_ARK = {
    "doubao-seedream-5-5-261028": PRO,
    "doubao-seedream-5-0-pro-260628": PRO,
    "doubao-seedream-5.0-pro": PRO,
    "doubao-seedream-5-0-pro": PRO,
    "doubao-seedream-5-0-flash-260915": PRO,
    "doubao-seedream-5-0-260128": LITE,
    "doubao-seedream-5-0-lite-260128": LITE,
    "doubao-seedream-5.0-lite": LITE,
    "doubao-seedream-4-5-251128": V45,
    "doubao-seedream-4-0-250828": V4,
    "doubao-seedream-4-0-20260415": V4,
}
ON_BYTEPLUS = {
    "dola-seedream-5-5-261028": PRO,
    "seedream-5-5-261028": PRO,
    "dola-seedream-5-0-pro-260628": PRO,
    "seedream-5-0-pro-260628": PRO,
    "dola-seedream-5-0-flash-260915": PRO,
    "seedream-5-0-flash-260915": PRO,
    "seedream-5-0-260128": LITE,
    "seedream-5-0-lite-260128": LITE,
    "seedream-4-5-251128": V45,
    "seedream-4-0-250828": V4,
}
APART = {
    *("doubao-seedream-3-0-t2i-250415", "seedream-3-0-t2i-250415"),
    *("doubao-seededit-3-0-i2i-250628", "seededit-3-0-i2i-250628"),
}
"""Models without keywords, or with one of their own."""

# UniAll: `custom_size`, its longest side 4096 and at most 16,777,216 pixels: "4K at 16:9 is
# 4096x2304". Of what is longer in Ark's table at other ratios it says nothing.
UNSAID = "unsaid"
UNIALL_4K = {"4K": ["4096x4096", "4096x3072", "3072x4096", "4096x2304", "2304x4096", *[UNSAID] * 3]}
UNIALL_3K = [*K3[:7], UNSAID]
ON_UNIALL = {
    "seedream-4.0": V4 | UNIALL_4K,
    "seedream-4.5": V45 | UNIALL_4K,
    "seedream-5.0-lite": LITE | UNIALL_4K | {"3K": UNIALL_3K},
}
UNIALL_TABLE = {
    # The page's nine sizes: least pixels 921,600 of 4.0, 3,686,400 of the others.
    "seedream-4.0": "960x960 1280x720 720x1280 2048x2048 2560x1440 1440x2560 2304x1728 1728x2304"
    " 4096x4096",
    "seedream-4.5": "2048x2048 2560x1440 1440x2560 2304x1728 1728x2304 4096x4096",
    "seedream-5.0-lite": "2048x2048 2560x1440 1440x2560 2304x1728 1728x2304 4096x4096",
}
UNIALL_TOO_SMALL = "960x960 1280x720 720x1280"

# fal: `image_size` in pixels, of 5.0 pro, flash and 5.5 from 1024x1024 to 2048x2048 in area, where
# what other hosts make of a word may lie outside; the US endpoint has ByteDance's own bounds.
U = UNSAID
FAL_PRO = {
    "1K": ["1024x1024", U, U, "1424x800", "800x1424", U, U, "1568x672"],
    "1.5K": K15_PRO,
    "2K": ["2048x2048", U, U, U, U, "2496x1664", "1664x2496", U],
}
FAL = "bytedance/seedream"
ON_FAL = {
    **{
        f"{place}/{way}": table
        for way in ("text-to-image", "edit")
        for place, table in (
            (f"fal-ai/{FAL}/v4", V4),
            (f"fal-ai/{FAL}/v4.5", V45),
            (f"fal-ai/{FAL}/v5/lite", LITE),
            (f"{FAL}/v5/lite", LITE),
            (f"{FAL}/v5/pro", FAL_PRO),
            (f"{FAL}/v5/flash", FAL_PRO),
            (f"{FAL}/v5.5", FAL_PRO),
        )
    },
    f"{FAL}/v5/pro/us/text-to-image": PRO,
}
FAL_APART = {
    f"fal-ai/{FAL}/v3/text-to-image",
    *(f"{FAL}/v5/{w}/layerize" for w in ("pro", "flash")),
}

# WaveSpeed: `W*H` of the older models, a resolution and a ratio of the newer ones.
WAVE = "bytedance/seedream-"
ON_WAVESPEED = {
    f"{WAVE}{name}{way}": table
    for way in ("", "/edit", "/sequential", "/edit-sequential")
    for name, table in (("v4", V4), ("v4.5", V45), ("v5.0-lite", LITE))
}
IN_WORDS = {
    f"{WAVE}{name}{way}": sizes
    for way in ("", "/edit")
    for name, sizes in (
        ("v5.0-pro", words("1K 1.5K 2K")),
        ("v5.0-flash", words("1K 1.5K 2K")),
        ("v5.5", words("1K 1.5K 2K 3K")),
    )
}
FIFTEEN = words("1:1 1:2 2:1 1:3 3:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 9:21 21:9")
WAVE_LAYERS = {f"{WAVE}{name}/layer-decomposition" for name in ("v5.0-pro", "v5.0-flash", "v5.5")}
WAVE_APART = {f"{WAVE}v3", f"{WAVE}v3.1", *WAVE_LAYERS}

NAMES = dict(
    zip(
        EIGHT,
        words(
            "square_hd landscape_4_3 portrait_4_3 landscape_16_9 portrait_16_9"
            " landscape_3_2 portrait_3_2 landscape_21_9"
        ),
        strict=True,
    )
)
QUALITY = {
    "4.5": {"2K": "basic", "4K": "high"},
    "5-lite": {"2K": "basic", "3K": "high", "4K": "ultra"},
    "5-pro": {"1K": "basic", "2K": "high"},
}
ON_KIE = {
    **{f"seedream/4.5-{way}": "4.5" for way in ("text-to-image", "edit")},
    **{f"seedream/5-lite-{way}": "5-lite" for way in ("text-to-image", "image-to-image")},
    **{f"seedream/5-pro-{way}": "5-pro" for way in ("text-to-image", "image-to-image")},
    **{f"seedream/5-flash-{way}": "5-flash" for way in ("text-to-image", "image-to-image")},
    **{f"bytedance/seedream-v4-{way}": "v4" for way in ("text-to-image", "edit")},
    **{f"seedream/5-{kind}-layer-decomposition": "layers" for kind in ("pro", "flash")},
    "bytedance/seedream": "3.0",
}
BANANA_2 = words("1:1 1:4 1:8 2:3 3:2 3:4 4:1 4:3 4:5 5:4 8:1 9:16 16:9 21:9 auto")
GPT = words("auto 1:1 5:4 9:16 21:9 16:9 4:3 3:2 4:5 3:4 2:3")
KILOS = {"1K": "1K", "2K": "2K", "4K": "4K"}
BASIC = {"2K": "basic", "4K": "high"}
ON_SEEDREAMS: dict[str, tuple[list[str], dict[str, str]]] = {
    "bytedance/seedream-v4": (list(EIGHT), {}),
    **{
        model: (list(EIGHT), BASIC)
        for model in (
            *("bytedance/seedream-v4.5", "bytedance/seedream-v5.0", "seedream/4.5-text-to-image"),
            *("seedream/4.5-edit", "seedream/5-lite-text-to-image"),
            "seedream/5-lite-image-to-image",
        )
    },
    "google/nano-banana-2": (BANANA_2, KILOS),
    "google/nano-banana-pro": (list(EIGHT), KILOS),
    "gpt-image-2": (GPT, {}),
    "4o-Image": (["1:1", "3:2", "2:3"], {}),
    "z-image": (["1:1", "4:3", "3:4", "16:9", "9:16"], {}),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is typed, and what the page writes for it; None: the page knows no such thing."""

    provider: str
    model: str
    typed: Mapping[str, object]
    expected: Mapping[str, object] | None
    extra: Mapping[str, object] = field(default_factory=dict)


def pixels(size: str) -> dict[str, int]:
    """Return a size as UniAll's object."""
    width, height = map(int, size.split("x"))
    return {"width": width, "height": height}


def by_pixels(
    provider: str,
    model: str,
    table: Mapping[str, list[str]],
    write: Callable[[str], dict[str, object]] = lambda size: {"size": size},
) -> Iterator[Case]:
    """Yield a model's cases that go out as pixels: words, their lower case, pixels, nothing."""
    base: dict[str, object] = {"references": (PICTURE,), "edit": True} if "/edit" in model else {}

    def case(typed: dict[str, object], size: str | None) -> Case:
        expected = write(size) if size is not None else None
        return Case(provider=provider, model=model, typed=base | typed, expected=expected)

    yield case({}, table["2K"][0])
    for aspect, size in zip(EIGHT, table["2K"], strict=True):
        if size != UNSAID:
            yield case({"aspect": aspect}, size)
    for keyword in EVERY_SIZE:
        row: Sequence[str | None] = table.get(keyword, [None] * len(EIGHT))
        yield case({"size": keyword}, row[0])
        yield case({"size": keyword.lower()}, row[0])
        for aspect, made in zip(EIGHT, row, strict=True):
            if made == UNSAID:
                continue
            yield case({"size": keyword, "aspect": aspect}, made)
            if made is not None:
                yield case({"size": made}, made)
                yield case({"size": made, "aspect": aspect}, made)


def ark() -> Iterator[Case]:
    """Yield what Ark and BytePlus document."""
    for provider, models in (("ark", ON_ARK), ("byteplus", ON_BYTEPLUS)):
        for model, table in models.items():
            yield from by_pixels(provider, model, table)
    layered = {"layer_decomposition": True}
    for keyword in (None, "auto", *EVERY_SIZE, "1024x1024"):
        for model in ("doubao-seedream-5-0-pro-260628", "doubao-seedream-5-0-flash-260915"):
            is_known = keyword in {None, "auto", "1K", "1.5K", "2K"}
            expected = {"size": keyword or "auto", **layered} if is_known else None
            typed: dict[str, object] = {"size": keyword, "references": (PICTURE,), "edit": True}
            yield Case(provider="ark", model=model, typed=typed, expected=expected, extra=layered)
    for provider, model in (
        ("ark", "doubao-seedream-3-0-t2i-250415"),
        ("byteplus", "seedream-3-0-t2i-250415"),
    ):
        yield Case(provider=provider, model=model, typed={}, expected={"size": "1024x1024"})
        for size in ("512x512", "2048x2048", "1280x720"):
            expected = {"size": size}
            yield Case(provider=provider, model=model, typed={"size": size}, expected=expected)
    for provider, model in (
        ("ark", "doubao-seededit-3-0-i2i-250628"),
        ("byteplus", "seededit-3-0-i2i-250628"),
    ):
        typed = {"references": (PICTURE,), "edit": True}
        yield Case(provider=provider, model=model, typed=typed, expected={"size": "adaptive"})


def uniall() -> Iterator[Case]:
    """Yield what UniAll documents."""
    for model, table in ON_UNIALL.items():
        yield from by_pixels("uniall", model, table, lambda size: {"custom_size": pixels(size)})
        for size in {*UNIALL_TABLE[model].split(), *UNIALL_TOO_SMALL.split()}:
            is_known = size in UNIALL_TABLE[model].split()
            expected = {"custom_size": pixels(size)} if is_known else None
            yield Case(provider="uniall", model=model, typed={"size": size}, expected=expected)


def fal() -> Iterator[Case]:
    """Yield what fal documents, by pixels, and by word for layers."""
    for model, table in ON_FAL.items():
        yield from by_pixels("fal", model, table, lambda size: {"image_size": pixels(size)})
    for kind in ("pro", "flash"):
        for keyword in (None, "auto", *EVERY_SIZE):
            word = {"1K": "auto_1K", "1.5K": "auto_1.5K", "2K": "auto_2K"}.get(
                keyword or "", "auto"
            )
            is_known = keyword in {None, "auto", "1K", "1.5K", "2K"}
            typed: dict[str, object] = {"size": keyword, "references": (PICTURE,), "edit": True}
            expected = {"image_size": word} if is_known else None
            model = f"{FAL}/v5/{kind}/layerize"
            yield Case(provider="fal", model=model, typed=typed, expected=expected)


def wavespeed() -> Iterator[Case]:
    """Yield what WaveSpeed documents: `W*H`, or words in lower case."""
    for model, table in ON_WAVESPEED.items():
        yield from by_pixels(
            "wavespeed", model, table, lambda size: {"size": size.replace("x", "*")}
        )
    for model, sizes in IN_WORDS.items():
        base: dict[str, object] = (
            {"references": (PICTURE,), "edit": True} if "/" in model[10:] else {}
        )
        for aspect in (None, *FIFTEEN, "7:5"):
            for size in (None, *EVERY_SIZE):
                is_known = aspect != "7:5" and (size or "2K") in sizes
                fields = {"aspect_ratio": aspect or "1:1", "resolution": (size or "2K").lower()}
                typed = base | {"size": size, "aspect": aspect}
                expected = fields if is_known else None
                yield Case(provider="wavespeed", model=model, typed=typed, expected=expected)


def kie() -> Iterator[Case]:
    """Yield what KIE's market documents."""
    for model, kind in ON_KIE.items():
        needs = "edit" in model or "image-to" in model or "layer" in model
        base: dict[str, object] = {"references": (PICTURE,), "edit": True} if needs else {}
        for typed, expected in kie_words(kind):
            yield Case(provider="kie", model=model, typed=base | typed, expected=expected)


def kie_words(kind: str) -> Iterator[tuple[dict[str, object], dict[str, object] | None]]:
    """Yield the words of one generation on KIE, and its fields for them."""
    if kind == "layers":
        for keyword in (None, "auto", *EVERY_SIZE):
            is_known = keyword in {None, "auto", "1K", "1.5K", "2K"}
            yield {"size": keyword}, {"size": keyword or "auto"} if is_known else None
        return
    if kind == "3.0":
        for ratio in ("1:1", "4:3", "3:4", "16:9", "9:16"):
            yield {"aspect": ratio}, {"image_size": NAMES[ratio]}
        for ratio in ("3:2", "2:3", "21:9"):
            yield {"aspect": ratio}, None
        yield {"size": "2K"}, None
        return
    sizes = {"v4": KILOS, "5-flash": {"1K": "1K", "1.5K": "1.5K", "2K": "2K"}}.get(kind)
    sizes = sizes or QUALITY[kind]
    name = {"v4": "image_resolution", "5-flash": "size"}.get(kind, "quality")
    for aspect in (None, *EIGHT):
        shape: dict[str, object] = {"aspect_ratio": aspect or "1:1"}
        for size in (None, *EVERY_SIZE):
            if kind == "v4":
                is_small = size == "1K" and aspect in {None, "1:1"}
                shape = {"image_size": "square" if is_small else NAMES[aspect or "1:1"]}
            word = sizes.get(size or "2K")
            yield {"size": size, "aspect": aspect}, {name: word, **shape} if word else None
        for said in ("basic", "high", "ultra"):
            is_known = kind in QUALITY and said in sizes.values()
            fields: dict[str, object] = {"quality": said, "aspect_ratio": aspect or "1:1"}
            yield {"quality": said, "aspect": aspect}, fields if is_known else None


def kie_older() -> Iterator[Case]:
    """Yield what the page of KIE's older endpoint documents."""
    for aspect in (None, *EIGHT):
        for size in (None, *EVERY_SIZE):
            is_small = size == "1K" and aspect in {None, "1:1"}
            name = "square" if is_small else NAMES[aspect or "1:1"]
            known = {"image_size": name, "image_resolution": size or "2K"}
            expected = known if size in {None, "1K", "2K", "4K"} else None
            typed: dict[str, object] = {"size": size, "aspect": aspect}
            yield Case(provider="kie-seedream", model="", typed=typed, expected=expected)


def seedreams() -> Iterator[Case]:
    """Yield what seedreams.app's matrix documents."""
    every = dict.fromkeys([*BANANA_2, *GPT])
    for model, (ratios, sizes) in ON_SEEDREAMS.items():
        needs = model.endswith(("edit", "image-to-image", "-pro")) or model == "4o-Image"
        base: dict[str, object] = {"references": (PICTURE,), "edit": True} if needs else {}
        for aspect in (None, *every):
            for size in (None, *EVERY_SIZE):
                typed = base | {"size": size, "aspect": aspect}
                word = sizes.get(size or "2K")
                is_known = (aspect is None or aspect in ratios) and (size is None or word)
                shape = {"ratio": aspect or "1:1", "maxImages": 1}
                expected = shape | ({"quality": word} if word else {}) if is_known else None
                yield Case(provider="seedreams", model=model, typed=typed, expected=expected)


# replicate.com/bytedance/seedream-*/versions/*/api, 2025-09 to 2026-09: our words to its own.
ON_REPLICATE = {
    "bytedance/seedream-4.5": {"2K": "2K", "4K": "4K"},
    "bytedance/seedream-5-lite": {"2K": "2K", "3K": "3K"},
    "bytedance/seedream-5-pro": {"1K": "1K", "2K": "2K"},
    "bytedance/seedream-4": {"1K": "1K", "2K": "2K", "4K": "4K"},
    "bytedance/seedream-3": {"1K": "regular", "2K": "big"},
}
# openrouter.ai/bytedance-seed/*/llms.txt, to 2026-11.
ON_OPENROUTER = {
    "bytedance-seed/seedream-4.5": ("1K", "2K", "4K"),
    "bytedance-seed/seedream-5-0-lite": ("2K", "4K"),
    "bytedance-seed/seedream-5-0-pro": ("1K", "2K"),
    "bytedance-seed/seedream-5-0-flash": ("1K", "2K"),
    "bytedance-seed/seedream-5-5": ("1K", "1.5K", "2K"),
}


def hosts() -> Iterator[Case]:
    """Yield what Replicate and OpenRouter document: a word for the size, and the ratio."""
    tables: list[tuple[str, str, str, Mapping[str, str]]] = [
        ("replicate", model, "size", sizes) for model, sizes in ON_REPLICATE.items()
    ]
    for model, sizes in ON_OPENROUTER.items():
        tables.append(("openrouter", model, "resolution", dict(zip(sizes, sizes, strict=True))))
    for provider, model, name, known in tables:
        default = "1K" if model.endswith("-3") else "2K"
        for aspect in (None, *EIGHT):
            for size in (None, *EVERY_SIZE):
                word = known.get(size or default)
                expected = {name: word, "aspect_ratio": aspect or "1:1"} if word else None
                typed: dict[str, object] = {"size": size, "aspect": aspect}
                yield Case(provider=provider, model=model, typed=typed, expected=expected)


def body_of(case: Case) -> Mapping[str, object] | None:
    """Return the fields that go out; None: it is refused."""
    provider = PROVIDERS[case.provider]
    said = {"prompt": "a fox at dawn", "model": case.model or None, "extra": case.extra}
    options = Options(**said, **case.typed)  # type: ignore[arg-type]  # a test's shorthand
    try:
        found = resolve(provider, options, now=NOW, providers=PROVIDERS.values())
    except UsageError:
        return None
    assert found.request.model == case.model
    body = provider.dialect.submit(split(found)[0]).body or {}
    inner = body.get("input", body)
    assert isinstance(inner, dict)
    return inner


SIZES = {"size", "custom_size", "quality", "image_size", "image_resolution", "aspect_ratio"}
SIZES |= {"ratio", "resolution", "maxImages", "layer_decomposition"}


@pytest.mark.parametrize("page", [ark, uniall, kie, kie_older, seedreams, fal, wavespeed, hosts])
def test_bodies_are_those_of_the_page(page: object) -> None:
    """Each word of a page gives its fields and no other of that kind; what it lacks is refused."""
    assert callable(page)
    cases = list(page())
    wrong = []
    for case in cases:
        body = body_of(case)
        sent = None if body is None else {k: v for k, v in body.items() if k in SIZES}
        if sent != case.expected:
            wrong.append((case, sent))
    known = sum(case.expected is not None for case in cases)
    print(f"\n{len(cases)} tried, {known} of them documented, {len(wrong)} wrong")  # noqa: T201
    assert wrong == []


def test_no_model_is_left_out() -> None:
    """Every model of every provider stands in a table here."""
    tables = {
        "ark": {*ON_ARK, *APART},
        "byteplus": {*ON_BYTEPLUS, *APART},
        "kie": {*ON_KIE},
        "kie-seedream": {""},
        "uniall": {*ON_UNIALL},
        "seedreams": {*ON_SEEDREAMS},
        "fal": {*ON_FAL, *FAL_APART},
        "wavespeed": {*ON_WAVESPEED, *IN_WORDS, *WAVE_APART},
        "replicate": {*ON_REPLICATE},
        "openrouter": {*ON_OPENROUTER},
    }
    for name, provider in PROVIDERS.items():
        assert set(provider.models) <= tables.get(name, set()), name
