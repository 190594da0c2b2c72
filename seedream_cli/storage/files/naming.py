"""What files are called: slugs, templates, and the names that pictures get. Pure text."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from seedream_cli.core.model import Job

FIELDS: Final = (
    "slug",
    "job",
    "n",
    "ext",
    "date",
    "time",
    "model",
    "provider",
    "seed",
    "width",
    "height",
)
"""What a template may hold in braces (`docs/cli.md`, "Files")."""

LATE_FIELDS: Final = frozenset({"width", "height"})
"""Fields that only the picture itself may settle; `{ext}` is the third."""

NEW_FIELDS: Final = frozenset({"job", "time"})
"""Fields that make a name a new one for each purchase."""

DEFAULT_TEMPLATE: Final = "{slug}-{job}.{ext}"


MAX_NAME: Final = 255
"""Bytes in one path component: NAME_MAX of every file system that we are likely to meet."""

MAX_PATH: Final = 4095
"""Bytes: PATH_MAX of Linux without its end mark; macOS takes fewer, and says so itself."""

_SHOWN: Final = 40
"""Characters of a name that is too long to be shown."""

SLUG_CHARACTERS: Final = 40
SLUG_BYTES: Final = 100

_PIECE: Final = pattern(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_FIELD: Final = pattern(r"(?P<name>[a-z]+)(?::0?(?P<width>[1-9]))?")
# An extension begins with a letter: the end of `seedream-4.5` is none.
_EXTENSION: Final = pattern(
    r"(?<=.)\.(?:\{ext\}|(?P<literal>[A-Za-z][A-Za-z0-9]{0,4}))\Z", re.DOTALL
)
_UNSET: Final = "\0"
_AT_UNSET: Final = pattern(r"([-_. ]*)\0([-_. ]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the pictures of a job go."""

    template: str
    """As given, with `{fields}`; relative ones are told from `base`."""
    given_extension: str | None = None
    """Of a named file, in lower case without its dot: a request for that format."""
    is_many: bool = False
    """More than one picture of the run may be named by it."""
    base: str
    """Absolute folder."""

    def absolute(self, path: str) -> str:
        """Return `path`, one that this plan expanded to, as it is recorded."""
        return posixpath.join(self.base, path)

    def to_json(self) -> dict[str, object]:
        """Return the form that the ledger keeps."""
        return {
            "template": self.template,
            "given_extension": self.given_extension,
            "is_many": self.is_many,
            "base": self.base,
        }

    @staticmethod
    def from_json(value: Mapping[str, object]) -> Destination:
        """Read what `to_json` wrote; raise `StorageError` for anything else."""
        match value:
            case {
                "template": str(template),
                "given_extension": str() | None as extension,
                "is_many": bool(is_many),
                "base": str(base),
            }:
                return Destination(
                    template=template, given_extension=extension, is_many=is_many, base=base
                )
            case _:
                raise StorageError(
                    f"The ledger holds an output plan that has no reading: {value!r}"
                )


def slug(prompt: str) -> str:
    """Return `prompt` as a short piece of a file name, never empty.

    A fox, at dawn!    a-fox-at-dawn
    l'été              lété
    !!!                image
    """
    kept: list[str] = []
    for char in unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", prompt).lower()):
        kind = unicodedata.category(char)
        if kind[0] in "LN" or (_is_mark(char) and kept and kept[-1] != "-"):
            kept.append(char)
        # Joiners and apostrophes stand inside words, they do not part them.
        elif kind not in {"Cf", "Mn", "Mc", "Me"} and char not in "'\u2019":
            kept.append("-")
    # What stood between a letter and its accent is gone now, so they may join.
    joined = unicodedata.normalize("NFKC", "".join(kept))
    return _shorten(re.sub("--+", "-", joined).strip("-")) or "image"


def fields_of(
    *,
    prompt: str,
    job: str,
    n: int,
    at: datetime,
    model: str,
    provider: str,
    seed: int | None = None,
    width: int | None = None,
    height: int | None = None,
) -> dict[str, str | int | None]:
    """Return the values of a template's fields, all but `{ext}`; `at` is aware, dates are UTC."""
    from datetime import UTC

    moment = at.astimezone(UTC)
    return {
        "slug": slug(prompt),
        "job": job,
        "n": n,
        "date": f"{moment:%Y-%m-%d}",
        "time": f"{moment:%H%M%S}",
        "model": model,
        "provider": provider,
        "seed": seed,
        "width": width,
        "height": height,
    }


def fields_of_job(job: Job, n: int) -> dict[str, str | int | None]:
    """Return the values of a template's fields for the picture `n` of a job."""
    seed = job.request.get("seed")
    return fields_of(
        prompt=job.prompt,
        job=job.id,
        n=n,
        at=job.created_at,
        model=job.model,
        provider=job.provider,
        seed=seed if isinstance(seed, int) else None,
    )


