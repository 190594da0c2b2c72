"""`seedream providers add`, `use` and `remove`: accounts written into the config file."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import stat
import subprocess
import sys
import termios
import time
import tomllib
import urllib.error
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import StorageError
from seedream_cli.core.model import State
from seedream_cli.providers import PROVIDERS
from seedream_cli.sandbox.faults import FAULTS
from seedream_cli.storage.config.file import write_private
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

    from seedream_cli.core.model import Job

COMMENTED = """\
# my accounts
default_profile = "home"   # of the two

[profiles.home]
provider = "ark"
aspect = "16:9"   # at night

# the studio's
[profiles.work]
provider = "kie"
api_key_env = "STUDIO_KEY"
"""
BAD = '[profiles.bad]\nprovider = "kie"\nasepct = "1:1"\n'
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
SECONDS = 20


@pytest.fixture
def config(cli: Cli) -> Path:
    """Return where the config file is, which is not there yet."""
    return cli.home / "config.toml"


def written(config: Path, text: str = COMMENTED) -> Path:
    """Write a config file by hand."""
    config.write_text(text)
    config.chmod(0o600)
    return config


def stated(config: Path) -> dict[str, object]:
    """Return what a config file says."""
    return tomllib.loads(config.read_text())


def test_an_account_is_added(cli: Cli, config: Path) -> None:
    """`add` writes the profile for its owner only, prints its name, and says where it is."""
    ran = cli(
        *("providers", "add", "work", "--provider", "kie", "--key-command", "pass show 'the key'"),
        *("-m", "seedream/4.5-text-to-image", "-o", "~/art/{slug}.{ext}"),
    )
    assert ran.code == 0, ran.err
    assert ran.lines == ["work"]
    assert str(config) in ran.err
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stated(config)["profiles"] == {
        "work": {
            "provider": "kie",
            "model": "seedream/4.5-text-to-image",
            "output": "~/art/{slug}.{ext}",
            "api_key_command": ["pass", "show", "the key"],
        }
    }


def test_what_was_added_works(cli: Cli, server: Server, config: Path) -> None:
    """A key from stdin and a gateway's address are what the next purchase uses, nowhere shown."""
    key = "sk-1f2e3d4c"
    added = cli(
        *("providers", "add", "ark", "--base-url", f"{server.origin}/ark/api/v3", "--key-stdin"),
        stdin=f"  {key}\n".encode(),
    )
    assert added.code == 0, added.err
    assert key not in added.err + added.out.decode()
    assert stated(config)["profiles"]["ark"]["api_key"] == key  # type: ignore[index]
    made = cli("generate", "a fox", "-o", "fox.jpg")
    assert made.code == 0, made.err
    assert (cli.work / "fox.jpg").stat().st_size > 0


def test_the_rest_of_the_file_stays(cli: Cli, config: Path) -> None:
    """Comments, order and layout outside the new profile are as they were."""
    written(config)
    assert cli("providers", "add", "uniall").code == 0
    assert config.read_text().startswith(COMMENTED)
    assert cli("providers", "use", "work").code == 0
    assert config.read_text().startswith(COMMENTED.replace('"home"   #', '"work"   #'))
    assert cli("providers", "remove", "uniall").code == 0
    assert config.read_text().rstrip("\n") == COMMENTED.replace('"home"   #', '"work"   #').rstrip()


def test_results_are_json_too(cli: Cli, config: Path) -> None:
    """With `--json` each command prints one object: what was done, where, and the default now."""
    common = {"schema": 1, "profile": "kie", "config": str(config)}
    source = "environment KIE_API_KEY"
    added = cli("providers", "add", "kie", "--json", env={"KIE_API_KEY": "k"}).objects
    more = {"provider": "kie", "key_source": source}
    assert added == [common | more | {"done": "added", "default_profile": "kie"}]
    chosen = cli("providers", "use", "kie", "--json").objects
    assert chosen == [common | {"done": "chosen", "default_profile": "kie", "provider": "kie"}]
    removed = cli("providers", "remove", "kie", "--json").objects
    assert removed == [common | {"done": "removed", "default_profile": None}]


