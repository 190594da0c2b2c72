"""The options of a picture, each said once: what it takes, who may set it, what overrules what."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UsageError
from seedream_cli.core.record import dataclass, replace
from seedream_cli.core.text import span_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seedream_cli.core.model import Options
    from seedream_cli.providers.spec import Capabilities


def _is_json(value: object) -> bool:
    match value:
        case dict():
            return all(_is_json(inner) for inner in value.values())
        case list():
            return all(_is_json(inner) for inner in value)
        case float():
            return math.isfinite(value)
        case _:
            return isinstance(value, str | int)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and _is_json(value)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and value > 0


def _is_variable(value: object) -> bool:
    # Keys are pasted here by mistake: they have dashes, or are one long word in lower case.
    is_name = isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII)
    return bool(is_name) and ("_" in str(value) or str(value).isupper())


KINDS: Final[Mapping[str, Callable[[object], bool]]] = {
    "a text": _is_text,
    "the name of a variable": _is_variable,
    '"png" or "jpeg"': lambda value: value in ("png", "jpeg"),
    "true or false": lambda value: isinstance(value, bool),
    # `type`, because True is an int in Python and not in TOML.
    "a whole number": lambda value: type(value) is int,
    "a whole number from 1": lambda value: type(value) is int and value >= 1,
    "a number": _is_number,
    'a number above 0, or a span like "10m"': lambda value: (
        bool(span_seconds(value)) if isinstance(value, str) else _is_positive(value)
    ),
    "a list of texts": lambda value: (
        isinstance(value, list) and bool(value) and all(map(_is_text, value))
    ),
    "a table that JSON can hold": lambda value: isinstance(value, dict) and _is_json(value),
}
"""What a value has to be, in words and as a test of what TOML or JSON gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of `generate` and `edit` that a file may set too, or that a model may lack."""

    name: str
    """In `Options`, profiles and manifests; with dashes also on the command line."""
    kind: str
    """What it takes: a key of `KINDS`."""
    in_profile: bool = True
    """A profile may set it."""
    in_manifest: bool = True
    """A row of a manifest may set it, and its `[defaults]`."""
    shown: str = ""
    """How a person writes it, where that is not `--name`."""
    unsaid: object = None
    """What stands for it in `Options` where nobody said it."""
    has: Callable[[Capabilities], bool] | None = None
    """The model has such an option; None: none lacks it, or the provider decides."""
    check: Callable[[Capabilities, str, Options], object] | None = None
    """Raises `UsageError` where the model, called by that name, does not take the value."""

    @property
    def flag(self) -> str:
        """How a person writes it."""
        return self.shown or f"--{self.name.replace('_', '-')}"

    def is_said(self, options: Options) -> bool:
        """Tell whether a model has to have it; no watermark is what every model can give."""
        value = getattr(options, self.name)
        return value is not False and value != self.unsaid

    def drop(self, options: Options) -> Options:
        """Leave it out."""
        return replace(options, **{self.name: self.unsaid})  # type: ignore[arg-type]

    def objection(self, capabilities: Capabilities, name: str, options: Options) -> str:
        """Return why the model does not take what was said; empty when it does, or nobody knows."""
        # Of a model that only a profile describes: what that does not say, nobody knows.
        if self.name in (capabilities.unsaid or ()):
            return ""
        if self.has is not None and not self.has(capabilities):
            return f"{name} takes no {self.flag}"
        try:
            if self.check is not None:
                self.check(capabilities, name, options)
        except UsageError as error:
            return error.message
        return ""


def makes(capabilities: Capabilities | None, wanted: str) -> bool | None:
    """Return whether the model can be made to give `png` or `jpeg`; None: nobody can say.

    True where the request can ask for it, or where the model makes nothing else.

        makes PNG and JPEG, has a field for it      True for either
        makes PNG and JPEG, has none                None: it chooses itself
        makes PNG alone                             True for png, False for jpeg
    """
    if capabilities is None or not capabilities.formats:
        return None
    if wanted not in capabilities.formats:
        return False
    return True if capabilities.picks_format or len(capabilities.formats) == 1 else None


def plain_format(text: str) -> str:
    """Return a format's one spelling here: `jpg` and `.JPG` are `jpeg`."""
    word = text.strip().lower().removeprefix(".")
    return "jpeg" if word == "jpg" else word


def _check_shape(word: str) -> Callable[[Capabilities, str, Options], object]:
    def check(capabilities: Capabilities, name: str, options: Options) -> object:
        from seedream_cli.request.sizes import frame

        return frame(capabilities, name, **{word: getattr(options, word)})

    return check


def _check_format(capabilities: Capabilities, name: str, options: Options) -> None:
    wanted = plain_format(options.format or "")
    verdict = makes(capabilities, wanted)
    # To ask in vain would look as if it had been heard.
    if verdict is None:
        raise UsageError(f"{name} chooses its format itself: leave --format out")
    if not verdict:
        made = " or ".join(word.upper() for word in capabilities.formats)
        only = " only" if len(capabilities.formats) == 1 else ""
        raise UsageError(f"{name} makes {made}{only}, not {wanted.upper()}")


