"""Whose files lie in the way of a batch, and what is no manifest: real processes and sockets."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.manifests import ARK, KIE, UNIALL, rows

if TYPE_CHECKING:
    from support.manifests import Folder

KIE_ROWS = (
    KIE
    + """[images.hero]
prompt = "a fox"
[images.sea]
prompt = "the sea"
"""
)
UNIALL_ROW = UNIALL + "[images.hero]\n"
TYPED = ["-p", "ark", "-m", "doubao-seedream-5-0-flash-260915", "-s", "1280x720", "--format", "png"]


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


def test_two_that_exchange_their_names_are_left_and_that_is_no_success(folder: Folder) -> None:
    """Nobody changed them by hand, they are not where they should be, and nothing is bought."""
    text = ARK + "".join(
        f'[images.{name}]\nprompt = "{{{name}}}"\noutput = "{{{name}_at}}.png"\n' for name in "ab"
    )
    manifest = folder.write("art.toml", text.format(a="a fox", b="a hen", a_at="one", b_at="two"))
    folder.make("art.toml")
    manifest.write_text(text.format(a="a fox", b="a hen", a_at="two", b_at="one"))
    ran = folder("art.toml")
    assert ran.code == 3
    assert "a is left as it is: its new name two.png is taken; it is one.png; free" in ran.err
    assert ran.err.endswith("0 made, 0 current, 2 not moved\n")
    assert "--accept" not in ran.err
    manifest.write_text(text.format(a="a hat", b="a hen", a_at="two", b_at="one"))
    checked = folder("art.toml", "--check")
    assert checked.code == 1
    assert "two.png is there, and is the picture of b" in checked.out.decode()
    ran = folder("art.toml")
    assert (ran.code, folder.bought()) == (2, 2)
    assert "art.toml:6: a: its description changed; two.png is there" in ran.err


CHAIN = """\
[images.hat]
prompt = "a hat for it"
references = ["images.hero", "images.sea"]
[images.frame]
prompt = "a frame around it"
references = ["images.hat"]
"""


def test_a_lost_file_that_can_be_fetched_makes_nothing_else_stale(folder: Folder) -> None:
    """What was made from it was made from the very same picture, by whomever it was changed since.

    Where it cannot be fetched it is made anew, and then so are they.
    """
    folder.write("art.toml", rows(hero="a fox", sea="the sea") + CHAIN)
    folder.make("art.toml")
    frame = folder.cli.work / "frame.png"
    frame.write_bytes(b"retouched")
    folder.make("art.toml", "--accept", "frame")
    (folder.cli.work / "hero.png").unlink()
    assert folder.bought() == 4
    plan = folder("art.toml", "--plan")
    assert [line.split()[:2] for line in plan.lines] == [["fetch", "hero"]]
    folder.make("art.toml")
    assert (folder.bought(), frame.read_bytes()) == (0, b"retouched")
    assert folder("art.toml", "--check").code == 0
    (folder.cli.work / "hero.png").unlink()
    (folder.cli.home / "state" / "ledger.db").unlink()
    plan = folder("art.toml", "--plan")
    assert [line.split()[:2] for line in plan.lines] == [
        ["make", "hero"],
        ["make", "hat"],
        ["conflict", "frame"],
    ]
    assert "(images.hero is made anew" in plan.lines[1]


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
    ran = folder("/dev/stdin", *TYPED, "-o", "{name}.png", stdin=text.encode(), process=True)
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
    assert "art.toml:8: images.a.references: " in ran.err
    assert "art.toml:11: images.b.references: " in ran.err
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


# -- what the ledger knows -------------------------------------------------------------------------


def test_a_renamed_manifest_goes_on(folder: Folder) -> None:
    """With or without its lock: what was bought for it is its own under the new name."""
    manifest = folder.write("art.toml", rows(hero="a fox", sea="the sea"))
    folder.make("art.toml")
    (folder.cli.work / "sea.png").unlink()
    manifest.rename(folder.cli.work / "icons.toml")
    folder.make("icons.toml")
    assert folder.bought() == 2
    assert sorted(folder.lock("icons.lock")) == ["hero", "sea"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_neighbours_picture_is_never_replaced(folder: Folder, *, is_there: bool) -> None:
    """Not while its manifest lies there, in whatever case, and not when that was deleted."""
    manifest = folder.write("A.TOML", rows(hero="a fox"))
    folder.make("A.TOML")
    picture = (folder.cli.work / "hero.png").read_bytes()
    if not is_there:
        manifest.unlink()
        (folder.cli.work / "A.lock").unlink()
    folder.write("b.toml", rows(hero="a hen"))
    ran = folder("b.toml")
    assert (ran.code, folder.bought()) == (2, 1)
    assert (folder.cli.work / "hero.png").read_bytes() == picture


def test_lost_pictures_of_one_row_are_fetched(folder: Folder) -> None:
    """The first and the third of three, and who is made from each: nothing is fetched twice."""
    manifest = folder.write("art.toml", UNIALL_ROW + 'prompt = "a fox"\ncount = 3\n')
    folder.make("art.toml")
    for n in (1, 3):
        (folder.cli.work / f"hero-{n}.png").unlink()
    tail = "".join(
        f'[images.d{n}]\nprompt = "{n}"\nreferences = ["images.hero.{n}"]\n' for n in (1, 3)
    )
    manifest.write_text(UNIALL_ROW + 'prompt = "a fox"\ncount = 3\n' + tail)
    ran = folder("art.toml", "-j", "9")
    assert ran.code == 0, ran.err
    assert sorted(ran.lines) == ["d1.png", "d3.png", "hero-1.png", "hero-3.png"]
    assert "2 made, 2 fetched, 1 current" in ran.err
    assert folder.bought() == 5


def test_only_what_was_asked_for_is_told(folder: Folder) -> None:
    """A row that shrank fetches what it still asks for, and names no file that is not there."""
    manifest = folder.write("art.toml", UNIALL_ROW + 'prompt = "a fox"\ncount = 3\n')
    folder.make("art.toml")
    for n in (2, 3):
        (folder.cli.work / f"hero-{n}.png").unlink()
    manifest.write_text(UNIALL_ROW + 'prompt = "a fox"\ncount = 2\n')
    ran = folder("art.toml", "--json")
    assert ran.code == 0, ran.err
    told = [image["path"] for row in ran.objects for image in row["images"]]  # type: ignore[attr-defined]
    assert sorted(path.rpartition("/")[2] for path in told) == ["hero-1.png", "hero-2.png"]
    assert "0 made, 1 fetched, 1 current" in ran.err
    assert folder.bought() == 3


def test_a_pipe_beside_a_picture_stops_nobody(folder: Folder) -> None:
    """A sidecar's name may be anything's; what is no file is not opened."""
    manifest = folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml")
    os.mkfifo(folder.cli.work / "hero.json")
    manifest.write_text(rows(hero="a fox") + 'output = "fox.png"\n')
    folder.make("art.toml")
    assert (folder.cli.work / "fox.png").exists()


def test_a_checkout_that_moved_behind_a_link_is_the_same(folder: Folder) -> None:
    """A folder has one real path, however it is called."""
    folder.write("art.toml", KIE_ROWS)
    folder.make("art.toml", "--no-wait")
    elsewhere = folder.cli.home / "disk2"
    folder.cli.work.rename(elsewhere)
    folder.cli.work.symlink_to(elsewhere)
    folder.make("art.toml")
    assert folder.bought() == 2


def test_a_grown_row_buys_what_it_lacks(folder: Folder) -> None:
    """Also where the lock is lost, and one request of before had brought three pictures."""
    manifest = folder.write("art.toml", UNIALL_ROW + 'prompt = "a fox"\ncount = 3\n')
    folder.make("art.toml")
    before = {p.name: p.read_bytes() for p in folder.cli.work.glob("*.png")}
    (folder.cli.work / "art.lock").unlink()
    manifest.write_text(UNIALL_ROW + 'prompt = "a fox"\ncount = 5\n')
    plan = folder("art.toml", "--plan")
    assert [line.split()[0] for line in plan.lines] == ["fetch"] * 3 + ["make"] * 2
    said = folder.make("art.toml")
    assert "2 to make, 3 to fetch, 0 current" in said
    assert "2 made, 3 fetched, 0 current" in said
    assert folder.bought() == 5
    assert len(folder.lock()) == 1  # one name, its five lines
    after = {p.name: p.read_bytes() for p in folder.cli.work.glob("*.png")}
    assert len(after) == 5
    assert before.items() <= after.items()


def test_a_url_of_unknown_lifetime_is_tried(folder: Folder) -> None:
    """UniAll does not say how long its URLs live: to ask is free, to buy again is not."""
    folder.write("art.toml", UNIALL_ROW + 'prompt = "a fox"\n')
    folder.make("art.toml")
    (folder.cli.work / "hero.png").unlink()
    folder.make("art.toml")
    assert folder.bought() == 1
    assert (folder.cli.work / "hero.png").exists()


def test_the_picture_of_a_row_that_is_gone_stays(folder: Folder) -> None:
    """Another row with the same output has to find another place, or a person to move it."""
    manifest = folder.write("art.toml", rows(old="a fox") + 'output = "x.png"\n')
    folder.make("art.toml")
    picture = (folder.cli.work / "x.png").read_bytes()
    manifest.write_text(rows(new="a hen") + 'output = "x.png"\n')
    plan = folder("art.toml", "--plan")
    assert plan.lines[0].split()[:2] == ["conflict", "new"]
    ran = folder("art.toml")
    assert (ran.code, folder.bought()) == (2, 1)
    assert "x.png is there, and is the picture of old" in ran.err
    assert (folder.cli.work / "x.png").read_bytes() == picture


def test_the_ledger_follows_a_moved_picture(folder: Folder) -> None:
    """With the lock lost after a move, the picture is known at its new place."""
    manifest = folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml", "--sidecar")
    manifest.write_text(rows(hero="a fox") + 'output = "site/fox.png"\n')
    folder.make("art.toml")
    assert (folder.cli.work / "site" / "fox.json").exists()
    assert not (folder.cli.work / "hero.json").exists()
    (folder.cli.work / "art.lock").unlink()
    said = folder.make("art.toml")
    assert "0 made, 1 fetched, 0 current" in said
    assert folder.bought() == 1


def test_a_new_picture_brings_its_own_sidecar(folder: Folder) -> None:
    """It takes the place of the one that told of the picture before; a stranger's stays."""
    manifest = folder.write("art.toml", rows(hero="a fox", sea="the sea"))
    (folder.cli.work / "sea.json").write_text('{"mine": true}')
    folder.make("art.toml", "--sidecar")
    manifest.write_text(rows(hero="a hen", sea="a lake"))
    folder.make("art.toml", "--sidecar")
    assert json.loads((folder.cli.work / "hero.json").read_text())["prompt"] == "a hen"
    assert (folder.cli.work / "sea.json").read_text() == '{"mine": true}'


