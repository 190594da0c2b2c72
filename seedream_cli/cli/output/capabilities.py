"""What `providers list` and `providers show` print: capabilities as people read them."""

from __future__ import annotations

import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.cli.output.job import hint_lines, problem_json, to_line
from seedream_cli.cli.output.layout import fits, lay_out, place, terminal_width, wrap
from seedream_cli.core.errors import ConfigError
from seedream_cli.core.model import Problem
from seedream_cli.core.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from seedream_cli.cli.context import CommandContext
    from seedream_cli.core.model import Profile
    from seedream_cli.providers.spec import Capabilities, Provider, Tariff

_KEY_ROOM = 12
OTHER_TOOL = "seedream-cli"
"""A distribution on the package index that installs the same command."""


def overview(world: CommandContext, *, is_json: bool) -> Iterator[str]:
    """List profiles and providers, each with where its key is; what has one comes first."""
    from seedream_cli.storage.config.profiles import NOT_SET

    accounts, mistakes, gateways = _split_profiles(world)
    if is_json:
        for profile, lack in accounts:
            key = {"has_key": not lack, "key_problem": lack or None}
            yield to_line(_profile_json(profile, world.provider(profile)) | key)
        for name in gateways:
            yield to_line({"schema": 1, "profile": name, "provider": name, "has_key": False})
        for name, error in mistakes.items():
            problem = problem_json(Problem(error.code, error.message, error.hint), error.hint)
            yield to_line({"schema": 1, "profile": name, "error": problem})
        return
    width = terminal_width()
    rows = [("NAME", "MODEL", "KEY")]
    for profile, lack in accounts:
        name = profile.name
        name += f" ({profile.provider})" if name != profile.provider else ""
        model = profile.model or world.provider(profile).default_model or "-"
        rows.append((name, model, _key_cell(profile, lack, world.config.path.name)))
    rows += [(name, "-", "in a profile") for name in gateways]
    yield from lay_out(rows, width, droppable=(1,), least_room=_KEY_ROOM)
    for profile, lack in accounts:
        if lack and lack != NOT_SET:
            yield ""
            yield from wrap(f"{profile.name} has no key: {profile.key_source}: {lack}", width)
    for name, error in mistakes.items():
        yield ""
        yield from wrap(f"{name} cannot be used: {error.message}", width)
        yield from hint_lines(error.hint).splitlines()[1:]
    yield ""
    if world.config.default_profile is not None:
        yield f"default  {clean(world.config.default_profile, one_line=True)}"
    yield from place("config", world.places.config_file, width)
    yield from place("ledger", world.places.state_dir / "ledger.db", width)
    yield from wrap("`providers show NAME` says what its models take.", width)


def _key_cell(profile: Profile, lack: str, config: str) -> str:
    """Say where a key is, or is not: `KIE_API_KEY`, `no ARK_API_KEY`, `dead: api_key_file`."""
    from seedream_cli.storage.config.profiles import NOT_SET

    source = profile.key_source.removeprefix(f"{config}: ").removeprefix("environment ")
    source = source.partition(" ")[0].rstrip(":,")
    return f"no {source}" if lack == NOT_SET else f"dead: {source}" if lack else source


def _split_profiles(
    world: CommandContext,
) -> tuple[list[tuple[Profile, str]], dict[str, ConfigError], list[str]]:
    """Return the usable accounts, why others are not usable, and what only a profile makes one.

    An account comes with what its key lacks; those that lack nothing come first.
    """
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.storage.config.profiles import lack_of_key

    found: list[tuple[Profile, str]] = []
    mistakes: dict[str, ConfigError] = {}
    gateways = [name for name, each in PROVIDERS.items() if not each.base_url]
    for name in dict.fromkeys([*world.config.names, *PROVIDERS]):
        if name in gateways and name not in world.config.names:
            continue
        try:
            profile = world.profile(name)
        except ConfigError as error:
            mistakes[name] = error
        else:
            found.append((profile, lack_of_key(profile, world.config, world.environ)))
    found.sort(key=lambda account: bool(account[1]))
    return found, mistakes, [name for name in gateways if name not in world.config.names]


