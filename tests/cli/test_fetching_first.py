"""What was paid for is fetched before anything is bought; charges are counted by the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.manifests import KIE
from support.server import serving

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.manifests import Folder

QUICK = {"SEEDREAM_REREAD_SECONDS": "0.05"}
FOX = ("generate", "a fox", "-o", "fox", "-p")


@pytest.mark.parametrize("provider", ["ark", "kie", "seedreams"])
def test_a_picture_that_is_late_at_its_host_is_waited_for(cli: Cli, provider: str) -> None:
    """The host says 404 for a while: exit 0, one charge."""
    with serving("late", late=0.3) as server:
        cli.configure(server)
        ran = cli(*FOX, provider)
        assert (ran.code, len(ran.lines), len(server.charges())) == (0, 1, 1), ran.err


@pytest.mark.parametrize("provider", ["ark", "kie", "uniall"])
def test_a_repeated_command_fetches_what_is_ready(
    cli: Cli, start_server: StartServer, provider: str
) -> None:
    """The first one was left at its timeout; the next one buys nothing and saves the picture."""
    server = start_server("truncate")
    cli.configure(server)
    assert cli(*FOX, provider, "--timeout", "0.1").code == 75
    server.change_weather()
    ran = cli(*FOX, provider)
    assert (ran.code, len(ran.lines), len(server.charges())) == (0, 1, 1), ran.err


def test_who_finds_a_picture_lapsed_does_not_buy_it_again(
    cli: Cli, start_server: StartServer
) -> None:
    """Exit 5 and one charge; the next command buys."""
    server = start_server("truncate")
    cli.configure(server)
    assert cli(*FOX, "ark", "--timeout", "0.1").code == 75
    server.change_weather("expire")
    assert (cli(*FOX, "ark").code, len(server.charges())) == (5, 1)
    server.change_weather()
    assert (cli(*FOX, "ark").code, len(server.charges())) == (0, 2)


def test_a_failed_job_is_asked_about_before_it_is_bought_again(
    cli: Cli, start_server: StartServer
) -> None:
    """Its provider says that it failed: one free question, then another purchase."""
    server = start_server("fail:1")
    cli.configure(server)
    assert cli(*FOX, "kie", env=QUICK).code == 3
    polls = sum(entry["method"] == "GET" for entry in server.log())
    ran = cli(*FOX, "kie", env=QUICK)
    assert (ran.code, len(server.charges())) == (0, 2), ran.err
    assert sum(entry["method"] == "GET" for entry in server.log()) > polls + 1


def test_skip_existing_fetches_a_deleted_file(cli: Cli, start_server: StartServer) -> None:
    """Its URL lives: it comes back free of charge; a plain repeat makes another picture."""
    server = start_server()
    cli.configure(server)
    args = (*FOX, "ark", "--skip-existing")
    assert cli(*args).code == 0
    (picture,) = cli.pictures()
    content = picture.read_bytes()
    picture.unlink()
    assert (cli(*args).code, len(server.charges())) == (0, 1)
    assert picture.read_bytes() == content
    picture.unlink()
    assert (cli(*FOX, "ark").code, len(server.charges())) == (0, 2)


def test_a_written_off_job_can_still_be_fetched(cli: Cli, start_server: StartServer) -> None:
    """`-y` closes what is ready; `download` by name brings it all the same."""
    server = start_server("truncate")
    cli.configure(server)
    ran = cli(*FOX, "ark", "--timeout", "0.1", "--json")
    job = str(ran.object["job"])
    assert cli("status", job, "--write-off").code == 2
    assert cli("status", job, "--write-off", "-y").code == 0
    server.change_weather()
    ran = cli("download", job)
    assert (ran.code, len(ran.lines), len(server.charges())) == (0, 1, 1), ran.err


def test_only_any_opens_the_image_hosts(cli: Cli, start_server: StartServer) -> None:
    """Another word in the profile is exit 2 and named."""
    config = cli.configure(start_server())
    text = config.read_text()
    config.write_text(text.replace("[profiles.ark]", '[profiles.ark]\nimage_hosts = "all"'))
    ran = cli(*FOX, "ark")
    assert (ran.code, "image_hosts" in ran.err) == (2, True)
    config.write_text(text.replace("[profiles.ark]", '[profiles.ark]\nimage_hosts = "any"'))
    assert cli(*FOX, "ark").code == 0


@pytest.mark.parametrize("name", ["hero", "renamed"])
def test_a_failed_row_is_asked_about_under_any_name(folder: Folder, name: str) -> None:
    """Its task is looked at once more before it is bought again, also where the row was renamed."""
    row = KIE + '[images.{}]\nprompt = "a fox"\noutput = "fox.png"\n'
    folder.write("art.toml", row.format("hero"))
    folder.server.change_weather("fail:1")
    assert folder("art.toml").code == 3
    (job,) = folder.cli("status", "--all", "--offline", "--json").objects
    before = len(folder.server.log())
    folder.write("art.toml", row.format(name))
    folder.make("art.toml")
    asked = [entry for entry in folder.server.log()[before:] if str(job["task_id"]) in str(entry)]
    assert (bool(asked), len(folder.server.charges())) == (True, 2)
