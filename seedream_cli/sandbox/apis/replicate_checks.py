"""What the stand-in for Replicate holds against a prediction's input before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.sandbox.apis.frames import models_of, pixels
from seedream_cli.sandbox.messages import LAYERS, is_number, is_whole
from seedream_cli.sandbox.tickets import Drawing, seed_of, tint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.providers.spec import Capabilities
    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest

_MOST_TOGETHER: Final = 15
_DEFAULT_SIZE_3: Final = "regular"
_CUSTOM: Final = "custom"


class Complaint(Exception):
    """An input that is answered with 422, before there is a prediction."""

    def __init__(self, field: str, text: str) -> None:
        """Name the field and what is wrong with it."""
        super().__init__(text)
        self.field, self.text = field, text


def read_input(
    asked: HttpRequest, name: str, given: Mapping[str, object]
) -> tuple[Drawing, int, int]:
    """Return the first picture, how many come, and how many references there are.

    Raises `Complaint`.
    """
    model = models_of("replicate")[name]
    references = _references(model, given)
    prompt = _prompt(model, given)
    _within(given, "guidance_scale", model.guidance)
    seed = given.get("seed") if model.seed else None
    if seed is not None and not is_whole(seed):
        raise Complaint("seed", "Invalid type. Expected: integer, given: string")
    width, height = _size(model, given)
    picture = Drawing(
        seed=seed_of(prompt, seed, references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format=_format(model, given),
    )
    return picture, _count(model, given, len(references)), len(references)


def _prompt(model: Capabilities, given: Mapping[str, object]) -> str:
    prompt = given.get("prompt", "")
    if not isinstance(prompt, str) or (not prompt and not _is_layered(model, given)):
        raise Complaint("prompt", "prompt is required")
    most = model.prompt[1]
    if most is not None and len(prompt) > most:
        raise Complaint("prompt", f"String length must be less than or equal to {most}")
    return prompt


def _references(model: Capabilities, given: Mapping[str, object]) -> list[str]:
    value = given.get("image_input", [])
    if "image_input" not in model.fields:
        return []
    if not isinstance(value, list):
        raise Complaint("image_input", "Invalid type. Expected: array, given: string")
    if not all(isinstance(one, str) and _is_address(one) for one in value):
        raise Complaint("image_input", "Does not match format 'uri'")
    if len(value) > model.references[1]:
        most = model.references[1]
        raise Complaint("image_input", f"Array must have at most {most} items")
    return value


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://", "data:image/"))


def _size(model: Capabilities, given: Mapping[str, object]) -> Pixels:
    words = {word: keyword for keyword, word in model.quality.items()}
    if words:  # 3.0: pixels are a ratio
        ratio = _word(given, "aspect_ratio", {*model.aspects, _CUSTOM}) or "16:9"
        size = _word(given, "size", set(words)) or _DEFAULT_SIZE_3
        if ratio == _CUSTOM:
            return _pixels(model, given)
        keyword = words[size]
        return pixels(None, "0.5K" if keyword == "small" else keyword, ratio)
    is_free = "width" in model.fields
    size = _word(given, "size", {*model.sizes, *({_CUSTOM} if is_free else set())})
    ratio = _word(given, "aspect_ratio", set(model.aspects)) or "match_input_image"
    if size == _CUSTOM:
        return _pixels(model, given)
    return pixels(model, size or "2K", "1:1" if ratio == "match_input_image" else ratio)


def _pixels(model: Capabilities, given: Mapping[str, object]) -> Pixels:
    sides: list[int] = []
    for key in ("width", "height"):
        value = given.get(key, 2048)
        _within(given, key, (model.min_side, model.max_side or 4096))
        sides.append(int(str(value)))
    return (sides[0], sides[1])


def _word(given: Mapping[str, object], key: str, allowed: set[str]) -> str:
    value = given.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or value not in allowed:
        words = ", ".join(f'"{word}"' for word in sorted(allowed))
        raise Complaint(key, f"{key} must be one of the following: {words}")
    return value


def _within(given: Mapping[str, object], key: str, bounds: tuple[float, float] | None) -> None:
    value = given.get(key)
    if value is None or bounds is None:
        return
    if not is_number(value) or not bounds[0] <= float(str(value)) <= bounds[1]:
        raise Complaint(key, f"Must be between {bounds[0]:g} and {bounds[1]:g}")


def _format(model: Capabilities, given: Mapping[str, object]) -> str:
    if not model.picks_format:
        return "jpeg"
    return _word(given, "output_format", set(model.formats)) or model.formats[0]


def _count(model: Capabilities, given: Mapping[str, object], references: int) -> int:
    """Return how many pictures are made, and billed: a set is as large as it may be."""
    if _is_layered(model, given):
        return LAYERS
    if "max_images" not in model.fields:
        return 1
    _within(given, "max_images", (1, model.max_series))
    count = given.get("max_images", 1)
    if not is_whole(count):
        raise Complaint("max_images", "Invalid type. Expected: integer, given: number")
    mode = _word(given, "sequential_image_generation", {"disabled", "auto"})
    if mode != "auto":
        return 1
    if int(str(count)) + references > _MOST_TOGETHER:
        raise Complaint("max_images", "Total images (input + generated) cannot exceed 15")
    return int(str(count))


def _is_layered(model: Capabilities, given: Mapping[str, object]) -> bool:
    return model.layers > 0 and given.get("layer_decomposition") is True
