"""The world as one command finds it: environment, folders, profiles, ledger, network."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from seedream_cli.core.clock import SystemClock, moment
from seedream_cli.core.errors import AccountError, ConfigError, SeedreamError, UsageError
from seedream_cli.core.record import dataclass, field
from seedream_cli.core.text import shell_line, span_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import ExitStack
    from datetime import datetime
    from pathlib import Path

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job, Profile
    from seedream_cli.engine.context import Context, Timing
    from seedream_cli.providers.spec import Provider
    from seedream_cli.sandbox.server import Sandbox
    from seedream_cli.storage.config.file import Config
    from seedream_cli.storage.config.places import Places
    from seedream_cli.storage.files.store import Files
    from seedream_cli.storage.ledger.ledger import Ledger
    from seedream_cli.storage.ledger.owner import Owner
    from seedream_cli.transport.client import Transport


_FIRST_LOOK: Final = 10.0
"""Seconds after which the list of a provider is usually first asked for a lost answer."""


@dataclass(slots=True, kw_only=True)
class CommandContext:
    """Made once a command, its costly parts on first use; `exits` closes them."""

    environ: Mapping[str, str]
    exits: ExitStack
    clock: SystemClock
    _places: Places | None = None
    _config: Config | None = None
    _ledger: Ledger | None = None
    _owner: Owner | None = None
    _sandbox: Sandbox | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def of_process(exits: ExitStack, *, is_still: bool = False) -> CommandContext:
        """Read this process's environment; nothing else does. `is_still`: no line is to move."""
        still = {"SEEDREAM_NO_PROGRESS": "1"} if is_still else {}
        environ = dict(os.environ) | still
        return CommandContext(environ=environ, exits=exits, clock=SystemClock())

    @property
    def places(self) -> Places:
        """Where config and state live."""
        from seedream_cli.storage.config.places import places

        self._places = self._places or places(self.environ)
        return self._places

    @property
    def config(self) -> Config:
        """What `config.toml` says."""
        from seedream_cli.storage.config.file import load

        self._config = self._config or load(self.places.config_file)
        return self._config

    @property
    def _ledger_file(self) -> Path:
        return self.places.state_dir / "ledger.db"

    @property
    def has_ledger(self) -> bool:
        """Tell whether there is one; none is made to look into."""
        # To look is not to open: a command that buys nothing leaves no ledger behind.
        return self._ledger_file.exists()

    @property
    def ledger(self) -> Ledger:
        """The one ledger."""
        from seedream_cli.storage.ledger.ledger import Ledger

        if self._ledger is None:
            self._ledger = Ledger(self._ledger_file, now=self.clock.now)
            self.exits.callback(self._ledger.close)
        return self._ledger

    @property
    def owner(self) -> Owner:
        """The name of this process, its lock held until the command ends."""
        import secrets

        from seedream_cli.request.purchase import new_id
        from seedream_cli.storage.ledger.owner import Owner

        if self._owner is None:
            name = new_id(secrets.choice)
            self._owner = self.exits.enter_context(Owner(self.places.state_dir / "owners", name))
        return self._owner

    def profile(self, name: str | None, *, sandbox: bool = False) -> Profile:
        """Return the profile of this run, without its key."""
        from seedream_cli.storage.config.profiles import choose

        return choose(self.config, self.environ, name=name, sandbox=sandbox)

    def provider(self, profile: Profile) -> Provider:
        """Return a profile's provider, with what the profile says of its models."""
        from seedream_cli.providers import PROVIDERS
        from seedream_cli.providers.customize import customize

        return customize(PROVIDERS[profile.provider], profile)

    def check_account(self, name: str) -> None:
        """Raise `UsageError` for what is no profile, no provider, and never was one of a job."""
        from seedream_cli.providers import PROVIDERS

        if name in PROVIDERS or name in self.config.profiles:
            return
        if not self.has_ledger or not self.ledger.has_account(name):
            hint = "seedream providers"
            raise UsageError(f"-p {name}: there is no such profile or provider", hint=hint)

    def keyed(self, profile: Profile) -> Profile:
        """Return a profile with its key; raise `AccountError` where there is none."""
        from seedream_cli.storage.config.profiles import with_key

        return with_key(profile, self.config, self.environ)

    def account(self, preferred: str | None) -> Callable[[Job], Profile]:
        """Return what finds the profile that may be asked about a job, with its key."""
        found: dict[tuple[str, str, str], Profile] = {}

        def account(job: Job) -> Profile:
            key = (job.profile, job.provider, job.origin)
            if key not in found:
                found[key] = self._account(job, preferred)
            return found[key]

        return account

    def _account(self, job: Job, preferred: str | None) -> Profile:
        lacking: AccountError | None = None
        for profile in self.profiles_of(job, preferred):
            try:
                return self.keyed(profile)
            except AccountError as error:
                # The first one's trouble is told: it is the profile that bought the job.
                lacking = lacking or error
        if lacking is not None:
            raise lacking
        raise AccountError(
            f"no profile speaks to {job.origin}, where job {job.id} was bought",
            hint=shell_line(
                ["seedream", "providers", "add", job.profile, "--provider", job.provider]
            ),
        )

    def is_open_to_any(self, preferred: str | None) -> Callable[[Job], bool]:
        """Return what tells whether a job's profile lets pictures come from private addresses."""

        def is_open(job: Job) -> bool:
            try:
                profile = next(self.profiles_of(job, preferred), None)
            except SeedreamError:
                return False  # no config that can be read opens nothing
            return profile is not None and profile.image_hosts == "any"

        return is_open

    def profiles_of(self, job: Job, preferred: str | None) -> Iterator[Profile]:
        """Yield the profiles, without their keys, that speak to where a job was bought."""
        from seedream_cli.core.addresses import origin
        from seedream_cli.storage.config.profiles import choose

        # Who bought it is asked first: another account of the same provider does not know it.
        names = dict.fromkeys((job.profile, preferred, job.provider, *self.config.profiles))
        for name in filter(None, names):
            try:
                profile = choose(self.config, self.environ, name=name, sandbox=job.sandbox)
            except SeedreamError:
                continue
            # `SEEDREAM_SANDBOX` is of new purchases; a real job stays one.
            if profile.sandbox != job.sandbox:
                profile = choose(self.config, _without_sandbox(self.environ), name=name)
            if profile.provider == job.provider and origin(profile.base_url) == job.origin:
                yield profile

    def transport(self, observe: Callable[[Event], None], *, with_bodies: bool) -> Transport:
        """Return what speaks HTTP, with the environment's proxies and certificates."""
        from seedream_cli.core.addresses import SANDBOX_ORIGIN
        from seedream_cli.transport.client import Transport
        from seedream_cli.transport.proxies import certificates, check_certificates, proxy_for

        # Before anything is paid: later it would stop a picture on its way.
        check_certificates(self.environ)
        return Transport(
            proxy_of=lambda url: proxy_for(url, self.environ),
            certificates=lambda: certificates(self.environ),
            aliases={SANDBOX_ORIGIN: self._stand_in},
            observe=observe,
            with_bodies=with_bodies,
        )

    def _stand_in(self) -> str:
        """Start the sandbox of this process, once, and return its origin."""
        from seedream_cli.sandbox.messages import Settings
        from seedream_cli.sandbox.server import Sandbox

        # Threads ask at once, and one sandbox is enough.
        with self.lock:
            if self._sandbox is None:
                delay = self.seconds("SEEDREAM_SANDBOX_DELAY", 2.0)
                settings = Settings(delay=delay, at=self._rehearsed())
                self._sandbox = self.exits.enter_context(Sandbox(settings=settings))
            return self._sandbox.origin

    def today(self, *, sandbox: bool) -> datetime:
        """Return the moment by which models live or are retired; a rehearsal may have its own."""
        return (self._rehearsed() if sandbox else None) or self.clock.now()

    def _rehearsed(self) -> datetime | None:
        """Return the day that rehearsals play on; raise `ConfigError` where it is none."""
        text = self.environ.get("SEEDREAM_SANDBOX_AT", "").strip()
        at = moment(text)
        if text and at is None:
            raise ConfigError(f"SEEDREAM_SANDBOX_AT is no date: {text}", hint="like 2026-11-01")
        return at

    def files(self) -> Files:
        """Return what writes pictures, each folder remembered for whoever releases this process."""
        from seedream_cli.storage.files.store import Files

        owner = self.owner
        return Files(self.places.state_dir, owner.name, remember=owner.remember)

    def timing(self, seconds: float) -> Timing:
        """Return how patient this command is; `seconds` is its `--timeout`."""
        from seedream_cli.engine.context import Timing

        if not seconds >= 0:
            raise UsageError("--timeout is no number of seconds")
        reread = self.seconds("SEEDREAM_REREAD_SECONDS", 5.0)
        pace = self.seconds("SEEDREAM_LOOK_SECONDS", _FIRST_LOOK) / _FIRST_LOOK
        return Timing(
            deadline=self.clock.monotonic() + seconds,
            timeout=seconds,
            believe_after=reread,
            look_pace=pace,
        )

    def seconds(self, variable: str, default: float) -> float:
        """Read a span of seconds from the environment; raise `ConfigError` for no number."""
        text = self.environ.get(variable, "").strip()
        if not text:
            return default
        value = span_seconds(text)
        if value is None or value > 86400.0:  # noqa: PLR2004 - a day
            raise ConfigError(f"{variable} is no number of seconds: {text}")
        return value

    def conclude_leftovers(self, engine: Context) -> None:
        """Conclude what dead processes left, quietly; nothing is sent."""
        from seedream_cli.engine.recovery import conclude_leftovers

        conclude_leftovers(engine, self.owner)

    def engine(
        self,
        timing: Timing,
        notify: Callable[[Event], None],
        *,
        profile: str | None = None,
        with_bodies: bool = False,
        is_waiting: bool = True,
    ) -> Context:
        """Build what the engine's steps share; not `is_waiting`: what runs is left to run."""
        import random

        from seedream_cli.engine.context import Context
        from seedream_cli.engine.pace import Pace
        from seedream_cli.engine.rate_limit import RateLimiter
        from seedream_cli.providers import PROVIDERS

        usual = self.seconds("SEEDREAM_USUAL_SECONDS", 0.0)
        notify = harmless(notify)
        return Context(
            transport=self.transport(notify, with_bodies=with_bodies),
            ledger=self.ledger,
            files=self.files(),
            clock=self.clock,
            notify=notify,
            random=random.random,
            timing=timing,
            providers=PROVIDERS,
            account=self.account(profile),
            is_open_to_any=self.is_open_to_any(profile),
            limiter=RateLimiter(self.clock, self.ledger.starts),
            pace=Pace(self.clock, random.random, self.ledger.durations, usual=usual or None),
            is_dead=self.owner.is_dead,
            is_waiting=is_waiting,
        )


def harmless(notify: Callable[[Event], None]) -> Callable[[Event], None]:
    """Return an observer that cannot stop what it observes: a terminal may go away at any time."""

    def tell(event: Event) -> None:
        with suppress(OSError, ValueError):
            notify(event)

    return tell


def _without_sandbox(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name != "SEEDREAM_SANDBOX"}
