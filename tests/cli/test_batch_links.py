"""A batch among links, torn locks and neighbours: real processes and sockets."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from support.manifests import rows

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.manifests import Folder


# -- links -----------------------------------------------------------------------------------------


def test_a_renamed_picture_in_a_store_is_moved_and_there(folder: Folder) -> None:
    """As git-annex and DVC keep it: its link leads to it from the new folder, nothing is bought."""
    art = 'output = "art/hero.png"\n'
    manifest = folder.write("art.toml", rows(hero="a fox") + art)
    folder.make("art.toml")
    work = folder.cli.work
    (work / "store").mkdir()
    (work / "art/hero.png").rename(work / "store/obj")
    (work / "art/hero.png").symlink_to("../store/obj")
    manifest.write_text(rows(hero="a fox") + art.replace("art/", "site/img/"))
    folder.make("art.toml")
    assert str((work / "site/img/hero.png").readlink()) == "../../store/obj"
    assert not list((work / "art").iterdir())
    assert folder("art.toml", "--check").code == 0
    assert "1 current" in folder.make("art.toml")
    assert len(folder.server.submits()) == 1


def test_a_link_that_leads_nowhere_is_in_the_way_before_paying(folder: Folder) -> None:
    """Nothing is sent and the link stays; once it is gone the picture is made in its place."""
    folder.write("art.toml", rows(hero="a fox", sea="the sea"))
    link = folder.cli.work / "hero.png"
    link.symlink_to("nowhere")
    for arguments in (["--plan"], []):
        ran = folder("art.toml", *arguments)
        assert "hero.png is there and not in the lock" in ran.out.decode() + ran.err
        assert ran.code == (0 if arguments else 2)
    assert len(folder.server.submits()) == 0
    assert str(link.readlink()) == "nowhere"
    link.unlink()
    folder.make("art.toml")
    assert (len(folder.server.submits()), link.is_symlink()) == (2, False)


def test_a_picture_whose_store_is_not_here_is_not_bought_again(folder: Folder) -> None:
    """A checkout without the bytes that its links lead to: nothing is sent, the links stay."""
    folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml")
    picture = folder.cli.work / "hero.png"
    picture.rename(folder.cli.home / "obj")
    picture.symlink_to(folder.cli.home / "gone")
    (folder.cli.home / "state" / "ledger.db").unlink()
    assert folder("art.toml", "--check").code == 1
    assert "hero is left as it is" in folder("art.toml").err
    assert (len(folder.server.submits()), picture.is_symlink()) == (1, True)


# -- locks -----------------------------------------------------------------------------------------


def test_a_lock_torn_within_a_character_is_put_right(folder: Folder) -> None:
    """Wherever a kill tears the last line, the next run knows the picture and buys nothing."""
    folder.write("art.toml", rows(a="a fox", höhe="a hen"))
    folder.make("art.toml")
    lock = folder.cli.work / "art.lock"
    whole = lock.read_bytes()
    lock.write_bytes(whole[: whole.rindex("ö".encode()) + 1])
    assert folder("art.toml", "--check").code == 1
    folder.make("art.toml")
    assert (len(folder.server.submits()), lock.read_bytes()) == (2, whole)


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_a_manifest_named_as_a_part_is_refused_beside_the_other(
    folder: Folder, arguments: list[str]
) -> None:
    """Its lock would be folded into the other's and deleted; alone it has a lock like any."""
    folder.write("art.1-of-2.toml", rows(b="a hen"))
    folder.make("art.1-of-2.toml")
    lock = folder.cli.work / "art.1-of-2.lock"
    line = lock.read_bytes()
    folder.write("art.toml", rows(a="a fox"))
    for name in ("art.toml", "art.1-of-2.toml"):
        ran = folder(name, *arguments)
        assert ran.code == 2
        assert "art.toml" in ran.err
        assert "art.1-of-2.toml" in ran.err
        assert "give art.1-of-2.toml another name" in ran.err
    assert (len(folder.server.submits()), lock.read_bytes()) == (1, line)


def test_a_killed_shard_does_not_hold_the_next_division_up(
    folder: Folder, start_server: StartServer
) -> None:
    """What it left is empty, and no line can be in two parts; a live one is in the way."""
    folder.server = start_server(delay=30)
    folder.cli.configure(folder.server)
    folder.write("art.toml", rows(**{f"r{k}": f"picture {k}" for k in range(6)}))
    process = folder.cli.start("generate", "--batch", "art.toml", "--shard", "1/3")
    end = time.monotonic() + 30
    while not folder.server.submits():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert (folder.cli.work / "art.1-of-3.lock").stat().st_size == 0
    ran = folder("art.toml", "--shard", "1/2", "--max-images", "0")
    assert (ran.code, "another division" in ran.err) == (2, True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ran = folder("art.toml", "--shard", "1/2", "--max-images", "0")
    assert "another division" not in ran.err
    assert ran.code == 3


def test_a_part_that_cannot_be_made_stops_only_who_needs_it(folder: Folder) -> None:
    """All is as described: there is nothing to write. Else it stops before anything is sent."""
    name = f"{'x' * 246}.toml"  # there is room for “.lock”, and none for “.1-of-1.lock”
    manifest = folder.write(name, rows(hero="a fox"))
    folder.make(name)
    assert "1 current" in folder.make(name, "--shard", "1/1")
    manifest.write_text(rows(hero="a hen"))
    ran = folder(name, "--shard", "1/1")
    assert (ran.code, len(folder.server.submits())) == (74, 1)
    assert "x.1-of-1.lock could not be written" in ran.err
