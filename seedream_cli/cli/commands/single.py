"""One `generate` or `edit`: checked whole, then bought, waited for and saved."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Never

from seedream_cli.cli.arguments import (
    DEFAULT_TIMEOUT,
    GenerateArguments,
    command_line,
    options,
    plan_of,
    read_prompt,
    read_stdin,
)
from seedream_cli.cli.commands.bounds import (
    check_bounds,
    check_budget,
    check_settings,
    confirm,
    confirm_model,
)
from seedream_cli.cli.commands.existing import find_existing, show_skipped
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output import job as render
from seedream_cli.cli.output.outcome import estimate
from seedream_cli.cli.output.progress import observer
from seedream_cli.cli.output.stdout import Device, Stdout
from seedream_cli.core.errors import HeldBack, OutcomeUnknown, Overtaken, UsageError
from seedream_cli.core.formats import format_of_extension
from seedream_cli.core.model import OPEN_STATES, Charge, State
from seedream_cli.core.paths import is_device, is_stdout
from seedream_cli.core.record import dataclass, replace
from seedream_cli.core.text import span_seconds
from seedream_cli.storage.files import naming
from seedream_cli.storage.files.digest import is_one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.cli import run as work
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.core.model import Call, Job, LocalImage, Profile, Reference, Request
    from seedream_cli.engine.context import Context
    from seedream_cli.engine.references import LoadedReference
    from seedream_cli.providers.spec import Provider
    from seedream_cli.request.check import Resolved
    from seedream_cli.request.purchase import Purchase
    from seedream_cli.storage.files.naming import Destination


_READER_SECONDS = 60.0
"""For which a picture waits until somebody opens the pipe that it goes to."""


@dataclass(slots=True)
class SingleRun:
    """One `generate` on its way: each step needs the ones before it."""

    world: CommandContext
    asked: GenerateArguments
    is_stdout: bool = False
    device: str = ""
    """The pipe or device that takes the picture, in place of stdout."""
    is_named: bool = False
    """Every name is known beforehand, and the same on every run."""

    def make(self) -> int:
        """Check everything that can be checked, then buy, wait and save."""
        asked, stdout = self.asked, Stdout()
        if asked.preview:
            from seedream_cli.cli.output.preview import check_preview

            check_preview()
        if asked.overwrite and asked.skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        show = observer(self.world.environ, quiet=asked.quiet, verbose=asked.verbose)
        if asked.like is None:
            prompt, likeness = read_prompt(asked), None
            profile = self.world.profile(asked.profile, sandbox=asked.sandbox)
        else:
            from seedream_cli.cli.again import liken

            likeness = liken(self.world, asked, show)
            prompt, profile = likeness.prompt, likeness.profile
            # From here on it is as if all of it had been typed, so that every check applies.
            self.asked = asked = likeness.asked
        gathered = self._load_references(profile)
        for note in likeness.notes(gathered) if likeness else ():
            show.say(note)
        provider, plan, resolved, requests = self._resolve(profile, prompt, gathered)
        self._check_images(gathered, resolved, show)
        check_settings(asked, profile, resolved, provider)
        for note in resolved.notes:
            show.say(note)
        # Behind every check of the request, before all that pays, asks or needs a key.
        if asked.dry_run:
            return _rehearse(profile, provider, resolved, requests, stdout, asked)
        bought = self._purchases(profile, provider, plan, resolved, requests)
        bought, skipped = self._clear_targets(plan, resolved, bought)
        for _, path in skipped:
            show.say(f"{path} exists, nothing bought")
        show_skipped(stdout, skipped, plan, asked)
        if not bought:
            return 0
        # Only where something is bought after all: what exists raises no question.
        self._confirm_model(profile, provider, resolved)
        return self._buy(profile, provider, resolved, bought, gathered, show, stdout)

    def _confirm_model(self, profile: Profile, provider: Provider, resolved: Resolved) -> None:
        """Ask before an id is bought that is not known, and near to one that is."""
        if resolved.capabilities is not None or profile.sandbox:
            return
        from seedream_cli.request.model_choice import near_miss

        model, now = resolved.request.model, self.world.today(sandbox=False)
        has_references = bool(resolved.request.references)
        _, way = near_miss(provider, model, now, has_references=has_references)
        confirm_model(self.asked, model, way)

    def _load_references(self, profile: Profile) -> list[LoadedReference]:
        """Find and read the reference images."""
        if not self.asked.image:
            return []
        from seedream_cli.engine.references import ReferenceLoader

        if self.asked.prompt == "-" and "-" in self.asked.image:
            raise UsageError("the prompt and an image both want stdin", hint="--prompt-file FILE")
        world = self.world
        loader = ReferenceLoader(lambda: world.ledger, profile, read_stdin, world.clock.now())
        return [_lasting(each) for each in loader.load(self.asked.image)]

    def _check_images(
        self, gathered: list[LoadedReference], resolved: Resolved, show: Plain
    ) -> None:
        if not gathered or self.asked.no_validate:
            return
        from seedream_cli.engine.references import check_references

        mistakes, notes = check_references(gathered, resolved.capabilities)
        if mistakes:
            raise UsageError("; ".join(mistakes), hint="nothing was sent")
        for note in notes:
            show.say(note)

    def _resolve(
        self, profile: Profile, prompt: str, gathered: list[LoadedReference]
    ) -> tuple[Provider, Destination, Resolved, tuple[Request, ...]]:
        from seedream_cli.providers import PROVIDERS
        from seedream_cli.request.check import resolve_named, split

        asked, provider = self.asked, self.world.provider(profile)
        is_wait = asked.wait
        if is_wait is False and provider.dialect.poll is None:
            raise UsageError(
                f"--no-wait: {provider.name} answers only when finished",
                hint="leave it out, or use a provider that is polled (kie, replicate)",
            )
        # Its name may ask for a format, which decides on the model, which decides how many come.
        draft = self._plan(profile, many=False, many_per_job=False)
        wishes = options(asked, profile, prompt, _encode_references(gathered, provider))
        is_any = asked.default("any_format", profile)
        resolved = resolve_named(
            provider,
            wishes,
            None if is_any or draft is None else _format_of(draft),
            draft.template.rpartition(".")[0] if draft else "",
            now=self.world.today(sandbox=profile.sandbox),
            providers=PROVIDERS.values(),
        )
        requests = split(resolved)
        most = resolved.most_images
        if draft is None:
            self.is_stdout = True
            if is_wait is False:
                raise UsageError("-o - and --no-wait exclude each other")
            if most * len(requests) != 1:
                raise UsageError("-o - takes one picture; more may come", hint="use -o FOLDER/")
            # A picture for stdout is a file first: a reader that goes away must not cost it.
            plan = naming.plan(None, base=self.world.files().held_folder)
        else:
            is_many = most * len(requests) > 1
            plan = self._plan(profile, many=is_many, many_per_job=most > 1) or draft
        return provider, plan, resolved, requests

    def _plan(self, profile: Profile, *, many: bool, many_per_job: bool) -> Destination | None:
        """Settle where the pictures go; None: to stdout."""
        from seedream_cli.storage.config.places import expand_home

        output = self.asked.output if self.asked.output is not None else profile.output
        path = expand_home(output or "", self.world.environ)
        if not is_stdout(path) and is_device(path):
            self.device = path
            return None
        if is_stdout(path):
            if self.asked.json:
                raise UsageError("-o - and --json both want stdout", hint="use -o FILE")
            if sys.stdout.isatty():
                raise UsageError(
                    "-o - does not write a picture's bytes to a terminal", hint="| file -, > FILE"
                )
            return None
        return plan_of(self.world.environ, output, many=many, many_per_job=many_per_job)

    def _purchases(
        self,
        profile: Profile,
        provider: Provider,
        plan: Destination,
        resolved: Resolved,
        requests: Sequence[Request],
    ) -> list[Purchase]:
        import secrets

        from seedream_cli.request.purchase import new_id, purchases

        asked = self.asked
        output = {
            **plan.to_json(),
            "overwrite": asked.overwrite,
            "sidecar": bool(asked.default("sidecar", profile)),
            "stdout": self.is_stdout,
        }
        return purchases(
            requests,
            profile=profile,
            provider=provider,
            capabilities=resolved.capabilities,
            output=output,
            run=new_id(secrets.choice),
            owner="",
            now=self.world.clock.now(),
            job_id=lambda: new_id(secrets.choice),
        )

    def _clear_targets(
        self, plan: Destination, resolved: Resolved, bought: list[Purchase]
    ) -> tuple[list[Purchase], list[tuple[int, str]]]:
        """Check every name that can be known; drop jobs whose files exist, if asked to."""
        from seedream_cli.engine.save import folder_of, predict_paths, sidecar_for

        files = self.world.files()
        kept: list[Purchase] = []
        skipped: list[tuple[int, str]] = []
        self.is_named = not self.is_stdout
        for each in bought:
            purchase, replaced = each, frozenset[str]()
            paths = predict_paths(plan, purchase.job, resolved.capabilities, resolved.request)
            found = find_existing(self.world, plan, purchase.job, resolved)
            self.is_named &= found.is_named
            if self.asked.skip_existing:
                if not self.is_named:
                    raise UsageError(
                        "--skip-existing needs a name that is known beforehand",
                        hint="give one without {job}, {time} and the picture's own size:"
                        " -o FILE, -o 'art/{slug}-{n}.{ext}'",
                    )
                # All of a request or none: half of a set cannot be bought.
                if len(found.paths) == purchase.job.expected:
                    first = purchase.job.first_n
                    skipped += [(first + k, path) for k, path in enumerate(found.paths)]
                    continue
                replaced = frozenset(found.placeholders)
                output = {**purchase.job.output, "replaces": sorted(replaced)}
                purchase = replace(purchase, job=replace(purchase.job, output=output))
            if purchase.job.output.get("sidecar"):
                paths = [*paths, *map(sidecar_for, paths)]
            for path in map(plan.absolute, paths):
                if not is_one_of(path, replaced):
                    # Before it is paid for: a name that is taken would put the picture beside it.
                    files.check_target(path, overwrite=self.asked.overwrite)
            kept.append(purchase)
        for folder in {folder_of(plan, purchase.job) for purchase in kept}:
            files.check_folder(folder)
        return kept, skipped

    def _buy(
        self,
        profile: Profile,
        provider: Provider,
        resolved: Resolved,
        bought: list[Purchase],
        gathered: list[LoadedReference],
        show: Plain,
        stdout: Stdout,
    ) -> int:
        from seedream_cli.cli import run as work
        from seedream_cli.cli.landings import Landings
        from seedream_cli.transport.proxies import check_proxies

        world, asked = self.world, self.asked
        profile = world.keyed(profile)
        check_proxies(world.environ, profile.base_url)
        timeout = asked.default("timeout", profile)
        timeout = span_seconds(timeout) if isinstance(timeout, str) else timeout
        seconds = float(timeout) if isinstance(timeout, int | float) else DEFAULT_TIMEOUT
        is_wait = asked.default("wait", profile) is not False
        engine = world.engine(
            world.timing(seconds),
            show,
            profile=asked.profile,
            with_bodies=asked.verbose > 1,
            is_waiting=is_wait,
        )
        # First: what a dead process was sending is unknown, and holds an equal purchase back.
        world.conclude_leftovers(engine)
        # What may still be had for nothing goes before every purchase.
        earlier = self._earlier(engine, bought, resolved)
        for job in earlier.values():
            show.say(f"job {job.id} bought the same; that is fetched, nothing is bought for it")
        anew = [purchase for purchase in bought if purchase.job.id not in earlier]
        self._announce(profile, engine, [purchase.job for purchase in anew], show)
        # After the bounds and the question: no picture leaves this machine before a yes.
        engine.calls.update(_calls(anew, gathered, provider, profile, engine))
        ours = [replace(purchase.job, owner=world.owner.name) for purchase in anew]
        planned = self._plan_or_join(engine, ours, resolved, show) if ours else []
        found = earlier | {mine.id: job for mine, job in zip(ours, planned, strict=True)}
        jobs = [found[purchase.job.id] for purchase in bought]
        known = frozenset(job.id for job in jobs)
        work.tell_of_waiting(world, engine, show, is_sandbox=profile.sandbox, but=known)
        is_poured = self.device or self.is_stdout
        landings = Landings(stdout, show, is_json=asked.json, is_wait=is_wait)
        report = work.run(world, engine, jobs, show, *([] if is_poured else [landings.look]))
        ended = tuple(self._with_way_on(job, provider) for job in report.jobs)
        runs, again = frozenset({bought[0].job.run}), self._again(report.jobs)
        report = replace(report, jobs=ended, runs=runs, again=again)
        if self.device or self.is_stdout:
            self._show_pictures((), show)
        if self.device:
            return self._pour(report, stdout, engine, show)
        if self.is_stdout:
            return work.pour(report, stdout, engine.ledger, show)
        code = work.show(report, landings.close(report), show)
        self._show_pictures(report.jobs, show)
        return code

    def _show_pictures(self, jobs: Sequence[Job], show: Plain) -> None:
        """Draw and open what was saved, where that was asked for; it changes no exit code."""
        images = (image for job in jobs for image in job.images if image.saved_at)
        paths = [image.path for image in images if image.path]
        if not paths and (self.asked.preview or self.asked.open):
            show.say("no file was saved that --open or --preview could show")
        if self.asked.preview and paths:
            from seedream_cli.cli.output.preview import draw

            draw(paths, self.world.environ, show.say)
        if self.asked.open and paths:
            from seedream_cli.cli.output.viewer import open_files

            open_files(paths, show.say)

    def _announce(
        self, profile: Profile, engine: Context, jobs: Sequence[Job], show: Plain
    ) -> None:
        """Say what is made and what it costs; raise `UsageError` for what a bound does not allow.

        Or for what the person at the terminal does not.
        """
        check_bounds(self.asked, jobs)
        prices = {job.model or job.provider: job.price for job in jobs}
        check_budget(profile, list(prices.items()), engine.ledger)
        count = sum(job.expected for job in jobs)
        if count > 1:
            cost = estimate([job.price for job in jobs])
            show.say(", ".join(filter(None, [f"{count} to make", cost])))
        if not profile.sandbox:
            confirm(count, self.asked)

    def _pour(self, report: work.Report, stdout: Stdout, engine: Context, show: Plain) -> int:
        """Write the picture to the device that was named, and say so."""
        from seedream_cli.cli import run as work

        device = Device(self.device, seconds=_READER_SECONDS)
        code = work.pour(report, device, engine.ledger, show)
        for job in report.jobs:
            images = tuple(replace(each, path=self.device) for each in job.images[:1])
            if self.asked.json:
                stdout.json(render.job_json(replace(job, images=images), report.problem(job)))
            elif code == 0:
                stdout.line(self.device)
        return code

    def _again(self, jobs: Sequence[Job]) -> str:
        """Return the command that asks for the pictures that were not bought, and no others."""
        # What came by stdin cannot be typed again.
        if "-" in (self.asked.prompt, self.asked.prompt_file, *(self.asked.image or ())):
            return ""
        if self.is_named:
            return command_line(self.asked, skip_existing=True, overwrite=False)
        # They are pictures beside those of unknown outcome, which hold back no others of the run.
        unknown = [job.id for job in jobs if job.state is State.UNKNOWN][-1:]
        despite = [*(self.asked.despite or []), *unknown] or None
        # What may have been charged is not asked for a second time.
        count = sum(job.charge is Charge.NONE for job in jobs)
        return command_line(self.asked, count=count, despite=despite)

    def _with_way_on(self, job: Job, provider: Provider) -> Job:
        """Make of the successor that a refusal names the command that asks for it."""
        for model in provider.successors(job.model, self.world.clock.now()):
            if job.problem is not None and job.problem.hint.endswith(f"-m {model}"):
                line = command_line(self.asked, model=model)
                return replace(job, problem=replace(job.problem, hint=line))
        return job

    def _plan_or_join(
        self, engine: Context, jobs: list[Job], resolved: Resolved, show: Plain
    ) -> list[Job]:
        """Write the jobs down, but for those that another process is making already."""
        from seedream_cli.cli import run as work
        from seedream_cli.engine.save import predict_extension

        ext = predict_extension(resolved.capabilities, resolved.request)
        # Its name is like no other's, so it joins nothing: a person may not have meant two.
        if not naming.targets(jobs[0]) and sys.stderr.isatty():
            alike = engine.ledger.open_with(jobs[0].purchase_digest)
            for job_id in [job.id for job in alike if not engine.is_dead(job.owner)][:1]:
                show.say(f"job {job_id} is buying the same right now; this is one picture more")
        despite = work.ids_of(self.world, self.asked.despite)
        try:
            planned = self._plan_after_look(engine, jobs, despite, ext)
        except HeldBack as error:
            error.hint += "\n" + command_line(
                self.asked, despite=[*(self.asked.despite or []), error.job_id]
            )
            raise
        for job, ours in zip(planned, jobs, strict=True):
            if job.id != ours.id:
                show.say(f"the same picture is under way as job {job.id}; nothing is bought for it")
        return planned

    def _plan_after_look(
        self, engine: Context, jobs: list[Job], despite: frozenset[str], ext: str | None
    ) -> list[Job]:
        """Write jobs down; what stands in their way is looked for in its provider's list first.

        What that proves never to have been accepted lets a later command buy, not this one.
        """
        from seedream_cli.engine import join

        try:
            return join.plan(engine, jobs, despite=despite, ext=ext)
        except HeldBack as held:
            from seedream_cli.engine.reconcile import look

            unknown = engine.ledger.unknown_with(jobs[0].purchase_digest, sandbox=jobs[0].sandbox)
            findings = look(engine, [job for job in unknown if job.id not in despite])
            words = {finding.look.verdict for finding in findings.values()}
            if "absent" in words:
                raise OutcomeUnknown(
                    f"job {held.job_id} was never accepted, as its provider's list shows now:"
                    " nothing was charged for it, and nothing was sent now; the same again buys",
                    hint=command_line(self.asked),
                ) from held
            # All that stood in the way has its task now, or the first refusal holds.
            if words != {"found"}:
                raise
        return join.plan(engine, jobs, despite=despite, ext=ext)

    def _earlier(
        self, engine: Context, bought: list[Purchase], resolved: Resolved
    ) -> dict[str, Job]:
        """Return the jobs of dead processes that still offer what is asked for now, to its place.

        By the ids of the jobs that would be bought. Raises `OutcomeUnknown` where one had failed
        and its provider does not say whether it brings its picture after all.
        """
        from seedream_cli.engine.recall import recall, still_offers
        from seedream_cli.engine.save import predict_extension

        ledger, owner = engine.ledger, self.world.owner
        ext = predict_extension(resolved.capabilities, resolved.request)
        found: dict[str, Job] = {}
        for purchase in bought:
            ours, wanted = purchase.job, naming.targets(purchase.job, ext)
            same = ledger.find_bought_with(
                ours.purchase_digest, sandbox=ours.sandbox, first_n=ours.first_n
            )
            mine = [old for old in same if wanted and naming.targets(old, ext) == wanted]
            # A batch's pictures are its lock's; what goes to stdout has no place to be found in.
            mine = [old for old in mine if not (old.output.get("batch") or self.is_stdout)]
            if doubtful := recall(engine, mine):
                _refuse_doubtful(max(doubtful))
            for old in (ledger.job(old.id) for old in mine if owner.is_dead(old.owner)):
                again = still_offers(engine, old, is_anew=self.asked.skip_existing)
                if again is None or old.state in OPEN_STATES or ours.id in found:
                    continue  # what is open is joined
                with suppress(Overtaken):  # then the ledger says what to do instead of buying
                    found[ours.id] = ledger.take_on(old, replace(ours, owner=owner.name), again)
        return found


def _refuse_doubtful(job_id: str) -> Never:
    raise OutcomeUnknown(
        f"job {job_id} had failed, may have been charged, and its provider does not say now whether"
        " it brings its picture after all; nothing was sent now: run the same again later, or give"
        " it up",
        hint=f"seedream status {job_id} --write-off -y",
    )


def _lasting(reference: LoadedReference) -> LoadedReference:
    """Return a reference by a name that means the same from every folder."""
    source = reference.source
    if reference.local is None or source == "-" or source.startswith(("job:", "data:")):
        return reference
    # The ledger keeps it, and `--like` reads it from another folder.
    return replace(reference, source=str(Path(source).expanduser().absolute()))


def _encode_references(
    gathered: list[LoadedReference], provider: Provider
) -> tuple[Reference, ...]:
    if not gathered:
        return ()
    from seedream_cli.engine.references import encode_references

    return encode_references(gathered, provider)


def _calls(
    bought: list[Purchase],
    gathered: list[LoadedReference],
    provider: Provider,
    profile: Profile,
    engine: Context,
) -> dict[str, Call]:
    """Return what will be sent for each job, local references uploaded where they must be."""
    is_uploaded = any(each.local for each in gathered) and "upload" in provider.reference_kinds
    if not bought or not is_uploaded:
        return {purchase.job.id: purchase.call for purchase in bought}
    from seedream_cli.engine.references import upload_references

    references = upload_references(
        bought[0].request.references,
        gathered,
        provider=provider,
        profile=profile,
        transport=engine.transport,
        ledger=engine.ledger,
        now=engine.clock.now(),
    )
    return {
        purchase.job.id: provider.dialect.submit(replace(purchase.request, references=references))
        for purchase in bought
    }


def _format_of(plan: Destination) -> str | None:
    extension = plan.given_extension
    return format_of_extension(extension) if extension else None


def _shortened(value: object) -> object:
    """Return a body for people: inline images by their size, not their bytes."""
    match value:
        case str() if value.startswith("data:") and "," in value:
            head, _, data = value.partition(",")
            return f"{head},… ({len(data) * 3 // 4} bytes)"
        case dict():
            return {key: _shortened(each) for key, each in value.items()}
        case list():
            return [_shortened(each) for each in value]
        case _:
            return value


def _file_words(image: LocalImage) -> str:
    return f"{image.name} ({len(image.data)} bytes)"


def _rehearse(
    profile: Profile,
    provider: Provider,
    resolved: Resolved,
    requests: Sequence[Request],
    stdout: Stdout,
    asked: GenerateArguments,
) -> int:
    """Print what would be sent and what it would cost."""
    from seedream_cli.core import money as price

    for request in requests:
        call = provider.dialect.submit(request)
        money = resolved.price
        url, body = profile.base_url + call.path, _shortened(call.body)
        if call.files and isinstance(body, dict):  # a form
            names = dict.fromkeys(name for name, _ in call.files)
            body |= {name: [_file_words(f) for n, f in call.files if n == name] for name in names}
        if asked.json:
            stdout.json(
                {
                    "schema": 1,
                    "dry_run": True,
                    "provider": provider.name,
                    "profile": profile.name,
                    "method": call.method,
                    "url": url,
                    "body": body,
                    "price": {**price.as_json(money), "estimated": True} if money else None,
                }
            )
            continue
        import json

        from seedream_cli.core.text import escape_unseen

        stdout.line(f"{call.method} {url}")
        stdout.line(escape_unseen(json.dumps(body, ensure_ascii=False, indent=2)))
        many = f" for up to {resolved.most_images} pictures" if resolved.most_images > 1 else ""
        stdout.line(f"about {price.show(money)}{many}" if money else f"price not known{many}")
    return 0
