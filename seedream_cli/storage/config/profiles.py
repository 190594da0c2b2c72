"""Profiles: what `config.toml` and the environment say, made into the one that a run uses.

Keys are read last, and only when something will be sent: `choose` says where a key would come
from, `with_key` goes and gets it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seedream_cli.core.addresses import SANDBOX_ORIGIN, check_base_url
from seedream_cli.core.errors import AccountError, ConfigError, SeedreamError, UsageError
from seedream_cli.core.model import Gateway, Profile, Secret
from seedream_cli.core.record import replace
from seedream_cli.core.text import shell_line
from seedream_cli.storage.config.file import KEY_SOURCES, Config, RawProfile, near, refuse_shared
from seedream_cli.storage.config.models import GATEWAY_FIELDS
from seedream_cli.storage.config.places import expand_home

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seedream_cli.providers.spec import Provider

SANDBOX_KEY: Final = "sandbox-key"
KEY_COMMAND_SECONDS: Final = 30
KEYRING_SERVICE: Final = "seedream"
"""Under which the system's keyring keeps our keys (https://pypi.org/project/keyring/)."""
_MOST_KEY_BYTES: Final = 65536
_NO_KEYS: Final = (
    (r"[\"'`“”\u2018\u2019]", "quotes", "leave the quotes out: they are no part of the key"),
    ("[<>]", "angle brackets", "put the key in their place, without < and >"),
    (
        r"\$\{|\A\$|\{\{|\A%\w+%\Z",
        "a variable that nobody filled in",
        "where no shell reads it, name the variable instead: api_key_env in the profile",
    ),
)
"""What stands in no key: a pattern, what it is in words, and what to do about it."""
NOT_SET: Final = "not set"
"""What `lack_of_key` says where nobody has named a key yet."""
_NOWHERE: Final = "nowhere: its profile names no place"
_MOUNTED_SECRETS: Final = Path("/run/secrets")


def choose(
    config: Config,
    environ: Mapping[str, str],
    *,
    name: str | None = None,
    sandbox: bool = False,
    providers: Mapping[str, Provider] | None = None,
) -> Profile:
    """Return the profile for this run, without its key.

    `name` is `-p`, `sandbox` is `--sandbox`. Raises UsageError for a name that is not known and
    for several keys with none chosen, ConfigError for a profile that cannot work, AccountError
    where nothing at all says which provider.
    """
    known = _registry() if providers is None else providers
    sandbox_origin = "option --sandbox" if sandbox else sandbox_variable(environ)
    chosen, origin = _choice(config, environ, name, known, is_sandbox=bool(sandbox_origin))
    if chosen in config.mistakes:
        raise config.mistakes[chosen]
    raw = config.profiles.get(chosen) or RawProfile(name=chosen, provider=chosen)
    provider = known.get(raw.provider)
    if provider is None:
        raise ConfigError(
            f"{config.where(raw.name, 'provider')}: there is no provider {raw.provider}",
            hint=near(raw.provider, known),
        )
    profile = _assemble(raw, provider, config, environ, is_sandbox=bool(sandbox_origin))
    origins = {"profile": origin, "provider": origin, **profile.origins}
    if not sandbox_origin:
        return replace(profile, origins=origins)
    base = SANDBOX_ORIGIN + provider.sandbox_path
    own = ("sandbox", "base_url", "upload_base_url", "list_base_url", "api_key")
    # Every address at once: a rehearsal must not reach a real host by any of them.
    addresses = dict.fromkeys(own, sandbox_origin)
    return replace(
        profile,
        base_url=base,
        upload_base_url=base if provider.upload_base_url else None,
        list_base_url=base if provider.list_base_url else None,
        api_key=Secret(SANDBOX_KEY),
        key_source="the sandbox's own",
        origins={**origins, **addresses},
        sandbox=True,
    )


def with_key(
    profile: Profile,
    config: Config,
    environ: Mapping[str, str],
    *,
    providers: Mapping[str, Provider] | None = None,
    patience: float = KEY_COMMAND_SECONDS,
) -> Profile:
    """Return `profile` with its key, which may run `api_key_command` for `patience` seconds.

    Raises AccountError where there is no key, ConfigError where what there is cannot be one.
    """
    if profile.api_key is not None:
        return profile
    known = _registry() if providers is None else providers
    raw = config.profiles.get(profile.name)
    file = config.path.name
    if raw is not None and raw.api_key is not None:
        source, text = f"{file}: api_key", raw.api_key.reveal()
    # The first that a profile names counts, and no other is looked into.
    elif raw is not None and raw.api_key_command is not None:
        source = f"{file}: api_key_command"
        text = _from_command(raw.api_key_command, environ, patience)
    elif raw is not None and raw.api_key_keyring is not None:
        source = f"{file}: api_key_keyring"
        text = _from_keyring(raw.api_key_keyring)
    elif raw is not None and raw.api_key_file is not None:
        source = f"{file}: api_key_file"
        # Joining keeps an absolute path as it is.
        path = config.path.parent / expand_home(raw.api_key_file, environ)
        text = _from_file(path, source, _line_for_key(profile.name))
        # What an orchestrator mounts has the mode that it chose.
        if _MOUNTED_SECRETS not in path.resolve().parents:
            refuse_shared(path, f"{path} holds a key")
    else:
        source, text = _from_environment(_variables(raw, known[profile.provider]), environ)
    key = _check_key(text.strip(), source, profile)
    return replace(
        profile, api_key=key, key_source=source, origins={**profile.origins, "api_key": source}
    )


