"""Which account a run uses, where each value came from, and how the key is fetched."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.addresses import SANDBOX_ORIGIN
from seedream_cli.core.errors import AccountError, ConfigError, SeedreamError, UsageError
from seedream_cli.core.model import Call, Demand, Done, Profile, Purpose
from seedream_cli.providers.spec import Dialect, Provider
from seedream_cli.storage.config.file import Config, RawProfile, load
from seedream_cli.storage.config.profiles import SANDBOX_KEY, choose, with_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


DIALECT = Dialect(
    submit=lambda _: Call(purpose=Purpose.SUBMIT, method="POST", path="/"),
    measure=lambda _, __: Demand(),
    decode=lambda _: Done(images=()),
)


def provider(name: str, *key_env: str, upload: str | None = None, path: str = "") -> Provider:
    """Make a provider of which only the addresses and variables matter."""
    return Provider(
        name=name,
        title=name,
        base_url=f"https://{name}.example/api",
        key_env=key_env,
        docs="",
        charges_page="",
        keys_page="https://example.com/keys_page",
        credit_page="https://example.com/credit_page",
        path="/make",
        dialect=DIALECT,
        models={},
        default_model=None,
        url_lifetime=None,
        upload_base_url=upload,
        sandbox_path=path,
    )


PROVIDERS = {
    "ark": provider("ark", "ARK_API_KEY", path="/ark/api/v3"),
    "kie": provider("kie", "KIE_API_KEY", upload="https://up.example/", path="/kie"),
    "kie-seedream": provider("kie-seedream", "KIE_API_KEY", path="/kie"),
}
KIE_WORK = RawProfile(name="work", provider="kie")


def configured(folder: Path, *profiles: RawProfile, default: str | None = None) -> Config:
    """Make a config as if it had been read from `config.toml` in a folder."""
    return Config(
        path=folder / "config.toml",
        default_profile=default,
        profiles={raw.name: raw for raw in profiles},
    )


def chosen(
    config: Config, environ: Mapping[str, str], name: str | None = None, *, sandbox: bool = False
) -> Profile:
    """Choose among the providers of this file."""
    return choose(config, environ, name=name, sandbox=sandbox, providers=PROVIDERS)


def keyed(config: Config, environ: Mapping[str, str], name: str | None = None) -> Profile:
    """Choose, then fetch the key."""
    profile = chosen(config, environ, name)
    return with_key(profile, config, environ, providers=PROVIDERS)


def key_of(profile: Profile) -> str:
    """Return the key in the clear."""
    return profile.api_key.reveal() if profile.api_key else ""


def said(error: SeedreamError) -> str:
    """Return all that a person would see of an error, its cause too."""
    return f"{error.message} {error.hint} {error.__cause__}"


def test_option_beats_environment_beats_config(tmp_path: Path) -> None:
    """`-p` counts before SEEDREAM_PROFILE, which counts before default_profile."""
    config = configured(tmp_path, KIE_WORK, RawProfile(name="home", provider="ark"), default="home")
    environ = {"SEEDREAM_PROFILE": "work", "ARK_API_KEY": "k"}
    assert chosen(config, environ, "ark").origins["profile"] == "option -p"
    assert chosen(config, environ).name == "work"
    assert chosen(config, environ).origins["profile"] == "environment SEEDREAM_PROFILE"
    assert chosen(config, {"KIE_API_KEY": "k", "SEEDREAM_PROFILE": ""}).name == "home"
    assert chosen(config, {}).origins["profile"] == "config.toml: default_profile"


@pytest.mark.parametrize("variable", ["ARK_API_KEY", "ARK_API_KEY_FILE"])
def test_a_key_chooses_its_provider(tmp_path: Path, variable: str) -> None:
    """No config is needed: one key in the environment, or the file of one, says which provider."""
    profile = chosen(configured(tmp_path), {variable: "x"})
    assert (profile.name, profile.provider) == ("ark", "ark")
    assert profile.base_url == "https://ark.example/api"
    assert profile.origins["provider"] == f"environment {variable}"
    assert profile.origins["base_url"] == "provider's default"
    assert profile.api_key is None


def test_a_shared_key_means_the_first_provider(tmp_path: Path) -> None:
    """KIE_API_KEY means kie, and kie-seedream is there by name with the same key."""
    environ = {"KIE_API_KEY": "k-1", "ARK_API_KEY": " "}
    assert chosen(configured(tmp_path), environ).provider == "kie"
    assert key_of(keyed(configured(tmp_path), environ, "kie-seedream")) == "k-1"


def test_several_keys_need_a_choice(tmp_path: Path) -> None:
    """Two keys and no choice is exit 2, and names both; the sandbox needs no key and takes ark."""
    environ = {"KIE_API_KEY": "k", "ARK_API_KEY_FILE": "/f"}
    with pytest.raises(UsageError) as caught:
        chosen(configured(tmp_path), environ)
    assert "ARK_API_KEY_FILE (ark), KIE_API_KEY (kie)" in caught.value.message
    assert "-p ark or -p kie" in caught.value.hint
    assert chosen(configured(tmp_path), environ, "kie").provider == "kie"
    assert chosen(configured(tmp_path), environ, sandbox=True).provider == "ark"


def test_the_only_profile_is_the_one(tmp_path: Path) -> None:
    """A config with one profile needs no default, in the sandbox too; with two it is exit 2."""
    one = configured(tmp_path, KIE_WORK)
    assert chosen(one, {}).name == "work"
    assert chosen(one, {}, sandbox=True).name == "work"
    two = configured(tmp_path, KIE_WORK, RawProfile(name="home", provider="ark"))
    with pytest.raises(UsageError, match="none is chosen") as caught:
        chosen(two, {})
    assert "seedream providers use work" in caught.value.hint
    assert chosen(two, {}, sandbox=True).provider == "ark"


def test_nothing_at_all_is_an_account_error(tmp_path: Path) -> None:
    """Without any key or profile it is exit 4 and says how to set one up."""
    with pytest.raises(AccountError, match="no key is set") as caught:
        chosen(configured(tmp_path), {})
    assert (caught.value.exit, caught.value.code) == (4, "auth")
    assert re.search("(?s)export ARK_API_KEY.* --sandbox", caught.value.hint)


def test_unknown_names_are_told_with_near_ones(tmp_path: Path) -> None:
    """A mistyped name is exit 2 wherever it was written, and names what is near."""
    config = configured(tmp_path, KIE_WORK, default="wrok")
    with pytest.raises(UsageError, match=r"option -p: .* wokr") as typed:
        chosen(config, {}, "wokr")
    assert "work" in typed.value.hint
    with pytest.raises(ConfigError, match=r"SEEDREAM_PROFILE: .* arc") as exported:
        chosen(config, {"SEEDREAM_PROFILE": "arc"})
    assert "ark" in exported.value.hint
    with pytest.raises(ConfigError, match=r"config\.toml: default_profile: .* wrok"):
        chosen(config, {})
    config = configured(tmp_path, RawProfile(name="w", provider="kei"))
    with pytest.raises(ConfigError, match=r"profiles\.w: there is no provider kei") as unknown:
        chosen(config, {}, "w")
    assert "kie" in unknown.value.hint


def test_profile_values_and_their_origins(tmp_path: Path) -> None:
    """Each value comes from the profile or the provider, and says which."""
    raw = RawProfile(
        name="work",
        provider="kie",
        model="m",
        output="~/pictures/",
        upload_base_url="https://UP.example:443/x/",
        defaults={"aspect": "16:9"},
    )
    profile = chosen(configured(tmp_path, raw), {"HOME": "/home/me", "KIE_API_KEY": "k"}, "work")
    assert (profile.model, profile.output) == ("m", "/home/me/pictures/")
    assert profile.upload_base_url == "https://up.example/x"
    assert profile.defaults == {"aspect": "16:9"}
    assert profile.origins == {
        "profile": "option -p",
        "provider": "config.toml",
        "base_url": "provider's default",
        "upload_base_url": "config.toml",
        "list_base_url": "provider's default",
        "model": "config.toml",
        "output": "config.toml",
        "api_key": "environment KIE_API_KEY",
        "aspect": "config.toml",
    }


def test_own_base_url_keeps_the_key_from_the_providers_upload_host(tmp_path: Path) -> None:
    """A profile of a gateway, here one named like a provider, sends its key to no other host."""
    raw = RawProfile(name="kie", provider="kie", base_url="https://gate.example/kie/")
    profile = chosen(configured(tmp_path, raw), {}, "kie")
    assert profile.base_url == "https://gate.example/kie"
    assert profile.upload_base_url == "https://gate.example/kie"
    assert chosen(configured(tmp_path, KIE_WORK), {}).upload_base_url == "https://up.example"


def test_bad_addresses_are_named(tmp_path: Path) -> None:
    """A base_url that the key must not go to, or an upload address with no use, is exit 2."""
    open_air = RawProfile(name="w", provider="ark", base_url="http://gate.example")
    with pytest.raises(ConfigError, match=r"profiles\.w: base_url would send the key unencrypted"):
        chosen(configured(tmp_path, open_air), {})
    useless = RawProfile(name="w", provider="ark", upload_base_url="https://up.example")
    with pytest.raises(ConfigError, match=r"profiles\.w: upload_base_url: ark takes no uploads"):
        chosen(configured(tmp_path, useless), {})


def test_sandbox_variable_turns_it_on(tmp_path: Path) -> None:
    """SEEDREAM_SANDBOX=1 is `--sandbox`, of ark where nothing else is chosen."""
    for value in ("1", "true", "YES", " on "):
        profile = chosen(configured(tmp_path), {"SEEDREAM_SANDBOX": value})
        assert profile.base_url == f"{SANDBOX_ORIGIN}/ark/api/v3"
        assert (profile.sandbox, profile.upload_base_url) == (True, None)
        assert profile.origins["sandbox"] == "environment SEEDREAM_SANDBOX"


def test_sandbox_variable_is_on_or_off(tmp_path: Path) -> None:
    """A zero is no sandbox; who writes something unclear is asked, not charged."""
    for value in ("", "0", "false", "No", "off"):
        environ = {"SEEDREAM_SANDBOX": value, "ARK_API_KEY": "k"}
        assert not chosen(configured(tmp_path), environ).sandbox
    with pytest.raises(ConfigError, match="SEEDREAM_SANDBOX is neither"):
        chosen(configured(tmp_path), {"SEEDREAM_SANDBOX": "ture", "ARK_API_KEY": "k"})


def test_sandbox_keeps_the_profile_and_reads_no_key(tmp_path: Path) -> None:
    """A rehearsal has the profile's model and defaults, the stand-in's addresses, and no key."""
    witness = tmp_path / "was-run"
    raw = RawProfile(
        name="work",
        provider="kie",
        model="m",
        base_url="https://gate.example",
        api_key_command=("touch", str(witness)),
        defaults={"aspect": "16:9"},
    )
    config = configured(tmp_path, raw)
    profile = chosen(config, {"KIE_API_KEY": "real"}, "work", sandbox=True)
    again = with_key(profile, config, {"KIE_API_KEY": "real"}, providers=PROVIDERS)
    assert again == profile
    assert key_of(again) == SANDBOX_KEY
    assert profile.base_url == profile.upload_base_url == f"{SANDBOX_ORIGIN}/kie"
    assert (profile.model, profile.defaults) == ("m", {"aspect": "16:9"})
    assert profile.origins["base_url"] == "option --sandbox"
    assert not witness.exists()


def test_choosing_reads_no_key(tmp_path: Path) -> None:
    """Who only looks (`status --offline`, `--dry-run`) runs no password manager."""
    witness = tmp_path / "was-run"
    raw = RawProfile(name="work", provider="kie", api_key_command=("touch", str(witness)))
    profile = chosen(configured(tmp_path, raw), {})
    assert profile.api_key is None
    assert profile.key_source == "config.toml: api_key_command"
    assert not witness.exists()
    # And yet `providers show` can say where a key is, or where it would be looked for.
    config = configured(tmp_path, KIE_WORK)
    assert chosen(config, {"KIE_API_KEY_FILE": "/f"}).key_source == "environment KIE_API_KEY_FILE"
    assert chosen(config, {}).key_source == ("environment KIE_API_KEY or KIE_API_KEY_FILE, not set")
    raw = RawProfile(name="w", provider="kie", api_key_file="k")
    assert chosen(configured(tmp_path, raw), {}).key_source == "config.toml: api_key_file"


def test_key_from_the_environment(tmp_path: Path) -> None:
    """The variable goes before its `_FILE` twin, and white space around a key is dropped."""
    (tmp_path / "mounted").write_text("from-file\n")
    (tmp_path / "mounted").chmod(0o444)
    environ = {"KIE_API_KEY": " from-env\n", "KIE_API_KEY_FILE": str(tmp_path / "mounted")}
    profile = keyed(configured(tmp_path), environ)
    assert key_of(profile) == "from-env"
    assert profile.key_source == profile.origins["api_key"] == "environment KIE_API_KEY"
    profile = keyed(configured(tmp_path), {**environ, "KIE_API_KEY": ""})
    assert key_of(profile) == "from-file"
    assert profile.key_source == "environment KIE_API_KEY_FILE"


def test_own_variable_is_the_only_one(tmp_path: Path) -> None:
    """A profile that names its variable never falls back to another account's key."""
    raw = RawProfile(name="mine", provider="kie", api_key_env="MY_KEY")
    config = configured(tmp_path, raw)
    assert key_of(keyed(config, {"MY_KEY": "m", "KIE_API_KEY": "firm"}, "mine")) == "m"
    (tmp_path / "k").write_text("f")
    environ = {"MY_KEY_FILE": str(tmp_path / "k"), "KIE_API_KEY": "firm"}
    assert key_of(keyed(config, environ, "mine")) == "f"
    with pytest.raises(AccountError, match="MY_KEY or MY_KEY_FILE") as caught:
        keyed(config, {"KIE_API_KEY": "firm"}, "mine")
    assert (caught.value.exit, caught.value.code) == (4, "auth")
    assert "export MY_KEY" in caught.value.hint


