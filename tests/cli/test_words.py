"""What a person is told: of money, of what went wrong, of what was meant."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server


# -- money -------------------------------------------------------------------------------------


def test_a_run_that_bought_something_never_says_that_nothing_was(
    cli: Cli, start_server: StartServer
) -> None:
    """Of three pictures one fails: the line below asks for that one alone, and works."""
    cli.configure(start_server("fail:1"))
    ran = cli("generate", "a fox", "-n", "3", "-p", "ark")
    assert ran.code == 3
    assert len(ran.lines) == 2
    assert "nothing was bought" not in ran.err
    (line,) = [each.strip() for each in ran.err.splitlines() if each.startswith("  seedream ")]
    assert shlex.split(line)[:3] == ["seedream", "generate", "a fox"]
    again = cli(*shlex.split(line)[1:])
    assert again.code == 0, again.err
    assert len(again.lines) == 1


def test_named_pictures_that_were_not_bought_are_asked_for_by_name(
    cli: Cli, start_server: StartServer
) -> None:
    """Where names are known the line leaves those that are there."""
    cli.configure(start_server("fail:1"))
    ran = cli("generate", "a fox", "-n", "3", "-p", "ark", "-o", "fox-{n}.jpg")
    (line,) = [each.strip() for each in ran.err.splitlines() if each.startswith("  seedream ")]
    again = cli(*shlex.split(line)[1:])
    assert again.code == 0, again.err
    assert sorted(path.name for path in cli.pictures()) == ["fox-1.jpg", "fox-2.jpg", "fox-3.jpg"]


def test_what_is_certain_and_what_is_not_are_told_apart(
    cli: Cli, start_server: StartServer
) -> None:
    """Two pictures are paid for, a third may be: two sums, each said once."""
    cli.configure(start_server("drop:1"))
    ran = cli("generate", "a fox", "-n", "3", "-p", "ark")
    assert ran.code == 5
    last = ran.err.splitlines()[-1]
    assert (
        last == "2 made, 1 of unknown outcome; cost about 0.24 CNY; 0.12 CNY may have been charged"
    )


def test_download_never_speaks_of_paying(cli: Cli, start_server: StartServer) -> None:
    """It buys nothing, so what it cannot fetch is told without a word of money."""
    cli.configure(start_server("fail:9"))
    ran = cli("generate", "a fox", "--no-wait", "-p", "kie")
    got = cli("download", ran.lines[0])
    assert got.code == 3
    for word in ("paid", "charged", "bought", "cost"):
        assert word not in got.err


def test_no_credit_is_not_a_key_that_works(cli: Cli, server: Server) -> None:
    """A balance of nothing is exit 4, the account named."""
    config = cli.configure(server, key="sk-no-credit-0123456789")
    ran = cli("providers", "check", "kie")
    assert ran.code == 4
    assert "works" not in ran.err
    assert "kie takes the key, and has no credit left: 0 credits" in ran.err
    config.write_text(config.read_text().replace("no-credit", "with-some"))
    assert "works" in cli("providers", "check", "kie").lines[0]


# -- what was meant ----------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["@prompt.txt", "@no-suffix", "file:///w/a%20fox.txt", "@x.md"])
def test_a_file_is_not_bought_as_a_prompt(cli: Cli, server: Server, prompt: str) -> None:
    """It was meant for -f, and the line below says so."""
    cli.configure(server)
    cli.work.mkdir(parents=True)
    for name in ("prompt.txt", "no-suffix"):
        (cli.work / name).write_text("a fox")
    ran = cli("generate", prompt, "-p", "ark")
    assert ran.code == 2
    assert server.submits() == []
    line = shlex.split(ran.err.splitlines()[-1])
    assert line[:2] == ["seedream", "generate"]
    assert "--prompt-file" in line
    if (cli.work / line[line.index("--prompt-file") + 1]).exists():
        assert cli(*line[1:]).code == 0


def test_a_picture_is_not_bought_as_a_prompt(cli: Cli, server: Server) -> None:
    """It was meant for -i."""
    cli.configure(server)
    ran = cli("generate", "@cat.png", "-p", "ark")
    assert ran.code == 2
    line = shlex.split(ran.err.splitlines()[-1])
    assert (line[:2], line[line.index("--image" if "--image" in line else "-i") + 1]) == (
        ["seedream", "edit"],
        "cat.png",
    )


@pytest.mark.parametrize("prompt", ["@home, sweet home", "a file: // a fox", "mail me@x.com"])
def test_other_prompts_are_bought(cli: Cli, server: Server, prompt: str) -> None:
    """An at sign alone makes no file of a prompt."""
    cli.configure(server)
    assert cli("generate", prompt, "-p", "ark").code == 0


def test_the_words_of_a_prompt_without_quotes_are_explained(cli: Cli, server: Server) -> None:
    """The line with the quotes is what was meant, options and all."""
    cli.configure(server)
    ran = cli("generate", "a", "red", "fox", "-p", "ark", "-n", "2", "it's")
    assert ran.code == 2
    line = ran.err.splitlines()[-1].strip()
    assert line == "seedream generate 'a red fox it'\"'\"'s' -p ark -n 2"
    assert cli(*shlex.split(line)[1:]).code == 0
    assert [entry["prompt"] for entry in server.charges()] == ["a red fox it's"] * 2


# -- profiles ----------------------------------------------------------------------------------


def test_a_bad_profile_spoils_itself_alone(cli: Cli, server: Server) -> None:
    """Others work, it does not, and `providers` names the mistake with its line."""
    config = cli.configure(server)
    lines = config.read_text().splitlines()
    at = lines.index("[profiles.kie]")
    config.write_text("\n".join([*lines[: at + 1], "asepct = 1", *lines[at + 1 :]]))
    assert cli("generate", "a fox", "-p", "ark").code == 0
    ran = cli("generate", "a fox", "-p", "kie")
    assert ran.code == 2
    place = f"{config}:{at + 2}: profiles.kie: unknown key asepct"
    assert place in ran.err
    listed = cli("providers")
    assert listed.code == 0
    assert f"kie cannot be used: {place}" in listed.out.decode()
    told = cli("providers", "list", "--json").objects
    (bad,) = [each for each in told if "error" in each]
    assert bad["profile"] == "kie"


@pytest.mark.parametrize(
    ("span", "code"),
    [("10m", 0), ("1h30m", 0), ("600", 0), ("2s", 0), ("10x", 2), ("-1", 2), ("nan", 2), ("2d", 2)],
)
def test_spans_take_units(cli: Cli, server: Server, span: str, code: int) -> None:
    """On the command line, in a profile and for download; a mistake is told with examples."""
    cli.configure(server)
    ran = cli("generate", "a fox", "-p", "ark", "--timeout", span)
    assert ran.code == code
    assert cli("download", "--timeout", span).code == code
    if code:
        assert "10m" in ran.err
        return
    cli.configure(server, timeout=span)
    assert cli("generate", "a fox", "-p", "ark").code == 0


# -- places ------------------------------------------------------------------------------------

LONG = "a" * 300


@pytest.mark.parametrize(
    "line",
    [
        *(f"generate fox -o {LONG}{end}" for end in ("", ".png", "/", "/x.png", "-{n}.png")),
        f"generate fox -o x/{'b/' * 3000}c.png",
        f"generate -f {LONG}",
        *(f"generate --batch {LONG}{end}" for end in ("", ".toml", "/x.txt")),
        *(f"edit fox -i {start}{LONG}" for start in ("job:", "@", "", "job:last.", "file:", "b/")),
        f"edit fox -i {'b/' * 3000}",
        f"download x -o {LONG}",
        f"status {LONG}.png",
        f"generate fox -m {LONG}",
        f"providers show {LONG}",
    ],
    ids=lambda line: line.replace(LONG, "L")[:40],
)
def test_no_name_is_too_long_to_be_told(cli: Cli, server: Server, line: str) -> None:
    """Names of hundreds of bytes are a mistake of typing: nothing is sent, and never a bug."""
    cli.configure(server)
    words = line.split()
    ran = cli(*words, *(["-p", "ark"] if words[0] in {"generate", "edit"} else []))
    assert ran.code == 2, ran.err
    assert server.submits() == []


@pytest.mark.parametrize("name", ["key-file", "SEEDREAM_CONFIG", "SSL_CERT_FILE"])
def test_long_names_elsewhere_are_no_bug(cli: Cli, server: Server, name: str) -> None:
    """Wherever a path comes from, one that no file can have is told in words."""
    cli.configure(server)
    if name == "key-file":
        ran = cli("providers", "add", "x", "--provider", "kie", "--key-file", LONG)
        assert ran.code == 0
        return
    ran = cli("generate", "fox", "-p", "ark", env={name: LONG})
    assert ran.code == 2, ran.err


@pytest.mark.parametrize("device", ["/dev/null", "fifo", "/dev/stdout", "link"])
def test_a_device_is_written_to_as_such(cli: Cli, server: Server, device: str) -> None:
    """No `/dev/null.jpg`: the picture goes into the device or pipe, and nothing is left on disk."""
    cli.configure(server)
    cli.work.mkdir(parents=True)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((cli.work / "fifo").read_bytes()))
    if device == "fifo":
        os.mkfifo(cli.work / device)
        reader.start()
    if device == "link":
        (cli.work / device).symlink_to("/dev/null")
    ran = cli("generate", "a fox", "-p", "ark", "-o", device)
    assert ran.code == 0, ran.err
    assert cli.pictures() == []
    if device == "fifo":
        reader.join()
        assert got[0].startswith(b"\xff\xd8")
    if device == "/dev/stdout":
        assert ran.out.startswith(b"\xff\xd8")
    else:
        assert ran.lines == [device]
        told = cli("generate", "another fox", "-p", "ark", "-o", "/dev/null", "--json").object
        assert [image["path"] for image in told["images"]] == ["/dev/null"]  # type: ignore[attr-defined]


def test_overwrite_writes_through_a_link(cli: Cli, server: Server) -> None:
    """The link stays one, what it leads to is replaced, at once and whole."""
    cli.configure(server)
    (cli.work / "deep").mkdir(parents=True)
    (cli.work / "deep" / "cat.jpg").write_bytes(b"old")
    (cli.work / "cat.jpg").symlink_to("deep/cat.jpg")
    ran = cli("generate", "a fox", "-p", "ark", "-o", "cat.jpg", "--overwrite")
    assert (ran.code, ran.lines) == (0, ["cat.jpg"])
    assert (cli.work / "cat.jpg").is_symlink()
    assert (cli.work / "deep" / "cat.jpg").read_bytes().startswith(b"\xff\xd8")
    assert cli("generate", "b", "-p", "ark", "-o", "cat.jpg").code == 2


def test_a_manifest_behind_a_link_finds_its_lock(cli: Cli, server: Server) -> None:
    """It is the file that the link leads to: the same lock, the same pictures."""
    cli.configure(server)
    (cli.work / "deep").mkdir(parents=True)
    (cli.work / "deep" / "art.toml").write_text('[images.fox]\nprompt = "a fox"\n')
    (cli.work / "link").symlink_to("deep/art.toml")
    assert cli("generate", "--batch", "deep/art.toml", "-p", "ark").code == 0
    assert cli("generate", "--batch", "link", "-p", "ark", "--check").code == 0
    assert len(server.submits()) == 1
    assert not (cli.work / "link.lock").exists()


# -- what exists -------------------------------------------------------------------------------


def test_a_placeholder_is_not_taken_for_the_picture(cli: Cli, server: Server) -> None:
    """A rehearsal's file counts for rehearsals; a real run makes the picture in its place."""
    cli.configure(server)
    words = ("generate", "a fox", "-p", "ark", "-o", "fox.jpg", "--skip-existing")
    assert cli(*words, "--sandbox").code == 0
    placeholder = (cli.work / "fox.jpg").read_bytes()
    again = cli(*words, "--sandbox")
    assert (again.code, again.lines) == (0, ["fox.jpg"])
    assert "fox.jpg exists, nothing bought" in again.err
    assert server.submits() == []
    # The same bytes as a picture that somebody else put there are that person's.
    (cli.work / "hen.jpg").write_bytes(placeholder)
    assert cli(*words[:5], "hen.jpg", "--skip-existing").code == 0
    assert server.submits() == []
    ran = cli(*words)
    assert (ran.code, ran.lines) == (0, ["fox.jpg"]), ran.err
    assert len(server.submits()) == 1
    last = cli(*words)
    assert "fox.jpg exists, nothing bought" in last.err
    assert len(server.submits()) == 1
    assert cli.pictures() == [cli.work / "fox.jpg", cli.work / "hen.jpg"]


