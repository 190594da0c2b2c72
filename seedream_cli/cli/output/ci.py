"""What CI is told of a batch: GitHub's annotations, job summary and outputs."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seedream_cli.cli.output.row import is_good, is_left, sentence, span
from seedream_cli.cli.output.stdout import write_whole
from seedream_cli.core import money as price
from seedream_cli.core.model import State
from seedream_cli.core.text import clean, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from seedream_cli.cli.output.progress import Observer
    from seedream_cli.core.events import RowEnded

MOST_ROWS: Final = 500
MOST_BYTES: Final = 900 * 1024
"""GitHub drops a step's summary that is over 1 MiB (docs.github.com, "Workflow commands")."""
MOST_ANNOTATIONS: Final = 10
"""Errors, and as many warnings: GitHub shows no more of one step."""
NOTHING: Final = "0"
"""The cost of a run that bought nothing."""
_BAD, _GOOD, _LEFT = range(3)
_STATES: Final = {State.SAVED: "not made", State.PLANNED: "not sent"}
_PROMPT: Final = 120
_TROUBLE: Final = 240
_CELLS: Final = "| picture | prompt | price | time | state |\n| --- | --- | ---: | ---: | --- |\n"
_PLAN_CELLS: Final = "| picture | act | why | price |\n| --- | --- | --- | ---: |\n"
_MARKDOWN: Final = {ord(char): f"&#{ord(char)};" for char in "&<>|`[]*_~#!\\:@$"}


def annotation(file: str, ended: RowEnded) -> str:
    """Return the command that marks a row of the manifest; a warning where it was only left.

    Without a file (a manifest on stdin) or a line it marks as much as is known.
    """
    level = "warning" if is_left(ended) else "error"
    line = str(ended.line) if file and ended.line else ""
    return _command(level, sentence(ended), file=file, line=line, title=ended.row)


def summary(
    rows: Sequence[RowEnded],
    *,
    title: str,
    words: str,
    count: int = 0,
    most_bytes: int = MOST_BYTES,
) -> str:
    """Return a run in Markdown: a heading, then a table, what went wrong first.

    `count` is of all rows, where `rows` are only the first of them.
    """
    cells = [(_row(ended), ended.count) for ended in sorted(rows, key=_rank)]
    heading = _heading(title, words)
    return _table(heading, _CELLS, cells, count=count, most_bytes=most_bytes)


def plan_summary(
    rows: Iterable[tuple[str, ...]], *, title: str, words: str, most_bytes: int = MOST_BYTES
) -> str:
    """Return a plan in Markdown: what is to be done about each picture, why, and the price."""
    cells = [(f"| {' | '.join(_markdown(cell, _TROUBLE) for cell in row)} |\n", 1) for row in rows]
    return _table(_heading(title, words), _PLAN_CELLS, cells, most_bytes=most_bytes)


def _heading(title: str, words: str) -> str:
    return f"### {_markdown(title)}: {_markdown(words, _TROUBLE)}\n"


def _table(
    text: str, head: str, rows: Sequence[tuple[str, int]], *, count: int = 0, most_bytes: int
) -> str:
    """Return a heading and at most `MOST_ROWS` rows and `most_bytes` of UTF-8; more is counted.

    A row comes with how many pictures it stands for.
    """
    count = max(count, sum(number for _, number in rows))
    if not count:
        return text
    lines: list[str] = []
    shown = 0
    room = most_bytes - len((text + head).encode()) - len(f"\n\n… and {count} more\n".encode())
    for line, number in rows[:MOST_ROWS]:
        # Counted in bytes: beyond its limit GitHub shows nothing at all of a summary.
        room -= len(line.encode())
        if room < 0:
            break
        lines.append(line)
        shown += number
    more = f"\n… and {count - shown} more\n" if count > shown else ""
    return f"{text}\n{head}{''.join(lines)}{more}" if lines else f"{text}{more}"


def outputs(values: Mapping[str, object]) -> str:
    """Return the step's outputs, one `name=value` a line."""
    return "".join(f"{name}={clean(str(value), one_line=True)}\n" for name, value in values.items())


def is_forgetful(environ: Mapping[str, str]) -> str | None:
    """Name the kind of machine that forgets its files after this run; None: it keeps them."""
    # By the variable that each sets itself; `CI` is what nearly all of them set.
    if environ.get("GITHUB_ACTIONS") == "true":
        return "GitHub Actions"
    if environ.get("GITLAB_CI") == "true":
        return "GitLab CI"
    if environ.get("CI", "").lower() in {"true", "1"}:
        return "this CI"
    return "a Kubernetes pod" if environ.get("KUBERNETES_SERVICE_HOST") else None


