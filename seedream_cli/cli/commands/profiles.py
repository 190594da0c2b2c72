"""`seedream providers add`, `use` and `remove`: the accounts that the config file names."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedream_cli.cli import options as o
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output.progress import Plain
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import ConfigError, StorageError, UsageError

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
        world, say = CommandContext.of_process(exits), Plain(quiet=quiet)
        before = _Stated.of(world)
        is_there = name in before.tables
        if is_there and not replace:
            raise UsageError(
                f"there is a profile {name}", hint="--replace replaces it; or choose another name"
            )
        table: dict[str, object] = {"provider": _provider_name(name, provider)}
        table |= _set(model=model, base_url=base_url, output=output)
        table |= _key_source(world, key_env, key_command, key_file, is_read=key_stdin)
        # Before a key is asked for, so that nobody types one in vain.
        profile = _checked(before, name, table)
        _look_over(world, profile, table, say)
        if key_stdin or not _has_key_source(table):
            table |= _key_read(profile, before.file, is_stdin=key_stdin)
            before = _Stated.of(world)  # typing takes its time
        text = before.with_profile(name, table)
        is_first = before.default is None and not before.tables
        chosen = name if default or is_first else before.default
        _write(before.file, text, None if chosen == before.default else chosen)
        source = _source(world, text, before.file, name)
        verb = "replaced" if is_there else "added"
        say.say(f"{verb} in {before.file}; its key: {source}")
        say.say(f"seedream providers check {name} tries it")
        if chosen != before.default:
            _say_default(world, name, say)
        answer = {"provider": profile.provider, "key_source": source}
        _tell(name, verb, before.file, chosen, is_json=json, **answer)
    return 0


def use(name: o.AnyName, json: o.Json = False, quiet: o.Quiet = False) -> int:
    """Choose the profile or provider that works where -p is not given."""
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.storage.config.file import near
    from seedream_cli.storage.config.profiles import choose

    with ExitStack() as exits:
        world, say = CommandContext.of_process(exits), Plain(quiet=quiet)
        before = _Stated.of(world)
        known = dict.fromkeys([*before.tables, *PROVIDERS])
        if name not in known:
            raise UsageError(f"there is no profile and no provider {name}", hint=near(name, known))
        profile = choose(world.config, {}, name=name)
        if name != before.default:
            _write(before.file, before.text, name)
        _say_default(world, name, say)
        _tell(name, "chosen", before.file, name, is_json=json, provider=profile.provider)
    return 0


def remove(
    name: o.OldName, yes: o.Yes = False, json: o.Json = False, quiet: o.Quiet = False
) -> int:
    """Take a profile out of the config file; its jobs and pictures stay."""
    from seedream_cli.storage.config.file import without_profile

    with ExitStack() as exits:
        world, say = CommandContext.of_process(exits), Plain(quiet=quiet)
        before = _Stated.of(world)
        text = without_profile(before.text, name)
        _warn_of_jobs(world, name, say, is_sure=yes)
        _write(before.file, text, None)
        say.say(f"removed from {before.file}")
        chosen = before.default
        if chosen == name:
            chosen = None
            say.say("it was the default; seedream providers use NAME chooses another")
        _tell(name, "removed", before.file, chosen, is_json=json)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    """What the config file says before it is changed; its profiles need not be sound."""

    file: Path
    text: str
    default: str | None
    tables: Mapping[str, object]

    @staticmethod
    def of(world: CommandContext) -> _Stated:
        from seedream_cli.storage.config.file import outline, read_text, refuse_shared

        file = world.places.config_file
        text = read_text(file)
        default, tables = outline(text, file)
        if any(isinstance(table, dict) and "api_key" in table for table in tables.values()):
            # To close the file in silence would hide that others could read the key until now.
            refuse_shared(file, f"{file} holds an api_key")
        return _Stated(file=file, text=text, default=default, tables=tables)

    def with_profile(self, name: str, table: Mapping[str, object]) -> str:
        """Return the text with that profile; raise ConfigError where it would not load."""
        from seedream_cli.storage.config.file import parse, with_profile

        text = with_profile(self.text, name, table)
        parse(text, self.file)
        return text


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
            hint=f"choose another name: seedream providers add my-{found} --provider {found}",
        )
    return found


def _set(**values: str | None) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _key_source(
    world: CommandContext,
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
        return {"api_key_command": _words(key_command, world.environ)}
    if key_file is not None:
        return {"api_key_file": _key_path(key_file, world.environ)}
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


def _checked(before: _Stated, name: str, table: Mapping[str, object]) -> Profile:
    """Return the profile as a run would see it; raise UsageError where no run could use it."""
    from seedream_cli.storage.config.file import parse, with_profile
    from seedream_cli.storage.config.profiles import choose

    try:
        profile = choose(parse(with_profile("", name, table), before.file), {}, name=name)
    except ConfigError as error:
        said = error.message.removeprefix(f"{before.file}: ")
        raise UsageError(f"nothing was written: {said}", hint=error.hint) from error
    before.with_profile(name, table)
    return profile


def _look_over(
    world: CommandContext, profile: Profile, table: Mapping[str, object], say: Plain
) -> None:
    """Say what may be a mistake; raise UsageError for what is one at every purchase."""
    from seedream_cli.core.model import Options
    from seedream_cli.providers import PROVIDERS
    from seedream_cli.request.findings import Findings
    from seedream_cli.request.model_choice import choose, retirement
    from seedream_cli.storage.files import naming

    provider, findings = PROVIDERS[profile.provider], Findings()
    if profile.output == "-":
        raise UsageError("a profile's output is a folder or a template, not stdout")
    if profile.output is not None:
        naming.plan(profile.output, base="/", many=True)
    options = Options(prompt="", model=profile.model, validate=False)
    others = tuple(one for one in PROVIDERS.values() if one is not provider)
    now = world.clock.now()
    model, _ = choose(provider, options, others, findings, now)
    findings.settle()
    if note := retirement(provider, model, now, lambda _: True):
        findings.note(note)
    for note in [*findings.notes, *_notes_on_key(world, table)]:
        say.say(note)


def _notes_on_key(world: CommandContext, table: Mapping[str, object]) -> list[str]:
    """Look whether the key's place is there; none is named: a key may have been typed for one."""
    import shutil
    from pathlib import Path

    from seedream_cli.storage.config.file import expanded

    match table:
        case {"api_key_command": [str(program), *_]}:
            found = shutil.which(program, path=world.environ.get("PATH"))
            return [] if found else ["the program of --key-command is not on PATH"]
        case {"api_key_file": str(path)}:
            # Mounted secrets often come later than the config.
            there = Path(expanded(path, world.environ)).is_file()
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
        variable = PROVIDERS[profile.provider].key_env[0]
        way_out = "" if is_stdin else f"; Enter: it is in the environment, {variable}"
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


