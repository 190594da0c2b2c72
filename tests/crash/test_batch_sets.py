"""A set that a kill left half made: the batch goes on, and what was kept of it stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from support.scene import NewScene, Scene

MANIFEST = """
[defaults]
profile = "ark"
model = "doubao-seedream-4-0-20260415"

[images.story]
prompt = "three pictures of a fox"
output = "story.jpg"
series = 3
"""


def cut_set(scene: Scene) -> tuple[str, list[Path]]:
    """Run the batch while the set's stream is cut; return its job and the pictures that came."""
    (scene.work / "art.toml").write_text(MANIFEST)
    scene.server.change_weather("cut")
    code, _, err = scene.run("generate", "--batch", "art.toml")
    assert code == 5, err
    (job,) = [job for job in scene.jobs() if job["state"] == "unknown"]
    kept = sorted(scene.work.glob("story*"))
    assert kept
    return str(job["job"]), kept


def forget_record(scene: Scene) -> None:
    """Leave the set's pictures as a kill does between their names and their records."""
    with closing(sqlite3.connect(scene.state / "ledger.db", isolation_level=None)) as ledger:
        ledger.execute(
            "UPDATE images SET sha256 = NULL, saved_at = NULL, path = NULL, size = NULL,"
            " format = NULL, width = NULL, height = NULL"
            " WHERE job IN (SELECT id FROM jobs WHERE state = 'unknown')"
        )


def test_a_set_that_was_named_and_not_recorded_blocks_no_batch(new_scene: NewScene) -> None:
    """Killed between the link of a set's picture and its record: the rows beside it are made."""
    scene = new_scene(0.0)
    _, kept = cut_set(scene)
    forget_record(scene)
    scene.server.change_weather()
    before = [path.read_bytes() for path in kept]
    with (scene.work / "art.toml").open("a") as manifest:
        manifest.write('\n[images.third]\nprompt = "an owl"\n')
    code, _, err = scene.run("generate", "--batch", "art.toml")
    assert code == 5, err
    assert list(scene.work.glob("third.*"))
    assert len(scene.server.charges()) == 2
    scene.run("download")
    assert [path.read_bytes() for path in kept] == before
    assert len(list(scene.work.glob("story*"))) == len(kept)


def test_a_written_off_set_is_bought_again_beside_what_was_kept(new_scene: NewScene) -> None:
    """A set with a fixed name, written off, bought again: nothing is replaced, `--check` is 0."""
    scene = new_scene(0.0)
    job, kept = cut_set(scene)
    before = {path.name: path.read_bytes() for path in kept}
    code, _, err = scene.run("status", job, "--write-off")
    assert code == 0, err
    scene.server.change_weather()
    code, _, err = scene.run("generate", "--batch", "art.toml")
    assert code == 0, err
    assert "what was kept of the written-off job" in err
    code, _, err = scene.run("generate", "--batch", "art.toml", "--check")
    assert code == 0, err
    assert {path.read_bytes() for path in scene.work.glob("story*")} > set(before.values())
    assert len(scene.server.charges()) == 2
    (old,) = [each for each in scene.jobs() if each["job"] == job]
    assert isinstance(old["images"], list)
    for image in old["images"]:
        assert not image["path"] or (scene.work / image["path"]).read_bytes() in before.values()
