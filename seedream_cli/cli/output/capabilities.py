"""What `providers list` and `providers show` print: capabilities as people read them."""

from __future__ import annotations

import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.cli.output.job import hint_lines, problem_json, to_line
from seedream_cli.core.errors import ConfigError
from seedream_cli.core.model import Problem
from seedream_cli.core.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from seedream_cli.cli.context import CommandContext
    from seedream_cli.core.model import Profile
    from seedream_cli.providers.spec import Capabilities, Provider, Tariff

OTHER_TOOL = "seedream-cli"
"""A distribution on the package index that installs the same command."""


def overview(world: CommandContext, *, is_json: bool) -> Iterator[str]:
    """List providers, then profiles, each with where its key is."""
    from seedream_cli.providers import PROVIDERS

    profiles, mistakes = _split_profiles(world)
    if is_json:
        for profile in profiles:
            yield to_line(_profile_json(profile, PROVIDERS[profile.provider]))
        for name, error in mistakes.items():
            problem = problem_json(Problem(error.code, error.message, error.hint), error.hint)
            yield to_line({"schema": 1, "profile": name, "error": problem})
        return
    rows = [("NAME", "PROVIDER", "MODEL", "KEY")]
    for profile in profiles:
        provider = PROVIDERS[profile.provider]
        model = profile.model or provider.default_model or "-"
        rows.append((profile.name, provider.title, model, profile.key_source))
    yield from _table(rows)
    for name, error in mistakes.items():
        yield ""
        yield clean(f"{name} cannot be used: {error.message}{hint_lines(error.hint)}")
    yield ""
    if world.config.default_profile is not None:
        yield f"default  {world.config.default_profile}"
    yield f"config   {world.places.config_file}"
    yield f"ledger   {world.places.state_dir / 'ledger.db'}"
    yield "`providers show NAME` says what its models take."


def _unnamed(world: CommandContext) -> list[str]:
    from seedream_cli.providers import PROVIDERS

    return [name for name in PROVIDERS if name not in world.config.names]


def _split_profiles(world: CommandContext) -> tuple[list[Profile], dict[str, ConfigError]]:
    """Return the profiles that can be used, and why the others cannot."""
    found, mistakes = [], {}
    for name in [*world.config.names, *_unnamed(world)]:
        try:
            found.append(world.profile(name))
        except ConfigError as error:
            mistakes[name] = error
    return found, mistakes


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


def profile(profile: Profile, *, is_json: bool, now: datetime) -> Iterator[str]:
    """Show one profile, the origin of each value, and its provider's models."""
    from seedream_cli.providers import PROVIDERS

    provider = PROVIDERS[profile.provider]
    if is_json:
        yield to_line(_profile_json(profile, provider, models_at=now))
        return
    values = {
        "provider": provider.title,
        "base_url": profile.base_url,
        "upload_base_url": profile.upload_base_url,
        "list_base_url": profile.list_base_url,
        "api_key": "****" if profile.api_key else "(looked up when needed)",
        "model": profile.model or provider.default_model or "no choice of model",
        "output": profile.output or "{slug}-{job}.{ext}",
        "image_hosts": profile.image_hosts,
        "budget": profile.budget,
        **profile.defaults,
    }
    yield f"{profile.name} ({profile.origins.get('profile', '')})"
    rows = [(key, str(value), profile.origins.get(key, "")) for key, value in values.items()]
    yield from (f"  {line}" for line in _table([row for row in rows if row[1] != "None"]))
    yield f"  docs     {provider.docs}"
    yield f"  charges  {provider.charges_page}"
    yield ""
    models = [_model_row(name, model, now) for name, model in provider.models.items()]
    yield from _table([_MODEL_HEADS, *models])


def served(origin: str) -> Iterator[str]:
    """Say what a sandbox server answers for, as lines of a config."""
    from seedream_cli.providers import PROVIDERS

    yield "any key works; one with “wrong” or “no-credit” in it is refused. As base_url:"
    yield from (f"  {name:<13} {origin}{each.sandbox_path}" for name, each in PROVIDERS.items())
    yield "Ctrl-C ends it."


_MODEL_HEADS = ("MODEL", "SIZES", "ASPECTS", "FORMATS", "REFS", "SET", "PRICE")


def _model_row(name: str, model: Capabilities, now: datetime) -> tuple[str, ...]:
    low, high = model.references
    return (
        name or "(the only one)",
        " ".join(model.sizes) + (" WxH" if model.pixels else "") or "-",
        aspects(model),
        " ".join(model.formats),
        "-" if high == 0 else str(high) if low == 0 else f"{low}-{high}",
        str(model.max_series) if model.max_series > 1 else "-",
        _standing(model, now),
    )


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
    shown = model.aspects if len(model.aspects) <= 3 else model.aspects[:2]  # noqa: PLR2004 - room
    more = len(model.aspects) - len(shown)
    return " ".join(shown) + (f" +{more}" if more else "") or "-"


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
    if models_at is not None:
        found["models"] = {
            name: _model_json(model, models_at) for name, model in provider.models.items()
        }
    return found


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


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    rows = [tuple(clean(cell, one_line=True) for cell in row) for row in rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))] if rows else []
    for row in rows:
        yield "  ".join(f"{cell:<{room}}" for cell, room in zip(row, widths, strict=True)).rstrip()