def _write(file: Path, text: str, default: str | None) -> None:
    """Write the config file, with another default where one is named."""
    from seedream_cli.storage.config.file import with_default, write_private

    write_private(file, text if default is None else with_default(text, default))


def _source(world: CommandContext, text: str, file: Path, name: str) -> str:
    """Say where a run here and now would find the key."""
    from seedream_cli.storage.config.file import parse
    from seedream_cli.storage.config.profiles import choose

    environ = {key: value for key, value in world.environ.items() if key != "SEEDREAM_SANDBOX"}
    return choose(parse(text, file), environ, name=name).key_source


def _say_default(world: CommandContext, name: str, say: Plain) -> None:
    say.say(f"{name} is the default now")
    variable = world.environ.get("SEEDREAM_PROFILE")
    if variable and variable != name:
        say.say(f"but SEEDREAM_PROFILE={variable} goes before it here")


def _warn_of_jobs(world: CommandContext, name: str, say: Plain, *, is_sure: bool) -> None:
    """Name the jobs that only this profile can ask about; raise UsageError unless `is_sure`."""
    try:
        jobs = _unfinished(world, name)
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
            hint=f"first: seedream download; or: seedream providers remove {name} --yes",
        )
    say.say(message, is_error=True)


def _unfinished(world: CommandContext, name: str) -> list[str]:
    # The ledger makes what it does not find.
    if not world.has_ledger:
        return []
    return [job.id for job in world.ledger.unfinished_with(name)]


def _tell(
    name: str, done: str, file: Path, default: str | None, *, is_json: bool, **more: str
) -> None:
    """Print the result: the profile's name, or what was done to it."""
    if not is_json:
        Stdout().line(name)
        return
    fixed = {"schema": 1, "profile": name, "done": done, "config": str(file)}
    Stdout().json({**fixed, "default_profile": default, **more})
