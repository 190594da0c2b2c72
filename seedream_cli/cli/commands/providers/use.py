"""`seedream providers use`: chooses who is asked where -p is not given."""

from __future__ import annotations

from contextlib import ExitStack

from seedream_cli.cli import options as o
from seedream_cli.cli.commands.providers.config_text import (
    ConfigText,
    print_result,
    say_default,
    write,
)
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output.progress import Plain
from seedream_cli.core.errors import UsageError


def use(name: o.AnyName, json: o.Json = False, quiet: o.Quiet = False) -> int:
    """Choose the profile or provider that works where -p is not given."""
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.storage.config.file import near
    from seedream_cli.storage.config.profiles import choose

    with ExitStack() as exits:
        context, say = CommandContext.of_process(exits), Plain(quiet=quiet)
        before = ConfigText.of(context)
        known = dict.fromkeys([*before.tables, *PROVIDERS])
        if name not in known:
            raise UsageError(f"there is no profile and no provider {name}", hint=near(name, known))
        profile = choose(context.config, {}, name=name)
        if name != before.default:
            write(before.file, before.text, name)
        say_default(context, name, say)
        print_result(name, "chosen", before.file, name, is_json=json, provider=profile.provider)
    return 0
