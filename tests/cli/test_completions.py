"""The completion scripts, in the real shells, and the words that they ask seedream for."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import write_completions
from support.scene import ON_TERMINAL
from write_completions import FOLDER, SCRIPTS, commands, renewed

from seedream_cli.cli.completion import NEWEST_JOBS, words
from seedream_cli.cli.shells import MARK, shell_of
from seedream_cli.core.model import Charge, Image, Job, State
from seedream_cli.providers import PROVIDERS
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

TODAY = datetime(2026, 11, 30, tzinfo=UTC)
SCRIPT_OF = {"bash": "seedream.bash", "zsh": "_seedream", "fish": "seedream.fish"}
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
SECONDS = 30

BASH = r"""
source "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=("${@:3}") COMP_CWORD=$(($# - 3))
_seedream
printf '%s\n' "${COMPREPLY[@]}"
"""

# zsh completes only at a terminal: a second one behind zpty types the line and says what compadd
# was given, between two marks.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT= fpath=(${(q)1} \$fpath); source ${(q)2}; echo LOAD''ED"
zpty -r -m shell text '*LOADED*'
zpty -n -w shell $3$'\t'
zpty -r -m shell text $'*\x02*'
text=${text##*$'\x01'}
print -r -- "${${text%%$'\x02'*}//$'\r'/}"
zpty -d shell
"""
ZSH_INSIDE = r"""
autoload -Uz compinit
compinit -D -u
bindkey '^I' complete-word
compadd() {
  local -a hits
  if (( ! ${@[(I)-[OAD]*]} )); then
    builtin compadd -A hits "$@"
    offered+=($hits)
  fi
  builtin compadd "$@"
}
report() { print -r -- $'\x01'; print -rl -- $offered; print -r -- $'\x02'; }
offered=() comppostfuncs=(report)
"""


@pytest.fixture(
    params=[
        pytest.param(
            name,
            marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"),
        )
        for name in SCRIPT_OF
    ]
)
def shell(request: pytest.FixtureRequest) -> str:
    """Return the name of each shell that is installed."""
    return str(request.param)