@pytest.mark.parametrize("ext", ["png", "jpg", "jpeg", "webp", "avif"])
def test_any_picture_format_exists_for_ext(cli: Cli, server: Server, ext: str) -> None:
    """`{ext}` is whatever a picture of that name has."""
    cli.configure(server)
    (cli.work / "art").mkdir(parents=True)
    (cli.work / "art" / f"a-fox.{ext}").write_bytes(b"a picture")
    (cli.work / "art" / "a-fox.txt").write_bytes(b"none")
    ran = cli(
        *("generate", "a fox", "-p", "ark", "-m", "ep-20261130-x", "--skip-existing"),
        *("-o", "art/{slug}.{ext}"),
    )
    assert (ran.code, ran.lines) == (0, [f"art/a-fox.{ext}"]), ran.err
    assert server.submits() == []


def test_two_formats_of_one_name_have_two_sidecars(cli: Cli, server: Server) -> None:
    """`cat.json` tells of `cat.jpg`, `cat.png.json` of `cat.png`, also after an overwrite."""
    cli.configure(server)
    words = ("generate", "a cat", "-p", "uniall", "--any-format", "--sidecar")
    for name, more in (("cat.jpg", ()), ("cat.png", ()), ("cat.png", ("--overwrite",))):
        assert cli(*words, "-o", name, *more).code == 0
    digest = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in cli.pictures()}
    told = {each: json.loads((cli.work / each).read_text()) for each in digest if "json" in each}
    assert {name: each["sha256"] for name, each in told.items()} == {
        "cat.json": digest["cat.jpg"],
        "cat.png.json": digest["cat.png"],
    }