def lack_of_key(profile: Profile, config: Config, environ: Mapping[str, str]) -> str:
    """Say why there is no key for a profile, as far as a look tells; empty where there may be one.

    No command is run and no key is read: a file is only looked for.
    """
    import shutil

    raw = config.profiles.get(profile.name)
    if raw is not None and raw.api_key is not None:
        return ""
    if raw is not None and raw.api_key_command is not None:
        is_there = shutil.which(raw.api_key_command[0], path=environ.get("PATH"))
        return "" if is_there else "its program is not there"
    if raw is not None and raw.api_key_keyring is not None:
        from importlib.util import find_spec

        return "" if find_spec("keyring") else "the extra seedream[keyring] is not installed"
    if raw is not None and raw.api_key_file is not None:
        return _lack_of_file(config.path.parent / expand_home(raw.api_key_file, environ))
    variables = _variables(raw, _registry()[profile.provider])
    name = next((each for each in variables if environ.get(each, "").strip()), None)
    if name is None:
        return NOT_SET if variables else "its profile names no place"
    return _lack_of_file(Path(environ[name].strip())) if name.endswith("_FILE") else ""


def _lack_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return "" if file.read(1) else "its file is empty"
    except (OSError, ValueError):
        return "its file is not there" if not path.exists() else "its file cannot be read"


def _registry() -> Mapping[str, Provider]:
    from seedream_cli.providers import PROVIDERS

    return PROVIDERS


def _choice(
    config: Config,
    environ: Mapping[str, str],
    option: str | None,
    providers: Mapping[str, Provider],
    *,
    is_sandbox: bool,
) -> tuple[str, str]:
    """Return the name of a profile or provider, and what chose it.

    -p NAME                                         that one
    SEEDREAM_PROFILE                                that one
    default_profile                                 that one
    none of these, one key in the environment       its provider
    none of these, two keys                         a mistake: which account pays is not guessed
    """
    variable = environ.get("SEEDREAM_PROFILE")
    if option is not None:
        return _check_name(option, "option -p", config, providers, UsageError)
    if variable:
        return _check_name(variable, "environment SEEDREAM_PROFILE", config, providers, ConfigError)
    if config.default_profile is not None:
        origin = f"{config.path.name}: default_profile"
        return _check_name(config.default_profile, origin, config, providers, ConfigError)
    keyed = _find_keys(environ, providers)
    if len(keyed) == 1:
        return next((name, f"environment {variable}") for name, variable in keyed.items())
    # A rehearsal costs nobody anything: there a default does no harm.
    if keyed and not is_sandbox:
        found = ", ".join(f"{variable} ({name})" for name, variable in keyed.items())
        hint = "choose with -p " + " or -p ".join(keyed) + ", or set SEEDREAM_PROFILE"
        raise UsageError(f"several keys are set and no provider is chosen: {found}", hint=hint)
    if len(config.names) == 1:
        return next(iter(config.names)), f"{config.path.name}: its only profile"
    if is_sandbox:
        return "ark", "the sandbox's default"
    if config.names:
        hint = (
            f"seedream providers use {config.names[0]}\n"
            f"or another of {', '.join(config.names)}; -p chooses for one command"
        )
        raise UsageError(f"{config.path.name} has several profiles and none is chosen", hint=hint)
    raise AccountError(
        "no provider is chosen and no key is set",
        hint="seedream providers add\n"
        f"providers: {', '.join(providers)}\n"
        "or export ARK_API_KEY, or another provider's variable\n"
        "or rehearse free of charge with --sandbox",
    )


def _check_name(
    name: str,
    origin: str,
    config: Config,
    providers: Mapping[str, Provider],
    error: type[SeedreamError],
) -> tuple[str, str]:
    if name in config.names or name in providers:
        return name, origin
    hint = near(name, [*config.names, *providers])
    raise error(f"{origin}: there is no profile and no provider {name}", hint=hint)


