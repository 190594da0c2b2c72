"""A canary for a key: through every command, verbosity and failure it is seen by nobody else."""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest
from support.command import CHOSEN
from support.pictures import PNG

from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.conftest import Bench
    from support.command import Cli, Ran
    from support.soak import Soak
    from support.wire import Chaos, Host, Play, Visit

    from seedream_cli.sandbox.server import Sandbox

CANARY: Final = "sk-CANARY-5d41402abc4b2a76b9719d911017c592+/="
PASSWORD: Final = "hunter2-PROXYCANARY-7d793037a076"  # noqa: S105 - a bait

NAMES = tuple(PROVIDERS)
HTML = b"<!doctype html><h1>Forbidden</h1>"


def forms(secret: str) -> tuple[bytes, ...]:
    """Return a secret as it could leak: plain, in JSON, in a URL, in base64 at any offset."""
    inner = [base64.b64encode(b" " * pad + secret.encode())[4:-4] for pad in range(3)]
    return (secret.encode(), quote(secret, safe="").encode(), secret[3:35].encode(), *inner)


def leaks(ran: Ran, home: Path, allowed: set[Path]) -> list[str]:
    """Return where the canary was seen after a command."""
    places = {"stdout": ran.out, "stderr": ran.raw_err}
    for path in home.rglob("*"):
        if path.is_file() and path not in allowed:
            places[str(path)] = path.read_bytes() + os.fsencode(path)
    return [
        where
        for where, data in places.items()
        if any(form in data for secret in (CANARY, PASSWORD) for form in forms(secret))
    ]


# -- where the key comes from ----------------------------------------------------------------------

SOURCES = ("api_key", "api_key_env", "api_key_file", "api_key_command", "variable")


@dataclass
class House:
    """A home whose key comes from one of the places where keys come from."""

    cli: Cli
    origin: str
    source: str
    allowed: set[Path] = field(default_factory=set)
    """The files that hold the key because they are its place."""

    def furnish(self) -> dict[str, str]:
        """Write the config and return the environment."""
        home = self.cli.home
        home.mkdir(parents=True, exist_ok=True)
        secret, script, config = home / "key", home / "key.sh", home / "config.toml"
        secret.write_text(CANARY)
        secret.chmod(0o600)
        # It also writes down how it and whoever asked were started.
        script.write_text(
            f"tr '\\0' ' ' < /proc/$PPID/cmdline >> {home}/argv; echo \"$@\" >> {home}/argv\n"
            f"env | grep -c CANARY >> {home}/argv\ncat {secret}\n"
        )
        self.allowed = {secret}
        given = {
            "api_key": f'api_key = "{CANARY}"\n',
            "api_key_env": 'api_key_env = "MY_BAIT_KEY"\n',
            "api_key_file": f'api_key_file = "{secret}"\n',
            "api_key_command": f'api_key_command = ["sh", "{script}", "hello"]\n',
            "variable": "",
        }[self.source]
        text = "".join(
            f'[profiles.{name}]\nprovider = "{name}"\n{given}'
            f'base_url = "{self.origin}{PROVIDERS[name].sandbox_path}"\n'
            + (f'model = "{CHOSEN[name]}"\n' if name in CHOSEN else "")
            for name in NAMES
        )
        config.write_text(text)
        config.chmod(0o600)
        if self.source == "api_key":
            self.allowed.add(config)
        match self.source:
            case "api_key_env":
                return {"MY_BAIT_KEY": CANARY}
            case "variable":
                return {
                    variable: CANARY for spec in PROVIDERS.values() for variable in spec.key_env
                }
            case _:
                return {}


# -- what goes wrong -------------------------------------------------------------------------------


def echo(kind: str) -> Play:
    """Return a provider that says the key back, in one of many ways."""

    def play(visit: Visit) -> None:
        said = {
            "error": {"code": "AuthenticationError", "message": f"bad key {CANARY}"},
            "message": f"your key {CANARY} is wrong",
            "msg": f"your key {CANARY} is wrong",
            "code": 401,
            "data": None,
        }
        headers = {"X-Request-Id": CANARY, "Location": f"/{CANARY}", "Set-Cookie": CANARY}
        match kind:
            case "task":
                good = {"code": 200, "msg": "ok", "data": {"taskId": CANARY, "state": "waiting"}}
                visit.answer(200, json.dumps(good).encode(), headers)
            case "picture":
                good = {"data": [{"url": f"http://127.0.0.1:9/{CANARY}.png?k={CANARY}"}]}
                visit.answer(200, json.dumps(good).encode(), headers)
            case "html":
                visit.answer(502, HTML + CANARY.encode(), headers)
            case "half":
                visit.answer(200, CANARY.encode(), headers, length=9999)
            case "garbage":
                visit.send(f"{CANARY}: no HTTP\r\n\r\n".encode())
            case "header":
                visit.send(f"HTTP/1.1 200 OK\r\nX-{CANARY} broken\r\n\r\n".encode())
            case _:
                visit.answer(int(kind), json.dumps(said).encode(), headers)

    return play