def test_what_waits_is_told_but_not_what_this_run_fetches(folder: Folder) -> None:
    """The same name in another manifest hides nothing; a renamed row of this one is no news."""
    manifest = folder.write("art.toml", KIE_ROWS)
    folder.make("art.toml", "--no-wait")
    folder.write("other.toml", KIE_ROWS.replace("a fox", "a hen"))
    said = folder.make("other.toml")
    assert "2 jobs of earlier runs wait to be saved" in said
    manifest.write_text(KIE_ROWS.replace("images.hero", "images.fox"))
    assert "earlier" not in folder.make("art.toml")
    assert folder.bought() == 4


def test_what_was_never_sent_is_to_be_made(folder: Folder) -> None:
    """A plan after a kill calls unknown only what may have left."""
    rows_of_kie = KIE + "".join(f'[images.r{n:02}]\nprompt = "fox {n}"\n' for n in range(30))
    folder.write("art.toml", rows_of_kie)
    process = folder.cli.start("generate", "--batch", "art.toml", "-y")
    deadline = time.monotonic() + 30
    while not folder.server.submits():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    sent = len(folder.server.submits())
    plan = folder("art.toml", "--plan")
    words = [line.split()[0] for line in plan.lines]
    assert len(words) == 30
    assert words.count("make") >= 30 - sent - 20  # a few had connected and were not counted yet
    assert words.count("unknown") <= 20
    unsent = folder.cli("status", "--all", "--json", "--limit", "100").objects
    assert words.count("make") == sum(job["state"] in {"planned", "closed"} for job in unsent) + (
        30 - len(unsent)
    )


