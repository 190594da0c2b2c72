"""What `seedream __complete` answers at a TAB: profiles, models, job ids and names in manifests.

The rest of what a TAB offers is in the scripts of `completions/` and starts no Python.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NEWEST_JOBS: Final = 50
"""How many job ids a TAB offers."""
_MOST_MANIFEST: Final = 1 << 20
"""Bytes of a manifest that a TAB reads."""
_COLUMNS: Final = 72
"""How wide a description is shown."""


def answer(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Write to stdout what a script asks for by KIND [PROFILE|FILE]: `word<TAB>description` lines.

    Never fails: whatever it said would land in the middle of the line that a person types.
    """
    kind, said, *_ = (*arguments, "", "")
    try:
        lines = "".join(f"{line}\n" for line in words(kind, environ, said))
        os.write(1, lines.encode("utf-8", "replace"))
    except Exception:  # noqa: BLE001 - a TAB has nobody to report to
        return


def words(kind: str, environ: Mapping[str, str], said: str = "") -> list[str]:
    """Return `word<TAB>description` for each profile, model, job or row.

    `said` is the profile whose models are meant, or the manifest whose rows are.

    Creates nothing on disk. Raises where config or ledger are not sound.
    """
    from seedream_cli.core.text import clean, shorten

    match kind:
        case "profiles":
            # The scripts know the providers; a profile that is named as its own is one of them.
            found = {name: word for name, word in _profiles(environ).items() if name != word}
        case "written":
            found = _profiles(environ)
        case "models":
            found = _models(environ, said)
        case "jobs":
            found = _jobs(environ)
        case "unknown":
            found = _jobs(environ, state="unknown")
        case "rows":
            found = _rows(environ, said)
        case _:
            found = {}
    shown = {word: shorten(clean(text, one_line=True), _COLUMNS) for word, text in found.items()}
    # A tab or line break in a name would be two candidates to the shell.
    return [f"{word}\t{text}" for word, text in shown.items() if word and word.isprintable()]


def _profiles(environ: Mapping[str, str]) -> dict[str, str]:
    from seedream_cli.storage.config.file import load
    from seedream_cli.storage.config.places import places

    config = load(places(environ).config_file)
    return {name: raw.provider for name, raw in config.profiles.items()}


def _models(environ: Mapping[str, str], profile: str) -> dict[str, str]:
    """Return the living models of the line's provider; of all where that is not clear."""
    from seedream_cli.core.clock import SystemClock
    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.providers.customize import customize
    from seedream_cli.providers.spec import SHORT_NAMES
    from seedream_cli.storage.config.file import load
    from seedream_cli.storage.config.places import places
    from seedream_cli.storage.config.profiles import choose

    providers = list(PROVIDERS.values())
    try:
        config = load(places(environ).config_file)
        chosen = choose(config, environ, name=profile or None)
        providers = [customize(PROVIDERS[chosen.provider], chosen)]
    except SeedreamError:
        # Who has chosen no account yet may want any model.
        pass
    now = SystemClock().now()
    living = {each.name: each.living(now) for each in providers}
    short = {
        word: living[each.name][ids[-1]].label
        for each in providers
        for word, ids in each.short_names.items()
        if ids[-1] in living[each.name]
    }
    words = {word: short[word] for word in SHORT_NAMES if word in short}
    return words | {name: one.label for each in living.values() for name, one in each.items()}


def _rows(environ: Mapping[str, str], file: str) -> dict[str, str]:
    from pathlib import Path

    from seedream_cli.batch.manifest.read import kind_of, read
    from seedream_cli.storage.config.places import expand_home

    path = Path(expand_home(file, environ))
    text = path.read_bytes()[:_MOST_MANIFEST].decode("utf-8-sig", "replace")
    manifest = read(text, file=file, kind=kind_of(path.name), load=lambda _: "-")
    return {row.name: row.prompt for row in manifest.rows}


def _jobs(environ: Mapping[str, str], state: str | None = None) -> dict[str, str]:
    from seedream_cli.storage.config.places import places

    path = places(environ).state_dir / "ledger.db"
    # A TAB makes no ledger.
    if not path.exists():
        return {}
    from seedream_cli.storage.ledger.glance import newest_jobs

    return newest_jobs(path, NEWEST_JOBS, state=state)
