"""Reads `multipart/form-data` (RFC 7578)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from seedream_cli.sandbox.messages import Asked

_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)"?')
_NAME: Final = re.compile(r'[ ;]name="([^"]*)"')
_FILE: Final = re.compile(r'filename="([^"]*)"')
_TYPE: Final = re.compile(r"(?im)^content-type: *([^\r\n;]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One field of a form."""

    content: bytes
    name: str = ""
    """Of the file, where it is one."""
    type: str = "text/plain"

    @property
    def text(self) -> str:
        """The content as a string."""
        return self.content.decode(errors="replace").strip()


def read_form(asked: Asked) -> dict[str, Part]:
    """Return the fields by name; of equal names the last. Empty for what is no form."""
    boundary = _BOUNDARY.search(asked.headers.get("content-type", ""))
    if boundary is None:
        return {}
    fields: dict[str, Part] = {}
    for piece in (b"\r\n" + asked.body).split(b"\r\n--" + boundary[1].encode())[1:]:
        head, _, content = piece.partition(b"\r\n\r\n")
        text = head.decode(errors="replace")
        name, file, kind = _NAME.search(text), _FILE.search(text), _TYPE.search(text)
        if name is not None:
            fields[name[1]] = Part(
                content=content,
                name=file[1] if file else "",
                type=kind[1].strip() if kind else "text/plain",
            )
    return fields
