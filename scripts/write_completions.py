"""Writes the part of the completion scripts that is made from the app.

The scripts hold commands, options and choices between two marks; what stands around the marks is
shell code, written by hand. `python scripts/write_completions.py` renews the part between them.
Only profiles, models and job ids are asked for at the TAB: `seedream __complete`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from typer._click.core import Command as ClickCommand
    from typer._click.core import Context, Parameter

_BEGIN: Final = "# >>> made from the app: python scripts/write_completions.py\n"
_END: Final = "# <<< made from the app\n"
_ALONE: Final = frozenset({"help", "version", "install_completion", "show_completion"})
_FILES: Final = frozenset({"files", "batch"})
_ZSH_MARKS: Final = r"\\\[\]:"
_FISH_MARKS: Final = r'\\"$'


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What may be typed for one value: words known beforehand, and a source asked at the TAB."""

    words: tuple[tuple[str, str], ...] = ()
    """Each with a description, which may be empty."""
    source: str = ""
    """What else, known only at the TAB; empty: nothing.

    `files`, `batch` (likewise, and noted for `rows`), `images` (files, or `job:` names), `made`
    (jobs, else files), `profiles` (but those named as their provider), `written` (all of them),
    `models`, `jobs`, `unknown` (jobs of unknown outcome), `rows` (names in the manifest).
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option, in all its spellings, a `--no-` twin among them."""

    spellings: tuple[str, ...]
    help: str
    label: str
    value: Value | None
    """None: it takes none."""
    repeats: bool
    is_last: bool
    """Nothing else makes sense beside it (`--help`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command as a script has to know it."""

    path: str
    """`providers show`; empty for `seedream` itself."""
    options: tuple[Option, ...]
    positions: tuple[tuple[str, Value], ...]
    """Label and value of each argument."""
    more: bool
    """The last argument repeats."""
    commands: tuple[tuple[str, str], ...]
    """Name and help of each subcommand."""


def commands() -> tuple[Command, ...]:
    """Return every command of the app, each before its subcommands."""
    import typer

    from seedream_cli.cli.app import build

    return tuple(_walk(typer.main.get_command(build()), "", None, _values()))


def _walk(
    command: ClickCommand, path: str, parent: Context | None, values: Mapping[str, Value]
) -> Iterator[Command]:
    from typer._click.core import Context
    from typer.core import TyperGroup

    context = Context(command, info_name=command.name, parent=parent, **command.context_settings)
    parameters = [one for one in command.get_params(context) if not getattr(one, "hidden", False)]
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    options = tuple(_option(one, values) for one in parameters if one not in arguments)
    children: dict[str, ClickCommand] = {}
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                children[name] = child
    if children and any(option.value and not option.is_last for option in options):
        raise ValueError(f"{path}: the scripts find commands by skipping options without values")
    yield Command(
        path=path,
        options=options,
        positions=tuple(_position(path, one, values) for one in arguments),
        more=any(one.nargs != 1 for one in arguments),
        commands=tuple((name, _sentence(child.help)) for name, child in children.items()),
    )
    for name, child in children.items():
        yield from _walk(child, f"{path} {name}".strip(), context, values)


def _option(parameter: Parameter, values: Mapping[str, Value]) -> Option:
    # The app's order, but short before long: of `-h` and `--help` it tells none.
    both = (*parameter.opts, *parameter.secondary_opts)
    spellings = tuple(sorted(both, key=lambda spelling: spelling.startswith("--")))
    is_count = bool(getattr(parameter, "count", False))
    is_flag = is_count or bool(getattr(parameter, "is_flag", False))
    known = next((values[one] for one in spellings if one in values), None)
    label = parameter.metavar or parameter.name or ""
    return Option(
        spellings=spellings,
        help=_sentence(getattr(parameter, "help", None)),
        label=label,
        value=None if is_flag else known or _choices(parameter, label),
        repeats=is_count or bool(getattr(parameter, "multiple", False)),
        is_last=parameter.name in _ALONE,
    )


def _position(path: str, parameter: Parameter, values: Mapping[str, Value]) -> tuple[str, Value]:
    label = (parameter.metavar or parameter.name or "").strip("[].")
    known = values.get(f"{path} {label}") or values.get(label)
    return label, known or _choices(parameter, label)


