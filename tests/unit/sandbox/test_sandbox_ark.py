"""The stand-in for Ark and BytePlus takes and refuses what the real ones do."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
from support.pictures import SIGNATURE, chunk, png

from seedream_cli.sandbox.messages import Answer, Fate, HttpRequest, Settings, Stage, Where
from seedream_cli.sandbox.pictures.host import draw
from seedream_cli.sandbox.router import answer
from seedream_cli.sandbox.tickets import Drawing

MODEL = "doubao-seedream-4-5-251128"
NOW = 1_795_000_000.5
STAGE = Stage(now=NOW, settings=Settings(delay=2.0))
JPEG = draw(Drawing(seed=1, width=16, height=16, format="jpeg"))
HUGE = (
    SIGNATURE
    + chunk(b"IHDR", (6001).to_bytes(4) * 2 + b"\x08\0\0\0\0")
    + chunk(b"IDAT", b"x")
    + chunk(b"IEND", b"")
)
SEED_EXAMPLE = {
    "model": MODEL,
    "prompt": "A serene mountain landscape",
    "size": "2K",
    "watermark": False,
}


def ask(body: object, *, key: str = "k", base: str = "/ark/api/v3", stage: Stage = STAGE) -> Answer:
    """POST `body` as JSON."""
    asked = HttpRequest(
        method="POST",
        path=f"{base}/images/generations",
        headers={"authorization": f"Bearer {key}", "host": "sandbox.seedream.invalid"},
        body=json.dumps(body).encode(),
    )
    return answer(asked, stage)


def fetch(url: str, now: float = NOW, **headers: str) -> Answer:
    """GET an image URL, with its query or without."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    asked = HttpRequest(method="GET", path=parts.path, query=query, headers=headers)
    return answer(asked, Stage(now=now))


def opened(reply: Answer) -> dict[str, object]:
    """Return the answer's JSON object."""
    value = json.loads(reply.body)
    assert isinstance(value, dict)
    return value


def error(reply: Answer) -> dict[str, str]:
    """Return the error of Ark's envelope."""
    found = json.loads(reply.body)["error"]
    assert isinstance(found, dict)
    return found


def first_url(reply: Answer) -> str:
    """Return the URL of the first picture."""
    return str(json.loads(reply.body)["data"][0]["url"])


def test_the_example_of_the_page_gets_its_picture() -> None:
    """The documented request yields the documented answer and a JPEG of the told size."""
    reply = ask(SEED_EXAMPLE)
    body = json.loads(reply.body)
    assert reply.status == 200
    assert reply.delay == 2.0
    assert (reply.deed.provider, reply.deed.where, reply.deed.is_good) == (
        "ark",
        Where.SUBMIT,
        True,
    )
    assert body["model"] == MODEL
    assert body["created"] == int(NOW + 2)
    assert body["usage"] == {
        "generated_images": 1,
        "output_tokens": 16384,
        "total_tokens": 16384,
    }
    assert body["data"][0]["size"] == "2048x2048"
    image = fetch(body["data"][0]["url"])
    assert image.headers["content-type"] == "image/jpeg"
    assert image.body[:2] == b"\xff\xd8"


def test_urls_look_presigned_and_lapse_after_a_day() -> None:
    """A result URL tells its expiry, needs its whole query, and is refused with 403 later."""
    url = first_url(ask(SEED_EXAMPLE))
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    assert parts.netloc == "sandbox.seedream.invalid"
    assert query["X-Tos-Expires"] == "86400"
    assert re.fullmatch(r"\d{8}T\d{6}Z", query["X-Tos-Date"])
    assert re.fullmatch(r"[0-9a-f]{64}", query["X-Tos-Signature"])
    assert fetch(url, now=NOW + 86_000).status == 200
    assert fetch(url, now=NOW + 86_400).status == 403
    assert fetch(url.partition("?")[0]).status == 403
    assert fetch(url.replace("X-Tos-Expires=86400", "X-Tos-Expires=99999")).status == 403


def test_the_image_host_wants_no_key() -> None:
    """A key on a request to the image host is refused in clear words."""
    reply = fetch(first_url(ask(SEED_EXAMPLE)), authorization="Bearer k")
    assert reply.status == 400
    assert b"API key" in reply.body


