"""The first minutes: from an empty home to a picture by doing only what the tool says."""

from __future__ import annotations

import os
import re
import select
import shlex
import subprocess
import sys
import time
import tomllib
from typing import TYPE_CHECKING

import pytest
from support.command import SECONDS, SEEDREAM, Ran
from support.scene import ON_TERMINAL

if TYPE_CHECKING:
    from support.command import Cli
    from support.server import Server


def converse(cli: Cli, *arguments: str, answers: tuple[tuple[str, str], ...] = ()) -> Ran:
    """Run a command at a terminal; answer each question, known by its words, when it is shown."""
    cli.work.mkdir(exist_ok=True, parents=True)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *SEEDREAM, *arguments],
        cwd=cli.work,
        env=cli.environment({"TERM": "xterm", "HTTPS_PROXY": "http://127.0.0.1:9"}),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    told, left, seen = "", list(answers), 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if not select.select([ours], [], [], 0.05)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            told += os.read(ours, 65536).decode("utf-8", "replace")
        except OSError:  # its side is closed
            break
        if left and left[0][0] in told[seen:]:
            seen = len(told)
            os.write(ours, f"{left.pop(0)[1]}\n".encode())
    out, _ = process.communicate(timeout=SECONDS)
    os.close(ours)
    assert not left, told
    return Ran(process.returncode, out, told.replace("\r\n", "\n").encode())


def commands_in(ran: Ran) -> list[list[str]]:
    """Return the commands that a run names, each as words behind `seedream`."""
    lines = [line.strip() for line in ran.err.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("seedream ")]


def test_three_commands_to_a_picture(cli: Cli, server: Server) -> None:
    """`generate` names `providers add`, which asks and names `generate`, which makes a picture."""
    typed = [["generate", "a fox"]]
    ran = cli(*typed[-1])
    assert ran.code == 4
    typed.append(commands_in(ran)[0])
    assert typed[-1] == ["providers", "add"]
    ran = converse(
        cli,
        *typed[-1],
        *("--base-url", f"{server.origin}/kie"),  # the sandbox in place of the real KIE
        answers=(("Which provider", "kie"), ("Key for kie", "sk-of-the-sandbox")),
    )
    assert ran.code == 0, ran.err
    assert "sk-of-the-sandbox" not in ran.err
    assert "the key works" in ran.err
    typed.append(commands_in(ran)[-1])
    ran = cli(*typed[-1])
    assert ran.code == 0, ran.err
    assert len(cli.pictures()) == 1
    assert len(typed) == 3


def test_the_menu_tells_what_matters(cli: Cli) -> None:
    """Each provider with its price, how long pictures are kept, and the page that makes a key."""
    ran = converse(cli, "providers", "add", answers=(("Which provider", ""), ("Which", "\x04")))
    assert ran.code == 2
    assert re.search(r"ark.* 0\.12 CNY.* 24 h", ran.err)
    assert "https://kie.ai/api-key" in ran.err
    assert not (cli.home / "config.toml").exists()


def test_a_key_that_is_not_taken_is_not_written(cli: Cli, server: Server) -> None:
    """Where the free call says no, it is exit 4 and the file is as it was."""
    ran = converse(
        cli,
        *("providers", "add", "kie", "--base-url", f"{server.origin}/kie"),
        answers=(("Key for kie", "sk-wrong"),),
    )
    assert ran.code == 4
    assert "nothing was written" in ran.err
    assert not (cli.home / "config.toml").exists()


def test_a_second_account_may_be_the_default(cli: Cli, server: Server) -> None:
    """It gets a free name where none is said, and it is asked whether it is the default now."""
    cli.configure(server)
    ran = converse(
        cli,
        *("providers", "add", "--provider", "kie", "--base-url", f"{server.origin}/kie"),
        answers=(("A name for it [kie-2]", "second"), ("Key for second", "k"), ("default?", "y")),
    )
    assert ran.code == 0, ran.err
    assert ran.lines == ["second"]
    assert tomllib.loads((cli.home / "config.toml").read_text())["default_profile"] == "second"
    assert commands_in(ran)[-1] == ["generate", "a lighthouse at dawn"]


def test_a_profile_without_its_key_is_given_one(cli: Cli, server: Server) -> None:
    """The line that a missing key names asks for nothing but the key, and all else stays."""
    config = cli.home / "config.toml"
    config.write_text(
        '[profiles.work]\nprovider = "kie"\napi_key_env = "NOT_THERE"\naspect = "16:9"\n'
        f'base_url = "{server.origin}/kie"\n'
    )
    ran = cli("generate", "a fox", "-p", "work")
    assert ran.code == 4
    assert commands_in(ran)[0] == ["providers", "add", "work"]
    ran = converse(cli, *commands_in(ran)[0], answers=(("Key for work", "k"), ("default?", "n")))
    assert ran.code == 0, ran.err
    work = tomllib.loads(config.read_text())["profiles"]["work"]
    assert (work["api_key"], work["aspect"], "api_key_env" in work) == ("k", "16:9", False)
    assert cli("generate", "a fox", "-p", "work").code == 0


