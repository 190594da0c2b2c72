"""The house stands: floors, guests, the one place that spends, and the fence around the tests."""

from __future__ import annotations

import ast
import os
import socket
import threading
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import seedream_cli

if TYPE_CHECKING:
    from collections.abc import Callable

HOUSE = Path(seedream_cli.__file__).parent
TESTS = Path(__file__).parent.parent

# Folders are the floors: a module imports only from its own and from those named before it.
FLOORS = (
    "core",
    "providers",
    "request",
    "storage",
    "transport",
    "engine",
    "batch",
    "sandbox",
    "cli",
)

# Whatever is heavy or dangerous has one owner: a folder, with all that is in it.
GUESTS = {
    "httpx": "transport",
    "httpcore": "",
    "socksio": "transport",
    "sqlite3": "storage.ledger",
    "rich": "cli",
    "typer": "cli",
    "click": "",
    "tomli_w": "storage.config",
    "platformdirs": "storage.config",
    "http.server": "sandbox",
    "asyncio": "",
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
                found |= {f"{module}.{alias.name}" for alias in names}
            case ast.ImportFrom():
                found.add("a relative import")
            case _:
                pass
    return found


def rooms(path: Path, known: dict[str, Path]) -> set[str]:
    """Return which modules of the house a module imports."""
    found = set()
    for name in imports(path):
        # `from seedream_cli.core import clock` names a module, `… import Clock` what is in one.
        inside = name.removeprefix("seedream_cli.")
        while inside and inside not in known:
            inside = inside.rpartition(".")[0]
        if inside and name.startswith("seedream_cli"):
            found.add(inside)
    return found


def floor(name: str) -> str:
    """Return the folder of a module; the package itself and `__main__` stand on none."""
    return name.partition(".")[0] if name.partition(".")[0] in FLOORS else ""


def cycle(arrows: dict[str, set[str]]) -> list[str]:
    """Return one way through these arrows that comes back to where it began, if there is any."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        done.add(name)
        return next(filter(None, (walk(each, [*way, name]) for each in arrows[name])), [])

    return next(filter(None, (walk(name, []) for name in arrows)), [])


def test_the_house_has_nine_folders() -> None:
    """Beside them lie the package's own two modules and the mark that it is typed."""
    beside = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
    assert {entry.name for entry in HOUSE.iterdir()} - beside == set(FLOORS)


def test_imports_go_down() -> None:
    """A module takes nothing from a folder that is named after its own."""
    known = modules()
    breaches = [
        f"{name} imports {other}"
        for name, path in known.items()
        for other in sorted(rooms(path, known))
        if floor(name) and floor(other)
        if FLOORS.index(floor(other)) > FLOORS.index(floor(name))
    ]
    assert breaches == []


def test_nothing_imports_in_circles() -> None:
    """No module needs itself, by whatever way, also where an import waits inside a function."""
    known = modules()
    assert cycle({name: rooms(path, known) - {name} for name, path in known.items()}) == []


def test_a_circle_is_seen() -> None:
    """The search finds a circle that does not hold the first module, and none where none is."""
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_the_walk_sees_every_kind_of_import(tmp_path: Path) -> None:
    """Imports at the top, in a function and for the type checker are found, strings are not."""
    path = tmp_path / "room.py"
    path.write_text(
        "from typing import TYPE_CHECKING\nimport seedream_cli.core.model\n"
        "if TYPE_CHECKING:\n    from seedream_cli.storage.ledger.ledger import Ledger\n"
        "def f():\n    from seedream_cli.core import events\n    import httpx\n"
        "x = 'import seedream_cli.storage.ledger.owner'\n"
    )
    assert rooms(path, modules()) == {"core.model", "storage.ledger.ledger", "core.events"}
    assert "httpx" in imports(path)


def test_guests_stay_with_their_hosts() -> None:
    """Each library that is heavy or dangerous is imported only by the module that owns it."""
    breaches = []
    for name, path in modules().items():
        for imported in imports(path):
            for guest, host in GUESTS.items():
                is_guest = imported == guest or imported.startswith(f"{guest}.")
                if is_guest and not (host and f"{name}.".startswith(f"{host}.")):
                    breaches.append(f"{name} imports {imported}")
    assert breaches == []


def test_nothing_is_imported_by_its_dots() -> None:
    """Imports are written out, so that the walk above misses none."""
    found = [name for name, path in modules().items() if "a relative import" in imports(path)]
    assert found == []


def functions_with(is_meant: Callable[[ast.AST], bool]) -> list[str]:
    """Name the functions of the house that hold such a node, a name a node."""
    return [
        f"{name}.{function.name}"
        for name, path in modules().items()
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if is_meant(node)
    ]


def test_one_place_spends() -> None:
    """The ledger's begin() is called once in the whole house, by what one place hands as hook."""

    def is_begin(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == "begin"

    def is_spend(node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == "_spend"

    assert functions_with(is_begin) == ["engine.submit._spend"]
    assert functions_with(is_spend) == ["engine.submit._send"]


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