def targets(job: Job, ext: str | None = None) -> tuple[str, ...]:
    """Return the paths that another job of the same purchase may have too, absolute.

    What only the pictures settle is left out of them: equal ones have it in common. Empty where a
    name holds what no other job can have had, its id or the time. `ext` as in `predict`.
    """
    plan = Destination.from_json(job.output)
    # Nobody else can have that name: such a purchase is joined by none.
    if _names(plan.template) & NEW_FIELDS:
        return ()
    return tuple(
        plan.absolute(expand(plan, fields=fields_of_job(job, job.first_n + k), ext=ext or "{ext}"))
        for k in range(job.expected)
    )


def plan(
    output: str | None,
    *,
    base: str,
    is_folder: bool = False,
    is_file: bool = False,
    many: bool = False,
    many_per_job: bool = False,
) -> Destination:
    """Settle what `--output` means; raise `UsageError` for a template that has no reading.

    `is_folder` and `is_file` say what stands there under that very name now; `many` that the run
    may bring more than one picture, `many_per_job` that one job may.

    >>> plan("art/", base="/w").template
    'art/{slug}-{job}.{ext}'
    >>> plan("cat.png", base="/w").template, plan("cat.png", base="/w", many=True).template
    ('cat.png', 'cat-{n}.png')
    """
    is_many = many or many_per_job
    if output is None:
        return Destination(template=_default(many_per_job=many_per_job), is_many=is_many, base=base)
    if not output or "\0" in output:
        raise UsageError("The output path is empty or holds a NUL.", hint="Use -o FILE or FOLDER/.")
    path = re.sub("//+", "/", output)
    # The folder is there by that very name, so its braces are no fields.
    if is_folder:
        path = path.replace("{", "{{").replace("}", "}}")
    _check(path, output)
    _check_length(path)
    if is_folder or path.rpartition("/")[2] in {"", ".", ".."}:
        template = posixpath.join(path, _default(many_per_job=many_per_job))
        return Destination(template=template, is_many=is_many, base=base)
    stem, extension, literal = _split(path)
    # Without a number the second picture would find the first one's name taken.
    if is_many and "n" not in _names(path):
        stem += "-{n}"
    elif is_file:
        # `-o art --overwrite` over a file `art` means that file.
        return Destination(template=path, given_extension=literal, is_many=is_many, base=base)
    template = stem + (extension or ".{ext}")
    return Destination(template=template, given_extension=literal, is_many=is_many, base=base)


def expand(plan: Destination, *, fields: Mapping[str, str | int | None], ext: str) -> str:
    """Return the path of one picture, relative where the template is; `ext` has no dot.

    {seed}-{slug}-{n:03}.{ext}, n 2, no seed    fox-002.png
    """
    values = {**fields, "ext": ext}
    *folders, name = plan.template.split("/")
    # A folder that is made of unset fields alone drops out; the one before a leading `/` stays.
    made = [(raw, _component(raw, values, MAX_NAME)) for raw in folders]
    kept = [text for raw, text in made if text or not raw]
    stem, extension, literal = _split(name)
    # A literal one stays, whatever the bytes are: that name was asked for, and a note says so.
    if extension and not literal:
        extension = f".{ext}"
    stem = _component(stem, values, MAX_NAME - len(_bytes(extension))) or "image"
    return "/".join([*kept, stem + extension])


def predict(
    plan: Destination, *, fields: Mapping[str, str | int | None], ext: str | None = None
) -> str | None:
    """Return the path where it can be known before sending, else None.

    `ext` is the extension that is sure to come, where one is.
    """
    names = _names(plan.template)
    # Only the bytes will say.
    if "ext" in names and ext is None:
        return None
    if any(fields.get(name) is None for name in names & LATE_FIELDS):
        return None
    return expand(plan, fields=fields, ext=ext or "")


def literal(value: str) -> str:
    """Return a value as a piece of a template that stands for itself, in one path component."""
    return _value(value, 0).replace(_UNSET, "").replace("{", "{{").replace("}", "}}")


def fill(template: str, name: str) -> str:
    """Return a template with `{name}` filled in; other fields and doubled braces stay."""
    return re.sub(
        r"\{\{|\}\}|\{name\}",
        lambda found: literal(name) if found[0] == "{name}" else found[0],
        template,
    )


def aside(path: str, job: str, attempt: int = 1) -> str:
    """Return the name beside a taken one: `name-JOB.ext`, later `name-JOB-2.ext`."""
    folder, name = posixpath.split(path)
    stem, extension = posixpath.splitext(name)
    tail = (f"-{job}" if attempt == 1 else f"-{job}-{attempt}") + extension
    return posixpath.join(folder, _cut(stem, MAX_NAME - len(_bytes(tail))) + tail)


def label_path(path: str, label: str) -> str:
    """Return the name with a layer's own name in it: `cat-2.png` becomes `cat-2-tree.png`."""
    folder, name = posixpath.split(path)
    stem, extension = posixpath.splitext(name)
    tail = f"-{slug(label)}{extension}"
    return posixpath.join(folder, _cut(stem, MAX_NAME - len(_bytes(tail))) + tail)


def sidecar_path(path: str) -> str:
    """Return where the recipe and receipt of the picture at `path` go: `NAME.json`."""
    return posixpath.splitext(path)[0] + ".json"


class _Placeholder(NamedTuple):
    name: str
    width: int
    """Zeros are put before a number that is shorter."""


