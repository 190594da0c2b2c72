"""The system calls themselves: what is on disk before a byte leaves, or a name is taken.

`--soak` traces 50 paid requests; needs strace, skips loudly without.
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.scene import NewScene, Scene
    from support.soak import Soak

PROVIDERS = (
    *("ark", "kie", "uniall", "fal", "seedreams", "byteplus", "wavespeed", "kie-seedream"),
    *("replicate", "openrouter"),
)
CALLS = (
    "fsync,fdatasync,connect,sendto,sendmsg,write,writev,"
    "link,linkat,rename,renameat,renameat2,unlink,unlinkat"
)
SENDS = frozenset({"sendto", "sendmsg", "write", "writev"})
SYNCS = frozenset({"fsync", "fdatasync"})
NAMES = frozenset({"link", "linkat", "rename", "renameat", "renameat2"})
LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One system call that did what it was asked."""

    thread: str
    call: str
    arguments: str
    began: int
    """Line of the trace."""
    ended: int

    @property
    def file(self) -> str:
        """What its descriptor stands for: a path, or `socket:[NUMBER]`."""
        found = re.match(r"(?:\{fd=)?\d+<([^>]*)>", self.arguments)
        return found[1] if found else ""

    @property
    def paths(self) -> list[str]:
        """The paths among its arguments, in order."""
        return re.findall(r'"((?:[^"\\]|\\.)*)"', self.arguments)


def parse(text: str) -> list[Called]:
    """Read what `strace -f -y` wrote; calls that failed are left out, halves are joined."""
    calls: list[Called] = []
    halves: dict[tuple[str, str], tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines()):
        if found := RESUMED.fullmatch(line):
            begun, began = halves.pop((found["thread"], found["call"]), ("", number))
            arguments = begun + found["rest"]
        elif found := LINE.fullmatch(line):
            arguments, began = found["rest"], number
            if arguments.endswith("<unfinished ...>"):
                halves[found["thread"], found["call"]] = (
                    arguments[: -len("<unfinished ...>")],
                    number,
                )
                continue
        else:
            continue
        if " = -1 " in arguments and "EINPROGRESS" not in arguments:
            continue
        call = Called(
            thread=found["thread"],
            call=found["call"],
            arguments=arguments,
            began=began,
            ended=number,
        )
        calls.append(call)
    # One that never came back (the process ended in it) did begin.
    calls += [
        Called(thread=thread, call=call, arguments=begun, began=began, ended=1 << 62)
        for (thread, call), (begun, began) in halves.items()
    ]
    return sorted(calls, key=lambda call: call.began)


def posts(calls: list[Called]) -> list[Called]:
    """Return what put the first byte of each paid request on the wire."""
    return [
        call
        for call in calls
        if call.call in SENDS and call.file.startswith("socket") and '"POST ' in call.arguments
    ]


def is_committed(calls: list[Called], post: Called, ledger: Path) -> bool:
    """Tell whether the same thread committed between connecting and sending, folder and all."""
    (connect,) = [
        call
        for call in calls
        if call.call == "connect" and call.file == post.file and call.began < post.began
    ][-1:]
    wanted = [
        (SYNCS, f"{ledger}-journal"),
        (SYNCS, str(ledger)),
        ({"unlink", "unlinkat"}, f"{ledger}-journal"),
        (SYNCS, str(ledger.parent)),
    ]
    between = (
        call
        for call in calls
        if call.thread == post.thread and call.began > connect.began and call.ended < post.began
    )
    for call in between:
        names, path = wanted[0]
        if call.call in names and path in {call.file, *call.paths}:
            wanted.pop(0)
            if not wanted:
                return True
    return False


def misnamed(calls: list[Called], ledger: Path) -> Iterator[str]:
    """Name the files that got their names before they or their folder were on disk."""
    for call in calls:
        if call.call not in NAMES or not call.paths[0].endswith(".part"):
            continue
        part, final = call.paths[0], call.paths[-1]
        own = [other for other in calls if other.thread == call.thread]
        if not any(o.call in SYNCS and o.file == part and o.ended < call.began for o in own):
            yield f"{final}: named before it was flushed"
        after = [o for o in own if o.call in SYNCS and o.began > call.ended]
        if not after or after[0].file != str(Path(final).parent):
            yield f"{final}: recorded before its folder was flushed"
        if not any(o.file == str(ledger) for o in after):
            yield f"{final}: never recorded"


