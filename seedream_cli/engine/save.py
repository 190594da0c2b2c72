"""From a URL in the ledger to a picture under its final name, and its sidecar."""

from __future__ import annotations

import base64
import posixpath
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seedream_cli.core.addresses import is_loopback
from seedream_cli.core.errors import (
    AccountError,
    ImageBroken,
    ImageGone,
    OutcomeUnknown,
    StorageError,
    UnreadableReply,
    Unsent,
)
from seedream_cli.core.events import BytesReceived, ImageSaved, Note
from seedream_cli.core.formats import extension_of_format, format_of_extension
from seedream_cli.core.model import Done, Image, Purpose
from seedream_cli.core.text import escape_unseen
from seedream_cli.storage.files import naming
from seedream_cli.storage.files.inline import blocks, is_spilled
from seedream_cli.storage.ledger.columns import money_text, time_text
from seedream_cli.transport.exchange import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from seedream_cli.core.clock import Clock
    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Call, Job, Profile, RemoteImage, Reply, Request
    from seedream_cli.providers.spec import Capabilities, Dialect, Provider
    from seedream_cli.storage.files.naming import Plan
    from seedream_cli.storage.files.store import Files, Saved
    from seedream_cli.storage.ledger.ledger import Ledger
    from seedream_cli.transport.client import Transport

