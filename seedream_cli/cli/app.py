"""The command line as a whole: its commands, and the only way out, with the right exit code."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, NoReturn

import typer
from typer._click.exceptions import ClickException

from seedream_cli.cli.help import SETTINGS, Group
from seedream_cli.core.errors import SeedreamError, StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typer._click.core import Context


_LEAST_WIDTH = 20
"""Columns; a narrower terminal is not written for."""


class _Root(Group):
    table: ClassVar = {
        "generate": (
            "generate:generate",
            "Turn a prompt into image files, or a file of prompts into a batch of them.",
        ),
        "edit": ("edit:edit", "Turn a prompt and reference images into image files."),
        "status": (
            "status:status",
            "Show what became of jobs; asks the provider about those that still run.",
        ),
        "download": (
            "download:download",
            "Save what is finished and not yet on disk; wait for what still runs. Buys nothing.",
        ),
        "providers": (
            "providers:providers",
            "List providers and models, keep accounts, check keys, serve the sandbox.",
        ),
    }


def build() -> typer.Typer:
    """Build the app; completions and README are made from it too."""
    app = typer.Typer(
        name="seedream",
        cls=_Root,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=False,
        context_settings=SETTINGS,
    )
    app.callback(invoke_without_command=True)(_root)
    return app


def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "-V", "--version", help="Print the version."),
    install_completion: str | None = typer.Option(
        None, metavar="[SHELL]", help="Put completions where bash, zsh or fish looks for them."
    ),
    show_completion: str | None = typer.Option(
        None, metavar="[SHELL]", help="Print the completion script of bash, zsh or fish."
    ),
) -> None:
    """Turn prompts into image files. Nothing paid is lost, nothing is paid twice."""
    from seedream_cli import __version__
    from seedream_cli.cli.output.stdout import Stdout

    if version:
        Stdout().line(f"seedream {__version__}")
        raise typer.Exit
    if show_completion is not None:
        from seedream_cli.cli.shells import script_of

        Stdout().line(script_of(show_completion).rstrip("\n"))
        raise typer.Exit
    if install_completion is not None:
        _install(install_completion)
        raise typer.Exit
    if context.invoked_subcommand is None:
        Stdout().line(context.get_help())


def _install(shell: str) -> None:
    """Install the completions of a shell and say where they are."""
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.cli.output.stdout import Stdout
    from seedream_cli.cli.shells import install

    place, startup = install(shell, os.environ)
    Stdout().line(str(place))
    if startup is not None:
        Plain().say(f"{startup} has a line that loads it")
    Plain().say(f"a TAB works in a new {shell}")


def _with_shell(arguments: list[str]) -> list[str]:
    """Name the shell at hand where an option on completions names none."""
    if arguments not in (["--install-completion"], ["--show-completion"]):
        return arguments
    from seedream_cli.cli.shells import shell_of

    return [*arguments, shell_of(os.environ, os.getppid())]


def main(arguments: Sequence[str]) -> NoReturn:
    """Run one command and leave with an exit code that `README.md` lists."""
    code = _outcome(list(arguments))
    for number, stream in enumerate((sys.stdout, sys.stderr), 1):
        try:
            stream.flush()
        except (OSError, ValueError):
            # Its reader or its terminal has gone: at exit Python would make 120 of our code.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)
    sys.exit(code)


def _outcome(arguments: list[str]) -> int:
    command = typer.main.get_command(build())
    try:
        code = command.main(
            args=_with_shell(arguments), prog_name="seedream", standalone_mode=False
        )
    except SeedreamError as error:
        return _report(error, arguments)
    except ClickException as error:
        return _report(_usage(error, arguments), arguments)
    except KeyboardInterrupt:
        # 128 and the number of SIGINT, as shells have it.
        return 130
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes exit 70
        return _report(_bug(error), arguments)
    return code if isinstance(code, int) else 0


def _usage(error: ClickException, arguments: list[str]) -> UsageError:
    """Put the parser's complaint in our words, with the way on.

    seedream generate a red fox           a prompt of several words is quoted
    seedream generate "-5 C, snow"        it goes after “--”
    seedream generate x -i cat.png        references are `edit`'s
    """
    from seedream_cli.core.text import shell_line

    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "seedream"
    takes_prompt = path.endswith((" generate", " edit"))
    dashed = [word for word in arguments if takes_prompt and _is_like_a_prompt(word)]
    message = error.format_message()
    others = [word for word in arguments[1:] if word not in dashed[:1]]
    if "--" in arguments:
        hint = "options go before “--”, the prompt behind it"
    elif dashed:
        line = shell_line(["seedream", *arguments[:1], *others, "--", dashed[0]])
        hint = f"a prompt that begins with “-” goes after “--”:\n{line}"
    elif path.endswith(" generate") and re.search(r"option:? '?(-i|--image)\b", message):
        hint = shell_line(["seedream", "edit", *arguments[1:]])
    elif path.endswith(" edit") and "--batch" in message:
        line = shell_line(["seedream", "generate", *arguments[1:]])
        hint = f"rows of a batch may have references:\n{line}"
    elif "unexpected extra argument" in message and (line := _quote_prompt(context, arguments)):
        hint = f"a prompt of several words is quoted:\n{line}"
    else:
        is_strange = (
            takes_prompt and "No such option" in message and "Possible options" not in message
        )
        hint = "a prompt that begins with “-” goes after “--”\n" if is_strange else ""
        hint += f"{path} --help"
    return UsageError(message.rstrip("."), hint=hint)


def _quote_prompt(context: Context | None, arguments: list[str]) -> str:
    """Return the line that was meant where the words of a prompt were not put in quotes."""
    from seedream_cli.core.text import shell_line

    if context is None or context.info_name not in {"generate", "edit"}:
        return ""
    takes_value = {
        name
        for param in context.command.params
        if not (getattr(param, "is_flag", False) or getattr(param, "count", False))
        for name in param.opts
    }
    left, words, rest = iter(arguments[1:]), list[str](), list[str]()
    for word in left:
        is_word = not word.startswith("-") or word == "-"
        (words if is_word else rest).append(word)
        rest += [value] if word in takes_value and (value := next(left, None)) is not None else []
    return shell_line(["seedream", context.info_name, " ".join(words), *rest])


def _is_like_a_prompt(word: str) -> bool:
    """Tell whether a word that begins with a dash may have been meant as a prompt."""
    return " " in word.strip() and word.startswith("-")


def _bug(error: Exception) -> SeedreamError:
    """Describe a bug by where it happened; its words might hold what must not be shown."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "seedream_cli" in code.co_filename:
            place = (
                f"{code.co_filename.rpartition('seedream_cli')[2].lstrip('/')}:{trace.tb_lineno}"
            )
        trace = trace.tb_next
    return SeedreamError(
        f"a bug in seedream: {type(error).__name__} at {place}",
        hint="please report this line; what was bought is in the ledger:\nseedream status",
        code="bug",
    )