def test_quiet_says_nothing(cli: Cli) -> None:
    """With `-q` a command that succeeds writes nothing to stderr."""
    for arguments in (
        ["add", "kie", "-m", "new"],
        ["use", "ark"],
        ["use", "kie"],
        ["remove", "kie"],
    ):
        ran = cli("providers", *arguments, "-q")
        assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new"], ["whose account", "--provider ark|byteplus"]),
        (["new", "--provider", "kei"], ["no provider kei", "did you mean kie"]),
        (["kie", "--provider", "ark"], ["kie is a provider of its own", "my-ark"]),
        (["a b", "--provider", "ark"], ["no name for a profile"]),
        (["home", "--provider", "ark"], ["there is a profile home", "--replace"]),
        (["ark", "--key-env", "sk-123"], ["api_key_env must be the name of a variable"]),
        (["ark", "--key-env", "A_KEY", "--key-file", "k"], ["--key-env and --key-file"]),
        (["ark", "--key-command", "pass 'show"], ["a quote is not closed"]),
        (["ark", "--key-command", "pass show x | head -1"], ["no shell", "sh -c"]),
        (["ark", "--key-command", " "], ["--key-command is empty"]),
        (["ark", "--key-file", ""], ["--key-file is empty"]),
        (["ark", "--key-stdin"], ["stdin held no key"]),
        (["ark", "--base-url", "http://gateway.example"], ["base_url would send the key"]),
        (["ark", "--model", ""], ["model must be a text"]),
        (["ark", "-m", "a b"], ["is no model id"]),
        (["kie-seedream", "-m", "x"], ["has no choice of model"]),
        (["ark", "-o", "{nonsense}.png"], ["is no field"]),
        (["ark", "-o", "-"], ["not stdout"]),
        (["ark", "--api-key", "sk-1"], ["No such option"]),
    ],
)
def test_what_cannot_be_used_is_not_written(
    cli: Cli, config: Path, arguments: list[str], words: list[str]
) -> None:
    """A mistake is exit 2 with the way on, also as JSON, and the file is as it was."""
    written(config)
    ran = cli("providers", "add", *arguments, "--json")
    assert ran.code == 2
    error = ran.objects[0]["error"]
    assert isinstance(error, dict)
    assert error["exit"] == 2
    for word in words:
        assert word in ran.err
    assert "sk-1" not in ran.err
    assert config.read_text() == COMMENTED


@pytest.mark.parametrize("key", ["sk one", "sk\nsk", "schlüssel"])
def test_what_cannot_be_a_key_is_refused(cli: Cli, config: Path, key: str) -> None:
    """A key with spaces, line breaks or letters beyond ASCII is exit 2 and never shown."""
    ran = cli("providers", "add", "kie", "--key-stdin", stdin=key.encode())
    assert ran.code == 2
    assert "cannot be a key" in ran.err
    assert key not in ran.err
    assert not config.exists()


def test_a_key_file_means_the_same_everywhere(cli: Cli, config: Path) -> None:
    """A relative file is written down whole, because the config's folder is another one."""
    ran = cli("providers", "add", "kie", "--key-file", "keys/kie")
    assert ran.code == 0
    assert "not there yet" in ran.err
    assert stated(config)["profiles"]["kie"]["api_key_file"] == str(cli.work / "keys/kie")  # type: ignore[index]


def test_what_may_be_a_mistake_is_a_note(cli: Cli) -> None:
    """A model that is not known and a program that is not there are told, and written."""
    ran = cli("providers", "add", "ark", "-m", "doubao-seedream-4-5", "--key-command", "no-such x")
    assert ran.code == 0
    assert "the successor of doubao-seedream-4-5-251128" in ran.err
    assert "not on PATH" in ran.err


def test_an_account_is_replaced_whole(cli: Cli, config: Path) -> None:
    """`--replace` leaves nothing of the old profile, and the default where it was."""
    written(config)
    ran = cli("providers", "add", "home", "--provider", "uniall", "--replace", "--json")
    assert ran.code == 0, ran.err
    assert ran.objects[0]["done"] == "replaced"
    assert stated(config)["profiles"]["home"] == {"provider": "uniall"}  # type: ignore[index]
    assert stated(config)["default_profile"] == "home"
    assert "# the studio's\n[profiles.work]" in config.read_text()