def test_request_ids_have_the_real_shape() -> None:
    """A request id is 02, 13 digits of milliseconds, 38 hex digits; the client's own comes back."""
    reply = ask(SEED_EXAMPLE)
    assert re.fullmatch(f"02{int(NOW * 1000)}[0-9a-f]{{38}}", reply.headers["x-request-id"])
    assert reply.headers["x-client-request-id"].startswith("unknown-")
    asked = HttpRequest(
        method="GET",
        path="/ark/api/v3/models",
        headers={"authorization": "Bearer k", "x-client-request-id": "mine"},
    )
    assert answer(asked, STAGE).headers["x-client-request-id"] == "mine"


@pytest.mark.parametrize(
    ("key", "status", "code", "kind", "words"),
    [
        ("", 401, "AuthenticationError", "Unauthorized", "missing or invalid. Request id: 02"),
        ("wrong", 401, "AuthenticationError", "Unauthorized", "missing or invalid. Request id: 02"),
        ("no-credit", 403, "AccountOverdueError", "Forbidden", "overdue balance"),
    ],
)
def test_accounts_are_turned_down(key: str, status: int, code: str, kind: str, words: str) -> None:
    """A bad key and an empty account get Ark's own envelope, and no charge."""
    reply = ask(SEED_EXAMPLE, key=key)
    assert (reply.status, reply.deed.is_good) == (status, False)
    assert error(reply)["code"] == code
    assert error(reply)["type"] == kind
    assert words in error(reply)["message"]


def test_too_few_pixels_are_refused_in_the_words_of_ark() -> None:
    """The most reported error of all has its exact text."""
    found = error(ask(SEED_EXAMPLE | {"size": "1024x1024"}))
    message = found.pop("message")
    assert found == {"code": "InvalidParameter", "param": "size", "type": "BadRequest"}
    assert re.fullmatch(
        r"The parameter `size` specified in the request is not valid: image size must be at least"
        r" 3686400 pixels\. Request id: 02[0-9a-f]{51}",
        message,
    )


PRO = "doubao-seedream-5-0-pro-260628"
LITE = "doubao-seedream-5-0-260128"
FLASH = "doubao-seedream-5-0-flash-260915"
V4 = "doubao-seedream-4-0-250828"


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"size": "8000x4096"}, "size"),
        ({"size": "8000x470"}, "size"),
        ({"size": "1K"}, "size"),
        ({"size": "adaptive"}, "size"),
        ({"size": 2048}, "size"),
        ({"prompt": ""}, "prompt"),
        ({"model": None}, "model"),
        ({"watermark": "yes"}, "watermark"),
        ({"response_format": "base64"}, "response_format"),
        ({"output_format": "png"}, "output_format"),
        ({"output_format": "webp", "model": LITE}, "output_format"),
        ({"image": ["https://a.example/1.png"] * 15}, "image"),
        ({"image": "cat.png"}, "image"),
        ({"image": [7]}, "image"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"optimize_prompt_options": {"mode": "fast"}}, "optimize_prompt_options.mode"),
        ({"model": PRO, "sequential_image_generation": "disabled"}, "sequential_image_generation"),
        ({"model": FLASH, "stream": False}, "stream"),
        ({"model": PRO, "image": ["https://a.example/1.png"] * 11}, "image"),
        (
            {
                "sequential_image_generation": "auto",
                "sequential_image_generation_options": {"max_images": 16},
            },
            "sequential_image_generation_options.max_images",
        ),
        (
            {
                "image": ["https://a.example/1.png"] * 14,
                "sequential_image_generation": "auto",
                "sequential_image_generation_options": {"max_images": 2},
            },
            "sequential_image_generation_options.max_images",
        ),
    ],
)
def test_what_ark_refuses_is_refused(change: dict[str, object], parameter: str) -> None:
    """A field that the model does not take is a 400 that names it, and no charge."""
    reply = ask(SEED_EXAMPLE | change)
    assert (reply.status, reply.deed.is_good) == (400, False)
    assert error(reply)["param"] == parameter


