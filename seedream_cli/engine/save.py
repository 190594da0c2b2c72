"""The step from URLs in the ledger to pictures under their final names, and their sidecars."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seedream_cli.core.addresses import AddressKind, is_loopback
from seedream_cli.core.errors import (
    EXITS,
    AccountError,
    DeadlineReached,
    EndUnseen,
    HostBarred,
    ImageBroken,
    ImageGone,
    OutcomeUnknown,
    StorageError,
    UnreadableReply,
    Unsent,
)
from seedream_cli.core.events import BytesReceived, ImageSaved, JobChanged, Note, Waiting
from seedream_cli.core.formats import FORMATS, extension_of_format, format_of_extension
from seedream_cli.core.model import Busy, Done, Image, Problem, Purpose, Refused, State
from seedream_cli.core.record import replace
from seedream_cli.core.text import escape_unseen
from seedream_cli.engine.context import is_odd, task_of
from seedream_cli.engine.lifetime import LAPSED, UNDOCUMENTED, has_lapsed, lapse_of
from seedream_cli.storage.files import naming
from seedream_cli.storage.files.digest import is_one_of
from seedream_cli.storage.files.inline import blocks_of, decode_base64, is_spilled
from seedream_cli.storage.ledger.columns import money_text, time_text
from seedream_cli.transport.exchange import OPENED_BY_ANY, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.core.model import Call, Job, RemoteImage, Reply, Request
    from seedream_cli.engine.context import Context, Step
    from seedream_cli.providers.spec import Capabilities, Dialect
    from seedream_cli.storage.files.naming import Destination
    from seedream_cli.storage.files.store import Files, SavedFile
    from seedream_cli.transport.client import Download

IMAGE_LIMITS = Limits(read=60.0, total=900.0)
_BLOCK = 1 << 18
"""Bytes copied at a time."""
_ROUND_AT_LEAST = 60.0
"""Seconds for the pictures of a job, also of one that is late already."""
_MOST_RECEIPT = 1 << 20
"""Characters of a sidecar that are read."""


def save(context: Context, job: Job, step: Step) -> Step | None:
    """Save what is not saved and end the job; a picture that does not come keeps no other back."""
    trouble: SeedreamError | None = None
    until = max(context.deadline(job.id), context.clock.monotonic() + _ROUND_AT_LEAST)
    for image in (each for each in job.images if each.is_wanted):
        if context.clock.monotonic() > until:
            trouble = DeadlineReached("there are more pictures than could be fetched in time")
            break
        try:
            save_image(context, job, image)
        except ImageGone:
            # The clock has said so, and not its host (`has_lapsed`).
            context.ledger.put_image(replace(image, problem=LAPSED))
        # The last trouble speaks for all; pictures that did come are saved and stay so.
        except (Unsent, OutcomeUnknown, ImageBroken) as error:
            trouble = error
    job = context.ledger.job(job.id)
    if trouble is not None:
        return _put_off(context, job, step, trouble)
    if any(map(is_odd, job.images)):
        if following := _look_again(context, job, step):
            return following
        job = context.ledger.job(job.id)
    _finish(context, job)
    return None


def _look_again(context: Context, job: Job, step: Step) -> Step | None:
    """Fetch odd pictures once more, a little later: a half-filled host heals, and some never do."""
    odd = [i for i in job.images if is_odd(i) and context.seen.get((i.job, i.index)) != i.sha256]
    due = context.clock.monotonic() + context.timing.believe_after
    if odd and not step.is_second_look and due <= context.deadline(job.id):
        return replace(step, due=due, is_second_look=True)
    for image in odd:
        with suppress(Unsent, OutcomeUnknown, ImageBroken, ImageGone, StorageError, AccountError):
            # Only a copy without a fault takes its place (`is_flawless`); any trouble leaves it.
            if step.is_second_look:
                save_image(context, job, image)
    for image in filter(is_odd, context.ledger.job(job.id).images):
        # So the same bytes are not fetched a third time: a host that has only these never heals.
        context.seen[image.job, image.index] = image.sha256 or ""
        context.notify(Note(message=_describe_oddness(image), is_warning=True))
    return None


def _describe_oddness(image: Image) -> str:
    return f"{image.path} is kept as it came: {image.warning}"


def _put_off(context: Context, job: Job, step: Step, trouble: SeedreamError) -> Step | None:
    """Put a download off; the URLs are in the ledger, so giving up loses nothing."""
    wait = context.retry_delay(step.tries)
    if isinstance(trouble, EndUnseen):
        wait = max(wait, context.timing.believe_after)  # the same bytes again will say it
    now, deadline = context.clock.monotonic(), context.deadline(job.id)
    is_late = now >= deadline
    words, hint = f"the picture cannot be fetched: {trouble.message}", f"seedream download {job.id}"
    if not any(each.url for each in job.images if each.is_wanted):  # it stays as it is
        context.problems[job.id] = Problem("provider_failed", words, hint)
        return None
    if isinstance(trouble, HostBarred) and step.tries >= context.timing.late_tries:
        if trouble.hint:  # a door, that only a person opens
            door = f"{trouble.hint} under [profiles.{job.profile}] in config.toml"
            words, hint = f"{words}; {door} lets it in", f"write {door}, then:\n{hint}"
        context.problems[job.id] = Problem("timeout", words, hint)
        return None
    # An answer may have taken all the time there was: then a download has tries, not seconds.
    is_over = isinstance(trouble, DeadlineReached)  # one round took all the time
    if is_over or (is_late and step.tries >= context.timing.late_tries):
        context.give_up(job, words, hint)
        return None
    context.notify(Waiting(job_id=job.id, seconds=wait, reason=trouble.message))
    due = now + wait if is_late else min(now + wait, deadline)
    return replace(step, due=due, tries=step.tries + 1)


def _finish(context: Context, job: Job) -> None:
    problems = [image.problem for image in job.images if image.problem]
    # A picture that the provider never made (another problem) leaves the rest of its set saved.
    is_gone = any(problem.code == "expired" for problem in problems)
    # What was saved once and is fetched again may be gone by now; then it is saved no longer.
    if job.state is State.READY or (job.state is State.SAVED and is_gone):
        becomes = State.EXPIRED if is_gone else State.SAVED
        job = context.ledger.move(job, becomes, problem=problems[0] if problems else None)
        context.files.drop_spills(job.id, answers_folder(job))
        context.notify(JobChanged(job=job))


def save_image(context: Context, job: Job, image: Image) -> None:
    """Save one image and record it, asking for a fresh URL where its host does not have it.

    One that was saved already is odd, and gives way only to a copy that is not. Raises `ImageGone`
    for what is lost, `ImageBroken`, `StorageError`, and `Unsent` or `OutcomeUnknown` for what may
    pass: also a host's "gone" before the URL has lapsed, or while nobody says if there is another.
    """
    try:
        _fetch(context, job, image)
    except ImageGone as error:
        _fetch_anew(context, job, image, error)


def _fetch_anew(context: Context, job: Job, image: Image, gone: ImageGone) -> None:
    """Fetch an image that its host said it has not from another URL, where one can be had.

    404 before its time, and no fresh URL           tried again later
    404 an hour after it lapsed, no fresh URL       gone
    the same, and nobody says if there is one       tried again later
    404, and a fresh URL that brings it             saved
    """
    fresh, is_answered = _ask_anew(context, job, image)
    is_over = image.url is None or has_lapsed(context, job, image, gone.date)
    if fresh is not None:
        try:
            _fetch(context, job, image, fresh)
        except ImageGone as error:
            gone = error  # of a URL that lives: its host may only be late
            later = replace(image, url=fresh.url, expires_at=fresh.expires_at)
            is_over = is_over and has_lapsed(context, job, later, gone.date)
        else:
            return
    # Both, or it is not given up: its time is over, and the provider says that it has no other.
    if is_over and is_answered:
        raise gone
    raise OutcomeUnknown(gone.message) from gone


def _fetch(context: Context, job: Job, image: Image, fresh: RemoteImage | None = None) -> None:
    url = fresh.url if fresh is not None else image.url
    if url is None:
        data = fresh.data if fresh is not None else None
        data = data or _inline_data(context, job, image)
        folder = answers_folder(job)
        is_there = is_spilled(data)
        text = context.files.read_spilled(job.id, folder, data) if is_there else blocks_of(data)
        _keep(context, job, image, decode_base64(text), None, is_measured=True)
        return
    with fetch_image(context, job, url, IMAGE_LIMITS) as download:
        is_measured = download.is_measured
        _keep(context, job, image, download.chunks, download.length, is_measured=is_measured)


def _keep(
    context: Context,
    job: Job,
    image: Image,
    chunks: Iterable[bytes],
    length: int | None,
    *,
    is_measured: bool,
) -> None:
    chunks = _count(context, job, image, chunks, length)
    try:
        saved = _place(context, job, image, chunks, is_measured=is_measured)
    except EndUnseen as error:
        context.seen[job.id, image.index] = error.sha256
        raise
    _record(context, job, image, saved)


def _place(
    context: Context,
    job: Job,
    image: Image,
    chunks: Iterable[bytes],
    length: int | None = None,
    *,
    is_measured: bool = False,
) -> SavedFile:
    plan = naming.Destination.from_json(job.output)
    return context.files.save(
        chunks,
        folder=folder_of(plan, job, image.n),
        path_of=lambda facts: (
            image.path or ""
            if is_odd(image) and image.format == facts.format
            else place_of(
                job, replace(image, format=facts.format, width=facts.width, height=facts.height)
            )
        ),
        job=job.id,
        index=image.index,
        # A second copy replaces the very picture that it betters (`replaces`), and no other.
        overwrite=bool(job.output.get("overwrite")) and not is_odd(image),
        replaces=_replaces(job, image.sha256 if is_odd(image) else None),
        expected_length=length,
        is_measured=is_measured,
        seen=context.seen.get((job.id, image.index)),
        is_flawless=is_odd(image),
    )


def copy_image(context: Context, job: Job, image: Image) -> Image:
    """Copy a picture from its path to where its job's output says; nothing is recorded.

    Raises `ImageBroken`, `StorageError`.
    """
    try:
        with Path(image.path or "").open("rb") as file:
            chunks = iter(lambda: file.read(_BLOCK), b"")
            saved = _place(context, job, image, chunks, image.size)
    except OSError as error:
        raise StorageError(f"{image.path} cannot be read: {error.strerror}") from error
    return replace(image, path=saved.path, saved_at=context.clock.now())


def _record(context: Context, job: Job, image: Image, saved: SavedFile) -> None:
    plan = naming.Destination.from_json(job.output)
    done = replace(
        image,
        path=saved.path,
        format=saved.format,
        width=saved.width,
        height=saved.height,
        size=saved.size,
        sha256=saved.sha256,
        saved_at=context.clock.now(),
        warning=saved.finding,
    )
    # Its sidecar first: what is recorded is not looked at again, so a kill would lose it.
    is_told = bool(job.output.get("sidecar"))
    trouble = _try_sidecar(context, job, done, image.sha256) if is_told else None
    if is_odd(image):
        context.ledger.replace_image(done, image.sha256 or "")
    else:
        context.ledger.put_image(done)
    if trouble is not None:
        raise trouble
    warnings = list(_warnings(saved, plan))
    if done.warning and not is_odd(done):
        warnings.append(_describe_oddness(done))  # of others when they were fetched once more
    for warning in warnings:
        context.notify(Note(message=warning, is_warning=True))
    context.notify(ImageSaved(job=job, image=done))


def _count(
    context: Context, job: Job, image: Image, chunks: Iterable[bytes], length: int | None
) -> Iterator[bytes]:
    received = 0
    for chunk in chunks:
        received += len(chunk)
        total = length if received <= (length or 0) else None  # it may come encoded
        context.notify(
            BytesReceived(job_id=job.id, index=image.index, received=received, total=total)
        )
        yield chunk


def _inline_data(context: Context, job: Job, image: Image) -> str:
    """Read an inline image again from the stored answers; it is kept nowhere else."""
    dialect = context.provider(job).dialect
    for purpose in (Purpose.SUBMIT, Purpose.EVENT, Purpose.POLL, Purpose.RESULT):
        for reply in context.ledger.answers(job.id, purpose):
            for remote in _read_images(dialect, reply):
                if remote.index == image.index and remote.data is not None:
                    return remote.data
    raise ImageGone("the provider's answer holds neither the image nor its address")


def _ask_anew(context: Context, job: Job, image: Image) -> tuple[RemoteImage | None, bool]:
    """Ask for an image once more, at another URL or inline; tell too if all answered.

    It does not take the first one's place in the ledger, as it may live shorter; the answer that
    brought it is kept.
    """
    dialect, is_answered = context.provider(job).dialect, True
    calls = []
    if dialect.poll is not None and job.task_id is not None:
        calls.append((dialect.result or dialect.poll)(task_of(context, job)))
    if dialect.refresh is not None and image.url is not None:
        calls.append(dialect.refresh(image.url))
    for call in calls:
        remotes = _ask(context, job, call)
        is_answered = is_answered and remotes is not None
        for remote in remotes or ():
            is_its = call.purpose is Purpose.REFRESH or remote.index == image.index
            is_new = remote.data if remote.url is None else remote.url != image.url
            if is_its and is_new:
                return remote, is_answered
    return None, is_answered


def _ask(context: Context, job: Job, call: Call) -> tuple[RemoteImage, ...] | None:
    """Return the images that an answer brings, each with when its URL lapses.

    None where it says nothing about the job.
    """
    try:
        with (
            context.transport.listen(context.account(job), call, Limits()) as answer,
            context.files.spill(job.id, answers_folder(job)) as answer.spill,
        ):
            reply = answer.whole()
        # Not as the poll that it may be: the first URL does not live longer for it.
        context.ledger.store(job.id, replace(reply, purpose=Purpose.REFRESH))
        said = context.provider(job).dialect.decode(reply)
    except (Unsent, OutcomeUnknown, UnreadableReply, AccountError):
        return None
    match said:
        case Done(images=images, task_id=task_id):
            # Another task's pictures are not this job's, whoever mixed them up.
            if task_id not in {None, "", job.task_id}:
                return None
            lapses = lapse_of(context, job, said, reply, UNDOCUMENTED)
            return tuple(replace(each, expires_at=each.expires_at or lapses) for each in images)
        case Busy():
            return None
        case Refused(problem=problem):
            # A key that is refused says nothing of the picture.
            return None if problem.exit == EXITS["auth"] else ()
        case _:
            # It answered, and has none: running or failed, there is no other URL.
            return ()


def _try_sidecar(
    context: Context, job: Job, image: Image, replaced: str | None
) -> StorageError | None:
    """Write a picture's sidecar; return what kept it from that: the picture is recorded first."""
    try:
        write_sidecar(context, job, image, replaced)
    except StorageError as error:
        return error
    return None


