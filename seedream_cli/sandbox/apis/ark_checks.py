"""What Ark refuses before any work, and in which words (facts: `image generation API`, 2026-09)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass
from seedream_cli.sandbox.apis.ark_references import Complaint, invalid, read_references
from seedream_cli.sandbox.apis.frames import pixels, price_of, ratio_in, read_size
from seedream_cli.sandbox.messages import LAYERS, is_number, is_whole
from seedream_cli.sandbox.tickets import Drawing, seed_of, tint_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from seedream_cli.core.model import Money
    from seedream_cli.providers.spec import Capabilities
    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest

_STEEPEST: Final = 16
_FAST: Final = re.compile(r".*(5[-.]0-pro|4-0).*")
_LARGEST_SEED: Final = 2**31 - 1
_OF_LAYERS: Final = ("auto", "1K", "1.5K", "2K")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArkRequest:
    """A request that Ark would take."""

    model: str
    picture: Drawing
    count: int
    is_layered: bool
    references: int
    is_inline: bool
    is_stream: bool
    price: Money | None
    """Of all pictures, by the public list."""
    is_recent: bool
    """One of the models whose answers also tell format and inputs: 5.0 pro, flash, 5.5."""


def read_purchase(
    asked: HttpRequest, models: Mapping[str, Capabilities], today: datetime
) -> ArkRequest:
    """Return what is bought; raises `Complaint`. Unset keys may be null, unknown keys may be.

    A model that is retired by `today` is refused in the words for a wrong id.
    """
    raw = asked.json()
    if raw is None:
        raise Complaint("The request failed because the body is not valid JSON.")
    body = {key: value for key, value in raw.items() if value is not None}
    name = _require(body, "model")
    model = _model(name, models, today)
    # Layers of a picture can be had without a word.
    prompt = "" if _is_wordless(body) else _require(body, "prompt")
    if model is not None:
        _check_keys(name, model, body)
    _check_types(body)
    references = read_references(model, body)
    width, height = _size(model, body, prompt)
    picture = Drawing(
        seed=seed_of(prompt, body.get("seed"), references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format=_format(model, body),
        is_marked=body.get("watermark") is not False,
        is_signed=True,
        is_clear=body.get("background") == "transparent",
    )
    count = _count(model, body, len(references))
    return ArkRequest(
        model=name,
        picture=picture,
        count=count,
        references=len(references),
        is_inline=body.get("response_format") == "b64_json",
        is_stream=body.get("stream") is True,
        is_layered=body.get("layer_decomposition") is True,
        price=price_of(model, width * height, count, len(references)),
        is_recent=model is not None and model.picks_format and model.max_series == 1,
    )


def _is_wordless(body: Mapping[str, object]) -> bool:
    return body.get("layer_decomposition") is True and "prompt" not in body


def _require(body: Mapping[str, object], key: str) -> str:
    value = body.get(key)
    if value is None or value == "":
        text = f"The request failed because it is missing `{key}` parameter."
        raise Complaint(text, key, code="MissingParameter")
    if not isinstance(value, str):
        raise invalid(key, "it must be a string")
    return value


def _model(name: str, models: Mapping[str, Capabilities], today: datetime) -> Capabilities | None:
    """Return the model; None for an endpoint id, which could stand for any of them."""
    if name.startswith("ep-"):
        return None
    if name not in models or models[name].is_retired(today):
        text = f"The model or endpoint {name} does not exist or you do not have access to it."
        raise Complaint(text, code="InvalidEndpointOrModel.NotFound", status=404)
    return models[name]


def _unsupported(parameter: str) -> Complaint:
    why = f"the parameter `{parameter}` is not supported by the current model"
    return invalid(parameter, why)


def _check_keys(name: str, model: Capabilities, body: Mapping[str, object]) -> None:
    """Refuse known keys on the wrong model: even their harmless values."""
    wrong = set(model.rejects)
    if model.max_series == 1:
        wrong |= {"sequential_image_generation", "sequential_image_generation_options", "stream"}
    if not model.picks_format and "4-0" not in name:
        wrong.add("output_format")
    if not model.references[1]:
        wrong.add("image")
    if "tools" not in model.fields:
        wrong.add("tools")
    if not model.layers:
        wrong |= {"background", "layer_decomposition"}
    for key in body:
        if key in wrong:
            raise _unsupported(key)
    match body.get("optimize_prompt_options"):
        case {"mode": "fast"} if not _FAST.fullmatch(name):
            # As a live refusal of 5.0 lite words it (2026-09).
            name = "optimize_prompt_options.mode"
            raise invalid(name, f"{name} must be 'standard'")
        case _:
            pass


def _check_types(body: Mapping[str, object]) -> None:
    for key in ("watermark", "stream", "layer_decomposition"):
        if not isinstance(body.get(key, True), bool):
            raise invalid(key, "it must be a boolean")
    words = {
        "response_format": ("b64_json", "url"),
        "output_format": ("jpeg", "png"),
        "sequential_image_generation": ("auto", "disabled"),
        "background": ("auto", "opaque", "transparent"),
    }
    for key, allowed in words.items():
        if body.get(key, allowed[0]) not in allowed:
            raise invalid(key, f"{key} must be one of: {', '.join(allowed)}")
    seed = body.get("seed", -1)
    if not is_whole(seed) or not -1 <= int(str(seed)) <= _LARGEST_SEED:
        raise invalid("seed", f"it must be an integer from -1 to {_LARGEST_SEED}")
    if not is_number(body.get("guidance_scale", 1)):
        raise invalid("guidance_scale", "it must be a number")
    for key in ("optimize_prompt_options", "sequential_image_generation_options"):
        if not isinstance(body.get(key, {}), dict):
            raise invalid(key, "it must be an object")
    match body.get("optimize_prompt_options"):
        case {"mode": mode} if mode not in {None, "standard", "fast"}:
            name = "optimize_prompt_options.mode"
            raise invalid(name, f"{name} must be one of: standard, fast")
        case _:
            pass


def _size(model: Capabilities | None, body: Mapping[str, object], prompt: str) -> Pixels:
    size = body.get("size")
    is_layered = body.get("layer_decomposition") is True
    if size is None or (is_layered and size == "auto"):
        offered = list(model.sizes) if model else []
        return pixels(model, "2K" if "2K" in offered or not offered else offered[0], "1:1")
    if not isinstance(size, str):
        raise invalid("size", "it must be a string")
    exact = None if is_layered else read_size(size)
    if exact is not None:
        return _check_pixels(model, *exact)
    words = _OF_LAYERS if is_layered else ("WIDTHxHEIGHT", *_keywords(model))
    if size.upper() not in words[1:]:
        quoted = [f"'{word if word == words[0] else word.lower()}'" for word in words]
        listed = ", ".join((*quoted[:-1], f"or {quoted[-1]}")) if quoted[1:] else quoted[0]
        raise invalid("size", f"size must be one of {listed}")
    # A keyword does not fix the ratio: the model picks it from the prompt.
    return pixels(model, size.upper(), ratio_in(prompt) or "1:1")


def _keywords(model: Capabilities | None) -> list[str]:
    if model is None:
        return ["1K", "1.5K", "2K", "3K", "4K"]
    # 3.0 has no keywords at all, whatever the product calls its sizes.
    return [] if model.guidance else sorted(word.upper() for word in model.sizes)


def _check_pixels(model: Capabilities | None, width: int, height: int) -> Pixels:
    least, most = model.pixels if model and model.pixels else (196, 16_777_216)
    if width * height < least:
        raise invalid("size", f"image size must be at least {least} pixels")
    if width * height > most:
        raise invalid("size", f"image size must be at most {most} pixels")
    if max(width, height) > _STEEPEST * min(width, height):
        raise invalid("size", "image aspect ratio must be between 1/16 and 16")
    return (width, height)


def _format(model: Capabilities | None, body: Mapping[str, object]) -> str:
    if model is not None and not model.picks_format:
        return model.formats[0]
    asked = body.get("output_format")
    if asked in {"png", "jpeg"}:
        return str(asked)
    return model.formats[0] if model else "jpeg"


def _count(model: Capabilities | None, body: Mapping[str, object], references: int) -> int:
    """Return how many pictures a set has: as many as it may, since nobody reads the prompt."""
    if body.get("layer_decomposition") is True and model is not None and model.layers:
        return LAYERS
    key = "sequential_image_generation"
    if body.get(key) != "auto":
        return 1
    together = (model.max_inputs_and_outputs if model else None) or 15
    match body.get(f"{key}_options"):
        case {"max_images": most} if most is not None:
            if not is_whole(most) or not 1 <= int(str(most)) <= together:
                raise invalid(f"{key}_options.max_images", f"it must be from 1 to {together}")
            if int(str(most)) + references > together:
                why = f"input and output images must be at most {together} together"
                raise invalid(f"{key}_options.max_images", why)
            return int(str(most))
        case _:
            return max(1, together - references)