def _lines_of(error: SeedreamError) -> Iterator[str]:
    """Yield an error's lines; a terminal's are as wide as it is, but for what is to be pasted."""
    lines = [f"seedream: {error.message}", *(f"  {line}" for line in error.hint.splitlines())]
    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # none: a log's lines are whole
        yield from lines
        return
    import textwrap

    for line in lines:
        is_sentence = line.startswith(("seedream: ", "  or ", "  the ", "  providers: "))
        for part in line.splitlines() if is_sentence else ():
            yield from textwrap.wrap(
                part,
                max(width, _LEAST_WIDTH),
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        if not is_sentence:
            yield line


def _report(error: SeedreamError, arguments: list[str]) -> int:
    from seedream_cli.cli.output.paint import ERROR, painter
    from seedream_cli.cli.output.stdout import Stdout, write_whole
    from seedream_cli.core.text import clean

    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    text = clean("\n".join(_lines_of(error)), ci=True)
    name = painter(sys.stderr, os.environ)("seedream:", ERROR)
    text = name + text.removeprefix("seedream:")
    with suppress(OSError, ValueError):
        write_whole(sys.stderr, text.encode("utf-8", "backslashreplace") + b"\n")
    # Whoever reads JSON gets the error as JSON, also where parsing never came to the command.
    if "--json" in options:
        from seedream_cli.cli.output import job as render

        with suppress(StorageError):  # what brought us here says more than a full disk
            Stdout().json(render.error_json(error))
    return error.exit
