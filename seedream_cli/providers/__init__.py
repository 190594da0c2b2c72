"""The providers by name, each imported when it is taken: a command speaks to one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seedream_cli.providers.spec import Provider

_TABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "ark": ("ark.dialect:ARK", "ARK_API_KEY"),
    "byteplus": ("ark.dialect:BYTEPLUS", "BYTEPLUS_API_KEY"),
    "kie": ("kie.dialect:KIE", "KIE_API_KEY"),
    "kie-seedream": ("kie.older:KIE_SEEDREAM", "KIE_API_KEY"),
    "uniall": ("uniall:UNIALL", "UNIALL_API_KEY"),
    "seedreams": ("seedreams.dialect:SEEDREAMS", "SEEDREAMS_API_KEY"),
    "fal": ("fal.dialect:FAL", "FAL_KEY"),
    "replicate": ("replicate.dialect:REPLICATE", "REPLICATE_API_TOKEN"),
    "openrouter": ("openrouter.dialect:OPENROUTER", "OPENROUTER_API_KEY"),
    "wavespeed": ("wavespeed.dialect:WAVESPEED", "WAVESPEED_API_KEY"),
    "openai-images": ("openai_images:OPENAI_IMAGES",),
}
"""Module below this one and what it calls its provider, then the variables that choose it."""
KEY_VARIABLES: Final = {name: tuple(variables) for name, (_, *variables) in _TABLE.items()}
"""Each provider's `key_env`: which one is meant is told without importing it."""


class _Providers(Mapping[str, "Provider"]):
    """The providers in the order in which people are shown them."""

    def __getitem__(self, name: str) -> Provider:
        module, _, attribute = _TABLE[name][0].partition(":")
        return cast("Provider", getattr(import_module(f"{__name__}.{module}"), attribute))

    def __contains__(self, name: object) -> bool:
        return name in _TABLE

    def __iter__(self) -> Iterator[str]:
        return iter(_TABLE)

    def __len__(self) -> int:
        return len(_TABLE)


PROVIDERS: Final[Mapping[str, Provider]] = _Providers()
