"""Who pays for the rows of a batch: keys read once, references that rows share uploaded once."""

from __future__ import annotations

import posixpath
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from seedream_cli.core.errors import AccountError, SeedreamError, UsageError
from seedream_cli.core.model import State
from seedream_cli.core.record import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seedream_cli.batch.action import Action, Key
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.cli.arguments import GenerateArguments
    from seedream_cli.cli.context import CommandContext
    from seedream_cli.core.model import Call, Profile, Reference
    from seedream_cli.engine.context import Context
    from seedream_cli.engine.references import LoadedReference
    from seedream_cli.providers.spec import Provider
    from seedream_cli.request.purchase import Purchase


@dataclass(slots=True, kw_only=True)
class Accounts:
    """The accounts of one batch, and what is sent to them; safe to ask from any thread."""

    world: CommandContext
    asked: GenerateArguments
    sandbox: bool
    _profiles: dict[tuple[str | None, str], Profile] = field(default_factory=dict)
    _keyed: dict[str, Profile] = field(default_factory=dict)
    _uploads: dict[str, threading.Lock] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def provider_of(self, row: Row, locked: str | None) -> Provider | None:
        """Return whose picture a row's is: what the manifest or the lock says, else the account."""
        from seedream_cli.providers import PROVIDERS

        found = PROVIDERS.get(row.profile or "") or PROVIDERS.get(locked or "")
        # The lock's word counts, also where this version does not know it: then nobody makes it.
        if found is not None or locked is not None:
            return found and self._as_account_has_it(row, found)
        if self.asked.check:
            return None
        try:
            return self.world.provider(self.profile(row.profile))
        except AccountError:
            # A plan is shown to who has no account, too.
            if self.asked.plan:
                return None
            raise

    def maker_of(self, row: Row) -> Provider | None:
        """Return the provider that was chosen by name for what is to be made, if one was."""
        if self.asked.check or not (row.profile or self.asked.profile):
            return None
        return self.world.provider(self.profile(row.profile))

    def _as_account_has_it(self, row: Row, provider: Provider) -> Provider:
        """Return a provider with the models and prices of who pays; `--check` asks no config."""
        if self.asked.check:
            return provider
        try:
            return self.world.provider(self.profile_of(row, provider))
        except AccountError:
            return provider

    def profile(self, name: str | None) -> Profile:
        """Return the profile of a name, or the command's (None), without its key."""
        key = (name, "")
        if key not in self._profiles:
            chosen = name or self.asked.profile
            self._profiles[key] = self.world.profile(chosen, sandbox=self.sandbox)
        return self._profiles[key]

    def profile_of(self, row: Row, provider: Provider) -> Profile:
        """Return the account that pays for a row, without its key; raise `AccountError`."""
        key = (row.profile, provider.name)
        if key not in self._profiles:
            self._profiles[key] = self._find(row, provider)
        return self._profiles[key]

    def _find(self, row: Row, provider: Provider) -> Profile:
        """Return the row's profile, else `-p`, else the default, else the only one there is.

        profile = "a" in the row                 a, if it speaks to who makes the picture
        -p b                                     b, if it does
        neither, and the default speaks to it    the default
        two others do                            a mistake: which account pays is not guessed
        """
        for name in (*filter(None, (row.profile, self.asked.profile)), None):
            chosen = self._speaking(name, provider)
            if chosen is not None:
                return chosen
        others = [self._speaking(name, provider) for name in self.world.config.profiles]
        found = [profile for profile in others if profile is not None]
        if len(found) > 1:
            raise AccountError(
                f"{row.name} is made by {provider.name}, and several profiles speak to it:"
                f" {', '.join(profile.name for profile in found)}",
                hint="choose who pays: -p NAME, or profile = in the manifest",
            )
        bare = self._speaking(provider.name, provider)
        for profile in filter(None, [*found, bare]):
            return profile
        raise AccountError(
            f"{row.name} is made by {provider.name}, and no profile here speaks to it",
            hint="add one, or choose another account for what is to be made: -p NAME, or profile ="
            f" in the manifest{f'; {provider.key_env[0]} would do' if provider.key_env else ''}",
        )

    def _speaking(self, name: str | None, provider: Provider) -> Profile | None:
        """Return the profile of that name (None: the default) if it speaks to a provider."""
        try:
            profile = self.world.profile(name, sandbox=self.sandbox)
        except SeedreamError:
            return None
        return profile if profile.provider == provider.name else None

    def key(self, profile: Profile) -> Profile:
        """Return a profile with its key, read once; raise `AccountError`."""
        with self._mutex:
            if profile.name not in self._keyed:
                from seedream_cli.transport.proxies import check_proxies

                check_proxies(self.world.environ, profile.base_url)
                self._keyed[profile.name] = self.world.keyed(profile)
            return self._keyed[profile.name]

    # -- sent ----------------------------------------------------------------------------------

    def call(
        self,
        engine: Context,
        base: str,
        entries: Mapping[Key, Entry],
        action: Action,
        purchase: Purchase,
    ) -> Call:
        """Return what is sent, its reference images read and, where they must be, uploaded.

        `base` is the manifest's folder, `entries` are of pictures that are there. Raises
        `AccountError`, `UsageError`, `StorageError`, `Unsent`.
        """
        from seedream_cli.engine.references import (
            ReferenceLoader,
            check_references,
            encode_references,
        )

        target, request = action.target, purchase.request
        if target is None or not request.references:
            return purchase.call
        profile = self.key(self.profile_of(action.row, target.provider))
        loader = ReferenceLoader(lambda: engine.ledger, profile, bytes, engine.clock.now())
        loaded = loader.load(list(_sources(engine, base, entries, action.row)))
        mistakes, _ = check_references(loaded, target.capabilities)
        # What was planned by other bytes would be recorded as made from them.
        mistakes += list(_changes(entries, action.row, loaded, request.references))
        if mistakes:
            raise UsageError("; ".join(mistakes))
        references = encode_references(loaded, target.provider)
        if "upload" in target.provider.reference_kinds and any(each.local for each in loaded):
            references = self._upload(engine, profile, target.provider, references, loaded)
        return target.provider.dialect.submit(replace(request, references=references))

    def _upload(
        self,
        engine: Context,
        profile: Profile,
        provider: Provider,
        references: tuple[Reference, ...],
        loaded: Sequence[LoadedReference],
    ) -> tuple[Reference, ...]:
        from seedream_cli.engine.references import upload_references

        with ExitStack() as held:
            # In one order in all threads: rows that share two pictures never wait in a ring.
            for digest in sorted({each.digest for each in loaded if each.local}):
                held.enter_context(self._turn(digest))
            return tuple(
                upload_references(
                    references,
                    loaded,
                    provider=provider,
                    profile=profile,
                    transport=engine.transport,
                    ledger=engine.ledger,
                    now=engine.clock.now(),
                )
            )

    def _turn(self, digest: str) -> threading.Lock:
        """Return the lock of one reference image: rows that share it upload it once."""
        with self._mutex:
            return self._uploads.setdefault(digest, threading.Lock())