def test_the_first_account_is_the_default(cli: Cli, config: Path) -> None:
    """The first profile becomes the default and says so, a later one only with `--default`."""
    assert "kie is the default now" in cli("providers", "add", "kie").err
    assert "default" not in cli("providers", "add", "ark").err
    assert stated(config)["default_profile"] == "kie"
    assert "uniall is the default now" in cli("providers", "add", "uniall", "--default").err
    assert stated(config)["default_profile"] == "uniall"


def test_no_default_is_made_up_among_several(cli: Cli, config: Path) -> None:
    """Where profiles are there and none is the default, another one changes nothing of that."""
    written(config, '[profiles.a]\nprovider = "ark"\n')
    assert cli("providers", "add", "kie").code == 0
    assert "default_profile" not in stated(config)


def test_a_default_is_chosen(cli: Cli, config: Path) -> None:
    """`use` takes a profile or a provider's name; the next run goes there."""
    written(config)
    assert cli("providers", "use", "work").lines == ["work"]
    assert cli("providers", "show", "--json").objects[0]["profile"] == "work"
    assert cli("providers", "use", "byteplus").code == 0
    assert stated(config)["default_profile"] == "byteplus"
    other = cli("providers", "use", "home", env={"SEEDREAM_PROFILE": "work"})
    assert "SEEDREAM_PROFILE=work goes before it" in other.err


def test_an_unknown_default_is_not_chosen(cli: Cli, config: Path) -> None:
    """A name that nobody has is exit 2 with what is near it."""
    written(config)
    ran = cli("providers", "use", "wrok")
    assert ran.code == 2
    assert "did you mean work" in ran.err
    assert config.read_text() == COMMENTED


def test_a_profile_that_cannot_work_is_no_default(cli: Cli, config: Path) -> None:
    """A profile of a provider that does not exist is not chosen."""
    written(config, text := COMMENTED.replace('"kie"', '"kei"'))
    ran = cli("providers", "use", "work")
    assert ran.code == 2
    assert "no provider kei" in ran.err
    assert config.read_text() == text


def test_an_account_is_removed(cli: Cli, config: Path) -> None:
    """`remove` takes one profile out, prints its name, and makes no ledger to look into."""
    written(config)
    ran = cli("providers", "remove", "work")
    assert (ran.code, ran.lines) == (0, ["work"])
    assert stated(config)["profiles"] == {"home": {"provider": "ark", "aspect": "16:9"}}
    assert stated(config)["default_profile"] == "home"
    assert not (cli.home / "state").exists()


def test_a_default_goes_with_its_profile(cli: Cli, config: Path) -> None:
    """Removing the default leaves none, and says so."""
    written(config)
    ran = cli("providers", "remove", "home")
    assert ran.code == 0
    assert "it was the default" in ran.err
    assert "default_profile" not in stated(config)


@pytest.mark.parametrize(
    ("text", "words"), [(COMMENTED, "did you mean work"), ("", "providers add NAME")]
)
def test_what_is_not_there_is_not_removed(cli: Cli, config: Path, text: str, words: str) -> None:
    """A name without a profile is exit 2 with what is near it, or how to begin."""
    written(config, text)
    ran = cli("providers", "remove", "wrok")
    assert ran.code == 2
    assert words in ran.err
    assert config.read_text() == text


def bought(cli: Cli, *jobs: Job) -> None:
    """Write jobs into the ledger."""
    ledger = Ledger(cli.home / "state" / "ledger.db", now=lambda: datetime.now(UTC))
    with closing(ledger):
        ledger.plan(jobs)


@pytest.mark.parametrize("state", [State.SENDING, State.RUNNING, State.READY, State.UNKNOWN])
def test_an_account_with_jobs_under_way_is_kept(
    cli: Cli, config: Path, make_job: Callable[..., Job], state: State
) -> None:
    """A profile whose jobs are not finished goes only with `--yes`, which names them again."""
    written(config)
    bought(cli, make_job(id="0000aaaa", state=state), make_job(id="0000bbbb", profile="home"))
    ran = cli("providers", "remove", "work")
    assert ran.code == 2
    assert "0000aaaa" in ran.err
    assert "0000bbbb" not in ran.err
    assert "--yes" in ran.err
    assert config.read_text() == COMMENTED
    sure = cli("providers", "remove", "work", "--yes", "-q")
    assert sure.code == 0
    assert "0000aaaa" in sure.err
    assert "work" not in stated(config)["profiles"]  # type: ignore[operator]