ECHOES = ("task", "picture", "html", "half", "garbage", "header", "200", "400", "401", "302", "500")
FAULTS = ("", "429:1", "500", "drop", "expire", "refuse", "fail", "html")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("generate", "a fox"),
    ("generate", "a fox", "--json"),
    ("generate", "a fox", "--sidecar", "--overwrite", "-o", "fox.jpg", "--any-format"),
    ("generate", "a fox", "--dry-run"),
    ("generate", "a fox", "--dry-run", "--json"),
    ("generate", "a fox", "-m", "no-such-model", "--set", "a.b=1"),
    ("generate", "a fox", "-n", "2", "--timeout", "5"),
    ("edit", "make it night", "-i", "ref.png"),
    ("edit", "make it night", "-i", "ref.png", "--json"),
    ("generate", "a fox", "--no-such-option"),
    ("generate", "a fox", f"--api-key={CANARY}"),
    ("generate", "a fox", "--api-key", CANARY),
    ("generate", "a fox", "-s", "17K"),
    ("status",),
    ("status", "--json"),
    ("status", "last"),
    ("download", "--timeout", "1"),
    ("download", "--json", "--timeout", "1"),
    ("providers",),
    ("providers", "list", "--json"),
    ("providers", "show", "PROVIDER"),
    ("providers", "show", "PROVIDER", "--json"),
    ("providers", "check", "PROVIDER"),
    ("providers", "check", "PROVIDER", "--json"),
)
BOUGHT = frozenset({"generate", "edit", "download", "status"})


def scenarios(dice: random.Random) -> Iterator[tuple[str, str, str, tuple[str, ...], str]]:
    """Yield what a run is made of, for ever."""
    troubles = [f"fault {name}" for name in FAULTS] + [f"echo {name}" for name in ECHOES] + ["gone"]
    number = 0
    while True:
        # Each command in turn, so that a short form has them all too.
        command = COMMANDS[number % len(COMMANDS)]
        provider, loudness = NAMES[number % len(NAMES)], ("", "-v", "-vv")[number % 3]
        yield dice.choice(SOURCES), dice.choice(troubles), provider, command, loudness
        number += 1


def arguments(command: tuple[str, ...], provider: str, loudness: str) -> list[str]:
    """Return a command line, with its profile and verbosity where it takes them."""
    line = [provider if word == "PROVIDER" else word for word in command]
    if line[0] in BOUGHT:
        line += ["-p", provider]
    if loudness and (line[0] in BOUGHT or line[1:2] == ["check"]):
        line.append(loudness)
    return line


def test_the_canary_is_seen_by_nobody(
    cli: Cli, chaos: Chaos, paid: Sandbox, serve: Callable[[Play], Host], soak: Soak
) -> None:
    """Sixty runs (500 by option): the key is in no output, file, ledger, argv or image request."""
    hosts = {name: serve(echo(name)) for name in ECHOES}
    seen: list[str] = []
    codes: dict[int, int] = {}
    dice = soak.dice() if soak.is_long else random.Random(20261121)
    for number, (source, trouble, provider, command, loudness) in zip(
        range(soak.times(60, long=600)), scenarios(dice), strict=False
    ):
        kind, _, name = trouble.partition(" ")
        paid.weather.change([name] if kind == "fault" and name else [])
        origin = {"fault": chaos.origin, "gone": "http://127.0.0.1:9"}.get(kind)
        # A home for a few runs each: what is stored by one is shown by the next.
        home = cli.home / f"{number // 8}"
        house = House(type(cli)(home=home), origin or hosts[name].origin, source)
        environ = house.furnish()
        house.cli.work.mkdir(exist_ok=True)
        (house.cli.work / "ref.png").write_bytes(PNG)
        line = arguments(command, provider, loudness)
        if kind in {"gone", "echo"} and line[0] in {"generate", "edit"}:
            line += ["--timeout", "1"]
        # The key's command writes down how whoever asks it was started.
        ran = house.cli(*line, env=environ, process=source == "api_key_command")
        codes[ran.code] = codes.get(ran.code, 0) + 1
        found = leaks(ran, home, house.allowed)
        if found:
            seen.append(f"{source}, {trouble}, {line}: {found}")
    paid.weather.change([])
    assert not seen, "\n".join(seen)
    assert paid.counters["authorised_image_requests"] == 0
    assert 70 not in codes, codes
    assert {0, 2, 5} <= set(codes), "the sweep meets success, mistakes and unknown outcomes"
    assert any(CANARY.encode() in sent for host in hosts.values() for sent in host.requests)


