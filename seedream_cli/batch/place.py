"""Where the pictures of a manifest are to lie, told from its folder. Pure."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from seedream_cli.batch.resolve import count_of, said
from seedream_cli.core.formats import extension_of_format
from seedream_cli.storage.files import naming

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.batch.resolve import Wish
    from seedream_cli.storage.files.naming import Plan

_DEFAULT: Final = "{name}.{ext}"
_GUESSES: Final = ("png", "jpg", "webp")
"""Extensions that a picture may get whose provider does not say."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ASIDE: Final = re.compile(r"(?P<own>.+)-(?P<job>[0-9a-hjkmnp-tv-z]{8})(?:-[1-9][0-9]*)?")
"""A stem as `naming.aside` makes it, of a picture whose name was taken when it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Names files by what rows and the command line say, and by where the lock has them."""

    base: str
    """The manifest's folder, absolute."""
    typed: Mapping[str, object]
    """Options of the command line."""
    former: dict[str, str] = field(default_factory=dict)
    """What the lock calls a row, where it has another name."""

    def draft(self, row: Row, *, many: bool = False, is_set: bool = False) -> Plan:
        """Return the plan by the row's words, or by its name where it has none."""
        return self._draft(row, row.name, many=many, is_set=is_set)

    def plan(self, row: Row, wish: Wish, n: int, entry: Entry | None) -> Plan:
        """Return where a picture that is to be made, or the pictures of a set, are to lie."""
        if entry is not None and not wish.is_set and self._stays(row, wish, n, entry):
            stem = posixpath.splitext(_own_name(entry.output))[0]
            escaped = stem.replace("{", "{{").replace("}", "}}")
            return naming.plan(f"{escaped}.{{ext}}", base=self.base)
        return self._whole_plan(row, wish)

    def where(self, row: Row, wish: Wish, n: int, entry: Entry) -> str:
        """Return where a picture that the lock has is to lie."""
        if self._stays(row, wish, n, entry):
            return _own_name(entry.output)
        path = self._known(self._whole_plan(row, wish), row, wish, n, extension(entry.output))
        if path is None:
            return entry.output
        return naming.labelled(path, entry.label) if entry.label else path

    def targets(self, row: Row, wish: Wish, n: int, entry: Entry | None) -> list[str]:
        """Return where a picture that is to be made may come to lie, the likeliest first."""
        plan = self.plan(row, wish, n, entry)
        request, capabilities = wish.resolved.request, wish.resolved.capabilities
        formats = capabilities.formats if capabilities else ()
        made = request.format or (formats[0] if formats else None)
        sure = [extension_of_format(made)] if made else list(_GUESSES)
        if entry is not None:
            # A provider that surprised once, with another format than documented, does it again.
            is_same_maker = (entry.provider, entry.model) == (wish.provider.name, request.model)
            is_likely = not made or (is_same_maker and request.format is None)
            sure.insert(0 if is_likely else len(sure), extension(entry.output))
        paths = [self._known(plan, row, wish, n, ext) for ext in sure]
        unknown = self._expanded(plan, row, wish, n, sure[0])
        return list(dict.fromkeys(path for path in paths if path)) or [unknown]

    def _stays(self, row: Row, wish: Wish, n: int, entry: Entry) -> bool:
        """Tell whether a picture lies where a command line once put it, and nothing says more.

        What lies under the default name, or beside it, follows its row's name and count.
        """
        names = {entry.output, _own_name(entry.output, is_likely=True)}
        if said(row, self.typed, "output") is not None:
            return False
        for name in {row.name, self.former.get(row.name, row.name)}:
            for many in (False, True):
                plan = self._draft(row, name, many=many)
                path = self._expanded(plan, row, wish, n, extension(entry.output))
                if names & {path, naming.labelled(path, entry.label or "")}:
                    return False
        return True

    def _whole_plan(self, row: Row, wish: Wish) -> Plan:
        many = count_of(row, self.typed) > 1 or wish.is_set
        return self.draft(row, many=many, is_set=wish.is_set)

    def _draft(self, row: Row, name: str, *, many: bool, is_set: bool = False) -> Plan:
        output = said(row, self.typed, "output")
        text = output if isinstance(output, str) else _DEFAULT
        text = f"{text}{_DEFAULT}" if text.endswith("/") else text
        template = naming.filled(text, name)
        return naming.plan(template, base=self.base, many=many, many_per_job=is_set)

    def _known(self, plan: Plan, row: Row, wish: Wish, n: int, ext: str) -> str | None:
        fields = _fields(row, wish, n)
        size = wish.resolved.request.size
        if size is not None:
            fields |= {"width": size.width, "height": size.height}
        path = naming.known(plan, fields=fields, ext=ext)
        return posixpath.normpath(path) if path else None

    @staticmethod
    def _expanded(plan: Plan, row: Row, wish: Wish, n: int, ext: str) -> str:
        return posixpath.normpath(naming.expand(plan, fields=_fields(row, wish, n), ext=ext))


def extension(path: str) -> str:
    """Return a path's extension without its dot."""
    return posixpath.splitext(path)[1].removeprefix(".")


def _own_name(path: str, *, is_likely: bool = False) -> str:
    """Return the name that a picture was to have which was put beside it, as `name-JOB.ext`.

    What only looks like it stays: a word or a date that somebody typed; but in a name that is
    `is_likely` also a job of letters alone is taken for one.
    """
    stem, dotted = posixpath.splitext(path)
    match = _ASIDE.fullmatch(stem)
    if match is None or match["job"].isdecimal() or (match["job"].isalpha() and not is_likely):
        return path
    return match["own"] + dotted


def same_file(path: str) -> str:
    """Return what two paths have in common that are one file on some file system."""
    return unicodedata.normalize("NFC", posixpath.normpath(path)).casefold()


def _fields(row: Row, wish: Wish, n: int) -> dict[str, str | int | None]:
    request = wish.resolved.request
    return naming.fields_of(
        prompt=row.prompt,
        job="",
        n=n,
        at=_EPOCH,
        model=request.model,
        provider=wish.provider.name,
        seed=request.seed,
    )
