"""The lock on a real disk: appended, sorted, torn by kills, in parts, held by one run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from seedream_cli.batch.lock import entries as lock
from seedream_cli.batch.lock.entries import Entry
from seedream_cli.batch.lock.file import LockFile, Turn
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.storage.files.store import Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def entry(name: str, n: int = 1, **more: object) -> Entry:
    """Build a line of the lock."""
    plain = Entry(
        name=name,
        n=n,
        output=f"{name}-{n}.png",
        description_digest="1:f",
        sha256="a" * 64,
        size=3,
        provider="ark",
        model="m",
        date="2026-11-21",
    )
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Build what writes files."""
    return Files(tmp_path / "state", "testtest", remember=lambda *_: None)


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    """Name a manifest in a folder of its own."""
    return str(tmp_path / "art.toml")


def written(path: str) -> list[Entry]:
    """Read a file as it lies there."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - str in, as everywhere here
        return lock.parse(file.read(), file=path)


def test_no_lock_is_an_empty_one(manifest: str, files: Files) -> None:
    """The first run finds nothing, and a run that made nothing writes nothing."""
    file = LockFile(manifest)
    assert file.read() == []
    file.write_sorted(files)
    file.write_sorted(files, [])
    assert not os.path.exists(file.path)  # noqa: PTH110


def test_a_line_is_on_disk_when_add_returns(manifest: str) -> None:
    """A kill after that cannot cost it: nothing waits in memory."""
    file = LockFile(manifest)
    file.read()
    file.add(entry("b"))
    assert written(file.path) == [entry("b")]
    file.add(entry("a"))
    assert written(file.path) == [entry("b"), entry("a")]


def test_settling_sorts_and_what_was_added_stands(manifest: str, files: Files) -> None:
    """After a run the file is as git likes it: sorted, and one line a picture."""
    file = LockFile(manifest)
    file.read()
    for each in (entry("b"), entry("a", 10), entry("a", 9), entry("b", sha256="b" * 64)):
        file.add(each)
    file.write_sorted(files)
    want = [entry("a", 9), entry("a", 10), entry("b", sha256="b" * 64)]
    assert written(file.path) == want
    again = LockFile(manifest)
    assert again.read() == want


def test_a_lock_that_is_right_is_not_touched(manifest: str, files: Files) -> None:
    """A run that changed nothing leaves the file, and its time, alone."""
    file = LockFile(manifest)
    file.read()
    file.write_sorted(files, [entry("a")])
    os.utime(file.path, (1, 1))
    again = LockFile(manifest)
    again.write_sorted(files, again.read())
    assert os.stat(file.path).st_mtime == 1  # noqa: PTH116


def test_all_can_leave_the_lock(manifest: str, files: Files) -> None:
    """A lock whose rows are gone is emptied, also when lines were added on the way."""
    file = LockFile(manifest)
    file.write_sorted(files, [entry("a")])
    file.read()
    file.add(entry("b"))
    file.write_sorted(files, [])
    assert written(file.path) == []


@pytest.mark.parametrize("end", ['{"name": "he', lock.write_line(entry("b"))[:-1]])
def test_a_torn_line_costs_no_other(manifest: str, files: Files, end: str) -> None:
    """What is added behind a line that a kill tore is not torn with it."""
    file = LockFile(manifest)
    file.write_sorted(files, [entry("a")])
    with open(file.path, "a", encoding="utf-8") as torn:  # noqa: PTH123
        torn.write(end)
    again = LockFile(manifest)
    there = again.read()
    again.add(entry("c"))
    assert written(file.path) == [*there, entry("c")]
    again.write_sorted(files)
    assert [each.name for each in written(file.path)] == ["a", *("b" for _ in there[1:]), "c"]


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize("before", [[], ["a", "ö"]])
def test_a_line_torn_within_a_character_costs_no_other(
    manifest: str, files: Files, before: list[str], cut: int
) -> None:
    """Wherever a kill tears, the whole lines are read, added to and settled; no byte stays."""
    file = LockFile(manifest)
    file.write_sorted(files, [entry(name) for name in before])
    line = lock.write_line(entry("🦊")).encode()
    with open(file.path, "ab") as torn:  # noqa: PTH123
        torn.write(line[: line.index("🦊".encode()) + cut])
    again = LockFile(manifest)
    there = again.read()
    assert there == [entry(name) for name in before]
    settled = LockFile(manifest)
    settled.read()
    again.add(entry("ü"))
    assert written(file.path) == [*there, entry("ü")]
    settled.write_sorted(files)
    assert written(file.path) == there


def test_a_broken_character_in_an_earlier_line_is_told(manifest: str) -> None:
    """No kill did that: more was written behind it."""
    with open(lock.name_of(manifest), "wb") as file:  # noqa: PTH123
        file.write(b'{"name": "h\xc3\n' + lock.write_line(entry("a")).encode())
    with pytest.raises(UsageError, match="UTF-8"):
        LockFile(manifest).read()


def test_an_unsorted_tail_with_twins_is_read_in_its_order(manifest: str) -> None:
    """What a run that was killed appended stands behind what it replaces."""
    LockFile(manifest).add(entry("b"))
    LockFile(manifest).add(entry("a"))
    newer = entry("b", sha256="b" * 64)
    LockFile(manifest).add(newer)
    assert LockFile(manifest).read() == [entry("b"), entry("a"), newer]


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    """The picture is in the ledger, and the error says that nothing is lost."""
    with pytest.raises(StorageError, match="could not be written") as caught:
        LockFile(str(tmp_path / "gone" / "art.toml")).add(entry("a"))
    assert "in the ledger" in caught.value.hint


def test_what_is_no_text_is_told(manifest: str) -> None:
    """A lock in another encoding is an error about the file."""
    with open(lock.name_of(manifest), "wb") as file:  # noqa: PTH123
        file.write(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        LockFile(manifest).read()


def test_two_threads_lose_no_line(manifest: str, files: Files) -> None:
    """Pictures land at once on many threads, and each line is whole."""
    file = LockFile(manifest)
    file.read()

    def add(name: str) -> None:
        for n in range(1, 251):
            file.add(entry(name, n))

    threads = [threading.Thread(target=add, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written(file.path)) == 500
    file.write_sorted(files)
    assert [each.key for each in written(file.path)] == [
        (name, n) for name in "ab" for n in range(1, 251)
    ]


class Snapshot(list[Entry]):
    """Entries that another thread adds to while they are read."""

    def __init__(self, file: LockFile, found: list[Entry]) -> None:
        """Add `z` to the file when the entries have been read, as far as it lets anybody."""
        super().__init__(found)
        self.thread = threading.Thread(target=file.add, args=(entry("z"),))

    def __iter__(self) -> Iterator[Entry]:
        """Hand them out, and let the other thread run."""
        yield from super().__iter__()
        self.thread.start()
        self.thread.join(0.2)


def test_what_lands_while_the_lock_is_settled_is_not_lost(manifest: str, files: Files) -> None:
    """A picture of another thread is in what is settled, or behind it."""
    file = LockFile(manifest)
    found = Snapshot(file, [entry("a")])
    file.write_sorted(files, found)
    found.thread.join()
    assert written(file.path) == [entry("a"), entry("z")]


def test_entries_may_grow_while_the_lock_is_settled(manifest: str, files: Files) -> None:
    """They are a view of what threads put pictures into; to sort them takes a while."""
    entries: dict[str, Entry] = {}

    class Name(str):
        """A name that is followed by another entry whenever somebody sorts it in."""

        __slots__ = ()

        def __hash__(self) -> int:
            entries[f"{len(entries)}"] = entry("z")
            return super().__hash__()

    entries["a"] = replace(entry("a"), name=Name("a"))
    LockFile(manifest).write_sorted(files, entries.values())
    assert [each.name for each in written(lock.name_of(manifest))] == ["a"]
    assert len(entries) > 1


# -- parts -----------------------------------------------------------------------------------------


def test_parts_are_read_and_folded_in(manifest: str, files: Files) -> None:
    """Shards write side by side, each run sees all, and a run over all takes them in."""
    whole = LockFile(manifest)
    whole.write_sorted(files, [entry("a")])
    for k in (1, 2):
        part = LockFile(manifest, (k, 2))
        part.read()
        part.add(entry(f"part-{k}"))
        part.write_sorted(files)
        assert part.path.endswith(f"art.{k}-of-2.lock")
        assert written(part.path) == [entry(f"part-{k}")]
    assert written(whole.path) == [entry("a")]
    again = LockFile(manifest)
    found = again.read()
    assert found == [entry("a"), entry("part-1"), entry("part-2")]
    assert LockFile(manifest, (2, 2)).read() == found
    again.write_sorted(files, found)
    assert again.parts() == []
    assert written(again.path) == found


def test_a_kill_while_folding_loses_nothing(manifest: str, files: Files) -> None:
    """Until the whole lock is on disk the parts are; after that, twins are all that is left."""
    LockFile(manifest, (1, 2)).add(entry("a"))
    whole = LockFile(manifest)
    whole.write_sorted(files, whole.read())
    LockFile(manifest, (1, 2)).add(entry("a"))
    assert LockFile(manifest).read() == [entry("a"), entry("a")]


def test_another_division_is_refused(manifest: str) -> None:
    """A row's line could be in two parts then; the way out is said. All may read, though."""
    LockFile(manifest, (1, 2)).add(entry("a"))
    with pytest.raises(UsageError, match="another division than 3") as caught:
        LockFile(manifest, (1, 3)).read()
    assert "--shard" in caught.value.hint
    assert LockFile(manifest).read() == [entry("a")]
    assert LockFile(manifest, (2, 2)).read() == [entry("a")]


