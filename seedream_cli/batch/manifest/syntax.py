"""The text of a manifest, TOML, JSON Lines or plain, becomes tables with their lines. Pure."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from seedream_cli.batch.manifest.schema import (
    FIELDS,
    Suggestion,
    Table,
    check_fields,
    check_name,
    show,
)
from seedream_cli.core.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seedream_cli.batch.manifest.schema import Lines, Mistakes

_HALF_CHARACTER: Final = pattern(r"\\u[dD][89a-fA-F]")
# Every string and comment of a TOML text, so that a quote in one of them opens nothing.
_LITERAL: Final = pattern(
    r'''"""(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*''',
    re.DOTALL,
)
_KEY_PART: Final = r"""(?:[\w-]+|"(?:\\.|[^"\\])*"|'[^']*')"""
_DOTTED: Final = rf"{_KEY_PART}(?:[ \t]*\.[ \t]*{_KEY_PART})*"
# Its first key begins with a letter: `[1]` and `["a"]` are JSON as well.
_HEADER: Final = pattern(rf"\[{{1,2}}[ \t]*(?=[A-Za-z_]){_DOTTED}[ \t]*\]{{1,2}}[ \t]*(?:#.*)?")
_KEY: Final = pattern(rf"[ \t]*(?:(?P<bare>[\w-]+)|{_DOTTED})[ \t]*=")

STDIN: Final = "stdin"
"""What a manifest that came on stdin is called in messages."""


class Syntax(StrEnum):
    """How a manifest is written."""

    TOML = "toml"
    JSON_LINES = "jsonl"
    TEXT = "text"


class Sheet(NamedTuple):
    """What stands in a file: its defaults, and its rows in order."""

    defaults: Table
    rows: Iterable[Table]


def read_sheet(mistakes: Mistakes, text: str, kind: Syntax) -> Sheet:
    """Return the tables of a file, whatever it is written in; all mistakes are written down."""
    text = text.removeprefix("\ufeff")
    if not _is_unicode(mistakes, text):
        return Sheet(Table(), ())
    match kind:
        case Syntax.TOML:
            return _toml_sheet(mistakes, text)
        case Syntax.JSON_LINES:
            return _json_sheet(mistakes, text)
        case Syntax.TEXT:
            return _text_sheet(mistakes, text)


def _is_unicode(mistakes: Mistakes, text: str) -> bool:
    """Object to halves of characters, which no file and no request can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        mistakes.at(text.count("\n", 0, error.start) + 1, "is no UTF-8 text")
        return False
    return True


def _split(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold anything, stripped, with their numbers."""
    # Not str.splitlines: a prompt may hold U+2028 and the like.
    for number, line in enumerate(re.split(r"\r\n?|\n", text), 1):
        if stripped := line.strip():
            yield number, stripped


def _text_sheet(mistakes: Mistakes, text: str) -> Sheet:
    lines = [each for each in _split(text) if not each[1].startswith("#")]
    first = lines[0] if lines else None
    # Else each line of its syntax would be bought as a prompt.
    if first is not None and first[1].startswith(("{", "[")):
        is_toml = _HEADER.fullmatch(first[1])
        kind, extension = ("TOML", "toml") if is_toml else ("JSON Lines", "jsonl")
        name = posixpath.splitext(mistakes.file)[0]
        mistakes.at(first[0], f"that looks like {kind}: name it {show(name)}.{extension}")
        return Sheet(Table(), ())
    # A backslash before it makes a prompt of what would be a comment.
    prompts = ((line, re.sub(r"\A\\(?=\\*#)", "", prompt)) for line, prompt in lines)
    return Sheet(Table(), [Table(line=line, said={"prompt": prompt}) for line, prompt in prompts])


def _json_sheet(mistakes: Mistakes, text: str) -> Sheet:
    # Many a TOML file begins with a comment, and JSON has none.
    first = next((each for each in _split(text) if not each[1].startswith("#")), None)
    if first is not None and (_HEADER.fullmatch(first[1]) or _KEY.match(first[1])):
        message = "this is TOML, which is read from a FILE.toml only; here stands JSON Lines"
        if mistakes.file == STDIN:
            message = "this is TOML, which is read from a FILE.toml: stdin takes JSON Lines"
        mistakes.at(first[0], message)
        return Sheet(Table(), ())
    if first is not None and first[1].startswith("["):
        message = "this is a JSON list: write one object a line, no [ ] around, no commas between"
        mistakes.at(first[0], message)
        return Sheet(Table(), ())
    rows = (_json_row(mistakes, number, line) for number, line in _split(text))
    return Sheet(Table(), (row for row in rows if row is not None))


def _json_row(mistakes: Mistakes, number: int, line: str) -> Table | None:
    try:
        value = _from_json(line)
    except (ValueError, RecursionError) as error:
        mistakes.at(number, _json_objection(error))
        return None
    if not isinstance(value, dict):
        mistakes.at(number, "is no JSON object: write one a line, {…}")
        return None
    table = Table(line=number)
    if "name" in value:
        match value.pop("name"):
            case str(name):
                table.name = name
                check_name(mistakes, table)
            case _:
                mistakes.reject(table, "name must be a text")
    table.said = check_fields(mistakes, table, value)
    return table


def _from_json(line: str) -> object:
    """Parse strictly; raise ValueError or RecursionError."""
    import json

    value: object = json.loads(
        line, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
    )
    if _HALF_CHARACTER.search(line):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(r"\u escapes of half a character") from error
    return value


def _json_objection(error: ValueError | RecursionError) -> str:
    import json

    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} (column {error.colno})"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return f"cannot be read: {error}"


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        # Python would take the last one in silence, and buy by it.
        raise ValueError(f"{show(twice)} is said twice")
    return found


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is no number that JSON has")


def _toml_sheet(mistakes: Mistakes, text: str) -> Sheet:
    import tomllib

    defaults = Table(title="defaults: ", path=("defaults",))
    try:
        document = tomllib.loads(text)
    except RecursionError:
        mistakes.at(0, "is nested too deeply")
        return Sheet(defaults, ())
    except ValueError as error:
        mistakes.at(*_toml_objection(str(error), text))
        return Sheet(defaults, ())
    mistakes.lines = _index(text)
    defaults.line = mistakes.line_of("defaults")
    for key, value in document.items():
        if key not in {"defaults", "images"}:
            _refuse_top(mistakes, key, value)
    found = document.get("defaults", {})
    if isinstance(found, dict):
        defaults.said = check_fields(mistakes, defaults, found)
    else:
        mistakes.at(defaults.line, "defaults must be a table: write [defaults]")
    return Sheet(defaults, _toml_rows(mistakes, document.get("images", {})))


def _toml_objection(message: str, text: str) -> tuple[int, str]:
    """Return the line of a TOML error, and the error without it."""
    found = re.search(r" \(at line (\d+), (column \d+)\)", message)
    if found:
        return int(found[1]), f"is not TOML: {message[: found.start()]} ({found[2]})"
    is_end = "(at end of document)" in message
    return (text.rstrip().count("\n") + 1 if is_end else 0), f"is not TOML: {message}"


def _refuse_top(mistakes: Mistakes, key: str, value: object) -> None:
    line, shown = mistakes.line_of(key), show(key)
    if key in FIELDS:
        mistakes.at(line, f"{shown} stands in no table: put it into [defaults] or [images.NAME]")
    elif isinstance(value, dict) and not get_close_matches(key, ("defaults", "images")):
        mistakes.at(line, f"[{shown}] is no table of a manifest: write [images.{shown}]")
    else:
        message = f"{shown} is not known here; a manifest has [defaults] and [images.NAME]"
        mistakes.at(line, message, Suggestion(key, ("defaults", "images"), "[*]"))


def _toml_rows(mistakes: Mistakes, images: object) -> Iterator[Table]:
    if not isinstance(images, dict):
        mistakes.at(mistakes.line_of("images"), "images must hold tables: write [images.NAME]")
        return
    for name, found in images.items():
        line = mistakes.line_of("images", name)
        title = f"images.{show(name)}: "
        table = Table(title=title, line=line, path=("images", name), name=name)
        check_name(mistakes, table)
        if isinstance(found, dict):
            table.said = check_fields(mistakes, table, found)
            yield table
        else:
            mistakes.at(line, f"{title}must be a table: write [images.{show(name)}]")


def _index(text: str) -> Lines:
    """Return the line on which each table, and each field that stands plainly, begins."""
    lines: Lines = {}
    above: tuple[str, ...] = ()
    flat = _LITERAL.sub(_flatten, text)
    for number, line in enumerate(flat.split("\n"), 1):
        if line.lstrip(" \t").startswith("["):
            # Within a list over many lines, no header begins here, and there is none to parse.
            path = above = _path(line) or above
        elif key := _KEY.match(line):
            bare = key["bare"]
            path = (*above, *((bare,) if bare else _path(f"{key[0]}0")))
        else:
            continue
        for depth in range(1, min(len(path), 3) + 1):
            lines.setdefault(path[:depth], number)
    return lines


def _flatten(literal: re.Match[str]) -> str:
    """Keep the lines of a literal but not what looks like a header in it."""
    text = literal[0]
    return '""' + "\n" * text.count("\n") if text.startswith(('"""', "'''")) else text


def _path(line: str) -> tuple[str, ...]:
    """Return the keys of a header or of `key = 0`; none where it is neither."""
    import tomllib

    try:
        # The line is a document of its own: the parser knows every way to quote a key.
        inner: object = tomllib.loads(line)
    except (ValueError, RecursionError):
        return ()
    path = []
    while isinstance(inner, dict) and inner:
        key, inner = next(iter(inner.items()))
        path.append(key)
    return tuple(path)
