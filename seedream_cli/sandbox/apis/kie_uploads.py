"""The stand-in for KIE's file uploads: tells where a file would be, keeps nothing of it."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, replace
from seedream_cli.sandbox.apis.forms import read_form
from seedream_cli.sandbox.messages import Answer, Effect, says

if TYPE_CHECKING:
    from seedream_cli.sandbox.messages import HttpRequest, Stage

_LARGEST: Final = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upload:
    content: bytes
    folder: str
    name: str
    type: str = "application/octet-stream"


def upload(asked: HttpRequest, stage: Stage) -> Answer:
    """Accept a file; its URL holds the digest of its bytes, so what is drawn derives from them."""
    match asked.path:
        case "/api/file-stream-upload":
            file = _read_stream(asked)
        case "/api/file-base64-upload":
            file = _read_base64(asked)
        case "/api/file-url-upload":
            file = _read_link(asked)
        case _:
            return _refusal(404, "Not Found")
    if isinstance(file, str):
        return _refusal(400, file)
    if len(file.content) > _LARGEST:
        return _refusal(413, "File is too large")
    digest = hashlib.sha256(file.content).hexdigest()[:32]
    place = f"{file.folder}/{digest}-{file.name}"
    data = {
        "success": True,
        "fileName": file.name,
        "filePath": place,
        "downloadUrl": f"{asked.origin}/uploads/{place}",
        "fileSize": len(file.content),
        "mimeType": file.type,
        "uploadedAt": stage.date.isoformat(),
    }
    reply = says({"success": True, "code": 200, "msg": "File uploaded successfully", "data": data})
    return replace(reply, deed=Effect(is_good=True))


def _refusal(code: int, text: str) -> Answer:
    return says({"success": False, "code": code, "msg": text, "data": None}, code)


def _read_stream(asked: HttpRequest) -> _Upload | str:
    form = read_form(asked)
    file = form.get("file")
    folder = form.get("uploadPath")
    if file is None or not file.content:
        return "file is required"
    if folder is None or not folder.text:
        return "uploadPath is required"
    name = form["fileName"].text if "fileName" in form else file.name or "file"
    return _check(_Upload(content=file.content, folder=folder.text, name=name, type=file.type))


def _read_base64(asked: HttpRequest) -> _Upload | str:
    body = asked.json() or {}
    match body.get("base64Data"), body.get("uploadPath"):
        case str(data), str(folder) if data and folder:
            head, _, payload = data.rpartition(",")
            try:
                content = b64decode(payload, validate=True)
            except ValueError:
                return "base64Data is not valid base64"
            kind = head.removeprefix("data:").partition(";")[0] or "application/octet-stream"
            name = str(body.get("fileName") or "file")
            return _check(_Upload(content=content, folder=folder, name=name, type=kind))
        case _:
            return "base64Data and uploadPath are required"


def _read_link(asked: HttpRequest) -> _Upload | str:
    body = asked.json() or {}
    match body.get("fileUrl"), body.get("uploadPath"):
        case str(url), str(folder) if url.startswith(("http://", "https://")) and folder:
            name = str(body.get("fileName") or "file")
            return _check(_Upload(content=url.encode(), folder=folder, name=name))
        case _:
            return "fileUrl and uploadPath are required"


def _check(file: _Upload) -> _Upload | str:
    if file.folder.startswith("/") or file.folder.endswith("/"):
        return "uploadPath must not begin or end with a slash"
    return file
