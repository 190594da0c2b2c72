"""What KIE's market refuses before any work (facts: docs.kie.ai, 2026-08 to 2026-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.sandbox.apis.frames import models_of, pixels, price_of
from seedream_cli.sandbox.messages import (
    LAYERS,
    Answer,
    Callback,
    Effect,
    Fate,
    encode,
    is_number,
    is_whole,
    says,
    texts,
)
from seedream_cli.sandbox.tickets import Drawing, TicketKind, seed_of, tint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Money
    from seedream_cli.providers.spec import Capabilities
    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest
    from seedream_cli.sandbox.tickets import Ticket

NAMES: Final = {
    "square": "1:1",
    "square_hd": "1:1",
    "portrait_4_3": "3:4",
    "portrait_3_2": "2:3",
    "portrait_16_9": "9:16",
    "landscape_4_3": "4:3",
    "landscape_3_2": "3:2",
    "landscape_16_9": "16:9",
    "landscape_21_9": "21:9",
}
"""`image_size` and the ratio that it means."""

_OF_3: Final = frozenset(NAMES) - {"portrait_3_2", "landscape_3_2", "landscape_21_9"}
_OURS: Final = ("seedream/", "bytedance/seedream")
_CREDITS_A_DOLLAR: Final = 200
_MOST_IMAGES: Final = 6


class Complaint(Exception):
    """A refusal with KIE's code."""

    def __init__(self, text: str, code: int = 422) -> None:
        """Say what is wrong."""
        super().__init__(text)
        self.text, self.code = text, code


def refusal(complaint: Complaint) -> Answer:
    """Return a validation error in KIE's envelope."""
    return says({"code": complaint.code, "msg": complaint.text, "data": None})


def accept(
    identity: str, task: Ticket, *, with_record: bool, callback: Callback | None = None
) -> Answer:
    """Return the envelope of an accepted job; market jobs repeat their id as `recordId`."""
    data = {"taskId": identity} | ({"recordId": identity} if with_record else {})
    reply = says({"code": 200, "msg": "success", "data": data})
    deed = Effect(
        is_good=True, task=identity, images=task.count, price=_price_of(task), callback=callback
    )
    return replace(reply, deed=deed)


def check_callback(body: Mapping[str, object]) -> None:
    """Raise `Complaint` unless `callBackUrl` is left out, null or an http(s) URL."""
    url = body.get("callBackUrl")
    if url is not None and not isinstance(url, str):
        raise Complaint("callBackUrl must be a string")
    if url and not url.startswith(("http://", "https://")):
        raise Complaint("callBackUrl is not a valid URL")


def callback(
    body: Mapping[str, object], task: Ticket, record: Mapping[str, object]
) -> Callback | None:
    """Return what is posted to the `callBackUrl` of a submit when `task` has ended."""
    url = body.get("callBackUrl")
    if not isinstance(url, str) or not url or task.fate is Fate.ENDLESS:
        return None
    return Callback(url=url, after=task.delay_ms / 1000, body=encode(record))


def credits_of(task: Ticket) -> float | None:
    """Return what KIE would charge for `task`; None for models whose price is not known."""
    price = _price_of(task)
    return float(price.amount * _CREDITS_A_DOLLAR) if price is not None else None


def _price_of(task: Ticket) -> Money | None:
    is_older = task.kind is TicketKind.KIE_OLDER
    model = models_of("kie-seedream").get("") if is_older else models_of("kie").get(task.model)
    area = task.picture.width * task.picture.height
    return price_of(model, area, task.count, task.references)


def read_purchase(asked: HttpRequest) -> tuple[str, Drawing, int, int]:
    """Return model, first picture, number of pictures and of references; raises `Complaint`."""
    body = asked.json()
    if body is None:
        raise Complaint("The request body is not valid JSON", 400)
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise Complaint("model is required")
    known = models_of("kie")
    if name not in known and name.startswith(_OURS):
        raise Complaint("The model name you specified is not supported.")
    given = body.get("input")
    if not isinstance(given, dict):
        raise Complaint("input is required")
    check_callback(body)
    if name not in known:
        return name, _foreign(asked, given), 1, 0
    return name, *_ours(asked, known[name], name, given)


def _foreign(asked: HttpRequest, given: Mapping[str, object]) -> Drawing:
    """Draw something for KIE's other models: their inputs are not ours to judge."""
    seed = seed_of(repr(sorted(given.items(), key=str)), given.get("seed"), nonce=asked.nonce)
    width, height = pixels(None, "1K", str(given.get("aspect_ratio", "1:1")))
    return Drawing(seed=seed, width=width, height=height, format="png")


