"""`seedream providers set`: changes one value of a profile."""

from __future__ import annotations

from contextlib import ExitStack

from seedream_cli.cli import options as o
from seedream_cli.cli.commands.providers.config_text import ConfigText, print_result, write
from seedream_cli.cli.commands.providers.profile_checks import checked_profile, look_over
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output.progress import Plain
from seedream_cli.core.errors import UsageError
from seedream_cli.core.text import shell_line


def set_value(
    name: o.OldName,
    key: o.ValueKey,
    value: o.Value,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Change one value of a profile; all else of the file stays."""
    from seedream_cli.storage.config.file import outline, value_of, with_value

    if key == "api_key":
        raise UsageError(
            "a key on a command line stays in the shell's history, and others can see it",
            hint=shell_line(["seedream", "providers", "add", name])
            + "\nasks for it unseen, or: providers set NAME api_key_env VARIABLE",
        )
    key = key.replace("-", "_")
    with ExitStack() as exits:
        context, say = CommandContext.of_process(exits), Plain(quiet=quiet)
        before = ConfigText.of(context)
        text = with_value(before.text, name, key, value_of(key, value))
        table = outline(text, before.file)[1][name]
        if isinstance(table, dict):
            look_over(context, checked_profile(before, name, table), {}, say)
        write(before.file, text, None)
        say.say(f"{key} of {name} is set in {before.file}")
        print_result(name, "set", before.file, before.default, is_json=json)
    return 0