def traced(scene: Scene, *arguments: str) -> list[Called]:
    """Run a command under strace."""
    trace = scene.home / "trace"
    running = scene.start(
        *arguments,
        before=("strace", "-f", "-y", "-s", "256", "-e", f"trace={CALLS}", "-o", str(trace)),
    )
    code = running.end()
    if "ptrace" in running.text and not trace.exists():
        pytest.skip(f"strace may not trace here: {running.text.strip()}")
    assert code == 0, running.text
    return parse(trace.read_text(errors="replace"))


@pytest.mark.skipif(shutil.which("strace") is None, reason="NO PROOF OF ORDER: strace is missing")
def test_the_ledger_is_on_disk_before_each_paid_request(new_scene: NewScene, soak: Soak) -> None:
    """Journal, ledger and folder are flushed between connecting and the first byte of a POST.

    And each picture is flushed before it gets its name, its folder before that is recorded.
    """
    scene = new_scene(0.05)
    ledger = scene.state / "ledger.db"
    seen = named = 0
    for provider in itertools.cycle(PROVIDERS):
        calls = traced(scene, "generate", f"in order {provider}", "-p", provider, "-n", "2")
        for post in posts(calls):
            seen += 1
            assert is_committed(calls, post, ledger), (provider, post)
        assert list(misnamed(calls, ledger)) == []
        named += sum(call.call in NAMES for call in calls)
        if seen >= soak.times(8, long=50):
            break
    assert seen == len(scene.server.charges())
    assert named >= seen


def count(calls: list[Called], scene: Scene) -> dict[str, int]:
    """Return how many commits a command took, and how many flushes beside SQLite's own."""
    ledger = scene.state / "ledger.db"
    found = Counter(
        {
            "commit": sum(
                f"{ledger}-journal" in call.paths for call in calls if call.call == "unlink"
            )
        }
    )
    for call in calls:
        if call.call in SYNCS and call.file not in {
            *(str(ledger), f"{ledger}-journal", str(scene.state)),
        }:
            path = Path(call.file)
            found["folder" if path == scene.work else path.suffix] += 1
    return dict(found)


@pytest.mark.skipif(shutil.which("strace") is None, reason="NO COUNT OF FLUSHES: no strace")
def test_a_command_writes_no_more_than_its_table_says(new_scene: NewScene) -> None:
    """One picture, one row of a batch, and the same batch once more: `docs/design.md` says why."""
    scene = new_scene(0.0)
    (scene.work / "one.jsonl").write_text('{"name": "fox", "prompt": "a fox"}\n')
    generate = ("generate", "a fox", "-p", "ark")
    batch = ("generate", "--batch", "one.jsonl", "-p", "ark", "-y")
    ledger_made = {"commit": 1, ".birth": 1}
    picture = {"commit": 6, ".part": 2, "folder": 1}  # a folder is proved to take files before
    first = Counter(picture) + Counter(ledger_made)
    row = Counter(picture) + Counter({".lock": 2, ".part": 1, "folder": 1})
    assert count(traced(scene, *generate), scene) == first
    assert count(traced(scene, *generate), scene) == picture
    assert count(traced(scene, *batch), scene) == row
    assert count(traced(scene, *batch), scene) == {"commit": 0}
    assert count(traced(scene, "status"), scene) == {"commit": 0}


def test_a_trace_is_read_whole() -> None:
    """Halves of calls are joined by thread; what failed, or is no call, is left out."""
    calls = parse(
        "7  connect(5<socket:[9]>, {sa_family=AF_INET}, 16) = -1 EINPROGRESS (Operation now)\n"
        "8  fdatasync(4</s/ledger.db> <unfinished ...>\n"
        '7  sendto(5<socket:[9]>, "POST /a", 7, 0, NULL, 0 <unfinished ...>\n'
        "8  <... fdatasync resumed>) = 0\n"
        "7  <... sendto resumed>) = 7\n"
        "7  fsync(6</s>) = -1 EIO (Input/output error)\n"
        "7  +++ exited with 0 +++\n"
    )
    assert [(call.thread, call.call, call.file, call.began, call.ended) for call in calls] == [
        ("7", "connect", "socket:[9]", 0, 0),
        ("8", "fdatasync", "/s/ledger.db", 1, 3),
        ("7", "sendto", "socket:[9]", 2, 4),
    ]
    assert [post.thread for post in posts(calls)] == ["7"]