def _ours(
    asked: HttpRequest, model: Capabilities, name: str, given: Mapping[str, object]
) -> tuple[Drawing, int, int]:
    prompt = _prompt(model, given)
    references = _references(model, name, given)
    seed = _seed(model, given)
    _guidance(model, given)
    if not isinstance(given.get("nsfw_checker") or False, bool):
        raise Complaint("nsfw_checker must be a boolean")
    width, height = _size(model, given)
    picture = Drawing(
        seed=seed_of(prompt, seed, references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format=_format(model, given),
    )
    return picture, _count(model, given), len(references)


def word_in(given: Mapping[str, object], key: str, allowed: frozenset[str] | set[str]) -> str:
    """Return a word of `given`, or an empty one; raises `Complaint` for one that is not allowed."""
    value = given.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or value not in allowed:
        raise Complaint(f"{key} is not within the range of allowed options")
    return value


def check_bounds(given: Mapping[str, object], key: str, least: float, most: float) -> None:
    """Raise `Complaint` for a number outside its bounds."""
    value = given.get(key)
    if value is None:
        return
    if not is_number(value) or not least <= float(str(value)) <= most:
        raise Complaint(f"{key} must be between {least:g} and {most:g}")


def whole(given: Mapping[str, object], key: str) -> int | None:
    """Return an integer of `given`; raises `Complaint` for anything else."""
    value = given.get(key)
    if value is not None and not is_whole(value):
        raise Complaint(f"{key} must be an integer")
    return int(str(value)) if value is not None else None


def _prompt(model: Capabilities, given: Mapping[str, object]) -> str:
    prompt = given.get("prompt", "")
    least, most = model.prompt
    if not isinstance(prompt, str) or (model.needs_prompt and not prompt):
        raise Complaint("prompt is required")
    if not prompt:
        return ""
    if len(prompt) < least or (most is not None and len(prompt) > most):
        raise Complaint(f"The prompt length must be between {least} and {most} characters")
    return prompt


def _references(model: Capabilities, name: str, given: Mapping[str, object]) -> list[str]:
    least, most = model.references
    key = "image_url" if name.endswith("layer-decomposition") else "image_urls"
    value = given.get(key)
    if not most:
        return []
    if value is None and least:
        raise Complaint(f"{key} is required")
    references = texts(value)
    if not isinstance(value, str if key == "image_url" else list | None):
        raise Complaint(f"{key} has the wrong type")
    if not least <= len(references) <= most:
        raise Complaint(f"{key} must hold {least} to {most} URLs")
    if not all(one.startswith(("http://", "https://")) for one in references):
        raise Complaint(f"{key} is not a valid URL")
    return references


def _seed(model: Capabilities, given: Mapping[str, object]) -> int | None:
    return whole(given, "seed") if model.seed else None


def _guidance(model: Capabilities, given: Mapping[str, object]) -> None:
    if model.guidance:
        check_bounds(given, "guidance_scale", *model.guidance)


def _size(model: Capabilities, given: Mapping[str, object]) -> Pixels:
    if "image_size" in model.fields:
        has_resolution = "image_resolution" in model.fields
        names = frozenset(NAMES) if has_resolution else _OF_3
        aspect = NAMES[word_in(given, "image_size", names) or "square_hd"]
        resolution = word_in(given, "image_resolution", {"1K", "2K", "4K"}) or "1K"
        return pixels(model, resolution if has_resolution else "1K", aspect)
    if "aspect_ratio" not in model.fields:
        keyword = word_in(given, "size", {"auto", "1K", "1.5K", "2K"})
        return pixels(None, keyword if keyword not in {"", "auto"} else "2K", "1:1")
    aspect = word_in(given, "aspect_ratio", frozenset(model.aspects))
    if not aspect:
        raise Complaint("aspect_ratio is required")
    return pixels(model, _keyword(model, given), aspect)


def _keyword(model: Capabilities, given: Mapping[str, object]) -> str:
    if not model.quality:
        return word_in(given, "size", frozenset(model.sizes)) or "1K"
    words = {word: keyword for keyword, word in model.quality.items()}
    quality = word_in(given, "quality", frozenset(words))
    if not quality:
        raise Complaint("quality is required")
    return words[quality]


def _format(model: Capabilities, given: Mapping[str, object]) -> str:
    if not model.picks_format:
        return model.formats[0] if model.formats else "png"
    return word_in(given, "output_format", frozenset(model.formats)) or model.formats[0]


def _count(model: Capabilities, given: Mapping[str, object]) -> int:
    if model.is_layered:
        return LAYERS
    if "max_images" not in model.fields:
        return 1
    check_bounds(given, "max_images", 1, _MOST_IMAGES)
    return whole(given, "max_images") or 1
