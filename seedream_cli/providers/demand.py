"""What a request body asks for, read back from its own fields: pictures, pixels, references.

A body is read as it will be sent, whoever wrote a field: a dialect, a profile or `--set`. What a
value does not tell is None, never a guess that could be too low.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from seedream_cli.core.pattern import pattern

if TYPE_CHECKING:
    from seedream_cli.providers.spec import Capabilities

_PIXELS: Final = pattern(r"([0-9]{1,6})x([0-9]{1,6})", re.IGNORECASE)
_SIDE: Final = pattern(r"([0-9]+(?:\.[0-9]+)?)K", re.IGNORECASE)
_WHOLE: Final = pattern(r"[0-9]{1,9}")


def count_of(value: object, default: int) -> int | None:
    """Return how many pictures a field for a count asks for; left out or null is `default`.

    None where it is no number from 1 on: a server may take `0`, `true` or a list for anything.

        left out, or null     the default
        3, 3.0, "3"           3
        0, true, [3]          None
    """
    match value:
        case None:
            return default
        case bool():
            return None
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case str() if _WHOLE.fullmatch(value.strip()):
            number = int(value)
        case _:
            return None
    return number if number >= 1 else None


def references_of(*values: object) -> int | None:
    """Return how many reference images these fields hold: addresses, objects, or lists of them."""
    total = 0
    for value in values:
        match value:
            case None:
                continue
            case str() | dict():
                total += 1
            case list() if all(isinstance(each, str | dict) for each in value):
                total += len(value)
            case _:
                return None
    return total


def area_of(capabilities: Capabilities | None, size: object) -> int | None:
    """Return the most pixels that a size brings, a keyword or WIDTHxHEIGHT; None: unknown.

    2560x1440, whatever the model     3,686,400
    2K, a model with a table          its largest picture of that size
    2K, nothing known                 None: the dearest is meant
    """
    if not isinstance(size, str):
        return None
    if pair := _PIXELS.fullmatch(size):
        return int(pair[1]) * int(pair[2])
    tables = capabilities.sizes if capabilities is not None else {}
    keyword = next((each for each in tables if each.casefold() == size.casefold()), None)
    if keyword is None:
        return None
    if table := tables[keyword]:
        # The bound of all ratios: which of them it will be does not matter for it.
        return max(made.pixels for made in table.values())
    side = _SIDE.fullmatch(keyword)
    return round(float(side[1]) * 1024) ** 2 if side else None


def keyword_of_quality(capabilities: Capabilities | None, word: object) -> str | None:
    """Return the size keyword that a provider's `quality` word stands for; None: unknown."""
    words = capabilities.quality if capabilities is not None else {}
    return next((keyword for keyword, each in words.items() if each == word), None)