def test_of_two_divisions_at_once_one_is_refused(manifest: str) -> None:
    """A part is put down before others are looked for: no two runs can miss one another."""
    one, other = LockFile(manifest, (1, 2)), LockFile(manifest, (1, 3))
    one.claim()
    with pytest.raises(UsageError, match="another division than 3"):
        other.claim()
    assert one.parts() == [one.path]
    LockFile(manifest, (2, 2)).claim()
    one.withdraw()
    assert one.parts() == [LockFile(manifest, (2, 2)).path]


def test_only_an_empty_part_of_ones_own_is_withdrawn(manifest: str) -> None:
    """What a run put down and did not need does not stand in the next division's way."""
    file = LockFile(manifest, (1, 2))
    file.claim()
    file.add(entry("a"))
    file.withdraw()
    again = LockFile(manifest, (1, 2))
    again.claim()
    again.withdraw()
    assert written(file.path) == [entry("a")]
    LockFile(manifest).claim()
    assert not os.path.exists(lock.name_of(manifest))  # noqa: PTH110


CLAIM = """
import sys
from seedream_cli.batch.lock.file import LockFile
file = LockFile(sys.argv[1], (1, 2))
file.claim()
file.read()
print("claimed", flush=True)
sys.stdin.read()
"""


def claimed(manifest: str) -> subprocess.Popen[str]:
    """Start a process that has put its part down and nothing into it."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIM, manifest],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    return process


def test_an_empty_part_counts_while_its_run_lives(manifest: str) -> None:
    """A kill before the first line leaves nothing in the way of another division."""
    other = LockFile(manifest, (1, 3))
    with claimed(manifest) as process:
        for look in (other.read, other.claim):
            with pytest.raises(UsageError, match="another division than 3"):
                look()
        process.send_signal(signal.SIGKILL)
    assert [os.path.basename(part) for part in other.parts()] == ["art.1-of-2.lock"]  # noqa: PTH119
    assert other.read() == []
    other.claim()
    with pytest.raises(UsageError, match="another division than 2"):
        LockFile(manifest, (1, 2)).claim()
    other.withdraw()


def test_a_part_that_a_kill_left_is_held_again(manifest: str) -> None:
    """The same shard that runs again holds it as its own, though it did not make it."""
    with claimed(manifest) as process:
        process.send_signal(signal.SIGKILL)
    again, other = LockFile(manifest, (1, 2)), LockFile(manifest, (1, 3))
    again.claim()
    with pytest.raises(UsageError, match="another division than 3"):
        other.claim()
    again.withdraw()
    other.claim()
    other.withdraw()


@pytest.mark.parametrize("torn", ["", '{"name": "he'])
def test_a_part_with_lines_or_held_counts_also_after_it_was_settled(
    manifest: str, files: Files, torn: str
) -> None:
    """Whatever a run writes, no moment comes at which another division may begin."""
    part, other = LockFile(manifest, (1, 2)), LockFile(manifest, (1, 3))
    with open(part.path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(torn)
    part.claim()
    part.read()
    steps: list[Callable[[], None]] = [lambda: part.write_sorted(files), part.add]
    for step in [*steps, steps[0]]:
        step()
        with pytest.raises(UsageError, match="another division than 3"):
            other.claim()
    part.add(entry("a"))
    part.write_sorted(files)
    part.withdraw()
    with pytest.raises(UsageError, match="another division than 3"):
        other.claim()


def test_a_part_that_cannot_be_put_down_stops_who_writes(tmp_path: Path, files: Files) -> None:
    """A run that finds all as it should be needs no part; nobody writes one unclaimed."""
    part = LockFile(str(tmp_path / "gone" / "art.toml"), (1, 2))
    part.claim()
    assert part.read() == []
    part.write_sorted(files)
    (tmp_path / "gone").mkdir()
    writes: list[Callable[[], None]] = [part.add, lambda: part.write_sorted(files, [entry("a")])]
    for write in writes:
        with pytest.raises(StorageError, match="could not be written: No such file"):
            write()
    part.withdraw()
    assert list((tmp_path / "gone").iterdir()) == []


def test_twins_in_a_part_are_kept(manifest: str, files: Files) -> None:
    """A shard does not know which of two lines is right, so both wait to be folded in."""
    other = entry("a", sha256="b" * 64)
    part = LockFile(manifest, (1, 2))
    with open(part.path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(lock.write([entry("a"), other]) + lock.write([entry("0")]))
    part.read()
    part.write_sorted(files)
    assert written(part.path) == [entry("0"), entry("a"), other]


# -- turns -----------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from seedream_cli.batch.lock.file import Turn
with Turn(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def held(folder: Path, path: str) -> subprocess.Popen[str]:
    """Start a process that holds a turn."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_one_run_of_a_batch_at_a_time(tmp_path: Path, manifest: str) -> None:
    """A second process is refused; a kill -9 of the first frees the turn at once."""
    path = LockFile(manifest).path
    with held(tmp_path / "turns", path) as process:
        with pytest.raises(UsageError, match="another run of this batch"):
            Turn(tmp_path / "turns", path)
        with Turn(tmp_path / "turns", str(tmp_path / "other.lock")):
            pass  # another batch is free
        process.send_signal(signal.SIGKILL)
    with Turn(tmp_path / "turns", path), pytest.raises(UsageError):
        Turn(tmp_path / "turns", path)
    with Turn(tmp_path / "turns", path):
        pass  # given back


def test_shards_run_side_by_side_but_not_beside_the_whole(tmp_path: Path, manifest: str) -> None:
    """A run over all removes the parts, so none of them may be written meanwhile."""
    whole = LockFile(manifest).path
    one, two = (LockFile(manifest, (k, 2)).path for k in (1, 2))
    with Turn(tmp_path, one), Turn(tmp_path, two):
        for path in (whole, one, two):
            with pytest.raises(UsageError, match="another run"):
                Turn(tmp_path, path)
    with Turn(tmp_path, whole), pytest.raises(UsageError, match="another run"):
        Turn(tmp_path, one)
    with Turn(tmp_path, one):
        pass


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A state folder that is a file stops the run before anything is bought."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        Turn(tmp_path / "file", str(tmp_path / "art.lock"))
