"""`generate --batch`: the manifest read, held against its lock, and planned, checked or made."""

from __future__ import annotations

import os
import posixpath
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.batch.lock.entries import name_of, whole_of
from seedream_cli.batch.lock.file import LockFile, Turn
from seedream_cli.batch.manifest import read as manifests
from seedream_cli.batch.manifest.schema import Mistakes
from seedream_cli.batch.plan import Planner
from seedream_cli.batch.resolve import BatchContext
from seedream_cli.cli.arguments import (
    GenerateArguments,
    current_folder,
    settings,
    tell_of_typing,
)
from seedream_cli.cli.commands.batch_accounts import Accounts
from seedream_cli.cli.output import plan as plans
from seedream_cli.cli.output.ci import Actions
from seedream_cli.cli.output.job import hint_lines
from seedream_cli.cli.output.progress import observer
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import (
    ConfigError,
    SeedreamError,
    StorageError,
    UsageError,
    gravest,
)
from seedream_cli.core.paths import explain_unreadable, is_folder, is_link
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass, replace
from seedream_cli.request.options import OF_MANIFESTS
from seedream_cli.storage.files.digest import digest_of, look

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from seedream_cli.batch.action import Plan
    from seedream_cli.batch.manifest.read import Manifest, Row
    from seedream_cli.cli.commands.batch_run import BatchRun
    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.progress import Plain

MAX_MANIFEST = 64 << 20
"""Bytes."""
MOST_ROWS = 100_000
_PIPE = pattern(r"/dev/stdin|(?:/dev|/proc/self)/fd/[0-9]+")
"""What a shell's `<(…)` is called: it has no folder, so no lock."""