def _choices(parameter: Parameter, label: str) -> Value:
    """Return the choices that the parameter itself tells: by its type, or as `png|jpeg`."""
    found: Iterable[object] = getattr(parameter.type, "choices", ())
    if not found and re.fullmatch(r"[a-z0-9]+(\|[a-z0-9]+)+", label):
        found = label.split("|")
    return Value(words=tuple((str(one), "") for one in found))


def _values() -> dict[str, Value]:
    """Return what options and arguments take, by long spelling, by label, by command and label."""
    from seedream_cli.cli.shells import SHELLS
    from seedream_cli.core.model import State
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.sandbox.faults import FAULTS
    from seedream_cli.storage.config.file import value_names

    providers = tuple((provider.name, provider.title) for provider in PROVIDERS.values())
    accounts = Value(words=providers, source="profiles")
    models = [model for provider in PROVIDERS.values() for model in provider.models.values()]
    sizes = sorted({size for model in models for size in model.sizes}, key=_by_number)
    return {
        **dict.fromkeys(("--prompt-file", "--output", "--gallery"), Value(source="files")),
        **dict.fromkeys(("--key-file",), Value(source="files")),
        "--batch": Value(source="batch"),
        "--accept": Value(source="rows"),
        "--despite": Value(source="unknown"),
        **dict.fromkeys(("--like", "JOB"), Value(source="made")),
        **dict.fromkeys(("--install-completion", "--show-completion"), _literal(SHELLS)),
        "--image": Value(source="images"),
        "--profile": accounts,
        "--provider": Value(words=providers),
        "--model": Value(source="models"),
        "--size": _literal(sizes),
        "--aspect": _literal(aspect for model in models for aspect in model.aspects),
        "--quality": _literal(word for model in models for word in model.quality.values()),
        "--state": _literal(State),
        "--fault": Value(words=tuple((fault.name, fault.help) for fault in FAULTS.values())),
        "NAME": accounts,
        "providers add NAME": Value(),
        **dict.fromkeys(("providers remove NAME", "providers set NAME"), Value(source="written")),
        "KEY": _literal(value_names()),
    }


def _literal(found: Iterable[str]) -> Value:
    return Value(words=tuple((str(word), "") for word in dict.fromkeys(found)))


def _by_number(size: str) -> tuple[bool, float, str]:
    """Order `1K`, `1.5K`, `2K` by what they say, words after them."""
    number = re.fullmatch(r"([0-9.]+)K", size)
    return (number is None, float(number[1]) if number else 0.0, size)


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split()).removesuffix(".")


def renewed(script: str, made: str) -> str:
    """Return `script` with `made` between its marks; raise `ValueError` where a mark is missing."""
    before, begin, rest = script.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("the script has lost its marks")
    return f"{before}{begin}{made}{end}{after}"


def bash(found: Sequence[Command]) -> str:
    """Write a function that sets commands, positions, more and rows for the command at a path."""
    lines = ["_seedream_command() {", "    case $1 in"]
    for command in found:
        names = " ".join(name for name, _ in command.commands)
        places = " ".join(_quoted(_bash_value(value)) for _, value in command.positions)
        lines.append(f"    {_quoted(command.path)})")
        lines.append(f"        commands={_quoted(names)} more={'1' * command.more}")
        lines += [f"        positions=({places})", "        rows=("]
        for option in command.options:
            takes = "" if option.value is None else f"={_bash_value(option.value)}"
            row = "*" * option.repeats + "|".join(option.spellings) + takes
            lines.append(f"            {_quoted(row)}")
        lines += ["        )", "        ;;"]
    return "\n".join([*lines, "    esac", "}", ""])


def _bash_value(value: Value) -> str:
    return " ".join([f"@{value.source}", *(word for word, _ in value.words)])


def zsh(found: Sequence[Command]) -> str:
    """Write a function for each command, named after its path."""
    return "\n".join(map(_zsh_function, found))


def _zsh_function(command: Command) -> str:
    specs = [spec for option in command.options for spec in _zsh_option(option)]
    for label, value in command.positions:
        mark = "*" if command.more else ":"
        # A message where a free word may stand would keep an option from being put in there.
        action = " __seedream_offer -" if value == Value() else _zsh_action(value)
        specs.append(f"{mark}:{_escaped(label, _ZSH_MARKS)}:{action}")
    if command.commands:
        specs.append(f"1:command:{_zsh_action(Value(words=command.commands))}")
        specs.append("*:: :->command")
    name = "_".join(["_seedream", *command.path.split()])
    lines = [f"{name}() {{", "  local curcontext=$curcontext state"]
    lines += ["  local -a line", "  local -A opt_args"]
    lines += [" \\\n    ".join(["  _arguments -C -s -S :", *map(_quoted, specs)])]
    lines += [f"  __seedream_go $? {name}"] if command.commands else []
    return "\n".join([*lines, "}", ""])