IMAGE_LIMITS = Limits(read=60.0, total=900.0)
_BASE64_BLOCK = 1 << 18
"""Characters decoded at a time; a multiple of four."""
_MOST_RECEIPT = 1 << 20
"""Characters of a sidecar that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saver:
    """Fetches, verifies, names and records single images. The world is handed in."""

    transport: Transport
    ledger: Ledger
    files: Files
    clock: Clock
    notify: Callable[[Event], None]
    providers: Mapping[str, Provider]
    account: Callable[[Job], Profile]

    def save(self, job: Job, image: Image) -> None:
        """Save one image and record it, asking for a fresh URL where the old one is gone.

        Raises `ImageGone`, `ImageBroken`, `StorageError`, and `Unsent` or `OutcomeUnknown` for what
        may pass.
        """
        try:
            self._save(job, image)
        except ImageGone:
            fresh = self._fresh(job, image)
            if fresh is None:
                raise
            self._save(job, image, url=fresh)

    def _save(self, job: Job, image: Image, *, url: str | None = None) -> None:
        url = url or image.url
        if url is None:
            data = self._inline(job, image)
            text = (
                blocks(self.files.spill_path(job.id), data)
                if is_spilled(data)
                else _blocks_of(data)
            )
            self._write(job, image, _decoded(text), None)
            return
        is_loopback_ok = job.sandbox or is_loopback(urlsplit(job.origin).hostname or "")
        with self.transport.fetch(url, IMAGE_LIMITS, is_loopback_ok=is_loopback_ok) as download:
            self._write(job, image, download.chunks, download.length)

    def _write(self, job: Job, image: Image, chunks: Iterable[bytes], length: int | None) -> None:
        chunks = self._counted(job, image, chunks, length)
        self._record(job, image, self._placed(job, image, chunks, length))

    def _placed(self, job: Job, image: Image, chunks: Iterable[bytes], length: int | None) -> Saved:
        plan = naming.Plan.from_json(job.output)
        return self.files.save(
            chunks,
            folder=folder_of(plan, job, image.n),
            path_of=lambda facts: place_of(
                job, replace(image, format=facts.format, width=facts.width, height=facts.height)
            ),
            job=job.id,
            index=image.index,
            overwrite=bool(job.output.get("overwrite")),
            replaces=_replaces(job),
            # A batch makes jobs its own that a process may have left as it had named a picture.
            is_resumed=job.owner != self.files.owner or "batch" in job.output,
            expected_length=length,
        )

    def copy(self, job: Job, image: Image) -> Image:
        """Copy a picture from its path to where its job's output says; nothing is recorded.

        Raises `ImageBroken`, `StorageError`.
        """
        try:
            with Path(image.path or "").open("rb") as file:
                blocks_of = iter(lambda: file.read(_BASE64_BLOCK), b"")
                saved = self._placed(job, image, blocks_of, image.size)
        except OSError as error:
            raise StorageError(f"{image.path} cannot be read: {error.strerror}") from error
        return replace(image, path=saved.path, saved_at=self.clock.now())

    def _record(self, job: Job, image: Image, saved: Saved) -> None:
        plan = naming.Plan.from_json(job.output)
        done = replace(
            image,
            path=saved.path,
            format=saved.format,
            width=saved.width,
            height=saved.height,
            size=saved.size,
            sha256=saved.sha256,
            saved_at=self.clock.now(),
        )
        self.ledger.put_image(done)
        if job.output.get("sidecar"):
            self._write_sidecar(job, done)
        for warning in _warnings(saved, plan):
            self.notify(Note(message=warning, is_warning=True))
        self.notify(ImageSaved(job=job, image=done))

    def _counted(
        self, job: Job, image: Image, chunks: Iterable[bytes], length: int | None
    ) -> Iterator[bytes]:
        received = 0
        for chunk in chunks:
            received += len(chunk)
            self.notify(
                BytesReceived(job_id=job.id, index=image.index, received=received, total=length)
            )
            yield chunk

    def _inline(self, job: Job, image: Image) -> str:
        """Read an inline image again from the stored answers; it is kept nowhere else."""
        dialect = self.providers[job.provider].dialect
        for purpose in (Purpose.SUBMIT, Purpose.EVENT):
            for reply in self.ledger.answers(job.id, purpose):
                for remote in _images_in(dialect, reply):
                    if remote.index == image.index and remote.data is not None:
                        return remote.data
        raise ImageGone("the provider's answer holds neither the image nor its address")

    def _fresh(self, job: Job, image: Image) -> str | None:
        """Ask for another URL of an image, where the provider can give one.

        It is used once and not written down: it may live shorter than the one that it stands for.
        """
        dialect = self.providers[job.provider].dialect
        if dialect.poll is not None and job.task_id is not None:
            for remote in self._asked(job, dialect.poll(job.task_id)):
                if remote.index == image.index and remote.url not in {None, image.url}:
                    return remote.url
        if dialect.refresh is not None and image.url is not None:
            for remote in self._asked(job, dialect.refresh(image.url)):
                if remote.url not in {None, image.url}:
                    return remote.url
        return None

    def _asked(self, job: Job, call: Call) -> tuple[RemoteImage, ...]:
        try:
            reply = self.transport.send(self.account(job), call, Limits())
        except (Unsent, OutcomeUnknown, AccountError):
            return ()
        return _images_in(self.providers[job.provider].dialect, reply)

    def _write_sidecar(self, job: Job, image: Image) -> None:
        """Write recipe and receipt beside the picture, so that it can be made again."""
        import json

        receipt = {
            "schema": 1,
            "job": job.id,
            "provider": job.provider,
            "model": job.model,
            "prompt": job.prompt,
            "request": dict(job.request),
            "body": dict(job.recipe),
            "task_id": job.task_id,
            "request_id": job.request_id,
            "n": image.n,
            "index": image.index,
            "sha256": image.sha256,
            "created_at": time_text(job.created_at),
            "cost": money_text(job.cost or job.price),
            "sandbox": job.sandbox,
        }
        text = escape_unseen(json.dumps(receipt, ensure_ascii=False, indent=2)) + "\n"
        path = sidecar_of(image.path or "")
        is_ours = job.output.get("overwrite") or _receipt_of(path) in _replaces(job)
        if Path(path).exists() and not is_ours:
            path = naming.aside(path, job.id)
        self.files.write_atomically(path, text.encode())


def sidecar_of(path: str) -> str:
    """Return where a picture's sidecar goes: never onto the picture itself."""
    sidecar = naming.sidecar_path(path)
    return f"{path}.json" if sidecar == path else sidecar


def follow(files: Files, digest: str, old: str, new: str) -> None:
    """Let a picture's sidecar come after it to its new path; one that cannot stays behind."""
    sidecar = sidecar_of(old)
    if _receipt_of(sidecar) == digest:
        with suppress(StorageError):
            files.move(sidecar, sidecar_of(new))