def test_finished_jobs_hold_no_account(
    cli: Cli, config: Path, make_job: Callable[..., Job]
) -> None:
    """Jobs that ended, and rehearsals, do not stand in the way."""
    written(config)
    saved = make_job(id="0000aaaa", state=State.SAVED)
    bought(cli, saved, make_job(id="0000bbbb", state=State.RUNNING, sandbox=True))
    ran = cli("providers", "remove", "work")
    assert ran.code == 0, ran.err


def test_an_unsound_ledger_stops_only_the_unsure(cli: Cli, config: Path) -> None:
    """Where nobody can tell whether jobs are under way, `--yes` is needed."""
    written(config)
    (cli.home / "state").mkdir()
    (cli.home / "state" / "ledger.db").write_bytes(b"not a ledger" * 100)
    ran = cli("providers", "remove", "work")
    assert ran.code == 74
    assert config.read_text() == COMMENTED
    assert cli("providers", "remove", "work", "--yes").code == 0


EDITS = [["add", "kie"], ["use", "kie"], ["remove", "home"]]


@pytest.mark.parametrize("edit", EDITS)
def test_a_config_that_is_not_toml_is_left_alone(cli: Cli, config: Path, edit: list[str]) -> None:
    """Every edit of a file that cannot be read is exit 2 with its line, and changes nothing."""
    written(config, text := COMMENTED + "\n[profiles.x\n")
    ran = cli("providers", *edit)
    assert ran.code == 2
    assert str(config) in ran.err
    assert "line 13" in ran.err
    assert config.read_text() == text


@pytest.mark.parametrize("edit", EDITS)
def test_a_linked_config_stays_a_link(cli: Cli, config: Path, edit: list[str]) -> None:
    """A config that is a link into a folder of dotfiles is edited where it lies."""
    real = written(cli.home / "dotfiles.toml")
    config.symlink_to(real)
    assert cli("providers", *edit).code == 0
    assert config.is_symlink()
    assert real.read_text() != COMMENTED


@pytest.mark.parametrize("edit", EDITS)
def test_an_open_file_with_a_key_is_told(cli: Cli, config: Path, edit: list[str]) -> None:
    """A key that others can read is told, not quietly closed."""
    config.write_text(COMMENTED.replace('aspect = "16:9"', 'api_key = "k"'))
    config.chmod(0o644)
    ran = cli("providers", *edit)
    assert ran.code == 2
    assert "chmod 600" in ran.err
    assert stat.S_IMODE(config.stat().st_mode) == 0o644


def test_a_bad_profile_can_be_mended_and_removed(cli: Cli, config: Path) -> None:
    """What spoils a profile does not stop `add --replace` and `remove` of that very profile."""
    written(config, BAD)
    assert "bad cannot be used" in cli("providers", "list").out.decode()
    assert cli("providers", "add", "bad", "--provider", "kie", "--replace").code == 0
    assert "cannot be used" not in cli("providers", "list").out.decode()
    written(config, BAD)
    assert cli("providers", "remove", "bad").code == 0
    assert "cannot be used" not in cli("providers", "list").out.decode()


def test_a_bad_neighbour_does_not_stop_an_addition(cli: Cli, config: Path) -> None:
    """What is wrong with another profile stays as it is, and is told by `providers`."""
    written(config, BAD)
    assert cli("providers", "add", "kie", "--key-env", "KIE_API_KEY").code == 0
    assert config.read_text().startswith(BAD)
    assert "profiles.bad: unknown key asepct" in cli("providers").out.decode()


def test_a_rehearsal_proves_no_key(cli: Cli) -> None:
    """The stand-in takes any key, and `check` does not say that yours works."""
    ran = cli("providers", "check", "kie", "--sandbox")
    assert ran.out.startswith(b"kie: the stand-in answers (")
    assert (
        json.loads(cli("providers", "check", "kie", "--sandbox", "--json").out)["sandbox"] is True
    )


