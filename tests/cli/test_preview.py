"""Pictures drawn in the terminal: what a terminal can show, no rubbish, no lost keys."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
import zlib
from typing import TYPE_CHECKING

import pytest

from seedream_cli.cli.output import preview
from seedream_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytest.importorskip("textual_image", reason="needs seedream[preview]")

PROGRAM = """
import os, sys
from seedream_cli.cli.output.preview import draw
draw(sys.argv[1:], os.environ, lambda words: print("NOTE", words, file=sys.stderr))
print("END", file=sys.stderr, flush=True)
if "READ" in os.environ:
    print("KEYS", input(), file=sys.stderr, flush=True)
"""
HALF_WAY = """
import sys
from rich.measure import Measurement
class Image:
    def __init__(self, *_, **__): pass
    def __rich_measure__(self, *_): return Measurement(1, 1)
    def __rich_console__(self, *_):
        sys.__stdout__.write("\\x1b_GHALF")
        yield "HALF"
        raise OSError("broke off")
HalfcellImage = Image
"""
SIXEL = {b"\x1b[c": b"\x1b[?62;4;22c"}
KITTY = {b"\x1b[c": b"\x1b[?62;22c", b"_Gi": b"OK"}
SECONDS = 30.0


def png(width: int, height: int, drawn: int | None = None) -> bytes:
    """Return a picture of one colour; of a hostile one only `drawn` rows are there."""
    rows = zlib.compress((b"\0" + b"\xd0\x40\x20" * width) * (drawn or height), 1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    )


def seen(
    paths: list[str],
    answers: Mapping[bytes, bytes],
    env: Mapping[str, str] | None = None,
    typed: bytes = b"",
) -> bytes:
    """Return what a terminal is sent that answers so, `typed` having been typed before."""
    own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PATH": os.environ["PATH"]}
    child, master = pty.fork()
    if not child:
        arguments = [sys.executable, "-c", PROGRAM, *paths]
        os.execve(sys.executable, arguments, {**own, **(env or {})})  # noqa: S606 - our own program
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    if typed:
        os.write(master, typed)
    got, until, end = b"", time.monotonic() + SECONDS, b"KEYS" if env and "READ" in env else b"END"
    answered: set[bytes] = set()
    while time.monotonic() < until and end not in got:
        if select.select([master], [], [], 0.1)[0]:
            try:
                got += os.read(master, 1 << 16)
            except OSError:
                break
        for question, answer in answers.items():
            if question in got and question not in answered:
                answered.add(question)
                number = re.search(rb"_Gi=(\d+)", got)
                is_kitty = question == b"_Gi" and number is not None
                os.write(master, b"\x1b_Gi=%s;OK\x1b\\" % number[1] if is_kitty else answer)  # type: ignore[index]
    os.close(master)
    os.waitpid(child, 0)
    return got


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """Return a small picture."""
    path = tmp_path / "a.png"
    path.write_bytes(png(64, 32))
    return str(path)


def test_a_terminal_that_knows_sixel_gets_sixels(picture: str) -> None:
    """The terminal says so when it is asked, and gets one sixel image."""
    got = seen([picture], SIXEL)
    assert b"\x1bP" in got
    assert b"NOTE" not in got


def test_a_terminal_that_knows_kittys_protocol_gets_that(picture: str) -> None:
    """The terminal says so when it is asked, and gets the picture in chunks of base64."""
    got = seen([picture], KITTY)
    assert got.count(b"\x1b_G") >= 2
    assert b"\x1bP" not in got
    assert b"NOTE" not in got


@pytest.mark.parametrize("env", [{}, {"TERM": "screen-256color"}, {"TMUX": "/tmp/x,1,0"}])  # noqa: S108
def test_any_other_terminal_gets_half_blocks(picture: str, env: dict[str, str]) -> None:
    """Where nothing answers, and within tmux and screen, there are coloured half blocks alone."""
    got = seen([picture], {} if not env else SIXEL, env)
    assert "▀".encode() in got
    assert b"\x1bP" not in got
    assert b"\x1b_G" not in got.replace(b"\x1b_Gi", b"")


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_terminal_that_draws_nothing_gets_a_note(picture: str, env: dict[str, str]) -> None:
    """No block and no escape reaches a dumb terminal, or one without colours."""
    got = seen([picture], SIXEL, env)
    assert b"NOTE --preview: stderr is no terminal that draws" in got
    assert b"\x1b" not in got


def test_keys_that_were_typed_ahead_are_there_afterwards(picture: str) -> None:
    """What was typed while the picture was made is read by whoever reads next."""
    got = seen([picture], SIXEL, {"READ": "1"}, typed=b"ls -l\n")
    assert b"KEYS ls -l" in got
    assert "▀".encode() in got


def test_a_hostile_or_huge_picture_costs_a_note(tmp_path: Path) -> None:
    """Bytes that are none, and one of too many pixels, end nothing; the next one is drawn."""
    broken, huge, good = tmp_path / "b.png", tmp_path / "h.png", tmp_path / "g.png"
    broken.write_bytes(png(8, 8)[:40])
    huge.write_bytes(png(60_000, 60_000, drawn=1))
    good.write_bytes(png(8, 8))
    got = seen([str(broken), str(huge), str(good)], {})
    assert b"b.png is not drawn: it cannot be drawn here" in got
    assert b"h.png is not drawn: it has more than 50 million pixels" in got
    assert "▀".encode() in got


def test_a_picture_is_drawn_whole_or_not_at_all(tmp_path: Path) -> None:
    """A library that breaks off half way leaves no open sequence in the terminal."""
    fake = tmp_path / "textual_image"
    fake.mkdir()
    (fake / "__init__.py").touch()
    (fake / "renderable.py").write_text(HALF_WAY)
    (tmp_path / "a.png").write_bytes(png(8, 8))
    got = seen([str(tmp_path / "a.png")], {}, {"PYTHONPATH": str(tmp_path)})
    assert b"a.png is not drawn" in got
    assert b"HALF" not in got


def test_without_the_extra_nothing_is_bought() -> None:
    """The way to have it is named, and the command ends before it begins."""
    with pytest.raises(UsageError) as refused:
        preview.check_preview(lambda _: None)
    assert refused.value.hint == "pip install 'seedream[preview]'"