def _receipt_of(sidecar: str) -> str | None:
    """Return the digest of the picture that a sidecar tells of; None: it is none of ours."""
    import json

    if not Path(sidecar).is_file():
        return None  # a pipe would never answer
    try:
        with Path(sidecar).open(encoding="utf-8") as file:
            told: object = json.loads(file.read(_MOST_RECEIPT))
    except (OSError, ValueError, RecursionError):
        return None
    match told:
        case {"schema": 1, "sha256": str(digest)}:
            return digest
        case _:
            return None


def _replaces(job: Job) -> frozenset[str]:
    """Return the digests of files that a job of a batch may replace: those of its lock."""
    digests = job.output.get("replaces")
    return frozenset(map(str, digests)) if isinstance(digests, list) else frozenset()


def _images_in(dialect: Dialect, reply: Reply) -> tuple[RemoteImage, ...]:
    """Return the images of a reply; none where it cannot be read."""
    try:
        is_event = reply.purpose is Purpose.EVENT and dialect.event is not None
        said = dialect.event(reply.body) if is_event and dialect.event else dialect.decode(reply)
    except UnreadableReply:
        return ()
    return said.images if isinstance(said, Done) else ()


def known_paths(
    plan: Plan, job: Job, capabilities: Capabilities | None, request: Request
) -> list[str]:
    """Return the paths of a job's pictures that are known before anything is sent."""
    formats = capabilities.formats if capabilities else ()
    made = request.format or (formats[0] if formats else None)
    ext = extension_of_format(made) if made else None
    paths = []
    for k in range(job.expected):
        fields = _fields(job, job.first_n + k)
        if request.size is not None:
            fields |= {"width": request.size.width, "height": request.size.height}
        path = naming.known(plan, fields=fields, ext=ext)
        if path is not None:
            paths.append(path)
    return paths


def known_paths_of(plan: Plan, job: Job) -> list[str]:
    """Return the paths that a bought job's pictures would have, where they are known."""
    found = [naming.known(plan, fields=_fields(job, image.n)) for image in job.images]
    return [path for path in found if path is not None]


def place_of(job: Job, image: Image) -> str:
    """Return the path that an image of a known format is to have, absolute."""
    plan = naming.Plan.from_json(job.output)
    fields = {**_fields(job, image.n), "width": image.width, "height": image.height}
    ext = extension_of_format(image.format or "")
    path = plan.absolute(naming.expand(plan, fields=fields, ext=ext))
    return naming.labelled(path, image.name) if image.name else path


def folder_of(plan: Plan, job: Job, n: int = 1) -> str:
    """Return the folder where a picture will most likely lie, absolute."""
    path = naming.expand(plan, fields=_fields(job, n), ext="jpg")
    return posixpath.dirname(plan.absolute(path))


def _fields(job: Job, n: int) -> dict[str, str | int | None]:
    seed = job.request.get("seed")
    return naming.fields_of(
        prompt=job.prompt,
        job=job.id,
        n=n,
        at=job.created_at,
        model=job.model,
        provider=job.provider,
        seed=seed if isinstance(seed, int) else None,
    )


def _warnings(saved: Saved, plan: Plan) -> Iterator[str]:
    wanted = plan.given_extension and format_of_extension(plan.given_extension)
    if saved.is_rescued:
        yield f"the folder did not take the picture; it is in {saved.path}"
    elif saved.is_renamed:
        yield f"the name was taken meanwhile; the picture is {saved.path}"
    if wanted and wanted != saved.format:
        yield f"{saved.path} holds {saved.format.upper()}, whatever its name says"


def _blocks_of(data: str) -> Iterator[bytes]:
    for start in range(0, len(data), _BASE64_BLOCK):
        yield data[start : start + _BASE64_BLOCK].encode("ascii", "replace")


def _decoded(text: Iterable[bytes]) -> Iterator[bytes]:
    """Decode base64 block by block, so that the image is never whole in memory."""
    try:
        for block in text:
            yield base64.b64decode(block, validate=True)
    except ValueError as error:
        raise ImageBroken(f"the inline image is no base64: {error}") from error