@pytest.mark.parametrize("line", ["status --cat", "download --all", "providers list --cat"])
def test_only_where_there_is_a_prompt_it_is_spoken_of(cli: Cli, line: str) -> None:
    """A mistyped option of a command without a prompt has that command's help as its hint."""
    assert "prompt" not in cli(*line.split()).err
    assert "prompt" in cli("generate", "-x").err


def test_what_has_a_key_comes_first(cli: Cli, config: Path) -> None:
    """Profiles and providers with a key, then the others; a key whose file is gone is marked."""
    gone = cli.home / "gone"
    written(config, f'[profiles.old]\nprovider = "kie"\napi_key_file = "{gone}"\n')
    env = {"UNIALL_API_KEY": "k", "BYTEPLUS_API_KEY_FILE": str(gone)}
    ran = cli("providers", env=env)
    names = [line.partition(" ")[0] for line in ran.lines[1 : ran.lines.index("")]]
    assert names[0] == "uniall"
    assert sorted(names) == sorted({"old", *PROVIDERS})
    out = ran.out.decode()
    assert "dead: api_key_file" in out
    assert "old has no key: config.toml: api_key_file: its file is not there" in out
    assert "byteplus has no key: environment BYTEPLUS_API_KEY_FILE: its file is not there" in out
    assert "no ARK_API_KEY" in out
    told = cli("providers", "--json", env=env).objects
    assert (told[0]["profile"], told[0]["has_key"]) == ("uniall", True)
    problems = {each["profile"]: each.get("key_problem") for each in told}
    assert problems["old"] == "its file is not there"
    assert problems["ark"] == "not set"
    gone.write_text("k")
    assert "dead" not in cli("providers", env=env).out.decode()


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_the_list_fits_a_terminal(cli: Cli, config: Path, columns: int) -> None:
    """No line is wider than the terminal but for a path on a line of its own; all are named."""
    written(config, COMMENTED + BAD)
    lines = cli("providers", env={"COLUMNS": str(columns), "FAL_KEY": "k"}).lines
    paths = {str(config), str(cli.state / "ledger.db")}
    wide = [line for line in lines if len(line) > columns and not set(line.split()) & paths]
    assert [line for line in wide if not line.startswith(f"{config}:")] == []
    for name in PROVIDERS:
        assert any(line.startswith(name) for line in lines), name
    shown = cli("providers", "show", "kie", env={"COLUMNS": str(columns)}).lines
    assert [line for line in shown if len(line) > columns and "://" not in line] == []


def test_show_needs_no_key(cli: Cli) -> None:
    """Every provider is shown without a key, and says where one would be looked for."""
    for name, provider in PROVIDERS.items():
        if provider.base_url:
            ran = cli("providers", "show", name)
            assert ran.code == 0
            assert "not set" in ran.out.decode()


def test_a_gateway_is_added_with_a_way_to_a_key(cli: Cli, config: Path) -> None:
    """Its address and a place for the key are asked for; no variable is guessed."""
    add = ("providers", "add", "gw", "--provider", "openai-images")
    ran = cli(*add, "--key-env", "GW_KEY")
    assert (ran.code, config.exists()) == (2, False)
    assert "base_url is missing" in ran.err
    url = ("--base-url", "https://gw.example/v1")
    ran = cli(*add, *url)
    assert (ran.code, config.exists()) == (2, False)
    assert "--key-env VARIABLE" in ran.err
    assert cli(*add, *url, "--key-env", "GW_KEY").code == 0
    assert "GW_KEY" in cli("providers", "show", "gw").out.decode()


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    """`SEEDREAM_CONFIG=/dev/null` means "no config": nothing but files is written over."""
    os.mkfifo(tmp_path / "device")
    with pytest.raises(StorageError, match="no ordinary file"):
        write_private(tmp_path / "device", "x = 1\n")
    assert stat.S_ISFIFO((tmp_path / "device").stat().st_mode)
    assert len(list(tmp_path.iterdir())) == 1


