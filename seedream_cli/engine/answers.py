"""What a provider's answer means for a job: the step that it takes, written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.core.commands import adopt_command, settle_commands
from seedream_cli.core.errors import AccountError, StorageError, UnreadableReply
from seedream_cli.core.events import JobChanged, Note
from seedream_cli.core.model import (
    Busy,
    Done,
    Failed,
    Image,
    Problem,
    Refused,
    Running,
    State,
)
from seedream_cli.core.record import replace
from seedream_cli.core.text import clean, legible, shell_line
from seedream_cli.engine.lifetime import lapse_of
from seedream_cli.engine.save import answers_folder
from seedream_cli.providers.reading import picture_urls

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from seedream_cli.core.model import Charge, Job, Money, Outcome, Reply
    from seedream_cli.engine.context import Context
    from seedream_cli.providers.spec import Capabilities, Provider

MOST_QUOTED = 300
"""Characters of an answer that nobody could read; `status JOB -v` shows all of it."""
MOST_OFFERED = 4
"""Addresses in it; `status JOB -v` shows all of them."""


def read_answer(context: Context, job: Job, reply: Reply) -> tuple[Job, Outcome | None]:
    """Read the stored answer to a submit and take the step that it means; also at recovery.

    a task id                      running
    pictures                       ready
    the provider's own refusal     refused, and not charged
    HTML, or half of JSON          unknown, and never sent again
    """
    request_id = request_id_of(context, job, reply)
    is_given_up = job.state is not State.SENDING  # also where a person has settled it since
    try:
        outcome = context.provider(job).dialect.decode(reply)
        # Late good news is taken; a late refusal overrules nobody's word.
        if is_given_up and not isinstance(outcome, Running | Done):
            return job, None
        return _take(context, job, outcome, reply), outcome
    except UnreadableReply as error:
        if is_given_up:
            return job, None
        reason = error.message + doubt(context, job, reply)
        return mark_unknown(context, job, reason, request_id, reply), None


def request_id_of(context: Context, job: Job, reply: Reply) -> str | None:
    """Return the provider's name of a request, which a header of its answer carries."""
    return reply.headers.get(context.provider(job).request_id_header)


def is_accepted(context: Context, job: Job, reply: Reply) -> bool:
    """Tell whether an answer to a submit says that the job runs or is done."""
    try:
        return isinstance(context.provider(job).dialect.decode(reply), Running | Done)
    except UnreadableReply:
        return False


def _take(context: Context, job: Job, outcome: Outcome, reply: Reply) -> Job:
    """Take the step that a submit's outcome means."""
    move, request_id = context.ledger.move, request_id_of(context, job, reply)
    match outcome:
        case Running(task_id=task_id):
            return move(job, State.RUNNING, task_id=task_id, request_id=request_id)
        case Done():
            return mark_ready(context, job, outcome, reply)
        case Failed(problem=problem, charge=charge):
            return mark_failed(context, job, problem, request_id, charge=charge)
        case Refused(problem=problem):
            problem = _with_way_on(context, job, problem, is_model=outcome.is_model)
            return move(job, State.REFUSED, problem=problem, request_id=request_id)
        case Busy():
            # Turned away before anything was begun: the attempt ends `busy`, another may follow.
            return move(job, State.PLANNED)


def _with_way_on(context: Context, job: Job, problem: Problem, *, is_model: bool) -> Problem:
    """Add to a refusal what its provider does not say: what else there is, or where to mend it."""
    provider, now = context.provider(job), context.clock.now()
    if is_model and provider.successors(job.model, now):
        return with_successor(problem, job, provider, now)
    if is_model and problem.code == "invalid_request" and job.model in provider.on_offer(now):
        # Ark has one word for ids that are wrong and for those that are not opened (82379/1299023).
        problem = replace(problem, code="access")
    return with_page(problem, job, provider)


def with_successor(problem: Problem, job: Job, provider: Provider, now: datetime) -> Problem:
    """Name what to use instead in the refusal of a retired model; else return it as it is."""
    ways = provider.successors(job.model, now)
    if not ways:
        return problem
    # The first that makes this very request; where none does, the one that the provider names.
    way = next((each for each in ways if _makes(provider.models[each], job)), ways[0])
    ended = provider.models[job.model].retired_at
    message = f"{problem.message}; {job.model} was retired on {ended:%Y-%m-%d}"
    place = f'model = "{way}" in the manifest, or ' if job.row else ""
    return replace(problem, message=message, hint=f"{place}the same with -m {way}")


def doubt(context: Context, job: Job, reply: Reply) -> str:
    """Return what to add where an answer looks as if it came from the wrong place, or nothing."""
    try:
        words = context.provider(job).doubt(context.account(job).base_url, reply)
    except AccountError:
        return ""
    return f"; {words}" if words else ""


def with_page(problem: Problem, job: Job, provider: Provider) -> Problem:
    """Say how the account of a job is mended, and where."""
    check = check_line(job) if problem.code == "auth" else ""
    lines = [problem.hint, check, provider.page(problem.code, job.origin)]
    return replace(problem, hint="\n".join(filter(None, lines)))


def check_line(job: Job) -> str:
    """Return the command that checks the key of a job's account."""
    words = ["seedream", "providers", "check", job.profile]
    return shell_line([*words, "--sandbox"] if job.sandbox else words)


def _makes(model: Capabilities, job: Job) -> bool:
    """Tell whether a model makes what a job asked for, as far as the ledger tells."""
    size, references = str(job.request.get("size") or ""), job.request.get("references")
    count = len(references) if isinstance(references, list | tuple) else 0
    width, _, height = size.partition("x")
    if size in model.sizes or not (width.isdecimal() and height.isdecimal()):
        is_size = size in model.sizes or not size
    else:
        least, most = model.pixels or (0, 0)
        is_size = least <= int(width) * int(height) <= most
    is_count = job.expected <= max(model.max_series, model.max_count)
    return is_size and is_count and model.references[0] <= count <= model.references[1]


