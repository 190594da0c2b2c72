"""Every hint is right as pasted: its commands parse in shells, and our own parser takes them."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import seedream_cli
from seedream_cli.core.text import shell_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import StartServer
    from support.command import Cli, Ran

COMMAND = re.compile(r"\bseedream (generate|edit|status|download|providers)\b")
PROMPT = 'it\'s "a" fox & $(touch pwned) `x`; # {n} !\n\t*  two  spaces \u202e“”'
SHELLS = [
    pytest.param(
        shell,
        marks=pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed"),
    )
    for shell in ("bash", "zsh")
]


def words_of(shell: str, line: str) -> list[str]:
    """Return the words that a shell makes of a line that was pasted; it runs nothing else."""
    subprocess.run([shell, "-nc", line], check=True, capture_output=True)
    script = f"seedream() {{ printf '%s\\0' \"$@\"; }}\n{line}"
    options = ["-f"] if shell == "zsh" else ["--norc", "--noprofile"]
    done = subprocess.run([shell, *options, "-c", script], check=True, capture_output=True)
    assert not done.stderr
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


def commands_in(ran: Ran) -> list[str]:
    """Return the lines of stderr that look like commands of ours."""
    stripped = [line.strip() for line in ran.err.splitlines()]
    return [line for line in stripped if line.startswith("seedream ")]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("word", [PROMPT, "-x", "", "a\\b", "$HOME", "~", "##[error]x", "\udcff"])
def test_any_word_is_quoted_for_shells(shell: str, word: str) -> None:
    """Whatever a prompt holds, the shell hands it over as it was, and a line stays one line."""
    line = shell_line(["seedream", "generate", word])
    assert "\n" not in line
    assert "\t" not in line
    assert words_of(shell, line) == ["generate", word]


# -- what the code says ------------------------------------------------------------------------


def hints() -> Iterator[tuple[str, str]]:
    """Yield each hint that stands in the code, what is filled in as X, with its place."""
    root = Path(seedream_cli.__file__).parent
    for file in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            found: list[ast.expr | None] = []
            match node:
                case ast.Call(func=ast.Name(id="Problem"), args=[_, _, third, *_]):
                    found.append(third)
                case ast.Call():
                    found += [each.value for each in node.keywords if each.arg == "hint"]
                case ast.Assign(targets=[ast.Name(id="hint")]):
                    found.append(node.value)
                case _:
                    pass
            for value in filter(None, found):
                place = f"{file.relative_to(root)}:{value.lineno}"
                yield from ((place, text) for text in _texts(value))


def _texts(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return ["".join(_text(each) for each in values)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [a + b for a in _texts(left) or ["X"] for b in _texts(right) or ["X"]]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_texts(body), *_texts(orelse)]
        case _:
            return []


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "X"


def test_hints_in_the_code_have_one_command_a_line() -> None:
    """What is a command stands alone on its line; what is none does not look like one."""
    found = list(hints())
    assert len(found) > 100
    for place, text in found:
        for line in text.splitlines():
            if not COMMAND.search(line):
                assert not line.startswith("seedream "), f"{place}: {line}"
                continue
            assert line.startswith("seedream "), f"{place}: {line}"
            assert not re.search(r"[;|…<>]|\b[A-Z_]{3,}\b", line), f"{place}: {line}"


# -- what commands print -----------------------------------------------------------------------

USAGE = (
    ("generate", "a", "red", "fox", "--sandbox"),
    ("edit", "make", "it", "night", "-i", "https://example.com/a.png"),
    ("generate", f"-{PROMPT}", "--sandbox"),
    ("generate", "fox", "-i", "https://example.com/a.png"),
    ("edit", "--batch", "art.txt"),
    ("generate",),
    ("generate", "--nope"),
    ("edit", "fox", "--nope"),
    ("status", "--nope"),
    ("providers", "nope"),
    ("generate", "job:last it's night"),
    ("generate", "@last.2 night"),
    ("generate", "@prompt.txt"),
    ("generate", "file:///tmp/it's%20a.txt"),
    ("generate", "@cat.png"),
    ("generate", ""),
    ("generate", "fox", "-p", "nobody"),
    ("status", "00000000"),
    ("status", "--adopt", "x"),
    ("download", "00000000.2"),
    ("edit", "fox", "-i", "job:last"),
    ("providers", "add", "kie", "--provider", "ark"),
    ("providers", "remove", "nobody"),
    ("providers", "check", "ark"),
)
"""Each a mistake, or no account."""


@pytest.mark.parametrize("line", USAGE, ids=lambda line: " ".join(line)[:30])
def test_hints_of_mistakes_are_taken(cli: Cli, start_server: StartServer, line: tuple[str]) -> None:
    """Where a line is offered, shells and our parser take it; without and with accounts."""
    cli.work.mkdir(parents=True)
    (cli.work / "prompt.txt").write_text("a fox")
    (cli.work / "art.txt").write_text("a fox\n")
    for is_configured in (False, True):
        if is_configured:
            cli.configure(start_server())
        ran = cli(*line)
        assert ran.code in {0, 2, 4}, ran.err
        check_lines(cli, ran)


def check_lines(cli: Cli, ran: Ran, account: str = "") -> list[list[str]]:
    """Paste each line: no usage error of the parser; where an account is named, it is that one."""
    every = []
    for line in commands_in(ran):
        for shell in ("bash", "zsh"):
            words = words_of(shell, line) if shutil.which(shell) else []
            if not words:
                continue
            # A picture that is never ready would be waited for as long as it says.
            done = cli(*words, *(("--timeout", "1s") if words[0] == "download" else ()))
            assert not re.search(r"No such (option|command)|extra argument|Invalid", done.err), line
            assert "Usage" not in done.err, line
            if words[:2] == ["providers", "check"] and account:
                assert words[2] == account
            every.append(words)
    return every


@pytest.mark.parametrize("fault", ["drop", "html", "refuse", "fail", "expire", "500", "slow"])
@pytest.mark.parametrize("provider", ["ark", "kie"])
def test_hints_of_what_went_wrong_are_taken(
    cli: Cli, start_server: StartServer, provider: str, fault: str
) -> None:
    """Whatever a provider does to three pictures: each line below is right as pasted."""
    if (provider, fault) == ("ark", "slow"):
        pytest.skip("a picture that is never ready needs a provider that is polled")
    cli.configure(start_server(f"{fault}:2"))
    options = ("-p", provider, "-n", "3", "--timeout", "2s")
    ran = cli("generate", "a fox, 'quoted'", *options)
    assert ran.code != 2, ran.err
    check_lines(cli, ran, provider)
    told = cli("generate", "a hen", *options, "--json")
    for each in told.objects:
        error = each["error"]
        assert error is None or "\t" not in str(error)


@pytest.mark.parametrize("key", ["sk-wrong-0123456789", "sk-no-credit-0123456789"])
@pytest.mark.parametrize(
    "provider", ["ark", "byteplus", "kie", "uniall", "seedreams", "replicate", "openrouter"]
)
def test_hints_of_accounts_name_the_account(
    cli: Cli, start_server: StartServer, provider: str, key: str
) -> None:
    """A key that is not taken, or has no credit: what is to be checked is that very profile."""
    config = cli.configure(start_server(), key=key)
    text = config.read_text().replace(f"[profiles.{provider}]", "[profiles.my-own]")
    config.write_text(text)
    ran = cli("generate", "a fox", "-p", "my-own")
    assert ran.code == 4, ran.err
    lines = check_lines(cli, ran, "my-own")
    if "wrong" in key:
        assert ["providers", "check", "my-own"] in lines


@pytest.mark.parametrize(
    ("budget", "options"),
    [
        ("0.04 USD/day", ("-n", "3")),
        ("0.01 USD/month", ()),
        ("9 CNY/day", ()),
        ("9 USD/day", ("-n", "3", "--max-images", "2")),
        ("9 USD/day", ("--max-cost", "0.01")),
        ("9 USD/day", ("--max-cost", "1CNY")),
        ("9 USD/day", ("--set", "shots=3")),
    ],
)
def test_hints_of_bounds_are_taken(
    cli: Cli, start_server: StartServer, budget: str, options: tuple[str, ...]
) -> None:
    """What a bound does not allow is named, with the line that asks for the rest of it."""
    cli.configure(start_server(), budget=budget)
    ran = cli("generate", "a fox, 'quoted'", "-p", "kie", *options)
    assert ran.code in {2, 4}, ran.err
    lines = check_lines(cli, ran)
    assert not lines or ("-n" in lines[0] and lines[0][lines[0].index("-n") + 1] == "2")


def test_without_a_key_the_first_line_adds_an_account(cli: Cli) -> None:
    """For nobody in particular and for a provider by name: `providers add` comes first."""
    ran = cli("generate", "fox")
    assert (ran.code, commands_in(ran)[0]) == (4, "seedream providers add")
    ran = cli(*commands_in(ran)[0].split()[1:])  # which at a terminal would ask whose it is
    assert (ran.code, commands_in(ran)) == (2, ["seedream providers add ark"])
    ran = cli("generate", "fox", "-p", "kie")
    assert (ran.code, commands_in(ran)[0]) == (4, "seedream providers add kie")
    assert cli(*commands_in(ran)[0].split()[1:]).code == 0
    ran = cli("generate", "fox", "-p", "kie")
    assert (ran.code, commands_in(ran)[0]) == (4, "seedream providers add kie")
