"""The house stands: floors, guests, the one place that spends, and the fence around the tests."""

from __future__ import annotations

import ast
import os
import socket
import threading
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest

import seedream_cli

HOUSE = Path(seedream_cli.__file__).parent
TESTS = Path(__file__).parent.parent

# A module imports only from floors below it, or from one named before it on its own floor.
FLOORS = (
    ("seedream_cli", "errors", "model", "events", "clock"),
    (
        *("text", "backoff", "findings", "formats", "naming", "sse", "rows", "migrations"),
        *("providers.spec", "providers.reading", "providers.tables"),
        *("providers.ark_models", "providers.ark_answers", "providers.ark", "providers.uniall"),
        *("providers.kie_models", "providers.kie_answers", "providers.kie"),
        *("providers.kie_seedream", "providers.seedreams_models", "providers.seedreams"),
        *("providers", "price", "choice", "sizes", "limits", "check"),
        *("kinds", "desk", "sheet", "manifest", "lock", "wishes", "placing", "matching"),
        *("picture", "assets"),
    ),
    (
        *("watchdog", "proxies", "spill", "wire", "transport", "ledger", "owner"),
        *("part", "shelf", "files", "config", "profiles"),
    ),
    (
        *("purchase", "lookup", "settling", "references", "saving", "streaming"),
        *("pace", "fetching", "verdicts", "engine", "recovery", "crew", "lockfile"),
        *("tasks", "past", "orders", "batch"),
        *("sandbox", "sandbox.wire", "sandbox.canvas", "sandbox.png", "sandbox.jpeg"),
        *("sandbox.scenes", "sandbox.tickets", "sandbox.forms", "sandbox.frames"),
        *("sandbox.images", "sandbox.ark_checks", "sandbox.ark", "sandbox.kie_checks"),
        *("sandbox.kie_older", "sandbox.kie_uploads", "sandbox.kie", "sandbox.seedreams"),
        *("sandbox.uniall", "sandbox.faults", "sandbox.answers", "sandbox.tally"),
        "sandbox.server",
    ),
    (
        *("cli", "cli.help", "cli.options", "cli.asked", "cli.progress", "cli.render"),
        *("cli.stdout", "cli.tally", "cli.bars", "cli.ci"),
        *("cli.listing", "cli.world", "cli.showing", "cli.work"),
        *(
            "cli.making",
            "cli.standing",
            "cli.plans",
            "cli.results",
            "cli.accepting",
            "cli.allowing",
            "cli.calls",
            "cli.sorting",
            "cli.buying",
            "cli.batching",
        ),
        *("cli.generate", "cli.status", "cli.download"),
        *("cli.accounts", "cli.providers", "cli.app"),
        *("cli.completion", "__main__"),
    ),
)

# Whatever is heavy or dangerous has one owner; `sandbox` stands for all that is in it.
GUESTS = {
    "httpx": {"transport"},
    "httpcore": set[str](),
    "socksio": {"transport"},
    "sqlite3": {"ledger", "migrations"},
    "rich": {"cli"},
    "typer": {"cli"},
    "click": set[str](),
    "tomli_w": {"config"},
    "platformdirs": {"config"},
    "http.server": {"sandbox"},
    "asyncio": set[str](),
}


def modules() -> dict[str, Path]:
    """Return the modules of the house by name; the package itself is `seedream_cli`."""
    found = {}
    for path in sorted(HOUSE.rglob("*.py")):
        names = path.relative_to(HOUSE).with_suffix("").parts
        names = names[:-1] if names[-1] == "__init__" else names
        found[".".join(names) or "seedream_cli"] = path
    return found