def strangers() -> Iterator[str]:
    """Warn of another installed tool that claims the command `seedream`."""
    # Looked for by hand first: to import importlib.metadata takes longer than all else here.
    if not any(any(Path(folder).glob("seedream_cli[-.]*info")) for folder in sys.path):
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(OTHER_TOOL)
    except PackageNotFoundError:
        return
    yield (
        f"{OTHER_TOOL} {found} is installed too and brings a command of the same name;"
        f" `pip uninstall {OTHER_TOOL}` and install seedream again, or use python -m seedream_cli"
    )


def profile(profile: Profile, provider: Provider, *, is_json: bool, now: datetime) -> Iterator[str]:
    """Show one profile, the origin of each value, and its provider's models."""
    if is_json:
        yield to_line(_profile_json(profile, provider, models_at=now))
        return
    values = {
        "provider": provider.title,
        "base_url": profile.base_url,
        "upload_base_url": profile.upload_base_url,
        "list_base_url": profile.list_base_url,
        "api_key": "****" if profile.api_key else "(looked up when needed)",
        "model": profile.model or provider.default_model or _no_model(provider),
        "output": profile.output or "{slug}-{job}.{ext}",
        "image_hosts": profile.image_hosts,
        "budget": profile.budget,
        **profile.defaults,
    }
    yield f"{profile.name} ({profile.origins.get('profile', '')})"
    rows = [(key, str(value), profile.origins.get(key, "")) for key, value in values.items()]
    width = terminal_width()
    shown = lay_out([row for row in rows if row[1] != "None"], width - 2)
    yield from (f"  {line}" for line in shown)
    yield f"  docs     {provider.docs}"
    yield f"  charges  {provider.charges_page}"
    yield ""
    if not provider.models:
        words = (
            "No models are known here: -m ID, and"
            f' [profiles.{profile.name}.models."ID"] for prices.'
        )
        yield from wrap(words, width)
        return
    yield from _models(provider, now, width)


def all_models(providers: Iterable[Provider], *, is_json: bool, now: datetime) -> Iterator[str]:
    """Show what every provider's models take and cost, for whoever has no key yet."""
    width = terminal_width()
    for provider in providers:
        if is_json:
            yield to_line(_models_json(provider, now) | {"provider": provider.name})
        elif provider.models:
            yield from wrap(f"{provider.name}: {provider.title}", width)
            yield from _models(provider, now, width)
            yield ""
    if not is_json:
        yield "seedream providers add"


def _models(provider: Provider, now: datetime, width: int) -> Iterator[str]:
    """Show a provider's models, those that live first where all together would be too wide."""
    rows = {name: _model_row(name, model, now) for name, model in provider.models.items()}
    living, gone = provider.living(now), dict[str, tuple[str, ...]]()
    if not fits([_MODEL_HEADS, *rows.values()], width):
        gone = {name: row for name, row in rows.items() if name not in living}
    shown = [row for name, row in rows.items() if name not in gone]
    if shown:
        yield from lay_out([_MODEL_HEADS, *shown], width, heads=_MODEL_HEADS)
    if gone:
        yield ""
        ended = [_ended(name, provider.models[name]) for name in gone]
        yield from lay_out([_ENDED_HEADS, *ended], width, heads=_ENDED_HEADS)
    if short := [(word, ids[-1]) for word, ids in provider.short_names.items()]:
        yield ""
        yield from lay_out([("-m", "MODEL"), *short], width)


def served(origin: str) -> Iterator[str]:
    """Say what a sandbox server answers for, as lines of a config."""
    from seedream_cli.providers import PROVIDERS

    yield "any key works; one with “wrong” or “no-credit” in it is refused. As base_url:"
    yield from (f"  {name:<13} {origin}{each.sandbox_path}" for name, each in PROVIDERS.items())
    yield "Ctrl-C ends it."


def _no_model(provider: Provider) -> str:
    return "no choice of model" if provider.default_model is None else "none: -m ID"


