"""Reference images: from what was typed behind `-i` to what goes on the wire."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seedream_cli.core.addresses import AddressKind, origin
from seedream_cli.core.errors import (
    AccountError,
    HostBarred,
    ImageBroken,
    OutcomeUnknown,
    UnreadableReply,
    Unsent,
    UsageError,
)
from seedream_cli.core.model import Busy, Done, LocalImage, Reference, Refused
from seedream_cli.core.paths import explain_unreadable, is_there
from seedream_cli.core.record import dataclass
from seedream_cli.core.text import shell_line
from seedream_cli.storage.files.alpha import is_opaque
from seedream_cli.storage.files.image_format import HEAD, inspect, sniff
from seedream_cli.storage.files.inline import blocks_of, decode_base64
from seedream_cli.storage.ledger.names import find
from seedream_cli.transport.exchange import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from seedream_cli.core.model import Image, Job, Profile
    from seedream_cli.providers.spec import Capabilities, InputLimits, Provider
    from seedream_cli.storage.ledger.ledger import Ledger
    from seedream_cli.transport.client import Transport

MAX_READ = 100 * 1024 * 1024
"""Bytes; beyond every provider's limit."""
UPLOAD_LIFETIME = timedelta(hours=23)
"""KIE keeps uploads for 24 hours by its shortest word, 3 days by another.

Both are of its page on file uploads (docs.kie.ai and its copy on share.apidog.com, 2026-08).
"""
URL_MARGIN = timedelta(minutes=10)
"""A result URL that lapses sooner is not given to a provider any more."""
UNDOCUMENTED_LIFETIME = timedelta(hours=12)

_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
"""How it begins (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md, "The Pointer")."""