@pytest.mark.parametrize("name", ["output_format", "tools"])
def test_known_fields_of_other_models_get_the_known_sentence(name: str) -> None:
    """A client can recognise the sentence that Ark has for it."""
    words = f"the parameter `{name}` is not supported by the current model"
    assert words in error(ask(SEED_EXAMPLE | {name: "png"}))["message"]


@pytest.mark.parametrize(
    "model", ["seedream-4-5-251128", "doubao-seedream-9", "doubao-seedream-3-0-t2i-250415"]
)
def test_a_model_of_elsewhere_is_not_found(model: str) -> None:
    """Names of the other service, of nobody, and of models that were shut down are 404."""
    reply = ask(SEED_EXAMPLE | {"model": model})
    assert (reply.status, error(reply)["code"]) == (404, "InvalidEndpointOrModel.NotFound")


def inline(content: bytes, kind: str = "png") -> str:
    """Return a picture as it stands in a body."""
    return f"data:image/{kind};base64,{b64encode(content).decode()}"


INLINE = inline(png(15, 15))


def picture(width: int, height: int, *, kind: int, pixels: bytes, extra: bytes = b"") -> bytes:
    """Build an 8-bit PNG of this colour type, of rows that begin with their filter."""
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, kind, 0, 0, 0])
    parts = (chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(pixels)))
    return b"".join((SIGNATURE, *parts, chunk(b"IEND", b"")))


@pytest.mark.parametrize(
    ("image", "code", "words"),
    [
        ("data:image/PNG;base64," + INLINE.partition(",")[2], "InvalidImageURL", "neither a URL"),
        ("data:image/png;base64,???", "InvalidImageURL", "not valid base64"),
        ("data:image/png;base64,", "InvalidImageURL", "empty"),
        ("data:image/png;base64,AAAA", "InvalidImageURL", "decoded"),
        ("data:image/png," + INLINE.partition(",")[2], "InvalidImageURL", "neither a URL"),
        (INLINE.partition(",")[2], "InvalidImageURL", "neither a URL"),
        (inline(b"\xff\x0a" + bytes(60)), "InvalidParameter", "format jxl is not supported"),
        (inline(png(14, 20)), "InvalidParameter", "larger than 14"),
        (inline(png(15, 241)), "InvalidParameter", "aspect ratio must be between 1/16 and 16"),
        (inline(HUGE), "InvalidParameter", "between 196 and 36000000 pixels"),
    ],
)
def test_references_in_the_body_are_looked_into(image: str, code: str, words: str) -> None:
    """Format, base64, bytes, sides, ratio and area hold before any drawing, and cost nothing."""
    for value in (image, [INLINE, image]):
        reply = ask(SEED_EXAMPLE | {"image": value})
        found = error(reply)
        assert (reply.status, reply.deed.is_good) == (400, False)
        assert (found["code"].partition(".")[0], found["param"]) == (code, "image")
        assert words in found["message"]


def test_a_reference_has_at_most_thirty_megabytes() -> None:
    """The bytes are counted decoded, before the picture is looked into."""
    reply = ask(SEED_EXAMPLE | {"image": inline(bytes(30_000_001))})
    assert (reply.status, error(reply)["param"]) == (400, "image")
    assert "at most 30 MB" in error(reply)["message"]


OPAQUE = picture(16, 16, kind=6, pixels=(b"\0" + b"abc\xff" * 16) * 16)
CLEAR = picture(16, 16, kind=6, pixels=(b"\0" + b"abc\xff" * 15 + b"abc\0") * 16)
PALETTE = (b"\0" + bytes(16)) * 16
SUB, UP, AVERAGE, PAETH = 1, 2, 3, 4


def filtered(kind: int) -> bytes:
    """Build rows of white that a filter makes of an opaque first row: all stay opaque."""
    first = b"\0" + b"\xff" * 64
    white = {
        SUB: b"\1" + b"\xff" * 4 + bytes(60),
        UP: b"\2" + bytes(64),
        AVERAGE: b"\3" + b"\x80" * 4 + bytes(60),
        PAETH: b"\4" + bytes(64),
    }
    return picture(16, 16, kind=6, pixels=first + white[kind] * 15)


