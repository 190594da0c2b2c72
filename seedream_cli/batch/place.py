"""Where the pictures of a manifest are to lie, told from its folder. Pure."""

from __future__ import annotations

import posixpath
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from seedream_cli.batch.resolve import count_of, extension, option_of
from seedream_cli.core.formats import extension_of_format
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass
from seedream_cli.storage.files import naming

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.resolve import BatchContext, Target
    from seedream_cli.storage.files.naming import Destination

_GUESSES: Final = ("png", "jpg", "webp")
"""Extensions that a picture may get whose provider does not say."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ASIDE: Final = pattern(r"(?P<own>.+)-(?P<job>[0-9a-hjkmnp-tv-z]{8})(?:-[1-9][0-9]*)?")
"""A stem as `naming.aside` makes it, of a picture whose name was taken when it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Names files by what rows and the command line say, and by where the lock has them."""

    context: BatchContext
    former_names: Mapping[str, str]
    """What the lock calls a row, where it has another name."""

    def plan(self, target: Target, n: int, entry: Entry | None) -> Destination:
        """Return where a picture that is to be made, or the pictures of a set, are to lie."""
        if entry is not None and not target.is_set and self._stays(target, n, entry):
            # Only its stem: which format comes, the bytes say.
            stem = posixpath.splitext(_own_name(entry.output))[0]
            escaped = stem.replace("{", "{{").replace("}", "}}")
            return naming.plan(f"{escaped}.{{ext}}", base=self.context.base)
        return self._whole_plan(target)

    def where(self, target: Target, n: int, entry: Entry) -> str:
        """Return where a picture that the lock has is to lie."""
        if self._stays(target, n, entry):
            return _own_name(entry.output)
        path = self._predict(self._whole_plan(target), target, n, extension(entry.output))
        if path is None:
            return entry.output
        return naming.label_path(path, entry.label) if entry.label else path

    def targets(self, target: Target, n: int, entry: Entry | None) -> list[str]:
        """Return where a picture that is to be made may come to lie, the likeliest first."""
        plan = self.plan(target, n, entry)
        request, capabilities = target.request, target.capabilities
        formats = capabilities.formats if capabilities else ()
        made = request.format or (formats[0] if formats else None)
        sure = [extension_of_format(made)] if made else list(_GUESSES)
        if entry is not None:
            # A provider that surprised once, with another format than documented, does it again.
            is_same_maker = (entry.provider, entry.model) == (target.provider.name, request.model)
            is_likely = not made or (is_same_maker and request.format is None)
            sure.insert(0 if is_likely else len(sure), extension(entry.output))
        paths = [self._predict(plan, target, n, ext) for ext in sure]
        unknown = self._expand(plan, target, n, sure[0])
        return list(dict.fromkeys(path for path in paths if path)) or [unknown]

    def _stays(self, target: Target, n: int, entry: Entry) -> bool:
        """Tell whether a picture lies where a command line once put it, and nothing says more.

        What lies under the default name, or beside it, follows its row's name and count.
        """
        names = {entry.output, _own_name(entry.output, is_likely=True)}
        if option_of(target.row, self.context.typed, "output") is not None:
            return False
        for name in {target.row.name, self.former_names.get(target.row.name, target.row.name)}:
            # With and without a number: the row's count may have been another one.
            for many in (False, True):
                plan = self.context.draft(target.row, name, many=many)
                path = self._expand(plan, target, n, extension(entry.output))
                if names & {path, naming.label_path(path, entry.label or "")}:
                    return False
        return True

    def _whole_plan(self, target: Target) -> Destination:
        many = count_of(target.row, self.context.typed) > 1 or target.is_set
        return self.context.draft(target.row, many=many, is_set=target.is_set)

    def _predict(self, plan: Destination, target: Target, n: int, ext: str) -> str | None:
        fields = _fields(plan, target, n)
        size = target.request.size
        if size is not None:
            fields |= {"width": size.width, "height": size.height}
        path = naming.predict(plan, fields=fields, ext=ext)
        return posixpath.normpath(path) if path else None

    @staticmethod
    def _expand(plan: Destination, target: Target, n: int, ext: str) -> str:
        return posixpath.normpath(naming.expand(plan, fields=_fields(plan, target, n), ext=ext))


def _own_name(path: str, *, is_likely: bool = False) -> str:
    """Return the name that a picture was to have which was put beside it, as `name-JOB.ext`.

    What only looks like it stays: a word or a date that somebody typed; but in a name that is
    `is_likely` also a job of letters alone is taken for one.

        cat-01k3f9zq.png    cat.png
        cat-20261130.png    itself: a date
        cat-haystack.png    itself, though it could be a job's id; `is_likely`: cat.png
    """
    stem, dotted = posixpath.splitext(path)
    match = _ASIDE.fullmatch(stem)
    if match is None or match["job"].isdecimal() or (match["job"].isalpha() and not is_likely):
        return path
    return match["own"] + dotted


def same_file(path: str) -> str:
    """Return what two paths have in common that are one file on some file system."""
    return unicodedata.normalize("NFC", posixpath.normpath(path)).casefold()


def _fields(plan: Destination, target: Target, n: int) -> dict[str, str | int | None]:
    if "{" not in plan.template.replace("{ext}", ""):
        return {}  # all of the name is written out
    request = target.request
    return naming.fields_of(
        prompt=target.row.prompt,
        job="",
        n=n,
        at=_EPOCH,
        model=request.model,
        provider=target.provider.name,
        seed=request.seed,
    )
