"""A run looks right on a terminal of any size, and in a log that nobody watches."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from seedream_cli.cli.output.board import Board
from seedream_cli.cli.output.counts import Tally
from seedream_cli.cli.output.progress import (
    Live,
    Plain,
    observer,
    terminal,
)
from seedream_cli.cli.output.row import sentence
from seedream_cli.core.events import (
    BytesReceived,
    Exchange,
    ImageSaved,
    JobChanged,
    Note,
    RowEnded,
    Waiting,
)
from seedream_cli.core.model import Charge, Image, Job, Money, Problem, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from seedream_cli.core.events import Event

PRICE = Money(Decimal("0.0325"), "USD")
TURNED_DOWN = Problem("content_policy", "the prompt was turned down", "change the prompt")


class Watch:
    """A clock that moves by hand."""

    def __init__(self) -> None:
        """Begin at a time that is not zero."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time in seconds."""
        return self.now


def job(name: str, state: State = State.RUNNING) -> Job:
    """Return a job of one row."""
    return Job(
        id=f"id-{name}",
        run="run",
        state=state,
        charge=Charge.CHARGED,
        provider="kie",
        profile="kie",
        origin="https://api.kie.ai",
        sandbox=False,
        model="m",
        prompt="p",
        request={},
        recipe={},
        purchase_digest="f",
        output={},
        first_n=1,
        expected=1,
        row=name,
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
    )


def ended(
    name: str = "hero",
    state: State = State.SAVED,
    *,
    problem: Problem | None = None,
    money: Money | None = PRICE,
    charge: Charge | None = None,
    is_estimate: bool = False,
) -> RowEnded:
    """Return the end of a row."""
    return RowEnded(
        row=name,
        line=12,
        state=state,
        path=f"site/{name}.jpg" if state is State.SAVED else None,
        prompt="a lighthouse",
        money=money,
        is_estimate=is_estimate,
        seconds=12.3,
        problem=problem,
        job=f"id-{name}",
        charge=charge,
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ended(), "hero saved site/hero.jpg (0.0325 USD, 12 s)"),
        (ended(is_estimate=True), "hero saved site/hero.jpg (about 0.0325 USD, 12 s)"),
        (ended(money=None), "hero saved site/hero.jpg (12 s)"),
        (
            ended(state=State.REFUSED, money=None, problem=TURNED_DOWN),
            (
                "hero was refused: the prompt was turned down; nothing was charged\n"
                "  change the prompt"
            ),
        ),
        (
            ended(state=State.UNKNOWN, problem=Problem("outcome_unknown", "no answer came")),
            "hero has an unknown outcome: no answer came; it may have cost 0.0325 USD",
        ),
        (
            ended(state=State.UNKNOWN, money=None, problem=Problem("outcome_unknown", "")),
            "hero has an unknown outcome; it may have been charged",
        ),
        (ended(state=State.FAILED, money=None), "hero failed"),
        (
            ended(state=State.FAILED, money=None, charge=Charge.NONE),
            "hero failed; nothing was charged",
        ),
        (ended(state=State.EXPIRED), "hero is lost; it cost 0.0325 USD"),
        (ended(state=State.READY, money=None), "hero is not saved yet; it is paid"),
        (
            ended(state=State.RUNNING, problem=Problem("timeout", "it is paid and still runs")),
            "hero is not finished: it is paid and still runs",
        ),
        (
            ended(state=State.PLANNED, money=None, problem=Problem("interrupted", "a signal came")),
            "hero was left: a signal came",
        ),
        (
            ended(state=State.PLANNED, money=None, problem=Problem("usage", "no such reference")),
            "hero was not sent: no such reference; nothing was charged",
        ),
        (ended(problem=TURNED_DOWN), "hero was not made: the prompt was turned down; it cost 0.03"),
        (ended("a\nb\x1b[2J"), "a b saved site/a b.jpg (0.0325 USD, 12 s)"),
    ],
)
def test_a_row_is_told_with_its_cost(row: RowEnded, said: str) -> None:
    """What became of a row, whether it cost anything and what to do: in a line and a hint."""
    assert sentence(row).startswith(said)
    assert row.problem is not None or sentence(row) == said


def plain(watch: Watch, *, quiet: bool = False, verbose: int = 0) -> Plain:
    """Return an observer for a log, forty pictures expected."""
    show = Plain(by_row=True, quiet=quiet, verbose=verbose, monotonic=watch)
    show.expect(40, 160)
    return show