NEEDS_ALPHA = "transparent background requires a PNG input with at least one transparent pixel"
NEEDS_ONE = "transparent background requires exactly one input image"


@pytest.mark.parametrize(
    ("change", "parameter", "words"),
    [
        ({"image": None}, "background", NEEDS_ONE),
        ({"image": [inline(CLEAR)] * 2}, "background", NEEDS_ONE),
        ({"image": INLINE}, "image", NEEDS_ALPHA),
        ({"image": inline(OPAQUE)}, "image", NEEDS_ALPHA),
        *(({"image": inline(filtered(kind))}, "image", NEEDS_ALPHA) for kind in range(1, 5)),
        ({"image": inline(JPEG, "jpeg")}, "image", NEEDS_ALPHA),
        (
            {
                "image": inline(
                    picture(16, 16, kind=3, pixels=PALETTE, extra=chunk(b"PLTE", b"abc"))
                )
            },
            "image",
            NEEDS_ALPHA,
        ),
        ({"output_format": "jpeg"}, "output_format", "must be png when background is transparent"),
        ({"output_format": None}, "output_format", "must be png when background is transparent"),
        ({"layer_decomposition": True}, "background", "layer_decomposition"),
        ({"background": "clear"}, "background", "must be one of: auto, opaque, transparent"),
    ],
)
def test_a_transparent_background_has_its_conditions(
    change: dict[str, object], parameter: str, words: str
) -> None:
    """Pro wants one PNG with a pixel that is not opaque, and PNG said as the format."""
    body = {"model": PRO, "prompt": "a fox", "background": "transparent", "output_format": "png"}
    reply = ask(body | {"image": inline(CLEAR)} | change)
    assert (reply.status, error(reply)["param"]) == (400, parameter)
    assert words in error(reply)["message"]


@pytest.mark.parametrize(
    "image",
    [
        inline(CLEAR),
        inline(picture(16, 16, kind=4, pixels=(b"\1" + b"\0\xff" + b"\0\xff" * 15) * 16)),
        inline(
            picture(
                16, 16, kind=3, pixels=PALETTE, extra=chunk(b"PLTE", b"abc") + chunk(b"tRNS", b"\0")
            )
        ),
        "https://a.example/with-alpha.png",
    ],
)
def test_a_transparent_background_is_made(image: str) -> None:
    """What meets the conditions becomes a PNG with alpha, and says so; 5.5 does it from text."""
    body = {"model": PRO, "prompt": "fox", "background": "transparent", "output_format": "png"}
    answered = json.loads(ask(body | {"image": image}).body)
    assert answered["data"][0]["output_format"] == "png"
    assert answered["usage"]["input_images"] == 1
    made = fetch(answered["data"][0]["url"]).body
    assert made[:4] == b"\x89PNG"
    # What was made can be edited again: the stand-in sees its own alpha.
    assert ask(body | {"image": inline(made)}).status == 200
    newest = "doubao-seedream-5-5-261028"
    for background in ("transparent", "opaque", "auto"):
        assert ask({"model": newest, "prompt": "fox", "background": background}).status == 200


LAYERS = {"model": PRO, "image": inline(png(512, 512)), "layer_decomposition": True}


