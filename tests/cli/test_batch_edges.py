"""Whose files lie in the way of a batch, and what is no manifest: real processes and sockets."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cli, Ran, Server

ARK = """[defaults]
profile = "ark"
model = "doubao-seedream-5-0-flash-260915"
size = "1280x720"
format = "png"
"""
TYPED = ["-p", "ark", "-m", "doubao-seedream-5-0-flash-260915", "-s", "1280x720", "--format", "png"]


@dataclass
class Folder:
    """A folder with manifests in it, and what the server saw of them."""

    cli: Cli
    server: Server
    seen: int = 0

    def __call__(self, name: str, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run `generate --batch` on one of them."""
        return self.cli("generate", "--batch", name, *arguments, stdin=stdin)

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        self.cli.work.mkdir(exist_ok=True)
        path = self.cli.work / name
        path.write_text(text)
        return path

    def make(self, name: str, *arguments: str) -> str:
        """Run it; everything is made. Return what it said."""
        ran = self(name, *arguments)
        assert ran.code == 0, ran.err
        return ran.err

    def bought(self) -> int:
        """Count the paid requests since the last look."""
        news, self.seen = len(self.server.submits()) - self.seen, len(self.server.submits())
        return news

    def lock(self, name: str = "art.lock") -> dict[str, dict[str, object]]:
        """Return a lock's lines by name."""
        lines = map(json.loads, (self.cli.work / name).read_text().splitlines())
        return {line["name"]: line for line in lines}


def rows(**prompts: str) -> str:
    """Write a manifest of plain rows."""
    text = (f'[images.{name}]\nprompt = "{prompt}"\n' for name, prompt in prompts.items())
    return ARK + "".join(text)


@pytest.fixture
def folder(cli: Cli, server: Server) -> Folder:
    """Return a folder whose profiles speak to a server in fair weather."""
    cli.configure(server)
    return Folder(cli=cli, server=server)


# -- whose file it is ------------------------------------------------------------------------------


def test_two_manifests_do_not_take_each_others_pictures(folder: Folder) -> None:
    """A row of the same name in another manifest: its picture was paid for, and is in the way."""
    folder.write("one.toml", rows(hero="a fox"))
    folder.write("two.toml", rows(hero="a hen"))
    folder.make("one.toml")
    assert folder.bought() == 1
    picture = (folder.cli.work / "hero.png").read_bytes()
    for arguments in (["--plan"], []):
        ran = folder("two.toml", *arguments)
        assert "hero.png is there and not in the lock" in ran.out.decode() + ran.err
        assert ran.code == (0 if arguments else 2)
    assert folder.bought() == 0
    assert (folder.cli.work / "hero.png").read_bytes() == picture


def test_a_lost_line_is_ours_at_its_own_path_only(folder: Folder) -> None:
    """What a job saved here may be replaced when the lock is lost; a copy of it elsewhere not."""
    manifest = folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml")
    (folder.cli.work / "art.lock").unlink()
    manifest.write_text(rows(hero="a hen"))
    plan = folder("art.toml", "--plan")
    assert plan.lines[0].split()[:2] == ["make", "hero"]
    (folder.cli.work / "copy.png").write_bytes((folder.cli.work / "hero.png").read_bytes())
    manifest.write_text(rows(hero="a hen") + 'output = "copy.png"\n')
    plan = folder("art.toml", "--plan")
    assert plan.lines[0].split()[:2] == ["conflict", "hero"]
    manifest.write_text(rows(hero="a hen"))
    folder.make("art.toml")
    assert folder.bought() == 2


def test_a_lost_line_is_ours_in_a_moved_checkout(folder: Folder) -> None:
    """A lock was lost and the folder moved: the picture is known, and neither bought nor a bar."""
    old, new = folder.cli.work / "old", folder.cli.work / "new"
    old.mkdir(parents=True)
    (old / "art.toml").write_text(rows(hero="a fox"))
    folder.make("old/art.toml")
    (old / "art.lock").unlink()
    shutil.copytree(old, new)
    ran = folder("new/art.toml", "--plan")
    assert ran.lines[0].split()[:2] == ["conflict", "hero"]  # the old one is there, too
    shutil.rmtree(old)
    assert folder.bought() == 1
    folder.make("new/art.toml")
    assert folder.bought() == 0
    assert folder("new/art.toml", "--check").code == 0
    (new / "art.lock").unlink()
    (new / "art.toml").write_text(rows(hero="a hen"))
    folder.make("new/art.toml")
    assert folder.bought() == 1