# -- manifests ---------------------------------------------------------------------------------


def test_a_missing_profile_is_named_once_at_its_line(cli: Cli, server: Server) -> None:
    """However many rows have it: where it stands, not as an option that nobody typed."""
    cli.configure(server)
    cli.work.mkdir(parents=True)
    rows = "".join(f'[images.r{k}]\nprompt = "fox {k}"\n' for k in range(5))
    text = f'[defaults]\naspect = "1:1"\nprofile = "wrok"\n{rows}profile = "nobody"\n'
    (cli.work / "art.toml").write_text(text)
    for mode in ((), ("--plan",)):
        ran = cli("generate", "--batch", "art.toml", *mode)
        assert ran.code == 2
        assert ran.err.count("wrok") == 1
        assert "art.toml:3: profile: there is no profile and no provider wrok" in ran.err
        assert "art.toml:14: profile: there is no profile and no provider nobody" in ran.err
        assert "-p" not in ran.err
    assert cli("generate", "--batch", "art.toml", "--check").code == 1


def test_max_cost_says_which_currency_the_prices_have(cli: Cli, server: Server) -> None:
    """A bound in another currency names the one that would do."""
    cli.configure(server)
    cli.work.mkdir(parents=True)
    (cli.work / "art.txt").write_text("a fox\n")
    ran = cli("generate", "--batch", "art.txt", "-p", "ark", "--max-cost", "5USD")
    assert ran.code == 2
    assert "the prices are in CNY" in ran.err
    assert cli("generate", "--batch", "art.txt", "-p", "ark", "--max-cost", "5CNY").code == 0


