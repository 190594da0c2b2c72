"""What Ark asks of reference images, as far as it can be told without fetching them.

Facts: Ark's image API page (https://www.volcengine.com/docs/82379/1541523), BytePlus' twin, and
refusals that were published, 2026-09.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import NotAPicture
from seedream_cli.core.record import dataclass
from seedream_cli.providers.spec import InputLimits
from seedream_cli.sandbox.messages import texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seedream_cli.providers.spec import Capabilities

_ADDRESS: Final = re.compile(r"https?://[^\s/]+\S*")
_INLINE: Final = re.compile(r"data:image/([a-z0-9.+-]+);base64,(.*)", re.DOTALL)
_LAYERED: Final = InputLimits(
    # heic and heif never; the other formats of plain references stand in one page of BytePlus.
    formats=frozenset({"jpeg", "png", "webp", "bmp", "tiff", "gif"}),
    max_bytes=30_000_000,
    min_side=15,
    area=(262_144, 36_000_000),
    max_ratio=16.0,
)
_MOST: Final = 14
_TRANSPARENT: Final = "transparent background requires"
_GREY_ALPHA, _COLOUR_ALPHA = 4, 6
_OPAQUE: Final = 255


class Complaint(Exception):
    """A refusal in Ark's own words."""

    def __init__(
        self, text: str, parameter: str = "", *, code: str = "InvalidParameter", status: int = 400
    ) -> None:
        """Say what is wrong with `parameter`."""
        super().__init__(text)
        self.text, self.parameter, self.code, self.status = text, parameter, code, status


def invalid(parameter: str, why: str) -> Complaint:
    """Return the refusal of a parameter, in the sentence that Ark has for all of them."""
    text = f"The parameter `{parameter}` specified in the request is not valid: {why}."
    return Complaint(text, parameter)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inline:
    """A reference that came in the body."""

    format: str
    content: bytes


def read_references(model: Capabilities | None, body: Mapping[str, object]) -> list[str]:
    """Return the reference images of a request; raises `Complaint`.

    What an address leads to is not looked at: the stand-in fetches nothing.
    """
    image = body.get("image")
    references = texts(image)
    is_list = isinstance(image, list) and len(references) == len(image)
    if image == "" or (isinstance(image, list) and "" in image):
        text = "The request failed because an image URL is empty."
        raise Complaint(text, "image", code="InvalidImageURL.EmptyURL")
    if image is not None and not (references and (isinstance(image, str) or is_list)):
        raise _no_image("the parameter `image` must be a URL, a base64 image, or a list of them")
    least, most = model.references if model else (0, _MOST)
    if len(references) > most:
        raise invalid("image", f"number of reference images in the request cannot exceed {most}")
    is_layered = body.get("layer_decomposition") is True
    is_transparent = body.get("background") == "transparent"
    if is_layered and is_transparent:
        raise invalid("background", "transparent is not supported with layer_decomposition")
    if is_layered and len(references) != 1:
        raise invalid("image", "layer decomposition requires exactly one input image")
    if len(references) < least:
        text = "The request failed because it is missing `image` parameter."
        raise Complaint(text, "image", code="MissingParameter")
    limits = _LAYERED if is_layered else model.inputs if model else None
    files = [_open(reference, limits) for reference in references]
    if is_transparent:
        _check_transparent(model, body, files)
    return references


def _no_image(why: str) -> Complaint:
    text = f"The request failed because {why}."
    return Complaint(text, "image", code="InvalidImageURL.InvalidFormat")


def _open(reference: str, limits: InputLimits | None) -> _Inline | None:
    """Return an inline reference that is within the limits; None for an address."""
    if _ADDRESS.fullmatch(reference):
        return None
    match = _INLINE.fullmatch(reference)
    if match is None:
        raise _no_image("an image is neither a URL nor `data:image/{format};base64,…`")
    try:
        content = b64decode(match[2], validate=True)
    except ValueError:
        raise _no_image("an image is not valid base64") from None
    if not content:
        raise _no_image("an image is empty")
    return _Inline(format=_check_picture(content, limits), content=content)


