"""Any gateway that speaks OpenAI's image API; its address and models are a profile's to say.

The API: https://platform.openai.com/docs/api-reference/images (2026-11). Edits are a multipart form
there, or JSON with `images: [{"image_url": …}]`; gateways differ, so a profile says how.
"""

from __future__ import annotations

import base64
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import (
    Busy,
    Call,
    Demand,
    Done,
    Failed,
    Gateway,
    LocalImage,
    Problem,
    Purpose,
    Refused,
    RemoteImage,
)
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import replace
from seedream_cli.providers.ark.answers import expiry
from seedream_cli.providers.demand import count_of
from seedream_cli.providers.reading import (
    OK,
    REFUSALS,
    TOO_MANY_REQUESTS,
    account_or_request,
    at,
    id_at,
    is_about_content,
    keep_given,
    merge,
    message_at,
    one_or_list,
    pictures,
    read_foreign,
    read_object,
    str_at,
)
from seedream_cli.providers.spec import Dialect, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Outcome, Reference, Reply, Request
    from seedream_cli.providers.spec import Capabilities

_DATA_URL: Final = pattern(r"data:(image/([a-z0-9.+-]+));base64,(.*)", re.DOTALL)
_CREDIT: Final = pattern(
    r"insufficient_(?:user_)?(?:quota|balance|credit)|billing|exceeded your current quota"
    r"|balance|overdue",
    re.IGNORECASE,
)
"""`insufficient_quota` (429) and `billing_hard_limit_reached` (400) are OpenAI's own words, 403
`insufficient_user_quota` those of gateways built on one-api."""
_MODEL: Final = pattern(r"model_not_found|been retired|no available channel", re.IGNORECASE)
_COUNTS: Final = ("n", "num_images", "num_outputs", "batch_size", "max_images", "maxImages")
_SETS: Final = ("sequential_image_generation", "layer_decomposition")
"""Ark's words for several pictures, which gateways before it pass on."""
_ACCESS: Final = pattern(r"access to (?:the )?model|must be verified", re.IGNORECASE)


