"""`seedream providers`: its commands, a file each."""

from __future__ import annotations

from typing import ClassVar

import typer

from seedream_cli.cli import options as o
from seedream_cli.cli.help import Group


class _Providers(Group):
    table: ClassVar = {
        "list": (
            "providers.list:list_all",
            "List the providers and profiles, and which of them have a key.",
        ),
        "show": (
            "providers.show:show",
            "Show a profile: where each value comes from, and what each model takes and makes.",
        ),
        "check": (
            "providers.check:check",
            "Prove a key with one free call, where the provider has one.",
        ),
        "add": (
            "providers.add:add",
            "Write an account into the config file: a name, a provider, where its key is.",
        ),
        "set": (
            "providers.set:set_value",
            "Change one value of a profile; all else of the file stays.",
        ),
        "use": (
            "providers.use:use",
            "Choose the profile or provider that works where -p is not given.",
        ),
        "remove": (
            "providers.remove:remove",
            "Take a profile out of the config file; its jobs and pictures stay.",
        ),
        "sandbox": (
            "providers.sandbox:sandbox",
            "Serve a stand-in for every provider on this machine, until Ctrl-C.",
        ),
    }


providers = typer.Typer(
    name="providers", cls=_Providers, add_completion=False, rich_markup_mode=None
)


@providers.callback(invoke_without_command=True)
def _run(context: typer.Context, json: o.Json = False) -> int:
    """List providers and models, keep accounts, check keys, serve the sandbox."""
    if context.invoked_subcommand is not None:
        return 0
    from seedream_cli.cli.commands.providers.list import list_all

    return list_all(json=json)