@pytest.mark.parametrize("model", [PRO, FLASH, "doubao-seedream-5-5-261028"])
@pytest.mark.parametrize("size", [None, "auto", "1K", "1.5K", "2K"])
def test_layers_come_without_a_word(model: str, size: str | None) -> None:
    """One picture and no prompt become a base and clear PNGs, each with its place."""
    answered = json.loads(ask(LAYERS | {"model": model, "size": size}).body)
    base, *layers = answered["data"]
    assert answered["usage"]["generated_images"] == len(answered["data"]) > 1
    assert [item["z_index"] for item in answered["data"]] == list(range(1 + len(layers)))
    assert {item["output_format"] for item in layers} == {"png"}
    for item in answered["data"]:
        assert {"name", "description", "bounding_box"} < set(item)
        assert set(item["bounding_box"]) == {"absolute", "normalized"}
    assert fetch(base["url"]).status == 200
    assert b"tRNS" in fetch(layers[0]["url"]).body


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"size": "2048x2048"}, "size"),
        ({"size": "4K"}, "size"),
        ({"image": None}, "image"),
        ({"image": [LAYERS["image"]] * 2}, "image"),
        ({"image": inline(png(511, 512))}, "image"),
        ({"layer_decomposition": "yes"}, "prompt"),
        ({"layer_decomposition": "yes", "prompt": "x"}, "layer_decomposition"),
        ({"layer_decomposition": False, "size": "auto", "prompt": "x"}, "size"),
        ({"model": V4, "prompt": "x"}, "layer_decomposition"),
        ({"model": V4, "prompt": "x", "layer_decomposition": False}, "layer_decomposition"),
        (
            {"model": LITE, "prompt": "x", "layer_decomposition": None, "background": "opaque"},
            "background",
        ),
    ],
)
def test_layers_have_their_conditions(change: dict[str, object], parameter: str) -> None:
    """Free sizes, none or two pictures, small ones, and models without layers are refused."""
    reply = ask(LAYERS | change)
    assert (reply.status, error(reply)["param"]) == (400, parameter)


@pytest.mark.parametrize(
    ("change", "code", "parameter", "words"),
    [
        (
            {"model": PRO, "image": ["https://a.example/1"] * 11},
            "InvalidParameter",
            "image",
            r"number of reference images .*cannot exceed 10\b",
        ),
        (
            {"model": LITE, "image": ["https://a.example/1"] * 15},
            "InvalidParameter",
            "image",
            r"number of reference images .*cannot exceed 14\b",
        ),
        *(
            (
                {"model": PRO, key: value},
                "InvalidParameter",
                key,
                f"`{key}` is not supported by the current model",
            )
            for key, value in (
                ("sequential_image_generation", "auto"),
                ("stream", True),
                ("tools", [{"type": "web_search"}]),
            )
        ),
        (
            {"model": LITE, "optimize_prompt_options": {"mode": "fast"}},
            "InvalidParameter",
            "optimize_prompt_options.mode",
            r"optimize_prompt_options\.mode must be 'standard'",
        ),
        (
            {"model": LITE, "output_format": "webp"},
            "InvalidParameter",
            "output_format",
            "must be one of: jpeg, png",
        ),
        (
            {"model": LITE, "size": "1K"},
            "InvalidParameter",
            "size",
            r"size must be one of 'WIDTHxHEIGHT', '2k', '3k', or '4k'\. Request id: 02",
        ),
        ({"size": "1x1"}, "InvalidParameter", "size", "image size must be at least 3686400 pixels"),
        (
            {"model": PRO, "size": "1x1"},
            "InvalidParameter",
            "size",
            "image size must be at least 921600 pixels",
        ),
        (
            {"optimize_prompt_options": {"mode": "turbo"}},
            "InvalidParameter",
            "optimize_prompt_options.mode",
            "one of",
        ),
        ({"seed": 2**31}, "InvalidParameter", "seed", "from -1 to 2147483647"),
        ({"image": ""}, "InvalidImageURL.EmptyURL", "image", "empty"),
        ({"image": ["https://a.example/1", ""]}, "InvalidImageURL.EmptyURL", "image", "empty"),
        ({"image": 7}, "InvalidImageURL.InvalidFormat", "image", "a URL, a base64 image"),
    ],
)
def test_refusals_have_the_words_that_were_seen(
    change: dict[str, object], code: str, parameter: str, words: str
) -> None:
    """Wordings of live refusals and of public reports (2026-09): code, field, sentence."""
    reply = ask(SEED_EXAMPLE | change)
    found = error(reply)
    assert (reply.status, found["code"], found["param"]) == (400, code, parameter)
    assert re.search(words, found["message"])
    assert not reply.deed.is_good


def test_web_search_is_for_arks_lite_only() -> None:
    """BytePlus' lite answers 400 to `tools`, where Ark's takes them."""
    tools = {"tools": [{"type": "web_search"}], "size": "2K", "prompt": "a fox"}
    assert ask(tools | {"model": LITE}).status == 200
    reply = ask(tools | {"model": "seedream-5-0-260128"}, base="/byteplus/api/v3")
    assert (reply.status, error(reply)["param"]) == (400, "tools")


