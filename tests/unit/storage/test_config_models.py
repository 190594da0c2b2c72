"""What a profile says of models and of its gateway: read, or refused at its line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import AccountError, ConfigError
from seedream_cli.core.model import Gateway, ModelTerms, Money, Options, Profile, Reference
from seedream_cli.providers import PROVIDERS
from seedream_cli.providers.customize import customize
from seedream_cli.request.check import resolve
from seedream_cli.storage.config.file import parse, with_profile, without_profile
from seedream_cli.storage.config.profiles import choose, lack_of_key, with_key

if TYPE_CHECKING:
    from pathlib import Path

    from seedream_cli.storage.config.file import Config

HEAD = '[profiles.g]\nprovider = "openai-images"\nbase_url = "https://gw.example/v1"\n'


def read(folder: Path, text: str) -> Config:
    """Read a config text."""
    return parse(text, folder / "config.toml")


def mistake(folder: Path, text: str) -> ConfigError:
    """Return what is wrong with the profile `g`, at reading or at choosing."""
    config = read(folder, text)
    if "g" in config.mistakes:
        return config.mistakes["g"]
    with pytest.raises(ConfigError) as caught:
        choose(config, {}, name="g")
    return caught.value


def test_a_table_of_a_model_is_read(tmp_path: Path) -> None:
    """Every key of it, also in an inline table and with dots in the id."""
    config = read(
        tmp_path,
        HEAD
        + 'models."x/4.5" = { price = "1 cny", sizes = ["2K", "WxH"] }\n'
        + '[profiles.g.models."y"]\nlabel = "Y"\naspects = ["16:9"]\nformats = ["png"]\n'
        + "references = 0\nseries = 4\n",
    )
    assert config.profiles["g"].models == {
        "x/4.5": ModelTerms(price=Money(Decimal(1), "CNY"), sizes=("2K", "WxH")),
        "y": ModelTerms(label="Y", aspects=("16:9",), formats=("png",), references=0, series=4),
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('price = "4 cents"', 'price must be what one picture costs at most, like "0.04 USD"'),
        ("price = 0.04", 'like "0.04 USD"'),
        ('price = "0 USD"', 'like "0.04 USD"'),
        ('price = "-1 USD"', 'like "0.04 USD"'),
        ('sizes = "2K"', "sizes must be a list"),
        ("sizes = []", "sizes must be a list"),
        ('sizes = ["2K", 4]', "sizes must be a list"),
        ('aspects = ["wide"]', "aspects must be a list of ratios"),
        ('formats = ["webp"]', 'formats must be a list of "png" and "jpeg"'),
        ("references = -1", "references must be a whole number"),
        ("references = true", "references must be a whole number"),
        ("series = 0", "series must be a whole number from 1"),
        ('label = " "', "label must be a text"),
        ('prise = "1 USD"', "prise is not known"),
    ],
)
def test_a_mistake_is_named_at_its_line(tmp_path: Path, line: str, words: str) -> None:
    """The file, the line of the key, and what it has to be; the other profiles go on."""
    text = f'[profiles.k]\nprovider = "kie"\n{HEAD}[profiles.g.models."a.b"]\nlabel = "A"\n{line}\n'
    if line.startswith("label"):
        text = text.replace('label = "A"\n', "\n")
    error = mistake(tmp_path, text)
    assert error.message.startswith(f"{tmp_path}/config.toml:8: profiles.g.models.a.b.")
    assert words in error.message
    assert set(read(tmp_path, text).profiles) == {"k"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('edits = "xml"', ':4: profiles.g: edits must be "json", "multipart" or "generations"'),
        ('references = "upload"', 'references must be "inline" or "url"'),
        ('size_fields = "w,h"', 'size_fields must be "size" or "width-height"'),
        ('image_field = "a b"', "image_field must be a field's name"),
        ('response_format = "{}"', "response_format must be a word"),
        ("edits = 1", "edits must be a text"),
        ('models = "x"', "models must hold tables"),
        ("models.x = 3", "models.x is no table of a model"),
        ("allow_http = 1", "allow_http must be true or false"),
    ],
)
def test_a_gateways_habits_are_checked(tmp_path: Path, line: str, words: str) -> None:
    """A word that no gateway speaks is named at its line."""
    assert words in mistake(tmp_path, f"{HEAD}{line}\n").message


def test_a_gateway_is_read(tmp_path: Path) -> None:
    """What differs between gateways arrives in the profile; left out it is the default."""
    text = f'{HEAD}edits = "multipart"\nimage_field = "image[]"\nresponse_format = "b64_json"\n'
    profile = choose(read(tmp_path, text), {}, name="g")
    assert profile.gateway == Gateway(
        edits="multipart", image_field="image[]", response_format="b64_json"
    )
    assert choose(read(tmp_path, HEAD), {}, name="g").gateway == Gateway()


def test_what_is_for_gateways_is_for_no_other(tmp_path: Path) -> None:
    """A gateway's key in another provider's profile would be dropped in silence: exit 2."""
    error = mistake(tmp_path, '[profiles.g]\nprovider = "ark"\n\nimage_field = "image"\n')
    assert ":4: profiles.g: image_field is for gateways, and ark is none" in error.message


def test_a_gateway_needs_an_address(tmp_path: Path) -> None:
    """Without `base_url` nobody knows where to; without a profile the command is named."""
    error = mistake(tmp_path, '[profiles.g]\nprovider = "openai-images"\n')
    assert ":1: profiles.g: base_url is missing" in error.message
    with pytest.raises(ConfigError) as caught:
        choose(read(tmp_path, ""), {}, name="openai-images")
    assert "providers add NAME --provider openai-images" in caught.value.hint
    assert choose(read(tmp_path, ""), {}, name="openai-images", sandbox=True).sandbox


def test_no_key_is_guessed_for_a_gateway(tmp_path: Path) -> None:
    """No variable of anybody's is taken; the profile names its own, or a word for none."""
    environ = {"OPENAI_API_KEY": "sk-of-openai", "ARK_API_KEY": "of-ark"}
    config = read(tmp_path, HEAD)
    profile = choose(config, environ, name="g")
    assert lack_of_key(profile, config, environ) == "its profile names no place"
    with pytest.raises(AccountError, match="names no place") as caught:
        with_key(profile, config, environ)
    assert 'api_key = "none"' in caught.value.hint


