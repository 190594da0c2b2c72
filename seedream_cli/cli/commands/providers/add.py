"""`seedream providers add`: writes an account into the config file."""

from __future__ import annotations

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
from seedream_cli.cli.commands.providers.profile_checks import checked_profile, look_over
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output.progress import Plain
from seedream_cli.core.errors import AccountError, SeedreamError, UsageError
from seedream_cli.core.text import shell_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from seedream_cli.cli.commands.providers.dialogue import Dialogue
    from seedream_cli.core.model import Profile

_MOST_KEY_BYTES = 65536
_SHELL_WORDS = frozenset({"|", "||", "&", "&&", ";", "<", ">", ">>"})


def add(
    name: o.NewName = None,
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
    key_keyring: o.KeyKeyring = None,
    key_stdin: o.KeyStdin = False,
) -> int:
    """Write an account into the config file: a name, a provider, where its key is."""
    with ExitStack() as exits:
        context, say = CommandContext.of_process(exits), Plain(quiet=quiet)
        before, asking = ConfigText.of(context), _dialogue()
        said = _set(provider=provider, model=model, base_url=base_url, output=output)
        key = _key_source(context, key_env, key_command, key_file, key_keyring, is_read=key_stdin)
        is_kept = name in before.tables and not said and not replace and not key
        typed = _table_but_key(before, str(name), asking, is_stdin=key_stdin) if is_kept else None
        if typed is not None:
            table, verb = typed, "renewed"
        else:
            name, table = _name_and_table(before, name, said, asking, is_replaced=replace)
            verb = "replaced" if name in before.tables else "added"
            table |= key
        name = str(name)
        # Before a key is asked for, so that nobody types one in vain.
        profile = checked_profile(before, name, table)
        look_over(context, profile, table, say)
        if key_stdin or not _has_key_source(table):
            table |= _key_read(profile, before.file, is_stdin=key_stdin)
            _check_way_to_key(profile, table)
            before = ConfigText.of(context)  # typing takes its time
        text = before.with_profile(name, table)
        is_first = before.default is None and not before.tables
        chosen = name if default or is_first else before.default
        if asking and chosen != name and asking.is_yes(f"Make {name} the default?"):
            chosen = name
        proof = _proof(context, before, text, name, say) if asking else ""
        write(before.file, text, None if chosen == before.default else chosen)
        source = _source(context, text, before.file, name)
        say.say(f"{verb} in {before.file}; its key: {source}")
        if proof:
            say.say(proof)
        if chosen != before.default:
            say_default(context, name, say)
        say.say(f"to try it:\n  {_line_to_try(profile, is_default=chosen == name, proof=proof)}")
        answer = {"provider": profile.provider, "key_source": source}
        print_result(name, verb, before.file, chosen, is_json=json, **answer)
    return 0


def _dialogue() -> Dialogue | None:
    """Return what asks a person at a terminal; None where nobody is there."""
    if not sys.stdin.isatty():
        return None
    from seedream_cli.cli.commands.providers.dialogue import Dialogue

    return Dialogue()


def _name_and_table(
    before: ConfigText,
    name: str | None,
    said: Mapping[str, object],
    asking: Dialogue | None,
    *,
    is_replaced: bool,
) -> tuple[str, dict[str, object]]:
    """Return a new profile's name and what was said of it, asked for where a person is there."""
    from seedream_cli.providers import PROVIDERS

    typed = said.get("provider")
    if asking and typed is None and name not in PROVIDERS:
        _check_free(before, name, is_replaced=is_replaced)
        typed = asking.provider()
    if name is None and typed is None:
        raise UsageError(
            "whose account is it?",
            hint=f"name one of them, and give its key on stdin: {', '.join(PROVIDERS)}\n"
            f"seedream providers add {next(iter(PROVIDERS))}",
        )
    if name is None:
        taken = {*before.tables, *(each for each in PROVIDERS if each != typed)}
        name = _free_name(str(typed), taken)
        if asking and name != typed:
            name = asking.line("A name for it", name)
    _check_free(before, name, is_replaced=is_replaced)
    found = _provider_name(name, None if typed is None else str(typed))
    table: dict[str, object] = {"provider": found, **said}
    table["provider"] = found
    if asking and not PROVIDERS[found].base_url:
        table["base_url"] = said.get("base_url") or asking.line("Its address, like https://HOST/v1")
        if PROVIDERS[found].default_model == "" and "model" not in said:
            table |= _set(model=asking.line("The model to ask for (Enter: said each time)", "-"))
            table = {key: value for key, value in table.items() if (key, value) != ("model", "-")}
    return name, table


def _check_free(before: ConfigText, name: str | None, *, is_replaced: bool) -> None:
    if name in before.tables and not is_replaced:
        raise UsageError(
            f"there is a profile {name}",
            hint="--replace replaces it, `providers set` changes one value; or choose another name",
        )