def submit(request: Request, gateway: Gateway) -> Call:
    """Encode one purchase; the count is always said, the size goes out as it was asked for."""
    size = request.size
    is_apart = gateway.size_fields == "width-height" and size is not None
    body = keep_given(
        model=request.model,
        prompt=request.prompt,
        n=request.count,
        size=None if is_apart else str(size) if size else request.keyword,
        width=size.width if is_apart and size else None,
        height=size.height if is_apart and size else None,
        quality=request.quality,
        output_format=request.format,
        response_format=gateway.response_format or None,
    )
    body |= _fields(request, gateway)
    body = merge(body, request.extra)
    is_edit = gateway.edits != "generations" and (request.edit or bool(request.references))
    return Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path="/images/edits" if is_edit else "/images/generations",
        body=body,
        files=_files(request, gateway),
        is_inline=body.get("response_format") in ("b64_json", "base64"),  # any JSON
    )


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for; a gateway may pass on any word for a count that it is given.

    References are not counted: they may travel beside the body, as files.
    """
    del model  # its price is one, whatever the size
    counts = [count_of(body.get(name), 1) for name in _COUNTS]
    # Where a gateway knows the word, the model decides how many come.
    is_open = any(body.get(name) not in (None, False, "disabled") for name in _SETS)
    known = [count for count in counts if count is not None]
    return Demand(
        images=None if is_open or len(known) < len(counts) else max(known), references=None
    )


def of_gateway(gateway: Gateway) -> Provider:
    """Return the provider as one gateway speaks it."""
    kinds = {"url"} if gateway.references == "url" else {"url", "inline"}
    if gateway.takes_files_only:
        kinds = {"inline"}
    return replace(
        OPENAI_IMAGES,
        dialect=replace(OPENAI_IMAGES.dialect, submit=partial(submit, gateway=gateway)),
        reference_kinds=frozenset(kinds),
    )


def decode(reply: Reply) -> Outcome:
    """Read an answer; what is in no error envelope, and any 5xx, is unknown, never refused."""
    said = read_object(reply)
    if reply.purpose is Purpose.CHECK and isinstance(said.get("data"), list):
        return Done(images=())
    images = pictures(said.get("data"), _item_problem, _image)
    if any(image.problem is None for image in images):
        return Done(images=images, request_id=reply.headers.get("x-request-id"))
    failures = [image.problem for image in images if image.problem and reply.status == OK]
    problem = failures[0] if failures else _problem(reply.status, said)
    if reply.status == TOO_MANY_REQUESTS:
        return _too_many(reply, said, problem)
    if problem is None or reply.status not in {OK, *REFUSALS}:
        return read_foreign(reply)
    if reply.status == OK:
        return Failed(problem=problem)
    return Refused(problem=problem, is_model=_MODEL.search(problem.message) is not None)


def check() -> Call:
    """Ask for the list of models, which is free."""
    return Call(purpose=Purpose.CHECK, method="GET", path="/models")


def read_check(reply: Reply) -> str:
    """Count the models that the key may use."""
    entries = read_object(reply).get("data")
    return f"models: {len(entries) if isinstance(entries, list) else 0}"


def _fields(request: Request, gateway: Gateway) -> dict[str, object]:
    """Return the references that go as addresses; a file of a form is no field."""
    urls = [each.url for each in request.references if not _is_file(each, gateway)]
    if not urls:
        return {}
    name = _image_field(request, gateway)
    if name == "images":  # OpenAI's own name in JSON, where each is an object
        return {name: [{"image_url": url} for url in urls]}
    is_list = gateway.image_field.endswith(("s", "[]"))
    return {name: urls if is_list else one_or_list(urls)}


def _files(request: Request, gateway: Gateway) -> tuple[tuple[str, LocalImage], ...]:
    name = _image_field(request, gateway)
    found = (_file(each) for each in request.references if _is_file(each, gateway))
    return tuple((name, image) for image in found)


def _is_file(reference: Reference, gateway: Gateway) -> bool:
    return gateway.edits == "multipart" and _DATA_URL.fullmatch(reference.url) is not None


def _file(reference: Reference) -> LocalImage:
    """Return an inline reference as a part of a form."""
    kind, extension, data = ("", "", "")
    if match := _DATA_URL.fullmatch(reference.url):
        kind, extension, data = match.groups()
    extension = "jpg" if extension == "jpeg" else extension
    return LocalImage(
        name=f"{reference.digest[:24] or 'image'}.{extension}",
        media_type=kind,
        digest=reference.digest,
        data=base64.b64decode(data),
    )


def _image_field(request: Request, gateway: Gateway) -> str:
    """Return the name of the references' field; in a form several have brackets, as OpenAI's."""
    if gateway.image_field:
        return gateway.image_field
    is_several = gateway.edits == "multipart" and len(request.references) > 1
    return "image[]" if is_several else "image"


def _image(index: int, url: str) -> RemoteImage:
    # Resellers of Ark hand its signed addresses on.
    return RemoteImage(index=index, url=url, expires_at=expiry(url))


def _item_problem(item: object) -> Problem | None:
    return _problem(OK, item)


def _too_many(reply: Reply, said: object, problem: Problem | None) -> Outcome:
    """Read a 429: some gateways bill what they answer it to, so it has to say that it waits.

    429 with Retry-After, or type rate_limit…     busy: sent again
    429, another error of its own                 refused, and not sent again
    429, nothing that can be read                 `UnreadableReply`: it may have been billed
    """
    kind = str_at(said, "error", "type") or ""
    if "retry-after" in reply.headers or kind.startswith("rate_limit"):
        words = problem.message if problem else "too many requests (HTTP 429)"
        return Busy(problem=Problem("rate_limit", words))
    if problem is None:
        raise UnreadableReply("the gateway's answer (HTTP 429) says neither why nor how long")
    return Refused(problem=problem)


def _problem(status: int, said: object) -> Problem | None:
    """Return what OpenAI's envelope says, whose code may be a text, a number, or null."""
    if not isinstance(at(said, "error"), dict):
        return None
    code = id_at(said, "error", "code") or str_at(said, "error", "type") or ""
    message = message_at(said, "error", "message") or code
    if not message:
        return None
    text = f"{message} ({code})" if code and code != message else message
    if is_about_content(text):
        return Problem("content_policy", text)
    if status != OK and _CREDIT.search(text):
        return Problem("credit", text)
    if status != OK and _ACCESS.search(text):
        return Problem("access", text)
    stable = account_or_request(status, "")
    is_late = status == OK and stable == "invalid_request"
    return Problem("provider_failed" if is_late else stable, text)


OPENAI_IMAGES: Final = Provider(
    name="openai-images",
    title="OpenAI-style gateway",
    base_url="",
    path="/images/generations",
    key_env=(),
    docs="https://platform.openai.com/docs/api-reference/images",
    charges_page="the gateway's own page",
    keys_page="the gateway's own page",
    credit_page="the gateway's own page",
    dialect=Dialect(
        submit=partial(submit, gateway=Gateway()),
        measure=measure,
        decode=decode,
        check=check,
        checked=read_check,
    ),
    models={},
    default_model="",
    url_lifetime=None,
    sandbox_path="/openai-images/v1",
    reference_kinds=frozenset({"url", "inline"}),
)
