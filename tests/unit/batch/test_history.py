"""Whose a job of before is: of this manifest, of one that had another name, or of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seedream_cli.batch.history import is_ours, is_same

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from seedream_cli.core.model import Job

    MakeJob = Callable[..., Job]

MINE = "{}/here/art.lock"


@pytest.mark.parametrize(
    ("lock", "manifest", "same", "ours"),
    [
        ("here/art.lock", "here/art.toml", True, True),
        ("here/old.lock", "here/old.toml", False, True),  # renamed: it lies there no more
        ("here/other.lock", "here/other.toml", False, False),  # a neighbour
        ("gone/art.lock", "gone/art.toml", True, True),  # the whole folder moved
        ("there/art.lock", "there/art.toml", False, False),  # another checkout
        ("gone/old.lock", "gone/old.toml", False, False),  # moved and renamed: nobody knows
        ("link/art.lock", "link/art.toml", True, True),  # another way to the same folder
    ],
)
def test_whose_a_job_is(
    tmp_path: Path, make_job: MakeJob, lock: str, manifest: str, *, same: bool, ours: bool
) -> None:
    """What lies where it lay is its own; what does not is this one under its former name."""
    for name in ("here/art.toml", "here/other.toml", "there/art.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("here")
    job = make_job(
        output={"batch": str(tmp_path / lock), "manifest": str(tmp_path / manifest)},
    )
    batch = MINE.format(tmp_path)
    assert (is_same(batch, job), is_ours(batch, job)) == (same, ours)


def test_a_manifest_on_stdin_belongs_to_its_folder(tmp_path: Path, make_job: MakeJob) -> None:
    """One that was read in a folder that is gone may go on here; one of a folder there may not."""
    here, gone = f"stdin:{tmp_path}", f"stdin:{tmp_path / 'gone'}"
    for theirs, batch, same in (
        (here, here, True),
        (gone, here, True),
        (here, gone, False),
        (gone, MINE.format(tmp_path), False),
        (MINE.format(tmp_path), here, False),
    ):
        job = make_job(output={"batch": theirs, "manifest": ""})
        assert (is_same(batch, job), is_ours(batch, job)) == (same, same), (theirs, batch)


def test_a_job_of_a_single_command_is_no_manifests(make_job: MakeJob) -> None:
    """What `generate` bought without a manifest is left alone."""
    assert not is_ours("/here/art.lock", make_job(output={}))
