"""Groups and commands: how their help looks, and that only the one that runs is imported."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, Final, cast

import typer
from typer._click.exceptions import UsageError
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from typer._click.core import Command as ClickCommand
    from typer._click.core import Context, Parameter
    from typer._click.formatting import HelpFormatter
    from typer.core import TyperOption

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
EXAMPLES = {
    "seedream": (
        'seedream generate "a lighthouse at dawn" --sandbox',
        "seedream status",
        "seedream providers show",
    ),
    "generate": (
        'seedream generate "a lighthouse at dawn"',
        'seedream generate "a fox" -n 3 -a 16:9 -o art/fox-{n}.{ext}',
        "seedream generate --batch assets.toml --plan",
    ),
    "edit": (
        'seedream edit "make it night" -i photo.jpg',
        'seedream edit "at night" -i job:last.2 -o night.jpg',
        'seedream edit "the person wears the coat" -i person.jpg -i coat.png',
    ),
    "status": (
        "seedream status",
        "seedream status last",
        "seedream status --unsaved --expiring 2h --json",
    ),
    "download": (
        "seedream download",
        "seedream download 01k3f9zq -o art/",
        "seedream download --task-id TASK -p kie",
    ),
    "providers": (
        "seedream providers",
        "seedream providers show kie",
        "seedream providers add work --provider kie --key-env KIE_API_KEY",
    ),
    "list": ("seedream providers list", "seedream providers list --json", "seedream providers"),
    "show": (
        "seedream providers show",
        "seedream providers show kie",
        "seedream providers show ark --json",
    ),
    "check": (
        "seedream providers check",
        "seedream providers check work",
        "seedream providers check --json",
    ),
    "add": (
        "seedream providers add",
        "seedream providers add work --provider ark --key-command 'pass show ark'",
        "seedream providers add ci --provider kie --key-file /run/secrets/kie",
    ),
    "set": (
        "seedream providers set work model 5-pro",
        "seedream providers set work budget '20 USD/day'",
        "seedream providers set work api_key_env KIE_API_KEY",
    ),
    "use": (
        "seedream providers use work",
        "seedream providers use kie",
        "seedream providers use work --json",
    ),
    "remove": (
        "seedream providers remove work",
        "seedream providers remove work --yes",
        "seedream providers remove work --json",
    ),
    "sandbox": (
        "seedream providers sandbox",
        "seedream providers sandbox --port 8787 --delay 0.5",
        "seedream providers sandbox --fault 429:2 --fault slow:1",
    ),
}


class Command(TyperCommand):
    """A command whose help shows examples between its everyday options and the panels."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse as ever; a complaint without its command (`--adopt` without a value) gets it."""
        with _complaints_of(ctx):
            return super().parse_args(ctx, args)

    def get_help_option(self, ctx: Context) -> TyperOption | None:
        """Return `--help`, printed by the one writer of stdout."""
        return _printed_by_us(super().get_help_option(ctx))

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the options by panel, the examples after the first."""
        panels: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                panel = getattr(param, "rich_help_panel", None) or "Options"
                panels.setdefault(panel, []).append(record)
        for title, records in panels.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
            if title == "Options":
                _write_examples(self.name or "", formatter)


class _LazyCommands(Mapping[str, "ClickCommand"]):
    """The commands of a group by name, each imported when it is taken."""

    def __init__(self, table: Mapping[str, tuple[str, str]]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> ClickCommand:
        module, _, attribute = self._table[name][0].partition(":")
        # Only the command that runs is imported (docs/design.md, "Start-up is a feature").
        found = getattr(import_module(f"seedream_cli.cli.commands.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(rich_markup_mode=None, add_completion=False)
            found.command(name, cls=Command, context_settings=SETTINGS)(function)
        return typer.main.get_command(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class Group(TyperGroup):
    """A group of commands with examples; it imports the one that runs, and none for its own help.

    `table` has of each command its `module:attribute` below `cli.commands`, and the first line of
    its help, which a test holds against the command.
    """

    table: ClassVar[Mapping[str, tuple[str, str]]]

    def __init__(self, **attributes: object) -> None:
        """Take what Typer hands to any group."""
        super().__init__(**attributes)  # type: ignore[arg-type]
        self.commands = cast("MutableMapping[str, ClickCommand]", _LazyCommands(self.table))

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse as ever; a complaint without its group gets it."""
        with _complaints_of(ctx):
            return super().parse_args(ctx, args)

    def list_commands(self, ctx: Context) -> list[str]:
        """Name the commands."""
        del ctx
        return list(self.table)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write names and first lines from the table, whole: they wrap where they must."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

    def get_help_option(self, ctx: Context) -> TyperOption | None:
        """Return `--help`, printed by the one writer of stdout."""
        return _printed_by_us(super().get_help_option(ctx))

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write commands, examples and options: what is used every day comes first."""
        self.format_commands(ctx, formatter)
        _write_examples(self.name or "seedream", formatter)
        found = (param.get_help_record(ctx) for param in self.get_params(ctx))
        with formatter.section("Options"):
            formatter.write_dl([record for record in found if record is not None])


def _printed_by_us(option: TyperOption | None) -> TyperOption | None:
    if option is not None:
        option.callback = _print_help
    return option


def _print_help(ctx: Context, _: Parameter, is_asked: object) -> None:
    # While completing, options are parsed only to see what they are.
    if is_asked and not ctx.resilient_parsing:
        from seedream_cli.cli.output.stdout import Stdout

        Stdout().line(ctx.get_help())
        ctx.exit()


@contextmanager
def _complaints_of(ctx: Context) -> Iterator[None]:
    """Let the parser's complaints know whose they are: of an option's value it does not tell."""
    try:
        yield
    except UsageError as error:
        error.ctx = error.ctx or ctx
        raise


def _write_examples(name: str, formatter: HelpFormatter) -> None:
    if name in EXAMPLES:
        with formatter.section("Examples"):
            for line in EXAMPLES[name]:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