def test_literal_key_counts_before_the_environment(tmp_path: Path) -> None:
    """A key in the profile is that profile's, whatever is exported."""
    path = tmp_path / "config.toml"
    path.write_text('[profiles.w]\nprovider = "kie"\napi_key = "literal"\n')
    path.chmod(0o600)
    profile = keyed(load(path), {"KIE_API_KEY": "env"}, "w")
    assert key_of(profile) == "literal"
    assert profile.key_source == "config.toml: api_key"
    assert "literal" not in repr(profile)


def test_key_file_is_found_beside_the_config(tmp_path: Path) -> None:
    """A relative api_key_file starts at the config's folder; others must not read it."""
    file = tmp_path / "kie.key"
    file.write_bytes(b"\xef\xbb\xbfk-1\r\n")
    file.chmod(0o600)
    for spelling in ("kie.key", str(file), "~/kie.key"):
        raw = RawProfile(name="w", provider="kie", api_key_file=spelling)
        profile = keyed(configured(tmp_path, raw), {"HOME": str(tmp_path)})
        assert key_of(profile) == "k-1"
        assert profile.key_source == "config.toml: api_key_file"
        file.chmod(0o640)
        with pytest.raises(ConfigError, match="other people") as caught:
            keyed(configured(tmp_path, raw), {"HOME": str(tmp_path)})
        assert caught.value.hint == f"chmod 600 {file}"
        file.chmod(0o600)


