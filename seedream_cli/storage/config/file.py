"""The config file, read and rewritten."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import ConfigError, StorageError, UsageError
from seedream_cli.core.model import Gateway, ModelTerms, Secret
from seedream_cli.core.record import dataclass, field, replace
from seedream_cli.storage.config.models import GATEWAY_FIELDS, read_gateway, read_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from seedream_cli.core.model import Budget


KEY_SOURCES: Final = (
    "api_key_env",
    "api_key_command",
    "api_key_file",
    "api_key_keyring",
    "api_key",
)
_FIELDS: Final[Mapping[str, str]] = {
    "provider": "a text",
    "api_key_env": "the name of a variable",
    "api_key_command": "a list of texts",
    "api_key_file": "a text",
    "api_key_keyring": "a text",
    "api_key": "a text",
    "model": "a text",
    "base_url": "a text",
    "upload_base_url": "a text",
    "list_base_url": "a text",
    "output": "a text",
    "image_hosts": "a text",
    "budget": "an amount a day or month",
    "allow_http": "true or false",
    **GATEWAY_FIELDS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawProfile:
    """One `[profiles.NAME]` table as it stands in the file, its keys and types checked."""

    name: str
    provider: str
    api_key_env: str | None = None
    api_key_command: tuple[str, ...] | None = None
    api_key_file: str | None = None
    api_key_keyring: str | None = None
    api_key: Secret | None = None
    model: str | None = None
    base_url: str | None = None
    upload_base_url: str | None = None
    list_base_url: str | None = None
    output: str | None = None
    image_hosts: str | None = None
    budget: Budget | None = None
    allow_http: bool = False
    models: Mapping[str, ModelTerms] = field(default_factory=dict)
    gateway: Gateway | None = None
    defaults: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a config file says."""

    path: Path
    default_profile: str | None = None
    profiles: Mapping[str, RawProfile] = field(default_factory=dict)
    mistakes: Mapping[str, ConfigError] = field(default_factory=dict)
    """Why the other profiles are not usable, by name: one spoils itself alone."""
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Where a profile's key stands in the file, and under `""` where the profile begins; of a table
    within it `models.ID` and `models.ID.KEY`."""

    @property
    def names(self) -> tuple[str, ...]:
        """All profiles that the file has, the usable first."""
        return (*self.profiles, *self.mistakes)

    def where(self, name: str, *path: str) -> str:
        """Say where a profile, or a key of it, stands: `/home/me/config.toml:3: profiles.work`."""
        return _where(self.path, self.lines, name, *path)


def read_text(config_file: Path) -> str:
    """Return the config file's text; empty where there is none. Raises ConfigError."""
    try:
        return config_file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise ConfigError(f"{config_file} is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"{config_file} cannot be read: {error.strerror}") from error


def load(config_file: Path) -> Config:
    """Read a config file; a missing one is an empty one.

    Raises ConfigError for what is not TOML or not known outside of the profiles. What is wrong with
    a profile, a literal key in a file that others can read too, is one of the config's `mistakes`.
    No message shows a value: it may be a key in the wrong place.
    """
    config = parse(read_text(config_file), config_file)
    literal = {name for name, raw in config.profiles.items() if raw.api_key is not None}
    try:
        if literal:
            refuse_shared(config_file, f"{config_file} holds an api_key")
    except ConfigError as error:
        sound = {name: raw for name, raw in config.profiles.items() if name not in literal}
        mistakes = {**config.mistakes, **dict.fromkeys(literal, error)}
        return replace(config, profiles=sound, mistakes=mistakes)
    return config


def parse(text: str, config_file: Path) -> Config:
    """Read what a config file says or would say. Raises ConfigError as `load` does."""
    default, tables = outline(text, config_file)
    lines = _lines(text)
    profiles: dict[str, RawProfile] = {}
    mistakes: dict[str, ConfigError] = {}
    for name, table in tables.items():
        try:
            profiles[name] = _raw(name, table, partial(_where, config_file, lines, name))
        except ConfigError as error:
            mistakes[name] = error
    return Config(
        path=config_file,
        default_profile=default,
        profiles=profiles,
        mistakes=mistakes,
        lines=lines,
    )


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Return in which line each profile begins, and each of its keys, as far as lines tell."""
    found: dict[tuple[str, str], int] = {}
    owner: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        header = _header_path(line)
        owner = owner if header is None else header
        if header:
            found.setdefault((header[0], ".".join(header[1:])), number)
        key = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line)
        if owner and key:
            found.setdefault((owner[0], ".".join([*owner[1:], key[1]])), number)
    return found


def _where(file: Path, lines: Mapping[tuple[str, str], int], name: str, *path: str) -> str:
    """Say where a key stands, else what it lies in."""
    steps = [".".join(path[:end]) for end in range(len(path), -1, -1)]
    line = next((lines[name, step] for step in steps if (name, step) in lines), None)
    return f"{file}:{line}: profiles.{name}" if line else f"{file}: profiles.{name}"


def outline(text: str, config_file: Path) -> tuple[str | None, Mapping[str, object]]:
    """Return default_profile and each profile's table, not looked into. Raises ConfigError."""
    where = str(config_file)
    document = _parse_toml(text, where)
    _refuse_unknown(document, ("default_profile", "profiles"), where)
    default = document.get("default_profile")
    if default is not None and not isinstance(default, str):
        raise ConfigError(f"{where}: default_profile must be a text")
    tables = document.get("profiles", {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{where}: profiles must hold tables", hint="write [profiles.NAME]")
    return default, tables


def refuse_shared(file: Path, what: str) -> None:
    """Raise ConfigError where a file with a key in it is open to other people of this machine."""
    try:
        # Any bit of the group's or of others'.
        is_shared = file.stat().st_mode & 0o077
    except OSError:
        return  # reading it tells why
    if is_shared:
        from shlex import quote

        hint = f"chmod 600 {quote(str(file))}"
        raise ConfigError(f"{what} and other people can read it", hint=hint)


def near(word: str, words: Iterable[str]) -> str:
    """Return a hint with the words that come near to `word`, or with all of them."""
    from difflib import get_close_matches

    known = list(words)
    close = get_close_matches(word, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"


def _parse_toml(text: str, where: str) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error


def _refuse_unknown(table: Mapping[str, object], known: Iterable[str], where: str) -> None:
    words = list(known)
    for key in table:
        if key not in words:
            raise ConfigError(f"{where}: unknown key {key}", hint=near(key, words))


def _raw(name: str, table: object, where: Callable[..., str]) -> RawProfile:
    """Check one profile's keys and types."""
    from seedream_cli.request.options import KINDS, OF_PROFILES

    if not isinstance(table, dict):
        raise ConfigError(f"{where()} must be a table", hint=f"write [profiles.{name}]")
    for key in table:
        _refuse_unknown({key: None}, [*_FIELDS, "models", *OF_PROFILES], where(key))
    models = read_models(table.get("models", {}), where)
    table = {key: value for key, value in table.items() if key != "models"}
    for key, value in table.items():
        kind = _FIELDS.get(key) or OF_PROFILES[key]
        if key != "budget" and not KINDS[kind](value):
            raise ConfigError(f"{where(key)}: {key} must be {kind}")
    if "provider" not in table:
        raise ConfigError(f"{where()}: provider is missing", hint='for example provider = "ark"')
    if table.get("image_hosts", "any") != "any":
        hint = "leave it out, then they come from public addresses only"
        raise ConfigError(f"{where('image_hosts')}: image_hosts can only be “any”", hint=hint)
    sources = [key for key in KEY_SOURCES if key in table]
    if len(sources) > 1:
        # Two keys are two accounts: guessing which one pays is not ours to do.
        both = " and ".join(sources)
        raise ConfigError(f"{where(sources[1])} has {both}", hint="keep one of them")
    gateway = read_gateway(table, where)
    own = _FIELDS.keys() - GATEWAY_FIELDS.keys()
    fields = {key: value for key, value in table.items() if key in own}
    readers: dict[str, Callable[..., object]] = {
        "api_key": Secret,
        "api_key_command": tuple,
        "budget": partial(_budget, where),
    }
    fields |= {key: read(fields[key]) for key, read in readers.items() if key in fields}
    defaults = {key: value for key, value in table.items() if key in OF_PROFILES}
    return RawProfile(name=name, defaults=defaults, models=models, gateway=gateway, **fields)


def _budget(where: Callable[..., str], written: object) -> Budget:
    """Read what a profile's account may spend; raise ConfigError for what says that unclearly."""
    from seedream_cli.core.budget import parse_budget

    found = parse_budget(written) if isinstance(written, str) else None
    if found is None:
        words = "budget must be an amount, its currency, and a day or month"
        raise ConfigError(f"{where('budget')}: {words}", hint='budget = "20 USD/day", or /month')
    return found


def with_profile(text: str, name: str, table: Mapping[str, object]) -> str:
    """Return a config text that also has `[profiles.NAME]`; one of that name is replaced.

    Comments and layout of all else stay. Raises UsageError for a name that shells or TOML would
    make hard to type, ConfigError where `text` is not TOML.
    """
    if re.fullmatch(r"[^\W_][\w-]*", name) is None:
        raise UsageError(
            f"{name!r} is no name for a profile", hint="use letters, digits, dashes and underscores"
        )
    import tomli_w

    before = _cut(text, name)
    added = tomli_w.dumps({"profiles": {name: dict(table)}})
    before = before.rstrip("\n") + "\n\n" if before.strip() else before
    document = _parse_toml(text, "the config file")
    profiles = {**_profiles(document), name: dict(table)}
    return _verify(before + added, {**document, "profiles": profiles})


def with_value(text: str, name: str, key: str, value: object) -> str:
    """Return a config text in which a profile has `value` for `key`.

    Of two ways to a key the older gives way.
    Comments and layout of all else stay. Raises UsageError where there is no such profile or key,
    ConfigError where `text` is not TOML.
    """
    import tomli_w

    document = _parse_toml(text, "the config file")
    profiles = _profiles(document)
    table = profiles.get(name)
    if not isinstance(table, dict):
        raise UsageError(f"there is no profile {name}", hint=_near_profile(name, profiles))
    known = list(value_names())
    if key not in known:
        raise UsageError(f"there is no value {key}", hint=near(key, known))
    # Two places for a key would be two accounts.
    gone = [each for each in KEY_SOURCES if key in KEY_SOURCES and each != key and each in table]
    kept = {each: old for each, old in table.items() if each not in gone}
    profiles[name] = {**kept, key: value}
    edited = text.splitlines(keepends=True)
    lines = _lines(text)
    head, new = lines.get((name, "")), tomli_w.dumps({key: value})
    at = lines.get((name, key))
    for each in (lines[name, one] for one in gone if (name, one) in lines):
        edited[each - 1] = new if at is None else ""
        at = each if at is None else at
    if at is None and head is not None:
        edited[head - 1] = edited[head - 1].rstrip("\n") + "\n" + new
    elif at is not None:
        comment = re.search(r"[ \t]+#[^\"'\n]*\Z", edited[at - 1].rstrip("\n"))
        edited[at - 1] = new.rstrip("\n") + (comment[0] if comment else "") + "\n"
    return _verify("".join(edited), {**document, "profiles": profiles})


def value_names() -> tuple[str, ...]:
    """Return all that a profile may say, but for its models and the key itself."""
    from seedream_cli.request.options import OF_PROFILES

    return (*(name for name in _FIELDS if name != "api_key"), *OF_PROFILES)


def value_of(key: str, word: str) -> object:
    """Return what a word typed for `key` means in the config file: by the kind that it has there.

    >>> value_of("seed", "7"), value_of("model", "7"), value_of("api_key_command", "pass show it")
    (7, '7', ['pass', 'show', 'it'])
    """
    import json
    import shlex

    from seedream_cli.request.options import KINDS, OF_PROFILES

    kind = _FIELDS.get(key) or OF_PROFILES.get(key, "a text")
    if kind in {"a text", "the name of a variable"} or kind not in KINDS:
        return word
    try:
        return json.loads(word)
    except (ValueError, RecursionError):
        return shlex.split(word) if kind == "a list of texts" else word


def with_default(text: str, name: str) -> str:
    """Return a config text whose default_profile is `name`. Raises ConfigError."""
    import tomli_w

    line = tomli_w.dumps({"default_profile": name})
    document = {**_parse_toml(text, "the config file"), "default_profile": name}
    # Its line alone is changed; `_verify` proves that no other meaning came of it.
    pattern = r"(?m)^[ \t]*default_profile[ \t]*=[ \t]*(\"[^\"\n]*\"|'[^'\n]*')"
    edited, times = re.subn(pattern, lambda _: line.rstrip("\n"), text, count=1)
    return _verify(edited if times else line + ("\n" if text else "") + text, document)


def without_profile(text: str, name: str) -> str:
    """Return a config text without a profile, nor a default_profile that names it.

    Raises UsageError where there is no such profile, ConfigError where `text` is not TOML.
    """
    document = _parse_toml(text, "the config file")
    profiles = _profiles(document)
    if name not in profiles:
        raise UsageError(f"there is no profile {name}", hint=_near_profile(name, profiles))
    del profiles[name]
    edited = _cut(text, name)
    expected = {**document, "profiles": profiles}
    if document.get("default_profile") == name:
        del expected["default_profile"]
        edited = re.sub(r"(?m)^[ \t]*default_profile[ \t]*=.*\n?", "", edited, count=1)
    return _verify(edited, expected)


def _near_profile(name: str, profiles: Iterable[str]) -> str:
    return near(name, profiles) if profiles else "there is none: providers add NAME writes one"


def _profiles(document: Mapping[str, object]) -> dict[str, object]:
    profiles = document.get("profiles")
    return dict(profiles) if isinstance(profiles, dict) else {}


def _cut(text: str, name: str) -> str:
    """Leave out the tables of a profile, but not the comments that stand before the next table."""
    kept: list[str] = []
    pending: list[str] = []
    is_inside = False
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        owner = _header(line)
        if owner is not None:
            # What stood between the last value and this header belongs to the header.
            kept += [] if is_inside and owner == name else pending
            is_inside, pending = owner == name, []
        if not is_inside:
            kept.append(line)
        elif line.lstrip().startswith("#") or (pending and not line.strip()):
            pending.append(line)
        elif line.strip():
            pending = []
    return "".join(kept)


def _header(line: str) -> str | None:
    """Return whose profile a table's header line opens, `""` for other tables; None: no header."""
    path = _header_path(line)
    return path if path is None else next(iter(path), "")


def _header_path(line: str) -> list[str] | None:
    """Return the keys below `profiles` of a table's header line; None: it is none."""
    if not line.lstrip().startswith("["):
        return None
    import tomllib

    try:
        # A header line is a document of its own: the parser knows every way to quote it.
        table = tomllib.loads(line).get("profiles")
    except tomllib.TOMLDecodeError:
        return None
    path: list[str] = []
    while isinstance(table, dict) and table:
        ((key, table),) = table.items()
        path.append(key)
    return path


def _verify(edited: str, expected: Mapping[str, object]) -> str:
    """Return the edited text if it says what it should, else the same written anew.

    An edit by lines cannot follow inline tables and multi-line strings; its result is never
    trusted, only compared.
    """
    import tomllib

    import tomli_w

    wanted = {key: value for key, value in expected.items() if (key, value) != ("profiles", {})}
    try:
        found = tomllib.loads(edited)
    except tomllib.TOMLDecodeError:
        return tomli_w.dumps(wanted)
    if found.get("profiles") == {}:
        del found["profiles"]
    return edited if found == wanted else tomli_w.dumps(wanted)


def write_private(file: Path, text: str) -> None:
    """Replace `file` by `text`, whole or not at all, readable by its owner only.

    A symbolic link stays one. Raises StorageError where the disk does not take it.
    """
    import tempfile

    # Configurations are often links into a folder of dotfiles: the rename must not cut the link.
    target = Path(os.path.realpath(file))
    if target.exists() and not target.is_file():
        # A device would be replaced like a file: `SEEDREAM_CONFIG=/dev/null` means "no config".
        raise StorageError(f"{file} cannot be written: it is no ordinary file")
    temporary: Path | None = None
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".seedream-", delete=False) as f:
            temporary = Path(f.name)
            f.write(text.encode())
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(target)
        _flush_folder(target.parent)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise StorageError(f"{file} cannot be written: {error.strerror}") from error


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
