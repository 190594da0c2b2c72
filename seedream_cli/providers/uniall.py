"""UniAll: one synchronous call, shaped after OpenAI's; its error envelope is not documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import (
    Call,
    Demand,
    Done,
    Failed,
    Problem,
    Purpose,
    Refused,
    RemoteImage,
)
from seedream_cli.core.record import replace
from seedream_cli.providers.demand import count_of, references_of
from seedream_cli.providers.reading import (
    OK,
    REFUSALS,
    TOO_MANY_REQUESTS,
    account_or_request,
    at,
    id_at,
    keep_given,
    merge,
    message_at,
    one_or_list,
    pictures,
    read_foreign,
    read_object,
)
from seedream_cli.providers.spec import Dialect, Provider
from seedream_cli.providers.tables import SEEDREAM_4, SEEDREAM_4_5, SEEDREAM_5_LITE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Outcome, Reply, Request
    from seedream_cli.providers.spec import Capabilities

_LONGEST: Final = 4096


def _on_uniall(base: Capabilities) -> Capabilities:
    """Add what holds for every Seedream model here (docs.uniall.ai/models/image/seedream)."""
    return replace(
        base,
        sizes={
            keyword: {
                ratio: size
                for ratio, size in table.items()
                if max(size.width, size.height) <= _LONGEST
            }
            for keyword, table in base.sizes.items()
        },
        any_aspect=True,
        max_side=_LONGEST,
        formats=(),
        picks_format=False,
        references=(0, 10),
        max_inputs_and_outputs=15,
        max_count=6,
        values={"n": range(1, 7), "num_images": range(1, 7)},
        fields=frozenset({"n", "num_images", "custom_size", "timeout_seconds"})
        | {"image", "image_url", "image_urls", "images"},
    )


MODELS: Final[Mapping[str, Capabilities]] = {
    "seedream-4.5": _on_uniall(SEEDREAM_4_5),
    "seedream-5.0-lite": _on_uniall(SEEDREAM_5_LITE),
    "seedream-4.0": _on_uniall(SEEDREAM_4),
}


def submit(request: Request) -> Call:
    """Encode one purchase; references go in one of the four spellings that it takes."""
    size = request.size
    body = keep_given(
        model=request.model,
        prompt=request.prompt,
        # `num_images` is another name for `n`; who sets it means it.
        n=None if "num_images" in request.extra else request.count,
        custom_size={"width": size.width, "height": size.height} if size else None,
        image=one_or_list(each.url for each in request.references),
    )
    is_edit = request.edit or bool(request.references)
    return Call(
        purpose=Purpose.SUBMIT,
        method="POST",
        path="/v1/images/edits" if is_edit else "/v1/images/generations",
        body=merge(body, request.extra),
    )


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for; of `n` and `num_images` nobody says which one wins."""
    del model  # its page has no prices, and one rule for all models
    # The larger of both, since nobody says which one counts.
    counts = [count_of(body.get(name), 1) for name in ("n", "num_images")]
    named = ("image", "image_url", "image_urls", "images")
    return Demand(
        images=None if None in counts else max(count for count in counts if count),
        references=references_of(*map(body.get, named)),
    )


def decode(reply: Reply) -> Outcome:
    """Read an answer; what is in none of the tolerated envelopes is unknown, never refused."""
    said = read_object(reply)
    if reply.purpose is Purpose.CHECK and isinstance(said.get("data"), list):
        return Done(images=())
    images = pictures(said.get("data"), _item_problem, _image)
    if any(image.problem is None for image in images):
        return Done(images=images)
    failures = [image.problem for image in images if image.problem and reply.status == OK]
    problem = failures[0] if failures else _problem(reply.status, said)
    if problem is None or reply.status == TOO_MANY_REQUESTS:
        return read_foreign(reply)
    # Its envelope is not documented: only an item or an `error` object says that it failed.
    if reply.status == OK:
        is_said = bool(failures) or isinstance(said.get("error"), dict)
        return Failed(problem=problem) if is_said else read_foreign(reply)
    return Refused(problem=problem) if reply.status in REFUSALS else read_foreign(reply)


def check() -> Call:
    """Ask for the list of models, which is free."""
    return Call(purpose=Purpose.CHECK, method="GET", path="/v1/models")


def read_check(reply: Reply) -> str:
    """Count the models that the key may use."""
    entries = read_object(reply).get("data")
    return f"models: {len(entries) if isinstance(entries, list) else 0}"


def _image(index: int, url: str) -> RemoteImage:
    return RemoteImage(index=index, url=url)


def _item_problem(item: object) -> Problem | None:
    return _problem(OK, item)


def _problem(status: int, said: object) -> Problem | None:
    """Return what an error envelope says: OpenAI's, `{code, message}` or `{detail}`."""
    inner, detail = at(said, "error"), at(said, "detail")
    envelope = inner if isinstance(inner, dict) else said
    code = id_at(envelope, "code") or id_at(envelope, "type")
    # A code may be null; that there is one makes an envelope of what is not within `error`.
    is_envelope = isinstance(inner, dict) or (isinstance(said, dict) and "code" in said)
    message = message_at(envelope, "message") if is_envelope or code else None
    if message is None and isinstance(inner, dict):
        message, code = code, None
    if message is None:
        message = message_at(detail[0], "msg") if isinstance(detail, list) and detail else None
    message = message or message_at(said, "detail")
    if message is None:
        return None
    text = f"{message} ({code})" if code else message
    stable = account_or_request(status, text)
    # Under 200 the request was taken, so that what is wrong came later.
    is_late = status == OK and stable == "invalid_request"
    return Problem("provider_failed" if is_late else stable, text)


UNIALL: Final = Provider(
    name="uniall",
    title="UniAll",
    base_url="https://api.uniall.ai",
    path="/v1/images/…",
    key_env=("UNIALL_API_KEY",),
    docs="https://docs.uniall.ai/models/image/seedream",
    charges_page="https://www.uniall.ai",
    keys_page="https://www.uniall.ai",
    credit_page="https://www.uniall.ai",
    dialect=Dialect(submit=submit, measure=measure, decode=decode, check=check, checked=read_check),
    models=MODELS,
    default_model="seedream-4.5",
    short_names={
        "5-lite": ("seedream-5.0-lite",),
        "4.5": ("seedream-4.5",),
        "4": ("seedream-4.0",),
    },
    url_lifetime=None,
    sandbox_path="/uniall",
)
