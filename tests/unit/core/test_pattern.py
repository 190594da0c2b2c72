"""Patterns are those of `re`, compiled when they are first used."""

from __future__ import annotations

import re

import pytest

from seedream_cli.core.pattern import pattern


def test_a_pattern_is_what_re_makes_of_it() -> None:
    """Flags count, and what comes is what the compiled pattern brings, every time."""
    word = pattern("[a-z]+", re.IGNORECASE)
    for _ in range(2):
        assert word.sub("-", "one TWO") == "- -"
        assert [found[0] for found in word.finditer("one TWO")] == ["one", "TWO"]
    assert (word.pattern, word.groups) == ("[a-z]+", 0)
    assert pattern(rb"(\d)").findall(b"1a2") == [b"1", b"2"]


def test_nothing_is_compiled_before_it_is_used() -> None:
    """A mistake in a pattern shows when it is used: that is when it is compiled."""
    broken = pattern("(")
    with pytest.raises(re.error):
        broken.search("")
