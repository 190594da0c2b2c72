"""Makes strings of strangers fit to be shown: on a terminal, in a CI log, in a narrow column."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from seedream_cli.core.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

_MARK: Final = "\ufffd"
_ELLIPSIS: Final = "\u2026"
_EMOJI_STYLE: Final = "\ufe0f"

_UNITS: Final = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
}
"""Of a span, in seconds."""
MAX_BODY: Final = 2000
"""Characters that are shown of a request's or an answer's body."""

_MOST_VERBATIM: Final = 1 << 16

_NEXT_UNIT: Final = 999.95
"""From here on a number would print as `1000.0` of its unit."""

# Whole sequences vanish, so that `\x1b[31mred` reads `red`. A string sequence (OSC, DCS, SOS, PM,
# APC) goes only with its terminator and within a line: an open one must not swallow the message.
_SEQUENCE: Final = pattern(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]",
)

# What is invisible or moves text: controls, bidi (U+061C, 200E/F, 202A-E, 2066-9), zero width,
# BOM, line and paragraph separators, annotation marks, the tags block. Joiners stay where they
# join (emoji, Persian, Indic scripts) and go beside ASCII, where they only deceive.
_UNSEEN: Final = pattern(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])",
)

_INLINE: Final = pattern(r"data:[a-zA-Z0-9/+.-]{1,80};base64,[A-Za-z0-9+/=]*|[A-Za-z0-9+/=]{200,}")
_QUERY: Final = pattern(r"(https?:(?:/|\\/){2}[^\s\"?]{1,2000})\?[^\s\"]+")

_ESCAPED: Final = {"'": "\\'", "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
"""Within `$'…'`, which bash 3.2, zsh and ksh read alike."""

_HIDDEN_BYTE: Final = pattern("[\udc80-\udcff]")  # PEP 383: a byte that is no UTF-8

# GitHub reads `::name::` at the start of a line, after any white space, and `##[name]` anywhere
# (actions/runner, ActionCommand.cs); Azure and TeamCity read `##vso[` and `##teamcity[`.
_CI_START: Final = pattern(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_CI_ANYWHERE: Final = pattern(r"#(?=#\w*\[)")


def clean(text: str, *, ci: bool = False, one_line: bool = False) -> str:
    r"""Return `text` with nothing in it that a terminal obeys; tabs and newlines stay.

    Undecodable bytes of a file name become `\xNN`, other harmful characters U+FFFD. With `ci`
    the workflow commands of CI runners are defused; `one_line` folds line breaks into spaces.
    """
    if text.isprintable() and not (ci and ("#" in text or "::" in text)):
        return text.strip() if one_line else text  # as nearly always: nothing is to be looked for
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n"))
    text = _HIDDEN_BYTE.sub(lambda byte: f"\\x{ord(byte[0]) & 0xFF:02x}", text)
    text = _UNSEEN.sub(_MARK, text)
    if one_line:
        lines = (line.strip() for line in text.replace("\t", " ").split("\n"))
        text = " ".join(filter(None, lines))
    if ci:
        text = _CI_ANYWHERE.sub("# ", _CI_START.sub(r"\1: ", text))
    return text


def span_seconds(text: str) -> float | None:
    """Read a span of time in seconds: `600`, `10m`, `1h30m`, `500ms`; None: it is none.

    >>> span_seconds("1.5h")
    5400.0
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, re.ASCII):
        return float(text)
    part = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|min|m|h|d|w)"
    if not re.fullmatch(f"(?:{part})+", text, re.ASCII):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(part, text))


def shell_line(words: Iterable[str]) -> str:
    r"""Return a command as one line for bash and zsh: right as pasted, and fit to be shown.

    >>> print(shell_line(["seedream", "generate", "it's\nnight"]))
    seedream generate $'it\'s\nnight'
    """
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    from shlex import quote

    quoted = quote(word)
    if clean(quoted, ci=True, one_line=True) == quoted and "  " not in word:
        return quoted
    letters = (_ESCAPED.get(each) or (each if _is_plain(each) else _bytes(each)) for each in word)
    return f"$'{''.join(letters)}'"


def _is_plain(letter: str) -> bool:
    return letter.isprintable() and letter not in "#:" and _UNSEEN.match(letter) is None


def _bytes(letter: str) -> str:
    # Octal, of three digits each: what follows is never taken for a part of it.
    return "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape"))


