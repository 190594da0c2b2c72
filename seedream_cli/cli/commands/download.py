"""`seedream download`: saves what is finished and not yet on disk, waits for what still runs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.cli import options as o
from seedream_cli.cli import run as work
from seedream_cli.cli.arguments import DEFAULT_TIMEOUT, parse_span, plan_of
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.landings import Landings
from seedream_cli.cli.output.progress import observer
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import Overtaken, StorageError, UsageError, gravest
from seedream_cli.core.model import Charge, Job, Problem, State
from seedream_cli.core.paths import is_there
from seedream_cli.core.record import replace
from seedream_cli.storage.files import naming
from seedream_cli.storage.ledger.names import find_any, is_file
from seedream_cli.storage.ledger.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from seedream_cli.cli.output.progress import Observer
    from seedream_cli.core.model import Image
    from seedream_cli.engine.context import Context
    from seedream_cli.storage.ledger.ledger import Ledger


def download(
    jobs: o.Jobs = None,
    profile: o.ProfileName = None,
    output: o.NewOutput = None,
    task_id: o.TaskId = None,
    model: o.TaskModel = None,
    unsaved: o.Unsaved = False,
    expiring: o.Expiring = None,
    no_wait: o.NoWait = False,
    timeout: o.Timeout = None,
    no_progress: o.NoProgress = False,
    sandbox: o.Sandbox = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = 0,
) -> int:
    """Save what is finished and not yet on disk; wait for what still runs. Buys nothing."""
    del unsaved  # what is not on disk is all that it ever takes
    with ExitStack() as exits:
        world, stdout = CommandContext.of_process(exits, is_still=no_progress), Stdout()
        show = observer(world.environ, quiet=quiet, verbose=verbose)
        _check_words(jobs or [], task_id, expiring)
        if model is not None and task_id is None:
            raise UsageError("-m says what made a --task-id; a JOB is known")
        if profile is not None:
            world.check_account(profile)
        seconds = 0.0 if no_wait else timeout if timeout is not None else DEFAULT_TIMEOUT
        engine = world.engine(world.timing(seconds), show, profile=profile, with_bodies=verbose > 1)
        world.ledger.check()
        codes = [0]
        try:
            world.conclude_leftovers(engine)
        except StorageError as error:
            # All that can be read is fetched all the same.
            show.say(error.message, is_error=True)
            codes = [error.exit]
        if task_id is not None:
            found = [_adopt(world, task_id, profile, model or "", sandbox=sandbox)]
        else:
            found = _find_jobs(world, jobs or [], expiring, show)
            found = _find_lost(engine, found, is_named=bool(jobs), is_part=expiring is not None)
        written_off = [job for job in found if job.state is State.CLOSED]
        if output is not None:
            found = [_moved(world, engine, job, output, len(found)) for job in found]
        elif jobs:
            found = [reopen(world.ledger, job) for job in found]
        if output is not None or jobs:
            engine.recalled.update(job.id for job in found)
        if not found:
            show.say("nothing to download")
        engine.problems.update(_strangers_sends(found))
        landings = Landings(stdout, show, is_json=json, is_wait=True)
        try:
            report = work.run(world, engine, _by_urgency(found), show, landings.look)
        finally:
            _leave_closed(world, written_off)
        codes.append(work.show(report, landings.close(report), show))
        return gravest([*codes, work.say_damage(world.ledger, show)])


def _check_words(names: Sequence[str], task_id: str | None, expiring: str | None) -> None:
    if task_id is not None and names:
        raise UsageError("--task-id and JOB exclude each other")
    if (task_id is not None or names) and expiring is not None:
        raise UsageError("--expiring chooses jobs by itself; leave the names out")
    pictures = [name for name in names if "." in name and not is_file(name)]
    if pictures:
        raise UsageError(
            f"{pictures[0]} is one picture; download takes whole jobs",
            hint=f"seedream download {pictures[0].partition('.')[0]}",
        )


def reopen(ledger: Ledger, job: Job) -> Job:
    """Fetch again what a person names though it was fetched: gone from disk, or given up.

    saved, and its file is there          as it is
    saved, and its file is gone           fetched once more
    expired                               fetched once more: its host may have it after all
    written off, maybe charged            what is known of it is fetched
    """
    # What lies where it was saved is not fetched again.
    lost = [i.index for i in job.images if i.saved_at and not (i.path and Path(i.path).exists())]
    try:
        if job.state is State.CLOSED and job.charge is Charge.MAYBE:
            return _reopen_closed(ledger, job, lost)
        if job.state is State.EXPIRED or (job.state is State.SAVED and lost and not _is_held(job)):
            return ledger.reopen(job, lost)
    except Overtaken:
        return ledger.job(job.id)  # a command beside this one reopened it
    return job


def _reopen_closed(ledger: Ledger, job: Job, lost: Sequence[int]) -> Job:
    """Fetch what was written off all the same: that is free.

    A set that was cut stays written off, for some of its pictures are known to nobody; those that
    are known are fetched.
    """
    job = ledger.reopen(job, [] if _is_held(job) else lost)
    if len(job.images) < job.expected:
        # With a task id its provider can say where the others are.
        return job if job.task_id is None else ledger.move(job, State.RUNNING)
    return ledger.move(job, State.READY) if any(each.is_wanted for each in job.images) else job


def _leave_closed(world: CommandContext, written_off: Sequence[Job]) -> None:
    """Leave written off what was and did not come."""
    for job in (world.ledger.job(job.id) for job in written_off):
        # A person's word stands until the picture itself has come.
        if job.state in {State.RUNNING, State.READY, State.FAILED}:
            world.ledger.move(job, State.CLOSED, charge=Charge.MAYBE)


def _is_held(job: Job) -> bool:
    return bool(job.output.get("stdout"))


def _strangers_sends(jobs: Sequence[Job]) -> dict[str, Problem]:
    """Say of jobs that another live process is about to buy that there is nothing to fetch yet."""
    words = Problem("timeout", "another process is still sending it", "run the same again later")
    return {job.id: words for job in jobs if job.state in {State.PLANNED, State.SENDING}}


def _find_jobs(
    world: CommandContext,
    names: Sequence[str],
    expiring: str | None,
    show: Observer,
) -> list[Job]:
    if names:
        named = [find_any(world.ledger, name) for name in names]
        for note in filter(None, (each.note for each in named)):
            show.say(note)
        return list({job.id: job for each in named for job in each.jobs}.values())
    waiting = world.ledger.list_unsaved()
    if expiring is None:
        return waiting
    before = world.clock.now() + parse_span(expiring, "--expiring")
    meant = Selection(states={job.state for job in waiting}, lapses_before=before)
    ids = {job.id for job in world.ledger.select(meant)}
    return [job for job in waiting if job.id in ids]


def _find_lost(engine: Context, jobs: Sequence[Job], *, is_named: bool, is_part: bool) -> list[Job]:
    """Return jobs once their providers' lists were asked for lost answers; those are free.

    Unless jobs are named, or those that lapse soon are meant, also all that may be found.
    """
    from seedream_cli.engine.context import can_be_found, has_named_charge

    ledger, known = engine.ledger, {job.id: job for job in jobs}
    absent = {job.id for job in ledger.list_absent()}
    if not is_named and not is_part:
        others = [*ledger.jobs(states={State.UNKNOWN}), *ledger.list_absent()]
        known |= {job.id: job for job in others if can_be_found(engine, job)}
    meant = [job for job in known.values() if job.state is State.UNKNOWN or job.id in absent]
    if not any(can_be_found(engine, job) or has_named_charge(engine, job) for job in meant):
        return list(known.values())
    from seedream_cli.engine.reconcile import look

    look(engine, meant)
    now = [work.latest(ledger, job) for job in known.values()]
    # What was closed for good has nothing to fetch; a person who names it hears of it.
    return [job for job in now if is_named or job.state is not State.CLOSED]


def _by_urgency(jobs: Sequence[Job]) -> list[Job]:
    """Put what is ready first, earliest expiry before all but what may lapse unseen."""
    from seedream_cli.providers import PROVIDERS

    far = max((lapse for job in jobs if (lapse := _lapses(job))), default=None)

    def key(job: Job) -> tuple[bool, bool, bool, datetime | None]:
        is_running = job.state is State.RUNNING
        # Asked about while it takes nobody's time to fetch: it may be done since almost an hour.
        provider = PROVIDERS.get(job.provider)
        is_fleeting = is_running and provider is not None and provider.is_fleeting
        lapses = _lapses(job)
        return (not is_fleeting, is_running, lapses is None, lapses or far)

    return sorted(jobs, key=key)


def _lapses(job: Job) -> datetime | None:
    return min((i.expires_at for i in job.images if i.expires_at and not i.saved_at), default=None)


def _moved(world: CommandContext, engine: Context, job: Job, output: str, count: int) -> Job:
    """Give a job another place for its pictures.

    Those that lie on this disk are copied to there; others that were saved are fetched once more.
    """
    from seedream_cli.engine.save import predict_paths_of

    plan = _plan(world, output, many=count > 1 or job.expected > 1)
    for path in predict_paths_of(plan, job):
        if is_there(plan.absolute(path)):
            raise UsageError(f"{path} exists", hint="choose another name with -o")
    job = reopen(world.ledger, job)
    moved = replace(job, output={**job.output, **plan.to_json(), "stdout": False})
    # Bytes that lie on this disk need no host, which may not have them any more.
    copies = [copy for image in job.images if (copy := _copy(engine, moved, image))]
    if copies:
        job = world.ledger.adopt(job, moved, copies)
    else:
        job = world.ledger.put_output(job, moved.output)
    there = {image.index for image in copies}
    elsewhere = [i.index for i in job.images if i.saved_at and i.index not in there]
    return world.ledger.reopen(job, elsewhere) if elsewhere else job


def _copy(engine: Context, job: Job, image: Image) -> Image | None:
    """Copy a picture with its sidecar to where its job goes now; None where it is not whole."""
    from seedream_cli.engine.save import copy_image, write_sidecar
    from seedream_cli.storage.files.digest import is_one_of

    if not image.saved_at or not image.path or not is_one_of(image.path, {image.sha256 or ""}):
        return None
    copy = copy_image(engine, job, replace(image, warning=None))  # an odd one is copied as it is
    if job.output.get("sidecar"):
        write_sidecar(engine, job, copy, image.sha256)
    return copy


def _plan(world: CommandContext, output: str | None, *, many: bool) -> naming.Destination:
    if output == "-":
        raise UsageError("download writes files, not stdout", hint="use -o FILE or -o FOLDER/")
    return plan_of(world.environ, output, many=many)


def _adopt(
    world: CommandContext, task_id: str, name: str | None, model: str, *, sandbox: bool
) -> Job:
    """Write down a task that was made elsewhere as a job of ours."""
    import secrets

    from seedream_cli.core.addresses import origin
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.request.purchase import new_id

    profile = world.profile(name, sandbox=sandbox)
    provider = PROVIDERS[profile.provider]
    if provider.dialect.poll is None:
        raise UsageError(
            f"{provider.name} has no task ids: it answers only when finished",
            hint="a URL is saved by any browser; -p NAME chooses another provider",
        )
    if not task_id.isprintable() or " " in task_id or not task_id:
        raise UsageError("--task-id is no task's id")
    address = origin(profile.base_url)
    known = world.ledger.with_task(address, task_id)
    if known is not None:
        return known
    job_id = new_id(secrets.choice)
    job = Job(
        id=job_id,
        run=new_id(secrets.choice),
        state=State.RUNNING,
        charge=Charge.CHARGED,
        provider=provider.name,
        profile=profile.name,
        origin=address,
        sandbox=profile.sandbox,
        model=model,
        prompt="",
        request={"size": None, "aspect": None, "seed": None, "format": None, "references": []},
        recipe={},
        # Like no other's: nobody knows what it asked for, so it stands in no purchase's way.
        purchase_digest=f"adopted {address} {task_id}",
        output=_plan(world, profile.output, many=False).to_json(),
        first_n=1,
        expected=1,
        task_id=task_id,
        owner=world.owner.name,
        created_at=world.clock.now(),
    )
    (job,) = world.ledger.plan([job])  # maybe one that a command beside this one wrote down
    return job