def write_sidecar(context: Context, job: Job, image: Image, replaced: str | None) -> None:
    """Write recipe and receipt beside the picture, so that it can be made again.

    The receipt of the picture that it stands for now, by its digest, is `replaced`.
    """
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
    path = sidecar_for(image.path or "")
    ours = {*_replaces(job, replaced), image.sha256}
    # Replaced is what tells of this picture, or of the one in whose place it comes; else beside it.
    is_ours = job.output.get("overwrite") or _receipt_of(path) in ours
    if Path(path).exists() and not is_ours:
        path = naming.aside(path, job.id)
    context.files.write_atomically(path, text.encode())


def fetch_image(
    context: Context, job: Job, url: str, limits: Limits
) -> AbstractContextManager[Download]:
    """Open a picture of a job, from an address of a kind that its pictures may come from.

    Public, or of the kind that the API itself has here, or what the profile lets in; loopback only
    where the API is on loopback.
    """
    api = urlsplit(job.origin)
    host = api.hostname or ""
    is_local = job.sandbox or is_loopback(host)
    kinds = {AddressKind.PUBLIC, *OPENED_BY_ANY.intersection({job.peer})}
    if is_local:
        kinds.add(AddressKind.LOOPBACK)
    if context.is_open_to_any(job):
        kinds |= OPENED_BY_ANY
    # A gateway that is asked without TLS in a private network serves its pictures the same way.
    plain_host = host if api.scheme == "http" and not is_local else ""
    return context.transport.fetch(url, limits, allowed=frozenset(kinds), plain_host=plain_host)