def file_meant(prompt: str) -> str | None:
    """Return the path that a prompt was meant to be read from, as `curl` takes it; else None.

    >>> file_meant("@prompt.txt")
    'prompt.txt'
    """
    if prompt.lower().startswith("file:/"):
        from urllib.parse import unquote, urlsplit

        try:
            parts = urlsplit(prompt)
        except ValueError:
            return prompt.partition(":")[2]
        return unquote(parts.path) or parts.netloc or "FILE"
    named = re.fullmatch(r"@(\S+\.[A-Za-z0-9]{1,5})", prompt.strip())
    return named[1] if named else None


def legible(body: bytes) -> str:
    """Return what a person may see of a body: no megabytes of base64, no signatures of URLs."""
    text = body.decode("utf-8", "replace")
    text = _INLINE.sub(
        lambda found: f"{found[0][:24]}{_ELLIPSIS} ({len(found[0])} characters)", text
    )
    # A signed address opens the picture to whoever reads the log.
    shown = _QUERY.sub(r"\1?****", text[:MAX_BODY])
    return shown if len(text) <= MAX_BODY else f"{shown}{_ELLIPSIS} ({len(text)} characters)"


def verbatim(body: bytes, *, is_pretty: bool = True) -> str:
    """Return an answer word for word; JSON that is short on many lines, if that `is_pretty`.

    But for the base64 of pictures, and all beyond what anybody would read.
    """
    import json

    text = body.decode("utf-8", "replace")
    text = _INLINE.sub(
        lambda found: f"{found[0][:24]}{_ELLIPSIS} ({len(found[0])} characters)", text
    )
    if is_pretty and len(text) <= 2 * MAX_BODY:
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    cut = f"{_ELLIPSIS} ({len(text)} characters)" if len(text) > _MOST_VERBATIM else ""
    return text[:_MOST_VERBATIM] + cut


def escape_unseen(json_text: str) -> str:
    r"""Return JSON of the same value in which `\uXXXX` stands for all that a terminal obeys."""
    import json

    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], json_text)


def fold(text: str) -> str:
    """Return text in the form in which upper and lower case, and accents however typed, are one."""
    # Twice: folding may take apart what was composed.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def columns(text: str) -> int:
    """Return how many terminal columns a cleaned line takes (an estimate, never too small)."""
    if text.isascii():
        return len(text)
    return sum(_width(char) for char in text)


def shorten(text: str, width: int) -> str:
    """Cut a cleaned line to at most `width` terminal columns, with an ellipsis where cut."""
    if columns(text) <= width:
        return text
    if width <= 0:
        return ""
    # The ellipsis has its room from the start.
    kept, used = [], columns(_ELLIPSIS)
    for char in text:
        used += _width(char)
        if used > width:
            break
        kept.append(char)
    return "".join(kept).rstrip() + _ELLIPSIS


def fill(text: str, width: int) -> str:
    """Break the lines of a cleaned text between words, so that each fits into so many columns.

    What is indented is a command, right as pasted; a word that is too long stands by itself.
    """
    lines = []
    for line in text.split("\n"):
        if line.startswith("  ") or columns(line) <= width:
            lines.append(line)
            continue
        words = line.split(" ")
        lines.append(words[0])
        for word in words[1:]:
            if columns(f"{lines[-1]} {word}") <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
    return "\n".join(lines)


def human_bytes(count: int) -> str:
    """Write a number of bytes in decimal units (`4.2 MB`)."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < _NEXT_UNIT:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def human_span(span: timedelta | float) -> str:
    """Write the time left (a span, or seconds) in its largest unit, rounded down (`23 h`)."""
    seconds = float(span) if isinstance(span, int | float) else span.total_seconds()
    if seconds <= 0:
        return "lapsed"
    # Up to two days in hours: `47 h` says more than `1 d`.
    for limit, unit, per in ((60, "s", 1), (3600, "min", 60), (48 * 3600, "h", 3600)):
        if seconds < limit:
            return f"{int(seconds // per)} {unit}"
    return f"{int(seconds // 86400)} d"


def _width(char: str) -> int:
    """Return the columns of one character."""
    if char == _EMOJI_STYLE:
        return 1  # it widens the narrow sign before it
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def json_text(value: object) -> str:
    """Write JSON, keys in order, so that equal values are equal texts."""
    import json

    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
