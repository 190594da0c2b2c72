"""Groups that import only the command that runs, and none for their own help."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, Final, cast

import typer
from typer.core import TyperCommand

from seedream_cli.cli import help as helping

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from typer._click.core import Command, Context
    from typer._click.formatting import HelpFormatter

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _LazyCommands(Mapping[str, "Command"]):
    """The commands of a group by name, each imported when it is taken."""

    def __init__(self, table: Mapping[str, tuple[str, str]]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> Command:
        module, _, attribute = self._table[name][0].partition(":")
        found = getattr(import_module(f"seedream_cli.cli.commands.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(rich_markup_mode=None, add_completion=False)
            found.command(name, cls=helping.Command, context_settings=SETTINGS)(function)
        return typer.main.get_command(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class LazyGroup(helping.Group):
    """A group of the commands that its `table` names."""

    table: ClassVar[Mapping[str, tuple[str, str]]]
    """Of each command its `module:attribute` below `cli.commands`, and its help's first line.

    A test holds the latter against the commands.
    """

    def __init__(self, **attributes: object) -> None:
        """Take what Typer hands to any group."""
        super().__init__(**attributes)  # type: ignore[arg-type]
        self.commands = cast("MutableMapping[str, Command]", _LazyCommands(self.table))

    def list_commands(self, ctx: Context) -> list[str]:
        """Name the commands."""
        del ctx
        return list(self.table)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write names and first lines from the table."""
        del ctx
        room = formatter.width - 6 - max(map(len, self.table))
        rows = [
            (name, TyperCommand(name, help=line).get_short_help_str(room))
            for name, (_, line) in self.table.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
