"""The batch manifest: its text becomes rows, or a list of mistakes with their lines. Pure."""

from __future__ import annotations

import posixpath
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from seedream_cli.batch.manifest.schema import Mistakes, Row, RowReference, Suggestion, Table, show
from seedream_cli.batch.manifest.syntax import Sheet, Syntax, read_sheet
from seedream_cli.core.errors import SeedreamError, UsageError
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass, field
from seedream_cli.core.text import file_meant
from seedream_cli.request.options import OF_MANIFESTS, overlay
from seedream_cli.storage.files import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = [
    "EXTENSIONS",
    "Manifest",
    "Row",
    "RowReference",
    "Syntax",
    "kind_of",
    "kind_within",
    "read",
    "shards",
]

EXTENSIONS: Final[Mapping[str, Syntax]] = {
    ".toml": Syntax.TOML,
    ".jsonl": Syntax.JSON_LINES,
    ".ndjson": Syntax.JSON_LINES,
    ".json": Syntax.JSON_LINES,
    ".txt": Syntax.TEXT,
    ".text": Syntax.TEXT,
    ".prompts": Syntax.TEXT,
}
"""Of manifests, in lower case; a name without one is a text's."""

_STEPS: Final = 8
"""Rows of a cycle that are shown."""
_OPTIONS: Final = OF_MANIFESTS.keys() - {"count", "references"}
"""What a row has no field of its own for."""
_MOVING: Final = frozenset({"job", "date", "time"})
"""Fields of an output that would name the same picture anew on every run."""
_OUTPUT_FIELDS: Final = ("name", *(name for name in naming.FIELDS if name not in _MOVING))
_OUTPUT_FIELDS_SORTED: Final = sorted(_OUTPUT_FIELDS)