class Terminal:
    """`seedream providers add kie` at a terminal of its own."""

    def __init__(self, cli: Cli) -> None:
        """Start it; stdout goes through a pipe, as in a script that a person runs."""
        self.fd, slave = pty.openpty()
        cli.work.mkdir()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                ON_TERMINAL,
                sys.executable,
                "-m",
                "seedream_cli",
                "providers",
                "add",
                "kie",
                "--json",
            ],
            cwd=cli.work,
            env=cli.environment({"HTTPS_PROXY": "http://127.0.0.1:9"}),  # nobody is asked
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.slave = slave
        self.shown = ""

    @property
    def has_echo(self) -> bool:
        """Whether what is typed would be shown."""
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def reads(self, words: str) -> None:
        """Wait until the screen shows these words and hides what is typed."""
        until = time.monotonic() + SECONDS
        while words not in self.shown or self.has_echo:
            assert time.monotonic() < until, self.shown
            if select.select([self.fd], [], [], 0.05)[0]:
                self.shown += os.read(self.fd, 4096).decode()

    def types(self, text: str) -> tuple[int, bytes]:
        """Type, and return exit code and stdout of the command."""
        os.write(self.fd, text.encode())
        out, _ = self.process.communicate(timeout=SECONDS)
        while select.select([self.fd], [], [], 0)[0]:
            self.shown += os.read(self.fd, 4096).decode()
        return self.process.returncode, out


@pytest.fixture
def terminal(cli: Cli) -> Iterator[Terminal]:
    """Return the command at its terminal, waiting for a key."""
    terminal = Terminal(cli)
    try:
        terminal.reads("Enter: it is in the environment, KIE_API_KEY")
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.communicate()
        os.close(terminal.fd)
        os.close(terminal.slave)


def test_a_key_is_typed_unseen(terminal: Terminal, config: Path) -> None:
    """At a terminal `add` asks for the key and keeps it, without showing it."""
    code, out = terminal.types("sk-typed\n")
    assert code == 0
    assert json.loads(out)["key_source"] == "config.toml: api_key"
    assert stated(config)["profiles"] == {"kie": {"provider": "kie", "api_key": "sk-typed"}}
    assert "sk-typed" not in terminal.shown
    assert terminal.has_echo


def test_enter_leaves_the_key_in_the_environment(terminal: Terminal, config: Path) -> None:
    """No key typed means the variable that was named: nothing of it is written."""
    assert terminal.types("\n")[0] == 0
    assert stated(config)["profiles"] == {"kie": {"provider": "kie"}}


@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 2), ("a b\n", 2)])
def test_a_prompt_is_left_unharmed(terminal: Terminal, config: Path, typed: str, code: int) -> None:
    """Ctrl-C, Ctrl-D and what is no key write nothing, and the terminal echoes again."""
    assert terminal.types(typed)[0] == code
    assert terminal.has_echo
    assert not config.exists()


@pytest.mark.parametrize("edit", EDITS)
def test_accounts_need_nothing_heavy(cli: Cli, config: Path, edit: list[str]) -> None:
    """An edit of the config loads no network and no display."""
    written(config)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "seedream_cli", "providers", *edit],
        env=cli.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    lines = done.stderr.decode().splitlines()
    found = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "seedream_cli.storage.config.file" in found
    assert not found & {"httpx", "rich", "ssl", "asyncio", "sqlite3", "pydantic"}


def test_another_tool_of_the_same_name_is_told(cli: Cli) -> None:
    """`providers` names an installed `seedream-cli`, whose command takes the place of ours."""
    assert "seedream-cli" not in cli("providers").err
    folder = cli.home / "site" / "seedream_cli-0.3.1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: seedream-cli\nVersion: 0.3.1\n")
    ran = cli("providers", env={"PYTHONPATH": str(folder.parent)}, process=True)
    assert ran.code == 0
    assert "seedream-cli 0.3.1 is installed too" in ran.err


def test_help_names_every_fault_on_a_narrow_terminal(cli: Cli) -> None:
    """None of them is cut off at 80 columns."""
    ran = cli("providers", "sandbox", "--help", env={"COLUMNS": "80"})
    assert ran.code == 0, ran.err
    assert max(map(len, ran.lines)) <= 80
    _, _, told = " ".join(" ".join(ran.lines).split()).partition("--fault KIND[:TIMES] ")
    assert told.startswith(f"{' '.join(FAULTS)}. --at DATE ")