@dataclass(slots=True)
class BatchCommand:
    """One `generate --batch` on its way: read, planned, then shown or run."""

    world: CommandContext
    asked: GenerateArguments
    shard: tuple[int, int] | None = None
    sandbox: bool = False
    division: str = ""
    """How many rows a shard has, for people."""

    def run(self) -> int:
        """Do what was asked with the manifest; a refusal is marked where CI shows it."""
        actions = Actions(self.world.environ)
        try:
            return self._run(actions)
        except SeedreamError as error:
            actions.refuse(self.asked.batch or "", error.message)
            raise

    def _run(self, actions: Actions) -> int:
        from seedream_cli.cli.commands.batch_run import BatchRun
        from seedream_cli.storage.config.places import expand_home
        from seedream_cli.storage.config.profiles import sandbox_variable

        asked = self.asked
        if asked.gallery is not None:
            from seedream_cli.cli.output.gallery import check_page

            check_page(expand_home(asked.gallery, self.world.environ))
        self.shard = _shard(asked.shard)
        self.sandbox = asked.sandbox or bool(sandbox_variable(self.world.environ))
        accounts = Accounts(world=self.world, asked=asked, sandbox=self.sandbox)
        show = observer(self.world.environ, quiet=asked.quiet, verbose=asked.verbose, by_row=True)
        mistakes = Mistakes("stdin" if asked.batch == "-" else asked.batch or "")
        manifest, base, path = self._read(accounts, mistakes)
        self._check_options(is_stdin=path is None)
        lock = LockFile(path, self.shard) if path is not None else None
        # Looking writes nothing, so it may run beside a run.
        if lock is not None and not (asked.plan or asked.check):
            self._claim(lock)

        # Made twice at most: for the run, and for the page of what was accepted.
        def planner() -> Planner:
            return Planner(
                manifest,
                lock.read() if lock else [],
                self._context(accounts, base, path or ""),
                rows=self._rows(manifest),
                mistakes=mistakes,
            )

        run = BatchRun(
            world=self.world,
            accounts=accounts,
            asked=asked,
            shard=self.shard,
            sandbox=self.sandbox,
            batch=f"stdin:{base}" if path is None else os.path.realpath(name_of(path)),
            manifest=manifest,
            lock=lock,
            planner=planner(),
            show=show,
            actions=actions,
        )
        plan = run.plan()
        if self.division:
            show.say(self.division)
        self._say_notes(plan, manifest, run.planner.context.typed, show)
        if asked.check or asked.plan:
            code = plans.show(plan, Stdout(), show, asked, actions)
            self._write_gallery(run, plan)
            return code
        return self._make(run, plan, planner)

    def _make(self, run: BatchRun, plan: Plan, planner: Callable[[], Planner]) -> int:
        """Run the plan, or accept what lies there, and write the page however that ended."""
        names, failed = self.asked.accept, []
        try:
            code = run.accept(plan, names) if names else run.make(plan)
        finally:
            # What was made is paid for and told of: a page that fails hides nothing of that.
            try:
                self._write_gallery(run, planner().plan() if names else plan)
            except SeedreamError as error:
                run.show.say(f"--gallery: {error.message}", is_error=True)
                failed.append(StorageError(error.message).exit)
        return gravest([code, *failed])

    def _write_gallery(self, run: BatchRun, plan: Plan) -> None:
        """Write the page that was asked for: what is there, what would be made, what was."""
        if self.asked.gallery is None:
            return
        from seedream_cli.cli.output.cards import cards_of_plan
        from seedream_cli.cli.output.gallery import write_page
        from seedream_cli.storage.config.places import expand_home

        name = self.asked.batch or ""
        file = expand_home(self.asked.gallery, self.world.environ)
        note = run.said or plans.announcement(plan)
        # A page is passed on: it names no folder of this machine.
        asked = replace(self.asked, batch=posixpath.basename(name))
        keep = partial(plans.accept_lines, asked)
        base, ends, lock = run.planner.context.base, run.ends, run.entries
        write_page(
            file,
            cards_of_plan(plan, base, ends, lock, run.why_left, keep),
            title="the manifest on stdin" if name == "-" else posixpath.basename(name),
            note=note,
            is_portable=True,
        )
        run.show.say(f"the page of its pictures: {self.asked.gallery}")
        if self.asked.open:
            from seedream_cli.cli.output.viewer import open_files

            open_files([os.path.realpath(file)], run.show.say)

    def _claim(self, lock: LockFile) -> None:
        """Be the one run of this batch on this machine."""
        # This machine's runs first, by a file in the state folder; then the parts beside the lock.
        self.world.exits.enter_context(Turn(self.world.places.state_dir / "batches", lock.path))
        lock.claim()
        self.world.exits.callback(lock.withdraw)

    def _check_options(self, *, is_stdin: bool) -> None:
        """Object to options that say nothing here."""
        from seedream_cli.cli.commands.bounds import parsed

        asked = self.asked
        if is_stdin and (asked.accept or asked.check or self.shard):
            raise UsageError("a manifest on stdin has no lock", hint="write it to a FILE")
        if asked.max_cost is not None:
            parsed(asked.max_cost)
        if asked.no_files and not (asked.check or asked.plan):
            raise UsageError("--no-files makes nothing", hint="it goes with --check or --plan")

    # -- the manifest --------------------------------------------------------------------------

    def _read(self, accounts: Accounts, mistakes: Mistakes) -> tuple[Manifest, str, str | None]:
        """Return the manifest, its folder, and its path (None: it came on stdin)."""
        from seedream_cli.storage.config.places import expand_home

        name = self.asked.batch or ""
        is_pipe = _PIPE.fullmatch(name) is not None
        here = current_folder()
        place = posixpath.normpath(posixpath.join(here, expand_home(name, self.world.environ)))
        named = name
        if not is_pipe and is_link(place):
            # Its lock, prompts and pictures lie beside the manifest, not beside a way to it.
            named = place = os.path.realpath(place)
        kind = manifests.Syntax.TEXT if is_pipe else manifests.kind_of(named)
        path: str | None = None
        if name == "-":
            tell_of_typing("the manifest", is_quiet=self.asked.quiet)
            data, base = sys.stdin.buffer.read(MAX_MANIFEST + 1), here
        elif is_pipe:
            data, base = _bytes(name, name), here
        else:
            path = place
            data, base = _bytes(path, name), posixpath.dirname(path)
        if len(data) > MAX_MANIFEST:
            raise UsageError(f"{name} is larger than {MAX_MANIFEST >> 20} MiB: no manifest is")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UsageError(f"{name} is no UTF-8 text") from error

        prompts: set[str] = set()

        def load(file: str) -> str:
            prompts.add(posixpath.normpath(posixpath.join(base, file)))
            return _bytes(posixpath.join(base, file), file).decode("utf-8-sig", "strict").strip()

        # A pipe has no name that would say it.
        kind = manifests.kind_within(text) if is_pipe else kind
        manifest = manifests.read(text, file=mistakes.file, kind=kind, load=load, mistakes=mistakes)
        if len(manifest.rows) > MOST_ROWS:
            raise UsageError(f"{name} has {len(manifest.rows)} rows; at most {MOST_ROWS} at once")
        if path is not None:
            _check_alone(path, prompts)
        # `--check` asks no config: it says the same for somebody without accounts.
        if not self.asked.check:
            _check_profiles(manifest, accounts, mistakes)
        return manifest, base, path

    def _rows(self, manifest: Manifest) -> Sequence[Row]:
        """Return the rows of our shard."""
        if self.shard is None:
            return manifest.rows
        k, count = self.shard
        part = manifests.shards(manifest, count)
        rows = [row for row in manifest.rows if part[row.name] == k]
        self.division = f"shard {k}/{count}: {len(rows)} of {len(manifest.rows)} rows"
        return rows

    def _context(self, accounts: Accounts, base: str, path: str) -> BatchContext:
        from seedream_cli.providers import PROVIDERS

        return BatchContext(
            base=base,
            typed=self._read_options(base),
            sandbox=self.sandbox,
            is_lock_only=self.asked.no_files,
            providers=PROVIDERS,
            provider_of=accounts.provider_of,
            maker_of=accounts.maker_of,
            look=look,
            digest_of=digest_of,
            now=self.world.today(sandbox=self.sandbox),
            path=path,
        )

    def _read_options(self, base: str) -> Mapping[str, object]:
        """Return the picture options of the command line."""
        asked = self.asked
        names = OF_MANIFESTS.keys() - {"references"} | {"model"}
        typed = {name: getattr(asked, name) for name in names}
        typed["set"] = settings(asked.set) if asked.set else None
        typed["output"] = self._output(base)
        return {name: value for name, value in typed.items() if value is not None}

    def _output(self, base: str) -> str | None:
        """Return `-o`, told from the manifest's folder as everything in the lock is."""
        from seedream_cli.storage.config.places import expand_home

        if self.asked.output is None:
            return None
        output, here = expand_home(self.asked.output, self.world.environ), current_folder()
        if moving := re.findall(r"\{(?:job|date|time)\}", output):
            raise UsageError(
                f"-o {output}: {moving[0]} is not allowed in a batch",
                hint="the name must be the same on every run: -o 'art/{name}.{ext}'",
            )
        if is_folder(posixpath.join(here, output)) and not output.endswith("/"):
            output += "/"
        if "{name}" not in output and not output.endswith("/"):
            raise UsageError(
                f"-o {output} would be the name of every picture",
                hint="-o art/, or -o 'art/{name}.{ext}'",
            )
        if here == base or output.startswith("/"):
            return output
        # Typed paths are told from where one types; the lock's from the manifest.
        way = posixpath.relpath(here, base).replace("{", "{{").replace("}", "}}")
        return f"{way}/{output}"

    def _say_notes(
        self,
        plan: Plan,
        manifest: Manifest,
        typed: Mapping[str, object],
        show: Plain,
    ) -> None:
        for note, count in plan.notes.items():
            show.say(f"{note} ({count} rows)" if count > 1 else note)
        for name in typed:
            said = sum(name in row.options or getattr(row, name, None) is not None
                       for row in manifest.rows)  # fmt: skip
            if said:
                flag = f"--{name.replace('_', '-')}"
                rows = "1 row" if said == 1 else f"{said} rows"
                show.say(f"{flag} leaves {rows} alone: what the manifest says goes first")


