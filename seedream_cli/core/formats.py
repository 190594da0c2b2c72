"""Picture formats and the extensions of their files."""

from __future__ import annotations

from typing import Final

FORMATS: Final = {
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "jpe": "jpeg",
    "jfif": "jpeg",
    "webp": "webp",
    "gif": "gif",
    "bmp": "bmp",
    "tif": "tiff",
    "tiff": "tiff",
    "heic": "heic",
    "heif": "heic",
    "avif": "avif",
    "jxl": "jxl",
}
"""Extension to format; also those that no model makes, so that a check can say so."""


def format_of_extension(extension: str) -> str | None:
    """Return the picture format that `jpg`, `.PNG`… stand for; None where they stand for none."""
    return FORMATS.get(extension.lower().removeprefix("."))


def extension_of_format(name: str) -> str:
    """Return the usual extension of a picture format, without a dot."""
    return {"jpeg": "jpg", "tiff": "tif"}.get(name, name)