def sidecar_of(path: str) -> str:
    """Return where a picture's sidecar goes: never onto the picture itself."""
    sidecar = naming.sidecar_path(path)
    return f"{path}.json" if sidecar == path else sidecar


def sidecar_for(path: str) -> str:
    """Return where a picture's sidecar goes beside others: two formats may share one name.

    What `cat.json` tells of stays: where that is `cat.jpg`, `cat.png` has `cat.png.json`.
    """
    sidecar = sidecar_of(path)
    told = _receipt_of(sidecar)
    if told is None:
        return sidecar
    stem, own = posixpath.splitext(path)
    others = (f"{stem}.{ext}" for ext in FORMATS if f".{ext}" != own)
    return f"{path}.json" if any(is_one_of(each, {told}) for each in others) else sidecar


def move_sidecar(files: Files, digest: str, old: str, new: str) -> None:
    """Let a picture's sidecar come after it to its new path; one that cannot stays behind."""
    for sidecar in (sidecar_of(old), f"{old}.json"):
        if _receipt_of(sidecar) == digest:
            with suppress(StorageError):
                files.move(sidecar, sidecar_for(new))
            return


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


def _replaces(job: Job, odd: str | None) -> frozenset[str]:
    """Return the digests of files that may be replaced: those of a batch's lock, an odd copy's."""
    digests = job.output.get("replaces")
    every = [*map(str, digests if isinstance(digests, list) else ()), odd]
    return frozenset(filter(None, every))