def test_the_sweep_finds_what_leaks(cli: Cli) -> None:
    """The search itself sees the canary in output, in files and in names of files."""
    cli.work.mkdir(parents=True)
    ran = cli("--version")
    assert leaks(ran, cli.home, set()) == []
    (cli.work / f"{CANARY.replace('/', '_')}.txt").write_text("")
    (cli.work / "b").write_bytes(base64.b64encode(f"x:{CANARY}".encode()))
    ran.out += quote(CANARY, safe="").encode()
    ran.raw_err += json.dumps({"key": CANARY}).encode()
    assert len(leaks(ran, cli.home, set())) == 4


def test_an_image_host_never_sees_the_key(
    bench: Bench, chaos: Chaos, serve: Callable[[Play], Host]
) -> None:
    """Neither the API's own host nor another gets the key with the request for a picture."""
    picture = serve(lambda visit: visit.answer(200, PNG))

    def api(visit: Visit) -> None:
        visit.request()
        said = {"data": [{"url": f"{picture.origin}/a.png"}]}
        visit.answer(200, json.dumps(said).encode(), {"Set-Cookie": "session=abc; Path=/"})

    chaos.arm(api)
    bench.run(bench.plan("ark", chaos.origin))
    (request,) = picture.requests
    assert b"authorization" not in request.lower()
    assert b"cookie" not in request.lower()
    assert b"referer" not in request.lower()
    assert b"sk-only" not in request


def test_an_echoed_key_is_stored_as_stars(bench: Bench, serve: Callable[[Play], Host]) -> None:
    """A provider that repeats the key in its error: the ledger and the words hold stars."""

    def rude(visit: Visit) -> None:
        key = host.requests[-1].split(b"Bearer ")[1].split(b"\r\n")[0]
        said = json.dumps({"code": 401, "msg": f"wrong key {key.decode()}", "data": None})
        visit.answer(401, said.encode(), {"X-Request-Id": key.decode()})

    host = serve(rude)
    ended = bench.run(bench.plan("kie", host.origin))
    assert "wrong key ****" in ended.words
    assert ended.job.request_id == "****"
    assert b"sk-only" not in (bench.folder / "ledger.db").read_bytes()
    assert all("sk-only" not in repr(event) for event in bench.events)


def test_bodies_are_shown_without_signatures_and_base64(
    bench: Bench, chaos: Chaos, cli: Cli
) -> None:
    """`-vv` prints bodies, short; query values of the URLs in them and inline images are not."""
    big = base64.b64encode(b"secret picture" * 500).decode()

    def api(visit: Visit) -> None:
        visit.request()
        said = {"data": [{"url": "http://127.0.0.1:9/a.png?Sig=TOPSECRET&b=1"}], "x": big}
        visit.answer(200, json.dumps(said).encode(), {"X-Secret": "in-a-header"})

    assert bench.events == []
    cli.configure(chaos.origin)
    chaos.arm(api)
    ran = cli("generate", "a fox", "-p", "ark", "-vv", "--timeout", "1")
    assert '> {"model":' in ran.err.replace('> {"model": ', '> {"model":')
    assert "a fox" in ran.err
    assert "a.png?****" in ran.err
    assert "TOPSECRET" not in ran.err
    assert big[:100] not in ran.err
    assert "characters)" in ran.err
    assert "in-a-header" not in ran.err
    assert "authorization" not in ran.err.lower()
    quiet = cli("status", "--json")
    assert quiet.raw_err == b""


def test_v_prints_no_body(cli: Cli, chaos: Chaos) -> None:
    """`-v` is a line each request: method, host, path, status, time."""
    cli.configure(chaos.origin)
    ran = cli("generate", "a fox", "-p", "kie", "-v")
    assert "POST 127.0.0.1 /kie/api/v1/jobs/createTask 200 " in ran.err
    assert "taskId" not in ran.err
    assert '{"' not in ran.err


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o622])
def test_a_key_that_others_can_read_is_refused(
    cli: Cli, chaos: Chaos, paid: Sandbox, mode: int
) -> None:
    """A config with a key in it that is open to others is exit 2 and names the chmod."""
    config = cli.configure(chaos.origin, key=CANARY)
    config.chmod(mode)
    for command in (("generate", "a fox", "-p", "kie"), ("providers", "show", "kie")):
        ran = cli(*command)
        assert ran.code == 2
        assert f"chmod 600 {config}" in ran.err
        assert CANARY not in ran.err
    assert (chaos.posts, paid.counters["charges"]) == (0, [])