# -- said ------------------------------------------------------------------------------------------


def test_a_fetched_picture_says_so(folder: Folder) -> None:
    """Its cost is that of an earlier run: whoever adds costs up has to know."""
    folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml")
    (folder.cli.work / "hero.png").unlink()
    (told,) = folder("art.toml", "--json").objects
    assert (told["fetched"], told["skipped"]) == (True, False)
    (told,) = folder("art.toml", "--json").objects
    assert (told.get("fetched"), told["skipped"]) == (None, True)


def test_options_that_cannot_be_kept_are_refused_first(folder: Folder) -> None:
    """A wrong amount, an answer that is not waited for, files that are not looked at: exit 2."""
    folder.write("art.toml", rows(hero="a fox"))
    folder.write("sets.toml", SET)
    for arguments, words in (
        (["--plan", "--max-cost", "1,5"], "--max-cost 1,5"),
        (["--no-wait"], "--no-wait: ark answers only when finished"),
        (["--no-files"], "--no-files makes nothing"),
        (["-n", "2"], "sets.toml:5: fox: count beside series"),
    ):
        ran = folder("sets.toml" if "-n" in arguments else "art.toml", *arguments)
        assert (ran.code, ran.out) == (2, b""), arguments
        assert words in ran.err
    assert folder.bought() == 0


