"""A file has its final name only when it is complete, verified and flushed, and only ours move."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import pictures

from seedream_cli.core.errors import EndUnseen, ImageBroken, NotAPicture, StorageError, UsageError
from seedream_cli.storage.files.partial import Disk
from seedream_cli.storage.files.store import Files, SavedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seedream_cli.storage.files.image_format import Facts

JOB = "01k3f9zq"
OWNER = "me000000"


def png(width: int = 1, padding: int = 0) -> bytes:
    """Build a PNG of one row, with as many bytes of text in it as asked for."""
    return pictures.png(width, 1, pictures.chunk(b"tEXt", b"pad\0" + b"x" * padding))


PICTURE = png()


class Weather:
    """The calls that make things lasting, written down, and refused where a test says so."""

    def __init__(self) -> None:
        """Begin fair."""
        self.log: list[str] = []
        self.link_errors: list[OSError] = []
        self.symlink_errors: list[OSError] = []
        self.file_errors: list[OSError] = []
        self.folder_errors: list[OSError] = []
        self.room: list[int] = []
        """How much each of the next writes takes before the disk is full."""

    def link(self, source: Path, target: Path) -> None:
        """Link, or fail as told."""
        if self.link_errors:
            raise self.link_errors.pop(0)
        os.link(source, target)
        self.log.append(f"link {target.name}")

    def symlink(self, text: str, target: Path) -> None:
        """Make a symbolic link, or fail as told."""
        if self.symlink_errors:
            raise self.symlink_errors.pop(0)
        target.symlink_to(text)
        self.log.append(f"symlink {target.name}")

    def fsync(self, fd: int) -> None:
        """Flush, or fail as told."""
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        errors = self.folder_errors if is_folder else self.file_errors
        if errors:
            raise errors.pop(0)
        os.fsync(fd)
        self.log.append("fsync folder" if is_folder else "fsync file")

    def pwrite(self, fd: int, content: memoryview, at: int) -> int:
        """Write a part, as a disk may, or fail as told."""
        room = self.room.pop(0) if self.room else len(content)
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.pwrite(fd, content[:room], at)

    def disk(self) -> Disk:
        """Hand out a disk in this weather."""
        return Disk(link=self.link, symlink=self.symlink, fsync=self.fsync, pwrite=self.pwrite)


@pytest.fixture
def disk() -> Weather:
    """Hand out a disk's weather, fair until told otherwise."""
    return Weather()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Hand out a state folder that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def files(state: Path, disk: Weather) -> Files:
    """Hand out files on that disk."""
    return Files(state, OWNER, disk=disk.disk())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Hand out an empty folder for pictures."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def at(path: Path) -> Callable[[Facts], str]:
    """Name a picture whatever it is."""
    return lambda _: str(path)


def save(
    files: Files, path: Path, content: bytes = PICTURE, *, overwrite: bool = False
) -> SavedFile:
    """Save one picture in two pieces."""
    return files.save(
        iter([content[:20], content[20:]]),
        folder=str(path.parent),
        path_of=at(path),
        job=JOB,
        index=1,
        overwrite=overwrite,
        expected_length=len(content),
    )


def names(folder: Path) -> list[str]:
    """List a folder, hidden files too."""
    return sorted(entry.name for entry in folder.iterdir())


needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def test_a_saved_picture_is_described_and_alone(files: Files, out: Path) -> None:
    """The record tells what is on disk, and nothing else is left in the folder."""
    saved = save(files, out / "cat.png")
    assert saved == SavedFile(
        path=str(out / "cat.png"),
        format="png",
        width=1,
        height=1,
        size=len(PICTURE),
        sha256=hashlib.sha256(PICTURE).hexdigest(),
    )
    assert (out / "cat.png").read_bytes() == PICTURE
    assert names(out) == ["cat.png"]


def test_the_order_of_flushes(files: Files, disk: Weather, out: Path) -> None:
    """The bytes are flushed before the name is taken, and the name before `save` returns."""
    save(files, out / "cat.png")
    assert disk.log == ["fsync file", "link cat.png", "fsync folder"]


def test_new_folders_are_flushed_into_their_parents(files: Files, disk: Weather, out: Path) -> None:
    """Missing folders are made, each lasting before a picture lies in it."""
    save(files, out / "a" / "b" / "cat.png")
    assert disk.log == [
        "fsync folder",
        "fsync folder",
        "fsync file",
        "link cat.png",
        "fsync folder",
    ]


def test_a_picture_gets_the_permissions_of_any_new_file(files: Files, out: Path) -> None:
    """The umask decides, as for every other program."""
    (out / "plain").touch()
    save(files, out / "cat.png")
    assert (out / "cat.png").stat().st_mode == (out / "plain").stat().st_mode