def test_a_picture_that_comes_back_in_another_format_is_told(folder: Folder) -> None:
    """The old file is nobody's to delete, and is named; not where it goes on to be a picture."""
    lite = 'profile = "ark"\nmodel = "doubao-seedream-5.0-lite"\n'
    text = f'[defaults]\n{lite}[images.hero]\nprompt = "a fox"\nformat = "%s"\n'
    manifest = folder.write("art.toml", text % "jpeg")
    assert "stays" not in folder.make("art.toml")
    manifest.write_text(text % "png")
    said = folder.make("art.toml")
    assert "made anew under another name, the old file stays: hero.jpg\n" in said
    assert sorted(path.name for path in folder.cli.work.glob("hero.*")) == ["hero.jpg", "hero.png"]
    manifest.write_text((text % "png").replace("a fox", "a hen"))
    assert "stays" not in folder.make("art.toml")


def test_an_accepted_picture_is_never_replaced(folder: Folder) -> None:
    """The lock says that it is a person's work, so another prompt stops before it."""
    manifest = folder.write("art.toml", rows(hero="a fox", sea="the sea"))
    folder.make("art.toml")
    own = (folder.cli.work / "hero.png").read_bytes()
    (folder.cli.work / "hero.png").write_bytes(b"retouched")
    folder.make("art.toml", "--accept", "hero", "--accept", "sea")
    assert folder.lock()["hero"]["accepted"] is True
    assert "accepted" not in folder.lock()["sea"]
    folder.bought()
    manifest.write_text(rows(hero="a hen", sea="the sea"))
    ran = folder("art.toml")
    assert ran.code == 2
    assert "hero.png was changed by hand and accepted" in ran.err
    assert (folder.cli.work / "hero.png").read_bytes() == b"retouched"
    assert folder.bought() == 0
    manifest.write_text(rows(hero="a fox", sea="the sea"))
    (folder.cli.work / "hero.png").write_bytes(own)
    folder.make("art.toml", "--accept", "hero")
    assert "accepted" not in folder.lock()["hero"]


def test_an_accepted_placeholder_stays_one(folder: Folder) -> None:
    """To accept a rehearsal's picture does not turn it into one that was paid for."""
    folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml", "--sandbox")
    folder.make("art.toml", "--accept", "hero")
    assert folder.lock()["hero"]["sandbox"] is True
    (folder.cli.work / "hero.png").write_bytes(b"mine")
    folder.make("art.toml", "--accept", "hero")
    assert "sandbox" not in folder.lock()["hero"]


def test_a_renamed_picture_that_was_changed_is_accepted_and_then_moved(folder: Folder) -> None:
    """A person's work is neither bought again nor moved away from them unasked."""
    manifest = folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml")
    (folder.cli.work / "hero.png").write_bytes(b"retouched")
    manifest.write_text(rows(hero="a fox") + 'output = "site/hero.png"\n')
    ran = folder("art.toml")
    assert (ran.code, ran.lines) == (0, []), ran.err
    assert "not moved to site/hero.png" in ran.err
    folder.make("art.toml", "--accept", "hero")
    assert folder.lock()["hero"]["output"] == "hero.png"
    folder.make("art.toml")
    assert (folder.cli.work / "site/hero.png").read_bytes() == b"retouched"
    assert folder.bought() == 1


def test_a_rehearsal_leaves_the_lock_of_a_clone_alone(folder: Folder) -> None:
    """A clone without its pictures: a rehearsal stops, and the lines of what was paid for stay."""
    folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml")
    (folder.cli.work / "hero.png").unlink()
    lock = (folder.cli.work / "art.lock").read_bytes()
    ran = folder("art.toml", "--sandbox")
    assert ran.code == 2
    assert "rehearse in a copy of the folder" in ran.err
    assert (folder.cli.work / "art.lock").read_bytes() == lock


# -- accepted --------------------------------------------------------------------------------------