def _find_keys(environ: Mapping[str, str], providers: Iterable[str]) -> dict[str, str]:
    """Find the providers whose key is set; a variable speaks for the first that names it."""
    from seedream_cli.providers import KEY_VARIABLES

    claimed: dict[str, str] = {}
    for name in providers:
        for variable in KEY_VARIABLES[name]:
            # Two providers may share a variable: it must not look like two keys.
            claimed.setdefault(variable, name)
    found: dict[str, str] = {}
    for variable, name in claimed.items():
        set_one = next((v for v in _with_twin(variable) if environ.get(v, "").strip()), None)
        if set_one is not None:
            found.setdefault(name, set_one)
    return found


def sandbox_variable(environ: Mapping[str, str]) -> str:
    """Return the origin's words where SEEDREAM_SANDBOX is on. An unclear word must not buy."""
    match environ.get("SEEDREAM_SANDBOX", "").strip().lower():
        case "" | "0" | "false" | "no" | "off":
            return ""
        case "1" | "true" | "yes" | "on":
            return "environment SEEDREAM_SANDBOX"
        case _:
            raise ConfigError(
                "SEEDREAM_SANDBOX is neither 1 nor 0", hint="export SEEDREAM_SANDBOX=1"
            )


def _assemble(
    raw: RawProfile,
    provider: Provider,
    config: Config,
    environ: Mapping[str, str],
    *,
    is_sandbox: bool,
) -> Profile:
    file = config.path.name
    origins = {"provider": file} if raw.name in config.profiles else {}
    for item in ("base_url", "upload_base_url", "list_base_url", "model"):
        origins[item] = file if getattr(raw, item) else "provider's default"
    origins["output"] = file if raw.output else "the current folder"
    origins |= {"budget": file} if raw.budget else {}
    base = provider.base_url
    if raw.base_url is not None:
        where = f"{config.where(raw.name, 'base_url')}: base_url"
        base = check_base_url(raw.base_url, where=where, is_private_ok=raw.allow_http)
        further = [each for each in ("upload_base_url", "list_base_url") if not getattr(raw, each)]
        origins |= dict.fromkeys(further, f"{file}: base_url")
    # A rehearsal has an address of its own.
    if not base and not is_sandbox:
        raise _no_address(raw, provider, config)
    if raw.gateway is not None and provider.base_url:
        key = next((key for key in GATEWAY_FIELDS if (raw.name, key) in config.lines), "edits")
        raise ConfigError(
            f"{config.where(raw.name, key)}: {key} is for gateways, and {provider.name} is none",
            hint='leave it out, or write provider = "openai-images"',
        )
    upload = _further_host(raw, provider, config, "upload_base_url", base, "takes no uploads")
    listing = _further_host(raw, provider, config, "list_base_url", base, "keeps no list elsewhere")
    key_source = _key_source(raw, provider, config, environ)
    return Profile(
        name=raw.name,
        provider=provider.name,
        base_url=base.rstrip("/"),
        upload_base_url=upload.rstrip("/") if upload else None,
        list_base_url=listing.rstrip("/") if listing else None,
        auth_scheme=provider.auth_scheme,
        key_source=key_source,
        model=raw.model,
        output=expand_home(raw.output, environ) if raw.output is not None else None,
        image_hosts=raw.image_hosts,
        budget=raw.budget,
        models=raw.models,
        gateway=raw.gateway or Gateway(),
        defaults=raw.defaults,
        origins={**origins, "api_key": key_source, **dict.fromkeys(raw.defaults, file)},
    )


def _no_address(raw: RawProfile, provider: Provider, config: Config) -> ConfigError:
    if raw.name in config.profiles:
        words = f"{config.where(raw.name)}: base_url is missing"
        return ConfigError(words, hint='for example base_url = "https://HOST/v1"')
    return ConfigError(
        f"{provider.name} is any gateway that speaks this API: it needs a profile with base_url",
        hint=f"it is written by: providers add NAME --provider {provider.name}"
        " --base-url https://HOST/v1 --key-env VARIABLE",
    )


def _further_host(
    raw: RawProfile, provider: Provider, config: Config, field: str, base: str, words: str
) -> str | None:
    """Return where else a key may go: as the profile says, else the provider's own host.

    A gateway's key must not travel to that one: then it is the gateway itself.
    """
    own, said = getattr(provider, field), getattr(raw, field)
    if said is None:
        return own and (base if raw.base_url is not None else own)
    where = f"{config.where(raw.name, field)}: {field}"
    if own is None:
        raise ConfigError(f"{where}: {provider.name} {words}")
    return check_base_url(said, where=where)


def _variables(raw: RawProfile | None, provider: Provider) -> tuple[str, ...]:
    """List the variables that may hold a profile's key, each followed by its `_FILE` twin.

    A profile that names its own is not helped out by the provider's: that is another account.
    """
    named = (raw.api_key_env,) if raw and raw.api_key_env else provider.key_env
    return tuple(spelling for variable in named for spelling in _with_twin(variable))