def test_the_final_name_does_not_exist_before_the_end(files: Files, out: Path) -> None:
    """While bytes come, only our temporary name is there."""
    seen = []

    def chunks() -> Iterator[bytes]:
        yield PICTURE[:30]
        seen.extend(names(out))
        yield PICTURE[30:]

    files.save(chunks(), folder=str(out), path_of=at(out / "cat.png"), job=JOB, index=3)
    assert seen == [f".seedream-{JOB}-3.{OWNER}.part"]


@pytest.mark.parametrize("end", [0, 1, 8, 40, len(PICTURE) - 1])
def test_a_cut_picture_gets_no_name(files: Files, out: Path, end: int) -> None:
    """What is shorter than announced, or of no known length and end, is refused; nothing stays."""
    for length in (None, len(PICTURE)):
        with pytest.raises(ImageBroken):
            files.save(
                [PICTURE[:end]],
                folder=str(out),
                path_of=at(out / "cat.png"),
                job=JOB,
                index=1,
                expected_length=length,
            )
    assert names(out) == []


def test_an_odd_picture_of_the_right_length_is_kept(files: Files, out: Path) -> None:
    """What HTTP says is whole gets its name, and the finding is told."""
    odd = PICTURE[:-4]
    for number, told in enumerate(({"expected_length": len(odd)}, {"is_measured": True})):
        path = out / f"{number}.png"
        saved = files.save(
            [odd],
            folder=str(out),
            path_of=at(path),
            job=JOB,
            index=1,
            **told,  # type: ignore[arg-type]  # one of two
        )
        assert saved.finding == "it has no end mark"
        assert path.read_bytes() == odd


def test_the_same_bytes_twice_are_whole(files: Files, out: Path) -> None:
    """Where neither HTTP nor the picture tells its end, a second fetch does."""
    odd, path = PICTURE[:-4], out / "cat.png"
    with pytest.raises(EndUnseen) as first:
        files.save([odd], folder=str(out), path_of=at(path), job=JOB, index=1)
    for other in (PICTURE[:-5], odd[:40]):
        seen = first.value.sha256
        with pytest.raises(EndUnseen):
            files.save([other], folder=str(out), path_of=at(path), job=JOB, index=1, seen=seen)
    assert names(out) == []
    seen = first.value.sha256
    saved = files.save([odd], folder=str(out), path_of=at(path), job=JOB, index=1, seen=seen)
    assert (saved.sha256, saved.finding) == (seen, "it has no end mark")


def test_what_is_no_picture_is_kept_aside(files: Files, out: Path, state: Path) -> None:
    """The last thing that came lies in the rescue folder, up to 1 MiB, until a picture comes."""
    aside = state / "rescue" / f"{JOB}-1.not-a-picture"
    for said in (b"{}" * 2**20, b"<html>" + bytes(2**20), b"no"):
        with pytest.raises(NotAPicture, match="not-a-picture"):
            files.save([said], folder=str(out), path_of=at(out / "a.png"), job=JOB, index=1)
        assert aside.read_bytes() == said[: 2**20]
    assert names(out) == []
    files.save([PICTURE], folder=str(out), path_of=at(out / "a.png"), job=JOB, index=1)
    assert not aside.exists()


def test_a_second_look_takes_only_a_better_copy(files: Files, out: Path) -> None:
    """With `is_flawless` an odd picture is refused, and what lies there stays."""
    path = out / "cat.png"
    odd = PICTURE[:-4]
    first = files.save([odd], folder=str(out), path_of=at(path), job=JOB, index=1, is_measured=True)
    for copy in (odd, PICTURE[:-5], PICTURE):
        with suppress(ImageBroken):
            files.save(
                [copy],
                folder=str(out),
                path_of=at(path),
                job=JOB,
                index=1,
                replaces=[first.sha256],
                is_measured=True,
                is_flawless=True,
            )
        assert path.read_bytes() == (copy if copy == PICTURE else odd)


def test_a_stream_that_breaks_leaves_nothing(files: Files, out: Path) -> None:
    """An error of the network passes through, and the temporary file goes."""

    def chunks() -> Iterator[bytes]:
        yield PICTURE[:30]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        files.save(chunks(), folder=str(out), path_of=at(out / "cat.png"), job=JOB, index=1)
    assert names(out) == []