@pytest.mark.parametrize(
    ("change", "size"),
    [
        ({"size": "2560x1440"}, "2560x1440"),
        ({"size": "4k"}, "4096x4096"),
        ({"prompt": "a pier, 16:9"}, "2848x1600"),
        ({"model": V4, "size": "1K"}, "1024x1024"),
        ({"model": PRO, "size": "1.5K"}, "1536x1536"),
        ({"model": "ep-20260101000000-abcde", "size": "3K"}, "3072x3072"),
        ({"size": None}, "2048x2048"),
        ({"n": 2, "bogus_field": True}, "2048x2048"),
        ({"seed": 5, "guidance_scale": 2.5}, "2048x2048"),
        ({"image": INLINE}, "2048x2048"),
        ({"image": [INLINE, "https://a.example/1.png"]}, "2048x2048"),
        ({"model": V4, "optimize_prompt_options": {"mode": "fast"}}, "2048x2048"),
        ({"model": LITE, "tools": [{"type": "web_search"}]}, "2048x2048"),
    ],
)
def test_what_ark_takes_is_taken(change: dict[str, object], size: str) -> None:
    """Legal requests, unknown fields among them, give one picture of the right size."""
    data = json.loads(ask(SEED_EXAMPLE | change).body)["data"]
    assert [item["size"] for item in data] == [size]


def test_the_fifteen_keys_of_the_official_sdks_are_taken() -> None:
    """Both vendors' SDKs send every key, unset ones as null, on every model."""
    keys = (
        "model prompt image response_format size seed guidance_scale watermark optimize_prompt"
        " optimize_prompt_options sequential_image_generation sequential_image_generation_options"
        " tools output_format layer_decomposition"
    )
    body = dict.fromkeys(keys.split()) | {"prompt": "a fox"}
    for model in (MODEL, PRO, LITE, V4):
        assert ask(body | {"model": model}).status == 200


def test_newer_models_tell_more_and_choose_the_format() -> None:
    """Pro answers with output_format and input_images, and makes the PNG that it was asked for."""
    body = {
        "model": PRO,
        "prompt": "a fox",
        "size": "1K",
        "output_format": "png",
        "image": ["https://a.example/1.png"],
    }
    answered = json.loads(ask(body).body)
    assert answered["data"][0]["output_format"] == "png"
    assert answered["usage"]["input_images"] == 1
    assert fetch(answered["data"][0]["url"]).body[:4] == b"\x89PNG"


def test_inline_images_hold_the_same_picture() -> None:
    """`b64_json` is bare base64 of what the URL would have given."""
    inline = json.loads(ask(SEED_EXAMPLE | {"response_format": "b64_json"}).body)["data"][0]
    assert "url" not in inline
    assert b64decode(inline["b64_json"]) == fetch(first_url(ask(SEED_EXAMPLE))).body


def test_the_watermark_is_on_unless_it_is_off() -> None:
    """Without `watermark: false` the picture is marked and its URL says so."""
    marked = {key: value for key, value in SEED_EXAMPLE.items() if key != "watermark"}
    url = first_url(ask(marked))
    assert "x-tos-process=image%2Fwatermark" in url
    assert fetch(url).body != fetch(first_url(ask(SEED_EXAMPLE))).body


SET = SEED_EXAMPLE | {
    "sequential_image_generation": "auto",
    "sequential_image_generation_options": {"max_images": 3},
}


def test_a_set_has_as_many_pictures_as_it_may() -> None:
    """`max_images` different pictures come, and usage counts them."""
    body = json.loads(ask(SET).body)
    assert body["usage"]["generated_images"] == 3
    assert len({item["url"] for item in body["data"]}) == 3


