"""What a manifest's text is held against: the fields it may say, its lines and its mistakes."""

from __future__ import annotations

import re
from bisect import bisect_left
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

from seedream_cli.core.errors import UsageError
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass, field
from seedream_cli.request.options import KINDS, OF_MANIFESTS, OF_PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

Lines = dict[tuple[str, ...], int]
"""The line of each table and field, by its keys."""

MAX_NAME: Final = 100
"""Characters in the name of a row."""
MAX_MISTAKES: Final = 50
"""That many are shown, the rest is counted."""

MOST_PICTURES: Final = 1000
"""That many a row may ask for by number, as `-n` may."""

_SHOWN: Final = 60
"""Characters that are shown of a word that a stranger wrote."""
_WINDOW: Final = 200
"""Names on either side, in order, among which the one that was meant is looked for."""

_OF_THE_COMMAND: Final = OF_PROFILES.keys() - OF_MANIFESTS.keys()
"""What a profile may set and no picture."""
_PROMPTS: Final = frozenset({"prompt", "prompt_file"})
_DECISIVE: Final = _PROMPTS | {"", "references", "model", "profile"}
"""Fields, and the whole of a row, without which no model can be asked what it makes of it."""
_FLAG: Final = pattern(
    r"(?<![\w-])(?:--(?P<long>[a-z][a-z-]+)|-(?P<short>[imop])\b(?: (?P<value>[\w./{}-]*\w))?)"
)
_SHORT: Final = {"i": "references", "m": "model", "o": "output", "p": "profile"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReference:
    """One reference image of a row."""

    text: str
    """As written: a path, an https URL, `images.hero.2`."""
    row: str | None = None
    """The row that it names."""
    n: int = 1
    """Which of that row's pictures, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One picture of a manifest, or as many as its count says."""

    name: str
    """Its identity."""
    line: int
    """In the file, from 1; 0: not known."""
    prompt: str
    """With its prefix and suffix."""
    output: str | None
    """As written, a template; None: not said."""
    profile: str | None
    model: str | None
    count: int | None
    """None: not said."""
    references: tuple[RowReference, ...]
    options: Mapping[str, object]
    """What else was said, by the names of `request.options.OPTIONS`."""


class Suggestion(NamedTuple):
    """What to look up for a “did you mean”, if the mistake comes to be shown."""

    word: str
    words: Sequence[str]
    """In order."""
    form: str = "*"
    """How the word found is written, at the star."""
    otherwise: str = ""

    def guess(self) -> str:
        """Return `; did you mean …?` with the nearest word, else what stands for none."""
        # To compare with each of 100,000 names takes minutes; a slip keeps most names' beginning.
        at = bisect_left(self.words, self.word)
        around = self.words[max(0, at - _WINDOW) : at + _WINDOW]
        found = get_close_matches(self.word[:MAX_NAME], around, n=1)
        return (
            f"; did you mean {self.form.replace('*', show(found[0]))}?" if found else self.otherwise
        )


@dataclass(slots=True)
class Table:
    """The fields that one row says, or the defaults, each checked by itself."""

    title: str = ""
    line: int = 0
    path: tuple[str, ...] = ()
    """Its keys in the TOML document."""
    name: str = ""
    """Empty until it is known."""
    prompt: str = ""
    """With its prefix and suffix."""
    has_bad_prompt: bool = False
    """One that is told as a mistake already."""
    is_unsound: bool = False
    """Nobody can tell any more what it asks for."""
    said: dict[str, object] = field(default_factory=dict)
    references: tuple[RowReference, ...] = ()


@dataclass(slots=True)
class Mistakes:
    """Collects all mistakes of a manifest, of its form and of what models cannot do."""

    file: str
    lines: Lines = field(default_factory=dict)
    unsound: set[str] = field(default_factory=set)
    """Rows of which no model is asked any more: what they ask for is not known."""
    has_unknown_field: bool = False
    _all: dict[tuple[int, str], Suggestion | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._all)

    def reject(
        self, table: Table, message: str, *, key: str = "", near: Suggestion | None = None
    ) -> None:
        """Write down a mistake in a field of a table, or in the whole of it."""
        table.is_unsound |= key in _DECISIVE
        line = self.lines.get((*table.path, key), table.line)
        self.at(line, table.title + message, near)

    def reject_row(self, row: Row, message: str, key: str = "") -> None:
        """Write down a mistake of a row that was read, at the line of a field, if there is one."""
        paths = ("images", row.name, key), ("defaults", key)
        lines = (self.lines[path] for path in paths if path in self.lines)
        self.at(next(lines, row.line), message)

    def at(self, line: int, message: str, near: Suggestion | None = None) -> None:
        """Write down a mistake on a line; 0: the line is not known."""
        self._all[line, message] = near

    def refuse(self, row: Row, error: UsageError, typed: Mapping[str, object]) -> None:
        """Write down what cannot be done for a row, in the manifest's words but for what is typed.

            m takes no --steps       images.hero.steps: m takes no steps
            they work without -m m   images.hero.model: they work without model = "m"

        Each stands at the line of its field.
        """
        flags = {key for key in typed if key not in row.options and getattr(row, key, None) is None}
        for each in error.parts or (error,):
            words = f"{each.message} ({each.hint})" if each.hint else each.message
            key = _field_of(row, each.message) or _field_of(row, each.hint)
            is_typed = key in flags or not key
            name = f"images.{show(row.name)}.{key}" if self.lines and not is_typed else row.name
            self.reject_row(row, f"{name}: {_translate(words, flags)}", "" if is_typed else key)

    def line_of(self, *path: str) -> int:
        """Return the line of a TOML table, or of the one around it; 0 where it is not known."""
        return self.lines.get(path) or self.lines.get(path[:1], 0)

    def raise_all(self) -> None:
        """Raise all mistakes as one `UsageError`; return where there are none."""
        if not self:
            return
        found = sorted(self._all.items(), key=lambda mistake: mistake[0][0])
        shown = [
            f"{self.file}:{f'{line}:' if line else ''} {message}{near.guess() if near else ''}"
            for (line, message), near in found[:MAX_MISTAKES]
        ]
        if len(found) > MAX_MISTAKES:
            shown.append(f"… and {len(found) - MAX_MISTAKES} more")
        hint = f"fields of a picture: {', '.join(FIELDS)}" if self.has_unknown_field else ""
        raise UsageError("\n".join(shown), hint=hint)


def _field_of(row: Row, message: str) -> str:
    """Return the field that a refusal is about: whose flag or value it names; empty for none."""
    for flag in _FLAG.finditer(message):
        key = _field_named(flag)
        if key in FIELDS:
            return key
    texts = [each.text for each in row.references]
    if "reference image" in message or any(text in message for text in texts):
        return "references"
    said = {**row.options, "output": row.output}
    words = {key: str(value).lower() for key, value in said.items() if not isinstance(value, bool)}
    named = (key for key, word in words.items() if len(word) > 1 and word in message.lower())
    is_of_model = row.model is not None and row.model in message
    rest = "prompt" if "prompt" in message else "model" if is_of_model else ""
    return next(named, rest)


def _translate(words: str, flags: Collection[str]) -> str:
    """Write a refusal of the command line's options with the manifest's fields."""

    def replace(flag: re.Match[str]) -> str:
        key, value = _field_named(flag), flag["value"]
        if key not in FIELDS or key in flags:
            return flag[0]
        if flag["long"] or key == "references":
            return key
        return f'{key} = "{value}"' if value and value not in {"ID", "NAME"} else key

    if "set" not in flags:
        words = re.sub(r"--set ([a-z]\S*)", r"set.\1", words)
    return _FLAG.sub(replace, words.replace("write it as PROMPT", "write it as prompt"))


def _field_named(flag: re.Match[str]) -> str:
    return (flag["long"] or "").replace("-", "_") or _SHORT.get(flag["short"] or "", "")


class _Field(NamedTuple):
    kind: str
    is_met: Callable[[object], bool]


def _is_any_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(KINDS["a text"], value))