def test_a_large_picture_is_verified_in_pieces(files: Files, out: Path) -> None:
    """Several blocks are written, summed and checked as one."""
    content = png(padding=3_000_000)
    saved = files.save(
        (content[k : k + 65_536] for k in range(0, len(content), 65_536)),
        folder=str(out),
        path_of=at(out / "big.png"),
        job=JOB,
        index=1,
    )
    assert saved.sha256 == hashlib.sha256((out / "big.png").read_bytes()).hexdigest()
    assert saved.size == len(content)


def test_one_picture_fetched_by_two_is_one_file(files: Files, state: Path, out: Path) -> None:
    """Whoever comes second with the same bytes finds its picture there, and leaves nothing."""
    first = save(files, out / "cat.png")
    second = save(Files(state, "you00000"), out / "cat.png")
    assert (first.path, second.path, second.is_renamed) == (*[str(out / "cat.png")] * 2, False)
    assert names(out) == ["cat.png"]


def test_a_name_taken_meanwhile_is_left_alone(files: Files, out: Path) -> None:
    """The picture stands beside it, and the next one beside that."""
    (out / "cat.png").write_bytes(b"mine")
    first, second = save(files, out / "cat.png"), save(files, out / "cat.png", PICTURE + b"2")
    assert (first.path, first.is_renamed) == (str(out / f"cat-{JOB}.png"), True)
    assert (second.path, second.is_renamed) == (str(out / f"cat-{JOB}-2.png"), True)
    assert (out / "cat.png").read_bytes() == b"mine"
    assert len(names(out)) == 3


def test_a_dangling_link_is_a_taken_name(files: Files, out: Path) -> None:
    """A picture is not written to where somebody's link points."""
    (out / "cat.png").symlink_to(out / "elsewhere")
    assert save(files, out / "cat.png").is_renamed
    assert not (out / "elsewhere").exists()


def test_a_folder_in_place_of_the_target_survives_overwrite(files: Files, out: Path) -> None:
    """Nothing replaces a folder that appeared meanwhile."""
    (out / "cat.png").mkdir()
    assert save(files, out / "cat.png", overwrite=True).is_renamed


def test_overwrite_leaves_no_moment_without_a_whole_file(files: Files, out: Path) -> None:
    """Whoever reads while it is replaced sees the old picture or the new one."""
    path = out / "cat.png"
    versions = {png(width) for width in range(1, 60)}
    path.write_bytes(png(1))
    strange: list[object] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            try:
                content = path.read_bytes()
            except OSError as error:
                strange.append(error)
            else:
                strange.extend([content] if content not in versions else [])

    reader = threading.Thread(target=read)
    reader.start()
    for width in range(1, 60):
        assert not save(files, path, png(width), overwrite=True).is_renamed
    is_over.set()
    reader.join()
    assert strange == []
    assert names(out) == ["cat.png"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK])
def test_without_links_a_name_is_taken_all_the_same(
    files: Files, disk: Weather, out: Path, number: int
) -> None:
    """On a file system without hard links nothing is replaced and nothing is left behind."""
    disk.link_errors = [OSError(number, os.strerror(number))] * 3
    assert not save(files, out / "cat.png").is_renamed
    (out / "dog.png").write_bytes(b"mine")
    assert save(files, out / "dog.png").path == str(out / f"dog-{JOB}.png")
    assert (out / "dog.png").read_bytes() == b"mine"
    assert names(out) == ["cat.png", f"dog-{JOB}.png", "dog.png"]


def test_a_link_whose_answer_was_lost_is_recognised(state: Path, out: Path) -> None:
    """NFS may make a link and say that the name exists: it is ours, not somebody's."""

    def link(source: Path, target: Path) -> None:
        os.link(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    assert not save(Files(state, OWNER, disk=Disk(link=link)), out / "cat.png").is_renamed
    assert names(out) == ["cat.png"]


def test_two_threads_never_share_a_name(files: Files, out: Path) -> None:
    """Many pictures for one name are all saved, one of them under it."""
    saved: list[SavedFile] = []

    def one(index: int) -> None:
        picture = png(index)
        path = at(out / "cat.png")
        job = f"job{index}"
        saved.append(files.save([picture], folder=str(out), path_of=path, job=job, index=1))

    threads = [threading.Thread(target=one, args=(index,)) for index in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.path for each in saved}) == 8
    assert sum(not each.is_renamed for each in saved) == 1
    assert {Path(each.path).read_bytes() for each in saved} == {png(k) for k in range(1, 9)}


