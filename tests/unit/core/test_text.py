"""No string of a stranger does anything to a terminal or to a CI runner."""

from __future__ import annotations

import os
import re
import time
import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedream_cli.core.text import clean, columns, fill, human_bytes, human_span, shorten

HOSTILE = st.text(
    st.sampled_from("\x1b\x9b\x9c\x9d\x07\r\n\t[]m;0189:#\\ aé光\u202e\u200d\ufeff\udcff\ud800\x00")
    | st.characters(),
    max_size=40,
)
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 一座灯塔", "plain ünïcode 一座灯塔"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\after", "after"),
        ("\x1b]0;never closed", "\ufffd]0;never closed"),
        ("\x1b\x1b[0m[31mnested", "\ufffd[31mnested"),
        ("\x1bcreset", "\ufffdcreset"),
        ("bell\x07", "bell\ufffd"),
        ("over\rwritten", "over\ufffdwritten"),
        ("two\r\nlines\tand a tab", "two\nlines\tand a tab"),
        ("gpj.\u202eexe", "gpj.\ufffdexe"),
        ("zero\u200bwidth\ufeff", "zero\ufffdwidth\ufffd"),
        ("a\u200db", "a\ufffdb"),
        ("line\u2028sep", "line\ufffdsep"),
        ("tag\U000e0041", "tag\ufffd"),
        ("half\ud800", "half\ufffd"),
        ("\x85next", "\ufffdnext"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("क\u200cष", "क\u200cष"),
    ],
)
def test_what_a_terminal_would_obey_is_gone(text: str, shown: str) -> None:
    """Sequences vanish, single harmful characters show as a mark, honest text stays."""
    assert clean(text) == shown


def test_undecodable_bytes_of_a_file_name_are_shown() -> None:
    """A byte that is no UTF-8 is written as its number."""
    assert clean(os.fsdecode(b"caf\xe9\xff.png")) == "caf\\xe9\\xff.png"


@given(HOSTILE, st.booleans(), st.booleans())
@settings(max_examples=300)
def test_no_control_character_survives(text: str, ci: bool, one_line: bool) -> None:  # noqa: FBT001
    """Whatever comes in, no control, bidi or invisible character goes out."""
    shown = clean(text, ci=ci, one_line=one_line)
    assert not FORBIDDEN.search(shown)
    assert all(unicodedata.category(char) != "Cc" for char in shown if char not in "\n\t")
    shown.encode()


@given(HOSTILE)
@settings(max_examples=100)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """Clean text is left alone."""
    assert clean(clean(text)) == clean(text)


@given(HOSTILE)
@settings(max_examples=100)
def test_one_line_is_one_line(text: str) -> None:
    """Folded text has no break, no tab and no rim of spaces."""
    folded = clean(text, one_line=True)
    assert not re.search(r"[\n\t]|^ | $", folded)


def test_folding_keeps_the_words_apart() -> None:
    """Line breaks become single spaces, blank lines nothing."""
    assert clean("one\n\n  two\r\nthree\t4\n", one_line=True) == "one two three 4"


@pytest.mark.parametrize(
    "line",
    [
        "::set-env name=PATH::/tmp",
        "  ::error::x",
        "\u3000::add-path::x",
        "ok\n::stop-commands::t",
        "ok\r\n\t::x::",
        "\x1b[0m::warning::x",
        ":::debug::x",
        "text ##[command]rm",
        "##vso[task.setvariable variable=x]y",
        "###[x]",
        "##teamcity[x]",
        "#\x1b[0m#[x]",
    ],
)
def test_workflow_commands_are_defused_in_ci(line: str) -> None:
    """No line that a CI runner would take for a command is left."""
    shown = clean(line, ci=True)
    assert not re.search(r"^\s*::", shown, re.MULTILINE)
    assert not re.search(r"##\w*\[", shown)


@given(HOSTILE)
@settings(max_examples=100)
def test_no_workflow_command_survives_ci(text: str) -> None:
    """Whatever comes in, no line starts with a workflow command in CI."""
    for one_line in (False, True):
        shown = clean(text, ci=True, one_line=one_line)
        assert not re.search(r"^\s*::|##\w*\[", shown, re.MULTILINE)


def test_ordinary_colons_stay() -> None:
    """Text that is no command is left alone in CI."""
    assert clean("std::vector # [x] a::b", ci=True) == "std::vector # [x] a::b"


@pytest.mark.parametrize(
    "piece", ["\x1b]", "\x9d", "\x1b[0", "\n", " ", "::", "#", "\x90a", "\x1b ", "\u200d"]
)
def test_long_hostile_text_is_cleaned_in_linear_time(piece: str) -> None:
    """A hundred thousand repetitions of any opening take a moment, not minutes."""
    started = time.process_time()
    clean(piece * 100_000, ci=True, one_line=True)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("lighthouse", 10, "lighthouse"),
        ("lighthouse", 6, "light…"),
        ("一座灯塔", 8, "一座灯塔"),
        ("一座灯塔", 7, "一座灯…"),
        ("一座灯塔", 6, "一座…"),
        ("a fox runs", 6, "a fox…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("", 0, ""),
        ("e\u0301te\u0301", 3, "e\u0301te\u0301"),
    ],
)
def test_long_text_is_cut_by_columns(text: str, width: int, shown: str) -> None:
    """Wide characters count twice, accents not at all, and the cut is marked."""
    assert shorten(text, width) == shown


@given(HOSTILE, st.integers(0, 30))
@settings(max_examples=100)
def test_shortened_text_never_exceeds_its_width(text: str, width: int) -> None:
    """The result fits, whatever it is made of."""
    assert columns(shorten(clean(text, one_line=True), width)) <= width


def test_lines_are_broken_between_words_and_commands_stay_whole() -> None:
    """A note fits the terminal, wide letters too; a command below it is right as pasted."""
    text = "30 made; would cost about 0.975 USD\n  seedream status 01k3f9zq --write-off\n灯塔 灯塔"
    assert fill(text, 16).split("\n") == [
        "30 made; would",
        "cost about 0.975",
        "USD",
        "  seedream status 01k3f9zq --write-off",
        "灯塔 灯塔",
    ]
    assert fill("灯塔 灯塔", 8) == "灯塔\n灯塔"
    assert fill("a https://a.example/picture.png", 10) == "a\nhttps://a.example/picture.png"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4_200_000, "4.2 MB"), (999_960, "1.0 MB")],
)
def test_bytes_are_written_for_people(count: int, shown: str) -> None:
    """Sizes have a decimal unit and no four-digit number."""
    assert human_bytes(count) == shown


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=13, hours=23), "13 d"),
        (timedelta(hours=47), "47 h"),
        (timedelta(hours=48), "2 d"),
        (299.9, "4 min"),
        (59, "59 s"),
        (60, "1 min"),
        (0, "lapsed"),
        (timedelta(seconds=-1), "lapsed"),
    ],
)
def test_time_left_is_never_told_too_long(span: timedelta | float, shown: str) -> None:
    """A span is rounded down in its largest unit; none left is `lapsed`."""
    assert human_span(span) == shown
