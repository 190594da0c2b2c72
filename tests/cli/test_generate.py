"""`seedream generate` as its users meet it: real processes and sockets, the sandbox behind."""

from __future__ import annotations

import json
import shlex
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

LONG = pytest.mark.soak
PROVIDERS = (
    *("ark", "byteplus", "kie", "kie-seedream", "uniall", "seedreams"),
    *("fal", "replicate", "openrouter", "wavespeed"),
)
POLLED = ("kie", "kie-seedream", "seedreams", "fal", "replicate", "wavespeed")
INLINE = ("openrouter",)
"""Providers whose pictures come in the answer itself, from no other host."""


def dimensions(path: Path) -> tuple[str, int, int]:
    """Read format and size from a picture's own bytes."""
    data = path.read_bytes()
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack(">II", data[16:24])
        return "png", width, height
    assert data[:2] == b"\xff\xd8", data[:16]
    at = 2
    while data[at + 1] not in {0xC0, 0xC1, 0xC2}:
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    height, width = struct.unpack(">HH", data[at + 5 : at + 9])
    return "jpeg", width, height


@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_prompt_is_one_post_and_one_file(cli: Cli, server: Server, provider: str) -> None:
    """One prompt is one POST, one picture on disk, its path alone on stdout."""
    cli.configure(server)
    ran = cli("generate", "a lighthouse at dawn", "-p", provider)
    assert ran.code == 0, ran.err
    assert len(server.submits()) == 1
    (picture,) = cli.pictures()
    assert ran.lines == [picture.name]
    assert picture.name.startswith("a-lighthouse-at-dawn-")
    _, width, height = dimensions(picture)
    assert (width, height) == (2048, 2048)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name not in INLINE])
def test_no_key_goes_to_the_image_host(cli: Cli, server: Server, provider: str) -> None:
    """The key is in every request to the API and in none to the image host."""
    cli.configure(server)
    assert cli("generate", "x", "-p", provider).code == 0
    images = [entry for entry in server.log() if "/images/" in str(entry["path"]).split("?")[0]]
    fetched = [entry for entry in images if entry["method"] == "GET"]
    assert fetched
    assert not any(entry["has_authorization"] for entry in fetched)
    others = [e for e in server.log() if e not in fetched and "_sandbox" not in str(e["path"])]
    assert others
    assert all(entry["has_authorization"] for entry in others)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_three_pictures_are_three_files_in_order(cli: Cli, server: Server, provider: str) -> None:
    """`-n 3` is three files and three lines, numbered 1 to 3; `last.3` names the third."""
    cli.configure(server)
    ran = cli("generate", "a fox", "-n", "3", "-p", provider, "-o", "fox.{ext}")
    assert ran.code == 0, ran.err
    assert [line.partition(".")[0] for line in ran.lines] == ["fox-1", "fox-2", "fox-3"]
    assert sorted(ran.lines) == [path.name for path in cli.pictures()]
    status = cli("status", "last.3", "--json", "--offline")
    assert status.code == 0, status.err
    paths = [image["path"] for image in status.objects[0]["images"]]  # type: ignore[attr-defined]
    assert str(cli.work / ran.lines[2]) in paths
    assert all(dimensions(path)[1:] == (2048, 2048) for path in cli.pictures())


@pytest.mark.parametrize("provider", POLLED)
def test_a_job_that_is_not_waited_for_is_downloaded_later(
    cli: Cli, server: Server, provider: str
) -> None:
    """`--no-wait` prints the job; `download` in another process saves it and buys nothing."""
    cli.configure(server)
    ran = cli("generate", "x", "-p", provider, "--no-wait")
    assert ran.code == 0, ran.err
    (job,) = ran.lines
    assert len(job) == 8
    assert cli.pictures() == []
    later = cli("download", job)
    assert later.code == 0, later.err
    assert len(cli.pictures()) == 1
    assert len(server.submits()) == 1


def test_a_sandbox_job_is_downloaded_by_a_later_process(cli: Cli) -> None:
    """A polled sandbox job can be asked about when the process that made it is gone."""
    ran = cli("generate", "x", "--sandbox", "-p", "kie", "--no-wait")
    assert ran.code == 0, ran.err
    later = cli("download", ran.lines[0])
    assert later.code == 0, later.err
    assert later.lines == [path.name for path in cli.pictures()]