def _zsh_option(option: Option) -> Iterator[str]:
    """Write one `_arguments` spec a spelling; those of one option put each other out."""
    others = "- *" if option.is_last else " ".join(option.spellings)
    head = "*" if option.repeats else f"({others})"
    tail = f"[{_escaped(option.help, _ZSH_MARKS)}]" if option.help else ""
    if option.value is not None:
        tail += f":{_escaped(option.label, _ZSH_MARKS)}:{_zsh_action(option.value)}"
    for spelling in option.spellings:
        follows = "" if option.value is None else "=" if spelling.startswith("--") else "+"
        yield f"{head}{spelling}{follows}{tail}"


def _zsh_action(value: Value) -> str:
    """Write an action; the blank before it keeps `_arguments` from adding words of its own."""
    if value.source in _FILES:
        return "_files"
    if value == Value():
        return " "
    # `_describe` reads `word:text`; before it, `_arguments` and `eval` take an escape each.
    items = [word.replace(":", r"\:") + (f":{text}" if text else "") for word, text in value.words]
    offers = [_escaped(item, r"^\w./-") for item in items]
    return " ".join([" __seedream_offer", value.source or "-", *offers])


def fish(found: Sequence[Command]) -> str:
    """Write one `complete` a long spelling, and a function that knows which words are commands."""
    paths = " ".join(_quoted(command.path) for command in found if command.path)
    lines = ["function __seedream_paths", f"    printf '%s\\n' {paths}", "end"]
    for command in found:
        at = f'__seedream_at "{command.path}"'
        lines += [_fish_line(at, f"-a {name}", text) for name, text in command.commands]
        lines += [_fish_line(at, _fish_value(value), "") for _, value in command.positions]
        lines += [line for option in command.options for line in _fish_option(command.path, option)]
    return "\n".join([*lines, ""])


def _fish_option(path: str, option: Option) -> Iterator[str]:
    condition = f'__seedream_at "{path}"'
    if not option.repeats:
        test = "__seedream_new" if option.value is None else "__seedream_open"
        condition = " ".join([test, f'"{path}"', *option.spellings])
    takes = [] if option.value is None else ["-r", _fish_value(option.value)]
    longs = [f"-l {one[2:]}" for one in option.spellings if one.startswith("--")]
    shorts = [f"-s {one[1:]}" for one in option.spellings if not one.startswith("--")]
    for name in (" ".join([*shorts, *longs[:1]]), *longs[1:]):
        yield _fish_line(condition, " ".join([name, *takes]), option.help)


def _fish_value(value: Value) -> str:
    offers = [
        rf'{word}\t"{_escaped(text, _FISH_MARKS)}"' if text else word for word, text in value.words
    ]
    if value.source and value.source not in _FILES:
        offers.insert(0, f"(__seedream_words {value.source})")
    files = "-F" if value.source in {*_FILES, "made"} else "-f"
    return files + (f" -k -a {_fish_quoted(' '.join(offers))}" if offers else "")


def _fish_line(condition: str, rest: str, text: str) -> str:
    described = f" -d {_fish_quoted(text)}" if text else ""
    return f"complete -c seedream -n {_fish_quoted(condition)} {rest}{described}"


def _fish_quoted(text: str) -> str:
    return "'" + _escaped(text, r"'\\") + "'"


def _escaped(text: str, characters: str) -> str:
    return re.sub(f"([{characters}])", r"\\\1", text)


def _quoted(text: str) -> str:
    """Quote for bash and zsh."""
    return "'" + text.replace("'", r"'\''") + "'"


FOLDER: Final = Path(__file__).parents[1] / "completions"
"""Where the scripts lie: the wheel brings them along."""
SCRIPTS: Final[Mapping[str, Callable[[Sequence[Command]], str]]] = {
    "seedream.bash": bash,
    "_seedream": zsh,
    "seedream.fish": fish,
}
"""What is made for each script."""


def main(folder: Path) -> None:
    """Renew the three scripts in `folder`; raise `OSError` where one is missing."""
    found = commands()
    for file, write in ((folder / name, write) for name, write in SCRIPTS.items()):
        file.write_text(renewed(file.read_text("utf-8"), write(found)), "utf-8")


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