def _sources(engine: Context, base: str, entries: Mapping[Key, Entry], row: Row) -> Iterator[str]:
    """Yield each reference as `-i` would have it."""
    for reference in row.references:
        if reference.row is not None:
            yield _name_picture(engine, base, entries, (reference.row, reference.n))
        elif "://" in reference.text:
            yield reference.text
        else:
            yield posixpath.join(base, reference.text)


def _name_picture(engine: Context, base: str, entries: Mapping[Key, Entry], key: Key) -> str:
    """Name a picture of this manifest: by its job, whose URL may live, else by its file."""
    entry = entries.get(key)
    if entry is None:
        raise UsageError(f"images.{key[0]} is not made", hint="run the same again")
    # A file that a person changed is what is meant, not what the provider once sent.
    if entry.made is None:
        for job in engine.ledger.of_row(key[0], states={State.SAVED}, limit=20):
            for image in job.images:
                if image.sha256 == entry.sha256 and image.url:
                    return f"job:{job.id}.{image.index}"
    return posixpath.join(base, entry.output)


def _changes(
    entries: Mapping[Key, Entry],
    row: Row,
    loaded: Sequence[LoadedReference],
    planned: Sequence[Reference],
) -> Iterator[str]:
    """Name references that are not any more what the row was planned by."""
    for written, each, reference in zip(row.references, loaded, planned, strict=True):
        right = {reference.digest}
        if written.row is not None and (entry := entries.get((written.row, written.n))):
            right |= {entry.sha256, entry.origin}
        if each.digest not in right:
            yield f"{written.text} was changed meanwhile"
