"""What is to be done about each picture of a manifest: its lock, the files, the ledger. Pure.

What lies on disk is asked for through `look` and `digest_of`, the ledger through `History`: nothing
here reads a file or changes anything. `--check` is the plan without a history.
"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from seedream_cli.batch.action import Act, Action, Plan
from seedream_cli.batch.lock import entries as lock
from seedream_cli.batch.manifest.schema import Mistakes
from seedream_cli.batch.place import Placement, same_file
from seedream_cli.batch.resolve import (
    PLACEHOLDER,
    Resolver,
    count_of,
    is_model_chosen,
    sort_by_source,
)
from seedream_cli.core.errors import AccountError, UsageError
from seedream_cli.core.model import Problem, State
from seedream_cli.core.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from seedream_cli.batch.action import Key, Past
    from seedream_cli.batch.history import History
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Manifest, Row
    from seedream_cli.batch.resolve import BatchContext, Target
    from seedream_cli.core.model import Image, Job
    from seedream_cli.storage.files.digest import FileDigest

_BY_THE_LOCK = frozenset({Act.KEEP, Act.MOVE, Act.LEAVE})
_REASONS = {
    Act.FETCH: "it is paid for",
    Act.WAIT: "another run is sending it",
    Act.UNKNOWN: "a job of it was sent, and nobody knows what became of it: seedream status",
}


class Planner:
    """Holds the rows of a manifest against its lock, the files and the ledger."""

    def __init__(
        self,
        manifest: Manifest,
        entries: Sequence[Entry],
        context: BatchContext,
        *,
        rows: Sequence[Row] | None = None,
        history: Callable[[], History | None] = lambda: None,
        mistakes: Mistakes | None = None,
    ) -> None:
        """Sort the lock's entries by row; `entries` may hold twins, as merges leave them.

        `rows` are those of one shard; rows that are tied by references are all in it. `mistakes`
        are those of the manifest's form, told together with what models cannot do.
        """
        self.manifest = manifest
        self.context = context
        self.open_history = history
        """Returns what the ledger knows, when it is first asked; None: there is nothing."""
        self._mistakes = Mistakes(manifest.file) if mistakes is None else mistakes
        self._known = {entry.sha256: entry.name for entry in entries}
        """Whose picture the lock calls a digest."""
        self._own = same_file(context.path)
        self._rows = manifest.rows if rows is None else rows
        names = {row.name for row in manifest.rows}
        self._resolver = Resolver(context, entries, names, self._is_there)
        self._placing = Placement(context=context, former_names=self._resolver.former_names)
        self._actions: dict[str, list[Action]] = {}
        """By row."""
        self._notes: dict[str, tuple[str, ...]] = {}
        self._kept: dict[Key, Entry] = {}
        self._sets: dict[str, list[str]] = {}
        """Where the pictures of sets that are to be made will lie."""
        self._blocked: dict[str, list[Row]] = defaultdict(list)
        """Rows by the path where something is in their way."""
        self._freed: set[str] = set()
        """Paths whose files are moved away before anything is made."""
        self._takers: dict[str, str] = {}
        """Who takes a job of a row that the manifest has no more, by its id."""
        self._in_place: dict[str, tuple[Job, Image]] = {}

    @cached_property
    def history(self) -> History | None:
        """The ledger as this manifest sees it, opened when the lock and the files do not tell."""
        return self.open_history()

    @property
    def failed(self) -> list[Job]:
        """Jobs of these pictures that failed, and may bring them after all."""
        history = self.__dict__.get("history")
        return list(history.failed.values()) if history is not None else []

    def doubt(self, job_ids: Collection[str]) -> None:
        """Take failed jobs for unknown, since nobody could be asked about them."""
        if self.history is not None:
            self.history.doubtful |= frozenset(job_ids)

    def plan(self) -> Plan:
        """Return what is to be done, in the manifest's order; raise `UsageError` with all mistakes.

        May be asked again, when the ledger has learned more.
        """
        self._in_place.clear()
        self._kept.clear()
        self._takers.clear()
        self._resolver.origins.clear()
        for row in sort_by_source(self._rows):
            self._plan_row(row)
        self._let_through()
        actions = [action for row in self._rows for action in self._actions[row.name]]
        if self.context.sandbox:
            self._keep_real()
        self._check_places(actions)
        self._check_references(actions)
        self._mistakes.raise_all()
        return Plan(
            actions=actions,
            kept=dict(self._kept),
            leaving=self._leaving(),
            notes=Counter(note for notes in self._notes.values() for note in notes),
            in_place=list(self._in_place.values()),
        )

    def replan(self, action: Action, origins: Mapping[Key, str]) -> Action:
        """Return an action as it is now, with what buys it; raise `UsageError`, `AccountError`.

        `origins` are the digests of pictures that were made meanwhile. What another process did
        meanwhile is seen, too.
        """
        target = action.target
        if target is None or target.description_digest is None:
            target = self.target(action.row, origins, action.n)
            if target.description_digest is None:
                raise UsageError(f"{action.name} is made from a picture that is not made")
        return self._ask(replace(action, act=Act.MAKE, target=target), is_paying=True)

    def target(
        self, row: Row, origins: Mapping[Key, str] | None = None, n: int | None = None
    ) -> Target:
        """Return the request for a row's picture anew, with digests of those made meanwhile."""
        self._resolver.origins.update(origins or {})
        found = self._resolver.target(row, n)
        if found is None:
            raise UsageError(f"{row.name}: {self._nobody(row)}", hint="-p NAME")
        return found

    def is_whole(self, action: Action) -> bool:
        """Tell whether the lock has all of a set as it is described."""
        target = action.target
        return target is not None and bool(self._resolver.whole(action.row, target))

    def twins(self, action: Action) -> list[Entry]:
        """Return the lock's entries of a picture, or of those that are made together with it."""
        keys = action.keys
        return [entry for entry in self._resolver.entries[action.row.name] if entry.key in keys]

    def places(self, action: Action) -> list[str]:
        """Return where a picture lies or will lie; of a set that is to be made, each of it."""
        if action.is_misplaced:
            return []
        return self._sets[action.row.name] if action.is_whole_set else [action.output]

    # -- a row ---------------------------------------------------------------------------------

    def _plan_row(self, row: Row) -> None:
        """Decide about the pictures of a row; those that it is made from were decided about."""
        self._notes.pop(row.name, None)
        is_unsound = row.name in self._mistakes.unsound
        try:
            actions = [self._decide(draft) for draft in ([] if is_unsound else self._drafts(row))]
        except UsageError as error:
            self._mistakes.refuse(row, error, self.context.typed)
            actions = []
        # Planned once more: digests of what it was to be must not feed those that are made from it.
        for before in self._actions.get(row.name, ()):
            for key in before.keys:
                self._resolver.origins.pop(key, None)
        self._actions[row.name] = actions
        for action in actions:
            self._keep(action)
            self._resolver.origins.update(_origins(action))

    def _drafts(self, row: Row) -> list[Action]:
        """Return what the lock says of a row's pictures, and for the others who makes them."""
        resolver, total = self._resolver, count_of(row, self.context.typed)
        resolver.anew.pop(row.name, None)
        target = resolver.target(row) if resolver.has(row) else resolver.adopt(row)
        if target is None:
            return list(self._keep_row(row, total))
        drafts = list(self._by_lock(target))
        maker = self.context.maker_of(row)
        is_other = maker is not None and maker.name != target.provider.name
        # Who was chosen by name makes a row of which nothing is current; else its maker goes on.
        if maker is not None and is_other and not any(each.act in _BY_THE_LOCK for each in drafts):
            resolver.makers[row.name] = maker
            target = resolver.target(row) or target
            drafts = list(self._by_lock(target))
        return self._remake(target, drafts) or drafts

    def _remake(self, target: Target, drafts: Sequence[Action]) -> list[Action] | None:
        """Let today's default make what a retired model was to, which only the lock names.

        The others stay current. None: there are none.
        """
        row, old = target.row, target.capabilities
        is_chosen = is_model_chosen(self.context.typed, target)
        if is_chosen or old is None or not old.is_retired(self.context.now):
            return None
        before = {draft.n: draft for draft in drafts if draft.act not in _BY_THE_LOCK}
        self._resolver.anew[row.name] = frozenset(before)
        today = self._resolver.target(row, min(before)) if before else None
        if today is None:
            return None
        words = (
            f"{target.request.model} was retired on {old.retired_at:%Y-%m-%d},"
            f" {today.request.model} stands in"
        )
        fresh = [
            replace(draft, reason=f"{before[draft.n].reason}; {words}")
            if draft.act is Act.MAKE and draft.n in before
            else draft
            for draft in self._by_lock(today)
        ]
        # A set comes of one request, so of one model: all of it or none.
        if target.is_set or today.is_set:
            return fresh
        by_number = {draft.n: draft for draft in fresh}
        return [by_number[draft.n] if draft.n in before else draft for draft in drafts]

    def _keep_row(self, row: Row, total: int) -> Iterator[Action]:
        """Yield the pictures of a row of which nothing says who makes it; its lines stay."""
        entries = self._resolver.entries[row.name]
        self._kept |= {entry.key: entry for entry in entries}
        reason = self._nobody(row) if entries else "new"
        template = self.context.draft(row, many=total > 1).template
        lying = {entry.n: entry.output for entry in entries}
        for n in range(1, total + 1):
            path = lying.get(n) or template.replace("{n}", str(n)).removesuffix(".{ext}")
            yield Action(act=Act.MAKE, row=row, n=n, total=total, output=path, reason=reason)

    def _nobody(self, row: Row) -> str:
        """Say why it is not known who makes a row."""
        entries = self._resolver.entries[row.name]
        if entries and all(entry.sandbox for entry in entries):
            return PLACEHOLDER
        names = {entry.provider for entry in entries}
        strange = sorted(names - self.context.providers.keys())
        if not strange:
            return "nothing says which provider makes it"
        return f"the lock's provider {strange[0]} is not known to this version"

    def _by_lock(self, target: Target) -> Iterator[Action]:
        """Yield what the lock says of each picture that a row asks for; `MAKE`: nothing."""
        row, total = target.row, count_of(target.row, self.context.typed)
        chosen = self._resolver.chosen(self._resolver.entries[row.name], target)
        if not target.is_set:
            for n in range(1, total + 1):
                yield self._by_line(target, n, chosen.get(n), total)
        elif total > 1:
            raise UsageError("count beside series: a row makes one set", hint="use more rows")
        else:
            yield from self._set(target, chosen)

    def _by_line(self, target: Target, n: int, entry: Entry | None, total: int) -> Action:
        action = Action(
            act=Act.MAKE, row=target.row, n=n, total=total, target=target, entry=entry, output=""
        )
        if entry is not None and self._resolver.is_same(entry, target):
            path = self._placing.where(target, n, entry)
            return self._by_file(replace(action, output=path), entry)
        paths = self._placing.targets(target, n, entry)
        return replace(
            action, output=paths[0], reason=self._resolver.why(target.row, target, entry)
        )

    def _set(self, target: Target, chosen: Mapping[int, Entry]) -> Iterator[Action]:
        """Yield the pictures of one request, which are made again together or not at all."""
        row, whole = target.row, self._resolver.whole(target.row, target)
        first = chosen[min(chosen)] if chosen else None
        reason = self._resolver.why(row, target, first)
        # Each line would do by itself; what lacks is the rest.
        if first is not None and self._resolver.is_same(first, target):
            reason = "its set is not whole"
        places = [self._placing.targets(target, n + 1, chosen.get(n + 1))
                  for n in range(target.most)]  # fmt: skip
        self._sets[row.name] = [paths[0] for paths in places]
        action = Action(
            act=Act.MAKE, row=row, of=target.most, target=target, entry=first, output=places[0][0],
            reason=reason,
        )  # fmt: skip
        if whole:
            drafts = [self._by_line(target, entry.n, entry, 1) for entry in whole]
            lacking = [draft for draft in drafts if draft.act not in _BY_THE_LOCK]
            if not lacking:
                yield from (replace(draft, of=len(whole)) for draft in drafts)
                return
            stuck = next((each for each in lacking if each.act is Act.CONFLICT), None)
            action = replace(action, reason=lacking[0].reason)
            if stuck is not None:
                action = replace(stuck, n=1, of=target.most, entry=first)
        yield action

    def _by_file(self, action: Action, entry: Entry) -> Action:
        """Hold the line of a picture that is as described against its file.

        it lies in its place                             current
        it lies there by its old name                    move
        it lies nowhere                                  made again
        another file lies in its place                   left, or a conflict (`_beside`)
        it lies by its old name, and was changed there   left
        """
        move = replace(action, act=Act.MOVE, reason=f"it was {entry.output}")
        is_renamed, path = entry.output != action.output, action.output
        there = None if self.context.is_lock_only else self._there(path)
        # With `--no-files` the lock's word stands for the files, which lie elsewhere.
        if self.context.is_lock_only or _is_file_of(entry, there):
            is_moved = self.context.is_lock_only and is_renamed
            return move if is_moved else replace(action, act=Act.KEEP)
        old = self._look(entry.output) if is_renamed else None
        if there is not None:
            return self._beside(action, entry, there, is_old_there=_is_file_of(entry, old))
        if _is_file_of(entry, old):
            return move
        # What the lock knows as another picture's is no change by hand: names were exchanged.
        if old is None or not old.sha256 or old.sha256 in self._known:
            return replace(action, reason="its file is missing")
        reason = f"its file was changed by hand, so it is not moved to {path}"
        return replace(action, act=Act.LEAVE, output=entry.output, reason=reason)

    def _beside(
        self, action: Action, entry: Entry, there: FileDigest, *, is_old_there: bool
    ) -> Action:
        """Say what is to be done about a picture in whose place another file lies."""
        path = action.output
        # Its own file is safe where it lies; only the move has to wait for the place.
        if is_old_there:
            self._blocked[same_file(path)].append(action.row)
            reason = f"its new name {path} is taken; it is {entry.output}"
            left = replace(action, act=Act.LEAVE, output=entry.output, reason=reason)
            return replace(left, is_misplaced=True)
        if any(_is_file_of(twin, there) for twin in self.twins(action)):
            reason = (
                f"another picture of it lies there, as a merge left it: take {path} with sha256"
                f" {entry.sha256} from version control, or --accept {action.name}"
            )
            return replace(action, act=Act.CONFLICT, reason=reason)
        words = "its file was changed by hand"
        if not there.sha256:
            words = "what lies there is no file, but a folder, or a link to nothing"
        return replace(action, act=Act.LEAVE, reason=words)

    # -- the one table -------------------------------------------------------------------------

    def _decide(self, action: Action) -> Action:
        """Return what is to be done about a picture: the first of these that holds says it.

            the lock has it as it is described, and its file lies there    current, move, leave
            a file lies in its place that nobody can take for ours         conflict
            a job of this very purchase is in the ledger                   fetch, unknown, wait
            it is made from a picture that is stuck, or that never comes   wait

        And where none does, it is made.
        """
        target = action.target
        if action.act is not Act.MAKE or target is None:
            return self._wait_for_sources(action)
        claimed = action = self._look_in_place(action)
        # Not in the lock it may be in the ledger: a kill can come between a file and its line.
        if action.stranger and self.history is not None:
            claimed = self.history.claim(action)
        if claimed.obstacle or self._is_rehearsed(claimed):
            return self._refuse(claimed)
        # Before anything else is waited for: what is paid for is fetched, and never bought again.
        asked = self._ask(claimed)
        if asked.past is not None and asked.act is not Act.MAKE:
            if asked.act is Act.FETCH:
                self._takers.setdefault(asked.past.job.id, asked.row.name)
            return self._tell(replace(asked, purchase=None), asked.past)
        waiting = self._wait_for_sources(claimed)
        if waiting.act is Act.WAIT:
            return waiting
        # It was let pass for a job that might be its own, and there is no such job.
        if claimed.stranger and claimed.stranger not in claimed.replaces:
            return self._refuse(action)
        if asked.purchase is not None and self.history is not None:
            found = self.history.find_in_place(asked.purchase.job)
            self._in_place |= {image.path or "": (job, image) for job, image in found}
        self._notes[action.row.name] = target.resolved.notes
        return replace(claimed, stranger="", price=target.resolved.price)

    def _refuse(self, action: Action) -> Action:
        """Return a picture as in conflict: with a file in its place, or with a real picture."""
        reason = f"{action.reason}; {action.obstacle}"
        if not action.obstacle:
            reason = (
                f"{action.reason}; the lock has a real picture of it, which no rehearsal replaces:"
                " rehearse in a copy of the folder, without its lock"
            )
        return replace(action, act=Act.CONFLICT, reason=reason)

    def _is_rehearsed(self, action: Action) -> bool:
        """Tell whether a rehearsal would make a picture of which the lock has a real one."""
        return self.context.sandbox and any(not entry.sandbox for entry in self.twins(action))

    def _look_in_place(self, action: Action) -> Action:
        """Look what lies where a picture is to be made: ours to replace, or in its way."""
        if self.context.is_lock_only or action.target is None:
            return action
        entries, target, paths = self.twins(action), action.target, [action.output]
        lines = {action.n: action.entry} if action.entry is not None else {}
        if action.of is not None:
            lines = self._resolver.chosen(self._resolver.entries[action.row.name], target)
        # As described, it comes back where it lay; else in a format that may name it otherwise.
        is_lost = action.entry is not None and self._resolver.is_same(action.entry, target)
        if action.of is not None or not is_lost:
            paths = [path for _, n in action.keys
                     for path in self._placing.targets(target, n, lines.get(n))]  # fmt: skip
        files = [(path, there) for path in paths if (there := self._there(path)) is not None]
        for path, file in files:
            ours = [entry for entry in entries if _is_file_of(entry, file)]
            if not ours:
                self._blocked[same_file(path)].append(action.row)
                obstacle = f"{path} {self._describe(entries, file)}"
                return replace(action, output=path, stranger=file.sha256, obstacle=obstacle)
            # A person's work is replaced by nobody but that person.
            if any(entry.is_by_hand for entry in ours):
                obstacle = f"{path} was changed by hand and accepted"
                return replace(action, output=path, obstacle=obstacle)
        return replace(action, replaces=frozenset(file.sha256 for _, file in files))

    def _describe(self, entries: Sequence[Entry], file: FileDigest) -> str:
        """Say what a file is that lies in the way of a picture with these entries."""
        if file.sha256 in self._known:
            return f"is there, and is the picture of {self._known[file.sha256]}"
        return "was changed by hand" if entries else "is there and not in the lock"

    def _ask(self, action: Action, *, is_paying: bool = False) -> Action:
        """Ask the ledger about a picture that is to be made; what a retired model made, too.

        Who cannot pay is told so before anything is paid, and not while it is planned.
        """
        if self.history is None or action.target is None:
            return action
        former = self._resolver.former(action.row, action.n)
        for target in filter(None, (former, action.target)):
            if target.description_digest is None:
                continue
            try:
                place = self._placing.plan(target, action.n, action.entry)
                purchase = self.history.purchase(action, target, place)
            except AccountError:
                # A plan is for everybody, also for who lacks the key; only buying needs it.
                if is_paying:
                    raise
                return action
            past = self.history.find(action, target, purchase.job, self._targets_of, self._takers)
            if target is action.target or past.act is not Act.MAKE:
                return replace(action, act=past.act, target=target, past=past, purchase=purchase)
        return action

    def _tell(self, action: Action, past: Past) -> Action:
        """Return an action about a job of before with its reason; without a lock nothing lacks."""
        if past.is_in_place and not self.context.path:
            return replace(action, act=Act.KEEP, reason="")
        problem = None
        if action.act is Act.WAIT:
            words = "another run is sending it"
            problem = Problem("timeout", words, "run the same again later")
        # A kill came before its line was written, or the lock was lost.
        in_place = "it is there, and not in the lock"
        reason = in_place if past.is_in_place else _REASONS[action.act]
        is_known = action.is_whole_set and past.job.state is State.SAVED
        of = len(past.job.images) if is_known else action.of
        return replace(action, of=of, reason=reason, problem=problem)

    def _wait_for_sources(self, action: Action) -> Action:
        """Let a picture wait that is made from one which is stuck, or which never comes."""
        if action.act is not Act.MAKE:
            return action
        # `origins` has what is there and what is to be fetched: these lack for now, or for good.
        lacking = [key for key in action.needs if key not in self._resolver.origins]
        sources = [self._source(key) for key in lacking]
        if not all(sources):
            words = f"{action.name} is made from a picture that is not made"
            problem = Problem("usage", words, "")
            return replace(action, act=Act.WAIT, reason=words, problem=problem)
        stuck = [each.name for each in sources if each and each.act in {Act.WAIT, Act.UNKNOWN}]
        reason = f"made from {', '.join(stuck)}, which is stuck"
        if not stuck:
            # Nobody has said yet that such a file is right, so nothing is made from it.
            left = (each for key in action.needs if (each := self._source(key)))
            stuck = [each.name for each in left if each.act is Act.LEAVE and not each.is_misplaced]
            names = " ".join(f"--accept {name}" for name in stuck)
            reason = f"made from {', '.join(stuck)}, changed by hand: {names} says that it is right"
        return replace(action, act=Act.WAIT, reason=reason) if stuck else action

    def _source(self, key: Key) -> Action | None:
        """Return the action that brings a picture; None: none does."""
        actions = self._actions.get(key[0], ())
        return next((action for action in actions if key in action.keys), None)

    def _targets_of(self, row: Row) -> Iterator[Target]:
        """Yield what a row asks for, now and before its model was retired."""
        numbers = range(1, count_of(row, self.context.typed) + 1)
        formers = (self._resolver.former(row, n) for n in numbers)
        former = next((target for target in formers if target is not None), None)
        for target in (self.target(row), former):
            if target is not None and target.description_digest is not None:
                yield target

    # -- the lock's lines ----------------------------------------------------------------------

    def _keep(self, action: Action) -> None:
        """Keep the lock's entries of a picture, and of all that are made again with it."""
        target = action.target
        if target is None:
            return
        chosen = self._resolver.chosen(self._resolver.entries[action.row.name], target)
        numbers = [action.n] if action.act in _BY_THE_LOCK else [n for _, n in action.keys]
        held = [chosen.get(n) for n in numbers]
        self._kept |= {entry.key: entry for entry in (*held, action.entry) if entry is not None}

    def _keep_real(self) -> None:
        """Keep the lines of all that was paid for: no rehearsal replaces or drops one."""
        for entry in self._lines():
            rival = self._kept.get(entry.key)
            if not entry.sandbox and (rival is None or rival.sandbox):
                self._kept[entry.key] = entry

    def _lines(self) -> list[Entry]:
        planned = [entry for row in self._rows for entry in self._resolver.entries[row.name]]
        return [*self._resolver.orphans, *planned]

    def _leaving(self) -> list[Entry]:
        """Return the entries, one a picture, of rows that are gone or ask for fewer pictures."""
        found = {entry.key: entry for entry in self._lines()}
        return [found[key] for key in sorted(found.keys() - self._kept.keys())]

    # -- all of them ---------------------------------------------------------------------------

    def _let_through(self) -> None:
        """Decide again about those in whose way lies only what is moved away itself."""
        moving = [action for actions in self._actions.values() for action in actions]
        changed: set[str] = set()
        while moving:
            action = moving.pop()
            path = same_file(action.entry.output) if action.entry is not None else ""
            if action.act is not Act.MOVE or path in self._freed:
                continue
            self._freed.add(path)
            for row in self._blocked.pop(path, []):
                self._plan_row(row)
                changed.add(row.name)
                moving += self._actions[row.name]
        # What is made from them may have been told to wait, and its sources come first.
        for row in sort_by_source(self._rows) if changed else ():
            if changed.intersection(reference.row or "" for reference in row.references):
                self._plan_row(row)
                changed.add(row.name)

    def _check_places(self, actions: Sequence[Action]) -> None:
        """Object to two pictures that would have one name; file systems may ignore the case."""
        seen: dict[str, Action] = {}
        for action in actions:
            # `Cat.png` and `cat.png` are one file on some disks: `same_file` compares for all.
            for path in self.places(action):
                first = seen.setdefault(same_file(posixpath.join(self.context.base, path)), action)
                if first is not action:
                    words = f"{action.name} and {first.name} both go to {path}"
                    self._mistakes.reject_row(action.row, words, "output")
                if what := self._own_file(path):
                    words = f"{action.name}: {path} is {what}"
                    self._mistakes.reject_row(action.row, words, "output")

    def _own_file(self, path: str) -> str:
        """Say which of the manifest's own files a path is, if it is one."""
        own, mine = self._own, same_file(posixpath.join(self.context.base, path))
        if not self.context.path or posixpath.dirname(own) != posixpath.dirname(mine):
            return ""
        name = posixpath.basename(mine)
        if mine == own:
            return "the manifest itself"
        is_lock = mine == lock.name_of(own) or lock.part_of(own, name) is not None
        return "the manifest's lock" if is_lock else ""

    def _check_references(self, actions: Sequence[Action]) -> None:
        """Object to references by file that are pictures of this manifest: none would wait."""
        base = self.context.base
        made = {same_file(posixpath.join(base, path)): action
                for action in actions for path in self.places(action)}  # fmt: skip
        found: dict[str, Action | None] = {}
        for row in self._rows:
            for text in (each.text for each in row.references if each.row is None):
                if "://" not in text and text not in found:
                    found[text] = made.get(same_file(posixpath.join(base, text)))
                if (action := found.get(text)) is not None:
                    words = f"{row.name}: {text} is {_advice(action, row)}"
                    self._mistakes.reject_row(row, words, "references")

    # -- files ---------------------------------------------------------------------------------

    def _is_there(self, entry: Entry) -> bool:
        return not self.context.is_lock_only and _is_file_of(entry, self._look(entry.output))

    def _look(self, path: str) -> FileDigest | None:
        return self.context.look(posixpath.join(self.context.base, path))

    def _there(self, path: str) -> FileDigest | None:
        """Return what lies at a path, and stays there."""
        return None if same_file(path) in self._freed else self._look(path)


def _origins(action: Action) -> Iterable[tuple[Key, str]]:
    """Return the digests of pictures that others may go on to be made from, as they were made."""
    if action.act in _BY_THE_LOCK and action.entry is not None:
        return [(action.entry.key, action.entry.origin)]
    if action.act in {Act.FETCH, Act.KEEP} and action.past is not None:
        images = action.past.images or action.past.job.images
        found = {(action.row.name, image.n): image.sha256 for image in images if image.sha256}
        keys = found if action.is_whole_set else found.keys() & {action.key}
        return [(key, found[key]) for key in keys]
    return []


def _advice(action: Action, row: Row) -> str:
    """Say how a picture of the manifest is to be named as a reference."""
    if action.row is row:
        return "its own picture, and would be another one after every run"
    is_one = action.total == 1 and action.of is None
    name = f"images.{action.row.name}" if is_one else f"images.{action.row.name}.{action.n}"
    return f"the picture of {name}: write {name}, then it is made first"


def _is_file_of(entry: Entry, file: FileDigest | None) -> bool:
    return file is not None and file.sha256 == entry.sha256