@pytest.mark.parametrize(
    ("asked", "near"),
    [("1024x1024", "2048x2048"), ("1280x720", "2848x1600"), ("720x1280", "1600x2848")],
)
def test_the_nearest_size_keeps_the_shape(cli: Cli, asked: str, near: str) -> None:
    """A square stays a square, however the areas compare."""
    ran = cli("generate", "fox", "-p", "kie", "-s", asked, "--dry-run", env={"KIE_API_KEY": "k"})
    assert ran.code == 2
    assert f"the nearest is {near} " in ran.err


def test_the_manifest_of_the_page_runs_where_its_recipes_do(cli: Cli, server: Server) -> None:
    """With a key in the environment and no config, as in CI, pods and cluster jobs."""
    text = (Path(__file__).parents[2] / "docs/batches.md").read_text(encoding="utf-8")
    found = re.search(r"```toml\n# assets.toml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    cli.work.mkdir(parents=True)
    (cli.work / "assets.toml").write_text(found[1])
    ran = cli("generate", "--batch", "assets.toml", "--plan", env={"ARK_API_KEY": "sk-of-ci"})
    assert ran.code == 0, ran.err
    assert len(ran.lines) == 3
    cli.configure(server)
    assert cli("generate", "--batch", "assets.toml", "-p", "ark").code == 0
    assert cli("generate", "--batch", "assets.toml", "--check").code == 0