BROKEN = {
    "an open string": f'[profiles.a]\nprovider = "kie"\napi_key = "{CANARY}\n',
    "a bare word": f"[profiles.a]\nprovider = kie\napi_key = {CANARY}\n",
    "in the wrong place": f'[profiles.a]\nprovider = "kie"\napi_key_env = "{CANARY}"\n',
    "as the provider": f'[profiles.a]\nprovider = "kie"\nseed = "{CANARY}"\n',
    "a list": f'[profiles.a]\nprovider = "kie"\napi_key = ["{CANARY}"]\n',
    "in an address": (
        f'[profiles.a]\nprovider = "kie"\napi_key = "x"\nbase_url = "https://{CANARY}@a.b/"\n'
    ),
    "in a query": (
        f'[profiles.a]\nprovider = "kie"\napi_key = "x"\nbase_url = "https://a.b/?k={CANARY}"\n'
    ),
    "in a command": (
        f'[profiles.a]\nprovider = "kie"\napi_key_command = ["sh", "-c", "exit 3 # {CANARY}"]\n'
    ),
    "spoken by a command": (
        '[profiles.a]\nprovider = "kie"\n'
        f'api_key_command = ["sh", "-c", "echo {CANARY} >&2; exit 1"]\n'
    ),
    "two lines": f'[profiles.a]\nprovider = "kie"\napi_key = "{CANARY}\\n{CANARY}"\n',
    "not ASCII": f'[profiles.a]\nprovider = "kie"\napi_key = "{CANARY}\u00e9"\n',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_config_is_not_quoted(cli: Cli, name: str) -> None:
    """Whatever is wrong with a config that holds a key, no message quotes the key."""
    cli.home.mkdir()
    config = cli.home / "config.toml"
    config.write_text(BROKEN[name])
    config.chmod(0o600)
    for command in (("generate", "a fox", "--json"), ("providers", "check", "a")):
        ran = cli(*command)
        assert ran.code in {2, 4}, ran.err
        assert leaks(ran, cli.home, {config}) == []


@pytest.mark.parametrize(
    ("scheme", "variable"),
    [
        ("http", "https_proxy"),
        ("https", "ALL_PROXY"),
        ("socks5", "all_proxy"),
        ("gopher", "HTTPS_PROXY"),
        ("http:/", "https_proxy"),
        ("htt p", "https_proxy"),
    ],
)
def test_a_proxys_password_is_never_shown(cli: Cli, scheme: str, variable: str) -> None:
    """Whether a proxy works, is away or is malformed: its password is in no output or file."""
    cli.home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = f"{scheme}://me:{PASSWORD}@127.0.0.1:{port}"
    environ = {variable: proxy, "KIE_API_KEY": CANARY}
    for command in (
        ("generate", "a fox", "--json", "-vv", "--timeout", "1"),
        ("providers", "check", "kie", "-v"),
        ("status",),
        ("providers", "show", "kie"),
    ):
        ran = cli(*command, env=environ)
        assert leaks(ran, cli.home, set()) == []
        assert ran.code in {0, 2, 69}, ran.err


def test_a_proxy_that_refuses_is_safe_and_quiet(cli: Cli, serve: Callable[[Play], Host]) -> None:
    """A proxy that turns the tunnel down saw its password and not the key; nothing was sent."""
    proxy = serve(lambda visit: visit.answer(407, PASSWORD.encode()))
    address = proxy.origin.replace("http://", f"http://me:{PASSWORD}@")
    cli.home.mkdir()
    environ = {"https_proxy": address, "KIE_API_KEY": CANARY}
    ran = cli("generate", "a fox", "--json", "-vv", env=environ)
    assert (ran.code, ran.object["next"]) == (69, "retry"), ran.err
    assert leaks(ran, cli.home, set()) == []
    assert proxy.requests
    assert all(CANARY.encode() not in request for request in proxy.requests)
    assert all(b"CONNECT api.kie.ai:443" in request for request in proxy.requests)


def test_a_bug_shows_where_and_not_what(cli: Cli) -> None:
    """What nobody foresaw makes exit 70: one line, no traceback, no values."""
    code = (
        "import sys; from seedream_cli.__main__ import run; from seedream_cli.storage.config import"
        f" file; file.load = lambda path: {{}}['{CANARY}']; sys.argv[1:] = ['providers']; run()"
    )
    cli.work.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=cli.environment(),
        cwd=cli.work,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (70, b""), done.stderr
    first, *hints = done.stderr.decode().splitlines()
    assert all(line.startswith("  ") for line in hints)
    assert first.startswith("seedream: a bug in seedream: KeyError at cli/context.py:")
    assert CANARY.encode() not in done.stderr
