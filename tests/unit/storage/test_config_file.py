"""What lies on disk: folders, the grammar of the config file, and edits that keep comments."""

from __future__ import annotations

import stat
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedream_cli.core.errors import ConfigError, StorageError, UsageError
from seedream_cli.request.options import OF_PROFILES
from seedream_cli.storage.config.file import (
    Config,
    load,
    read_text,
    with_default,
    with_profile,
    without_profile,
    write_private,
)
from seedream_cli.storage.config.places import Places, expand_home, places

if TYPE_CHECKING:
    from pathlib import Path

COMMENTED = """\
# my accounts
default_profile = "work"   # the one that pays

[profiles.work] # the firm's
provider = "kie"
api_key_command = [
  "pass",
  "show",
]

[profiles.work.set]
nsfw = false

# mine
[profiles.home]
provider = "ark"   # at night
"""


def config(folder: Path, text: str, mode: int = 0o600) -> Path:
    """Write a config file."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_both_variables_place_everything(tmp_path: Path) -> None:
    """With SEEDREAM_CONFIG and SEEDREAM_STATE_DIR nothing else is asked."""
    environ = {"SEEDREAM_CONFIG": str(tmp_path / "c.toml"), "SEEDREAM_STATE_DIR": "/var/s"}
    found = places(environ)
    assert found.config_file == tmp_path / "c.toml"
    assert str(found.state_dir) == "/var/s"


def test_both_variables_spare_an_import() -> None:
    """A loop in a shell that sets both variables does not pay for platformdirs."""
    import subprocess

    code = (
        "import sys; from seedream_cli.storage.config.places import places;"
        "places({'SEEDREAM_CONFIG': '/c', 'SEEDREAM_STATE_DIR': '/s'});"
        "sys.exit('platformdirs' in sys.modules or 'tomllib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is Linux's custom")
def test_xdg_places_what_no_variable_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CONFIG_HOME and XDG_STATE_HOME are honoured, one by one."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "conf"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert places({}) == Places(
        tmp_path / "conf" / "seedream" / "config.toml", tmp_path / "state" / "seedream"
    )
    mixed = places({"SEEDREAM_STATE_DIR": "/elsewhere", "SEEDREAM_CONFIG": ""})
    assert mixed.config_file == tmp_path / "conf" / "seedream" / "config.toml"
    assert str(mixed.state_dir) == "/elsewhere"


def test_places_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative folder and a home folder become absolute paths at once."""
    monkeypatch.chdir(tmp_path)
    environ = {"SEEDREAM_CONFIG": "c.toml", "SEEDREAM_STATE_DIR": "~/state", "HOME": "/home/me"}
    assert places(environ).config_file == tmp_path / "c.toml"
    assert str(places(environ).state_dir) == "/home/me/state"


@pytest.mark.parametrize(
    ("path", "becomes"),
    [
        ("~/Pictures/", "/home/me/Pictures/"),
        ("~", "/home/me"),
        ("a/~/b", "a/~/b"),
        ("~nobody-of-that-name/x", "~nobody-of-that-name/x"),
        ("{slug}.png", "{slug}.png"),
    ],
)
def test_home_is_expanded(path: str, becomes: str) -> None:
    """Only a leading `~` becomes the home folder, and a trailing slash stays."""
    assert expand_home(path, {"HOME": "/home/me"}) == becomes


def test_missing_config_is_empty(tmp_path: Path) -> None:
    """No config file is needed."""
    found = load(tmp_path / "config.toml")
    assert found.profiles == {}
    assert found.default_profile is None


def test_profile_is_read_whole(tmp_path: Path) -> None:
    """Every field of the contract's example arrives, options of generate as defaults."""
    text = """
        default_profile = "work"
        [profiles.work]
        provider = "kie"
        api_key_env = "KIE_API_KEY"
        model = "seedream/4.5-text-to-image"
        base_url = "https://api.kie.ai"
        upload_base_url = "https://kieai.redpandaai.co"
        output = "~/Pictures/{slug}.{ext}"
        aspect = "16:9"
        timeout = 90.5
        watermark = true
        set = { nsfw = false, deep = { list = [1, "a"] } }
    """
    found = load(config(tmp_path, text, 0o644))
    work = found.profiles["work"]
    assert found.default_profile == "work"
    assert (work.provider, work.api_key_env) == ("kie", "KIE_API_KEY")
    assert work.upload_base_url == "https://kieai.redpandaai.co"
    assert work.defaults == {
        "aspect": "16:9",
        "timeout": 90.5,
        "watermark": True,
        "set": {"nsfw": False, "deep": {"list": [1, "a"]}},
    }


