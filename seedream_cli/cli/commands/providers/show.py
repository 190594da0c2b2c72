"""`seedream providers show`: what a profile says, and what its provider's models take."""

from __future__ import annotations

from contextlib import ExitStack

from seedream_cli.cli import options as o
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output import capabilities
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import AccountError
from seedream_cli.providers import PROVIDERS


def show(name: o.AccountName = None, sandbox: o.Sandbox = False, json: o.Json = False) -> int:
    """Show a profile: where each value comes from, and what each model takes and makes."""
    with ExitStack() as exits:
        context, stdout = CommandContext.of_process(exits), Stdout()
        try:
            profile = context.profile(name, sandbox=sandbox)
        except AccountError:  # nobody is chosen, for there is no key
            now = context.today(sandbox=False)
            for line in capabilities.all_models(PROVIDERS.values(), is_json=json, now=now):
                stdout.line(line)
            return 0
        now = context.today(sandbox=profile.sandbox)
        for line in capabilities.profile(profile, context.provider(profile), is_json=json, now=now):
            stdout.line(line)
    return 0
