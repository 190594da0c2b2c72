"""The opening of replies: what is refused, and what is safe to carry on."""

from __future__ import annotations

import pytest

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import Purpose, Reply
from seedream_cli.providers import reading
from seedream_cli.providers.ark.answers import expiry


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"\xff\xfe{}",
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 100_000,
        b"9" * 5000,
        b'{"a": "never ends',
        b"{}{}",
    ],
    ids=range(12),
)
def test_what_is_no_plain_json_is_unreadable(body: bytes) -> None:
    """Half, endless, foreign or deep answers raise `UnreadableReply`, not something else."""
    with pytest.raises(UnreadableReply):
        reading.parse(body)


def test_brackets_in_text_are_no_depth() -> None:
    """A prompt full of brackets, quotes and backslashes is text, however many there are."""
    assert reading.parse('["' + '[{\\"' * 500 + '"]') == ['[{"' * 500]
    assert reading.parse(b"\xef\xbb\xbf" + b"[" * 64 + b"]" * 64) is not None


def test_an_unfinished_text_of_escapes_is_read_in_one_pass() -> None:
    """A megabyte of escaped quotes without an end does not keep the reader busy."""
    with pytest.raises(UnreadableReply):
        reading.parse(b'"' + b'\\"' * 1_000_000)


def test_half_a_character_is_made_whole() -> None:
    """Text that no database takes is mended, and a URL with it is no URL."""
    said = reading.parse(b'{"a": "cut \\ud83d"}')
    assert reading.str_at(said, "a") == "cut ?"
    assert reading.web_url("https://example.com/\ud83d") is None


def test_opened_is_empty_for_all_but_an_object() -> None:
    """A list, a number or an error page opens as nothing."""
    for body in (b"[1]", b"3", b"<html>", b""):
        reply = Reply(purpose=Purpose.POLL, status=200, headers={}, body=body)
        assert reading.read_object(reply) == {}


@pytest.mark.parametrize(
    "value", ["ftp://example.com/a", "https://", "https://[", "https://a b/", "/a.png", "", None, 3]
)
def test_only_web_urls_are_urls(value: object) -> None:
    """What an image client could not fetch is not taken for an image."""
    assert reading.web_url(value) is None


def test_urls_stay_byte_for_byte() -> None:
    """A signed URL is neither decoded nor tidied."""
    url = "https://example.com/a%2Fb.jpeg?X=%E4%BD%A0&y=a+b&x-tos-process=image%2Fwatermark%2C"
    assert reading.web_url(url) == url


@pytest.mark.parametrize(
    ("value", "number"),
    [(422, 422), ("422", 422), ("-1", -1), (True, None), ("4e2", None), (422.0, None), ("", None)],
)
def test_codes_are_whole_numbers(value: object, number: int | None) -> None:
    """A code counts as number or as its digits; nothing else is one."""
    assert reading.whole_at({"code": value}, "code") == number


def test_merge_goes_level_by_level() -> None:
    """`--set` replaces the fields that it names and leaves the others, and both inputs, alone."""
    body: dict[str, object] = {"a": {"b": 1, "c": [1]}, "d": 1}
    extra: dict[str, object] = {"a": {"c": [2], "e": {"f": 3}}, "d": None}
    assert reading.merge(body, extra) == {"a": {"b": 1, "c": [2], "e": {"f": 3}}, "d": None}
    assert body == {"a": {"b": 1, "c": [1]}, "d": 1}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "X-Tos-Date=20260909T054558Z",
        "X-Tos-Expires=86400",
        "X-Tos-Date=20261309T054558Z&X-Tos-Expires=86400",
        "X-Tos-Date=20260909T054558Z&X-Tos-Expires=999999999999999999",
        "X-Tos-Date=99991231T235959Z&X-Tos-Expires=86400",
        "X-Tos-Date=20260909T054558Z&X-Tos-Expires=-1",
    ],
)
def test_a_url_without_a_readable_expiry_has_none(query: str) -> None:
    """Only a complete and possible signature says when a URL lapses."""
    assert expiry(f"https://example.com/a.jpeg?{query}") is None


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        (b'{"made": {"image": "https://cdn.example/1?sig=a%2Fb&x=1"}}', ["1?sig=a%2Fb&x=1"]),
        (b'{"result": "{\\"urls\\": [\\"https://cdn.example/1.png\\"]}"}', ["1.png"]),
        (
            b'<img src="https://cdn.example/1.png?x=1&amp;y=2"> or https://cdn.example/help.',
            ["1.png?x=1&y=2"],
        ),
        (b'{"url": "https:\\/\\/cdn.example\\/1?a=1\\u0026b=2", "half', ["1?a=1&b=2"]),
        (b'data: {"url": "http://cdn.example/1.jpeg"}\n\ndata: [DONE]\n', ["1.jpeg"]),
        (b'{"a": "see https://cdn.example/page, it is https://cdn.example/1.webp."}', ["1.webp"]),
        (
            b'{"later": "https://cdn.example/x", "first": "https://cdn.example/1.png"}',
            ["1.png", "x"],
        ),
        (b'{"docs_url": "https://cdn.example/a", "callBackUrl": "https://cdn.example/b"}', []),
        (b'{"param": "{\\"image_urls\\": [\\"https://cdn.example/mine.png\\"]}"}', []),
        (b'{"b64": "data:image/png;base64,https://cdn.example/1"}', []),
        (b'{"url": "https://[half", "x": "https://cdn.example/1.png"}', ["1.png"]),
        (b"\xff\x00 https://cdn.example/1.png\xff", ["1.png"]),
        (b"", []),
    ],
    ids=range(13),
)
def test_what_an_answer_names_is_found(body: bytes, urls: list[str]) -> None:
    """The addresses that may be a picture's, in any form of answer; never those of other things."""
    assert reading.picture_urls(body) == [f"https://cdn.example/{url}" for url in urls]


def test_what_was_sent_is_not_what_was_made() -> None:
    """An answer that repeats the request offers nothing of it."""
    sent = {"image": ["https://cdn.example/mine.png"], "prompt": "x"}
    body = b'{"echo": "https://cdn.example/mine.png", "out": "https://cdn.example/1.png"}'
    assert reading.picture_urls(body, but=sent) == ["https://cdn.example/1.png"]


@pytest.mark.parametrize(
    ("value", "in_seconds", "expected"),
    [
        (1_796_030_717_000, False, "2026-11-30T09:25:17+00:00"),
        ("1796030717000", False, "2026-11-30T09:25:17+00:00"),
        ("2025-12-07T10:15:30Z", False, "2025-12-07T10:15:30+00:00"),
        ("2025-12-07T12:15:30+02:00", False, "2025-12-07T10:15:30+00:00"),
        (1_796_030_717, True, "2026-11-30T09:25:17+00:00"),
        (1_796_030_717, False, None),
        ("2025-12-07T10:15:30", False, None),
        ("1999-12-07T10:15:30Z", False, None),
        ("soon", False, None),
        (0, True, None),
        (1, True, None),
        (None, True, None),
        (True, True, None),
    ],
)
def test_times_are_read_as_they_are_written(
    *, value: object, in_seconds: bool, expected: str | None
) -> None:
    """Milliseconds, ISO text with its zone, seconds where that is the way; nothing else."""
    found = reading.time_at({"at": value}, "at", in_seconds=in_seconds)
    assert (found.isoformat() if found else None) == expected