_PIECE: Final = pattern(r"\{\{|\}\}|\{(?P<field>[^{}]*)\}|[{}]")
_COUNTED: Final = pattern(r"n:0?[1-9]")
_ORDINAL: Final = pattern("[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a manifest says."""

    file: str
    """For messages."""
    rows: tuple[Row, ...]
    """In the file's order; names are unique."""
    profiles: Mapping[str, int] = field(default_factory=dict)
    """The profiles that it names, and the line where each is named first; 0: not known."""


def kind_of(file: str) -> Syntax:
    """Return how a file of this name is written; `-`, stdin, holds JSON Lines.

    Raises `UsageError` for a name that promises something else.
    """
    extension = posixpath.splitext(file)[1].lower()
    if file == "-":
        return Syntax.JSON_LINES
    if extension not in EXTENSIONS and extension != "":
        raise UsageError(
            f"{show(file)}: a manifest is .toml, .jsonl or .txt",
            hint="of a table, make JSON Lines: one object a line, with prompt and name",
        )
    return EXTENSIONS.get(extension, Syntax.TEXT)


def kind_within(text: str) -> Syntax:
    """Return how a text without a name, from a pipe, is written."""
    is_json = text.lstrip("\ufeff \t\r\n").startswith("{")
    return Syntax.JSON_LINES if is_json else Syntax.TEXT


def read(
    text: str,
    *,
    file: str,
    kind: Syntax,
    load: Callable[[str], str],
    mistakes: Mistakes | None = None,
) -> Manifest:
    """Return what a manifest's text says; `load` returns the text of a prompt file.

    Raises one `UsageError` with a line for each mistake; what `load` raises is one of them. Into
    `mistakes`, where those are given, they are only written: what models cannot do may follow.
    """
    is_whole = mistakes is None
    mistakes = Mistakes(file) if mistakes is None else mistakes
    sheet = read_sheet(mistakes, text, kind)
    sheet = sheet._replace(rows=list(sheet.rows))
    rows = _rows(mistakes, sheet, load)
    if not rows and not mistakes:
        mistakes.at(0, "there is no picture in it")
    if is_whole or not rows:
        mistakes.raise_all()
    return Manifest(file=file, rows=tuple(rows), profiles=_profiles(mistakes, sheet))


def shards(manifest: Manifest, count: int) -> Mapping[str, int]:
    """Return which of `count` shards, from 1, each row belongs to, on any machine the same.

    Rows that need one another, directly or not, share a shard.

        a → b → c, d alone, 2 shards     a, b and c in one, d in either
    """
    above = {row.name: row.name for row in manifest.rows}

    def first(name: str) -> str:
        while above[name] != name:
            # Each look shortens the way for the next: rows may be chained by thousands.
            above[name] = name = above[above[name]]
        return name

    for row in manifest.rows:
        for reference in row.references:
            if reference.row is not None:
                low, high = sorted((first(row.name), first(reference.row)))
                above[high] = low
    # By the name and not by the place: a row that is added moves no other one.
    return {name: int(_digest(first(name)), 16) % count + 1 for name in above}


def _profiles(mistakes: Mistakes, sheet: Sheet) -> dict[str, int]:
    found: dict[str, int] = {}
    for table in (sheet.defaults, *sheet.rows):
        name = _text_of(table.said, "profile")
        if name is not None:
            found.setdefault(name, mistakes.lines.get((*table.path, "profile"), table.line))
    return found


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _rows(mistakes: Mistakes, sheet: Sheet, load: Callable[[str], str]) -> list[Row]:
    """Put each row together with the defaults and hold the rows against one another."""
    defaults, tables = sheet.defaults, list(sheet.rows)
    _prompt_and_name(mistakes, sheet.defaults, tables, load)
    totals = {table.name: _total(defaults.said | table.said) for table in tables if table.name}
    names = sorted(totals)
    for table in (defaults, *tables):
        _refer(mistakes, table, totals, names)
        if "references" not in table.said:
            table.references = defaults.references
    _check_cycles(mistakes, tables)
    _check_outputs(mistakes, defaults, tables)
    unsound = (table.name for table in tables if table.is_unsound or defaults.is_unsound)
    mistakes.unsound.update(unsound)
    shared = {key: value for key, value in defaults.said.items() if key in _OPTIONS}
    return [_row(table, defaults.said, shared) for table in tables]


def _prompt_and_name(
    mistakes: Mistakes, defaults: Table, tables: Iterable[Table], load: Callable[[str], str]
) -> None:
    """Give each row its prompt and, where it has none, a name; no two have the same."""
    times: Counter[str] = Counter()
    owners: dict[str, Table] = {}
    for table in tables:
        prompt = _prompt(mistakes, table, load)
        if prompt is not None:
            table.prompt = _whole_prompt(mistakes, table, prompt, defaults.said | table.said)
            if not table.name:
                times[prompt] += 1
                table.name = _automatic(prompt, times[prompt])
        owner = owners.setdefault(table.name, table)
        if table.name and owner is not table:
            lines = f"on lines {owner.line} and {table.line}"
            mistakes.reject(table, f"two pictures are named {show(table.name)}, {lines}")


def _automatic(prompt: str, time: int) -> str:
    """Return a name that depends on the prompt, and on how often it was there before."""
    # The same prompt twice asks for two pictures.
    again = f"-{time}" if time > 1 else ""
    return f"{naming.slug(prompt)}-{_digest(prompt)[:6]}{again}"


def _prompt(mistakes: Mistakes, table: Table, load: Callable[[str], str]) -> str | None:
    """Return the prompt as written, in the table or in its file; None after a mistake."""
    prompt, file = _text_of(table.said, "prompt"), _text_of(table.said, "prompt_file")
    if prompt is not None and file is not None:
        mistakes.reject(
            table, "prompt and prompt_file are two prompts: keep one", key="prompt_file"
        )
    elif file is not None:
        return _load(mistakes, table, file, load)
    elif prompt is None and not table.has_bad_prompt:
        mistakes.reject(table, "prompt is missing")
    return prompt


def _load(mistakes: Mistakes, table: Table, file: str, load: Callable[[str], str]) -> str | None:
    try:
        prompt = load(file)
        prompt.encode()
    except SeedreamError as error:
        mistakes.reject(table, f"prompt_file: {error.message}", key="prompt_file")
        return None
    except UnicodeError:
        mistakes.reject(table, f"prompt_file: {show(file)} is no UTF-8 text", key="prompt_file")
        return None
    return prompt


def _whole_prompt(mistakes: Mistakes, table: Table, prompt: str, said: Mapping[str, object]) -> str:
    ends = (_text_of(said, key) or "" for key in ("prompt_prefix", "prompt_suffix"))
    whole = prompt.join(ends)
    key = "prompt" if "prompt" in table.said else "prompt_file"
    if not whole.strip():
        mistakes.reject(table, f"{key} is empty", key=key)
    elif key == "prompt" and (file := file_meant(prompt)) is not None:
        mistakes.reject(table, f"prompt names a file: prompt_file = {show(file)} reads it", key=key)
    elif "\0" in whole:
        mistakes.reject(table, f"{key} holds a NUL, so it is no text", key=key)
    return whole


def _text_of(said: Mapping[str, object], key: str) -> str | None:
    value = said.get(key)
    return value if isinstance(value, str) else None


def _number_of(said: Mapping[str, object], key: str) -> int | None:
    value = said.get(key)
    return value if isinstance(value, int) else None


def _total(said: Mapping[str, object]) -> int:
    """Return how many pictures a row may bring, a billion at most."""
    # A number of thousands of digits cannot be shown: Python refuses.
    return min(10**9, (_number_of(said, "count") or 1) * (_number_of(said, "series") or 1))


class _Problem(NamedTuple):
    """Why a reference or an output is no good."""

    message: str
    near: Suggestion | None = None


def _refer(
    mistakes: Mistakes, table: Table, totals: Mapping[str, int], names: Sequence[str]
) -> None:
    """Read the references that a table says itself."""
    texts = table.said.get("references")
    found = []
    for text in texts if isinstance(texts, list) else ():
        match _reference(text, totals, names):
            case _Problem(message, near):
                message = f"references: {show(text)} {message}"
                mistakes.reject(table, message, key="references", near=near)
            case reference:
                found.append(reference)
    table.references = tuple(found)


def _reference(
    text: str, totals: Mapping[str, int], names: Sequence[str]
) -> RowReference | _Problem:
    if text.startswith("images.") and "/" not in text:
        return _picture(text, totals, names)
    # What only this machine's ledger or stdin has makes the manifest mean two things.
    if text == "-" or text.startswith(("job:", "@")):
        return _Problem(
            "is not allowed: a manifest stands for itself on any machine; "
            "name a file, an https URL or images.NAME"
        )
    if "://" in text and not _is_https(text):
        return _Problem("is no https URL")
    return _Problem("holds a NUL") if "\0" in text else RowReference(text=text)


def _is_https(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    is_safe = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    return is_safe and text.isprintable() and " " not in text


def _picture(text: str, totals: Mapping[str, int], names: Sequence[str]) -> RowReference | _Problem:
    """Find the row behind `images.NAME` or `images.NAME.N`; a NAME may hold dots itself.

    images.cat            the row cat, if it makes one picture
    images.cat.2          its second one; or the row `cat.2`, where there is such a row
    images.kat            no picture here; did you mean cat?
    """
    rest = text.removeprefix("images.")
    name, _, digits = (rest, "", "") if rest in totals else rest.rpartition(".")
    n = int(digits) if _ORDINAL.fullmatch(digits) else 1 if name == rest else None
    last = totals.get(name)
    if last is None or n is None:
        file = f" (a file is written ./{show(text)})"
        word = name if n is not None else rest
        return _Problem("is no picture here", Suggestion(word, names, "images.*", file))
    which = f"images.{show(name)}"
    if name == rest and last > 1:
        return _Problem(f"has {last} pictures; say which: {which}.1 to {which}.{last}")
    if not 1 <= n <= last:
        there = f"{which}.1 to {which}.{last}" if last > 1 else which
        return _Problem(f"is not there; say {there}")
    return RowReference(text=text, row=name, n=n)


def _check_cycles(mistakes: Mistakes, tables: Iterable[Table]) -> None:
    """Object to rows that need themselves: none of them could be made first."""
    named = {table.name: table for table in tables}
    needs = {
        name: [reference.row for reference in table.references if reference.row is not None]
        for name, table in named.items()
    }
    for cycle in _cycles(needs):
        table = named[cycle[0]]
        shown = [f"images.{show(name)}" for name in cycle[:_STEPS]]
        if len(cycle) > _STEPS:
            shown += ["…", shown[0]]
        is_inherited = "references" not in table.said
        advice = "; references = [] takes off those of [defaults]" if is_inherited else ""
        message = f"references: it needs itself: {' → '.join(shown)}{advice}"
        mistakes.reject(table, message, key="references")
        table.references = ()  # whoever goes on with the rows may walk along them


def _cycles(needs: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield a cycle of each knot at least, with its first name once more at its end."""
    done: set[str] = set()
    told: set[str] = set()
    for start in needs:
        # The path to where the walk stands, each name with what it still has to visit.
        path = {} if start in done else {start: iter(needs[start])}
        while path:
            name = next(reversed(path))
            step = next(path[name], None)
            if step is None:
                done.add(name)
                del path[name]
            elif step in path and step not in told:
                told.add(step)
                walked = list(path)
                yield [*walked[walked.index(step) :], step]
            elif step not in done and step not in path:
                path[step] = iter(needs[step])


def _check_outputs(mistakes: Mistakes, defaults: Table, tables: Iterable[Table]) -> None:
    """Check each template by itself, and that no two rows name the same file."""
    owners: dict[str, Table] = {}
    for table in (defaults, *tables):
        output = _text_of(table.said, "output")
        if output is None:
            continue
        fields = {match["field"] for match in _PIECE.finditer(output)} - {None}
        problems = list(_output_problems(output))
        if table is defaults and "name" not in fields:
            problems.append(_Problem("must hold {name} here: all pictures would go to one file"))
        elif not fields and not problems:
            # Without a field two rows with one path would take turns in one file.
            owner = owners.setdefault(posixpath.normpath(output).casefold(), table)
            if owner is not table:
                which = f"images.{show(owner.name)}, line {owner.line}"
                problems.append(_Problem(f"{which}, has the same"))
        for message, near in problems:
            mistakes.reject(table, f"output: {message}", key="output", near=near)


def _output_problems(output: str) -> Iterator[_Problem]:
    if "\0" in output:
        yield _Problem("holds a NUL")
    if output.rpartition("/")[2] in {"", ".", ".."}:
        yield _Problem(f"{show(output)} is a folder: name a file in it, as {{name}}.{{ext}}")
    for match in _PIECE.finditer(output):
        name, text = match["field"], show(match[0])
        if text in {"{", "}"}:
            yield _Problem(f"a {text} stands by itself; {{{{ and }}}} are braces")
        elif name in _MOVING:
            message = f"{text} is not allowed here: the name must be the same on every run"
            yield _Problem(message)
        elif name is not None and name not in _OUTPUT_FIELDS and not _COUNTED.fullmatch(name):
            yield _Problem(f"{text} is no field", Suggestion(name, _OUTPUT_FIELDS_SORTED, "{*}"))


def _row(table: Table, defaults: Mapping[str, object], shared: Mapping[str, object]) -> Row:
    # For these a plain word over a word: only options overrule one another (`overlay`).
    said = {**defaults, **table.said}
    own = {key: value for key, value in table.said.items() if key in _OPTIONS}
    return Row(
        name=table.name,
        line=table.line,
        prompt=table.prompt,
        output=_text_of(said, "output"),
        profile=_text_of(said, "profile"),
        model=_text_of(said, "model"),
        count=_number_of(said, "count"),
        references=table.references,
        # Most rows say nothing here: the one mapping keeps 10,000 of them small.
        options=overlay(own, shared) if own else shared,
    )