def test_a_lock_alone_knows_of_a_new_name(folder: Folder) -> None:
    """`--check --no-files` is 1 while a picture has not moved, as `--check` is."""
    manifest = folder.write("art.toml", rows(hero="a fox"))
    folder.make("art.toml")
    manifest.write_text(rows(hero="a fox") + 'output = "site/fox.png"\n')
    assert folder("art.toml", "--check").code == 1
    assert folder("art.toml", "--check", "--no-files").code == 1


SET = """[defaults]
profile = "ark"
model = "doubao-seedream-4-0-20260415"
size = "1K"
[images.fox]
prompt = "pictures of a fox"
series = 3
"""


def test_a_set_is_accepted_whole(folder: Folder) -> None:
    """A set whose lines are lost is recorded with all its files, and current then."""
    folder.write("art.toml", SET)
    folder.make("art.toml")
    (folder.cli.work / "art.lock").unlink()
    (folder.cli.home / "state" / "ledger.db").unlink()
    folder.make("art.toml", "--accept", "fox")
    assert folder("art.toml", "--check").code == 0
    lines = (folder.cli.work / "art.lock").read_text().splitlines()
    assert [(line["n"], line["of"]) for line in map(json.loads, lines)] == [(1, 3), (2, 3), (3, 3)]


def test_a_set_with_a_hole_is_not_accepted(folder: Folder) -> None:
    """It would leave the lock with fewer pictures than lie there."""
    folder.write("art.toml", SET)
    folder.make("art.toml")
    before = (folder.cli.work / "art.lock").read_bytes()
    (folder.cli.work / "fox-2.jpg").unlink()
    ran = folder("art.toml", "--accept", "fox")
    assert (ran.code, (folder.cli.work / "art.lock").read_bytes()) == (2, before)
    assert "fox-2.jpg of the set is not there" in ran.err


def test_a_picture_that_a_set_did_not_bring_stops_its_row_only(folder: Folder) -> None:
    """Who is made from the third of two is told so; the other rows are made."""
    manifest = folder.write("art.toml", SET)
    folder.make("art.toml")
    lock = folder.cli.work / "art.lock"
    lines = [json.loads(line) | {"of": 2} for line in lock.read_text().splitlines()]
    lock.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    (folder.cli.work / "fox-3.jpg").unlink()
    (folder.cli.home / "state" / "ledger.db").unlink()
    tail = '[images.z]\nprompt = "z"\nreferences = ["images.fox.3"]\n[images.w]\nprompt = "w"\n'
    manifest.write_text(SET + tail)
    folder.bought()
    ran = folder("art.toml")
    assert (ran.code, folder.bought()) == (3, 1)
    assert "z was not sent: z is made from a picture that is not made" in ran.err
    assert (folder.cli.work / "w.jpg").exists()


def test_who_waits_for_an_unknown_one_is_left(folder: Folder) -> None:
    """It is neither priced nor failed: a person settles the first, and both go on."""
    text = rows(hero="a fox") + '[images.hat]\nprompt = "a hat"\nreferences = ["images.hero"]\n'
    folder.write("art.toml", text)
    folder.server.change_weather("drop:1")
    assert folder("art.toml").code == 5
    plan = folder("art.toml", "--plan", "--json")
    assert [each["action"] for each in plan.objects] == ["unknown", "wait"]
    job = plan.objects[0]["job"]
    assert folder.cli("status", str(job), "--offline", "--json").object["state"] == "unknown"
    ran = folder("art.toml")
    assert ran.code == 5
    for each in (plan, ran):
        assert "0 to make, 1 of unknown outcome, 1 to wait for those, 0 current\n" in each.err
    assert "failed" not in ran.err
    assert "1 of unknown outcome, 1 left\n" in ran.err


def test_a_rescued_picture_is_not_called_made(folder: Folder) -> None:
    """It is paid for and lies where it does not belong: one row, counted once."""
    folder.write("art.toml", KIE + '[images.hero]\nprompt = "a fox"\noutput = "art/hero.png"\n')
    process = folder.cli.start("generate", "--batch", "art.toml")
    deadline = time.monotonic() + 30
    while not folder.server.submits():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (folder.cli.work / "art").write_text("in the way")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 74, err.decode()
    assert "0 made, 0 current, 1 failed; cost about 0.0162 USD" in err.decode()
    (folder.cli.work / "art").unlink()
    assert "1 fetched" in folder.make("art.toml")
    assert folder.bought() == 1
