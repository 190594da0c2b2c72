"""A provider as one account has it: with the models, prices and habits that its profile names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Size
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import replace
from seedream_cli.providers.spec import Capabilities, Tariff, Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import ModelTerms, Money, Profile
    from seedream_cli.providers.spec import Provider

FREE_SIZE: Final = "WxH"
"""Among the sizes of a model: any width and height."""

_PIXELS: Final = pattern(r"([1-9][0-9]{0,5})[xX]([1-9][0-9]{0,5})")
_NEVER_SAID: Final = frozenset({"quality", "seed", "guidance", "steps", "watermark"})
_ANY_PIXELS: Final = (1, 10**9)
_MOST: Final = 1000
"""Reference images, where nobody says how many."""


def customize(provider: Provider, profile: Profile) -> Provider:
    """Return a provider with what a profile says of it; the same where it says nothing.

    A model that is known keeps what the profile does not mention, its list price but for `price`.

        a price for a known model       its own limits, that price
        an id that nobody knows         only what the profile says of it; the rest is not checked
    """
    if not provider.base_url:
        from seedream_cli.providers.openai_images import of_gateway

        provider = of_gateway(profile.gateway)
    provider = provider.at(profile.base_url)
    if not profile.models:
        return provider
    models = dict(provider.models)
    for name, terms in profile.models.items():
        known = models.get(name)
        models[name] = _describe(name, terms) if known is None else _amend(known, terms)
    provider = replace(provider, models=models)
    # A gateway with one model has no choice to make.
    if provider.default_model == "" and len(models) == 1:
        provider = replace(provider, default_model=next(iter(models)))
    return provider


def _describe(name: str, terms: ModelTerms) -> Capabilities:
    """Return a model of which nothing is known but what is said."""
    said = {option for option in ("references", "series") if getattr(terms, option) is not None}
    said |= {"size"} if terms.sizes is not None else set()
    said |= {"aspect"} if terms.aspects is not None else set()
    said |= {"format"} if terms.formats is not None else set()
    every = {"size", "aspect", "format", "references", "series"} | _NEVER_SAID
    formats = terms.formats or ()
    return Capabilities(
        label=terms.label or name,
        sizes=_sizes(terms, {}),
        default_size=None,
        aspects=terms.aspects or (),
        pixels=_ANY_PIXELS if FREE_SIZE in (terms.sizes or ()) else None,
        formats=formats,
        picks_format=len(formats) > 1,
        references=(0, _MOST if terms.references is None else terms.references),
        max_series=terms.series or 1,
        tariff=_tariff(terms.price, None) if terms.price else None,
        unsaid=frozenset(every - said),
    )


def _amend(known: Capabilities, terms: ModelTerms) -> Capabilities:
    sizes = known.sizes if terms.sizes is None else _sizes(terms, known.sizes)
    pixels = known.pixels
    if terms.sizes is not None:
        pixels = (known.pixels or _ANY_PIXELS) if FREE_SIZE in terms.sizes else None
    references, most = known.references, terms.references
    return replace(
        known,
        label=terms.label or known.label,
        sizes=sizes,
        # The list of sizes may have lost the default.
        default_size=known.default_size if known.default_size in sizes else next(iter(sizes), None),
        pixels=pixels,
        aspects=known.aspects if terms.aspects is None else terms.aspects,
        any_aspect=known.any_aspect and terms.aspects is None,
        formats=terms.formats or known.formats,
        references=references if most is None else (min(references[0], most), most),
        max_series=terms.series or known.max_series,
        tariff=_tariff(terms.price, known.tariff) if terms.price else known.tariff,
    )


def _sizes(
    terms: ModelTerms, known: Mapping[str, Mapping[str, Size]]
) -> dict[str, Mapping[str, Size]]:
    """Return the table of the sizes that are said; pixels are a size of their own ratio."""
    found: dict[str, Mapping[str, Size]] = {}
    for word in terms.sizes or ():
        pixels = _PIXELS.fullmatch(word)
        if pixels is not None:
            size = Size(int(pixels[1]), int(pixels[2]))
            found[str(size)] = {f"{size.width}:{size.height}": size}
        elif word != FREE_SIZE:
            found[word] = known.get(word, {})
    return found


def _tariff(price: Money, known: Tariff | None) -> Tariff:
    """Return one price for every size; what references cost stays, in the same currency."""
    tiers = (Tier(amount=price.amount),)
    if known is not None and known.currency == price.currency:
        return replace(known, tiers=tiers)
    return Tariff(currency=price.currency, tiers=tiers)