def _free_name(provider: str, taken: Collection[str]) -> str:
    from itertools import count

    names = (provider if number == 1 else f"{provider}-{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _table_but_key(
    before: ConfigText, name: str, asking: Dialogue | None, *, is_stdin: bool
) -> dict[str, object] | None:
    """Return a profile as it is but for its key, which is to be asked for; None: nobody is there.

    That is what the error for a key that is missing names.
    """
    table = before.tables[name]
    if not isinstance(table, dict) or not (asking or is_stdin):
        return None
    return {key: value for key, value in table.items() if not key.startswith("api_key")}


def _proof(context: CommandContext, before: ConfigText, text: str, name: str, say: Plain) -> str:
    """Ask the provider, free of charge, whether it takes the key; return what to say of it.

    Raises `AccountError` where it does not: nothing is written then.
    """
    from seedream_cli.cli.commands.providers.check import prove_key
    from seedream_cli.storage.config.file import parse
    from seedream_cli.storage.config.profiles import NOT_SET, choose, lack_of_key, with_key

    config = parse(text, before.file)
    environ = {key: value for key, value in context.environ.items() if key != "SEEDREAM_SANDBOX"}
    profile = choose(config, environ, name=name)
    if lack := lack_of_key(profile, config, environ):
        return f"no key was tried: {profile.key_source}{'' if lack == NOT_SET else f': {lack}'}"
    try:
        return f"{name}: {prove_key(context, with_key(profile, config, environ), say)}"
    except AccountError as error:
        # The key is good: an empty account is no reason to ask for it again.
        if error.code == "credit":
            return f"{error.message}\n{error.hint}"
        error.hint = f"{error.hint}\nnothing was written".strip()
        raise
    except SeedreamError as error:
        return f"the key could not be tried now: {error.message}"


def _line_to_try(profile: Profile, *, is_default: bool, proof: str) -> str:
    if not proof:
        return shell_line(["seedream", "providers", "check", profile.name])
    words = ["seedream", "generate", "a lighthouse at dawn"]
    return shell_line([*words, *([] if is_default else ["-p", profile.name])])


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
    # `-p kie` must not be somebody else's account.
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
    key_keyring: str | None,
    *,
    is_read: bool,
) -> dict[str, object]:
    """Return the config's line on the key, as far as it needs no reading of the key itself."""
    typed = {
        "--key-env": key_env is not None,
        "--key-command": key_command is not None,
        "--key-file": key_file is not None,
        "--key-keyring": key_keyring is not None,
        "--key-stdin": is_read,
    }
    named = [option for option, is_typed in typed.items() if is_typed]
    if len(named) > 1:
        raise UsageError(f"the key is named twice: {' and '.join(named)}", hint="keep one of them")
    if key_env is not None:
        return {"api_key_env": key_env}
    if key_command is not None:
        return {"api_key_command": _words(key_command, context.environ)}
    if key_keyring is not None:
        return {"api_key_keyring": key_keyring}
    if key_file is not None:
        return {"api_key_file": _key_path(key_file, context.environ)}
    return {}


def _has_key_source(table: Mapping[str, object]) -> bool:
    return any(key.startswith("api_key") for key in table)


def _words(command: str, environ: Mapping[str, str]) -> list[str]:
    """Take a command apart as a shell would, without what only a shell could do."""
    import shlex

    from seedream_cli.storage.config.places import expand_home

    hint = "for pipes and variables: --key-command \"sh -c '…'\""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError("--key-command: a quote is not closed", hint=hint) from error
    if not words:
        raise UsageError("--key-command is empty", hint="for example 'pass show kie'")
    # It would be handed to the program as a word, and its key would be wrong in silence.
    if _SHELL_WORDS & set(words):
        raise UsageError("--key-command: no shell reads it", hint=hint)
    return [expand_home(word, environ) for word in words]


def _key_path(path: str, environ: Mapping[str, str]) -> str:
    """Return a path that means the same from every folder."""
    from pathlib import Path

    from seedream_cli.storage.config.places import expand_home

    if not path.strip():
        raise UsageError("--key-file is empty")
    # A config may travel to another home.
    if path.startswith("~/"):
        return path
    return str(Path(expand_home(path, environ)).absolute())


def _key_read(profile: Profile, file: Path, *, is_stdin: bool) -> dict[str, object]:
    """Return a key from stdin or a person; nothing where the environment will hold it."""
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.storage.config.profiles import to_secret

    if sys.stdin.isatty():
        provider = PROVIDERS[profile.provider]
        if page := provider.page("auth", profile.base_url):
            sys.stderr.write(f"{page}\n")
            sys.stderr.flush()
        variable = next(iter(provider.key_env), "")
        is_elsewhere = bool(variable) and not is_stdin
        way_out = f"; Enter: it is in the environment, {variable}" if is_elsewhere else ""
        key, source = (
            _ask_unseen(f"Key for {profile.name} (not shown{way_out}): "),
            "what was typed",
        )
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


def _ask_unseen(prompt: str) -> str:
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
            # Where echo cannot be turned off, `getpass` only warns: then nothing is read.
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
