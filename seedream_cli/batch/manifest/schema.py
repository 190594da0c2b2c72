"""What a manifest's text is held against: the fields it may say, its lines and its mistakes."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

from seedream_cli.core.errors import UsageError
from seedream_cli.request.options import KINDS, OF_MANIFESTS, OF_PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReference:
    """One reference image of a row."""

    text: str
    """As written: a path, an https URL, `images.hero.2`."""
    row: str | None = None
    """The row that it names."""
    n: int = 1
    """Which of that row's pictures, from 1."""


class Near(NamedTuple):
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


class _Mistake(NamedTuple):
    line: int
    message: str
    near: Near | None


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
    said: dict[str, object] = field(default_factory=dict)
    references: tuple[RowReference, ...] = ()


@dataclass(slots=True)
class Desk:
    """Where a file is read: its lines, and the mistakes found so far."""

    file: str
    lines: Lines = field(default_factory=dict)
    mistakes: list[_Mistake] = field(default_factory=list)
    has_unknown_field: bool = False

    def object(
        self, table: Table, message: str, *, key: str = "", near: Near | None = None
    ) -> None:
        """Write down a mistake in a field of a table, or in the whole of it."""
        line = self.lines.get((*table.path, key), table.line)
        self.at(line, table.title + message, near)

    def at(self, line: int, message: str, near: Near | None = None) -> None:
        """Write down a mistake on a line; 0: the line is not known."""
        self.mistakes.append(_Mistake(line, message, near))

    def line_of(self, *path: str) -> int:
        """Return the line of a TOML table, or of the one around it; 0 where it is not known."""
        return self.lines.get(path) or self.lines.get(path[:1], 0)

    def settle(self) -> None:
        """Raise all mistakes as one `UsageError`; return where there are none."""
        if not self.mistakes:
            return
        self.mistakes.sort(key=lambda mistake: mistake.line)
        shown = [
            f"{self.file}:{f'{line}:' if line else ''} {message}{near.guess() if near else ''}"
            for line, message, near in self.mistakes[:MAX_MISTAKES]
        ]
        if len(self.mistakes) > MAX_MISTAKES:
            shown.append(f"… and {len(self.mistakes) - MAX_MISTAKES} more")
        hint = f"fields of a picture: {', '.join(FIELDS)}" if self.has_unknown_field else ""
        raise UsageError("\n".join(shown), hint=hint)


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


def hold_name(desk: Desk, table: Table) -> None:
    """Object to a name that is empty, too long, or could be taken for a path or an option."""
    name = table.name
    is_fit = 1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip()
    if not is_fit or name.startswith((".", "-")) or "/" in name or "\\" in name:
        desk.object(
            table,
            f"“{show(name)}” is no name: it has 1 to {MAX_NAME} printable characters, "
            "no slash or backslash, no dot or dash in front, no space at its ends",
        )


def check_fields(desk: Desk, table: Table, found: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that are known and of the right kind; object to the others."""
    said = {}
    for key, value in found.items():
        known = FIELDS.get(key)
        if known is None:
            _refuse_field(desk, table, key)
        elif table.path == ("defaults",) and key in _PROMPTS:
            message = f"{key} is for one picture: put it into [images.NAME]"
            desk.object(table, message, key=key)
        elif _is_met(known, value):
            said[key] = value
            if key == "count" and isinstance(value, int) and value > MOST_PICTURES:
                message = f"count must be at most {MOST_PICTURES}"
                desk.object(table, message, key=key)
        else:
            table.has_bad_prompt |= key in _PROMPTS
            problem = "is empty" if value == "" else f"must be {known.kind}"
            desk.object(table, f"{key} {problem}", key=key)
    return said


def _is_met(known: _Field, value: object) -> bool:
    try:
        return known.is_met(value)
    except RecursionError:
        return False


def _refuse_field(desk: Desk, table: Table, key: str) -> None:
    if key in _OF_THE_COMMAND:
        message = f"{key} is for the command line, as --{key}: it is no picture's"
        desk.object(table, message, key=key)
    elif key == "name":
        desk.object(table, "name is no field: the name is NAME in [images.NAME]", key=key)
    else:
        desk.has_unknown_field = True
        near = Near(key, _FIELDS_SORTED)
        desk.object(table, f"{show(key)} is no field", key=key, near=near)
