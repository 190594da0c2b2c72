"""The config file before and after `providers add`, `use` and `remove`, and what they print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.progress import Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigText:
    """What the config file says before it is changed; its profiles need not be sound."""

    file: Path
    text: str
    default: str | None
    tables: Mapping[str, object]

    @staticmethod
    def of(context: CommandContext) -> ConfigText:
        """Read it. Raises ConfigError where it cannot be changed safely."""
        from seedream_cli.storage.config.file import outline, read_text, refuse_shared

        file = context.places.config_file
        text = read_text(file)
        default, tables = outline(text, file)
        if any(isinstance(table, dict) and "api_key" in table for table in tables.values()):
            # To close the file in silence would hide that others could read the key until now.
            refuse_shared(file, f"{file} holds an api_key")
        return ConfigText(file=file, text=text, default=default, tables=tables)

    def with_profile(self, name: str, table: Mapping[str, object]) -> str:
        """Return the text with that profile; raise ConfigError where it would not load."""
        from seedream_cli.storage.config.file import parse, with_profile

        text = with_profile(self.text, name, table)
        mistake = parse(text, self.file).mistakes.get(name)
        if mistake is not None:
            raise mistake
        return text


def write(file: Path, text: str, default: str | None) -> None:
    """Write the config file, with another default where one is named."""
    from seedream_cli.storage.config.file import with_default, write_private

    write_private(file, text if default is None else with_default(text, default))


def say_default(context: CommandContext, name: str, say: Plain) -> None:
    """Say which account works from now on where -p is not given."""
    say.say(f"{name} is the default now")
    variable = context.environ.get("SEEDREAM_PROFILE")
    if variable and variable != name:
        say.say(f"but SEEDREAM_PROFILE={variable} goes before it here")


def print_result(
    name: str, done: str, file: Path, default: str | None, *, is_json: bool, **more: str
) -> None:
    """Print the result: the profile's name, or what was done to it."""
    if not is_json:
        Stdout().line(name)
        return
    fixed = {"schema": 1, "profile": name, "done": done, "config": str(file)}
    Stdout().json({**fixed, "default_profile": default, **more})
