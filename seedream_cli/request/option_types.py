"""What each option takes, in words and as a test: profiles and manifests are held against it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPTIONS: Final[Mapping[str, str]] = {
    "size": "a text",
    "aspect": "a text",
    "count": "a whole number from 1",
    "series": "a whole number from 1",
    "seed": "a whole number",
    "guidance": "a number",
    "steps": "a whole number from 1",
    "quality": "a text",
    "format": '"png" or "jpeg"',
    "watermark": "true or false",
    "set": "a table that JSON can hold",
    "callback_url": "a text",
    "wait": "true or false",
    "timeout": "a number above 0",
    "any_format": "true or false",
    "sidecar": "true or false",
}
"""The options of `generate` that a file may set, and what each takes.

What would change where a result goes or whether money is spent at all (`json`, `dry_run`,
`sandbox`) is typed each time.
"""


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
    "a number above 0": lambda value: (
        isinstance(value, int | float) and _is_number(value) and value > 0
    ),
    "a list of texts": lambda value: (
        isinstance(value, list) and bool(value) and all(map(_is_text, value))
    ),
    "a table that JSON can hold": lambda value: isinstance(value, dict) and _is_json(value),
}
"""What the words above mean for a value as TOML or JSON gives it."""