def _read_images(dialect: Dialect, reply: Reply) -> tuple[RemoteImage, ...]:
    """Return the images of a reply; none where it cannot be read."""
    try:
        is_event = reply.purpose is Purpose.EVENT and dialect.event is not None
        said = dialect.event(reply.body) if is_event and dialect.event else dialect.decode(reply)
    except UnreadableReply:
        return ()
    return said.images if isinstance(said, Done) else ()


def predict_extension(capabilities: Capabilities | None, request: Request) -> str | None:
    """Return the extension of the format that is sure to come, without its dot; None: any may."""
    formats = capabilities.formats if capabilities else ()
    made = request.format or (formats[0] if formats else None)
    return extension_of_format(made) if made else None


def predict_paths(
    plan: Destination, job: Job, capabilities: Capabilities | None, request: Request
) -> list[str]:
    """Return the paths of a job's pictures that are known before anything is sent."""
    ext = predict_extension(capabilities, request)
    paths = []
    for k in range(job.expected):
        fields = naming.fields_of_job(job, job.first_n + k)
        if request.size is not None:
            fields |= {"width": request.size.width, "height": request.size.height}
        path = naming.predict(plan, fields=fields, ext=ext)
        if path is not None:
            paths.append(path)
    return paths


def predict_paths_of(plan: Destination, job: Job) -> list[str]:
    """Return the paths that a bought job's pictures would have, where they are known."""
    found = [naming.predict(plan, fields=naming.fields_of_job(job, i.n)) for i in job.images]
    return [path for path in found if path is not None]


