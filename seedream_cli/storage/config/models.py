"""Reads what a profile says of its models, and of how its gateway speaks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import ConfigError
from seedream_cli.core.model import Gateway, ModelTerms, Money
from seedream_cli.core.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "edits": ("json|multipart|generations", '"json", "multipart" or "generations"'),
    "references": ("inline|url", '"inline" or "url"'),
    "size_fields": ("size|width-height", '"size" or "width-height"'),
    "response_format": ("[a-z0-9_]{1,32}", 'a word like "url" or "b64_json"'),
    "image_field": (r"[A-Za-z_][A-Za-z0-9_]{0,63}(\[\])?", 'a field\'s name like "image[]"'),
}
GATEWAY_FIELDS: Final = dict.fromkeys(_WORDS, "a text")
"""Keys of a profile that only a gateway has."""
_PRICE: Final = pattern(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([A-Za-z]{3})")


def read_gateway(table: Mapping[str, object], where: Callable[..., str]) -> Gateway | None:
    """Return how a profile's gateway speaks; None where it says nothing of that."""
    said = {key: str(table[key]) for key in _WORDS if key in table}
    for key, value in said.items():
        pattern, words = _WORDS[key]
        if re.fullmatch(pattern, value) is None:
            raise ConfigError(f"{where(key)}: {key} must be {words}")
    return Gateway(**said) if said else None  # type: ignore[arg-type]  # by the patterns


def read_models(table: object, where: Callable[..., str]) -> dict[str, ModelTerms]:
    """Return what `[profiles.NAME.models."ID"]` tables say, by id; raise `ConfigError`."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where('models')}: models must hold tables", hint=_hint())
    return {name: _terms(name, terms, where) for name, terms in table.items()}


def _terms(name: str, table: object, where: Callable[..., str]) -> ModelTerms:
    at, whole = f"{where('models', name)}.models.{name}", re.fullmatch(r"[!-~]{0,200}", name)
    if whole is None or not isinstance(table, dict):
        raise ConfigError(f"{at} is no table of a model", hint=_hint(name))
    found: dict[str, object] = {}
    for key, value in table.items():
        at = f"{where('models', name, key)}.models.{name}.{key}"
        if key not in _TERMS:
            raise ConfigError(f"{at} is not known", hint=f"known: {', '.join(_TERMS)}")
        read, words = _TERMS[key]
        found[key] = read(value)
        if found[key] is None:
            raise ConfigError(f"{at} must be {words}")
    return ModelTerms(**found)  # type: ignore[arg-type]  # each was read as its own kind


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _price(value: object) -> Money | None:
    from decimal import Decimal

    match = _PRICE.fullmatch(value.strip()) if isinstance(value, str) else None
    amount = Decimal(match[1]) if match else Decimal(0)
    return Money(amount, match[2].upper()) if match and amount else None


def _each(pattern: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, list) or not value:
            return None
        if not all(isinstance(each, str) and re.fullmatch(pattern, each) for each in value):
            return None
        return tuple(dict.fromkeys(value))

    return read


def _within(least: int, most: int) -> Callable[[object], object]:
    return lambda value: value if type(value) is int and least <= value <= most else None


def _hint(name: str = "ID") -> str:
    return f'write [profiles.NAME.models."{name}"], and below it price = "0.04 USD"'


_TERMS: Final[Mapping[str, tuple[Callable[[object], object], str]]] = {
    "label": (_text, "a text"),
    "price": (_price, 'what one picture costs at most, like "0.04 USD"'),
    "sizes": (
        _each("[A-Za-z0-9][A-Za-z0-9._-]{0,31}"),
        'a list of sizes like "2K", "1024x1024", and "WxH" for any width and height',
    ),
    "aspects": (_each("[1-9][0-9]{0,3}:[1-9][0-9]{0,3}"), 'a list of ratios like "16:9"'),
    "formats": (_each("png|jpeg"), 'a list of "png" and "jpeg", the default first'),
    "references": (_within(0, 1000), "a whole number from 0 to 1000"),
    "series": (_within(1, 1000), "a whole number from 1 to 1000"),
}
"""Keys of a model's table: what reads the value (None: it cannot be), and what it has to be."""