def test_a_pattern_accepts_what_is_there(folder: Folder) -> None:
    """Of `icon-*` those with a file are recorded; a name without one is a mistake."""
    folder.write("art.toml", rows(**{"icon-a": "a", "icon-b": "b", "sea": "c"}))
    folder.write("icon-a.png", "mine")
    ran = folder("art.toml", "--accept", "icon-*", "-p", "ark")
    assert ran.code == 0, ran.err
    assert list(folder.lock()) == ["icon-a"]
    for pattern, said in (("icon-b", "no file icon-b"), ("se*", "none has a file")):
        ran = folder("art.toml", "--accept", pattern, "-p", "ark")
        assert ran.code == 2
        assert said in ran.err
    assert list(folder.lock()) == ["icon-a"]


def test_a_picture_of_another_shard_is_not_accepted(folder: Folder) -> None:
    """Its line belongs into another part: which is said, instead of that there is no such row."""
    folder.write("art.toml", rows(**{f"r{k}": "x" for k in range(8)}))
    for k in range(8):
        folder.write(f"r{k}.png", "mine")
    said = []
    for k in range(8):
        ran = folder("art.toml", "--shard", "1/2", "--accept", f"r{k}", "-p", "ark")
        assert ran.code == 0 or "in another shard" in ran.err, ran.err
        said.append(ran.code)
    assert set(said) == {0, 2}
    assert "is called that" in folder("art.toml", "--shard", "1/2", "--accept", "q").err


# -- what is no manifest ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_two_manifests_do_not_share_a_lock(folder: Folder, arguments: list[str]) -> None:
    """`art.toml` and `art.jsonl` would throw each other's lines away; a prompt file is none."""
    folder.write("art.toml", rows(hero="a fox"))
    other = folder.write("art.jsonl", '{"prompt": "x"}\n')
    ran = folder("art.toml", *arguments)
    assert ran.code == 2
    assert "art.toml and art.jsonl" in ran.err
    other.unlink()
    folder.write("art.txt", "a fox")
    folder.write("art.toml", ARK + '[images.hero]\nprompt_file = "art.txt"\n')
    folder.make("art.toml")
    assert folder.bought() == 1


def test_a_table_is_not_bought_line_by_line(folder: Folder) -> None:
    """A YAML or CSV file is no list of prompts: exit 2, nothing sent."""
    for name in ("art.yaml", "art.csv", "art.lock"):
        folder.write(name, "images:\n  - prompt: x\n")
        ran = folder(name, *TYPED)
        assert ran.code == 2
        assert "a manifest is .toml, .jsonl or .txt" in ran.err
    assert folder.bought() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere /dev/stdin may be no path")
@pytest.mark.parametrize("text", [' {"prompt": "a fox", "name": "hero"}\n', "a fox\n"])
def test_a_pipe_is_read_like_stdin(folder: Folder, text: str) -> None:
    """A shell's `<(…)` has no folder: pictures come here, and there is no lock."""
    ran = folder("/dev/stdin", *TYPED, "-o", "{name}.png", stdin=text.encode())
    assert ran.code == 0, ran.err
    (picture,) = folder.cli.pictures()
    assert picture.name == ("hero.png" if "hero" in text else f"{ran.lines[0]}")
    assert folder.bought() == 1


def test_references_that_are_no_pictures_are_told_together(folder: Folder) -> None:
    """A note and a missing file, of two rows: both with their lines, before anything is sent."""
    folder.write("note.png", "no picture")
    text = rows(a="x") + 'references = ["note.png", "gone.png"]\n'
    text += '[images.b]\nprompt = "y"\nreferences = ["./note.png"]\n'
    folder.write("art.toml", text)
    ran = folder("art.toml")
    assert ran.code == 2
    assert "art.toml:6: a: " in ran.err
    assert "art.toml:9: b: " in ran.err
    assert ran.err.count("note.png is no picture") == 2
    assert "there is no file" in ran.err
    assert folder.bought() == 0


def test_an_unused_part_does_not_stay(folder: Folder) -> None:
    """A shard that stops before anything is recorded leaves nothing in other divisions' way."""
    folder.write("art.toml", rows(hero="a fox"))
    folder.write("hero.png", "stranger")
    parts = [folder("art.toml", "--shard", f"{k}/2") for k in (1, 2)]
    assert {ran.code for ran in parts} == {0, 2}
    assert not list(folder.cli.work.glob("*.lock"))
