"""Which pictures of a manifest are current, and what is to be done about the others. Pure.

What lies on disk is asked for through `look` and `digest_of`; nothing here reads a file.
"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from seedream_cli.batch.action import Picture, Verdict
from seedream_cli.batch.lock import entries as lock
from seedream_cli.batch.match import Matching
from seedream_cli.batch.place import Placing, same_file
from seedream_cli.batch.resolve import count_of, is_model_chosen
from seedream_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Manifest, Row
    from seedream_cli.batch.resolve import Wish
    from seedream_cli.providers.spec import Provider
    from seedream_cli.storage.files.digest import Found
    from seedream_cli.storage.files.naming import Plan

_MOST_MISTAKES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a command brings to a manifest."""

    base: str
    """The manifest's folder, absolute."""
    typed: Mapping[str, object]
    """Options of the command line, long names with `_`; None or missing: not typed."""
    sandbox: bool = False
    is_lock_only: bool = False
    """With `--no-files`: pictures that lie elsewhere."""
    providers: Mapping[str, Provider]
    provider_of: Callable[[Row, str | None], Provider | None]
    """The provider of a row, whose lock names one or none; None: nothing here says which."""
    maker_of: Callable[[Row], Provider | None]
    """The provider that was chosen by name for what is to be made anew; None: none was."""
    look: Callable[[str], Found | None]
    """What lies at an absolute path."""
    digest_of: Callable[[str], str]
    """The digest of a reference image at an absolute path; raises `UsageError`."""
    is_kept: Callable[[Row, Entry], bool] = lambda _row, _entry: False
    """Tells whether a lost picture of a row can be had again as it was, without paying."""
    now: datetime
    """Says which models are retired."""
    path: str = ""
    """The manifest's own, absolute; empty where it has none."""