def imports(path: Path) -> set[str]:
    """Return what a module imports anywhere in it, in functions and for the type checker too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names, level=0):
                found |= {module} | {f"{module}.{alias.name}" for alias in names}
            case ast.ImportFrom():
                found.add("a relative import")
            case _:
                pass
    return found


def rooms(path: Path, known: dict[str, Path]) -> set[str]:
    """Return which modules of the house a module imports."""
    found = set()
    for name in imports(path):
        inside = name.removeprefix("seedream_cli.")
        if inside in known and (name == "seedream_cli" or inside != name):
            found.add(inside)
    if found & set(known) - {"seedream_cli"}:
        # `from seedream_cli.a import b` names the package, too, but takes nothing from it.
        found.discard("seedream_cli")
    return found


def test_every_module_has_its_place() -> None:
    """The table names each module of the house once, and none that is not there."""
    named = Counter(name for floor in FLOORS for name in floor)
    assert [name for name, count in named.items() if count > 1] == []
    assert sorted(set(modules()) - set(named)) == [], "not in the table"
    assert sorted(set(named) - set(modules())) == [], "only in the table"


def test_imports_go_down() -> None:
    """Every import goes to a lower floor or to an earlier name on the same one: so no cycles."""
    known = modules()
    order = [name for floor in FLOORS for name in floor]
    breaches = [
        f"{name} imports {other}"
        for name, path in known.items()
        for other in sorted(rooms(path, known))
        if other != name and order.index(other) >= order.index(name)
    ]
    assert breaches == []


def test_the_walk_sees_every_kind_of_import(tmp_path: Path) -> None:
    """Imports at the top, in a function and for the type checker are found, strings are not."""
    path = tmp_path / "room.py"
    path.write_text(
        "from typing import TYPE_CHECKING\nimport seedream_cli.model\n"
        "if TYPE_CHECKING:\n    from seedream_cli.ledger import Ledger\n"
        "def f():\n    from seedream_cli import events\n    import httpx\n"
        "x = 'import seedream_cli.owner'\n"
    )
    assert rooms(path, modules()) == {"model", "ledger", "events"}
    assert "httpx" in imports(path)


def test_guests_stay_with_their_hosts() -> None:
    """Each library that is heavy or dangerous is imported only by the module that owns it."""
    breaches = []
    for name, path in modules().items():
        for imported in imports(path):
            for guest, hosts in GUESTS.items():
                is_guest = imported == guest or imported.startswith(f"{guest}.")
                if is_guest and not {name, name.partition(".")[0]} & hosts:
                    breaches.append(f"{name} imports {imported}")
    assert breaches == []


def test_nothing_is_imported_by_its_dots() -> None:
    """Imports are written out, so that the walk above misses none."""
    found = [name for name, path in modules().items() if "a relative import" in imports(path)]
    assert found == []


def calls_of(attribute: str) -> list[str]:
    """Name the modules that call a method of this name, a name a call."""
    return [
        name
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == attribute
    ]


def test_one_place_spends() -> None:
    """The ledger's begin() is called once in the whole house: by the engine, in the hook."""
    assert calls_of("begin") == ["engine"]
    assert set(calls_of("_begin")) == {"engine"}


def test_the_installed_package_is_tested() -> None:
    """In CI the tests run against the wheel, not against the sources beside them."""
    if os.environ.get("SEEDREAM_EXPECT_INSTALLED") != "1":
        pytest.skip("SEEDREAM_EXPECT_INSTALLED is not 1: the sources may be what is tested")
    assert not HOUSE.resolve().is_relative_to(TESTS.parent.resolve())


def test_the_tests_shadow_nothing() -> None:
    """No `__init__.py` and no two files of one name, which would hide the wheel or each other."""
    files = [path for path in TESTS.rglob("*.py") if path.name != "conftest.py"]
    assert [path for path in files if path.name == "__init__.py"] == []
    assert [name for name, n in Counter(path.name for path in files).items() if n > 1] == []


def test_nothing_goes_beyond_loopback(breaches: list[str]) -> None:
    """A connection or a look-up beyond this machine is stopped and kept in mind, in any thread."""
    with closing(socket.socket()) as one, pytest.raises(AssertionError):
        one.connect(("192.0.2.1", 80))
    with pytest.raises(AssertionError):
        socket.getaddrinfo("api.example.com", 443)

    def hide() -> None:
        with closing(socket.socket()) as other, suppress(BaseException):
            other.connect_ex(("192.0.2.2", 443))

    thread = threading.Thread(target=hide)
    thread.start()
    thread.join()
    assert len(breaches) == 3
    breaches.clear()


def test_loopback_is_open() -> None:
    """Our own machine can be reached by its names and addresses."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port)).close()


def test_every_test_has_a_home_of_its_own(home: Path) -> None:
    """Nothing of the person who runs the tests is seen by them."""
    assert Path.home() == home
    assert list(home.iterdir()) == []
    assert Path(os.environ["SEEDREAM_STATE_DIR"]).is_relative_to(home)
    assert "SEEDREAM_CONFIG" not in os.environ
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
    assert not [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy"}]