def test_retired_models_are_marked(cli: Cli) -> None:
    """Date and successor stand beside what is gone; what lives is not marked."""
    lines = cli("providers", "show", "ark").lines
    (old,) = [line for line in lines if line.startswith("doubao-seedream-4-5-251128")]
    assert old.endswith("retired 2026-11-24: -m doubao-seedream-5-0-pro-260628")
    assert sum("retired" in line for line in lines) == 6
    models = cli("providers", "show", "ark", "--json").objects[0]["models"]
    assert isinstance(models, dict)
    marks = ("retired", "retired_at", "successor")
    assert [models["doubao-seedream-4-5-251128"][mark] for mark in marks] == [
        True,
        "2026-11-24T06:00:00Z",
        "doubao-seedream-5-0-pro-260628",
    ]
    living = models["doubao-seedream-5-0-flash-260915"]
    assert [living[mark] for mark in marks] == [False, None, None]


def test_a_model_with_an_end_to_come_is_not_marked(cli: Cli) -> None:
    """On a day that is rehearsed it has a price, and the day of its end."""
    day = {"SEEDREAM_SANDBOX_AT": "2026-11-24T13:59+08:00"}
    lines = cli("providers", "show", "ark", "--sandbox", env=day).lines
    (old,) = [line for line in lines if line.startswith("doubao-seedream-4-5-251128")]
    assert old.endswith("0.25 CNY until 2026-11-24")


def test_a_retired_model_of_a_profile_is_told(cli: Cli) -> None:
    """It is written all the same: whose account it is may know more."""
    ran = cli("providers", "add", "ark", "-m", "doubao-seedream-4-0-250828", "--key-file", "key")
    assert ran.code == 0
    assert "was retired on 2026-11-24; its successor is doubao-seedream-4-0-20260415" in ran.err


def test_the_sandbox_serves_another_day(cli: Cli, start_server: StartServer) -> None:
    """`--at` rehearses a day on which the examples of the providers' pages still worked."""
    body = {"model": "doubao-seedream-4-5-251128", "prompt": "a fox", "size": "2K"}
    codes, charged = [], []
    for day in ("2026-11-01", None):
        server = start_server(at=day)
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{server.origin}/ark/api/v3/images/generations",
            data=json.dumps(body).encode(),
            headers={"authorization": "Bearer k"},
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
                codes.append(answer.status)
        except urllib.error.HTTPError as error:
            codes.append(error.code)
            error.close()
        charged.append(server.counters()["charged"])
    assert (codes, charged) == ([200, 404], [{"ark": 1}, {}])
    ran = cli("providers", "sandbox", "--at", "yesterday")
    assert (ran.code, "--at yesterday is no date" in ran.err) == (2, True)


def test_the_sandbox_serves_both_loopbacks_and_can_wrap(cli: Cli) -> None:
    """At 127.0.0.1 and at [::1] one server answers; `--wrapped` gives KIE's record an envelope."""
    command = ("providers", "sandbox", "--port", "0", "--delay", "0", "--wrapped")
    server = cli.start(*command)
    assert server.stdout is not None
    try:
        origins = [server.stdout.readline().decode().strip()]
        if socket.has_ipv6:
            origins.append(origins[0].replace("127.0.0.1", "[::1]"))
        for origin in origins:
            base, headers = f"{origin}/kie/api/v1/seedream", {"authorization": "Bearer k"}
            asked = urllib.request.Request(f"{base}/generate", b'{"prompt":"x"}', headers)  # noqa: S310 - loopback
            with urllib.request.urlopen(asked) as answer:  # noqa: S310 - likewise
                task = json.loads(answer.read())["data"]["taskId"]
            asked = urllib.request.Request(f"{base}/record-info?taskId={task}", None, headers)  # noqa: S310 - likewise
            with urllib.request.urlopen(asked) as answer:  # noqa: S310 - likewise
                record = json.loads(answer.read())["data"]
            assert record["successFlag"] == 1
            assert record["imageUrl"].startswith(f"{origin}/images/")
    finally:
        server.terminate()
        server.communicate(timeout=10)
