"""What a row asks for, made complete: its own words, the command line's, what the lock resolved.

Never a profile's or the environment's, so that nobody's machine makes a picture stale.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Options, Reference
from seedream_cli.request.check import resolve_named
from seedream_cli.request.options import OF_REQUESTS, overlay
from seedream_cli.request.sizes import is_pixels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.core.model import Request
    from seedream_cli.providers.spec import Provider
    from seedream_cli.request.check import Resolved

_SCHEME: Final = "1"
"""Of fingerprints: another one would be computed beside it, not instead of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One row as a request for one picture, or for one set."""

    provider: Provider
    options: Options
    """Where `count` is 1."""
    resolved: Resolved
    fingerprint: str | None
    """None while a picture that it is made from is yet to be made."""

    @property
    def is_set(self) -> bool:
        """Tell whether one request brings several pictures that belong together."""
        return self.resolved.most_images > 1


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


def wish(
    row: Row,
    provider: Provider,
    typed: Mapping[str, object],
    sources: Sequence[Source],
    entry: Entry | None,
    *,
    now: datetime,
    named: tuple[str | None, str] = (None, ""),
    providers: Iterable[Provider] = (),
) -> Wish:
    """Return a row's request; `named` is the format that its file's name asks for, and its stem.

    What nobody said stays as the lock's `entry` has it, where the model still takes that; `now`
    says which models are retired. Raises `UsageError` that names every mistake.
    """
    _hold_sources(provider, sources)
    plain = _options(row, typed, sources)
    filled = _filled(plain, provider, entry)
    others = tuple(providers)

    def resolved(options: Options) -> Resolved:
        is_any = said(row, typed, "any_format") is True
        # What only a profile says of a model is not asked for: elsewhere nobody knows it.
        model = provider.models.get(options.model or provider.default_model or "")
        is_any = is_any or (model is not None and model.unsaid is not None)
        wanted, stem = (None, "") if is_any else named
        return resolve_named(provider, options, wanted, stem, now=now, providers=others)

    try:
        chosen, found = filled, resolved(filled)
    except UsageError:
        if filled == plain:
            raise
        chosen, found = plain, resolved(plain)
    is_known = all(source.digest is not None for source in sources)
    print_ = _fingerprint(provider, chosen, found) if is_known else None
    return Wish(provider=provider, options=chosen, resolved=found, fingerprint=print_)


def said(row: Row, typed: Mapping[str, object], name: str) -> object:
    """Return an option as the row has it, else as the command line has it, else None."""
    own = getattr(row, name) if name in {"output", "model", "count"} else row.options.get(name)
    return own if own is not None else typed.get(name)


def is_model_chosen(row: Row, typed: Mapping[str, object], found: Wish) -> bool:
    """Tell whether somebody means the very model of a request: no lock, no older short name."""
    word = said(row, typed, "model")
    ids = found.provider.short_names.get(str(word).lower(), ())
    if not ids:
        return word is not None
    today, made = found.provider.models.get(ids[-1]), found.resolved.request.model
    return made == ids[-1] or (today is not None and made in {today.edit_twin, today.text_twin})


def count_of(row: Row, typed: Mapping[str, object]) -> int:
    """Return how many pictures a row asks for by number."""
    count = said(row, typed, "count")
    return count if isinstance(count, int) else 1


def keyword_of(request: Request) -> str | None:
    """Return a request's size in the words that the lock keeps."""
    return request.keyword or (str(request.size) if request.size else None)


def aspect_of(request: Request) -> str | None:
    """Return a request's aspect where it is a choice of its own beside the size."""
    return request.aspect if request.keyword or not request.size else None


def _options(row: Row, typed: Mapping[str, object], sources: Sequence[Source]) -> Options:
    agreed = overlay(row.options, typed)
    return Options(  # the types were checked where the values were read
        prompt=row.prompt,
        model=said(row, typed, "model"),  # type: ignore[arg-type]
        extra=agreed.get("set", {}),  # type: ignore[arg-type]
        references=tuple(_reference(source) for source in sources),
        edit=bool(sources),
        **{name: agreed.get(name) for name in OF_REQUESTS},  # type: ignore[arg-type]
    )


def _filled(options: Options, provider: Provider, entry: Entry | None) -> Options:
    """Return the options with what was left unset as the lock resolved it."""
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


def _hold_sources(provider: Provider, sources: Sequence[Source]) -> None:
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


def _fingerprint(provider: Provider, options: Options, resolved: Resolved) -> str:
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
    told = {key: value for key, value in words.items() if value is not None}
    text = json.dumps(told, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return f"{_SCHEME}:{hashlib.sha256(text.encode()).hexdigest()}"
