"""Replicate from the command line: what it keeps for an hour only, and what it validates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

QUICK = {"SEEDREAM_REREAD_SECONDS": "0.1"}
HASTE = "Replicate deletes pictures 1 h after they are made: seedream download"


def test_no_wait_says_how_soon_its_pictures_are_gone(cli: Cli, server: Server) -> None:
    """Where a job is left to run, one line names the hour; of KIE nothing is said."""
    cli.configure(server)
    ran = cli("generate", "x", "-p", "replicate", "--no-wait")
    assert (ran.code, HASTE in ran.err) == (0, True)
    assert HASTE not in cli("generate", "x", "-p", "kie", "--no-wait").err
    assert cli("download").code == 0
    assert len(cli.pictures()) == 2


def test_a_batch_that_does_not_wait_says_it_too(cli: Cli, server: Server) -> None:
    """`generate --batch --no-wait` ends with the same line, once."""
    cli.configure(server)
    cli.work.mkdir(exist_ok=True)
    (cli.work / "p.txt").write_text("a fox\na hen\n")
    ran = cli("generate", "--batch", "p.txt", "-p", "replicate", "--no-wait")
    assert (ran.code, ran.err.count(HASTE)) == (0, 1), ran.err


def test_never_asks_to_be_kept_waiting(cli: Cli, server: Server) -> None:
    """No submit carries `Prefer`: the shorter the request, the less can be lost."""
    cli.configure(server)
    assert cli("generate", "x", "-p", "replicate").code == 0
    (submit,) = server.submits()
    assert "prefer" not in [str(name) for name in submit["headers"]]  # type: ignore[attr-defined]


def test_its_own_validation_is_a_refusal(cli: Cli, server: Server) -> None:
    """What only Replicate finds wrong is exit 3, not charged, in its words; one request."""
    cli.configure(server)
    ran = cli("generate", "x", "-p", "replicate", "--set", 'image_input=["nonsense"]', "--json")
    error = ran.object["error"]
    assert isinstance(error, dict)
    assert (ran.code, error["code"], ran.object["charge"]) == (3, "invalid_request", "none")
    assert "input.image_input" in str(error["message"])
    assert (len(server.submits()), server.charges()) == (1, [])


def test_busy_is_waited_for_as_long_as_it_says(cli: Cli, start_server: StartServer) -> None:
    """A 429 is sent again after its `retry_after`, and paid once."""
    server = start_server("429:1")
    cli.configure(server)
    ran = cli("generate", "x", "-p", "replicate")
    assert ran.code == 0, ran.err
    assert (len(server.submits()), len(server.charges())) == (2, 1)


def test_a_picture_that_is_gone_is_exit_5(cli: Cli, start_server: StartServer) -> None:
    """Past its hour by its host's clock: expired, charged, and never bought by itself."""
    server = start_server("expire")
    cli.configure(server)
    ran = cli("generate", "x", "-p", "replicate", "--json")
    assert (ran.code, ran.object["state"], ran.object["charge"]) == (5, "expired", "charged")
    assert len(server.submits()) == 1


def test_a_late_picture_is_waited_for(cli: Cli, start_server: StartServer) -> None:
    """404 for a while from the picture's host is no loss."""
    cli.configure(start_server("late:1"))
    ran = cli("generate", "x", "-p", "replicate")
    assert ran.code == 0, ran.err
    assert len(cli.pictures()) == 1


def test_a_task_made_elsewhere_is_adopted(cli: Cli, start_server: StartServer) -> None:
    """`status --adopt ID` takes on what a lost answer had named."""
    server = start_server("lost:1")
    cli.configure(server)
    ran = cli("generate", "x", "-p", "replicate", "--json")
    assert (ran.code, ran.object["state"]) == (5, "unknown")
    (charge,) = server.charges()
    job = str(ran.object["job"])
    assert cli("status", job, "--adopt", "nothing").code == 2
    assert cli("status", job, "--adopt", str(charge["task"])).code == 0
    assert cli("download", job).code == 0
    assert (len(cli.pictures()), len(server.submits())) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (("-m", "bytedance/seedream-3", "-s", "1K"), {"size": "regular", "aspect_ratio": "1:1"}),
        (
            ("-m", "bytedance/seedream-3", "-s", "800x600"),
            {"aspect_ratio": "custom", "width": 800, "height": 600},
        ),
        (("-s", "2560x2048"), {"size": "custom", "width": 2560, "height": 2048}),
        (("-s", "4K", "-a", "16:9"), {"size": "4K", "aspect_ratio": "16:9"}),
        (("-m", "bytedance/seedream-5-lite", "--format", "png"), {"output_format": "png"}),
    ],
)
def test_sizes_go_in_its_own_words(
    cli: Cli, arguments: tuple[str, ...], fields: dict[str, object]
) -> None:
    """Keywords and ratios as words, free pixels as `custom`."""
    (told,) = cli("generate", "x", "-p", "replicate", *arguments, "--dry-run", "--json").objects
    body = told["body"]
    assert isinstance(body, dict)
    assert body["input"].items() >= fields.items()


def test_a_side_that_is_too_short_is_not_sent(cli: Cli, server: Server) -> None:
    """Free sizes have sides of at least 1024: exit 2 before anything is sent."""
    cli.configure(server)
    words = ("-p", "replicate", "-m", "bytedance/seedream-4", "-s", "900x4096")
    ran = cli("generate", "x", *words)
    assert (ran.code, "sides of at least 1024" in ran.err) == (2, True)
    assert server.submits() == []