@pytest.mark.parametrize("provider", ["ark", "byteplus", "uniall", "openrouter"])
def test_no_wait_is_refused_where_nothing_is_polled(
    cli: Cli, server: Server, provider: str
) -> None:
    """A synchronous provider answers only when finished, so `--no-wait` is exit 2."""
    cli.configure(server)
    ran = cli("generate", "x", "-p", provider, "--no-wait")
    assert ran.code == 2
    assert "answers only when finished" in ran.err
    assert server.submits() == []


def _error(cli: Cli, *arguments: str, env: dict[str, str] | None = None) -> dict[str, object]:
    """Run with and without `--json`; both end alike; return the error with its exit code."""
    plain = cli(*arguments, env=env)
    ran = cli(*arguments, "--json", env=env)
    assert plain.code == ran.code
    assert plain.out == b""
    assert plain.err.startswith("seedream: ") or "\nseedream: " in plain.err
    (found,) = ran.objects
    error = found["error"]
    assert isinstance(error, dict)
    assert error["exit"] == ran.code
    assert {"schema", "job", "state", "charge", "next", "images"} <= set(found)
    return {**error, "charge": found["charge"], "job": found["job"], "next": found["next"]}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_key_is_an_account_error(cli: Cli, provider: str) -> None:
    """Without a key nothing is sent: exit 4, `auth`."""
    error = _error(cli, "generate", "x", "-p", provider)
    assert (error["exit"], error["code"], error["job"]) == (4, "auth", None)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("key", "code"), [("sk-wrong", "auth"), ("sk-no-credit", "credit")])
def test_a_bad_account_is_exit_4(
    cli: Cli, server: Server, provider: str, key: str, code: str
) -> None:
    """A wrong key and an empty account are told apart, also where they come as HTTP 200."""
    cli.configure(server, key)
    error = _error(cli, "generate", "x", "-p", provider)
    assert (error["exit"], error["code"], error["charge"]) == (4, code, "none")


# seedreams.app has no word for it; fal may bill it (fal.ai/docs, "request-errors", 2026).
@pytest.mark.parametrize("provider", [n for n in PROVIDERS if n not in {"seedreams", "fal"}])
def test_a_content_refusal_is_exit_3(cli: Cli, start_server: StartServer, provider: str) -> None:
    """What the provider will not draw is exit 3, `content_policy`, not charged."""
    cli.configure(start_server("refuse"))
    env = {"SEEDREAM_REREAD_SECONDS": "0.1"}
    error = _error(cli, "generate", "x", "-p", provider, env=env)
    assert (error["exit"], error["code"], error["charge"]) == (3, "content_policy", "none")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_failed_generation_is_exit_3(cli: Cli, start_server: StartServer, provider: str) -> None:
    """What the provider accepted and then failed is exit 3."""
    cli.configure(start_server("fail"))
    error = _error(cli, "generate", "x", "-p", provider, env={"SEEDREAM_REREAD_SECONDS": "0.1"})
    assert error["exit"] == 3
    assert error["code"] in {"provider_failed", "content_policy"}


@pytest.mark.parametrize("provider", POLLED)
def test_an_endless_task_is_left_to_run(cli: Cli, start_server: StartServer, provider: str) -> None:
    """After `--timeout` the job is left running: exit 75 and the command that goes on."""
    cli.configure(start_server("slow"))
    ran = cli("generate", "x", "-p", provider, "--timeout", "3", "--json")
    assert ran.code == 75, ran.err
    (found,) = ran.objects
    assert (found["state"], found["next"], found["charge"]) == ("running", "download", "charged")
    assert f"seedream download {found['job']}" in ran.err


@pytest.mark.parametrize(
    "provider",
    # Each waits for real; for all six `faults/` tries the same on a clock that is handed in.
    [name if name in {"ark", "kie"} else pytest.param(name, marks=LONG) for name in PROVIDERS],
)
def test_an_unreachable_provider_is_exit_69(cli: Cli, server: Server, provider: str) -> None:
    """Nothing is charged where nobody answers the phone: exit 69, `unreachable`."""
    cli.configure(server)
    config = cli.home / "config.toml"
    config.write_text(config.read_text().replace(server.origin, "http://127.0.0.1:9"))
    error = _error(cli, "generate", "x", "-p", provider)
    assert (error["exit"], error["code"], error["charge"]) == (69, "unreachable", "none")
    assert error["next"] == "retry"


