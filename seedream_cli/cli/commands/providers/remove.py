"""`seedream providers remove`: takes an account out of the config file."""

from __future__ import annotations

from contextlib import ExitStack

from seedream_cli.cli import options as o
from seedream_cli.cli.commands.providers.config_text import ConfigText, print_result, write
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output.progress import Plain
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.text import shell_line


def remove(
    name: o.OldName, yes: o.Yes = False, json: o.Json = False, quiet: o.Quiet = False
) -> int:
    """Take a profile out of the config file; its jobs and pictures stay."""
    from seedream_cli.storage.config.file import without_profile

    with ExitStack() as exits:
        context, say = CommandContext.of_process(exits), Plain(quiet=quiet)
        before = ConfigText.of(context)
        text = without_profile(before.text, name)
        _warn_of_jobs(context, name, say, is_sure=yes)
        write(before.file, text, None)
        say.say(f"removed from {before.file}")
        chosen = before.default
        if chosen == name:
            chosen = None
            say.say("it was the default; `providers use` chooses another")
        print_result(name, "removed", before.file, chosen, is_json=json)
    return 0


def _warn_of_jobs(context: CommandContext, name: str, say: Plain, *, is_sure: bool) -> None:
    """Name the jobs that only this profile can ask about; raise UsageError unless `is_sure`."""
    try:
        jobs = _unfinished(context, name)
    except StorageError:
        if not is_sure:
            raise
        jobs = []
    if not jobs:
        return
    few = ", ".join(jobs[:5]) + (" …" if len(jobs) > 5 else "")  # noqa: PLR2004 - a line's worth
    count = f"{len(jobs)} jobs" if len(jobs) > 1 else "a job"
    message = f"{count} bought with {name} cannot be asked about without it: {few}"
    if not is_sure:
        raise UsageError(
            f"{message}; nothing was removed",
            hint="first save what they made:\nseedream download\nor give them up:\n"
            + shell_line(["seedream", "providers", "remove", name, "--yes"]),
        )
    say.say(message, is_error=True)


def _unfinished(context: CommandContext, name: str) -> list[str]:
    # The ledger makes what it does not find.
    if not context.has_ledger:
        return []
    return [job.id for job in context.ledger.list_unfinished_with(name)]