_UPLOAD_LIMITS = Limits(read=120.0, total=600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedReference:
    """One reference image, found and read, before it is known how it travels."""

    source: str
    """As it is recorded: a path, a URL, `-`, `job:01k3f9zq.2`."""
    url: str | None = None
    """Where the provider can fetch it itself."""
    local: LocalImage | None = None
    digest: str = ""


class ReferenceLoader:
    """Finds what people name behind `-i`."""

    def __init__(
        self,
        ledger: Callable[[], Ledger],
        profile: Profile,
        stdin: Callable[[], bytes],
        now: datetime,
    ) -> None:
        """`ledger` is opened, and `stdin` read, only when a reference asks for it."""
        self._ledger = ledger
        self._profile = profile
        self._stdin = stdin
        self._now = now

    def load(self, names: Sequence[str]) -> list[LoadedReference]:
        """Return the references in order; raise `UsageError` or `StorageError`."""
        if sum(name == "-" for name in names) > 1:
            raise UsageError("-i - is given twice, and there is one stdin")
        return [found for name in names for found in self._one(name)]

    def _one(self, name: str) -> Iterator[LoadedReference]:
        """Yield what a name stands for.

        -                 the bytes on stdin
        data:image/…      the picture in it
        https://…         that address, which the provider fetches itself
        job:last.2, @…    a picture of an earlier job, unless a file is called that
        cat.png           the file
        """
        if name == "-":
            yield _local("-", self._stdin(), "stdin")
        elif name[:5].lower() == "data:":
            yield _from_data(name)
        elif "://" in name:
            yield LoadedReference(source=name, url=_check_url(name))
        elif name.startswith(("job:", "@")) and not is_there(name):
            yield from self._pictures(name)
        else:
            yield _local(name, _read(name), name)

    def _pictures(self, name: str) -> Iterator[LoadedReference]:
        # A rehearsal's picture is no reference of a real purchase, nor the other way about.
        found = find(self._ledger(), name, sandbox=self._profile.sandbox)
        pairs = [(job, image) for job in found.jobs for image in job.images if not image.problem]
        if found.image is not None:
            pairs = [(found.jobs[0], found.image)]
        if not pairs:
            raise UsageError(f"{name} has no picture", hint=f"seedream status {found.jobs[0].id}")
        if len(pairs) > 1:
            raise UsageError(
                f"{name} has {len(pairs)} pictures",
                hint=f"say which: {name}.1 to {name}.{len(pairs)}",
            )
        yield self._picture(*pairs[0])

    def _picture(self, job: Job, image: Image) -> LoadedReference:
        """Use the provider's own URL while it lives and the provider is the same, else the file."""
        source = f"job:{job.id}.{image.index}"
        lapses = image.expires_at or job.created_at + UNDOCUMENTED_LIFETIME
        here = self._profile
        is_same = job.provider == here.provider and job.origin == origin(here.base_url)
        is_same = is_same and not here.gateway.takes_files_only
        if image.url and is_same and lapses - URL_MARGIN > self._now:
            return LoadedReference(source=source, url=image.url, digest=image.sha256 or "")
        if image.path is None or not Path(image.path).is_file():
            raise UsageError(
                f"{source} is neither on disk nor at its provider any more",
                hint=f"seedream status {job.id}",
            )
        return _local(source, _read(image.path), image.path)


def encode_references(
    gathered: Sequence[LoadedReference], provider: Provider
) -> tuple[Reference, ...]:
    """Return the references as this provider takes them; raise `UsageError` where it cannot.

    What has to be uploaded first keeps the placeholder `upload:DIGEST` as its URL.
    """
    return tuple(_reference(each, provider) for each in gathered)


def check_references(
    gathered: Sequence[LoadedReference], capabilities: Capabilities | None
) -> tuple[list[str], list[str]]:
    """Check local images against what a model takes; return mistakes and notes."""
    limits = capabilities.inputs if capabilities is not None else None
    mistakes: list[str] = []
    notes: list[str] = []
    for each in gathered:
        if each.local is not None and limits is not None:
            mistakes += _objections(each.source, each.local.data, limits)
            size = len(each.local.data)
            if limits.advised_bytes and limits.advised_bytes < size <= limits.max_bytes:
                notes.append(f"{each.source} has {size / 1e6:.1f} MB; older documents allow 10 MB")
    return mistakes, notes


def upload_references(
    references: Sequence[Reference],
    gathered: Sequence[LoadedReference],
    *,
    provider: Provider,
    profile: Profile,
    transport: Transport,
    ledger: Ledger,
    now: datetime,
) -> tuple[Reference, ...]:
    """Return the references with every placeholder replaced by an uploaded URL; uploads are free.

    An upload of the same bytes is used again for less than 24 hours. Raises `Unsent`, and
    `StorageError` or `UsageError` where the file host does not take the picture.
    """
    host = origin(profile.upload_base_url or profile.base_url)
    found = []
    for reference, each in zip(references, gathered, strict=True):
        if not reference.url.startswith("upload:") or each.local is None:
            found.append(reference)
            continue
        # A batch whose rows share a picture uploads it once.
        url = ledger.upload(host, each.digest, now - UPLOAD_LIFETIME)
        if url is None:
            url = _upload(each.local, provider, profile, transport)
            ledger.put_upload(host, each.digest, url)
        found.append(Reference(source=reference.source, url=url, digest=reference.digest))
    return tuple(found)


def _upload(image: LocalImage, provider: Provider, profile: Profile, transport: Transport) -> str:
    upload = provider.dialect.upload
    if upload is None:
        raise UsageError(f"{provider.name} takes no uploads")
    try:
        reply = transport.send(profile, upload(image), _UPLOAD_LIMITS)
        outcome = provider.dialect.decode(reply)
    # It is free, so a lost answer leaves no doubt about money: it may simply be sent again.
    except (OutcomeUnknown, UnreadableReply) as error:
        raise Unsent(
            f"{image.name} could not be uploaded: {error.message}; no picture was bought for it"
        ) from error
    if isinstance(outcome, Busy):
        raise Unsent(f"{provider.name} takes no uploads now: {outcome.problem.message}")
    if isinstance(outcome, Done) and outcome.images and outcome.images[0].url:
        if outcome.slot is not None:
            # Where the API answers from a private network its file host may lie there as well.
            kinds = {AddressKind.PUBLIC, AddressKind(reply.peer or AddressKind.PUBLIC)}
            try:
                transport.put(outcome.slot, image, _UPLOAD_LIMITS, allowed=kinds)
            except HostBarred as error:
                raise _upload_error(provider, image, error.message) from error
        return outcome.images[0].url
    if isinstance(outcome, Refused) and outcome.problem.code in {"auth", "credit"}:
        page = provider.page(outcome.problem.code, profile.upload_base_url or profile.base_url)
        hint = shell_line(["seedream", "providers", "check", profile.name])
        raise AccountError(
            outcome.problem.message,
            hint="\n".join(filter(None, [hint, page])),
            code=outcome.problem.code,
        )
    words = outcome.problem.message if isinstance(outcome, Refused) else "no address came back"
    raise _upload_error(provider, image, words)


def _upload_error(provider: Provider, image: LocalImage, words: str) -> UsageError:
    return UsageError(
        f"{provider.name} did not take {image.name}: {words}; no picture was bought for it",
        hint="run the same again, or give an https URL",
    )


def _reference(each: LoadedReference, provider: Provider) -> Reference:
    if each.url is not None:
        if "url" not in provider.reference_kinds:
            raise UsageError(
                f"{each.source}: the profile's gateway takes reference files, not addresses",
                hint='save the picture and give its file, or write edits = "json" in the profile',
            )
        return Reference(source=each.source, url=each.url, digest=each.digest)
    image = each.local
    if image is None:
        raise UsageError(f"{each.source} is no picture")
    if "inline" in provider.reference_kinds:
        text = base64.b64encode(image.data).decode("ascii")
        url = f"data:{image.media_type};base64,{text}"
    elif "upload" in provider.reference_kinds:
        url = f"upload:{image.digest}"
    else:
        raise UsageError(
            f"{provider.name} takes references by URL only, and {each.source} is on this machine",
            hint="give an https URL, or use a profile of ark, byteplus or kie: -p NAME",
        )
    return Reference(source=each.source, url=url, digest=image.digest)


def _local(source: str, data: bytes, name: str) -> LoadedReference:
    if len(data) > MAX_READ:
        raise UsageError(f"{name} is larger than {MAX_READ // 1024 // 1024} MiB")
    kind = sniff(data[:HEAD])
    if kind is None and data.startswith(_LFS_POINTER):
        raise UsageError(
            f"{name} is a Git LFS pointer: the picture itself is not here", hint="git lfs pull"
        )
    if kind is None:
        what = "is empty" if not data else "is no picture"
        raise UsageError(f"{name} {what}", hint="a reference is a JPEG, PNG, WebP, BMP, TIFF, GIF…")
    digest = hashlib.sha256(data).hexdigest()
    extension = "jpg" if kind == "jpeg" else kind
    image = LocalImage(
        name=f"{digest[:24]}.{extension}", media_type=f"image/{kind}", digest=digest, data=data
    )
    return LoadedReference(source=source, local=image, digest=digest)


def _from_data(name: str) -> LoadedReference:
    """Return the picture that a `data:` URL is: what it says of its type counts for nothing."""
    head, comma, _ = name.partition(",")
    if not (comma and head.lower().endswith(";base64")):
        raise UsageError("-i data:… is a picture as base64: data:image/png;base64,…")
    try:
        data = b"".join(decode_base64(blocks_of(name)))
    except ImageBroken as error:
        raise UsageError(f"-i {head},… is no base64: {error.message}") from error
    return _local(f"{head},…", data, "the picture in -i data:…")


def _read(name: str) -> bytes:
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            raise UsageError(f"{name} is a folder; -i takes one picture each")
        with path.open("rb") as file:
            data = file.read(MAX_READ + 1)
    except OSError as error:
        refused = explain_unreadable(name, error)
        if not isinstance(error, FileNotFoundError):
            raise refused from error
        # `-i last` is a job's name that lacks its `job:`.
        is_job = re.fullmatch(r"last(-[0-9]+)?(\.[0-9]+)?|[0-9a-z]{8}(\.[0-9]+)?", name)
        hint = f"did you mean job:{name}?" if is_job else "a picture of an earlier job: job:last.2"
        raise UsageError(refused.message, hint=hint) from error
    except ValueError as error:
        raise explain_unreadable(name, error) from error
    return data


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    is_web = parts.scheme.lower() in {"http", "https"}
    # A password in it would travel to the provider, and into its logs.
    if not is_web or not parts.hostname or parts.username is not None:
        raise UsageError(f"{url}: a reference is a file, a web address, data:…, -, or job:last.2")
    if not url.isprintable() or " " in url:
        raise UsageError("the reference's URL holds what no URL may hold")
    return url


def _objections(source: str, data: bytes, limits: InputLimits) -> Iterator[str]:
    kind = sniff(data[:HEAD]) or ""
    if kind not in limits.formats:
        yield f"{source} is {kind.upper()}; the model takes {', '.join(sorted(limits.formats))}"
        return
    if len(data) > limits.max_bytes:
        most = limits.max_bytes / 1e6
        yield f"{source} has {len(data) / 1e6:.1f} MB; the model takes {most:g} MB"
    if kind not in {"png", "jpeg", "webp", "gif"}:
        return  # their size in pixels is not read here; the provider will
    facts = inspect(data)
    # The provider would refuse it, or make a picture from half of one and charge for it.
    if not (facts.has_end and facts.width and facts.height):
        yield f"{source} is not whole: {facts.finding}"
        return
    short, long = sorted((facts.width, facts.height))
    if short < limits.min_side:
        yield f"{source} is {facts.width}x{facts.height}; a side has at least {limits.min_side}"
    elif limits.max_ratio and long > limits.max_ratio * short:
        yield f"{source} is {facts.width}x{facts.height}: longer than {limits.max_ratio:g}:1"
    if limits.is_transparent and is_opaque(data):
        yield f"{source} has no transparent pixel, and a transparent background needs one"
    area = facts.width * facts.height
    if limits.area and not limits.area[0] <= area <= limits.area[1]:
        yield f"{source} has {area} pixels; the model takes {limits.area[0]} to {limits.area[1]}"