@pytest.mark.parametrize(
    ("provider", "size"),
    [
        ("ark", "512x512"),
        ("byteplus", "1024x1024"),
        ("byteplus", "1K"),
        ("kie", "1K"),
        ("uniall", "1280x720"),
        ("replicate", "512x512"),
        ("openrouter", "512"),
    ],
)
def test_a_size_below_the_model_is_not_sent(
    cli: Cli, server: Server, provider: str, size: str
) -> None:
    """A size that the model cannot make is exit 2 before anything is sent."""
    cli.configure(server)
    error = _error(cli, "generate", "x", "-p", provider, "-s", size)
    assert (error["exit"], error["code"]) == (2, "usage")
    assert server.submits() == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_existing_file_is_left_alone(cli: Cli, server: Server, provider: str) -> None:
    """A target that exists is exit 2 with nothing sent, and the file is untouched."""
    cli.configure(server)
    cli.work.mkdir(exist_ok=True)
    (cli.work / "cat.jpg").write_bytes(b"mine")
    error = _error(cli, "generate", "x", "-p", provider, "--any-format", "-o", "cat.jpg")
    assert (error["exit"], error["code"]) == (2, "usage")
    assert (cli.work / "cat.jpg").read_bytes() == b"mine"
    assert server.submits() == []


def test_overwrite_replaces_and_skip_existing_does_not_buy(cli: Cli, server: Server) -> None:
    """`--overwrite` replaces the file, `--skip-existing` prints its path without a request."""
    cli.configure(server)
    cli.work.mkdir(exist_ok=True)
    (cli.work / "cat.jpg").write_bytes(b"mine")
    skipped = cli("generate", "x", "-p", "ark", "-o", "cat.jpg", "--skip-existing", "--json")
    assert skipped.code == 0
    assert skipped.objects[0]["skipped"] is True
    assert server.submits() == []
    ran = cli("generate", "x", "-p", "ark", "-o", "cat.jpg", "--overwrite")
    assert ran.code == 0, ran.err
    assert dimensions(cli.work / "cat.jpg") == ("jpeg", 2048, 2048)


def test_a_picture_goes_to_stdout_whole(cli: Cli) -> None:
    """`-o -` writes the picture's bytes and nothing else, and leaves no file."""
    ran = cli("generate", "x", "--sandbox", "-o", "-")
    assert ran.code == 0, ran.err
    assert ran.out[:2] == b"\xff\xd8"
    assert ran.out[-2:] == b"\xff\xd9"
    assert cli.pictures() == []
    assert not list((cli.home / "state").rglob("held/*"))


@pytest.mark.parametrize("more", [["--json"], ["-n", "2"]])
def test_stdout_takes_one_picture_only(cli: Cli, more: list[str]) -> None:
    """`-o -` with `--json`, or where more pictures may come, is exit 2."""
    assert cli("generate", "x", "--sandbox", "-o", "-", *more).code == 2


def test_the_prompt_comes_from_stdin(cli: Cli) -> None:
    """`-` reads the prompt from stdin, and only then is stdin read."""
    ran = cli("generate", "-", "--sandbox", stdin=b"a fox\n")
    assert ran.code == 0, ran.err
    assert ran.lines[0].startswith("a-fox-")


def test_json_is_one_line_at_any_width(cli: Cli) -> None:
    """A narrow terminal does not break JSON, which stays ASCII."""
    ran = cli("generate", "灯塔", "--sandbox", "--json", env={"COLUMNS": "40"})
    (found,) = ran.objects
    assert found["prompt"] == "灯塔"
    assert found["sandbox"] is True
    assert found["state"] == "saved"
    assert ran.out.isascii()


def test_a_chinese_prompt_has_a_readable_name(cli: Cli) -> None:
    """Letters of every script stay in the file name."""
    ran = cli("generate", "一座灯塔", "--sandbox")
    assert ran.code == 0, ran.err
    assert ran.lines[0].startswith("一座灯塔-")
    assert (cli.work / ran.lines[0]).exists()