def test_a_log_gets_a_line_a_row_and_none_between(capfd: pytest.CaptureFixture[str]) -> None:
    """Ten thousand jobs that change their state do not fill a log; what became of rows does."""
    show = plain(Watch())
    show(JobChanged(job=job("hero"), word="waiting"))
    show(Waiting(job_id="id-hero", seconds=3, reason="busy"))
    show(BytesReceived(job_id="id-hero", index=1, received=1, total=2))
    show(ImageSaved(job=job("hero"), image=Image(job="id-hero", index=1, n=1)))
    show(JobChanged(job=job("hero", State.SAVED)))
    show(Note(message="a note"))
    show(ended())
    show(ended("dusk", State.REFUSED, problem=TURNED_DOWN, money=None))
    assert capfd.readouterr().err.splitlines() == [
        "a note",
        "hero saved site/hero.jpg (0.0325 USD, 12 s)",
        "seedream: dusk was refused: the prompt was turned down; nothing was charged",
        "  change the prompt",
    ]


def test_a_log_of_jobs_gets_a_line_a_change(capfd: pytest.CaptureFixture[str]) -> None:
    """Without rows each job's changes are told once each, and once a minute how far all are."""
    watch = Watch()
    show = Plain(monotonic=watch)
    show.expect(30)
    for word in ("", "generating", "generating"):
        show(JobChanged(job=job("a"), word=word))
    show(Waiting(job_id="id-a", seconds=3, reason="it is busy"))
    watch.now += 10
    for n in range(7):
        show.tally.take(ended(f"n{n}", is_estimate=True))
    watch.now += 51
    show(JobChanged(job=job("a", State.SAVED)))
    assert capfd.readouterr().err.splitlines() == [
        "id-a accepted",
        "id-a generating",
        "id-a waits 3 s: it is busy",
        "id-a saved",
        "7 of 30 made, about 0.2275 USD, about 3 min left",
    ]