def _default(*, many_per_job: bool) -> str:
    return "{slug}-{job}-{n}.{ext}" if many_per_job else DEFAULT_TEMPLATE


def _pieces(raw: str) -> Iterator[str | _Placeholder]:
    """Yield the literals and fields of a template; a brace without a meaning is a ValueError."""
    for match in _PIECE.finditer(raw):
        text = match[0]
        if match[1] is not None:
            field = _FIELD.fullmatch(match[1])
            if field is None or field["name"] not in FIELDS:
                raise ValueError(text)
            if field["width"] and field["name"] != "n":
                raise ValueError(text)
            yield _Placeholder(field["name"], int(field["width"] or 0))
        elif text in {"{", "}"}:
            raise ValueError(text)
        else:
            yield text[0] if text in {"{{", "}}"} else text


def _check(template: str, given: str) -> None:
    """Raise `UsageError` for a field that does not exist or a brace that closes nothing."""
    try:
        for raw in template.split("/"):
            list(_pieces(raw))
    except ValueError as error:
        names = " ".join(f"{{{name}}}" for name in FIELDS)
        raise UsageError(
            f"The output {given!r} has {error} in it, which is no field.",
            hint=f"Fields are {names} (and {{n:03}}); {{{{ and }}}} stand for braces.",
        ) from error


def _check_length(template: str) -> None:
    """Raise `UsageError` where what is written out alone is longer than a name may be."""
    for raw in template.split("/"):
        written = sum(len(_bytes(p)) for p in _pieces(raw) if isinstance(p, str))
        if written > MAX_NAME:
            shown = f"{raw[:_SHOWN]}…"
            raise UsageError(f"-o: a name has at most {MAX_NAME} bytes, and {shown} has {written}")
    if len(_bytes(template)) > MAX_PATH:
        raise UsageError(f"-o: a path has at most {MAX_PATH} bytes")


def _names(template: str) -> set[str]:
    return {piece.name for piece in _pieces(template) if isinstance(piece, _Placeholder)}


def _split(template: str) -> tuple[str, str, str | None]:
    """Return what stands before the extension, the extension with its dot, and its bare letters.

    The letters are None where the bytes decide (`.{ext}`) and where there is no extension.
    """
    folder, slash, name = template.rpartition("/")
    match = _EXTENSION.search(name)
    if match is None:
        return template, "", None
    literal = match["literal"]
    return folder + slash + name[: match.start()], match[0], literal.lower() if literal else None


def _component(raw: str, values: Mapping[str, str | int | None], limit: int) -> str:
    """Fill one path component, in at most `limit` bytes; empty where nothing is set."""
    texts = [
        _value(values.get(piece.name), piece.width) if isinstance(piece, _Placeholder) else piece
        for piece in _pieces(raw)
    ]
    longest = max(texts, key=lambda text: len(_bytes(text)), default="")
    excess = len(_bytes("".join(texts))) - limit
    if excess > 0:
        # The longest piece gives way, so that `-{n}` and `{job}` still tell names apart.
        texts[texts.index(longest)] = _cut(longest, max(1, len(_bytes(longest)) - excess))
    text = "".join(texts)
    while _UNSET in text:
        text = _AT_UNSET.sub(_joint, text, count=1)
    # The last guard, for a template of many long pieces.
    return _cut(text, limit)


def _joint(gap: re.Match[str]) -> str:
    """Return what stays of the separators around an unset field."""
    is_at_an_end = gap.start() == 0 or gap.end() == len(gap.string)
    return "" if is_at_an_end else gap[1] or gap[2]


def _value(value: str | int | None, width: int) -> str:
    """Return a value that can neither leave its component nor hide in it, or the unset mark."""
    if isinstance(value, int):
        return f"{value:0{width}d}"
    parts = (
        "-" if char in '/\\:*?"<>|' or unicodedata.category(char)[0] in "CZ" else char
        for char in value or ""
    )
    # No dot and no dash at the ends: neither `..` nor a name that reads as an option.
    return re.sub("--+", "-", "".join(parts)).strip(".-") or _UNSET


def _is_mark(char: str) -> bool:
    """Tell vowel signs and accents, without which words are misspelt, from emoji selectors."""
    is_selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return unicodedata.category(char) in {"Mn", "Mc"} and not is_selector


def _shorten(text: str) -> str:
    """Cut a slug to its length, never between a letter and its marks."""
    end = min(len(text), SLUG_CHARACTERS)
    while len(_bytes(text[:end])) > SLUG_BYTES:
        end -= 1
    while 0 < end < len(text) and _is_mark(text[end]):
        end -= 1
    return text[:end].strip("-")


def _cut(text: str, limit: int) -> str:
    """Return the most of `text`, whole characters, that fits in `limit` bytes."""
    while len(_bytes(text)) > limit:
        # A character has at most 4 bytes, so this many are too many in any case.
        text = text[: -max(1, (len(_bytes(text)) - limit) // 4)]
    return text


def _bytes(text: str) -> bytes:
    # Names may hold bytes that are no text; lone surrogates of other origins must not crash either.
    return text.encode("utf-8", "surrogatepass")