def test_the_sandbox_never_uses_a_proxy(cli: Cli) -> None:
    """A proxy variable is not followed to loopback."""
    ran = cli("generate", "x", "--sandbox", env={"HTTP_PROXY": "http://127.0.0.1:9"})
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_dry_run_needs_no_key_and_sends_nothing(cli: Cli, provider: str) -> None:
    """`--dry-run` prints method, URL, body and price."""
    ran = cli("generate", "a fox", "-p", provider, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    (found,) = ran.objects
    assert found["method"] == "POST"
    assert str(found["url"]).startswith("https://")
    assert "a fox" in json.dumps(found["body"])
    assert "price" in found
    plain = cli("generate", "a fox", "-p", provider, "--dry-run")
    assert plain.lines[0] == f"POST {found['url']}"


def test_a_sidecar_holds_recipe_and_receipt(cli: Cli) -> None:
    """`--sidecar` writes NAME.json beside the picture."""
    ran = cli("generate", "a fox", "--sandbox", "--sidecar", "-o", "fox.jpg")
    assert ran.code == 0, ran.err
    receipt = json.loads((cli.work / "fox.json").read_text())
    assert receipt["prompt"] == "a fox"
    assert receipt["body"]["size"] == "2048x2048"


def test_a_prompt_that_is_a_file_is_a_mistake(cli: Cli) -> None:
    """The name of an existing file was meant for `-i`."""
    cli.work.mkdir(exist_ok=True)
    (cli.work / "photo.jpg").write_bytes(b"x")
    ran = cli("generate", "photo.jpg", "--sandbox")
    assert ran.code == 2
    assert "-i photo.jpg" in ran.err


def test_the_extension_asks_for_a_format(cli: Cli) -> None:
    """`-o cat.png` is exit 2 where the model makes JPEG only, and sent where it can choose."""
    ran = cli("generate", "x", "--sandbox", "-p", "byteplus", "-o", "cat.png")
    assert ran.code == 2
    assert "cat.jpg" in ran.err or "jpeg" in ran.err.lower()
    picked = cli(
        "generate", "x", "--sandbox", "-m", "doubao-seedream-5-0-pro-260628", "-o", "cat.png"
    )
    assert picked.code == 0, picked.err
    assert dimensions(cli.work / "cat.png")[0] == "png"


def test_usage_errors_are_json_too(cli: Cli) -> None:
    """A mistyped option prints the same object, with exit 2."""
    ran = cli("generate", "x", "--bogus", "--json")
    assert ran.code == 2
    assert ran.objects[0]["error"]["code"] == "usage"  # type: ignore[index]


def _imports(cli: Cli, *arguments: str) -> set[str]:
    """Return the modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "seedream_cli", *arguments],
        env=cli.environment(),
        capture_output=True,
        check=True,
    )
    lines = done.stderr.decode().splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def test_the_version_imports_nothing_heavy(cli: Cli) -> None:
    """`--version` is answered before Typer, httpx or rich load."""
    found = _imports(cli, "--version")
    assert not found & {"typer", "httpx", "rich", "sqlite3", "seedream_cli.cli.app"}


@pytest.mark.parametrize("command", [["status"], ["providers"], ["status", "--json"]])
def test_commands_that_send_nothing_import_no_network(cli: Cli, command: list[str]) -> None:
    """`status` and `providers` do not load httpx, asyncio or ssl when they send nothing."""
    assert cli("generate", "x", "--sandbox").code == 0
    found = _imports(cli, *command)
    assert "typer" in found
    assert not found & {"httpx", "asyncio", "ssl", "rich", "pydantic"}


@pytest.mark.parametrize("where", [[], ["-o", "art/"], ["-o", "{slug}-{time}.{ext}"]])
def test_skip_existing_needs_a_name_that_can_exist(cli: Cli, where: list[str]) -> None:
    """With a name that is new each time `--skip-existing` would buy each time: exit 2."""
    ran = cli("generate", "a dog", "--sandbox", "--skip-existing", *where)
    assert ran.code == 2
    assert "-o FILE" in ran.err


def test_a_full_stdout_is_an_error(cli: Cli) -> None:
    """A result that stdout does not take is exit 74, and what was made is on disk."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "seedream_cli", "generate", "x", "--sandbox", "-q"],
            cwd=cli.home,
            env=cli.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 74
    assert b"No space left" in done.stderr
    assert len(list(cli.home.glob("x-*.jpg"))) == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams_do_no_harm(cli: Cli, closed: str) -> None:
    """A command whose caller closed a stream works on, and its ledger stays a ledger."""
    cli.work.mkdir(exist_ok=True)
    command = f'exec "{sys.executable}" -m seedream_cli generate x --sandbox -q -o x.jpg {closed}'
    done = subprocess.run(  # noqa: S602 - a shell is what closes streams
        command, shell=True, cwd=cli.work, env=cli.environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert dimensions(cli.work / "x.jpg") == ("jpeg", 2048, 2048)
    assert cli("status", "--offline", "--json").objects[0]["state"] == "saved"


@pytest.mark.parametrize("prompt", ["@last, but at night", "job:last.2 in snow"])
def test_a_picture_is_no_prompt(cli: Cli, prompt: str) -> None:
    """A prompt that begins with a picture's name was meant for `edit -i`: nothing is bought."""
    ran = cli("generate", prompt, "--sandbox")
    assert ran.code == 2
    assert "seedream edit" in ran.err


OLD, PRO = "doubao-seedream-4-5-251128", "doubao-seedream-5-0-pro-260628"
DAY = {"SEEDREAM_SANDBOX_AT": "2026-11-01"}


def test_a_retired_model_is_refused_with_the_way_on(cli: Cli) -> None:
    """It goes out with a note; the refusal is free, and its hint is right as pasted."""
    ran = cli("generate", "a fox", "-p", "ark", "-m", OLD, "--sandbox", "-o", "my fox.jpg")
    assert (ran.code, ran.lines) == (3, [])
    assert ran.err.startswith(f"{OLD} was retired on 2026-11-24; its successor is {PRO}")
    (line,) = [each.strip() for each in ran.err.splitlines() if each.startswith("  ")]
    assert line == f"seedream generate 'a fox' -o 'my fox.jpg' -p ark -m {PRO} --sandbox"
    again = cli(*shlex.split(line)[1:])
    assert (again.code, again.lines) == (0, ["my fox.jpg"])
    (job,) = cli("status", "--json", "--state", "refused").objects
    assert (job["charge"], job["next"]) == ("none", "fix")
    assert job["error"]["hint"] == f"the same with -m {PRO}"  # type: ignore[index]


def test_the_way_on_makes_the_same_kind_of_picture(cli: Cli) -> None:
    """A set of a retired model goes on with the model that makes sets, as JSON says too."""
    ran = cli("generate", "-m", OLD, "--sandbox", "--series", "3", "--json", "--", "-a fox")
    (job,) = ran.objects
    error = job["error"]
    assert isinstance(error, dict)
    assert (ran.code, error["code"], error["exit"]) == (3, "invalid_request", 3)
    words = shlex.split(error["hint"])
    assert words[words.index("-m") + 1] == "doubao-seedream-4-0-20260415"
    again = cli(*words[1:])
    assert again.code == 0, again.err
    assert len(again.objects[0]["images"]) == 3  # type: ignore[arg-type]


def test_a_rehearsal_may_have_a_day_of_its_own(cli: Cli) -> None:
    """On a day before the end the model makes its picture, and nobody speaks of an end."""
    ran = cli("generate", "a fox", "--sandbox", "-m", OLD, env=DAY)
    assert ran.code == 0, ran.err
    assert "retired" not in ran.err
    ran = cli("generate", "a fox", "--sandbox", env={"SEEDREAM_SANDBOX_AT": "soon"})
    assert (ran.code, "is no date: soon" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("more", "model"),
    [
        ((), "doubao-seedream-5-0-flash-260915"),
        (("--series", "4"), "doubao-seedream-4-0-20260415"),
        (("-s", "4K"), "doubao-seedream-4-0-20260415"),
        (("-o", "cat.png"), "doubao-seedream-5-0-flash-260915"),
        (("-o", "cat.jpg", "-s", "4K"), "doubao-seedream-4-0-20260415"),
    ],
)
def test_a_living_model_is_asked(cli: Cli, more: tuple[str, ...], model: str) -> None:
    """Where nobody chose a model, it is today's default, or the one that can, and that is said."""
    ran = cli("generate", "x", "-p", "ark", "--dry-run", "--json", *more)
    assert ran.objects[0]["body"]["model"] == model  # type: ignore[index]
    assert ("stands in" in ran.err) is ("4-0" in model)


def test_a_name_that_the_stand_in_cannot_keep_is_refused(cli: Cli) -> None:
    """4K is made in JPEG only: exit 2 before anything is sent, with a name that would do."""
    ran = cli("generate", "x", "-p", "ark", "-s", "4K", "-o", "cat.png", "--sandbox")
    assert ran.code == 2
    assert "Seedream 4.0 makes JPEG only, not PNG" in ran.err
    assert "use -o cat.jpg or -o cat" in ran.err