def test_a_log_of_one_picture_says_once_a_minute_what_is_done(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Of one picture there is no `0 of 1`: its state and its time are told."""
    watch = Watch()
    show = Plain(monotonic=watch)
    show.expect(1)
    show(JobChanged(job=job("a"), word="generating"))
    watch.now += 61
    show.tick()
    assert capfd.readouterr().err == "id-a generating\na generating, 61 s\n"


def test_quiet_says_errors_only(capfd: pytest.CaptureFixture[str]) -> None:
    """With `-q` a log holds what went wrong, warnings too, and nothing else."""
    watch = Watch()
    with plain(watch, quiet=True) as show:
        show(ended())
        show(ended("left", State.PLANNED))
        show(Note(message="a note"))
        show(Note(message="a warning", is_warning=True))
        watch.now += 100
        show.tick()
        show(ended("dusk", State.FAILED, money=None))
    assert capfd.readouterr().err == "seedream: a warning\nseedream: dusk failed\n"


def test_requests_are_shown_when_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    """With `-v` each exchange has its line in a batch too, without it none."""
    exchange = Exchange(method="POST", host="h", path="/p", status=200, seconds=0.5)
    plain(Watch(), verbose=1)(exchange)
    plain(Watch())(exchange)
    assert capfd.readouterr().err == "POST h /p 200 500 ms\n"


def test_once_a_minute_it_says_how_far_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    """Made, under way, money and time left, once a minute whoever asks how often."""
    watch = Watch()
    show = plain(watch)
    watch.now += 10
    for n in range(21):
        show(ended(f"r{n}", is_estimate=n > 0))
    for name in "abc":
        show(JobChanged(job=job(name)))
    capfd.readouterr()
    watch.now += 49.9
    show.tick()
    assert capfd.readouterr().err == ""
    watch.now += 0.2
    show(JobChanged(job=job("a")))
    show.tick()
    told = "21 of 40 made, 3 under way, about 0.6825 USD, about 50 s left\n"
    assert capfd.readouterr().err == told
    watch.now += 30
    show(ended("a"))
    show(ended("b"))
    show(ended("c", State.FAILED, money=None))
    capfd.readouterr()
    watch.now += 31
    show.tick()
    told = "23 of 40 made, 1 failed, about 0.7475 USD, about 1 min left\n"
    assert capfd.readouterr().err == told


def test_no_line_when_there_is_nothing_to_wait_for(capfd: pytest.CaptureFixture[str]) -> None:
    """Before a batch begins and after its last row no minute is told."""
    watch = Watch()
    show = Plain(by_row=True, monotonic=watch)
    watch.now += 100
    show.tick()
    show.expect(1, 0)
    show(ended())
    watch.now += 100
    show.tick()
    assert capfd.readouterr().err == "hero saved site/hero.jpg (0.0325 USD, 12 s)\n"


def test_after_a_stop_few_of_the_left_rows_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    """Thousands of rows that a stopped run did not reach are three lines and a number."""
    with plain(Watch()) as show:
        for n in range(40):
            show(ended(f"r{n}", State.PLANNED, money=None))
    assert capfd.readouterr().err.splitlines() == [
        "r0 was left",
        "r1 was left",
        "r2 was left",
        "… and 37 more were left",
    ]


def test_a_row_commands_no_ci_runner(capfd: pytest.CaptureFixture[str]) -> None:
    """No name or message of a row is a workflow command in a log."""
    plain(Watch())(ended("::error ::owned", State.FAILED, problem=Problem("busy", "a\n::x::y")))
    err = capfd.readouterr().err
    assert "owned" in err
    assert not re.search(r"^\s*::", err, re.MULTILINE)


def test_the_time_left_is_of_the_last_minutes() -> None:
    """A fast start an hour ago does not promise a fast end; one picture promises nothing."""
    watch = Watch()
    tally = Tally(watch)
    tally.expect(1000, 0)
    watch.now += 10
    tally.take(ended("first"))
    assert "left" not in tally.line()
    tally.take(ended("second"))
    assert tally.line().endswith("about 1 h left") or tally.line().endswith("83 min left")
    for n in range(100):
        tally.take(ended(f"fast-{n}"))
    watch.now += 3600
    assert "left" not in tally.line()
    for n in range(5):
        tally.take(ended(f"slow-{n}"))
    # 893 left at 5 in 300 s.
    assert tally.line().endswith("about 15 h left")
    assert "1.0/min" in tally.parts()


def test_failures_are_no_speed_but_shorten_the_rest() -> None:
    """Rows that fail at once are done with, and are not counted as pictures a minute."""
    watch = Watch()
    tally = Tally(watch)
    tally.expect(100, 0)
    watch.now += 60
    for n in range(8):
        tally.take(ended(f"bad-{n}", State.REFUSED, money=None))
    tally.take(ended("good-1"))
    tally.take(ended("good-2"))
    assert "2.0/min" in tally.parts()
    assert tally.line().endswith("about 9 min left")


def test_money_is_summed_currency_by_currency() -> None:
    """Dollars and yuan are never added up; what unknown outcomes may have cost counts."""
    tally = Tally(Watch())
    tally.expect(4, 0)
    tally.take(ended("a"))
    tally.take(ended("b", money=Money(Decimal("0.2"), "CNY")))
    tally.take(ended("c", State.UNKNOWN))
    assert tally.line() == "2 of 4 made, 1 unknown, 0.065 USD and 0.20 CNY"


def test_an_unknown_outcome_is_no_failure() -> None:
    """What may have been paid is counted by itself, as in the last line of a batch."""
    tally = Tally(Watch())
    tally.expect(3, 0)
    tally.take(ended("a", State.UNKNOWN))
    tally.take(ended("b", State.FAILED, money=None))
    assert tally.parts()[:3] == ["0 of 3", "1 failed", "1 unknown"]
    assert tally.line().startswith("0 of 3 made, 1 failed, 1 unknown")
    assert tally.is_under_way()
    tally.take(ended("c", State.UNKNOWN))
    assert not tally.is_under_way()


def test_ten_thousand_rows_from_many_threads_leave_nothing_behind() -> None:
    """Every row is counted whatever thread it ends in, and memory is that of those under way."""
    tally = Tally(Watch())
    tally.expect(10_000, 0)

    def work(k: int) -> None:
        for n in range(1250):
            name = f"{k}-{n}"
            tally.take(JobChanged(job=job(name)))
            tally.take(Waiting(job_id=f"id-never-{name}", seconds=1, reason="its turn"))
            tally.take(JobChanged(job=job(name, State.SAVED)))
            tally.take(ended(name))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.line() == "10000 of 10000 made, 325.00 USD"
    assert tally.flights(10) == ([], 0)
    assert len(tally._landings) <= 1000
    assert len(tally._sums) == 1


# -- on a terminal -----------------------------------------------------------------------------


def drawn(tally: Tally, *, width: int = 80, height: int = 10, encoding: str = "utf-8") -> list[str]:
    """Return the lines of a board on a terminal of this size."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    console = Console(file=file, force_terminal=True, width=width, height=height, no_color=True)
    console.print(Board(tally))
    file.flush()
    text = file.buffer.getvalue().decode(encoding)
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def busy_tally(watch: Watch, jobs: int = 20) -> Tally:
    """Return a batch of forty on its way: nine made, one failed, some under way."""
    tally = Tally(watch)
    tally.expect(40, 160)
    watch.now += 120
    for n in range(9):
        tally.take(ended(f"made-{n}", is_estimate=True))
    tally.take(ended("bad", State.FAILED, money=None))
    for n in range(jobs):
        tally.take(JobChanged(job=job(f"row-{n}"), word="generating"))
    watch.now += 65
    return tally


def test_a_wide_terminal_shows_everything() -> None:
    """The bar, how many, money, time left and speed; under it each job, its deed, its time."""
    lines = drawn(busy_tally(Watch(), 2), width=120)
    assert lines[0] == (
        "━━━━━━━─────────────────────── 9 of 40, 1 failed, about 0.2925 USD, about 9 min left,"
        " 2.9/min, 160 current"
    )
    assert [line[2:] for line in lines[1:]] == [" 1:05 row-0 generating", " 1:05 row-1 generating"]


def test_one_picture_is_one_line() -> None:
    """It has no bar: its state and its time say all, also before it has its first turn."""
    watch = Watch()
    tally = Tally(watch)
    tally.expect(1, 0)
    assert drawn(tally) == []
    tally.take(Waiting(job_id="id-hero", seconds=12, reason="the rate limit"))
    assert [line[2:] for line in drawn(tally)] == [" 0:00 id-hero waiting (12 s): the rate limit"]
    watch.now += 5
    tally.take(JobChanged(job=job("hero"), word="generating"))
    assert [line[2:] for line in drawn(tally)] == [" 0:05 hero generating"]
    tally.take(JobChanged(job=job("hero", State.SAVED)))
    assert drawn(tally) == []


def test_moving_lines_leave_room_for_a_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal shows `^C` where they end: at the edge it would begin another line."""
    monkeypatch.setenv("COLUMNS", "80")
    console = terminal()
    assert (console.width, console.options.max_width) == (80, 78)


def test_a_narrow_terminal_keeps_what_matters() -> None:
    """At 40 columns the bar has its own line; money and time left stay, the rest goes."""
    lines = drawn(busy_tally(Watch(), 1), width=40)
    assert lines[0] == "━━━━━━━─────────────────────── 9 of 40"
    assert lines[1] == "1 failed, ~0.2925 USD, ~9 min left"


def test_jobs_are_capped_to_the_height() -> None:
    """Twenty jobs on ten lines: seven are shown, the rest is a number; none pushes the bar out."""
    lines = drawn(busy_tally(Watch()), height=10)
    assert len(lines) == 8
    assert lines[1].endswith("row-0 generating")
    assert lines[-1] == "  and 14 more"


def test_a_resized_terminal_is_filled_anew() -> None:
    """The same batch fits whatever size the terminal has at the moment."""
    tally = busy_tally(Watch())
    for height in (3, 5, 8, 22, 23, 40):
        lines = drawn(tally, height=height)
        assert len(lines) == min(21, max(1, height - 2))
        more = re.fullmatch(r"  and (\d+) more", lines[-1])
        hidden = int(more[1]) if more else 0
        assert height == 3 or len(lines) - 1 - bool(more) + hidden == 20


def test_ended_jobs_make_room_for_hidden_ones() -> None:
    """A job that had no line gets one when another ends; an ended one comes back by no event."""
    tally = busy_tally(Watch())
    for n in range(16):
        tally.take(JobChanged(job=job(f"row-{n}", State.SAVED)))
        tally.take(Waiting(job_id=f"id-row-{n}", seconds=5, reason="late"))
        tally.take(ended(f"row-{n}"))
    text = "\n".join(drawn(tally))
    assert re.findall(r"row-\d+", text) == ["row-16", "row-17", "row-18", "row-19"]
    assert "more" not in text


def test_a_row_that_was_left_running_gives_its_line_back() -> None:
    """Where a row ends and its job does not (a timeout), its line goes all the same."""
    tally = busy_tally(Watch(), 1)
    tally.take(ended("row-0", State.RUNNING, problem=Problem("timeout", "not finished")))
    assert tally.flights(10) == ([], 0)


def test_a_job_tells_what_it_is_doing() -> None:
    """Words of the provider, waiting and bytes are shown under the row's name."""
    tally = busy_tally(Watch(), 1)
    tally.take(Waiting(job_id="id-row-0", seconds=3, reason="it is busy"))
    assert drawn(tally)[1].endswith("row-0 waiting (3 s): it is busy")
    tally.take(BytesReceived(job_id="id-row-0", index=1, received=10**6, total=2 * 10**6))
    assert drawn(tally)[1].endswith("row-0 saving 1.0 MB of 2.0 MB")


def test_a_picture_that_is_only_fetched_has_its_row_s_name() -> None:
    """Bytes come first there, and no event tells the row: who begins it says its name."""
    tally = Tally(Watch())
    tally.expect(2, 0)
    tally.name("01k3f9zq", "hero")
    tally.take(BytesReceived(job_id="01k3f9zq", index=1, received=10**6, total=None))
    tally.take(BytesReceived(job_id="01k3f9zr", index=1, received=10**6, total=None))
    assert [flight.name for flight in tally.flights(2)[0]] == ["hero", "01k3f9zr"]
    tally.name("01k3f9zr", "dusk")
    assert [flight.name for flight in tally.flights(2)[0]] == ["hero", "dusk"]
    for job_id in ("01k3f9zq", "01k3f9zr"):
        tally.take(replace(ended("hero"), job=job_id))
    assert tally._names == {}


@pytest.mark.parametrize(
    ("width", "words", "shown"),
    [
        (80, "generating", 39),
        (80, "saving 11.0 MB of 22.0 MB", 39),
        (80, "waiting (10 s): the provider is too busy now", 26),
        (80, "waiting (10 s): the provider is too busy now, and it was before", 24),
        (120, "generating", 59),
        (120, "waiting (10 s): the provider is too busy now, and it was before", 47),
        (40, "generating", 19),
        (40, "waiting (10 s): the provider is too busy now", 19),
    ],
)
def test_a_name_takes_what_is_free(width: int, words: str, shown: int) -> None:
    """A long name has half of the line; long words take it back to 24 columns, not further."""
    tally = busy_tally(Watch(), 0)
    tally.take(JobChanged(job=job("a-row-" * 20), word=words))
    line = drawn(tally, width=width)[-1]
    name = line.removeprefix(line[:8]).partition(" ")[0]
    assert len(name) == shown
    assert name.endswith("…")
    assert words[:10] in line


def width_of(line: str) -> int:
    """Return the columns of a line, counted without the code that is tested."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "gbk"])
@pytest.mark.parametrize("width", [1, 10, 40, 59, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int, encoding: str) -> None:
    """Long names, wide letters and a poor encoding break no line and raise nothing."""
    tally = busy_tally(Watch(), 2)
    tally.take(JobChanged(job=job("灯塔" * 30), word="一座灯塔 " * 20))
    lines = drawn(tally, width=width, encoding=encoding)
    assert max(map(width_of, lines)) <= width
    assert len(lines) >= 4
    if encoding == "ascii" and width >= 40:
        assert re.match(r"#+-+ 9 of 40", lines[0])


class Terminal:
    """As much of a terminal as is needed to see what is left on it."""

    def __init__(self) -> None:
        """Begin with an empty screen."""
        self.lines = [""]
        self.row = 0

    def feed(self, text: str) -> list[str]:
        """Obey the text and return the lines that are not empty."""
        for code, line, char in re.findall(r"\x1b\[\??([0-9;]*[A-Za-z])|(\n)|([^\x1b])", text):
            if code == "2K":
                self.lines[self.row] = ""
            elif code.endswith("A"):
                self.row -= int(code[:-1] or 1)
            elif line:
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif char not in {"\r", ""}:
                self.lines[self.row] += char
        return [line for line in self.lines if line]


def live(watch: Watch, **size: int) -> tuple[Live, Callable[[], str]]:
    """Return an observer on a terminal of this size, and what reads its output."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, markup=False, highlight=False, **size)  # type: ignore[arg-type]
    show = Live(console=console, monotonic=watch)
    show.expect(40, 160)
    return show, file.getvalue


def test_only_messages_are_left_on_the_screen() -> None:
    """When a batch is over its bar and its jobs are gone; what went wrong still stands there."""
    show, output = live(Watch(), width=60, height=12)
    with show:
        for n in range(30):
            show(JobChanged(job=job(f"row-{n}")))
            show._screen.refresh()  # type: ignore[union-attr]
            show(ended(f"row-{n}", State.FAILED if n == 7 else State.SAVED, money=None))
        show(Note(message="a [bold]note[/bold]"))
        show(ended("left", State.PLANNED, money=None))
        show.tick()
        during = Terminal().feed(output())
    assert any("30 of 40" in line or "29 of 40" in line for line in during)
    assert Terminal().feed(output()) == ["seedream: row-7 failed", "a [bold]note[/bold]"]


def test_results_on_the_same_terminal_stand_above_the_bar() -> None:
    """Paths that go to stdout while the bar moves are neither overwritten nor tear it."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=60, height=12)
    with Live(console=console, shares_stdout=True, monotonic=Watch()) as show:
        show.expect(40, 0)

        def work(k: int) -> None:
            for n in range(5):
                show(JobChanged(job=job(f"{k}-{n}")))
                with show.aside():
                    file.write(f"site/{k}-{n}.jpg\n")
                show(ended(f"{k}-{n}"))

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        show._screen.refresh()  # type: ignore[union-attr]
        during = Terminal().feed(file.getvalue())
    paths = sorted(f"site/{k}-{n}.jpg" for k in range(4) for n in range(5))
    assert sorted(during[:20]) == paths
    assert during[20].endswith("20 of 40")
    assert sorted(Terminal().feed(file.getvalue())) == paths


def test_no_colour_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `NO_COLOR` the bar has its shape and no colour."""
    for name, value in {"NO_COLOR": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    show, output = live(Watch(), width=60, height=12)
    with show:
        for n in range(20):
            show(ended(f"row-{n}"))
    assert "━" in output()
    assert "\x1b[32m" not in output()
    monkeypatch.delenv("NO_COLOR")
    show, output = live(Watch(), width=60, height=12)
    with show:
        for n in range(20):
            show(ended(f"row-{n}"))
    assert "\x1b[32m" in output()


def test_a_terminal_that_went_away_stops_nothing() -> None:
    """A display that cannot be written raises nothing into the run."""

    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    console = Console(file=Gone(), force_terminal=True, width=60, height=12)
    events: list[Event] = [JobChanged(job=job("a")), ended("a", State.FAILED), Note(message="n")]
    with Live(console=console, monotonic=Watch()) as show:
        show.expect(1, 0)
        show._screen.auto_refresh = False  # type: ignore[union-attr]
        for event in events:
            show(event)
    assert show.tally.line() == "0 of 1 made, 1 failed, 0.0325 USD"


def test_without_a_terminal_there_are_plain_lines() -> None:
    """A log and `-q` get plain lines whatever `TERM` says."""
    environ = {"TERM": "xterm", "CI": "true"}
    assert isinstance(observer(environ, quiet=False, verbose=0), Plain)
    assert isinstance(observer({}, quiet=True, verbose=0), Plain)


def test_rich_is_loaded_for_a_terminal_only() -> None:
    """A batch in a log does not wait for the import of Rich."""
    code = (
        "import sys; from seedream_cli.cli.output import progress, ci;"
        "progress.Plain(by_row=True).expect(1, 0); print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_many_alike_are_counted_after_the_first_few(capfd: pytest.CaptureFixture[str]) -> None:
    """Five hundred jobs that a signal left do not fill a log with five hundred hints."""
    lost = Problem("outcome_unknown", "a signal came", "seedream status JOB")
    with Plain(by_row=True) as show:
        for n in range(500):
            show(ended(f"p{n}", State.UNKNOWN, problem=lost))
    lines = capfd.readouterr().err.splitlines()
    assert sum("has an unknown outcome" in line for line in lines) == 12
    assert lines[-1] == "… and 488 more like this: a signal came"