def test_the_picture_decides_the_folder_too(files: Files, disk: Weather, out: Path) -> None:
    """A folder that only the picture could name is made, and the guess is not littered."""
    saved = files.save(
        [png(7)],
        folder=str(out),
        path_of=lambda facts: str(out / f"{facts.width}x{facts.height}" / f"a.{facts.format}"),
        job=JOB,
        index=1,
    )
    assert saved.path == str(out / "7x1" / "a.png")
    assert names(out) == ["7x1"]
    assert names(out / "7x1") == ["a.png"]
    # The copy in the other folder is flushed before it gets its name.
    assert disk.log[-3:] == ["fsync file", "link a.png", "fsync folder"]


def test_a_name_of_bytes_that_are_no_text_works(files: Files, out: Path) -> None:
    """The file system's own bytes go through, wherever it takes them."""
    path = os.fsdecode(os.fsencode(out) + b"/caf\xe9.png")
    try:
        Path(path).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    saved = save(files, Path(path))
    assert saved.is_renamed
    assert os.fsencode(saved.path).endswith(b"/caf\xe9-" + JOB.encode() + b".png")
    assert Path(saved.path).read_bytes() == PICTURE


# -- when the folder or the disk says no


def test_a_folder_that_cannot_be_made_leads_to_the_rescue_folder(files: Files, out: Path) -> None:
    """A paid picture is saved elsewhere when a file stands where its folder was."""
    (out / "gone").write_bytes(b"a file now")
    saved = save(files, out / "gone" / "cat.png")
    assert saved.is_rescued
    assert saved.path == str(Path(files.rescue_folder) / f"{JOB}-1.png")
    assert Path(saved.path).read_bytes() == PICTURE
    assert names(Path(files.rescue_folder)) == [f"{JOB}-1.png"]


@needs_permissions
def test_a_read_only_folder_leads_to_the_rescue_folder(files: Files, out: Path) -> None:
    """Permissions that went away between payment and download lose nothing."""
    out.chmod(0o500)
    try:
        assert save(files, out / "cat.png").is_rescued
    finally:
        out.chmod(0o700)


def test_a_folder_that_vanishes_while_bytes_come_costs_nothing(files: Files, out: Path) -> None:
    """The bytes that came are not lost with the folder that they lay in."""

    def chunks() -> Iterator[bytes]:
        yield PICTURE[:30]
        for entry in out.iterdir():
            entry.unlink()
        out.rmdir()
        yield PICTURE[30:]

    saved = files.save(chunks(), folder=str(out), path_of=at(out / "cat.png"), job=JOB, index=1)
    assert Path(saved.path).read_bytes() == PICTURE
    assert saved.is_rescued


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_flush_that_fails_leads_to_the_rescue_folder(
    files: Files, disk: Weather, out: Path, number: int
) -> None:
    """Bytes that a disk would not keep are copied to another one, and none stay behind."""
    disk.file_errors = [OSError(number, os.strerror(number))]
    saved = save(files, out / "cat.png")
    assert saved.is_rescued
    assert Path(saved.path).read_bytes() == PICTURE
    assert saved.sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert names(out) == []


def test_a_name_that_cannot_be_taken_leads_to_the_rescue_folder(
    files: Files, disk: Weather, out: Path
) -> None:
    """A disk that fills up at the very last step costs the name, not the picture."""
    disk.link_errors = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]
    saved = save(files, out / "cat.png")
    assert saved.is_rescued
    assert names(out) == []


def test_a_name_too_long_for_the_disk_leads_to_the_rescue_folder(files: Files, out: Path) -> None:
    """The rescue name does not depend on the one that was refused."""
    assert save(files, out / ("x" * 300 + ".png")).is_rescued
    assert names(out) == []


@pytest.mark.parametrize("room", [[20, 0], [20, 5, 0], [7, 13, 1, 1, 0], [0]])
def test_a_disk_that_fills_up_in_the_middle_goes_on_in_the_rescue_folder(
    files: Files, disk: Weather, out: Path, room: list[int]
) -> None:
    """What came before the disk was full and what came after are one picture."""
    disk.room = room
    saved = save(files, out / "cat.png")
    assert saved.is_rescued
    assert Path(saved.path).read_bytes() == PICTURE
    assert names(out) == []


def test_a_disk_that_writes_in_small_pieces_gets_everything(
    files: Files, disk: Weather, out: Path
) -> None:
    """A short write is gone on with."""
    disk.room = [1, 2, 3, 4, 5]
    assert not save(files, out / "cat.png").is_rescued
    assert (out / "cat.png").read_bytes() == PICTURE


def test_where_everything_refuses_it_is_a_storage_error(
    files: Files, disk: Weather, state: Path, out: Path
) -> None:
    """Without a rescue folder the error says so, and no temporary file is left anywhere."""
    state.write_bytes(b"a file where the state folder should be")
    disk.file_errors = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]
    with pytest.raises(StorageError) as caught:
        save(files, out / "cat.png")
    assert caught.value.exit == 74
    assert "can still be fetched" in caught.value.hint
    assert names(out) == []