def _check_picture(content: bytes, limits: InputLimits | None) -> str:
    """Return the format of a picture; raises `Complaint` where it is beyond the limits."""
    from seedream_cli.storage.files.image_format import inspect

    if limits is not None and len(content) > limits.max_bytes:
        raise invalid("image", f"image size must be at most {limits.max_bytes // 10**6} MB")
    try:
        facts = inspect(content)
    except NotAPicture:
        raise _no_image("an image cannot be decoded") from None
    if limits is None:
        return facts.format
    if facts.format not in limits.formats:
        words = ", ".join(sorted(limits.formats))
        raise invalid("image", f"image format {facts.format} is not supported, it must be {words}")
    width, height = facts.width or 0, facts.height or 0
    if not width or not height:
        raise _no_image("an image cannot be decoded")
    if min(width, height) < limits.min_side:
        least = limits.min_side - 1
        raise invalid("image", f"image width and height must be larger than {least} pixels")
    if limits.area and not limits.area[0] <= width * height <= limits.area[1]:
        low, high = limits.area
        raise invalid("image", f"image must have between {low} and {high} pixels")
    if limits.max_ratio and max(width, height) > limits.max_ratio * min(width, height):
        bound = f"{limits.max_ratio:g}"
        raise invalid("image", f"image aspect ratio must be between 1/{bound} and {bound}")
    return facts.format


def _check_transparent(
    model: Capabilities | None, body: Mapping[str, object], files: list[_Inline | None]
) -> None:
    """Refuse what no transparent picture can be made of, in the words of live refusals (5.0 pro).

    5.5 makes one from text alone too, and its default format is PNG.
    """
    is_from_text = model is not None and model.formats[0] == "png" and not files
    if not is_from_text and len(files) != 1:
        raise invalid("background", f"{_TRANSPARENT} exactly one input image")
    if any(file is not None and not _is_clear(file) for file in files):
        why = f"{_TRANSPARENT} a PNG input with at least one transparent pixel"
        raise invalid("image", why)
    default = model.formats[0] if model else "jpeg"
    if (body.get("output_format") or default) != "png":
        raise invalid("output_format", "must be png when background is transparent")


def _is_clear(file: _Inline) -> bool:
    """Tell whether a picture is a PNG with a pixel that is not opaque.

    Of a palette and of a transparent colour only the chunk is read, not who uses it; interlaced
    pictures have the benefit of the doubt.
    """
    if file.format != "png":
        return False
    parts: dict[bytes, bytes] = {}
    for name, content in _chunks(file.content):
        parts[name] = parts.get(name, b"") + content
    header = parts.get(b"IHDR", b"").ljust(13, b"\0")
    width, depth, kind, interlace = int.from_bytes(header[:4]), header[8], header[9], header[12]
    if kind not in {_GREY_ALPHA, _COLOUR_ALPHA}:
        clear = parts.get(b"tRNS", b"")
        return min(clear) < _OPAQUE if kind == 3 and clear else bool(clear)  # noqa: PLR2004 # palette
    if interlace:
        return True
    channels = (2 if kind == _GREY_ALPHA else 4) * depth // 8
    try:
        pixels = zlib.decompress(parts.get(b"IDAT", b""))
    except zlib.error:
        return False
    return any(min(row) < _OPAQUE for row in _alphas(pixels, width, channels, depth // 8))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 8 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4])
        yield content[at + 4 : at + 8], content[at + 8 : end]
        at = end + 4


def _alphas(pixels: bytes, width: int, stride: int, size: int) -> Iterator[bytes]:
    """Yield the high bytes of each row's alpha: filters keep channels apart (PNG, 9.2)."""
    above, opaque = bytes(width), bytes([_OPAQUE]) * width
    line = width * stride + 1
    for start in range(0, len(pixels) - line + 1, line):
        raw = pixels[start + 1 + stride - size : start + line : stride]
        match pixels[start]:
            case 0:
                row = raw
            case 2 | 4 if above == opaque and not any(raw):
                # Most rows of a picture without transparency, told at once.
                row = above
            case 1:
                row = bytes(each & 255 for each in accumulate(raw))
            case 2:
                row = bytes((more + up) & 255 for more, up in zip(raw, above, strict=True))
            case kind:
                row = _predict(raw, above, is_paeth=kind == 4)  # noqa: PLR2004 # PNG's number
        yield row
        above = row


def _predict(raw: bytes, above: bytes, *, is_paeth: bool) -> bytes:
    row = bytearray()
    left = corner = 0
    for more, up in zip(raw, above, strict=True):
        if is_paeth:
            # The nearest to left + up - corner; ties go to left, then up.
            guess = left + up - corner
            _, guess = min(
                (abs(guess - left), left),
                (abs(guess - up), up),
                (abs(guess - corner), corner),
                key=lambda pair: pair[0],
            )
        else:
            guess = (left + up) // 2
        corner, left = up, (more + guess) & 255
        row.append(left)
    return bytes(row)