def test_key_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there is exit 4 and named, from the profile and from the environment."""
    for file in (str(tmp_path / "missing"), str(tmp_path), "/nul\0"):
        raw = RawProfile(name="w", provider="kie", api_key_file=file)
        with pytest.raises(AccountError, match=r"api_key_file names .* cannot be read"):
            keyed(configured(tmp_path, raw), {})
        with pytest.raises(AccountError, match=r"KIE_API_KEY_FILE names .* cannot be read"):
            keyed(configured(tmp_path), {"KIE_API_KEY_FILE": file})


def test_key_from_a_command(tmp_path: Path) -> None:
    """A password manager's output is the key; no shell reads its arguments, no stdin is taken."""
    script = "import os, sys; print(os.environ['X'] + sys.argv[1] + sys.stdin.read())"
    command = (sys.executable, "-c", script, "$HOME;*")
    raw = RawProfile(name="w", provider="kie", api_key_command=command)
    profile = keyed(configured(tmp_path, raw), {"X": "k-"})
    assert key_of(profile) == "k-$HOME;*"
    assert profile.key_source == "config.toml: api_key_command"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('hunter2'); raise SystemExit(3)", "ended with 3"),
        ("import sys; sys.exit('hunter2')", "ended with 1"),
        ("print()", "there is no key for w"),
    ],
)
def test_failing_commands_leak_nothing(
    tmp_path: Path, script: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A command that fails or says nothing is exit 4, and what it printed is not shown."""
    raw = RawProfile(name="w", provider="kie", api_key_command=(sys.executable, "-c", script))
    with pytest.raises(AccountError, match=words) as caught:
        keyed(configured(tmp_path, raw), {})
    shown = capfd.readouterr()
    assert "hunter2" not in said(caught.value) + shown.out + shown.err


def test_commands_that_cannot_be_run(tmp_path: Path) -> None:
    """A missing program is exit 4 with its name."""
    for program in ("no-such-program-of-ours", "/", "nul\0"):
        raw = RawProfile(name="w", provider="kie", api_key_command=(program,))
        with pytest.raises(AccountError, match=f"^{program} cannot be run for a key"):
            keyed(configured(tmp_path, raw), {"PATH": "/nowhere"})


def test_hanging_command_is_given_up(tmp_path: Path) -> None:
    """A command that waits for ever is ended after its time, and its output forgotten."""
    script = "import time; print('hunter2', flush=True); time.sleep(60)"
    raw = RawProfile(name="w", provider="kie", api_key_command=(sys.executable, "-c", script))
    config = configured(tmp_path, raw)
    with pytest.raises(AccountError, match=r"no key within 0\.5 s") as caught:
        with_key(chosen(config, {}), config, {}, providers=PROVIDERS, patience=0.5)
    assert "hunter2" not in said(caught.value)


@pytest.mark.parametrize("key", ["two words", "line\nline", "tab\tbed", "schlüssel", "a\x7fb"])
def test_what_cannot_be_a_key_is_not_shown(tmp_path: Path, key: str) -> None:
    """White space, control characters and letters beyond ASCII are exit 2 without the key."""
    with pytest.raises(ConfigError, match="environment KIE_API_KEY holds") as caught:
        keyed(configured(tmp_path), {"KIE_API_KEY": key})
    assert (caught.value.exit, key in said(caught.value)) == (2, False)


def test_missing_key_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """A named provider without a key is exit 4 and names both variables."""
    with pytest.raises(AccountError) as caught:
        keyed(configured(tmp_path), {"KIE_API_KEY": "\n"}, "kie")
    assert "KIE_API_KEY or KIE_API_KEY_FILE" in caught.value.message
    assert caught.value.hint.splitlines() == [
        "seedream providers add kie",
        "or export KIE_API_KEY",
        "or rehearse free of charge with --sandbox",
    ]


def test_the_real_providers_are_the_default(tmp_path: Path) -> None:
    """Without other providers handed in, the house's own six are known, each by its variable."""
    config = configured(tmp_path)
    for name in ("ark", "byteplus", "kie", "uniall", "seedreams"):
        environ = {f"{name.upper()}_API_KEY": "k-1"}
        profile = with_key(choose(config, environ), config, environ)
        assert (profile.provider, key_of(profile)) == (name, "k-1")
        assert choose(config, environ, sandbox=True).base_url.startswith(f"{SANDBOX_ORIGIN}/{name}")


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ('"sk-1"', "quotes", "leave the quotes out"),
        ("'sk-1'", "quotes", "leave the quotes out"),
        ("“sk-1”", "quotes", "leave the quotes out"),
        ("<sk-1>", "angle brackets", "without < and >"),
        ("<your key>", "angle brackets", "without < and >"),
        ("${KIE_API_KEY}", "a variable that nobody filled in", "api_key_env"),
        ("$KIE_API_KEY", "a variable that nobody filled in", "api_key_env"),
        ("{{ secrets.KIE }}", "a variable that nobody filled in", "api_key_env"),
        ("%KIE_API_KEY%", "a variable that nobody filled in", "api_key_env"),
    ],
)
def test_what_is_wrapped_is_no_key(tmp_path: Path, text: str, what: str, fix: str) -> None:
    """Quotes, brackets and unfilled variables are named with their fix; no key is shown."""
    with pytest.raises(ConfigError, match=f"KIE_API_KEY holds {what}") as caught:
        keyed(configured(tmp_path), {"KIE_API_KEY": text})
    assert fix in caught.value.hint
    assert "sk-1" not in caught.value.message + caught.value.hint
