"""Serves the pictures that were handed out: the stand-in for the providers' image hosts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from seedream_cli.sandbox.messages import Answer, Effect, Where
from seedream_cli.sandbox.tickets import image_name, read_image_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.sandbox.messages import HttpRequest, Stage
    from seedream_cli.sandbox.tickets import Drawing

PATH: Final = "/images/"

_SIGNED_KEYS: Final = ("X-Tos-Credential", "X-Tos-Date", "X-Tos-Expires", "x-tos-process")


def draw(picture: Drawing) -> bytes:
    """Return `picture` as a whole file in its format."""
    from seedream_cli.sandbox.pictures.scenes import compose
    from seedream_cli.sandbox.pictures.tiles import write_jpeg, write_png

    tiles = compose(
        picture.width,
        picture.height,
        shapes=picture.seed,
        colours=picture.tint or picture.seed ^ 0x5EED,
        is_marked=picture.is_marked,
    )
    if picture.format == "png":
        return write_png(tiles, is_clear=picture.is_clear)
    return write_jpeg(tiles)


def image_url(asked: HttpRequest, picture: Drawing) -> str:
    """Return where `picture` will be served, on the origin that the client used."""
    return f"{asked.origin}{PATH}{image_name(picture)}"


def signed_query(picture: Drawing, stage: Stage, lifetime: int) -> str:
    """Return the query of a presigned URL of Ark's object store, good for `lifetime` seconds."""
    query = {
        "X-Tos-Algorithm": "TOS4-HMAC-SHA256",
        "X-Tos-Credential": f"sandbox/{stage.date:%Y%m%d}/cn-beijing/tos/request",
        "X-Tos-Date": f"{stage.date:%Y%m%dT%H%M%SZ}",
        "X-Tos-Expires": str(lifetime),
    }
    if picture.is_marked:
        query["x-tos-process"] = "image/watermark,text_QUk"
    query["X-Tos-Signature"] = _signature(image_name(picture), query)
    query["X-Tos-SignedHeaders"] = "host"
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Return the picture that the path names, as a host does that wants no key."""
    name = asked.path.removeprefix(PATH)
    picture = read_image_name(name)
    if "authorization" in asked.headers:
        return _says(400, "An image host must not be given an API key: drop the header.")
    if asked.method not in {"GET", "HEAD"}:
        return _says(405, "An image can only be fetched.")
    if picture is None:
        return missing()
    if picture.expires_at and stage.now >= picture.expires_at:
        return deny()
    if picture.is_signed and asked.query.get("X-Tos-Signature") != _signature(name, asked.query):
        return deny()
    return Answer(
        headers={"content-type": f"image/{picture.format}", "accept-ranges": "none"},
        body=draw(picture),
        deed=Effect(where=Where.IMAGE, is_good=True),
    )


def missing() -> Answer:
    """Return what a host says about a picture that it does not have."""
    return _says(404, "No such image.")


def deny() -> Answer:
    """Return what an object store says about a URL that has lapsed or was tampered with."""
    xml = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>'
    return Answer(
        status=403,
        headers={"content-type": "application/xml"},
        body=xml.encode(),
        deed=Effect(where=Where.IMAGE),
    )


def _signature(name: str, query: Mapping[str, str]) -> str:
    signed = [name, *(query.get(key, "") for key in _SIGNED_KEYS)]
    return hashlib.sha256("\n".join(signed).encode()).hexdigest()


def _says(status: int, text: str) -> Answer:
    return Answer(
        status=status,
        headers={"content-type": "text/plain"},
        body=text.encode(),
        deed=Effect(where=Where.IMAGE),
    )