class Judge:
    """Holds the rows of a manifest against its lock and the files."""

    def __init__(
        self,
        manifest: Manifest,
        entries: Sequence[Entry],
        terms: Terms,
        *,
        rows: Sequence[Row] | None = None,
    ) -> None:
        """Sort the lock's entries by row; `entries` may hold twins, as merges leave them.

        `rows` are those of one shard; rows that are tied by references are all in it.
        """
        self.manifest = manifest
        self._known = {entry.sha256: entry.name for entry in entries}
        """Whose picture the lock calls a digest."""
        self._own = same_file(terms.path)
        self._rows = manifest.rows if rows is None else rows
        self.terms = terms
        self._placing = Placing(base=terms.base, typed=terms.typed)
        self._matching = Matching(
            base=terms.base,
            typed=terms.typed,
            providers=terms.providers,
            provider_of=terms.provider_of,
            digest_of=terms.digest_of,
            placing=self._placing,
            sandbox=terms.sandbox,
            is_there=self._is_there,
            now=terms.now,
        )
        self._matching.sort(entries, {row.name for row in manifest.rows})
        self.notes: dict[str, int] = {}
        """What a person should know, and of how many rows."""
        self._said: dict[str, tuple[str, ...]] = {}
        self.kept: dict[tuple[str, int], Entry] = {}
        """The lock's entries that are still about something, one a picture."""
        self._sets: dict[str, list[str]] = {}
        """Where the pictures of sets that are to be made will lie."""
        self._stuck: dict[str, list[Row]] = defaultdict(list)
        """Rows by the path where something is in their way."""
        self._leaving: set[str] = set()
        """Paths whose files are moved away before anything is made."""
        self._mistakes: list[str] = []

    @property
    def orphans(self) -> list[Entry]:
        """Return the lock's entries of names that the manifest has no more."""
        return self._matching.orphans

    @property
    def leaving(self) -> list[Entry]:
        """Return the entries, one a picture, that the lock will not hold any more, once judged.

        Their rows are gone, or ask for fewer pictures; nothing happens to their files.
        """
        judged = [entry for row in self._rows for entry in self._matching.entries[row.name]]
        found = {entry.key: entry for entry in [*self.orphans, *judged]}
        return [found[key] for key in sorted(found.keys() - self.kept.keys())]

    def judge(self) -> list[Picture]:
        """Return every picture in the manifest's order; raise `UsageError` with all mistakes."""
        found = {row.name: self._held(row) for row in made_first(self._rows)}
        self._let_through(found)
        pictures = [picture for row in self._rows for picture in found[row.name]]
        if self.terms.sandbox:
            self._keep_real()
        self._hold_apart(pictures)
        self._hold_references(pictures)
        self.notes |= Counter(note for notes in self._said.values() for note in notes)
        if self._mistakes:
            more = len(self._mistakes) - _MOST_MISTAKES
            shown = self._mistakes[:_MOST_MISTAKES] + ([f"… and {more} more"] if more > 0 else [])
            raise UsageError("\n".join(shown), hint="nothing was sent")
        return pictures

    def wish(
        self,
        row: Row,
        origins: Mapping[tuple[str, int], str] | None = None,
        n: int | None = None,
    ) -> Wish:
        """Return the request for a row's picture anew, with digests of those made meanwhile."""
        self._matching.origins.update(origins or {})
        found = self._matching.wish(row, n)
        if found is None:
            raise UsageError(f"{row.name}: {self._nobody(row)}", hint="-p NAME")
        return found

    def former(self, row: Row, n: int) -> Wish | None:
        """Return the request for a picture of before its model was retired; None: as it is now."""
        return self._matching.former(row, n)

    def is_anew(self, row: Row, n: int) -> bool:
        """Tell whether a picture is made by today's model, since the lock's is retired."""
        return n in self._matching.anew.get(row.name, ())

    def twins(self, picture: Picture) -> list[Entry]:
        """Return the lock's entries of a picture, or of those that are made together with it."""
        numbers = range(picture.n, picture.n + (picture.of or 1))
        return [entry for entry in self._matching.entries[picture.row.name] if entry.n in numbers]

    def places(self, picture: Picture) -> list[str]:
        """Return where a picture lies or will lie; of a set that is to be made, each of it."""
        return self._paths(picture) or [picture.output]

    def plan(self, row: Row, wish: Wish, n: int, entry: Entry | None) -> Plan:
        """Return where a picture, or the pictures of a set, are to lie."""
        return self._placing.plan(row, wish, n, entry)

    # -- a row ---------------------------------------------------------------------------------

    def _held(self, row: Row) -> list[Picture]:
        try:
            pictures = list(self._pictures(row))
        except UsageError as error:
            hint = f" ({error.hint})" if error.hint else ""
            where = f"{self.manifest.file}:{row.line}: {row.name}"
            self._mistakes.append(f"{where}: {error.message}{hint}")
            return []
        for entry in (entry for picture in pictures for entry in self._lasting(picture)):
            self._matching.origins[row.name, entry.n] = entry.origin
        return pictures

    def _lasting(self, picture: Picture) -> Sequence[Entry]:
        """Return the entries of pictures that others may go on to be made from."""
        if not _is_to_make(picture):
            return [picture.entry] if picture.entry is not None else []
        return picture.lost if self._is_to_be_had(picture) else []

    def _pictures(self, row: Row) -> Iterator[Picture]:
        total = count_of(row, self.terms.typed)
        self._matching.anew.pop(row.name, None)
        found = self._matching.wish(row) if self._matching.has(row) else self._matching.adopt(row)
        if found is None:
            yield from self._unplaced(row, total)
            return
        chosen = self._matching.chosen(self._matching.entries[row.name], found)
        pictures = list(self._judged(row, found, chosen))
        maker = self.terms.maker_of(row)
        is_other = maker is not None and maker.name != found.provider.name
        if maker is not None and is_other and all(map(_is_to_make, pictures)):
            self._matching.makers[row.name] = maker
            found = self._matching.wish(row) or found
            pictures = list(self._judged(row, found, chosen))
        anew = self._anew(row, found, pictures)
        if anew is not None:
            pictures, chosen = anew
        self._said[row.name] = ()
        for picture in pictures:
            self._keep(picture, chosen)
            cost = None
            if _is_to_make(picture):
                asked = found.resolved
                if self.is_anew(row, picture.n):
                    asked = self.wish(row, n=picture.n).resolved
                cost = asked.price
                if not self._is_to_be_had(picture):
                    self._said[row.name] = asked.notes
            yield replace(picture, price=cost, provider=found.provider.name, total=total)

    def _anew(
        self, row: Row, found: Wish, pictures: Sequence[Picture]
    ) -> tuple[list[Picture], dict[int, Entry]] | None:
        """Judge those again that are to be made by a retired model which only the lock names.

        Today's default makes them, while the others stay current; what was paid for and may still
        be had is left as it is. None: there are none.
        """
        old = found.resolved.capabilities
        is_chosen = is_model_chosen(row, self.terms.typed, found)
        if is_chosen or old is None or not old.is_retired(self.terms.now):
            return None
        making = [p for p in pictures if _is_to_make(p) and not self._is_to_be_had(p)]
        self._matching.anew[row.name] = frozenset(picture.n for picture in making)
        today = self._matching.wish(row, making[0].n) if making else None
        if today is None:
            return None
        chosen = self._matching.chosen(self._matching.entries[row.name], today)
        fresh = list(self._judged(row, today, chosen))
        before = {picture.n: picture for picture in making}
        names = found.resolved.request.model, today.resolved.request.model
        words = f"{names[0]} was retired on {old.retired_at:%Y-%m-%d}, {names[1]} stands in"
        told = [
            replace(picture, reason=f"{before[picture.n].reason}; {words}")
            if picture.verdict is Verdict.MAKE and picture.n in before
            else picture
            for picture in fresh
        ]
        if found.is_set or today.is_set:
            return told, chosen
        by_number = {picture.n: picture for picture in told}
        return [by_number[p.n] if p.n in before else p for p in pictures], chosen

    def _is_to_be_had(self, picture: Picture) -> bool:
        """Tell whether a lost picture can be had again as it was, without paying."""
        return bool(picture.lost) and all(
            self.terms.is_kept(picture.row, entry) for entry in picture.lost
        )

    def _unplaced(self, row: Row, total: int) -> Iterator[Picture]:
        """Yield the pictures of a row of which nothing says who makes it; its lines stay."""
        entries = self._matching.entries[row.name]
        self.kept |= {entry.key: entry for entry in entries}
        reason = self._nobody(row) if entries else "new"
        template = self._placing.draft(row, many=total > 1).template
        for n in range(1, total + 1):
            path, make = template.replace("{n}", str(n)), Verdict.MAKE
            yield Picture(row=row, n=n, output=path, verdict=make, reason=reason, total=total)

    def _nobody(self, row: Row) -> str:
        """Say why it is not known who makes a row."""
        names = {entry.provider for entry in self._matching.entries[row.name]}
        strange = sorted(names - self.terms.providers.keys())
        if not strange:
            return "nothing says which provider makes it"
        return f"the lock's provider {strange[0]} is not known to this version"

    def _keep_real(self) -> None:
        """Keep the lines of all that was paid for: no rehearsal replaces or drops one."""
        judged = [entry for row in self._rows for entry in self._matching.entries[row.name]]
        for entry in [*self.orphans, *judged]:
            rival = self.kept.get(entry.key)
            if not entry.sandbox and (rival is None or rival.sandbox):
                self.kept[entry.key] = entry

    def _keep(self, picture: Picture, chosen: Mapping[int, Entry]) -> None:
        """Keep the lock's entries of a picture, and of all that are made again with it."""
        together = (picture.of or 1) if _is_to_make(picture) else 1
        held = [chosen.get(n) for n in range(picture.n, picture.n + together)]
        self.kept |= {entry.key: entry for entry in held if entry is not None}
        if picture.entry is not None:
            self.kept[picture.entry.key] = picture.entry

    def _judged(self, row: Row, found: Wish, chosen: Mapping[int, Entry]) -> Iterator[Picture]:
        if found.is_set:
            if count_of(row, self.terms.typed) > 1:
                raise UsageError("count beside series: a row makes one set", hint="use more rows")
            yield from self._set(row, found, chosen)
            return
        for n in range(1, count_of(row, self.terms.typed) + 1):
            yield self._single(row, found, n, chosen.get(n))

    # -- a picture -----------------------------------------------------------------------------

    def _single(self, row: Row, found: Wish, n: int, entry: Entry | None) -> Picture:
        if entry is not None and self._matching.is_same(entry, found):
            path = self._placing.where(row, found, n, entry)
            picture = Picture(row=row, n=n, output=path, verdict=Verdict.CURRENT, entry=entry)
            return self._same(picture, entry)
        paths = self._placing.targets(row, found, n, entry)
        reason = self._matching.why(row, found, entry)
        picture = Picture(
            row=row, n=n, output=paths[0], verdict=Verdict.MAKE, reason=reason, entry=entry
        )
        return self._in_the_way(picture, paths)

    def _same(self, picture: Picture, entry: Entry) -> Picture:
        """Judge a picture whose description is the lock's."""
        there = None if self.terms.is_lock_only else self._there(picture.output)
        if self.terms.is_lock_only and entry.output != picture.output:
            return replace(picture, verdict=Verdict.MOVE, reason=f"it was {entry.output}")
        if self.terms.is_lock_only or _is_file_of(entry, there):
            return picture
        old = self._look(entry.output) if entry.output != picture.output else None
        is_old_there = _is_file_of(entry, old)
        if there is None and is_old_there:
            return replace(picture, verdict=Verdict.MOVE, reason=f"it was {entry.output}")
        if there is None and old is not None and self._is_by_hand(old):
            reason = f"its file was changed by hand, so it is not moved to {picture.output}"
            return replace(picture, verdict=Verdict.LEAVE, output=entry.output, reason=reason)
        if there is None:
            words = "its file is missing"
            missing = replace(picture, verdict=Verdict.MAKE, reason=words, lost=(entry,))
            return self._rehearsed(missing)
        return self._taken(picture, entry, there, is_old_there=is_old_there)

    def _is_by_hand(self, file: Found) -> bool:
        """Tell whether a file under a name of ours is nothing that the lock knows."""
        return bool(file.sha256) and file.sha256 not in self._known

    def _rehearsed(self, picture: Picture) -> Picture:
        """Stop a rehearsal before a picture of which the lock has a real one."""
        if not self.terms.sandbox or all(entry.sandbox for entry in self.twins(picture)):
            return picture
        reason = (
            f"{picture.reason}; the lock has a real picture of it, which no rehearsal replaces:"
            " rehearse in a copy of the folder, without its lock"
        )
        return replace(picture, verdict=Verdict.CONFLICT, reason=reason, why=picture.reason)

    def _taken(
        self, picture: Picture, entry: Entry, there: Found, *, is_old_there: bool
    ) -> Picture:
        """Judge a picture in whose place another file lies."""
        if is_old_there:
            self._stuck[same_file(picture.output)].append(picture.row)
            reason = f"its new name {picture.output} is taken; it is {entry.output}"
            left = replace(picture, verdict=Verdict.LEAVE, output=entry.output, reason=reason)
            return replace(left, is_misplaced=True)
        if any(_is_file_of(twin, there) for twin in self.twins(picture)):
            reason = (
                "another picture of it lies there, as a merge left it: take"
                f" {picture.output} with sha256 {entry.sha256} from version control,"
                f" or --accept {picture.name}"
            )
            return replace(picture, verdict=Verdict.CONFLICT, reason=reason)
        words = "its file was changed by hand"
        if not there.sha256:
            words = "what lies there is no file, but a folder, or a link to nothing"
        return replace(picture, verdict=Verdict.LEAVE, reason=words)

    def _in_the_way(self, picture: Picture, paths: Sequence[str]) -> Picture:
        """Judge what lies where a picture is to be made."""
        if self.terms.is_lock_only:
            return picture
        entries = self.twins(picture)
        files = [(path, there) for path in paths if (there := self._there(path)) is not None]
        for path, file in files:
            ours = [entry for entry in entries if _is_file_of(entry, file)]
            if not ours:
                self._stuck[same_file(path)].append(picture.row)
                obstacle = f"{path} {self._stranger(entries, file)}"
                reason = f"{picture.reason}; {obstacle}"
                conflict = replace(picture, verdict=Verdict.CONFLICT, output=path, reason=reason)
                why = picture.reason
                return replace(conflict, stranger=file.sha256, why=why, obstacle=obstacle)
            if any(entry.is_by_hand for entry in ours):
                obstacle = f"{path} was changed by hand and accepted"
                reason = f"{picture.reason}; {obstacle}"
                conflict = replace(picture, verdict=Verdict.CONFLICT, output=path, reason=reason)
                return replace(conflict, why=picture.reason, obstacle=obstacle)
        made = replace(picture, replaces=frozenset(file.sha256 for _, file in files))
        return self._rehearsed(made)

    def _stranger(self, entries: Sequence[Entry], file: Found) -> str:
        """Say what a file is that lies in the way of a picture with these entries."""
        if file.sha256 in self._known:
            return f"is there, and is the picture of {self._known[file.sha256]}"
        return "was changed by hand" if entries else "is there and not in the lock"

    def _set(self, row: Row, found: Wish, chosen: Mapping[int, Entry]) -> Iterator[Picture]:
        """Judge the pictures of one request, which are made again together or not at all."""
        stuck: Picture | None = None
        whole = self._matching.whole(row, found)
        first = chosen[min(chosen)] if chosen else None
        reason = self._matching.why(row, found, first)
        if first is not None and self._matching.is_same(first, found):
            reason = "its set is not whole"
        if whole:
            judged = [self._single(row, found, entry.n, entry) for entry in whole]
            missing = [p for p in judged if _is_to_make(p)]
            if not missing:
                yield from (replace(picture, of=len(whole)) for picture in judged)
                return
            reason = missing[0].why or missing[0].reason
            stuck = next((p for p in missing if p.verdict is Verdict.CONFLICT), None)
        most = found.resolved.most_images
        numbers = range(1, most + 1)
        places = [self._placing.targets(row, found, n, chosen.get(n)) for n in numbers]
        self._sets[row.name] = [paths[0] for paths in places]
        picture = Picture(
            row=row, n=1, of=most, output=places[0][0], verdict=Verdict.MAKE, reason=reason,
            entry=first, lost=tuple(whole),
        )  # fmt: skip
        if stuck is not None:
            yield replace(stuck, n=1, of=most, entry=first)
            return
        yield self._in_the_way(picture, [path for paths in places for path in paths])

    def _is_there(self, entry: Entry) -> bool:
        return not self.terms.is_lock_only and _is_file_of(entry, self._look(entry.output))

    def _look(self, path: str) -> Found | None:
        return self.terms.look(posixpath.join(self.terms.base, path))

    def _there(self, path: str) -> Found | None:
        """Return what lies at a path, and stays there."""
        return None if same_file(path) in self._leaving else self._look(path)

    # -- all of them ---------------------------------------------------------------------------

    def _let_through(self, found: dict[str, list[Picture]]) -> None:
        """Judge those again in whose way lies only what is moved away itself."""
        moving = [picture for pictures in found.values() for picture in pictures]
        while moving:
            picture = moving.pop()
            path = same_file(picture.entry.output) if picture.entry is not None else ""
            if picture.verdict is not Verdict.MOVE or path in self._leaving:
                continue
            self._leaving.add(path)
            for row in self._stuck.pop(path, []):
                found[row.name] = self._held(row)
                moving += found[row.name]

    def _hold_apart(self, pictures: Sequence[Picture]) -> None:
        """Object to two pictures that would have one name; file systems may ignore the case."""
        seen: dict[str, Picture] = {}
        for picture in pictures:
            for path in self._paths(picture):
                first = seen.setdefault(same_file(posixpath.join(self.terms.base, path)), picture)
                if first is not picture:
                    self._object(picture.row, f"{picture.name} and {first.name} both go to {path}")
                if what := self._own_file(path):
                    self._object(picture.row, f"{picture.name}: {path} is {what}")

    def _paths(self, picture: Picture) -> list[str]:
        """Return where a picture, or each of a set, lies or will lie."""
        if picture.is_misplaced:
            return []
        is_set = picture.of is not None and _is_to_make(picture)
        return self._sets[picture.row.name] if is_set else [picture.output]

    def _object(self, row: Row, words: str) -> None:
        self._mistakes.append(f"{self.manifest.file}:{row.line}: {words}")

    def _own_file(self, path: str) -> str:
        """Say which of the manifest's own files a path is, if it is one."""
        own, mine = self._own, same_file(posixpath.join(self.terms.base, path))
        if not self.terms.path or posixpath.dirname(own) != posixpath.dirname(mine):
            return ""
        name = posixpath.basename(mine)
        if mine == own:
            return "the manifest itself"
        is_lock = mine == lock.name_of(own) or lock.part_of(own, name) is not None
        return "the manifest's lock" if is_lock else ""

    def _hold_references(self, pictures: Sequence[Picture]) -> None:
        """Object to references by file that are pictures of this manifest: none would wait."""
        base = self.terms.base
        made = {
            same_file(posixpath.join(base, path)): p for p in pictures for path in self._paths(p)
        }
        found: dict[str, Picture | None] = {}
        for row in self._rows:
            for reference in row.references:
                text = reference.text
                if reference.row is None and "://" not in text and text not in found:
                    found[text] = made.get(same_file(posixpath.join(base, text)))
                picture = found.get(text)
                if picture is not None:
                    self._object(row, f"{row.name}: {reference.text} is {_advice(picture, row)}")


def made_first(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with each behind those that it is made from; there is no cycle in them."""
    by_name = {row.name: row for row in rows}
    done: dict[str, Row] = {}
    for row in rows:
        path = [row]
        while path:
            needed = [r.row for r in path[-1].references if r.row and r.row not in done]
            if needed:
                path.append(by_name[needed[0]])
            else:
                last = path.pop()
                done[last.name] = last
    return list(done.values())


def _advice(picture: Picture, row: Row) -> str:
    """Say how a picture of the manifest is to be named as a reference."""
    if picture.row is row:
        return "its own picture, and would be another one after every run"
    is_one = picture.total == 1 and picture.of is None
    name = f"images.{picture.row.name}" if is_one else f"images.{picture.row.name}.{picture.n}"
    return f"the picture of {name}: write {name}, then it is made first"


def _is_to_make(picture: Picture) -> bool:
    return picture.verdict in {Verdict.MAKE, Verdict.CONFLICT}


def _is_file_of(entry: Entry, file: Found | None) -> bool:
    return file is not None and file.sha256 == entry.sha256