def _check_profiles(manifest: Manifest, accounts: Accounts, mistakes: Mistakes) -> None:
    """Object once to each profile that cannot pay, at the line that names it."""
    for name, line in manifest.profiles.items():
        try:
            accounts.profile(name)
        except (ConfigError, UsageError) as error:
            said = error.message.removeprefix("option -p: ")
            mistakes.at(line, f"profile: {said}{hint_lines(error.hint)}")
            # Its rows are not planned: their further mistakes would only follow from this one.
            mistakes.unsound.update(row.name for row in manifest.rows if row.profile == name)


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    k, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= k <= count:
        raise UsageError(f"--shard {text}: K/N with K from 1 to N", hint="--shard 1/3")
    return k, count


def _check_alone(path: str, prompts: Collection[str]) -> None:
    """Object to another manifest that would have the same lock; prompt files are none."""
    folder, _, own = path.rpartition("/")
    try:
        names = sorted(each.name for each in Path(folder or "/").iterdir())
    except OSError:
        return
    for name in names:
        is_manifest = posixpath.splitext(name)[1].lower() in manifests.EXTENSIONS
        is_other = name != own and f"{folder}/{name}" not in prompts
        if not is_manifest or not is_other:
            continue
        if name_of(name) == name_of(own):
            raise UsageError(
                f"{own} and {name} lie side by side, and both would have the lock {name_of(own)}",
                hint="give one of them another name",
            )
        # `a.1-of-2.toml` beside `a.toml`: the lock of one has the name of a part of the other's.
        for one, whole in ((own, name), (name, own)):
            if whole_of(name_of(one)) == name_of(whole):
                raise UsageError(
                    f"{own} and {name} lie side by side, and {name_of(one)}, the lock of {one},"
                    f" would be a shard's part of the lock of {whole}",
                    hint=f"give {one} another name, and its lock with it",
                )


def _bytes(path: str, name: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_MANIFEST + 1)
    except IsADirectoryError as error:
        raise UsageError(f"{name} is a folder; --batch takes a file") from error
    except (OSError, ValueError) as error:
        raise explain_unreadable(name, error) from error
