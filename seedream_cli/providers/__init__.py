"""The providers, as one literal mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.providers.ark.dialect import ARK, BYTEPLUS
from seedream_cli.providers.fal.dialect import FAL
from seedream_cli.providers.kie.dialect import KIE
from seedream_cli.providers.kie.older import KIE_SEEDREAM
from seedream_cli.providers.openai_images import OPENAI_IMAGES
from seedream_cli.providers.openrouter.dialect import OPENROUTER
from seedream_cli.providers.replicate.dialect import REPLICATE
from seedream_cli.providers.seedreams.dialect import SEEDREAMS
from seedream_cli.providers.uniall import UNIALL
from seedream_cli.providers.wavespeed.dialect import WAVESPEED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.providers.spec import Provider

PROVIDERS: Final[Mapping[str, Provider]] = {
    "ark": ARK,
    "byteplus": BYTEPLUS,
    "kie": KIE,
    "kie-seedream": KIE_SEEDREAM,
    "uniall": UNIALL,
    "seedreams": SEEDREAMS,
    "fal": FAL,
    "replicate": REPLICATE,
    "openrouter": OPENROUTER,
    "wavespeed": WAVESPEED,
    "openai-images": OPENAI_IMAGES,
}