_MODEL_HEADS = ("MODEL", "SIZES", "ASPECTS", "FORMATS", "REFS", "SET", "PRICE")
_ENDED_HEADS = ("RETIRED", "ON", "INSTEAD")


def _ended(name: str, model: Capabilities) -> tuple[str, ...]:
    way = f"-m {model.successor}" if model.successor else "-"
    return name, f"{model.retired_at:%Y-%m-%d}", way


def _model_row(name: str, model: Capabilities, now: datetime) -> tuple[str, ...]:
    low, high = model.references
    cells = {
        "size": " ".join(model.sizes) + (" WxH" if model.pixels else "") or "-",
        "aspect": aspects(model),
        "format": " ".join(model.formats),
        "references": "-" if high == 0 else str(high) if low == 0 else f"{low}-{high}",
        "series": str(model.max_series) if model.max_series > 1 else "-",
    }
    cells |= {option: "?" for option in cells if option in (model.unsaid or ())}
    return name or "(the only one)", *cells.values(), _standing(model, now)


def _standing(model: Capabilities, now: datetime) -> str:
    """Say what a picture costs, and until when; of a retired model, what to use instead."""
    if not model.is_retired(now):
        return f"{tariff(model.tariff)}{until(model)}"
    ended = f"retired {model.retired_at:%Y-%m-%d}"
    return f"{ended}: -m {model.successor}" if model.successor else ended


def until(model: Capabilities) -> str:
    """Say when a model ends; empty where no end is announced."""
    return f" until {model.retired_at:%Y-%m-%d}" if model.retired_at else ""


def aspects(model: Capabilities) -> str:
    """Say which ratios a model takes."""
    if model.any_aspect:
        return "any 1:16-16:1"
    return " ".join(model.aspects) or "-"


def tariff(found: Tariff | None) -> str:
    """Say what a picture costs."""
    if found is None:
        return "?"
    amounts = " / ".join(f"{tier.amount.normalize():f}" for tier in found.tiers)
    return f"{amounts} {found.currency}"


def _profile_json(
    profile: Profile, provider: Provider, *, models_at: datetime | None = None
) -> dict[str, object]:
    found: dict[str, object] = {
        "schema": 1,
        "profile": profile.name,
        "provider": provider.name,
        "title": provider.title,
        "base_url": profile.base_url,
        "key_source": profile.key_source,
        "model": profile.model or provider.default_model,
        "output": profile.output,
        "budget": str(profile.budget) if profile.budget else None,
        "defaults": dict(profile.defaults),
        "origins": dict(profile.origins),
        "docs": provider.docs,
        "charges_page": provider.charges_page,
    }
    return found if models_at is None else found | _models_json(provider, models_at)


def _models_json(provider: Provider, now: datetime) -> dict[str, object]:
    return {
        "schema": 1,
        "short_names": {word: ids[-1] for word, ids in provider.short_names.items()},
        "models": {name: _model_json(model, now) for name, model in provider.models.items()},
    }


def _model_json(model: Capabilities, now: datetime) -> dict[str, object]:
    tiers = model.tariff.tiers if model.tariff else ()
    return {
        "label": model.label,
        "sizes": {
            keyword: {aspect: str(size) for aspect, size in table.items()}
            for keyword, table in model.sizes.items()
        },
        "default_size": model.default_size,
        "aspects": list(model.aspects),
        "any_aspect": model.any_aspect,
        "pixels": list(model.pixels) if model.pixels else None,
        "min_side": model.min_side,
        "max_side": model.max_side,
        "formats": list(model.formats),
        "picks_format": model.picks_format,
        "references": list(model.references),
        "max_series": model.max_series,
        "max_count": model.max_count,
        "quality": dict(model.quality),
        "prompt": list(model.prompt),
        "edit_twin": model.edit_twin,
        "text_twin": model.text_twin,
        "price": [
            {"amount": float(tier.amount), "pixels": tier.pixels, "currency": model.tariff.currency}
            for tier in tiers
            if model.tariff
        ],
        "retired": model.is_retired(now),
        "retired_at": model.retired_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if model.retired_at
        else None,
        "successor": model.successor,
    }