def place_of(job: Job, image: Image) -> str:
    """Return the path that an image of a known format is to have, absolute."""
    plan = naming.Destination.from_json(job.output)
    fields = naming.fields_of_job(job, image.n) | {"width": image.width, "height": image.height}
    ext = extension_of_format(image.format or "")
    path = plan.absolute(naming.expand(plan, fields=fields, ext=ext))
    if image.index > job.expected and not image.name:
        # More came than was asked for: its number may be another job's.
        return naming.label_path(path, f"{job.id}-{image.index}")
    # A layer has a name of its own: `cat-2-tree.png`.
    return naming.label_path(path, image.name) if image.name else path


def folder_of(plan: Destination, job: Job, n: int = 1) -> str:
    """Return the folder where a picture will most likely lie, absolute."""
    path = naming.expand(plan, fields=naming.fields_of_job(job, n), ext="jpg")
    return posixpath.dirname(plan.absolute(path))


def answers_folder(job: Job) -> str:
    """Return where an answer's inline pictures lie when the state folder does not take them."""
    return folder_of(naming.Destination.from_json(job.output), job, job.first_n)


def _warnings(saved: SavedFile, plan: Destination) -> Iterator[str]:
    wanted = plan.given_extension and format_of_extension(plan.given_extension)
    if saved.is_rescued:
        yield f"the folder did not take the picture; it is in {saved.path}"
    elif saved.is_renamed:
        yield f"the name was taken meanwhile; the picture is {saved.path}"
    if wanted and wanted != saved.format:
        yield f"{saved.path} holds {saved.format.upper()}, whatever its name says"