class Terminal:
    """A home in which lines are completed, with a `seedream` on PATH that tells when it runs."""

    def __init__(self, home: Path) -> None:
        """Make the home."""
        self.home = home
        self.calls = home / "calls"
        self.work = home / "work"
        self.bin = home / "bin"
        for folder in (self.work, self.bin):
            folder.mkdir()
        self.install('printf "%s\\n" "$*" >>"$HOME/calls"; exit 1')

    def install(self, script: str) -> None:
        """Let `seedream` be this shell script."""
        stub = self.bin / "seedream"
        stub.write_text(f"#!/bin/sh\n{script}\n")
        stub.chmod(0o755)

    def install_ours(self) -> None:
        """Let `seedream` be the real one."""
        self.install(f'exec "{sys.executable}" -m seedream_cli "$@"')

    @property
    def environ(self) -> dict[str, str]:
        """The environment of shell and seedream alike."""
        return {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "ZDOTDIR": str(self.home),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "SEEDREAM_CONFIG": str(self.home / "config.toml"),
            "SEEDREAM_STATE_DIR": str(self.home / "state"),
        }

    def offers(self, shell: str, line: str) -> list[str]:
        """Return what a TAB at the end of `line` offers, as it would be typed."""
        script = str(FOLDER / SCRIPT_OF[shell])
        match shell:
            case "bash":
                # As bash takes a line apart: = and : are words of their own.
                parts = re.findall(r'"[^"]*"?|[=:]+|[^\s"=:]+', line)
                last = [""] if line.endswith(" ") else []
                argv = ["bash", "--norc", "--noprofile", "-c", BASH, "-", script, line]
                argv += [*parts, *last]
            case "fish":
                argv = ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]
                argv += [script, line]
            case _:
                inside = self.home / "inside.zsh"
                inside.write_text(ZSH_INSIDE)
                argv = ["zsh", "-f", "-c", ZSH, "-", str(FOLDER), str(inside), line]
        done = subprocess.run(
            argv,
            cwd=self.work,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.stderr == b""
        found = [text.partition("\t")[0] for text in done.stdout.decode().splitlines()]
        option = re.search(r"(--[\w-]+=)\S*$", line)
        prefix = option[1] if option else ""
        return [text.removeprefix(prefix).replace("\\", "") for text in found if text]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """Return an empty home."""
    return Terminal(tmp_path)


def a_job(number: int, *, prompt: str = "a fox") -> Job:
    """Return a job that was planned."""
    return Job(
        id=f"{number:08d}",
        run=f"run{number}",
        state=State.PLANNED,
        charge=Charge.NONE,
        provider="ark",
        profile="ark",
        origin="https://ark.example",
        sandbox=True,
        model="m",
        prompt=prompt,
        request={},
        recipe={},
        purchase_digest=str(number),
        output={},
        first_n=1,
        expected=1,
        created_at=NOW,
    )


def keep(terminal: Terminal, jobs: list[Job], *, saved: Job | None = None) -> None:
    """Write jobs down, one of them with a saved picture."""
    ledger = Ledger(terminal.home / "state" / "ledger.db", now=lambda: NOW)
    ledger.plan(jobs)
    if saved is not None:
        ledger.put_image(Image(job=saved.id, index=1, n=1, path="/a.png", saved_at=NOW))
    ledger.close()


def configure(terminal: Terminal) -> None:
    """Write two profiles, one with a space in its name."""
    config = terminal.home / "config.toml"
    config.write_text('[profiles.work]\nprovider = "kie"\n[profiles."my art"]\nprovider = "ark"\n')
    config.chmod(0o600)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_is_made_from_the_app(name: str) -> None:
    """A command, option or choice that was added is in the committed script."""
    text = (FOLDER / name).read_text("utf-8")
    fresh = renewed(text, SCRIPTS[name](commands()))
    assert text == fresh, "run: python scripts/write_completions.py"


def test_making_renews_stale_scripts(tmp_path: Path) -> None:
    """The command in each script's header writes all three, and leaves what is around the marks."""
    for name in SCRIPTS:
        text = (FOLDER / name).read_text("utf-8")
        (tmp_path / name).write_text(renewed(text, "stale\n"), "utf-8")
    argv = [sys.executable, write_completions.__file__, str(tmp_path)]
    subprocess.run(argv, check=True, timeout=SECONDS)
    for name in SCRIPTS:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_a_script_without_marks_is_not_touched() -> None:
    """Text that has lost its marks is refused, not overwritten."""
    with pytest.raises(ValueError, match="marks"):
        renewed("complete -c seedream\n", "made\n")


def test_the_syntax_is_sound(shell: str) -> None:
    """Each shell reads its script without complaint."""
    done = subprocess.run(
        [shell, "-n", FOLDER / SCRIPT_OF[shell]], capture_output=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("seedream gen", ["generate"]),
        ("seedream ", ["generate", "edit", "status", "download", "providers"]),
        ("seedream --ver", ["--version"]),
        ("seedream providers sh", ["show"]),
        ("seedream providers show --js", ["--json"]),
        ("seedream providers sandbox --fault tr", ["truncate"]),
        ("seedream generate --asp", ["--aspect"]),
        ("seedream generate --aspect 16", ["16:9"]),
        ("seedream generate --aspect=21", ["21:9"]),
        ("seedream generate --size 1", ["1K", "1.5K"]),
        ("seedream generate --size=4", ["4K"]),
        ("seedream generate -s 4", ["4K"]),
        ("seedream generate --format ", ["png", "jpeg"]),
        ("seedream generate --format=", ["png", "jpeg"]),
        ('seedream generate "a fox in the status bar" --js', ["--json"]),
        ("seedream generate status --quie", ["--quiet"]),
        ("seedream generate --no-wat", ["--no-watermark"]),
        ("seedream status --state re", ["ready", "refused"]),
    ],
)
def test_commands_options_and_choices_start_no_python(
    terminal: Terminal, shell: str, line: str, expected: list[str]
) -> None:
    """What the script holds itself is offered without a run of seedream."""
    assert sorted(terminal.offers(shell, line)) == sorted(expected)
    assert not terminal.calls.exists()


