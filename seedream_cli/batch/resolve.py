"""From a row and its lock lines to a target: what it asks for, complete, as one request.

By its own words, the command line's and what the lock resolved; never by a profile's or the
environment's, so that nobody's machine makes a picture stale.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from seedream_cli.batch.lock.entries import Entry
from seedream_cli.core.errors import UsageError
from seedream_cli.core.formats import format_of_extension
from seedream_cli.core.model import Options, Reference
from seedream_cli.core.record import dataclass, field, replace
from seedream_cli.request.check import resolve_named
from seedream_cli.request.findings import Findings
from seedream_cli.request.options import OF_REQUESTS, overlay
from seedream_cli.request.sizes import is_pixels
from seedream_cli.storage.files import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.manifest.read import Row, RowReference
    from seedream_cli.core.model import Request
    from seedream_cli.providers.spec import Capabilities, Provider
    from seedream_cli.request.check import Resolved
    from seedream_cli.storage.files.digest import FileDigest

_SCHEME: Final = "1"
"""Of description digests: another one would be computed beside it, not instead of it."""


PLACEHOLDER: Final = "its picture is a rehearsal's placeholder"
"""Why a picture is made that only a rehearsal made."""
_DEFAULT: Final = "{name}.{ext}"
_Kind = tuple[str, str, str | None, str | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContext:
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
    look: Callable[[str], FileDigest | None]
    """What lies at an absolute path."""
    digest_of: Callable[[str], str]
    """The digest of a reference image at an absolute path; raises `UsageError`."""
    now: datetime
    """Says which models are retired."""
    path: str = ""
    """The manifest's own, absolute; empty where it has none."""
    _drafts: dict[tuple[object, ...], naming.Destination] = field(default_factory=dict)
    """By all that they depend on: of thousands of rows each is asked for several times."""

    def draft(
        self, row: Row, name: str = "", *, many: bool = False, is_set: bool = False
    ) -> naming.Destination:
        """Return where a row's pictures go by its words, or by its name where it has none."""
        output = option_of(row, self.typed, "output")
        key = (output, name or row.name, many, is_set)
        if key not in self._drafts:
            text = output if isinstance(output, str) else _DEFAULT
            text = f"{text}{_DEFAULT}" if text.endswith("/") else text
            template = naming.fill(text, name or row.name)
            plan = naming.plan(template, base=self.base, many=many, many_per_job=is_set)
            self._drafts[key] = plan
        return self._drafts[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a row asks for, as a request for one picture or for one set."""

    row: Row
    provider: Provider
    resolved: Resolved
    """Its request's `count` is 1."""
    description_digest: str | None
    """None while a picture that it is made from is yet to be made."""

    @property
    def request(self) -> Request:
        """What is to be sent."""
        return self.resolved.request

    @property
    def capabilities(self) -> Capabilities | None:
        """What its model can do; None: not known here."""
        return self.resolved.capabilities

    @property
    def most(self) -> int:
        """How many pictures its request may bring."""
        return self.resolved.most_images

    @property
    def is_set(self) -> bool:
        """Tell whether one request brings several pictures that belong together."""
        return self.most > 1

    def entry(self, n: int, output: str, sha256: str, size: int, made_at: datetime) -> Entry:
        """Return the lock's line of a picture of it: its file's path, digest and bytes."""
        return Entry(
            name=self.row.name,
            n=n,
            output=output,
            description_digest=self.description_digest or "",
            sha256=sha256,
            size=size,
            provider=self.provider.name,
            model=self.request.model,
            keyword=keyword_of(self.request),
            aspect=aspect_of(self.request),
            date=f"{made_at:%Y-%m-%d}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A reference image of a row, as far as it is known before anything is sent."""

    text: str
    digest: str | None = ""
    """Lower-case hex SHA-256; empty for a foreign URL; None while it is yet to be made."""

    @property
    def is_url(self) -> bool:
        """Tell whether the provider fetches it itself."""
        return self.digest == ""


def resolve_row(
    row: Row,
    provider: Provider,
    typed: Mapping[str, object],
    sources: Sequence[Source],
    entry: Entry | None,
    *,
    now: datetime,
    named: tuple[str | None, str] = (None, ""),
    providers: Iterable[Provider] = (),
) -> Target:
    """Return a row's request; `named` is the format that its file's name asks for, and its stem.

    What nobody said stays as the lock's `entry` has it, where the model still takes that; `now`
    says which models are retired. Raises `UsageError` that names every mistake.
    """
    _check_sources(provider, sources)
    plain = options_of(row, typed, sources)
    filled = _fill(plain, provider, entry)
    others = tuple(providers)

    def resolve_options(options: Options) -> Resolved:
        is_any = option_of(row, typed, "any_format") is True
        # What only a profile says of a model is not asked for: elsewhere nobody knows it.
        model = provider.models.get(options.model or provider.default_model or "")
        is_any = is_any or (model is not None and model.unsaid is not None)
        wanted, stem = (None, "") if is_any else named
        return resolve_named(provider, options, wanted, stem, now=now, providers=others)

    try:
        chosen, found = filled, resolve_options(filled)
    # The model takes the lock's words no more: then only those of the row count.
    except UsageError:
        if filled == plain:
            raise
        chosen, found = plain, resolve_options(plain)
    is_known = all(source.digest is not None for source in sources)
    print_ = _digest_description(provider, chosen, found) if is_known else None
    return Target(row=row, provider=provider, resolved=found, description_digest=print_)


def option_of(row: Row, typed: Mapping[str, object], name: str) -> object:
    """Return an option as the row has it, else as the command line has it, else None."""
    # A row's own word beats the command line's: a manifest says what its pictures are.
    own = getattr(row, name) if name in {"output", "model", "count"} else row.options.get(name)
    return own if own is not None else typed.get(name)


def is_model_chosen(typed: Mapping[str, object], target: Target) -> bool:
    """Tell whether somebody means the very model of a request: no lock, no older short name."""
    word = option_of(target.row, typed, "model")
    ids = target.provider.short_names.get(str(word).lower(), ())
    if not ids:
        return word is not None
    today, made = target.provider.models.get(ids[-1]), target.request.model
    return made == ids[-1] or (today is not None and made in {today.edit_twin, today.text_twin})


def count_of(row: Row, typed: Mapping[str, object]) -> int:
    """Return how many pictures a row asks for by number."""
    count = option_of(row, typed, "count")
    return count if isinstance(count, int) else 1


def keyword_of(request: Request) -> str | None:
    """Return a request's size in the words that the lock keeps."""
    return request.keyword or (str(request.size) if request.size else None)


def aspect_of(request: Request) -> str | None:
    """Return a request's aspect where it is a choice of its own beside the size."""
    return request.aspect if request.keyword or not request.size else None


def options_of(row: Row, typed: Mapping[str, object], sources: Sequence[Source]) -> Options:
    """Return what a row asks for by its own words and the command line's, before any default."""
    agreed = overlay(row.options, typed)
    return Options(  # the types were checked where the values were read
        prompt=row.prompt,
        model=option_of(row, typed, "model"),  # type: ignore[arg-type]
        extra=agreed.get("set", {}),  # type: ignore[arg-type]
        references=tuple(_reference(source) for source in sources),
        edit=bool(sources),
        **{name: agreed.get(name) for name in OF_REQUESTS},  # type: ignore[arg-type]
    )


def _fill(options: Options, provider: Provider, entry: Entry | None) -> Options:
    """Return the options with what was left unset as the lock resolved it.

    the lock has 2K, and nobody says a size         2K
    the lock has 2K, the row says 4K                4K
    the lock has 2048x2048, the row says 16:9       16:9 alone: the model's own size
    """
    if entry is None or entry.provider != provider.name:
        return options
    if options.model is None and entry.model and provider.default_model is not None:
        options = replace(options, model=entry.model)
    # A short name stays what it meant when the picture was made: an update makes nothing stale.
    if options.model is not None and entry.model in provider.meanings(options.model.lower()):
        options = replace(options, model=entry.model)
    is_shaped = options.size is not None or options.quality is not None
    # Nobody asked for the lock's words: unlike a profile's or [defaults]' they give way in silence.
    is_clash = is_pixels(entry.keyword or "") and options.aspect is not None
    if entry.keyword and not is_shaped and not is_clash:
        options = replace(options, size=entry.keyword)
    if options.aspect is None and entry.aspect and not is_pixels(options.size or ""):
        options = replace(options, aspect=entry.aspect)
    return options


def _check_sources(provider: Provider, sources: Sequence[Source]) -> None:
    """Object to files where only URLs are taken; a picture made meanwhile may still have one."""
    local = [s.text for s in sources if not s.is_url and not s.text.startswith("images.")]
    if local and provider.reference_kinds == {"url"}:
        raise UsageError(
            f"{provider.name} takes references by URL only, and {local[0]} is a file",
            hint="give an https URL, or another profile",
        )
    foreign = [s.text for s in sources if s.is_url and "://" in s.text]
    if foreign and "url" not in provider.reference_kinds:
        raise UsageError(
            f"the gateway takes reference files, and {foreign[0]} is an address",
            hint="save the picture and name its file",
        )


def _reference(source: Source) -> Reference:
    if source.is_url:
        return Reference(source=source.text, url=source.text)
    digest = source.digest or ""
    return Reference(source=source.text, url=f"upload:{digest}", digest=digest)


def _digest_description(provider: Provider, options: Options, resolved: Resolved) -> str:
    """Name what a picture is made from, in our own words: they outlive a provider's encoding."""
    request = resolved.request
    # Of a known model the size says it; of another nobody knows that it does.
    is_said_by_size = request.keyword is not None and request.is_known_model
    words = {
        "provider": provider.name,
        "model": request.model,
        "prompt": request.prompt,
        "size": keyword_of(request),
        "aspect": aspect_of(request),
        "quality": None if is_said_by_size else options.quality,
        "series": request.series,
        "seed": request.seed,
        # 7 and 7.0 are one number, whoever wrote it.
        "guidance": None if request.guidance is None else float(request.guidance),
        "steps": request.steps,
        "format": request.format,
        "watermark": request.watermark or None,
        "set": dict(request.extra) or None,
        "references": [each.digest or each.url for each in request.references] or None,
    }
    # What is not said leaves no trace: an option that we add makes no old picture stale.
    told = {key: value for key, value in words.items() if value is not None}
    text = json.dumps(told, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return f"{_SCHEME}:{hashlib.sha256(text.encode()).hexdigest()}"


class Resolver:
    """Finds the request of each row; rows come behind those that they are made from."""

    def __init__(
        self,
        context: BatchContext,
        entries: Iterable[Entry],
        names: Collection[str],
        is_there: Callable[[Entry], bool],
    ) -> None:
        """Take the lock's entries in, twins too; `names` are those of all rows of the manifest.

        `is_there` tells whether the very file of an entry lies where the lock has it.
        """
        self._context = context
        self._is_there = is_there
        self.entries: defaultdict[str, list[Entry]] = defaultdict(list)
        """The lock's, by the name of their row."""
        self.origins: dict[tuple[str, int], str] = {}
        """Digests of the manifest's own pictures that are there, as they were made."""
        self.makers: dict[str, Provider] = {}
        """Who makes a row, in spite of what the lock says."""
        self.anew: dict[str, frozenset[int]] = {}
        """Pictures of a row that are made by today's model, since the lock's is retired."""
        self.former_names: dict[str, str] = {}
        """What the lock calls a row, where it has another name."""
        self._lost: dict[str, list[Entry]] = {}
        """Entries of names that the manifest has no more, by their description digest."""
        self._kinds: dict[_Kind, Entry] = {}
        """One of each kind of those."""
        self._digests: dict[str, str] = {}
        """Of reference images, each read once, however many rows share it."""
        for entry in entries:
            self.entries[entry.name].append(entry)
            if entry.name not in names:
                self._lost.setdefault(entry.description_digest, []).append(entry)
                self._kinds.setdefault(_kind(entry), entry)

    @property
    def orphans(self) -> list[Entry]:
        """Return the entries of names that the manifest has no more."""
        return [entry for entries in self._lost.values() for entry in entries]

    def has(self, row: Row) -> bool:
        """Tell whether the lock knows a row."""
        return bool(self.entries[row.name])

    def target(self, row: Row, n: int | None = None) -> Target | None:
        """Return the row's request, by the entry that it matches, if by any; raise `UsageError`.

        `n` is the picture that it is for; of those that are made anew by default. None: nothing
        says who makes it.
        """
        anew = self.anew.get(row.name, frozenset())
        entries = self.entries[row.name]
        prints = {entry.description_digest for entry in entries}
        # A retired model's lines still say the rest: the size, the aspect, the provider.
        if n in anew or (n is None and anew):
            entries = [self._without_retired(entry) for entry in entries]
            entries.sort(key=lambda entry: bool(entry.model))  # of those that fit, the last
        return self._match(row, entries, prints)

    def former(self, row: Row, n: int) -> Target | None:
        """Return the request for a picture of before its model was retired, by lock or default.

        What was bought by it may still be had. None: there was none, or the row says its model.
        """
        if option_of(row, self._context.typed, "model") is not None:
            return None
        entries = self.entries[row.name]
        if n in self.anew.get(row.name, ()):
            return self._match(row, entries, {entry.description_digest for entry in entries})
        provider = (
            None if entries else self.makers.get(row.name) or self._context.provider_of(row, None)
        )
        if provider is None or not provider.former_defaults:
            return None
        before = replace(provider, default_model=provider.former_defaults[-1], stand_ins=())
        try:
            return self._resolve(row, before, self._sources(row)[0], None, self._format_named(row))
        except UsageError:
            return None

    def _without_retired(self, entry: Entry) -> Entry:
        provider = self._context.providers.get(entry.provider)
        model = provider.models.get(entry.model) if provider else None
        is_gone = model is not None and model.is_retired(self._context.now)
        return replace(entry, model="") if is_gone else entry

    def adopt(self, row: Row) -> Target | None:
        """Return a new row's request; what the lock has of it by another name becomes its own."""
        if not self._kinds:
            return self.target(row)
        try:
            found = self._match(row, self._kinds.values(), self._lost)
        except UsageError:
            found = None
        same = self._lost.pop(found.description_digest or "", []) if found is not None else []
        if not same:
            return self.target(row)
        # Equal rows share a digest: one name's lines go to this row, the others stay for the next.
        taken = [entry for entry in same if entry.name == same[0].name]
        if left := [entry for entry in same if entry.name != same[0].name]:
            self._lost[same[0].description_digest] = left
        self.former_names[row.name] = taken[0].name
        self.entries[row.name] = [replace(entry, name=row.name) for entry in taken]
        return found

    def is_same(self, entry: Entry, found: Target) -> bool:
        """Tell whether an entry's picture is what a request describes; a placeholder is not."""
        is_real_enough = self._context.sandbox or not entry.sandbox
        return entry.description_digest == found.description_digest and is_real_enough

    def chosen(self, entries: Iterable[Entry], found: Target) -> dict[int, Entry]:
        """Return one entry a number: of twins that which matches, else the one written last."""
        chosen: dict[int, Entry] = {}
        for entry in entries:
            rival = chosen.get(entry.n)
            if rival is None or self._worth(entry, found) >= self._worth(rival, found):
                chosen[entry.n] = entry
        return chosen

    def whole(self, row: Row, found: Target) -> list[Entry]:
        """Return the entries of a whole set that matches, of the one written last; or none."""
        entries = self.entries[row.name]
        # The set that was written last first: an earlier one of another size may be there too.
        for size in dict.fromkeys(entry.of for entry in reversed(entries)):
            one = self.chosen([entry for entry in entries if entry.of == size], found)
            if size == len(one) and all(self.is_same(entry, found) for entry in one.values()):
                return [one[n] for n in sorted(one)]
        return []

    def why(self, row: Row, found: Target, entry: Entry | None) -> str:
        """Say why a picture is not what the lock has."""
        if found.description_digest is None:
            absent = [r.text for r in row.references if r.row and (r.row, r.n) not in self.origins]
            others, are = ", ".join(absent), "is" if len(absent) == 1 else "are"
            made = f"made from {others}, which {are} made first"
            return made if entry is None else f"{others} {are} made anew"
        if entry is None:
            return "new"
        if entry.description_digest == found.description_digest or (
            entry.sandbox and not self._context.sandbox
        ):
            return PLACEHOLDER
        if entry.provider != found.provider.name:
            return f"provider {entry.provider} → {found.provider.name}"
        if entry.model != found.resolved.request.model:
            return f"model {entry.model} → {found.resolved.request.model}"
        return "its description changed"

    def _worth(self, entry: Entry, found: Target) -> tuple[bool, bool]:
        return self.is_same(entry, found), self._is_there(entry)

    def _match(self, row: Row, entries: Iterable[Entry], prints: Collection[str]) -> Target | None:
        # What a rehearsal chose says nothing of a picture that is paid for.
        fills = {
            _kind(entry): entry for entry in entries if self._context.sandbox or not entry.sandbox
        }
        sources, findings = self._sources(row)
        found: Target | None = None
        for entry in fills.values() or [None]:
            provider = self.makers.get(row.name) or self._context.provider_of(
                row, entry.provider if entry else None
            )
            if provider is None:
                continue
            if findings.mistakes:
                self._refuse(row, provider, sources, findings)
            found = self._resolve(row, provider, sources, entry, self._format_named(row))
            # A row has the lock's line that its request leads to, by what that very line resolved.
            if entry is None or found.description_digest in prints:
                return found
            other = self._name_otherwise(row, provider, sources, entry)
            if other is not None and other.description_digest in prints:
                return other
        return found

    def _refuse(
        self, row: Row, provider: Provider, sources: Sequence[Source], findings: Findings
    ) -> None:
        """Raise what is wrong with a row's references, and what its model cannot do besides."""
        try:
            self._resolve(row, provider, sources, None, self._format_named(row))
        except UsageError as error:
            findings.mistakes += error.parts or [error]
        findings.raise_all()

    def _resolve(
        self,
        row: Row,
        provider: Provider,
        sources: Sequence[Source],
        entry: Entry | None,
        named: str | None,
    ) -> Target:
        return resolve_row(
            row,
            provider,
            self._context.typed,
            sources,
            entry,
            now=self._context.now,
            named=(named, self._context.draft(row).template.rpartition(".")[0]),
            providers=self._context.providers.values(),
        )

    def _format_named(self, row: Row) -> str | None:
        """Return the format that the name of a row's file asks for."""
        given = self._context.draft(row).given_extension
        return format_of_extension(given) if given else None

    def _name_otherwise(
        self, row: Row, provider: Provider, sources: Sequence[Source], entry: Entry
    ) -> Target | None:
        """Return the request as it was when its file's name did not ask for its format, or did.

        To name the file of a picture that is there is to move it, not to make it again.
        """
        now, was = self._format_named(row), format_of_extension(extension(entry.output))
        if was is None or now not in {None, was}:
            return None
        try:
            return self._resolve(row, provider, sources, entry, None if now else was)
        except UsageError:
            return None

    def _sources(self, row: Row) -> tuple[list[Source], Findings]:
        """Return a row's reference images, and what is wrong with those that are none."""
        findings, sources = Findings(), []
        for reference in row.references:
            try:
                sources.append(self._source(reference))
            except UsageError as error:
                findings.object(error.message, error.hint)
                sources.append(Source(text=reference.text, digest=None))
        return sources, findings

    def _source(self, reference: RowReference) -> Source:
        if reference.row is not None:
            digest = self.origins.get((reference.row, reference.n))
            return Source(text=reference.text, digest=digest)
        if "://" in reference.text:
            return Source(text=reference.text)
        path = posixpath.join(self._context.base, reference.text)
        if path not in self._digests:
            self._digests[path] = self._context.digest_of(path)
        return Source(text=reference.text, digest=self._digests[path])


def _kind(entry: Entry) -> _Kind:
    """Return all of an entry that can fill up a request."""
    return entry.provider, entry.model, entry.keyword, entry.aspect, extension(entry.output)


def extension(path: str) -> str:
    """Return a path's extension without its dot."""
    return posixpath.splitext(path)[1].removeprefix(".")


def sort_by_source(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with each behind those that it is made from; there is no cycle in them."""
    by_name = {row.name: row for row in rows}
    done: dict[str, Row] = {}
    for row in rows:
        # By a list, not by recursion: a chain may be thousands of rows long.
        path = [row]
        while path:
            needed = [r.row for r in path[-1].references if r.row and r.row not in done]
            if needed:
                path.append(by_name[needed[0]])
            else:
                last = path.pop()
                done[last.name] = last
    return list(done.values())