def test_a_streamed_set_comes_picture_by_picture() -> None:
    """Each picture is an event of its own, then usage, then the end mark."""
    reply = ask(SET | {"stream": True})
    assert reply.headers["content-type"] == "text/event-stream"
    assert [pause for pause, _ in reply.events] == [2.0, 2.0, 2.0, 0.0, 0.0]
    frames = [content.decode() for _, content in reply.events]
    assert frames[-1] == "data: [DONE]\n\n"
    names, values = [], []
    for frame in frames[:-1]:
        event, data = frame.strip().split("\n")
        names.append(event.removeprefix("event: image_generation."))
        values.append(json.loads(data.removeprefix("data: ")))
    assert names == ["partial_succeeded"] * 3 + ["completed"]
    assert [value["image_index"] for value in values[:3]] == [0, 1, 2]
    assert all(f"image_generation.{n}" == v["type"] for n, v in zip(names, values, strict=True))
    assert values[3]["usage"]["generated_images"] == 3


def test_a_failure_is_told_inside_a_good_answer() -> None:
    """When nothing was made, a 200 has an error at its top and no data."""
    reply = ask(SEED_EXAMPLE, stage=replace(STAGE, fate=Fate.FAILED))
    body = opened(reply)
    assert (reply.status, reply.deed.is_good) == (200, True)
    assert "data" not in body
    assert error(reply)["code"] == "InternalServiceError"


def test_byteplus_has_its_own_names() -> None:
    """BytePlus answers on its own path, for its own ids."""
    reply = ask(SEED_EXAMPLE | {"model": "seedream-4-5-251128"}, base="/byteplus/api/v3")
    assert (reply.status, reply.deed.provider) == (200, "byteplus")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """Broken JSON is a 400, never a crash."""
    asked = HttpRequest(
        method="POST",
        path="/ark/api/v3/images/generations",
        headers={"authorization": "Bearer k"},
        body=body,
    )
    assert answer(asked, STAGE).status == 400


def test_models_are_listed_free_of_charge() -> None:
    """The one free call lists live models and proves a key."""
    asked = HttpRequest(
        method="GET", path="/ark/api/v3/models", headers={"authorization": "Bearer k"}
    )
    reply = answer(asked, STAGE)
    assert MODEL in [entry["id"] for entry in json.loads(reply.body)["data"]]
    assert reply.deed.where is Where.FREE
    assert answer(replace(asked, headers={}), STAGE).status == 401


def test_a_retired_model_is_refused_from_its_last_minute_on() -> None:
    """Its 404 has the words for a wrong id, and nothing is charged; the list says `Shutdown`."""
    ended = datetime(2026, 11, 24, 6, 0, tzinfo=UTC).timestamp()
    before, after = (Stage(now=ended + seconds) for seconds in (-1, 0))
    assert ask(SEED_EXAMPLE, stage=before).status == 200
    reply = ask(SEED_EXAMPLE, stage=after)
    assert (reply.status, reply.deed.is_good) == (404, False)
    found = error(reply)
    message = found.pop("message")
    assert found == {"code": "InvalidEndpointOrModel.NotFound", "param": "", "type": "Not Found"}
    assert re.fullmatch(
        rf"The model or endpoint {MODEL} does not exist or you do not have access to it\."
        r" Request id: 02[0-9a-f]{51}",
        message,
    )
    assert ask({"model": "ep-20260101120000-abcde", "prompt": "fox"}, stage=after).status == 200
    byteplus = SEED_EXAMPLE | {"model": "seedream-4-5-251128"}
    assert ask(byteplus, base="/byteplus/api/v3", stage=after).status == 200


def test_another_day_can_be_rehearsed() -> None:
    """`at` says which models live; URLs lapse by the real time, as their readers' do."""
    day = Settings(at=datetime(2026, 11, 1, tzinfo=UTC))
    now = datetime(2026, 11, 30, tzinfo=UTC).timestamp()
    stage = Stage(now=now, settings=day)
    assert fetch(first_url(ask(SEED_EXAMPLE, stage=stage)), now=now + 60).status == 200
    asked = HttpRequest(
        method="GET", path="/ark/api/v3/models", headers={"authorization": "Bearer k"}
    )
    lists = [json.loads(answer(asked, each).body)["data"] for each in (stage, Stage(now=now))]
    (then, today) = ({entry["id"]: entry["status"] for entry in found} for found in lists)
    assert (then[MODEL], today[MODEL]) == ("", "Shutdown")
    assert then["doubao-seedream-3-0-t2i-250415"] == "Shutdown"