def test_literal_key_and_command_are_read(tmp_path: Path) -> None:
    """A key becomes a Secret at once, and a command a tuple."""
    text = (
        '[profiles.a]\nprovider = "ark"\napi_key = "k-123"\n'
        '[profiles.b]\nprovider = "ark"\napi_key_command = ["pass", "show", "x"]\n'
    )
    found = load(config(tmp_path, text)).profiles
    assert found["a"].api_key is not None
    assert found["a"].api_key.reveal() == "k-123"
    assert "k-123" not in repr(found)
    assert found["b"].api_key_command == ("pass", "show", "x")


def usable(path: Path) -> Config:
    """Load a config; raise what is wrong with its first profile that cannot be used."""
    found = load(path)
    for mistake in found.mistakes.values():
        raise mistake
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('defaultprofile = "x"', ["unknown key defaultprofile", "default_profile"]),
        ("default_profile = 3", ["default_profile must be a text"]),
        ("profiles = 3", ["profiles must hold tables"]),
        ("[profiles]\nwork = 3", ["profiles.work must be a table"]),
        ("[profiles.w]\naspect = '1:1'", ["profiles.w", "provider is missing"]),
        ("[profiles.w]\nprovider = 'ark'\nasepct = '1:1'", ["unknown key asepct", "aspect"]),
        ("[profiles.w]\nprovider = 'ark'\napi-key = 'x'", ["unknown key api-key", "api_key"]),
        ("[profiles.w]\nprovider = 'ark'\njson = true", ["unknown key json"]),
        ("[profiles.w]\nprovider = 'ark'\nsandbox = true", ["unknown key sandbox"]),
        ("[profiles.w]\nprovider = 4", ["provider must be a text"]),
        ("[profiles.w]\nprovider = 'ark'\ncount = 0", ["count must be a whole number from 1"]),
        ("[profiles.w]\nprovider = 'ark'\ncount = true", ["count must be a whole number from 1"]),
        ("[profiles.w]\nprovider = 'ark'\nseed = 1.5", ["seed must be a whole number"]),
        ("[profiles.w]\nprovider = 'ark'\nguidance = nan", ["guidance must be a number"]),
        ("[profiles.w]\nprovider = 'ark'\nguidance = false", ["guidance must be a number"]),
        ("[profiles.w]\nprovider = 'ark'\ntimeout = 0", ["timeout must be a number above 0"]),
        ("[profiles.w]\nprovider = 'ark'\ntimeout = '10x'", ["timeout must be a number above 0"]),
        ("[profiles.w]\nprovider = 'ark'\ntimeout = '0s'", ["timeout must be a number above 0"]),
        ("[profiles.w]\nprovider = 'ark'\nwait = 'no'", ["wait must be true or false"]),
        ("[profiles.w]\nprovider = 'ark'\nformat = 'gif'", ['format must be "png" or "jpeg"']),
        ("[profiles.w]\nprovider = 'ark'\nset = {d = 2026-01-01}", ["set must be a table"]),
        ("[profiles.w]\nprovider = 'ark'\nmodel = ''", ["model must be a text"]),
        ("[profiles.w]\nprovider = 'ark'\napi_key_command = 'pass'", ["a list of texts"]),
        ("[profiles.w]\nprovider = 'ark'\napi_key_command = []", ["a list of texts"]),
        (
            "[profiles.w]\nprovider = 'ark'\napi_key_env = 'A_B'\napi_key_file = 'k'",
            ["api_key_env and api_key_file", "keep one"],
        ),
        ("a = 1\nb = = 2\n", ["is not TOML", "line 2"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: list[str]) -> None:
    """A mistake in the file is a configuration error with file, place, and what would be right."""
    path = config(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        usable(path)
    said = f"{caught.value.message} {caught.value.hint}"
    assert caught.value.exit == 2
    assert str(path) in said
    for word in words:
        assert word in said


@pytest.mark.parametrize("value", ["0a1b2c-3d4e", "deadbeefdeadbeef", "sk-LIVE", "1ABC"])
def test_key_in_the_wrong_place_is_not_shown(tmp_path: Path, value: str) -> None:
    """A key pasted where the name of its variable belongs is refused without being printed."""
    path = config(tmp_path, f'[profiles.w]\nprovider = "ark"\napi_key_env = "{value}"\n')
    with pytest.raises(ConfigError, match="api_key_env must be the name of a variable") as caught:
        usable(path)
    assert value not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_shared_file_with_a_key_is_refused(tmp_path: Path, mode: int) -> None:
    """A literal key in a file that others can open is refused with the command that repairs it."""
    path = config(tmp_path, '[profiles.w]\nprovider = "ark"\napi_key = "secret"\n', mode)
    with pytest.raises(ConfigError, match="other people") as caught:
        usable(path)
    assert caught.value.hint == f"chmod 600 {path}"
    assert "secret" not in caught.value.message


def test_shared_file_without_a_key_is_fine(tmp_path: Path) -> None:
    """A config that only names a variable may be world-readable."""
    path = config(tmp_path, '[profiles.w]\nprovider = "ark"\napi_key_env = "A_KEY"\n', 0o644)
    assert load(path).profiles["w"].api_key_env == "A_KEY"


def test_a_bad_profile_spoils_itself_alone(tmp_path: Path) -> None:
    """The others go on; the mistake is told with its line, by the name of its profile."""
    text = (
        "default_profile = 'good'\n"
        "[profiles.bad]  # ours\n"
        "provider = 'ark'\n\n"
        "asepct = '1:1'\n"
        '[profiles."good"]\n'
        "provider = 'kie'\n"
        "[profiles.none]\n"
        "model = 'x'\n"
        "[profiles]\nworse = 3\n"
    )
    path = config(tmp_path, text.replace("[profiles]\nworse = 3\n", ""))
    found = load(path)
    assert list(found.profiles) == ["good"]
    told = {name: error.message for name, error in found.mistakes.items()}
    assert told["bad"].startswith(f"{path}:5: profiles.bad: unknown key asepct")
    assert told["none"].startswith(f"{path}:8: profiles.none: provider is missing")


def test_a_shared_file_spoils_literal_keys_alone(tmp_path: Path) -> None:
    """What only names a variable goes on beside a key that others can read."""
    text = (
        "[profiles.open]\nprovider = 'ark'\napi_key = 'k'\n"
        "[profiles.shut]\nprovider = 'ark'\napi_key_env = 'A_KEY'\n"
    )
    found = load(config(tmp_path, text, 0o644))
    assert (list(found.profiles), list(found.mistakes)) == (["shut"], ["open"])


def test_unreadable_configs_are_configuration_errors(tmp_path: Path) -> None:
    """A folder and a file that is no text are named, not crashed over."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    broken = tmp_path / "config.toml"
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(broken)


def test_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """An editor's byte order mark does not make the file unreadable."""
    path = tmp_path / "config.toml"
    path.write_bytes(b'\xef\xbb\xbfdefault_profile = "ark"\n')
    assert load(path).default_profile == "ark"


def test_added_profile_keeps_comments() -> None:
    """Adding a profile changes nothing above it."""
    text = with_profile(COMMENTED, "new", {"provider": "uniall", "set": {"a": 1}})
    assert text.startswith(COMMENTED)
    assert tomllib.loads(text)["profiles"]["new"] == {"provider": "uniall", "set": {"a": 1}}


def test_added_profile_replaces_its_namesake() -> None:
    """A profile of the same name is replaced, with its sub-tables, and the rest stays."""
    text = with_profile(COMMENTED, "work", {"provider": "uniall"})
    document = tomllib.loads(text)
    assert document["profiles"]["work"] == {"provider": "uniall"}
    assert document["profiles"]["home"] == {"provider": "ark"}
    assert "# mine\n[profiles.home]" in text
    assert "nsfw" not in text


def test_first_profile_needs_no_file() -> None:
    """Adding to nothing gives a file of one table."""
    assert with_profile("", "a", {"provider": "ark"}) == '[profiles.a]\nprovider = "ark"\n'


@pytest.mark.parametrize("name", ["", "-x", "a b", "a.b", "a/b", "x\x1b[0m", "_"])
def test_awkward_names_are_refused(name: str) -> None:
    """A name that a shell or a terminal would trip over is not written."""
    with pytest.raises(UsageError, match="no name for a profile"):
        with_profile("", name, {"provider": "ark"})


def test_default_is_changed_in_its_line() -> None:
    """Choosing another default rewrites one value and keeps the comment behind it."""
    text = with_default(COMMENTED, "home")
    assert text == COMMENTED.replace('"work"   #', '"home"   #')


def test_default_is_added_on_top() -> None:
    """Where there is no default yet, the line goes before every table."""
    text = with_default('# mine\n[profiles.a]\nprovider = "ark"\n', "a")
    assert text.startswith('default_profile = "a"\n')
    assert "# mine" in text
    assert tomllib.loads(text)["default_profile"] == "a"


def test_removed_profile_takes_its_subtables_and_default() -> None:
    """Removing a profile removes its tables and a default that would point nowhere."""
    text = without_profile(COMMENTED, "work")
    assert tomllib.loads(text) == {"profiles": {"home": {"provider": "ark"}}}
    assert text == '# my accounts\n\n# mine\n[profiles.home]\nprovider = "ark"   # at night\n'


def test_removing_the_last_profile_leaves_comments() -> None:
    """A file whose only profile goes keeps what else stood there."""
    assert without_profile("# hello\n[profiles.a]\nprovider = 'ark'\n", "a") == "# hello\n"


def test_unknown_profile_is_not_removed() -> None:
    """Removing what is not there names what is."""
    with pytest.raises(UsageError, match="no profile wrok") as caught:
        without_profile(COMMENTED, "wrok")
    assert "work" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        'profiles = { work = { provider = "kie" }, home = { provider = "ark" } }\n',
        'profiles.work.provider = "kie"\nprofiles.home.provider = "ark"\n',
        '["profiles".\'work\']\nprovider = "kie"\n[profiles."home"]\nprovider = "ark"\n',
        '[profiles.home]\r\nprovider = "ark"\r\n[profiles.work]\r\nprovider = "kie"\r\n',
        '[profiles.home]\nprovider = """ark"""\n[profiles.work]\nprovider = """\n[a]\n"""\n',
        '[profiles]\n[profiles.work]\nprovider = "kie"\n[profiles.home]\nprovider = "ark"',
    ],
)
def test_every_way_to_write_toml_is_edited_rightly(text: str) -> None:
    """Whatever spelling of TOML the file uses, the edits say what they should."""
    assert tomllib.loads(without_profile(text, "work")) == {
        "profiles": {"home": {"provider": "ark"}}
    }
    added = tomllib.loads(with_profile(text, "new", {"provider": "ark"}))
    assert set(added["profiles"]) == {"work", "home", "new"}
    assert added["profiles"]["work"] == tomllib.loads(text)["profiles"]["work"]
    assert tomllib.loads(with_default(text, "home"))["default_profile"] == "home"


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
TABLES = st.fixed_dictionaries(
    {"provider": st.sampled_from(["ark", "kie"])},
    optional={
        "output": st.text(min_size=1, max_size=20),
        "set": st.dictionaries(st.text(max_size=5), st.integers() | st.booleans(), max_size=3),
    },
)


