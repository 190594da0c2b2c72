"""Looks at a profile before it is written: what no run could use, and what may be a mistake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seedream_cli.core.errors import ConfigError, UsageError
from seedream_cli.core.paths import is_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.cli.commands.providers.config_text import ConfigText
    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.core.model import Profile


def checked_profile(before: ConfigText, name: str, table: Mapping[str, object]) -> Profile:
    """Return the profile as a run would see it; raise UsageError where no run could use it."""
    from seedream_cli.storage.config.file import parse, with_profile
    from seedream_cli.storage.config.profiles import choose

    try:
        profile = choose(parse(with_profile("", name, table), before.file), {}, name=name)
    except ConfigError as error:
        # Its line is that of a file that will not be written.
        said = re.sub(r"\A(:\d+)?: ", "", error.message.removeprefix(str(before.file)))
        raise UsageError(f"nothing was written: {said}", hint=error.hint) from error
    before.with_profile(name, table)
    return profile


def look_over(
    context: CommandContext, profile: Profile, table: Mapping[str, object], say: Plain
) -> None:
    """Say what may be a mistake; raise UsageError for what is one at every purchase."""
    from seedream_cli.storage.files import naming

    if profile.output == "-":
        raise UsageError("a profile's output is a folder or a template, not stdout")
    if profile.output is not None:
        naming.plan(profile.output, base="/", many=True)
    for note in [*_notes_on_model(context, profile), *_notes_on_key(context, table)]:
        say.say(note)


def _notes_on_model(context: CommandContext, profile: Profile) -> list[str]:
    """Look at the model that every purchase would be of; raise UsageError where it cannot be."""
    from seedream_cli.core.model import Options
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.request.findings import Findings
    from seedream_cli.request.model_choice import choose, retirement

    provider, findings = PROVIDERS[profile.provider], Findings()
    if profile.model is None and provider.default_model == "":
        return []  # it is typed each time
    options = Options(prompt="", model=profile.model, validate=False)
    others = (one for one in PROVIDERS.values() if one is not provider)
    now = context.clock.now()
    model, _ = choose(provider, options, others, findings, now)
    findings.raise_all()
    note = retirement(provider, model, now, lambda _: True)
    return [*findings.notes, *([note] if note else [])]


def _notes_on_key(context: CommandContext, table: Mapping[str, object]) -> list[str]:
    """Look whether the key's place is there; none is named: a key may have been typed for one."""
    import shutil

    from seedream_cli.storage.config.places import expand_home

    match table:
        case {"api_key_command": [str(program), *_]}:
            found = shutil.which(program, path=context.environ.get("PATH"))
            return [] if found else ["the program of --key-command is not on PATH"]
        case {"api_key_file": str(path)}:
            # Mounted secrets often come later than the config.
            there = is_file(expand_home(path, context.environ))
            return [] if there else ["the file of --key-file is not there yet"]
        case _:
            return []