def _with_twin(variable: str) -> tuple[str, str]:
    return variable, f"{variable}_FILE"


def _key_source(
    raw: RawProfile, provider: Provider, config: Config, environ: Mapping[str, str]
) -> str:
    """Say where the key would come from, without going there."""
    for field in KEY_SOURCES:
        if field != "api_key_env" and getattr(raw, field) is not None:
            return f"{config.path.name}: {field}"
    variables = _variables(raw, provider)
    if not variables:
        return _NOWHERE
    found = next((name for name in variables if environ.get(name, "").strip()), None)
    return f"environment {found or ' or '.join(variables) + ', not set'}"


def _from_environment(variables: tuple[str, ...], environ: Mapping[str, str]) -> tuple[str, str]:
    """Return where the key was found, and its text; the text is empty where it was not."""
    for name in variables:
        value = environ.get(name, "").strip()
        if value and name.endswith("_FILE"):
            # Named by whoever mounted it: its mode is theirs to choose.
            return f"environment {name}", _from_file(Path(value), name)
        if value:
            return f"environment {name}", value
    return f"environment {' or '.join(variables)}", ""


def _from_file(path: Path, source: str, hint: str = "") -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_KEY_BYTES).decode("utf-8-sig", errors="replace")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a path"
        message = f"{source} names {path}, which cannot be read: {why}"
        raise AccountError(message, hint=hint) from error


def _from_keyring(entry: str) -> str:
    """Return what the system's keyring holds for us under a name."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise AccountError(
            "api_key_keyring needs the extra: pip install 'seedream[keyring]'", hint=""
        ) from error
    try:
        found = keyring.get_password(KEYRING_SERVICE, entry)
    except KeyringError as error:
        # Without its words: they are not ours to show.
        kind = type(error).__name__
        raise AccountError(f"the keyring gave no key for {entry}: {kind}", hint="") from None
    if not found:
        raise AccountError(
            f"the keyring holds nothing for {entry}",
            hint=shell_line(["keyring", "set", KEYRING_SERVICE, entry]),
        )
    return str(found)


def _from_command(command: tuple[str, ...], environ: Mapping[str, str], patience: float) -> str:
    """Return what a password manager prints; what it printed never reaches a message."""
    import subprocess

    program = command[0]
    hint = "run the command of api_key_command by hand to see what it says"
    try:
        done = subprocess.run(  # noqa: S603 - the person's own command, and no shell reads it
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # It may print the key, or half of it, when something goes wrong.
            stderr=subprocess.DEVNULL,
            timeout=patience,
            env=dict(environ),
            check=False,
        )
    except subprocess.TimeoutExpired:
        # Without its cause: that holds the output so far.
        raise AccountError(f"{program} gave no key within {patience:g} s", hint=hint) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a command"
        raise AccountError(f"{program} cannot be run for a key: {why}", hint=hint) from error
    if done.returncode != 0:
        raise AccountError(f"{program} ended with {done.returncode} and no key", hint=hint)
    return done.stdout.decode(errors="replace")


def _check_key(text: str, source: str, profile: Profile) -> Secret:
    if text:
        return to_secret(text, source)
    if profile.key_source == _NOWHERE:
        # A gateway without keys takes any; nobody's key is guessed for another's.
        raise AccountError(
            f"there is no key for {profile.name}: its profile names no place for one",
            hint=f"{_line_for_key(profile.name)}\n"
            'or api_key_env = "VARIABLE" in it; where none is needed, any word: api_key = "none"',
        )
    first = source.removeprefix("environment ").partition(" ")[0]
    is_variable = source.startswith("environment ") and not first.endswith("_FILE")
    # A `_FILE` variable names a place for a key, and is none itself.
    ways = [f"or export {first}"] if is_variable else []
    raise AccountError(
        f"there is no key for {profile.name}: looked in {source}",
        hint="\n".join(
            [_line_for_key(profile.name), *ways, "or rehearse free of charge with --sandbox"]
        ),
    )


def _line_for_key(name: str) -> str:
    """Return the command that takes a key for a profile or provider; all else of one stays."""
    return shell_line(["seedream", "providers", "add", name])


def to_secret(text: str, source: str) -> Secret:
    """Return a key; raise ConfigError, which does not show it, for what cannot be one."""
    for pattern, what, hint in _NO_KEYS:
        if re.search(pattern, text):
            raise ConfigError(f"{source} holds {what}: that cannot be a key", hint=hint)
    if any(not "!" <= letter <= "~" for letter in text):
        raise ConfigError(
            f"{source} holds something that cannot be a key: spaces, line breaks or letters"
            " beyond ASCII",
            hint="give the key alone, on one line",
        )
    return Secret(text)