@pytest.mark.parametrize(
    "host",
    ["10.1.2.3", "172.16.0.1:4000", "192.168.1.9", "[fd00::7]:8080", "litellm:4000", "img.lan"],
)
def test_plain_http_reaches_private_addresses(tmp_path: Path, host: str) -> None:
    """With `allow_http`, and never without it."""
    text = f'[profiles.g]\nprovider = "ark"\nbase_url = "http://{host}/v1"\n'
    error = mistake(tmp_path, text)
    assert "unencrypted" in error.message
    assert "allow_http = true" in error.hint
    profile = choose(read(tmp_path, f"{text}allow_http = true\n"), {}, name="g")
    assert profile.base_url == f"http://{host}/v1"


NOT_PRIVATE = """
    8.8.8.8 169.254.169.254 0.0.0.0 198.18.0.1 100.64.0.1 224.0.0.1 134744072 0x8.8.8.8 8.8
    [2606:4700::1] [fe80::1] [::ffff:8.8.8.8]
"""


@pytest.mark.parametrize("host", NOT_PRIVATE.split())
def test_plain_http_reaches_nothing_else(tmp_path: Path, host: str) -> None:
    """An address that is not private stays out of reach, however it is written."""
    text = f'[profiles.g]\nprovider = "ark"\nbase_url = "http://{host}/v1"\nallow_http = true\n'
    assert "no private address" in mistake(tmp_path, text).message


def test_edits_of_the_file_take_the_tables_along(tmp_path: Path) -> None:
    """A profile goes with its models, and what stands around it stays."""
    text = (
        '# mine\n[profiles.k]\nprovider = "kie"\n\n'
        + HEAD
        + '[profiles.g.models."a"]\nseries = 2\n'
    )
    assert without_profile(text, "g").strip() == '# mine\n[profiles.k]\nprovider = "kie"'
    table = {"provider": "ark", "models": {"x.y": {"price": "1 CNY"}}}
    again = read(tmp_path, with_profile(text, "n", table))
    assert again.profiles["n"].models["x.y"].price == Money(Decimal(1), "CNY")
    assert again.profiles["g"].models["a"].series == 2


def account(provider: str, **models: ModelTerms) -> Profile:
    """Return a profile that says this of models."""
    return Profile(name="p", provider=provider, base_url="https://x.example", models=models)


def test_a_list_price_gives_way() -> None:
    """`price` stands for every tier; what references cost stays in the same currency."""
    now = datetime(2026, 11, 30, tzinfo=UTC)
    terms = ModelTerms(price=Money(Decimal("0.01"), "USD"))
    made = customize(
        PROVIDERS["byteplus"], account("byteplus", **{"dola-seedream-5-5-261028": terms})
    )
    url = "https://example.com/a.png"
    options = Options(
        prompt="x",
        model="dola-seedream-5-5-261028",
        references=(Reference(source=url, url=url),),
        edit=True,
    )
    found = resolve(made, options, now=now)
    assert found.price == Money(Decimal("0.018"), "USD")
    dearer = ModelTerms(price=Money(Decimal("0.1"), "CNY"))
    made = customize(
        PROVIDERS["byteplus"], account("byteplus", **{"dola-seedream-5-5-261028": dearer})
    )
    found = resolve(made, options, now=now)
    assert found.price == Money(Decimal("0.1"), "CNY")


def test_a_known_model_keeps_what_is_not_said() -> None:
    """Sizes, references and sets can be narrowed; the rest is as it was."""
    known = PROVIDERS["ark"].models["doubao-seedream-4-0-20260415"]
    terms = ModelTerms(sizes=("2K", "8K"), references=3, series=2, formats=("png",))
    made = customize(
        PROVIDERS["ark"], account("ark", **{"doubao-seedream-4-0-20260415": terms})
    ).models["doubao-seedream-4-0-20260415"]
    assert dict(made.sizes) == {"2K": known.sizes["2K"], "8K": {}}
    assert (made.pixels, made.references, made.max_series) == (None, (0, 3), 2)
    assert (made.formats, made.tariff, made.default_size) == (("png",), known.tariff, "2K")
    assert made.unsaid is None


def test_nothing_said_changes_nothing() -> None:
    """A profile without tables leaves its provider as it is."""
    for provider in PROVIDERS.values():
        if provider.base_url:
            assert customize(provider, account(provider.name)) is provider