@pytest.mark.parametrize(
    "line",
    [
        "seedream generate --seed ",
        "seedream generate --callback-url=",
        "seedream generate no",
        "seedream generate --json --js",
        "seedream generate --size=2K --siz",
        "seedream generate -q --quie",
        "seedream generate --watermark --no-waterm",
        "seedream generate -- --js",
        "seedream nonsense --siz",
    ],
)
def test_free_values_and_what_was_said_are_not_offered(
    terminal: Terminal, shell: str, line: str
) -> None:
    """Numbers, URLs and prompts offer nothing, nor does an option that is on the line already."""
    (terminal.work / "notes.txt").touch()
    assert terminal.offers(shell, line) == []
    assert not terminal.calls.exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("seedream generate --despite 0 --despi", ["--despite"]),
        ("seedream generate -v --verb", ["--verbose"]),
    ],
)
def test_an_option_that_repeats_is_offered_again(
    terminal: Terminal, shell: str, line: str, expected: list[str]
) -> None:
    """`--set`, `--despite`, `-i` and `-v` may be given more than once."""
    assert terminal.offers(shell, line) == expected


@pytest.mark.parametrize(
    "option", ["generate -f ", "generate -o ", "generate --output=", "edit -i ", "edit --image="]
)
def test_files_are_offered_where_files_go(terminal: Terminal, shell: str, option: str) -> None:
    """`-f`, `-o` and `-i` complete the names of files."""
    (terminal.work / "notes.txt").touch()
    assert terminal.offers(shell, f"seedream {option}no") == ["notes.txt"]
    assert not terminal.calls.exists()


@pytest.mark.parametrize("path", ["", "generate", "edit", "status", "download", "providers show"])
def test_every_option_of_a_command_is_offered(terminal: Terminal, shell: str, path: str) -> None:
    """A `--` and a TAB shows all long options of the command, `--help` among them."""
    (here,) = [command for command in commands() if command.path == path]
    expected = [text for one in here.options for text in one.spellings if text.startswith("--")]
    found = terminal.offers(shell, " ".join(filter(None, ["seedream", path, "--"])))
    assert sorted(found) == sorted(expected)
    assert "--help" in found


def test_profiles_are_asked_for(terminal: Terminal, shell: str) -> None:
    """`-p` offers the profiles of the config file, then the providers."""
    terminal.install_ours()
    configure(terminal)
    expected = ["work", "my art", *PROVIDERS]
    assert sorted(terminal.offers(shell, 'seedream generate "a fox" -p ')) == sorted(expected)
    assert terminal.offers(shell, "seedream generate --profile=my") == ["my art"]


def test_providers_are_offered_without_seedream(terminal: Terminal, shell: str) -> None:
    """Where seedream cannot answer, `-p` still knows the providers, and nothing is printed."""
    assert sorted(terminal.offers(shell, "seedream generate -p ")) == sorted(PROVIDERS)
    assert terminal.calls.read_text().splitlines() == ["__complete profiles"]


@pytest.mark.parametrize("said", ["-p byteplus -m ", "--profile=byteplus --model="])
def test_models_are_those_of_the_profile(terminal: Terminal, shell: str, said: str) -> None:
    """`-m` offers the models of the provider that the line names, and its short names."""
    terminal.install_ours()
    found = terminal.offers(shell, f"seedream generate {said}")
    short = ["5.5", "5-pro", "5-flash", "5-lite", "4.5", "4"]
    assert sorted(found) == sorted([*PROVIDERS["byteplus"].living(TODAY), *short])