def test_a_rescue_folder_on_a_failing_disk_is_a_storage_error(
    files: Files, disk: Weather, out: Path
) -> None:
    """Two refusals in a row end the try and leave both folders clean."""
    disk.file_errors = [OSError(errno.EIO, os.strerror(errno.EIO)) for _ in range(3)]
    with pytest.raises(StorageError):
        save(files, out / "cat.png")
    assert names(out) == []
    assert names(Path(files.rescue_folder)) == []


def test_a_folder_that_cannot_be_flushed_is_told_from_one_that_fails(
    files: Files, disk: Weather, out: Path
) -> None:
    """Some file systems do not flush folders, which is no error; a disk error is one."""
    disk.folder_errors = [OSError(errno.EINVAL, os.strerror(errno.EINVAL))]
    assert not save(files, out / "cat.png").is_rescued
    disk.folder_errors = [OSError(errno.EIO, os.strerror(errno.EIO))]
    assert save(files, out / "dog.png").is_rescued


# -- before anything is sent


def test_a_free_target_passes(files: Files, out: Path) -> None:
    """A name that nothing has may be used, also in a folder that is not there yet."""
    files.check_target(str(out / "cat.png"))
    files.check_target(str(out / "new" / "cat.png"))


def test_a_taken_target_is_refused_with_both_ways_on(files: Files, out: Path) -> None:
    """The error names `--overwrite` and `--skip-existing`; the first lets it pass."""
    (out / "cat.png").touch()
    with pytest.raises(UsageError, match="exists") as caught:
        files.check_target(str(out / "cat.png"))
    assert "--overwrite" in caught.value.hint
    assert "--skip-existing" in caught.value.hint
    files.check_target(str(out / "cat.png"), overwrite=True)


def test_what_is_no_file_is_never_a_target(files: Files, out: Path) -> None:
    """Folders, devices, and names below a file are refused, `--overwrite` or not."""
    (out / "cat").touch()
    (out / "null").symlink_to("/dev/null")
    for path in (out, out / "null", Path("/dev/null"), out / "cat" / "x.png", out / ("x" * 300)):
        with pytest.raises(UsageError):
            files.check_target(str(path), overwrite=True)


def test_a_dangling_link_counts_as_taken(files: Files, out: Path) -> None:
    """A name that only a broken link has is not free."""
    (out / "cat.png").symlink_to(out / "nowhere")
    with pytest.raises(UsageError):
        files.check_target(str(out / "cat.png"))


def test_a_folder_is_tried_and_left_as_it_was(files: Files, disk: Weather, out: Path) -> None:
    """Bytes are written and flushed to prove that it takes them; no folder is made yet."""
    files.check_folder(str(out / "a" / "b"))
    assert disk.log == ["fsync file"]
    assert names(out) == []


def test_a_full_disk_is_noticed_before_paying(files: Files, disk: Weather, out: Path) -> None:
    """A disk that takes no bytes is an error of storage, with nothing sent."""
    disk.file_errors = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]
    with pytest.raises(StorageError, match="Nothing was sent"):
        files.check_folder(str(out))
    assert names(out) == []


@needs_permissions
def test_a_read_only_folder_is_noticed_before_paying(files: Files, out: Path) -> None:
    """Also where the folder itself is missing and the one above is read-only."""
    out.chmod(0o500)
    try:
        for folder in (out, out / "new"):
            with pytest.raises(StorageError):
                files.check_folder(str(folder))
    finally:
        out.chmod(0o700)


def test_a_file_in_the_way_of_a_folder_is_a_usage_error(files: Files, out: Path) -> None:
    """`-o cat.png/dog.png` names a file as a folder, and so may a broken link."""
    (out / "cat.png").touch()
    (out / "broken").symlink_to(out / "nowhere")
    for folder in (out / "cat.png", out / "cat.png" / "x", out / "broken" / "x"):
        with pytest.raises(UsageError):
            files.check_folder(str(folder))


# -- temporary files


