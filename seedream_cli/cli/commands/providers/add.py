"""`seedream providers add`: writes an account into the config file."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from seedream_cli.cli import options as o
from seedream_cli.cli.commands.providers.config_text import (
    ConfigText,
    print_result,
    say_default,
    write,
)
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output.progress import Plain
from seedream_cli.core.errors import ConfigError, UsageError
from seedream_cli.core.paths import is_file
from seedream_cli.core.text import shell_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from seedream_cli.core.model import Profile

_MOST_KEY_BYTES = 65536
_SHELL_WORDS = frozenset({"|", "||", "&", "&&", ";", "<", ">", ">>"})


def add(
    name: o.NewName,
    provider: o.ProviderName = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    output: o.ProfileOutput = None,
    default: o.AsDefault = False,
    replace: o.Replace = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    key_env: o.KeyEnv = None,
    key_command: o.KeyCommand = None,
    key_file: o.KeyFile = None,
    key_stdin: o.KeyStdin = False,
) -> int:
    """Write an account into the config file: a name, a provider, where its key is."""
    with ExitStack() as exits:
        context, say = CommandContext.of_process(exits), Plain(quiet=quiet)
        before = ConfigText.of(context)
        is_there = name in before.tables
        if is_there and not replace:
            raise UsageError(
                f"there is a profile {name}", hint="--replace replaces it; or choose another name"
            )
        table: dict[str, object] = {"provider": _provider_name(name, provider)}
        table |= _set(model=model, base_url=base_url, output=output)
        table |= _key_source(context, key_env, key_command, key_file, is_read=key_stdin)
        # Before a key is asked for, so that nobody types one in vain.
        profile = _checked(before, name, table)
        _look_over(context, profile, table, say)
        if key_stdin or not _has_key_source(table):
            table |= _key_read(profile, before.file, is_stdin=key_stdin)
            _check_way_to_key(profile, table)
            before = ConfigText.of(context)  # typing takes its time
        text = before.with_profile(name, table)
        is_first = before.default is None and not before.tables
        chosen = name if default or is_first else before.default
        write(before.file, text, None if chosen == before.default else chosen)
        source = _source(context, text, before.file, name)
        verb = "replaced" if is_there else "added"
        say.say(f"{verb} in {before.file}; its key: {source}")
        say.say(f"to try it:\n  {shell_line(['seedream', 'providers', 'check', name])}")
        if chosen != before.default:
            say_default(context, name, say)
        answer = {"provider": profile.provider, "key_source": source}
        print_result(name, verb, before.file, chosen, is_json=json, **answer)
    return 0


def _provider_name(name: str, typed: str | None) -> str:
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.storage.config.file import near

    if typed is None and name not in PROVIDERS:
        raise UsageError(
            f"{name} is no provider: whose account is it?",
            hint=f"--provider {'|'.join(PROVIDERS)}",
        )
    found = name if typed is None else typed
    if found not in PROVIDERS:
        raise UsageError(f"--provider: there is no provider {found}", hint=near(found, PROVIDERS))
    if name in PROVIDERS and name != found:
        raise UsageError(
            f"{name} is a provider of its own: a profile of {found} under that name would mislead",
            hint=f"seedream providers add my-{found} --provider {found}",
        )
    return found


def _set(**values: str | None) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _key_source(
    context: CommandContext,
    key_env: str | None,
    key_command: str | None,
    key_file: str | None,
    *,
    is_read: bool,
) -> dict[str, object]:
    """Return the config's line on the key, as far as it needs no reading of the key itself."""
    typed = {
        "--key-env": key_env is not None,
        "--key-command": key_command is not None,
        "--key-file": key_file is not None,
        "--key-stdin": is_read,
    }
    named = [option for option, is_typed in typed.items() if is_typed]
    if len(named) > 1:
        raise UsageError(f"the key is named twice: {' and '.join(named)}", hint="keep one of them")
    if key_env is not None:
        return {"api_key_env": key_env}
    if key_command is not None:
        return {"api_key_command": _words(key_command, context.environ)}
    if key_file is not None:
        return {"api_key_file": _key_path(key_file, context.environ)}
    return {}


def _has_key_source(table: Mapping[str, object]) -> bool:
    return any(key.startswith("api_key") for key in table)


def _words(command: str, environ: Mapping[str, str]) -> list[str]:
    """Take a command apart as a shell would, without what only a shell could do."""
    import shlex

    from seedream_cli.storage.config.file import expanded

    hint = "for pipes and variables: --key-command \"sh -c '…'\""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError("--key-command: a quote is not closed", hint=hint) from error
    if not words:
        raise UsageError("--key-command is empty", hint="for example 'pass show kie'")
    if _SHELL_WORDS & set(words):
        raise UsageError("--key-command: no shell reads it", hint=hint)
    return [expanded(word, environ) for word in words]


def _key_path(path: str, environ: Mapping[str, str]) -> str:
    """Return a path that means the same from every folder."""
    from pathlib import Path

    from seedream_cli.storage.config.file import expanded

    if not path.strip():
        raise UsageError("--key-file is empty")
    if path.startswith("~/"):
        return path
    return str(Path(expanded(path, environ)).absolute())