def test_jobs_are_asked_for(terminal: Terminal, shell: str) -> None:
    """Job ids and `last` are offered where a job is meant, and as `job:` for an image."""
    terminal.install_ours()
    jobs = [a_job(1, prompt='it\'s: "a\tfox"\n$HOME `x` [y] \\ 狐'), a_job(2)]
    keep(terminal, jobs, saved=jobs[0])
    assert sorted(terminal.offers(shell, "seedream status ")) == ["00000001", "00000002", "last"]
    assert terminal.offers(shell, "seedream download 00000002 la") == ["last"]
    image = terminal.offers(shell, "seedream edit -i job:la")
    # zsh and bash offer what stands behind the colon.
    assert image == (["job:last"] if shell == "fish" else ["last"])


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_a_whole_line_at_a_terminal(terminal: Terminal) -> None:
    """Typed at a real prompt, TABs finish words, values with a colon, quotes and file names."""
    terminal.install(
        'if [ "$1" = __complete ]; then printf "my art\\tkie\\n"; exit; fi\n'
        'printf "%s\\n" "$@" >"$HOME/calls"'
    )
    (terminal.work / "notes.txt").touch()
    startup = terminal.home / "startup"
    startup.write_text(f"source '{FOLDER / SCRIPT_OF['bash']}'\nPS1='READY> '\n")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", startup, "-i"],
        cwd=terminal.work,
        env=terminal.environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        _read_until(ours, b"READY> ")
        os.write(
            ours, b'seedream gen\t"a fox" -a 16\t --size=4\t -p my\t --prompt-file=no\t -o no\t\r'
        )
        _read_until(ours, b"READY> ")
    finally:
        os.close(ours)
        process.kill()
        process.wait(SECONDS)
    typed = ["generate", "a fox", "-a", "16:9", "--size=4K", "-p", "my art"]
    typed += ["--prompt-file=notes.txt", "-o", "notes.txt"]
    assert terminal.calls.read_text().splitlines() == typed


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_tab_works_in_a_new_shell(terminal: Terminal, shell: str, *, is_loaded: bool) -> None:
    """After `--install-completion` in an empty home TABs finish words, and start no Python.

    In bash without and with bash-completion, which then needs no line of ours.
    """
    startup = terminal.home / {"bash": ".bashrc", "zsh": ".zshrc", "fish": "none"}[shell]
    loader = Path("/usr/share/bash-completion/bash_completion")
    if is_loaded and (shell != "bash" or not loader.exists()):
        pytest.skip("bash-completion is not installed" if shell == "bash" else "of bash only")
    if is_loaded:
        startup.write_text(f". {loader}\n")
    run_ours(terminal, "--install-completion", shell)
    done = run_ours(terminal, "--install-completion", shell)
    assert done.returncode == 0, done.stderr
    placed = Path(done.stdout.decode().strip())
    assert placed.read_text("utf-8") == (FOLDER / SCRIPT_OF[shell]).read_text("utf-8")
    is_marked = startup.exists() and MARK in startup.read_text()
    assert is_marked == (shell == "zsh" or (shell == "bash" and not is_loaded))
    assert not is_marked or startup.read_text().count(MARK) == 1
    typed = b'seedream gen\t--sandb\t"a fox" --quie\t\r'
    assert typed_at(terminal, shell, typed) == ["generate", "--sandbox", "a fox", "--quiet"]


def typed_at(terminal: Terminal, shell: str, line: bytes) -> list[str]:
    """Type a line at a new shell; return the words that `seedream` got."""
    terminal.install('[ "$1" = __complete ] && exit\nprintf "%s\\n" "$@" >"$HOME/calls"')
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, str(shutil.which(shell)), "-i"],
        cwd=terminal.work,
        env=terminal.environ | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        select.select([ours], [], [], SECONDS)
        for part in [
            b"",
            *re.findall(rb"[^\t]*\t|[^\t]+", line),
        ]:  # a person waits for a TAB to be done
            os.write(ours, part)
            while select.select([ours], [], [], 0.3)[0]:
                os.read(ours, 4096)
        until = time.monotonic() + SECONDS
        while not terminal.calls.exists() and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait(SECONDS)
        os.close(ours)
    return terminal.calls.read_text().splitlines()