_TEXT: Final = _Field("a text", KINDS["a text"])
# An empty text, or list, takes off what [defaults] says.
_ANY_TEXT: Final = _Field("a text", _is_any_text)
FIELDS: Final[Mapping[str, _Field]] = {
    "prompt": _ANY_TEXT,
    "prompt_file": _TEXT,
    "prompt_prefix": _ANY_TEXT,
    "prompt_suffix": _ANY_TEXT,
    "output": _TEXT,
    "references": _Field("a list of texts", _is_list_of_texts),
    "profile": _TEXT,
    "model": _TEXT,
    **{
        name: _Field(kind, KINDS[kind])
        for name, kind in OF_MANIFESTS.items()
        if name != "references"
    },
}
"""What a picture may say, and what each field takes."""
_FIELDS_SORTED: Final = sorted(FIELDS)


def show(text: str) -> str:
    """Return a stranger's word so that it stays on its line and leaves room for the message."""
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def check_name(mistakes: Mistakes, table: Table) -> None:
    """Object to a name that is empty, too long, or could be taken for a path or an option."""
    name = table.name
    is_fit = 1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip()
    if not is_fit or name.startswith((".", "-")) or "/" in name or "\\" in name:
        mistakes.reject(
            table,
            f"“{show(name)}” is no name: it has 1 to {MAX_NAME} printable characters, "
            "no slash or backslash, no dot or dash in front, no space at its ends",
        )


def check_fields(
    mistakes: Mistakes, table: Table, found: Mapping[str, object]
) -> dict[str, object]:
    """Return the fields that are known and of the right kind; object to the others."""
    said = {}
    for key, value in found.items():
        known = FIELDS.get(key)
        if known is None:
            _refuse_field(mistakes, table, key)
        elif table.path == ("defaults",) and key in _PROMPTS:
            message = f"{key} is for one picture: put it into [images.NAME]"
            mistakes.reject(table, message, key=key)
        elif _is_met(known, value):
            said[key] = value
            if key == "count" and isinstance(value, int) and value > MOST_PICTURES:
                message = f"count must be at most {MOST_PICTURES}"
                mistakes.reject(table, message, key=key)
        else:
            table.has_bad_prompt |= key in _PROMPTS
            problem = "is empty" if value == "" else f"must be {known.kind}"
            mistakes.reject(table, f"{key} {problem}", key=key)
    return said


def _is_met(known: _Field, value: object) -> bool:
    try:
        return known.is_met(value)
    except RecursionError:
        return False


def _refuse_field(mistakes: Mistakes, table: Table, key: str) -> None:
    if key in _OF_THE_COMMAND:
        message = f"{key} is for the command line, as --{key}: it is no picture's"
        mistakes.reject(table, message, key=key)
    elif key == "name":
        mistakes.reject(table, "name is no field: the name is NAME in [images.NAME]", key=key)
    else:
        mistakes.has_unknown_field = True
        near = Suggestion(key, _FIELDS_SORTED)
        mistakes.reject(table, f"{show(key)} is no field", key=key, near=near)
