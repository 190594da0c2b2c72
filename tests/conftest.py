"""A home of its own for every test, and no way out of this machine for any."""

from __future__ import annotations

import ipaddress
import os
import random
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from seedream_cli.core.model import Charge, Job, State
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.soak import Soak

pytest.register_assert_rewrite("support")

LONGEST_NAME = 253
"""Characters of a DNS name: a longer one fails on this machine and is asked of nobody."""
KEYS = frozenset(name for provider in PROVIDERS.values() for name in provider.key_env)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    # A caller may ignore them (a shell's `&`, nohup); children inherit that, but no handler.
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the long forms, and the seed of all that is drawn."""
    group = parser.getgroup("seedream")
    group.addoption("--soak", action="store_true", help="long storms; the strangers' SDKs")
    group.addoption("--seed", type=int, default=0, metavar="N", help="of the storms' draws")


def pytest_configure(config: pytest.Config) -> None:
    """Settle the seed, which workers are told; let no test depend on how fast this machine is."""
    # The short form is alike for everybody; the long one looks where nobody has been.
    if not config.option.seed:
        dice = random.SystemRandom()
        config.option.seed = dice.randrange(2, 10**6) if config.option.soak else 1
    slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("short", slow, derandomize=True)
    settings.register_profile("long", slow, max_examples=1000, print_blob=True)
    settings.load_profile("long" if config.option.soak else "short")


def pytest_report_header(config: pytest.Config) -> str:
    """Say how this run is had again."""
    return _soak(config).again


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the cells that only a long run tries out of a short one."""
    if not config.option.soak:
        long = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]


def _soak(config: pytest.Config) -> Soak:
    from support.soak import Soak

    return Soak(is_long=config.option.soak, seed=config.option.seed)


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> Soak:
    """Return how long the storms are, and their seed."""
    return _soak(request.config)


class BeyondLoopback(AssertionError):
    """A test reached for another machine."""


@pytest.fixture(scope="session", autouse=True)
def breaches() -> list[str]:
    """Return the hosts beyond loopback that were reached for; each attempt is stopped."""
    found: list[str] = []

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        host: object = None
        if event in {"socket.connect", "socket.sendto"}:
            address = arguments[1]
            host = address[0] if isinstance(address, tuple) else None
        elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            host = arguments[0]
        if host is not None and not _is_here(host):
            found.append(f"{event} {host!r}")
            raise BeyondLoopback(f"{event} {host!r}")

    sys.addaudithook(audit)
    return found


def _is_here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in {"", "localhost"} or len(name) > LONGEST_NAME:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _stays_here(breaches: list[str]) -> Iterator[None]:
    """Fail a test that reached beyond loopback, also where the program took it for bad weather."""
    breaches.clear()
    yield
    assert breaches == []


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return names of folders for homes: pytest's own way to number them looks at all each time."""
    base = tmp_path_factory.mktemp("homes")
    return (base / str(number) for number in count())


@pytest.fixture
def tmp_path(homes: Iterator[Path]) -> Path:
    """Return an empty folder, numbered likewise."""
    folder = next(homes)
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home; nothing of the person who runs the tests is read or written."""
    folder = next(homes)
    folder.mkdir()
    for name in list(os.environ):
        is_ours = name.startswith("SEEDREAM_") and name != "SEEDREAM_EXPECT_INSTALLED"
        is_key = name.removesuffix("_FILE") in KEYS
        if is_ours or is_key or name.lower() in PROXIES or name in CERTIFICATES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    for kind in ("CONFIG", "STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(folder / kind.lower()))
    monkeypatch.setenv("SEEDREAM_STATE_DIR", str(folder / "state" / "seedream"))
    return folder


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """Return what makes a planned job; keywords change its fields."""
    planned = Job(
        id="0000aaaa",
        run="run00001",
        state=State.PLANNED,
        charge=Charge.NONE,
        provider="kie",
        profile="work",
        origin="https://api.example.com",
        sandbox=False,
        model="seedream/4.5-text-to-image",
        prompt="a fox",
        request={"size": "2048x2048", "references": []},
        recipe={"prompt": "a fox"},
        purchase_digest="f" * 64,
        output={"template": "{slug}-{job}.{ext}"},
        first_n=1,
        expected=1,
        owner="owner001",
        created_at=datetime(2026, 11, 21, 10, 0, tzinfo=UTC),
    )

    def make(**changes: object) -> Job:
        return replace(planned, **changes)  # type: ignore[arg-type] # each test names real fields

    return make
