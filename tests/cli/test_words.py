"""What a person is told: of money, of what went wrong, of what was meant."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

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
    assert last == "2 pictures; cost about 0.24 CNY; 0.12 CNY may have been charged"


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