def test_dead_parts_of_dead_owners_are_swept(files: Files, out: Path) -> None:
    """Only temporary files of ours whose owner is dead go; all else stays, whatever its name."""
    dead = [out / f".seedream-{JOB}-1.dead0000.part", out / ".seedream-abc-2.dead0000.part"]
    kept = [
        out / f".seedream-{JOB}-1.alive000.part",
        out / f".seedream-{JOB}-1.{OWNER}.part",
        out / f".seedream-{JOB}-1.x.dead0000.part",
        out / f"seedream-{JOB}-1.dead0000.part",
        out / "film.dead0000.part",
        out / ".seedream-.part",
    ]
    for path in dead + kept:
        path.touch()
    (out / ".seedream-dir-1.dead0000.part").mkdir()
    (out / ".seedream-link-1.dead0000.part").symlink_to(kept[0])
    asked: list[str] = []

    def is_dead(owner: str) -> bool:
        asked.append(owner)
        return owner == "dead0000"

    gone = files.sweep([str(out), str(out / "missing")], is_dead=is_dead)
    assert gone == sorted(str(path) for path in dead)
    assert all(path.exists() for path in kept)
    assert len(names(out)) == len(kept) + 2
    assert sorted(asked) == sorted(set(asked))
    assert OWNER not in asked


def test_our_own_folders_are_swept_too(files: Files, out: Path) -> None:
    """A process may die while it rescues or holds a picture."""
    for folder in (Path(files.rescue_folder), Path(files.held_folder)):
        folder.mkdir(parents=True)
        (folder / f".seedream-{JOB}-1.dead0000.part").touch()
    assert len(files.sweep([], is_dead=lambda owner: owner == "dead0000")) == 2
    assert out.exists()


def test_each_folder_is_remembered_before_it_holds_a_temporary_file(state: Path, out: Path) -> None:
    """Whoever releases this process knows where to sweep."""
    seen: list[tuple[str, list[str]]] = []

    def remember(folder: str) -> None:
        seen.append((folder, names(Path(folder)) if Path(folder).exists() else []))

    files = Files(state, OWNER, remember=remember)
    save(files, out / "cat.png")
    files.write_atomically(str(out / "new" / "cat.json"), b"{}")
    assert seen == [(str(out), []), (str(out / "new"), [])]


def test_what_an_earlier_try_of_this_process_left_is_no_hindrance(files: Files, out: Path) -> None:
    """A temporary name of our own is taken again, and a link planted there is not followed."""
    precious = out / "precious"
    precious.write_bytes(b"mine")
    (out / f".seedream-{JOB}-1.{OWNER}.part").symlink_to(precious)
    save(files, out / "cat.png")
    assert precious.read_bytes() == b"mine"
    assert names(out) == ["cat.png", "precious"]


def test_an_unfinished_part_gets_no_name(files: Files, out: Path) -> None:
    """Only what `finish` has verified can be placed."""
    with files.open_part(str(out), JOB, 1) as part:
        part.write(PICTURE)
        with pytest.raises(ImageBroken):
            files.place(part, str(out / "cat.png"), job=JOB, index=1)
    assert names(out) == []


def test_a_refused_chunk_leaves_no_trace_in_the_picture(
    files: Files, disk: Weather, out: Path
) -> None:
    """The bytes that a failing disk took of a chunk are no part of what is verified and saved."""
    with files.open_part(str(out), JOB, 1) as part:
        part.write(PICTURE)
        disk.room = [3, 0]
        with pytest.raises(StorageError):
            part.write(b"and more")
        part.finish(len(PICTURE))
        files.place(part, str(out / "cat.png"), job=JOB, index=1)
    assert (out / "cat.png").read_bytes() == PICTURE


def test_a_copy_that_differs_from_what_came_is_refused(files: Files, out: Path) -> None:
    """A disk that hands back other bytes than it took does not get them saved elsewhere."""
    with files.open_part(str(out), JOB, 1) as part:
        part.write(PICTURE)
        part.path.write_bytes(PICTURE[:-1] + b"!")
        with pytest.raises(StorageError):
            part.move(out / "copy")
    assert names(out) == []


# -- sidecars and the like


def test_a_small_file_is_replaced_whole_and_lastingly(
    files: Files, disk: Weather, out: Path
) -> None:
    """The bytes are flushed before the rename, and the folder after it."""
    path = out / "cat.json"
    path.write_bytes(b"old")
    files.write_atomically(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert disk.log == ["fsync file", "fsync folder"]
    assert names(out) == ["cat.json"]


def test_a_small_file_can_be_private(files: Files, out: Path) -> None:
    """The mode is there from the first moment."""
    files.write_atomically(str(out / "config"), b"key", mode=0o600)
    assert stat.S_IMODE((out / "config").stat().st_mode) == 0o600


def test_a_small_file_behind_a_link_stays_behind_it(files: Files, out: Path) -> None:
    """Whoever keeps such files elsewhere and links to them keeps the link."""
    (out / "real").write_bytes(b"old")
    (out / "link").symlink_to(out / "real")
    files.write_atomically(str(out / "link"), b"new")
    assert (out / "link").is_symlink()
    assert (out / "real").read_bytes() == b"new"


def test_a_small_file_that_cannot_be_written_leaves_the_old_one(
    files: Files, disk: Weather, out: Path
) -> None:
    """A full disk costs the news, not what was there."""
    (out / "cat.json").write_bytes(b"old")
    disk.file_errors = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]
    with pytest.raises(StorageError):
        files.write_atomically(str(out / "cat.json"), b"new")
    assert (out / "cat.json").read_bytes() == b"old"
    assert names(out) == ["cat.json"]