@given(profiles=st.dictionaries(NAMES, TABLES, min_size=1, max_size=4), data=st.data())
def test_edits_agree_with_the_parser(profiles: dict[str, object], data: st.DataObject) -> None:
    """For any profiles, the text after each edit parses to exactly the document that was meant."""
    text = ""
    for name, table in profiles.items():
        assert isinstance(table, dict)
        text = with_profile(text, name, table)
    assert tomllib.loads(text)["profiles"] == profiles
    gone = data.draw(st.sampled_from(sorted(profiles)))
    text = without_profile(with_default(text, gone), gone)
    rest = {name: table for name, table in profiles.items() if name != gone}
    assert tomllib.loads(text) == ({"profiles": rest} if rest else {})


def test_written_file_is_private(tmp_path: Path) -> None:
    """What is written is there at once, for its owner only, in a folder for its owner only."""
    path = tmp_path / "new" / "config.toml"
    write_private(path, "ä = 1\n")
    assert read_text(path) == "ä = 1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_written_file_keeps_a_link(tmp_path: Path) -> None:
    """A config that is a link into a folder of dotfiles stays a link."""
    real = tmp_path / "dotfiles.toml"
    real.write_text("a = 1\n")
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    write_private(link, "a = 2\n")
    assert link.is_symlink()
    assert real.read_text() == "a = 2\n"


def test_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    """A folder that cannot be made is told as what it is, and nothing is left behind."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_private(tmp_path / "file" / "config.toml", "x = 1\n")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_private(tmp_path / "folder.toml", "x = 1\n")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.toml"}


def test_options_are_spelled_like_those_of_generate() -> None:
    """Defaults are long option names with underscores."""
    assert all(name.replace("_", "").isalpha() and name.islower() for name in OF_PROFILES)


def test_a_budget_is_read_and_belongs_to_its_profile(tmp_path: Path) -> None:
    """`20 USD/day` is an amount a day; what is unclear spoils that profile, and names the line."""
    text = '[profiles.a]\nprovider = "kie"\nbudget = "20 USD/day"\n'
    found = load(config(tmp_path, text))
    assert str(found.profiles["a"].budget) == "20 USD/day"
    for wrong in ('"20 USD/week"', '"20"', "20", '"20 USD"', '""', "true"):
        found = load(config(tmp_path, text.replace('"20 USD/day"', wrong)))
        error = found.mistakes["a"]
        assert "config.toml:3: profiles.a: budget must be an amount" in error.message, wrong
        assert error.hint == 'budget = "20 USD/day", or /month'