def run_ours(terminal: Terminal, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the real `seedream` in that home."""
    return subprocess.run(
        [sys.executable, "-m", "seedream_cli", *arguments],
        cwd=terminal.work,
        env=terminal.environ,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_script_is_shown(terminal: Terminal) -> None:
    """`--show-completion` prints the static script; a shell that has none is exit 2."""
    for shell, name in SCRIPT_OF.items():
        shown = run_ours(terminal, "--show-completion", shell)
        assert shown.stdout == (FOLDER / name).read_bytes()
    for option in ("--show-completion", "--install-completion"):
        refused = run_ours(terminal, option, "tcsh")
        assert refused.returncode == 2
        assert b"seedream --install-completion fish" in refused.stderr
    assert sorted(path.name for path in terminal.home.iterdir()) == ["bin", "work"]


def test_the_shell_at_hand_is_meant(terminal: Terminal) -> None:
    """Where no shell is named it is the one that started us, else the login shell."""
    assert shell_of({"SHELL": "/usr/bin/fish"}, os.getpid()) == "fish"
    assert shell_of({}, os.getpid()) == ""
    environ = terminal.environ | {"SHELL": "/bin/bash"}
    done = subprocess.run(
        [sys.executable, "-m", "seedream_cli", "--show-completion"],
        env=environ,
        capture_output=True,
        check=True,
    )
    assert b"bash completion for seedream" in done.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("seedream generate --despite ", ["00000002"]),
        ("seedream providers remove ", ["work", "kie"]),
        ("seedream generate -p ki", ["kie", "kie-seedream"]),
        ("seedream generate --batch rows.toml --accept he", ["hero", "hero-night"]),
        ("seedream generate --like cat", ["cat.png"]),
        ("seedream status cat", ["cat.png"]),
        ("seedream --show-completion z", ["zsh"]),
    ],
)
def test_what_fits_is_offered_once(
    terminal: Terminal, shell: str, line: str, expected: list[str]
) -> None:
    """Unknown jobs, profiles of the file, rows of the manifest, pictures: those and no others."""
    terminal.install_ours()
    (terminal.home / "config.toml").write_text(
        '[profiles.work]\nprovider = "kie"\n[profiles.kie]\nprovider = "kie"\n'
    )
    (terminal.work / "cat.png").touch()
    rows = "".join(f'[images.{name}]\nprompt = "a"\n' for name in ("hero", "hero-night", "x"))
    (terminal.work / "rows.toml").write_text(rows)
    keep(terminal, [a_job(1), replace(a_job(2), state=State.UNKNOWN, charge=Charge.MAYBE)])
    assert sorted(terminal.offers(shell, line)) == sorted(expected)


def test_no_files_among_jobs(terminal: Terminal, shell: str) -> None:
    """Behind `job:` there are jobs, and no files."""
    terminal.install_ours()
    (terminal.work / "job:notes").touch()
    (terminal.work / "notes.txt").touch()
    keep(terminal, [a_job(1)])
    found = terminal.offers(shell, "seedream edit -i job:")
    assert found == (["job:00000001"] if shell == "fish" else ["00000001"])


def _read_until(terminal: int, mark: bytes) -> None:
    """Read until a mark comes."""
    seen = b""
    while mark not in seen:
        ready, _, _ = select.select([terminal], [], [], SECONDS)
        assert ready, seen
        seen += os.read(terminal, 4096)


def ask(
    environ: Mapping[str, str], *arguments: str, switches: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run `seedream __complete`."""
    return subprocess.run(
        [sys.executable, *switches, "-m", "seedream_cli", "__complete", *arguments],
        env=dict(environ),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize("kind", ["profiles", "models", "jobs", "nonsense", ""])
def test_an_answer_is_never_an_error(terminal: Terminal, kind: str) -> None:
    """A broken config and a file that is no ledger print nothing and exit 0."""
    (terminal.home / "config.toml").write_text("[profiles\n")
    (terminal.home / "state").mkdir()
    for name in ("ledger.db", "ledger.birth"):
        (terminal.home / "state" / name).write_text("no database")
    done = ask(terminal.environ, kind)
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) == (kind == "models")


def test_an_answer_creates_nothing(terminal: Terminal) -> None:
    """Asking for jobs where there is no ledger leaves the disk as it was."""
    before = sorted(terminal.home.rglob("*"))
    assert ask(terminal.environ, "jobs").stdout == b""
    assert sorted(terminal.home.rglob("*")) == before


@pytest.mark.parametrize("kind", ["profiles", "models", "jobs"])
def test_an_answer_is_quick_to_start(terminal: Terminal, kind: str) -> None:
    """Neither the command line nor the network is loaded for a TAB."""
    keep(terminal, [a_job(1)])
    configure(terminal)
    done = ask(terminal.environ, kind, switches=("-X", "importtime"))
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert done.stdout != b""
    assert "seedream_cli.cli.completion" in loaded
    assert not {"typer", "click", "rich", "httpx", "asyncio", "ssl"} & loaded


def test_only_the_newest_jobs_are_offered(terminal: Terminal) -> None:
    """A long history offers its newest jobs, newest first, and no `last` before a picture."""
    keep(terminal, [a_job(number) for number in range(NEWEST_JOBS + 10)])
    found = [line.partition("\t")[0] for line in words("jobs", terminal.environ)]
    assert found == [f"{number:08d}" for number in range(NEWEST_JOBS + 9, 9, -1)]


def test_a_prompt_is_shown_on_one_harmless_line(terminal: Terminal) -> None:
    """What a prompt holds can neither break the list nor reach the terminal as a command."""
    keep(terminal, [a_job(1, prompt="a\tfox\n\x1b[31mred\x07 " + "x" * 200)])
    (line,) = words("jobs", terminal.environ)
    word, tab, text = line.partition("\t")
    assert (word, tab) == ("00000001", "\t")
    assert text.startswith("a fox red")
    assert text.isprintable()
    assert len(text) <= len("x" * 80)


def test_names_that_would_break_a_line_are_left_out(terminal: Terminal) -> None:
    """A profile whose name holds a line break or a tab is not offered."""
    config = terminal.home / "config.toml"
    config.write_text('[profiles."a\\nb"]\nprovider = "kie"\n[profiles.c]\nprovider = "kie"\n')
    assert words("profiles", terminal.environ) == ["c\tkie"]


def test_models_follow_the_profile_in_effect(terminal: Terminal) -> None:
    """Without `-p` the environment's choice counts; an unknown profile offers every model."""
    environ = {**terminal.environ, "SEEDREAM_PROFILE": "uniall"}
    assert [line.partition("\t")[0] for line in words("models", environ)] == [
        *("5-lite", "4.5", "4"),
        *PROVIDERS["uniall"].models,
    ]
    everything = {name for one in PROVIDERS.values() for name in one.living(TODAY) if name}
    found = {line.partition("\t")[0] for line in words("models", environ, "nobody")}
    assert found == everything | {"5.5", "5-pro", "5-flash", "5-lite", "4.5", "4"}
    on_ark = {line.partition("\t")[0] for line in words("models", environ, "ark")}
    assert on_ark & {"4", "4.5", "5-lite"} == {"4"}  # what the others mean is retired there
    assert "doubao-seedream-5-0-flash-260915" in found
    assert "doubao-seedream-4-5-251128" not in found