# -- moved -----------------------------------------------------------------------------------------


def test_a_file_moves_with_its_folder_made(files: Files, out: Path) -> None:
    """The bytes are under the new name and not under the old one."""
    (out / "a.png").write_bytes(b"picture")
    files.move(str(out / "a.png"), str(out / "new" / "deep" / "b.png"))
    assert (out / "new" / "deep" / "b.png").read_bytes() == b"picture"
    assert [path.name for path in out.iterdir()] == ["new"]


def test_the_new_name_lasts_before_the_old_one_goes(files: Files, disk: Weather, out: Path) -> None:
    """Without power at any moment one of the two names is on the disk."""
    (out / "a.png").write_bytes(b"picture")
    disk.folder_errors = [OSError(errno.EIO, os.strerror(errno.EIO))]
    with pytest.raises(StorageError):
        files.move(str(out / "a.png"), str(out / "b.png"))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        "a.png": b"picture",
        "b.png": b"picture",
    }


@pytest.mark.parametrize("has_links", [True, False])
def test_a_move_never_shows_a_piece_of_a_picture(
    state: Path, out: Path, *, has_links: bool
) -> None:
    """To another disk a file goes under a temporary name, and is whole when it gets its own."""
    old, new = out / "a.png", out / "b.png"
    old.write_bytes(b"picture" * 300_000)
    seen = []

    def link(one: Path, other: Path) -> None:
        seen.append((one == old, one.read_bytes() == b"picture" * 300_000, new.exists()))
        if one == old or not has_links:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        os.link(one, other)

    files = Files(state, OWNER, disk=Disk(link=link))
    files.move(str(old), str(new))
    assert seen == [(True, True, False), (False, True, False)]
    assert new.read_bytes() == b"picture" * 300_000
    assert list(out.iterdir()) == [new]
    old.write_bytes(b"stranger")
    with pytest.raises(StorageError):
        files.move(str(old), str(new))
    assert new.read_bytes() == b"picture" * 300_000
    assert sorted(out.iterdir()) == [old, new]


def test_a_move_never_replaces(files: Files, out: Path) -> None:
    """Who came to the new name first keeps it, and the picture keeps its old one."""
    (out / "a.png").write_bytes(b"picture")
    (out / "b.png").write_bytes(b"stranger")
    with pytest.raises(StorageError):
        files.move(str(out / "a.png"), str(out / "b.png"))
    assert (out / "a.png").read_bytes() == b"picture"
    assert (out / "b.png").read_bytes() == b"stranger"
    assert len(list(out.iterdir())) == 2


def test_a_move_that_was_killed_is_ended(files: Files, out: Path) -> None:
    """Where the very file has both names already, only the old one goes."""
    (out / "a.png").write_bytes(b"picture")
    os.link(out / "a.png", out / "b.png")
    files.move(str(out / "a.png"), str(out / "b.png"))
    assert list(out.iterdir()) == [out / "b.png"]
    assert (out / "b.png").read_bytes() == b"picture"


def test_a_move_of_nothing_is_told(files: Files, out: Path) -> None:
    """Where the file went meanwhile, nothing is made in its place."""
    with pytest.raises(StorageError):
        files.move(str(out / "a.png"), str(out / "b.png"))
    assert list(out.iterdir()) == []


# -- links that are moved --------------------------------------------------------------------------


@pytest.fixture
def stored(out: Path) -> Path:
    """Hand out a link as git-annex and DVC make them, to bytes that lie elsewhere."""
    for folder in ("store", "art"):
        (out / folder).mkdir()
    (out / "store" / "obj").write_bytes(b"picture")
    link = out / "art" / "a.png"
    link.symlink_to("../store/obj")
    return link