class Actions:
    """Tells GitHub Actions what became of a batch; elsewhere it does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Look where the runner wants to be told."""
        self.is_on = environ.get("GITHUB_ACTIONS") == "true"
        self._workspace = environ.get("GITHUB_WORKSPACE", "")
        self._summary = environ.get("GITHUB_STEP_SUMMARY", "")
        self._outputs = environ.get("GITHUB_OUTPUT", "")
        self._rows: dict[int, list[RowEnded]] = {}
        self._count = 0

    def note(self, ended: RowEnded) -> None:
        """Keep a row for the summary: of each kind the first `MOST_ROWS`, however many come."""
        self._count += ended.count
        # Of each kind: ten thousand rows that went well leave room for the one that did not.
        kept = self._rows.setdefault(_rank(ended), [])
        if self.is_on and len(kept) < MOST_ROWS:
            kept.append(ended)

    @property
    def rows(self) -> Sequence[RowEnded]:
        """The rows that were kept, what went wrong first."""
        return [ended for rank in sorted(self._rows) for ended in self._rows[rank]]

    def annotate(self, file: str) -> None:
        """Mark the manifest's rows that are not as they should be, on stderr: the runner reads it.

        Not through an observer, which would defuse the commands.
        """
        if not self.is_on:
            return
        place = _within(file, self._workspace) if file else ""
        for rank in (_BAD, _LEFT):
            for ended in self._rows.get(rank, [])[:MOST_ANNOTATIONS]:
                _write_command(annotation(place, ended))

    def mark_stale(self, file: str, found: Iterable[tuple[str, int, str]]) -> None:
        """Mark rows whose pictures are not as described: their name, line and why, on stderr."""
        if not self.is_on:
            return
        place = _within(file, self._workspace)
        for name, line, reason in islice(found, MOST_ANNOTATIONS):
            text = f"{name} is not as described: {reason}"
            _write_command(_command("error", text, file=place, line=str(line or 1), title=name))

    def refuse(self, file: str, message: str) -> None:
        """Mark the lines of a manifest that an error is about, else the whole of it, on stderr.

        `file`: as it was typed. Its mistakes are the message's lines of the form `FILE:LINE: …`.
        """
        if not self.is_on:
            return
        is_file = file not in {"", "-"}
        place = _within(file, self._workspace) if is_file else ""
        marked = re.compile(rf"{re.escape(file if is_file else 'stdin')}:([0-9]+): (.*)")
        mistakes = [found for found in map(marked.fullmatch, message.split("\n")) if found]
        for found in mistakes[:MOST_ANNOTATIONS]:
            line = found[1] if place else ""
            _write_command(_command("error", found[2], file=place, line=line))
        if not mistakes:
            _write_command(_command("error", message, file=place))

    def write(
        self, *, outputs: Mapping[str, int], cost: str, title: str, words: str, show: Observer
    ) -> None:
        """Append a run's summary and outputs; `words` are those on stderr."""
        text = summary(
            self.rows, title=title, words=words, count=self._count, most_bytes=self._room()
        )
        self._write(text, {**outputs, "cost": cost}, show)

    def write_plan(
        self,
        *,
        title: str,
        words: str,
        rows: Iterable[tuple[str, ...]],
        to_make: int,
        cost: str,
        show: Observer,
    ) -> None:
        """Append a plan's summary and outputs; `words` are those on stderr."""
        text = plan_summary(rows, title=title, words=words, most_bytes=self._room())
        cost = cost or ("not known" if to_make else NOTHING)
        self._write(text, {"to_make": to_make, "cost": cost}, show)

    def _room(self) -> int:
        # Earlier commands of this step may have written to it.
        return MOST_BYTES - _size(self._summary) if self._summary else MOST_BYTES

    def _write(self, text: str, values: Mapping[str, object], show: Observer) -> None:
        """Write where the runner reads; what cannot be written is said, never raised."""
        if self.is_on and self._outputs:
            _append(self._outputs, outputs(values), show)
        if self.is_on and self._summary:
            _append(self._summary, f"{text}\n", show)


def _rank(ended: RowEnded) -> int:
    """Return where a row stands: what went wrong, what was made, what was left."""
    if is_left(ended):
        return _LEFT
    return _GOOD if is_good(ended) else _BAD


def _command(level: str, text: str, **properties: str) -> str:
    """Return a command of the runner; a property that is empty is left out."""
    marks = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    head = f"::{level} {marks}" if marks else f"::{level}"
    return f"{head}::{_escaped(clean(text, ci=True))}"


def _escaped(text: str) -> str:
    """Escape as the runner does for a command's text (actions/toolkit, `escapeData`)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape as the runner does for a property (actions/toolkit, `escapeProperty`)."""
    # Cleaned first: a name of a row must not become a command of the runner.
    return _escaped(clean(text, ci=True, one_line=True)).replace(":", "%3A").replace(",", "%2C")


def _row(ended: RowEnded) -> str:
    about = "about " if ended.is_estimate else ""
    maybe = "maybe " if ended.state is State.UNKNOWN else about
    cells = (
        _markdown(ended.row),
        _markdown(ended.prompt, _PROMPT),
        _markdown(maybe + price.show(ended.money)) if ended.money else "",
        span(ended.seconds) if ended.seconds is not None else "",
        _state(ended),
    )
    return f"| {' | '.join(cells)} |\n"


def _state(ended: RowEnded) -> str:
    if is_good(ended):
        return f"saved {_markdown(ended.path or '')}".rstrip()
    state = "left" if is_left(ended) else _STATES.get(ended.state, ended.state.value)
    words = f"{state}: {ended.problem.message}" if ended.problem else state
    text = _markdown(words, _TROUBLE)
    return text if is_left(ended) else f"**{text}**"


def _markdown(text: str, width: int = 200) -> str:
    """Return a stranger's text as one cell of a table in which nothing is Markdown or HTML."""
    return shorten(clean(text, one_line=True), width).translate(_MARKDOWN)


def _within(file: str, workspace: str) -> str:
    """Return a path as the runner knows it: from the workspace on, where it lies in there."""
    path = Path(os.path.abspath(file))  # noqa: PTH100 - resolve() would leave by a symlink
    for root in (workspace, os.path.realpath(workspace)):
        if workspace and path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return file


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _append(path: str, text: str, show: Observer) -> None:
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except (OSError, ValueError) as error:
        show.say(f"{path} could not be written: {error}", is_error=True)


def _write_command(line: str) -> None:
    with suppress(OSError, ValueError):
        write_whole(sys.stderr, line.encode("utf-8", "replace") + b"\n")