def _check_within(field: str) -> Callable[[Capabilities, str, Options], object]:
    def check(capabilities: Capabilities, name: str, options: Options) -> None:
        del name
        value, bounds = getattr(options, field), getattr(capabilities, field)
        if value is None or bounds is None:
            return
        if not math.isfinite(value) or not bounds[0] <= value <= bounds[1]:
            raise UsageError(f"--{field} {value} is outside {bounds[0]} to {bounds[1]}")

    return check


def _check_references(capabilities: Capabilities, name: str, options: Options) -> None:
    given, (least, most) = len(options.references), capabilities.references
    if given > most:
        raise UsageError(f"{given} reference images; {name} takes at most {most}")
    if given < least:
        raise UsageError(f"{given} reference images; {name} needs at least {least}")


def _check_series(capabilities: Capabilities, name: str, options: Options) -> None:
    wanted, given = options.series or 0, len(options.references)
    if wanted > capabilities.max_series:
        raise UsageError(
            f"--series {wanted}: {name} makes sets of at most {capabilities.max_series}"
        )
    together = capabilities.max_inputs_and_outputs
    if together is not None and wanted + given > together:
        room = together - given
        way = f"--series {room}" if room > 1 else "fewer references"
        raise UsageError(
            f"--series {wanted} with {given} references makes {wanted + given} images; "
            f"{name} takes {together} together ({way} would do)"
        )


OPTIONS: Final = (
    Option(
        name="size",
        kind="a text",
        has=lambda model: bool(model.sizes) or model.pixels is not None,
        check=_check_shape("size"),
    ),
    Option(
        name="aspect",
        kind="a text",
        has=lambda model: bool(model.aspects) or model.any_aspect,
        check=_check_shape("aspect"),
    ),
    Option(
        name="quality",
        kind="a text",
        has=lambda model: bool(model.quality),
        check=_check_shape("quality"),
    ),
    Option(
        name="references",
        kind="a list of texts",
        in_profile=False,
        shown="-i IMAGE",
        unsaid=(),
        has=lambda model: model.references[1] > 0,
        check=_check_references,
    ),
    Option(name="count", kind="a whole number from 1"),
    Option(
        name="series",
        kind="a whole number from 1",
        has=lambda model: model.max_series > 1,
        check=_check_series,
    ),
    Option(
        name="seed",
        kind="a whole number",
        has=lambda model: model.seed is not None,
        check=_check_within("seed"),
    ),
    Option(
        name="guidance",
        kind="a number",
        has=lambda model: model.guidance is not None,
        check=_check_within("guidance"),
    ),
    Option(
        name="steps",
        kind="a whole number from 1",
        has=lambda model: model.steps is not None,
        check=_check_within("steps"),
    ),
    Option(
        name="format",
        kind='"png" or "jpeg"',
        has=lambda model: bool(model.formats),
        check=_check_format,
    ),
    Option(name="watermark", kind="true or false", has=lambda model: model.watermark),
    Option(name="set", kind="a table that JSON can hold"),
    Option(name="callback_url", kind="a text"),
    Option(name="wait", kind="true or false", in_manifest=False),
    Option(name="timeout", kind='a number above 0, or a span like "10m"', in_manifest=False),
    Option(name="any_format", kind="true or false"),
    Option(name="sidecar", kind="true or false"),
)
"""All that `generate` takes, profiles and manifests may set, or a model may lack.

What would change where a result goes or whether money is spent at all (`json`, `dry_run`,
`sandbox`) is typed each time.
"""

OF_MODELS: Final = tuple(option for option in OPTIONS if option.has is not None)
"""Those that a model may lack."""
OF_PROFILES: Final = {option.name: option.kind for option in OPTIONS if option.in_profile}
"""Those that a profile may set, and what each takes."""
OF_MANIFESTS: Final = {option.name: option.kind for option in OPTIONS if option.in_manifest}
"""Those that a picture of a manifest may have, and what each takes."""
OF_REQUESTS: Final = (
    *(option.name for option in OF_MODELS if option.name != "references"),
    "callback_url",
)
"""Those that go from where they are said into `Options` as they are."""


def overlay(nearer: Mapping[str, object], further: Mapping[str, object]) -> dict[str, object]:
    """Lay what was said nearer to the picture over what was said further away from it.

    The one rule of what overrules what, typed over a profile, a row over `[defaults]` and over the
    command line: an option over itself, tables key by key (`set` is one); a size over a quality
    and a quality over a size, which are two words for one thing; a size in pixels over an aspect.
    None means: not said.

    >>> overlay({"size": "2048x1152"}, {"quality": "high", "aspect": "1:1", "seed": 7})
    {'seed': 7, 'size': '2048x1152'}
    >>> overlay({"set": {"a": 1}, "seed": None}, {"set": {"a": 2, "b": 3}})
    {'set': {'a': 1, 'b': 3}}
    """
    said = {name: value for name, value in nearer.items() if value is not None}
    kept = {
        name: value
        for name, value in further.items()
        if value is not None and not _is_overruled(name, said)
    }
    return merge(kept, said)


def _is_overruled(name: str, nearer: Mapping[str, object]) -> bool:
    match name:
        case "size":
            return "quality" in nearer
        case "quality":
            return "size" in nearer
        case "aspect" if "size" in nearer:
            from seedream_cli.request.sizes import is_pixels

            return is_pixels(str(nearer["size"]))
        case _:
            return False


def merge(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Lay one table over another key by key, and so the tables in them."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        is_both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if is_both else value  # type: ignore[arg-type]
    return merged