def move_away(files: Files, link: Path, new: Path) -> str:
    """Move a link and empty the place that it was in; return what it says now."""
    files.move(str(link), str(new))
    assert not link.is_symlink()
    assert new.read_bytes() == b"picture"
    assert not list(new.parent.glob(".seedream-*"))
    return str(new.readlink())


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("art/b.png", "../store/obj"),
        ("b.png", "store/obj"),
        ("site/img/b.png", "../../store/obj"),
    ],
)
def test_a_link_leads_to_the_same_file_from_its_new_place(
    files: Files, out: Path, stored: Path, new: str, says: str
) -> None:
    """It stays a link, told from the new folder, and its bytes stay where they are."""
    assert move_away(files, stored, out / new) == says
    assert (out / "store" / "obj").read_bytes() == b"picture"


def test_a_link_with_a_whole_path_keeps_it(files: Files, out: Path, stored: Path) -> None:
    """What does not depend on the folder stays as it was typed."""
    stored.unlink()
    stored.symlink_to(out / "store" / "obj")
    assert move_away(files, stored, out / "deep" / "b.png") == str(out / "store" / "obj")


def test_folders_that_are_links_do_not_lead_a_link_astray(
    files: Files, out: Path, stored: Path
) -> None:
    """Its own folder, the new one and one on its way lie elsewhere than it looks."""
    (out / "far" / "deep").mkdir(parents=True)
    (out / "site").symlink_to("far/deep")
    assert move_away(files, stored, out / "site" / "b.png") == "../../store/obj"
    (out / "pictures").symlink_to("far/deep")
    assert move_away(files, out / "pictures" / "b.png", out / "c.png") == "store/obj"
    (out / "far" / "by").symlink_to("../store")
    (out / "obj").write_bytes(b"picture of another")
    (out / "store" / "below").mkdir()
    stored.symlink_to("../far/by/below/../obj")
    assert move_away(files, stored, out / "new" / "d.png") == "../far/by/below/../obj"
    (out / "store" / "x" / "y").mkdir(parents=True)
    (out / "by").symlink_to("store/x/y")
    stored.symlink_to("../by/../../obj")
    assert move_away(files, stored, out / "new" / "deep" / "e.png") == "../../store/obj"


def test_a_link_does_not_lead_by_way_of_its_old_name(files: Files, out: Path, stored: Path) -> None:
    """Told from the new folder, the same words name the old place, which is emptied."""
    (out / "a.png").write_bytes(b"picture")
    stored.unlink()
    stored.symlink_to("../a.png")
    assert move_away(files, stored, out / "art" / "new" / "a.png") == "../../a.png"


def test_a_moved_link_lasts_before_the_old_one_goes(
    files: Files, disk: Weather, out: Path, stored: Path
) -> None:
    """Without power at any moment one of the two names leads to the bytes; then it is ended."""
    disk.folder_errors = [OSError(errno.EIO, os.strerror(errno.EIO))]
    with pytest.raises(StorageError):
        files.move(str(stored), str(out / "b.png"))
    assert stored.read_bytes() == (out / "b.png").read_bytes() == b"picture"
    move_away(files, stored, out / "b.png")
    assert disk.log == ["symlink b.png", "fsync folder", "fsync folder"]


def test_a_moved_link_never_replaces(files: Files, out: Path, stored: Path) -> None:
    """Not a file, not another link, and not itself where two folders are one."""
    (out / "file.png").write_bytes(b"stranger")
    (out / "link.png").symlink_to("file.png")
    (out / "same").symlink_to("art")
    for name in ("file.png", "link.png", "same/a.png"):
        with pytest.raises(StorageError):
            files.move(str(stored), str(out / name))
    assert stored.read_bytes() == b"picture"
    assert (out / "file.png").read_bytes() == (out / "link.png").read_bytes() == b"stranger"


def test_where_there_are_no_links_the_bytes_are_moved(
    files: Files, disk: Weather, out: Path, stored: Path
) -> None:
    """On another kind of disk the new name is the picture itself, flushed; the store keeps its."""
    disk.symlink_errors = [OSError(errno.EPERM, os.strerror(errno.EPERM))]
    files.move(str(stored), str(out / "new" / "b.png"))
    assert not (out / "new" / "b.png").is_symlink()
    assert (out / "new" / "b.png").read_bytes() == b"picture"
    assert (out / "store" / "obj").stat().st_nlink == 1
    assert names(out / "art") == []
    assert disk.log[1:] == ["fsync file", "link b.png", "fsync folder", "fsync folder"]


def test_a_link_to_nothing_is_not_moved(files: Files, out: Path, stored: Path) -> None:
    """Where its file went meanwhile, no name is made that leads nowhere."""
    (out / "store" / "obj").unlink()
    with pytest.raises(StorageError):
        files.move(str(stored), str(out / "b.png"))
    assert stored.is_symlink()
    assert names(out) == ["art", "store"]
