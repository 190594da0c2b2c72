"""The providers by name, each imported when it is taken: a command speaks to one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seedream_cli.providers.spec import Provider

_PLACES: Final = {
    "ark": "ark.dialect:ARK",
    "byteplus": "ark.dialect:BYTEPLUS",
    "kie": "kie.dialect:KIE",
    "kie-seedream": "kie.older:KIE_SEEDREAM",
    "uniall": "uniall:UNIALL",
    "seedreams": "seedreams.dialect:SEEDREAMS",
    "fal": "fal.dialect:FAL",
    "replicate": "replicate.dialect:REPLICATE",
    "openrouter": "openrouter.dialect:OPENROUTER",
    "wavespeed": "wavespeed.dialect:WAVESPEED",
    "openai-images": "openai_images:OPENAI_IMAGES",
}
"""Module below this one, and what it calls its provider."""


class _Providers(Mapping[str, "Provider"]):
    """The providers in the order in which people are shown them."""

    def __getitem__(self, name: str) -> Provider:
        module, _, attribute = _PLACES[name].partition(":")
        return cast("Provider", getattr(import_module(f"{__name__}.{module}"), attribute))

    def __contains__(self, name: object) -> bool:
        return name in _PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


PROVIDERS: Final[Mapping[str, Provider]] = _Providers()
