"""Which request a row stands for: its words, filled up from the lock's entry that they match."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seedream_cli.batch.place import extension
from seedream_cli.batch.resolve import Source, said, wish
from seedream_cli.core.errors import UsageError
from seedream_cli.core.formats import format_of_extension
from seedream_cli.request.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row, RowReference
    from seedream_cli.batch.place import Placing
    from seedream_cli.batch.resolve import Wish
    from seedream_cli.providers.spec import Provider


_Kind = tuple[str, str, str | None, str | None, str]


@dataclass(slots=True, kw_only=True)
class Matching:
    """Finds the request of each row; rows come behind those that they are made from."""

    base: str
    typed: Mapping[str, object]
    providers: Mapping[str, Provider]
    provider_of: Callable[[Row, str | None], Provider | None]
    digest_of: Callable[[str], str]
    placing: Placing
    sandbox: bool
    is_there: Callable[[Entry], bool]
    """Tells whether the very file of an entry lies where the lock has it."""
    now: datetime
    """Says which models are retired."""
    entries: defaultdict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    """The lock's, by the name of their row, twins too."""
    origins: dict[tuple[str, int], str] = field(default_factory=dict)
    """Digests of the manifest's own pictures that are there, as they were made."""
    makers: dict[str, Provider] = field(default_factory=dict)
    """Who makes a row, in spite of what the lock says."""
    anew: dict[str, frozenset[int]] = field(default_factory=dict)
    """Pictures of a row that are made by today's model, since the lock's is retired."""
    _lost: dict[str, list[Entry]] = field(default_factory=dict)
    """Entries of names that the manifest has no more, by their fingerprint."""
    _kinds: dict[_Kind, Entry] = field(default_factory=dict)
    """One of each kind of those."""
    _digests: dict[str, str] = field(default_factory=dict)
    """Of reference images, each read once, however many rows share it."""

    def sort(self, entries: Iterable[Entry], names: Collection[str]) -> None:
        """Take the lock's entries in; `names` are those of all rows of the manifest."""
        for entry in entries:
            self.entries[entry.name].append(entry)
            if entry.name not in names:
                self._lost.setdefault(entry.fingerprint, []).append(entry)
                self._kinds.setdefault(_kind(entry), entry)

    @property
    def orphans(self) -> list[Entry]:
        """Return the entries of names that the manifest has no more."""
        return [entry for entries in self._lost.values() for entry in entries]

    def has(self, row: Row) -> bool:
        """Tell whether the lock knows a row."""
        return bool(self.entries[row.name])

    def wish(self, row: Row, n: int | None = None) -> Wish | None:
        """Return the row's request, by the entry that it matches, if by any; raise `UsageError`.

        `n` is the picture that it is for; of those that are made anew by default. None: nothing
        says who makes it.
        """
        anew = self.anew.get(row.name, frozenset())
        entries = self.entries[row.name]
        prints = {entry.fingerprint for entry in entries}
        if n in anew or (n is None and anew):
            entries = [self._without_retired(entry) for entry in entries]
            entries.sort(key=lambda entry: bool(entry.model))  # of those that fit, the last
        return self._found(row, entries, prints)

    def former(self, row: Row, n: int) -> Wish | None:
        """Return the request for a picture of before its model was retired, by lock or default.

        What was bought by it may still be had. None: there was none, or the row says its model.
        """
        if said(row, self.typed, "model") is not None:
            return None
        entries = self.entries[row.name]
        if n in self.anew.get(row.name, ()):
            return self._found(row, entries, {entry.fingerprint for entry in entries})
        provider = None if entries else self.makers.get(row.name) or self.provider_of(row, None)
        if provider is None or not provider.former_defaults:
            return None
        before = replace(provider, default_model=provider.former_defaults[-1], stand_ins=())
        try:
            return self._wish(row, before, self._sources(row), None, self._format_named(row))
        except UsageError:
            return None

    def _without_retired(self, entry: Entry) -> Entry:
        provider = self.providers.get(entry.provider)
        model = provider.models.get(entry.model) if provider else None
        is_gone = model is not None and model.is_retired(self.now)
        return replace(entry, model="") if is_gone else entry

    def adopt(self, row: Row) -> Wish | None:
        """Return a new row's request; what the lock has of it by another name becomes its own."""
        try:
            found = self._found(row, self._kinds.values(), self._lost)
        except UsageError:
            found = None
        same = self._lost.pop(found.fingerprint or "", []) if found is not None else []
        if not same:
            return self.wish(row)
        taken = [entry for entry in same if entry.name == same[0].name]
        if left := [entry for entry in same if entry.name != same[0].name]:
            self._lost[same[0].fingerprint] = left
        self.placing.former[row.name] = taken[0].name
        self.entries[row.name] = [replace(entry, name=row.name) for entry in taken]
        return found

    def is_same(self, entry: Entry, found: Wish) -> bool:
        """Tell whether an entry's picture is what a request describes; a placeholder is not."""
        is_real_enough = self.sandbox or not entry.sandbox
        return entry.fingerprint == found.fingerprint and is_real_enough

    def chosen(self, entries: Iterable[Entry], found: Wish) -> dict[int, Entry]:
        """Return one entry a number: of twins that which matches, else the one written last."""
        chosen: dict[int, Entry] = {}
        for entry in entries:
            rival = chosen.get(entry.n)
            if rival is None or self._worth(entry, found) >= self._worth(rival, found):
                chosen[entry.n] = entry
        return chosen

    def whole(self, row: Row, found: Wish) -> list[Entry]:
        """Return the entries of a whole set that matches, of the one written last; or none."""
        entries = self.entries[row.name]
        for size in dict.fromkeys(entry.of for entry in reversed(entries)):
            one = self.chosen([entry for entry in entries if entry.of == size], found)
            if size == len(one) and all(self.is_same(entry, found) for entry in one.values()):
                return [one[n] for n in sorted(one)]
        return []

    def why(self, row: Row, found: Wish, entry: Entry | None) -> str:
        """Say why a picture is not what the lock has."""
        if found.fingerprint is None:
            absent = [r.text for r in row.references if r.row and (r.row, r.n) not in self.origins]
            others, are = ", ".join(absent), "is" if len(absent) == 1 else "are"
            made = f"made from {others}, which {are} made first"
            return made if entry is None else f"{others} {are} made anew"
        if entry is None:
            return "new"
        if entry.fingerprint == found.fingerprint or (entry.sandbox and not self.sandbox):
            return "its picture is a rehearsal's placeholder"
        if entry.provider != found.provider.name:
            return f"provider {entry.provider} → {found.provider.name}"
        if entry.model != found.resolved.request.model:
            return f"model {entry.model} → {found.resolved.request.model}"
        return "its description changed"

    def _worth(self, entry: Entry, found: Wish) -> tuple[bool, bool]:
        return self.is_same(entry, found), self.is_there(entry)

    def _found(self, row: Row, entries: Iterable[Entry], prints: Collection[str]) -> Wish | None:
        # What a rehearsal chose says nothing of a picture that is paid for.
        fills = {_kind(entry): entry for entry in entries if self.sandbox or not entry.sandbox}
        sources = self._sources(row)
        found: Wish | None = None
        for entry in fills.values() or [None]:
            provider = self.makers.get(row.name) or self.provider_of(
                row, entry.provider if entry else None
            )
            if provider is None:
                continue
            found = self._wish(row, provider, sources, entry, self._format_named(row))
            if entry is None or found.fingerprint in prints:
                return found
            other = self._otherwise_named(row, provider, sources, entry)
            if other is not None and other.fingerprint in prints:
                return other
        return found

    def _wish(
        self,
        row: Row,
        provider: Provider,
        sources: Sequence[Source],
        entry: Entry | None,
        named: str | None,
    ) -> Wish:
        return wish(
            row,
            provider,
            self.typed,
            sources,
            entry,
            now=self.now,
            named=(named, self.placing.draft(row).template.rpartition(".")[0]),
            providers=self.providers.values(),
        )

    def _format_named(self, row: Row) -> str | None:
        """Return the format that the name of a row's file asks for."""
        given = self.placing.draft(row).given_extension
        return format_of_extension(given) if given else None

    def _otherwise_named(
        self, row: Row, provider: Provider, sources: Sequence[Source], entry: Entry
    ) -> Wish | None:
        """Return the request as it was when its file's name did not ask for its format, or did.

        To name the file of a picture that is there is to move it, not to make it again.
        """
        now, was = self._format_named(row), format_of_extension(extension(entry.output))
        if was is None or now not in {None, was}:
            return None
        try:
            return self._wish(row, provider, sources, entry, None if now else was)
        except UsageError:
            return None

    def _sources(self, row: Row) -> list[Source]:
        """Return a row's reference images; raise `UsageError` with all that are none."""
        findings, sources = Findings(), []
        for reference in row.references:
            try:
                sources.append(self._source(reference))
            except UsageError as error:
                findings.object(error.message, error.hint)
        findings.settle()
        return sources

    def _source(self, reference: RowReference) -> Source:
        if reference.row is not None:
            digest = self.origins.get((reference.row, reference.n))
            return Source(text=reference.text, digest=digest)
        if "://" in reference.text:
            return Source(text=reference.text)
        path = posixpath.join(self.base, reference.text)
        if path not in self._digests:
            self._digests[path] = self.digest_of(path)
        return Source(text=reference.text, digest=self._digests[path])


def _kind(entry: Entry) -> _Kind:
    """Return all of an entry that can fill up a request."""
    return entry.provider, entry.model, entry.keyword, entry.aspect, extension(entry.output)