def test_a_key_comes_by_a_pipe(cli: Cli) -> None:
    """Piped, the key is what stdin brings; without any the variable of the provider is the way."""
    assert cli("providers", "add", "kie", stdin=b"sk-piped\n").code == 0
    config = tomllib.loads((cli.home / "config.toml").read_text())
    assert config["profiles"]["kie"]["api_key"] == "sk-piped"
    ran = cli(
        "providers", "add", "gw", "--provider", "openai-images", "--base-url", "http://[::1]/v1"
    )
    assert ran.code == 2
    assert "nothing was written" in ran.err


def test_models_of_all_are_shown_without_a_key(cli: Cli) -> None:
    """`providers show` in an empty home tells what every provider's models take, as JSON too."""
    ran = cli("providers", "show")
    assert ran.code == 0
    for words in ("ark: Volcengine Ark", "seedream/4.5-text-to-image", "seedream providers add"):
        assert words in ran.out.decode()
    objects = cli("providers", "show", "--json").objects
    assert {"ark", "kie"} <= {str(each["provider"]) for each in objects}
    assert all(each["models"] for each in objects if each["provider"] != "openai-images")


@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("model", "5-pro", "5-pro"),
        ("seed", "7", 7),
        ("watermark", "true", True),
        ("budget", "20 USD/day", "20 USD/day"),
        ("api-key-command", "pass show 'a b'", ["pass", "show", "a b"]),
        ("aspect", "3:4", "3:4"),
    ],
)
def test_one_value_is_set(cli: Cli, key: str, word: str, value: object) -> None:
    """`providers set` changes that value, by its kind, and nothing else of the file."""
    config = cli.home / "config.toml"
    before = (
        'default_profile = "work" # always\n\n[profiles.work] # the studio\'s\n'
        'provider = "ark"\napi_key_env = "A_KEY" # of Ann\n# wide\naspect = "16:9"   # or 3:4\n'
    )
    config.write_text(before)
    ran = cli("providers", "set", "work", key, word)
    assert ran.code == 0, ran.err
    text = config.read_text()
    work = tomllib.loads(text)["profiles"]["work"]
    assert work[key.replace("-", "_")] == value
    assert ("api_key_env" in work) == (key != "api-key-command")
    assert text.startswith(before.partition("provider =")[0])
    assert "# wide\n" in text
    assert "   # or 3:4" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("work", "sede", "7"), "did you mean seed"),
        (("work", "seed", "much"), "seed must be a whole number"),
        (("wrok", "seed", "7"), "did you mean work"),
        (("work", "api_key", "sk-1"), "seedream providers add work"),
        (("work", "base_url", "http://gateway.example"), "base_url would send the key"),
    ],
)
def test_a_value_that_cannot_be_is_not_set(
    cli: Cli, arguments: tuple[str, ...], words: str
) -> None:
    """A mistake is exit 2 with the way on, and the file is as it was."""
    config = cli.home / "config.toml"
    config.write_text('[profiles.work]\nprovider = "ark"\n')
    before = config.read_text()
    ran = cli("providers", "set", *arguments)
    assert ran.code == 2
    assert words in ran.err
    assert config.read_text() == before


def test_the_keyring_is_an_extra(cli: Cli, server: Server) -> None:
    """`api_key_keyring` takes the key from the system's keyring, or says that it is missing."""
    added = cli(
        "providers", "add", "kie", "--base-url", f"{server.origin}/kie", "--key-keyring", "k"
    )
    assert added.code == 0, added.err
    site = cli.home / "site" / "keyring"
    site.mkdir(parents=True)
    (site / "errors.py").write_text("class KeyringError(Exception):\n    pass\n")
    (site / "__init__.py").write_text(
        "def get_password(*entry):\n    return {('seedream', 'k'): 'sk-ring'}.get(entry)\n"
    )
    path = {"PYTHONPATH": str(site.parent)}
    ran = cli("providers", "check", "kie", env=path, process=True)
    assert ran.code == 0, ran.err
    cli("providers", "set", "kie", "api_key_keyring", "other")
    ran = cli("providers", "check", "kie", env=path, process=True)
    assert ran.code == 4
    assert "keyring set seedream other" in ran.err
    (site / "__init__.py").write_text("raise ImportError\n")
    ran = cli("providers", "check", "kie", env=path, process=True)
    assert ran.code == 4
    assert "seedream[keyring]" in ran.err
