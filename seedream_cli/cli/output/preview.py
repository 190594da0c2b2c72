"""Draws pictures in the terminal, in a child with bounds: whatever goes wrong there is a note.

The drawing library asks the terminal questions when it is imported and reads the answers from stdin
(textual-image 0.12, `renderable/__init__.py`): hence a process of its own, whose stdout is our
stderr and whose stdin is the terminal.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from seedream_cli.cli.output.stdout import write_whole
from seedream_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SECONDS: Final = 5.0
MOST_MEMORY: Final = 512 << 20
"""Bytes of address space."""
MOST_PIXELS: Final = 50_000_000
MOST_DRAWN: Final = 4
"""Pictures; of more the first ones."""
_TOO_LARGE: Final = 3
_HIGHEST: Final = 24
"""Lines of one picture."""
_PLAIN: Final = ("screen", "tmux")
"""Terminals within which half blocks are all that is sure to come through."""


def check_preview(find: Callable[[str], object] = find_spec) -> None:
    """Raise `UsageError` where the extra is missing: before anything is bought."""
    # Found is not imported: that would cost each start what drawing costs.
    if find("textual_image") is None:
        raise UsageError(
            "--preview draws with a library that is not installed",
            hint="pip install 'seedream[preview]'",
        )


def draw(paths: Sequence[str], environ: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Draw pictures on stderr, each whole or not at all; never changes how the command ends."""
    dumb = environ.get("TERM", "dumb") == "dumb" or environ.get("NO_COLOR")
    if not sys.stderr.isatty() or dumb:
        say("--preview: stderr is no terminal that draws; the pictures are saved")
        return
    for path in paths[:MOST_DRAWN]:
        words = _draw_one(path, environ)
        if words:
            say(f"--preview: {path} is not drawn: {words}")
    if len(paths) > MOST_DRAWN:
        say(f"--preview: the first {MOST_DRAWN} of {len(paths)} pictures")


def _draw_one(path: str, environ: Mapping[str, str]) -> str:
    """Draw one picture; return what went wrong, empty where nothing did."""
    import subprocess

    sys.stderr.flush()
    with ExitStack() as stack:
        try:
            terminal = stack.enter_context(open("/dev/tty", "rb", buffering=0))  # noqa: PTH123 - a device
        except OSError:
            return "there is no terminal to ask"
        stack.callback(_restore(terminal.fileno()))
        try:
            # Its stderr brings the drawing, so that one that takes too long is not half drawn.
            done = subprocess.run(  # noqa: S603 - this very module
                [sys.executable, "-m", __name__, path],
                stdin=terminal,
                stdout=sys.stderr.fileno(),
                stderr=subprocess.PIPE,
                env=dict(environ),
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"that took longer than {SECONDS:g} s"
        except OSError as error:
            return str(error.strerror)
    if done.returncode == _TOO_LARGE:
        return f"it has more than {MOST_PIXELS // 1_000_000} million pixels"
    if done.returncode:
        return "it cannot be drawn here"
    with suppress(OSError, ValueError):
        write_whole(sys.stderr, done.stderr)
    return ""


def _restore(terminal: int) -> Callable[[], None]:
    """Return what sets a terminal back as it is now, keys that were typed meanwhile included."""
    import termios

    before = termios.tcgetattr(terminal)

    def restore() -> None:
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSANOW, before)

    return restore


def main(path: str) -> int:
    """Draw one picture on stderr, the terminal on stdout asked how; the child's own work."""
    import resource

    # What libraries say on stderr must not come between the lines of the picture.
    drawing = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with suppress(OSError, ValueError):  # macOS takes no bound below what is mapped already
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    is_asked = not _is_asking_unwise()
    if not is_asked:
        sys.__stdout__ = io.StringIO()  # type: ignore[misc,assignment]  # no terminal: none is asked
        os.environ.update(TEXTUAL_CELL_WIDTH="10", TEXTUAL_CELL_HEIGHT="20")
    from PIL import Image as Pictures
    from rich.console import Console
    from textual_image import renderable

    Pictures.MAX_IMAGE_PIXELS = None  # held against our own bound
    with Pictures.open(path) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            return _TOO_LARGE
        able = renderable.Image if is_asked else renderable.HalfcellImage
        size = os.get_terminal_size(sys.stdout.fileno())
        columns, rows = size.columns or 80, size.lines or 24
        height = max(2, min(_HIGHEST, rows - 3))
        width = min(columns, int(height * 2 * picture.width / picture.height) or 1)
        drawn = able(picture, width=width, height="auto")
        whole = io.StringIO()
        console = Console(file=whole, force_terminal=True, width=columns)
        console.measure(drawn)  # asks the terminal how large its letters are, once
        sys.__stdout__ = whole  # type: ignore[misc,assignment]  # where kitty's data go
        console.print(drawn)
    with open(drawing, "wb") as pipe:  # noqa: PTH123 - a descriptor
        pipe.write(whole.getvalue().encode())
    return 0


def _is_asking_unwise() -> bool:
    """Tell whether a terminal must not be asked: its answer may not come, or keys would be lost."""
    if "TMUX" in os.environ or os.environ.get("TERM", "").startswith(_PLAIN):
        return True
    import array
    import fcntl
    import termios
    import tty

    try:
        before = termios.tcgetattr(0)
        tty.setcbreak(0, termios.TCSANOW)  # else a line counts only when it is whole
        count = array.array("i", [0])
        fcntl.ioctl(0, termios.FIONREAD, count)
        termios.tcsetattr(0, termios.TCSANOW, before)
    except (OSError, termios.error):
        return True
    return count[0] > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