def mark_ready(context: Context, job: Job, done: Done, reply: Reply) -> Job:
    """Write down where the images are, before any of them is fetched."""
    images = new_images(context, job, done, reply)
    tell_of_more(context, job, images)
    is_named = context.provider(job).names_charge
    # Who names its charges is taken at its word: where it named none, nothing is reckoned.
    reckoned = None if is_named else share_price(job.price, images, job.expected)
    seconds = context.pace.measure(job, done)
    ready = context.ledger.move(
        job,
        State.READY,
        task_id=done.task_id,
        request_id=done.request_id or request_id_of(context, job, reply),
        cost=done.cost or reckoned,
        images=images,
        made_seconds=seconds,
    )
    # Only now: what is expected of its like is old once the ledger has it.
    if seconds is not None:
        context.pace.note_made(job)
    return ready


def tell_of_more(context: Context, job: Job, images: Sequence[Image]) -> None:
    """Say that a provider sent more pictures than were asked for; all of them are kept."""
    made = sum(not image.problem for image in images)
    if not job.recipe or made <= job.expected:
        return  # of a task that was made elsewhere nobody here knows what was asked for
    many = "picture was" if job.expected == 1 else "pictures were"
    words = f"job {job.id}: {job.expected} {many} asked for, {made} came; all of them are kept"
    context.notify(Note(message=words, is_warning=True))


def mark_failed(
    context: Context,
    job: Job,
    problem: Problem,
    request_id: str | None = None,
    *,
    charge: Charge | None = None,
) -> Job:
    """Write down that an accepted job failed; its charge is what the provider documents, if any."""
    charge = charge or context.provider(job).charge_of_failed
    return context.ledger.move(
        job, State.FAILED, charge=charge, problem=problem, request_id=request_id
    )


def mark_unknown(
    context: Context,
    job: Job,
    reason: str,
    request_id: str | None = None,
    reply: Reply | None = None,
    *,
    ended_at: datetime | None = None,
) -> Job:
    """Write down that nobody knows what became of a submit; it is never sent again.

    `reply` is the answer that could not be read, if one came; `ended_at` is when its process gave
    it up, where that is not now.
    """
    provider = context.provider(job)
    said = clean(legible(reply.body), one_line=True)[:MOST_QUOTED] if reply is not None else ""
    # A rehearsal has no page of charges.
    look = "" if job.sandbox else f": look at {provider.charges_page}"
    problem = Problem(
        "outcome_unknown",
        f"{reason.rstrip('.')}{f' (“{said}”)' if said else ''}; it may have been charged{look}",
        _ways_on(job, provider, reply),
    )
    job = context.ledger.move(
        job, State.UNKNOWN, problem=problem, request_id=request_id, ended_at=ended_at
    )
    context.notify(JobChanged(job=job))
    return job


def report_loss(context: Context, job: Job, reply: Reply, error: StorageError) -> StorageError:
    """Say at once what would be lost with this terminal: the ledger does not take an answer."""
    # Before it is raised: the terminal may be all that still takes it down.
    words = describe_loss(context, job, reply)
    if words:
        context.notify(Note(message=f"{job.id}: {words}", is_warning=True))
    return StorageError(error.message, hint=words or error.hint)


def _ways_on(job: Job, provider: Provider, reply: Reply | None) -> str:
    """Return the commands that settle a job: also those that adopt what its answer names."""
    urls = picture_urls(reply.body, but=job.recipe)[:MOST_OFFERED] if reply is not None else []
    # An address that a terminal does not show as it is cannot be pasted as it is.
    offers = [adopt_command(job.id, url) for url in urls if clean(url, ci=True) == url]
    ways = settle_commands([job], has_tasks=provider.dialect.poll is not None)
    return "\n".join([*offers, ways])


def describe_loss(context: Context, job: Job, reply: Reply) -> str:
    """Return the words for a person who has to keep what the ledger does not take."""
    try:
        outcome = context.provider(job).dialect.decode(reply)
    except UnreadableReply:
        return "the provider's answer could not be kept"
    match outcome:
        case Running(task_id=task_id):
            words = ["seedream", "download", "--task-id", task_id, "-p", job.profile]
            # Where a task lies may depend on what makes it.
            words += ["-m", job.model] if context.provider(job).dialect.result else []
            return f"write this down:\n{shell_line(words)}"
        case Done(images=images):
            # What came inline has no address; it lies in a file of its own, not in the ledger.
            urls = " ".join(image.url for image in images if image.url)
            kept = context.files.spills(job.id, answers_folder(job))
            inline = f"the pictures lie in {', '.join(kept)}, as base64" if kept else ""
            return f"write this down: {urls}" if urls else inline
        case _:
            return ""


def new_images(context: Context, job: Job, done: Done, reply: Reply) -> list[Image]:
    """Return a provider's images as the ledger keeps them."""
    lapses = lapse_of(context, job, done, reply)
    return [
        Image(
            job=job.id,
            index=remote.index,
            n=job.first_n + remote.index - 1,
            url=remote.url,
            # What came inline has no URL that could lapse.
            expires_at=(remote.expires_at or lapses) if remote.url is not None else None,
            problem=remote.problem,
            name=remote.name,
        )
        for remote in done.images
    ]


def share_price(price: Money | None, images: Sequence[Image], expected: int) -> Money | None:
    """Estimate what the pictures that were made cost: the missing ones are not billed."""
    made = sum(not image.problem for image in images)
    if price is None or made == expected:
        return price
    return replace(price, amount=price.amount * made / expected)
