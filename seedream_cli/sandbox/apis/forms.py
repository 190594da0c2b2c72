"""Reads `multipart/form-data` (RFC 7578) and `application/x-www-form-urlencoded`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from seedream_cli.sandbox.messages import HttpRequest

_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)"?')
_NAME: Final = re.compile(r'[ ;]name="([^"]*)"')
_FILE: Final = re.compile(r'filename="([^"]*)"')
_TYPE: Final = re.compile(r"(?im)^content-type: *([^\r\n;]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPart:
    """One field of a form."""

    content: bytes
    name: str = ""
    """Of the file, where it is one."""
    type: str = "text/plain"
    is_file: bool = False

    @property
    def text(self) -> str:
        """The content as a string."""
        return self.content.decode(errors="replace").strip()


def read_form(asked: HttpRequest) -> dict[str, FormPart]:
    """Return the fields by name; of equal names the last. Empty for what is no form."""
    return dict(read_fields(asked))


def read_fields(asked: HttpRequest) -> list[tuple[str, FormPart]]:
    """Return all fields in their order, equal names too. Empty for what is no form."""
    kind = asked.headers.get("content-type", "")
    if kind.lower().startswith("application/x-www-form-urlencoded"):
        text = asked.body.decode(errors="replace")
        pairs = parse_qsl(text, keep_blank_values=True)
        return [(name, FormPart(content=value.encode())) for name, value in pairs]
    boundary = _BOUNDARY.search(kind)
    if boundary is None:
        return []
    fields = []
    for piece in (b"\r\n" + asked.body).split(b"\r\n--" + boundary[1].encode())[1:]:
        head, _, content = piece.partition(b"\r\n\r\n")
        text = head.decode(errors="replace")
        name, file, type_ = _NAME.search(text), _FILE.search(text), _TYPE.search(text)
        if name is not None:
            part = FormPart(
                content=content,
                name=file[1] if file else "",
                type=type_[1].strip() if type_ else "text/plain",
                is_file=file is not None,
            )
            fields.append((name[1], part))
    return fields