def _checked(before: ConfigText, name: str, table: Mapping[str, object]) -> Profile:
    """Return the profile as a run would see it; raise UsageError where no run could use it."""
    from seedream_cli.storage.config.file import parse, with_profile
    from seedream_cli.storage.config.profiles import choose

    try:
        profile = choose(parse(with_profile("", name, table), before.file), {}, name=name)
    except ConfigError as error:
        # Its line is that of a file that will not be written.
        said = re.sub(r"\A(:\d+)?: ", "", error.message.removeprefix(str(before.file)))
        raise UsageError(f"nothing was written: {said}", hint=error.hint) from error
    before.with_profile(name, table)
    return profile


def _look_over(
    context: CommandContext, profile: Profile, table: Mapping[str, object], say: Plain
) -> None:
    """Say what may be a mistake; raise UsageError for what is one at every purchase."""
    from seedream_cli.storage.files import naming

    if profile.output == "-":
        raise UsageError("a profile's output is a folder or a template, not stdout")
    if profile.output is not None:
        naming.plan(profile.output, base="/", many=True)
    for note in [*_notes_on_model(context, profile), *_notes_on_key(context, table)]:
        say.say(note)


def _notes_on_model(context: CommandContext, profile: Profile) -> list[str]:
    """Look at the model that every purchase would be of; raise UsageError where it cannot be."""
    from seedream_cli.core.model import Options
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.request.findings import Findings
    from seedream_cli.request.model_choice import choose, retirement

    provider, findings = PROVIDERS[profile.provider], Findings()
    if profile.model is None and provider.default_model == "":
        return []  # it is typed each time
    options = Options(prompt="", model=profile.model, validate=False)
    others = tuple(one for one in PROVIDERS.values() if one is not provider)
    now = context.clock.now()
    model, _ = choose(provider, options, others, findings, now)
    findings.settle()
    note = retirement(provider, model, now, lambda _: True)
    return [*findings.notes, *([note] if note else [])]


def _notes_on_key(context: CommandContext, table: Mapping[str, object]) -> list[str]:
    """Look whether the key's place is there; none is named: a key may have been typed for one."""
    import shutil

    from seedream_cli.storage.config.file import expanded

    match table:
        case {"api_key_command": [str(program), *_]}:
            found = shutil.which(program, path=context.environ.get("PATH"))
            return [] if found else ["the program of --key-command is not on PATH"]
        case {"api_key_file": str(path)}:
            # Mounted secrets often come later than the config.
            there = is_file(expanded(path, context.environ))
            return [] if there else ["the file of --key-file is not there yet"]
        case _:
            return []


def _key_read(profile: Profile, file: Path, *, is_stdin: bool) -> dict[str, object]:
    """Return a key from stdin or a person; nothing where the environment will hold it."""
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.storage.config.profiles import to_secret

    is_terminal = sys.stdin.isatty()
    if not is_terminal and not is_stdin:
        return {}
    if is_terminal:
        variable = next(iter(PROVIDERS[profile.provider].key_env), "")
        is_elsewhere = bool(variable) and not is_stdin
        way_out = f"; Enter: it is in the environment, {variable}" if is_elsewhere else ""
        key, source = _typed(f"Key for {profile.name} (not shown{way_out}): "), "what was typed"
    else:
        read = sys.stdin.buffer.read(_MOST_KEY_BYTES)
        key, source = read.decode("utf-8-sig", "replace"), "stdin"
    key = key.strip()
    if key:
        return {"api_key": to_secret(key, source).reveal()}
    if is_stdin:
        raise UsageError(f"{source} held no key; {file} is as it was")
    return {}


def _check_way_to_key(profile: Profile, table: Mapping[str, object]) -> None:
    """Raise UsageError for an account that no key could ever be found for."""
    from seedream_cli.providers import PROVIDERS

    if not _has_key_source(table) and not PROVIDERS[profile.provider].key_env:
        raise UsageError(
            f"nothing was written: no variable holds a key for {profile.provider} by itself",
            hint="--key-env VARIABLE, --key-file, --key-command or --key-stdin; where the gateway"
            " needs none, any word on stdin will do",
        )


def _typed(prompt: str) -> str:
    """Ask at the terminal, without echo."""
    import getpass
    import signal
    import warnings

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_DFL:
        # An end on the spot would leave the terminal without echo.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise
    except (EOFError, ValueError, getpass.GetPassWarning):
        sys.stderr.write("\n")
        # Without its cause: that may hold what was typed.
        raise UsageError(
            "no key was typed; nothing was written", hint="--key-env, --key-file, --key-stdin"
        ) from None
    finally:
        signal.signal(signal.SIGINT, before)


def _source(context: CommandContext, text: str, file: Path, name: str) -> str:
    """Say where a run here and now would find the key."""
    from seedream_cli.storage.config.file import parse
    from seedream_cli.storage.config.profiles import choose

    environ = {key: value for key, value in context.environ.items() if key != "SEEDREAM_SANDBOX"}
    return choose(parse(text, file), environ, name=name).key_source
