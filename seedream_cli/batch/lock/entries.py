"""The lock: what each picture of a manifest was made from, as JSON Lines that merge well. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from seedream_cli.core import money as price
from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Money
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass
from seedream_cli.core.text import escape_unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CONFLICT: Final = pattern(r"(?:<{7}|={7}|>{7}|\|{7})(?:\s|$)")
_DIGEST: Final = pattern("[0-9a-f]{64}")
_PART: Final = pattern(r"(?P<k>[1-9][0-9]{0,5})-of-(?P<of>[1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One picture of a row: a line of the lock."""

    name: str
    """The row's."""
    n: int
    """Which of its row's pictures, from 1."""
    of: int | None = None
    """How many pictures its set has; None: it was asked for by itself."""
    output: str
    """Where it lies, told from the manifest's folder."""
    label: str | None = None
    """The provider's name of a layer, which is a part of its file's name."""
    description_digest: str
    """Of what it is made from; `fingerprint` on disk."""
    sha256: str
    """Of the file as it should be."""
    made: str | None = None
    """Digest as it came from the provider, where a changed file was accepted."""
    accepted: bool = False
    """The file is a person's work, not byte for byte what we made."""
    size: int
    """Bytes."""
    provider: str
    model: str
    keyword: str | None = None
    """The size as it was asked for: `2K`, or `WIDTHxHEIGHT`."""
    aspect: str | None = None
    price: Money | None = None
    date: str
    """Of its making, UTC, `2026-11-21`."""
    sandbox: bool = False
    """A placeholder of a rehearsal."""
    warning: str | None = None
    """What is odd about the bytes that came; None: nothing."""

    @property
    def key(self) -> tuple[str, int]:
        """What a line is found and sorted by."""
        return self.name, self.n

    @property
    def is_by_hand(self) -> bool:
        """Tell whether its file is a person's work, which is never replaced."""
        return self.accepted or self.made is not None

    @property
    def origin(self) -> str:
        """The digest that pictures made from this one remember."""
        return self.made or self.sha256


def parse(text: str, *, file: str) -> list[Entry]:
    """Return the entries in the file's order, twins too; raise `UsageError` with file and line.

    A last line without an end that cannot be read is what a kill left of it: the ledger has the
    rest.
    """
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        if _CONFLICT.match(line):
            raise UsageError(
                f"{file}:{number}: a merge left its conflict markers in the lock",
                hint="delete the lines of markers and keep the entries of both sides, then run"
                " again; in .gitattributes, “*.lock merge=union” does that by itself",
            )
        if not line.strip():
            continue
        entry = _entry(line)
        if entry is not None:
            found.append(entry)
        elif number < len(lines):
            raise UsageError(
                f"{file}:{number}: that is no line of a lock",
                hint="take the file from version control again; lines of pictures that exist can"
                " be written anew with --accept NAME",
            )
    return found


def write(entries: Iterable[Entry]) -> str:
    """Return the whole file: a line an entry, sorted by name and number."""
    return "".join(map(write_line, sorted(entries, key=lambda entry: entry.key)))


def write_line(entry: Entry) -> str:
    """Return one line with its end; fields that say nothing are left out."""
    import json

    fields: dict[str, object] = {
        "name": entry.name,
        "n": entry.n,
        "of": entry.of,
        "output": entry.output,
        "label": entry.label,
        "fingerprint": entry.description_digest,
        "sha256": entry.sha256,
        "made": entry.made,
        "accepted": entry.accepted or None,
        "bytes": entry.size,
        "provider": entry.provider,
        "model": entry.model,
        "size": entry.keyword,
        "aspect": entry.aspect,
        "price": price.show(entry.price) if entry.price else None,
        "date": entry.date,
        "sandbox": entry.sandbox or None,
        "warning": entry.warning,
    }
    said = {key: value for key, value in fields.items() if value is not None}
    return escape_unseen(json.dumps(said, ensure_ascii=False)) + "\n"


def name_of(manifest: str, shard: tuple[int, int] | None = None) -> str:
    """Return the name of a manifest's lock, or of one shard's part of it: (2, 3) is 2 of 3."""
    folder, slash, name = manifest.rpartition("/")
    stem = name.rpartition(".")[0] or name
    part = f".{shard[0]}-of-{shard[1]}" if shard else ""
    return f"{folder}{slash}{stem}{part}.lock"


def part_of(manifest: str, name: str) -> tuple[int, int] | None:
    """Return which part of a manifest's lock a file name stands for; None: it is none."""
    stem = name_of(manifest).rpartition("/")[2].removesuffix(".lock")
    middle = name.removeprefix(f"{stem}.").removesuffix(".lock")
    match = _PART.fullmatch(middle)
    if match is None or name != f"{stem}.{middle}.lock":
        return None
    return int(match["k"]), int(match["of"])


def whole_of(path: str) -> str:
    """Return the path of the whole lock that a part belongs to; another path is its own."""
    stem, dot, middle = path.removesuffix(".lock").rpartition(".")
    return f"{stem}.lock" if dot and _PART.fullmatch(middle) else path


def _entry(line: str) -> Entry | None:
    import json

    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match fields:
        case {
            "name": str(name),
            "output": str(output),
            "fingerprint": str(fingerprint),
            "sha256": str(sha256),
            "provider": str(provider),
        } if name and output and _DIGEST.fullmatch(sha256):
            return Entry(
                name=name,
                n=_number(fields, "n") or 1,
                of=_number(fields, "of"),
                output=output,
                label=_text(fields, "label"),
                description_digest=fingerprint,
                sha256=sha256,
                made=_text(fields, "made"),
                accepted=fields.get("accepted") is True,
                size=_number(fields, "bytes") or 0,
                provider=provider,
                model=_text(fields, "model") or "",
                keyword=_text(fields, "size"),
                aspect=_text(fields, "aspect"),
                price=_money(_text(fields, "price") or ""),
                date=_text(fields, "date") or "",
                sandbox=fields.get("sandbox") is True,
                warning=_text(fields, "warning"),
            )
        case _:
            return None


def _number(fields: Mapping[str, object], key: str) -> int | None:
    value = fields.get(key)
    return value if type(value) is int and value > 0 else None


def _text(fields: Mapping[str, object], key: str) -> str | None:
    value = fields.get(key)
    return value if isinstance(value, str) and value else None


def _money(text: str) -> Money | None:
    amount, _, currency = text.partition(" ")
    try:
        number = Decimal(amount)
    except InvalidOperation:
        return None
    return Money(number, currency) if currency and number.is_finite() else None
