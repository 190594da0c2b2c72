"""The providers' models as data: complete, and without contradictions in themselves."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.model import Charge, Request, Size
from seedream_cli.providers import KEY_VARIABLES, PROVIDERS
from seedream_cli.request.demand import measure
from seedream_cli.request.price import estimate
from seedream_cli.sandbox.router import PREFIXES, api_of

if TYPE_CHECKING:
    from seedream_cli.providers.spec import Capabilities, Provider

MODELS = [
    pytest.param(provider.name, model, id=f"{provider.name}:{model}")
    for provider in PROVIDERS.values()
    for model in provider.models
]


def the(name: str, model: str) -> Capabilities:
    """Return one model's capabilities."""
    return PROVIDERS[name].models[model]


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_sizes_are_what_they_say(name: str, model: str) -> None:
    """Each size of a table has its ratio, is a ratio of the model, and is within its bounds."""
    able = the(name, model)
    for table in able.sizes.values():
        for ratio, size in table.items():
            wide, high = map(int, ratio.split(":"))
            assert ratio in able.aspects
            assert abs(math.log(size.width * high / (size.height * wide))) < 0.03
            if able.pixels:
                assert able.pixels[0] <= size.pixels <= able.pixels[1]
            if able.max_side:
                assert max(size.width, size.height) <= able.max_side


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_words_belong_together(name: str, model: str) -> None:
    """Default sizes and quality words are of known sizes; prices rise; limits are limits."""
    able = the(name, model)
    assert able.label
    assert able.default_size is None or able.default_size in able.sizes
    assert set(able.quality) <= set(able.sizes)
    assert able.references[0] <= able.references[1]
    assert not able.fields & able.rejects
    assert not able.picks_format or len(able.formats) > 1
    if able.tariff:
        amounts = [tier.amount for tier in able.tariff.tiers]
        assert amounts == sorted(amounts)
        assert all(amount > 0 for amount in amounts)
        assert [tier.pixels is None for tier in able.tariff.tiers][-1]


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_twins_point_at_each_other(name: str, model: str) -> None:
    """The twin of a text model edits, and its own twin is the model again."""
    able = the(name, model)
    if able.edit_twin:
        assert able.references == (0, 0)
        assert the(name, able.edit_twin).text_twin == model
    if able.text_twin:
        assert able.references[0] > 0
        assert the(name, able.text_twin).edit_twin == model


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ark", "doubao-seedream-5-0-flash-260915"),
        ("byteplus", "seedream-4-5-251128"),
        ("kie", "seedream/4.5-text-to-image"),
        ("uniall", "seedream-4.5"),
        ("seedreams", "seedream/4.5-text-to-image"),
        ("fal", "fal-ai/bytedance/seedream/v4.5/text-to-image"),
        ("wavespeed", "bytedance/seedream-v4.5"),
        ("replicate", "bytedance/seedream-4.5"),
        ("openrouter", "bytedance-seed/seedream-4.5"),
    ],
)
def test_defaults_are_the_promised_ones(name: str, model: str) -> None:
    """The model that is bought without `-m` is the one of the contract, at 2K, from text."""
    assert PROVIDERS[name].default_model == model
    assert the(name, model).default_size == "2K"
    assert the(name, model).references[0] == 0


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_whom_people_are_sent_to_lives(provider: Provider) -> None:
    """Defaults, stand-ins and successors are models of the provider, and not retired ones."""
    now = datetime(2026, 11, 30, tzinfo=UTC)
    named = [*([] if provider.default_model == "" else [provider.default_model or ""])]
    named += provider.stand_ins
    named += [able.successor for able in provider.models.values() if able.successor]
    assert set(named) <= set(provider.living(now))
    for model, able in provider.models.items():
        assert able.retired_at is None or able.retired_at.tzinfo is not None
        assert able.retired_at is not None or able.successor is None
        assert bool(provider.successors(model, now)) is able.is_retired(now)


@pytest.mark.parametrize(
    ("name", "models"),
    [
        (
            "ark",
            {
                "doubao-seedream-5-0-lite-260128": "2026-11-24T14:00:00+08:00",
                "doubao-seedream-5-0-260128": "2026-11-24T14:00:00+08:00",
                "doubao-seedream-4-0-250828": "2026-11-24T14:00:00+08:00",
                "doubao-seedream-4-5-251128": "2026-11-24T14:00:00+08:00",
                "doubao-seedream-3-0-t2i-250415": "2026-04-30T00:00:00+08:00",
                "doubao-seededit-3-0-i2i-250628": "2026-04-30T00:00:00+08:00",
            },
        ),
        (
            "byteplus",
            {
                "seedream-3-0-t2i-250415": "2026-05-13T00:00:00+00:00",
                "seededit-3-0-i2i-250628": "2026-01-22T00:00:00+00:00",
            },
        ),
    ],
)
def test_ends_are_the_announced_ones(name: str, models: dict[str, str]) -> None:
    """Each model that its provider has ended, and no other, has its end."""
    ends = {model: able.retired_at for model, able in PROVIDERS[name].models.items()}
    assert {model: at.isoformat() for model, at in ends.items() if at} == models


def test_the_older_endpoint_has_no_choice_of_model() -> None:
    """`kie-seedream` has one entry under the empty name and no default."""
    provider = PROVIDERS["kie-seedream"]
    assert provider.default_model is None
    assert set(provider.models) == {""}


def test_providers_in_order() -> None:
    """The providers are those of the contract, under their own names."""
    expected = ["ark", "byteplus", "kie", "kie-seedream", "uniall", "seedreams"]
    expected += ["fal", "replicate", "openrouter", "wavespeed", "openai-images"]
    assert [provider.name for provider in PROVIDERS.values()] == expected == list(PROVIDERS)


def test_variables_are_known_without_the_provider() -> None:
    """The table from which a provider is chosen has the variables that it reads its key from."""
    assert {name: each.key_env for name, each in PROVIDERS.items()} == KEY_VARIABLES


def test_synchronous_and_polled() -> None:
    """Ark, BytePlus, UniAll and gateways of images answer at once; the others are asked."""
    polled = {name for name, provider in PROVIDERS.items() if provider.dialect.poll}
    assert polled == {"kie", "kie-seedream", "seedreams", "fal", "replicate", "wavespeed"}


def test_places_and_lifetimes() -> None:
    """Base URLs, keys and lifetimes are those of the contract and the provider pages."""
    facts = {
        name: (provider.base_url, provider.key_env, provider.url_lifetime, provider.sandbox_path)
        for name, provider in PROVIDERS.items()
    }
    day, week, kie = timedelta(days=1), timedelta(days=7), timedelta(days=14)
    assert facts == {
        "ark": ("https://ark.cn-beijing.volces.com/api/v3", ("ARK_API_KEY",), day, "/ark/api/v3"),
        "byteplus": (
            "https://ark.ap-southeast.bytepluses.com/api/v3",
            ("BYTEPLUS_API_KEY",),
            day,
            "/byteplus/api/v3",
        ),
        "kie": ("https://api.kie.ai", ("KIE_API_KEY",), kie, "/kie"),
        "kie-seedream": ("https://api.kie.ai", ("KIE_API_KEY",), kie, "/kie"),
        "uniall": ("https://api.uniall.ai", ("UNIALL_API_KEY",), None, "/uniall"),
        "seedreams": (
            "https://www.seedreams.app/api",
            ("SEEDREAMS_API_KEY",),
            None,
            "/seedreams/api",
        ),
        "fal": ("https://queue.fal.run", ("FAL_KEY",), week, "/fal"),
        "wavespeed": (
            "https://api.wavespeed.ai/api/v3",
            ("WAVESPEED_API_KEY",),
            week,
            "/wavespeed",
        ),
        "replicate": (
            "https://api.replicate.com/v1",
            ("REPLICATE_API_TOKEN",),
            timedelta(hours=1),
            "/replicate",
        ),
        "openrouter": (
            "https://openrouter.ai/api/v1",
            ("OPENROUTER_API_KEY",),
            None,
            "/openrouter",
        ),
        "openai-images": ("", (), None, "/openai-images/v1"),
    }
    fal = PROVIDERS["fal"]
    assert (fal.upload_base_url, fal.list_base_url, fal.auth_scheme) == (
        "https://rest.fal.ai",
        "https://api.fal.ai/v1",
        "Key",
    )
    assert PROVIDERS["ark"].charge_of_failed is Charge.NONE
    assert PROVIDERS["kie"].charge_of_failed is Charge.MAYBE
    assert PROVIDERS["wavespeed"].charge_of_failed is Charge.NONE


def test_aliases_are_the_same_model() -> None:
    """A second id of a model has the first one's abilities and price."""
    ark = PROVIDERS["ark"].models
    assert ark["doubao-seedream-5-0-lite-260128"] == ark["doubao-seedream-5-0-260128"]
    byteplus = PROVIDERS["byteplus"].models
    assert byteplus["seedream-5-0-pro-260628"] == byteplus["dola-seedream-5-0-pro-260628"]


def test_sets_are_where_the_contract_has_them() -> None:
    """`--series` is for 4.0, 4.5, 5.0 lite, and on KIE and the app for v4 alone."""
    able = {
        (name, capabilities.label)
        for name, provider in PROVIDERS.items()
        for capabilities in provider.models.values()
        if capabilities.max_series > 1
    }
    labels = ("Seedream 4.0", "Seedream 4.5", "Seedream 5.0 lite")
    everywhere = ("ark", "byteplus", "fal", "wavespeed")
    assert able == {(name, label) for name in everywhere for label in labels} | {
        ("kie", "Seedream 4.0"),
        ("seedreams", "Seedream 4.0"),
        *(("replicate", label) for label in labels),
    }


@pytest.mark.parametrize(
    ("name", "model", "keyword", "aspect", "size"),
    [
        ("ark", "doubao-seedream-4-5-251128", "2K", "16:9", Size(2848, 1600)),
        ("ark", "doubao-seedream-4-5-251128", "4K", "21:9", Size(6240, 2656)),
        ("ark", "doubao-seedream-4-0-250828", "1K", "9:16", Size(736, 1312)),
        ("ark", "doubao-seedream-5-0-260128", "3K", "4:3", Size(3456, 2592)),
        ("byteplus", "dola-seedream-5-0-pro-260628", "1.5K", "16:9", Size(2048, 1152)),
        ("byteplus", "dola-seedream-5-0-pro-260628", "2K", "3:4", Size(1776, 2368)),
        ("uniall", "seedream-4.5", "4K", "1:1", Size(4096, 4096)),
        ("kie", "seedream/4.5-text-to-image", "2K", "1:1", Size(2048, 2048)),
        ("fal", "bytedance/seedream/v5/lite/edit", "3K", "4:3", Size(3456, 2592)),
        ("fal", "bytedance/seedream/v5/pro/us/text-to-image", "2K", "3:4", Size(1776, 2368)),
        ("wavespeed", "bytedance/seedream-v4/sequential", "1K", "9:16", Size(736, 1312)),
    ],
)
def test_tables_hold_the_published_pixels(
    name: str, model: str, keyword: str, aspect: str, size: Size
) -> None:
    """A keyword and a ratio make the pixels of ByteDance's table."""
    assert the(name, model).sizes[keyword][aspect] == size


@pytest.mark.parametrize(
    ("name", "model", "currency", "amounts"),
    [
        ("ark", "doubao-seedream-4-5-251128", "CNY", ["0.25"]),
        ("ark", "doubao-seedream-5-0-pro-260628", "CNY", ["0.30", "0.60"]),
        ("byteplus", "seedream-4-5-251128", "USD", ["0.04"]),
        ("byteplus", "dola-seedream-5-5-261028", "USD", ["0.020", "0.035"]),
        ("kie", "seedream/4.5-text-to-image", "USD", ["0.0325"]),
        ("kie", "seedream/5-pro-text-to-image", "USD", ["0.035", "0.07"]),
        ("kie", "seedream/5-flash-image-to-image", "USD", ["0.0162"]),
        ("kie-seedream", "", "USD", ["0.0175"]),
        ("fal", "fal-ai/bytedance/seedream/v4/edit", "USD", ["0.03"]),
        ("fal", "bytedance/seedream/v5/pro/text-to-image", "USD", ["0.0675", "0.135"]),
        ("fal", "bytedance/seedream/v5/pro/layerize", "USD", ["0.03375", "0.0675"]),
        ("fal", "bytedance/seedream/v5.5/text-to-image", "USD", ["0.03", "0.0405"]),
        ("wavespeed", "bytedance/seedream-v5.0-flash/edit", "USD", ["0.018"]),
        ("wavespeed", "bytedance/seedream-v5.0-pro", "USD", ["0.045", "0.09"]),
        ("replicate", "bytedance/seedream-4.5", "USD", ["0.04"]),
        ("replicate", "bytedance/seedream-5-pro", "USD", ["0.045", "0.09"]),
        ("openrouter", "bytedance-seed/seedream-5-0-flash", "USD", ["0.018"]),
        ("openrouter", "bytedance-seed/seedream-5-5", "USD", ["0.02", "0.035"]),
    ],
)
def test_prices_are_the_published_ones(
    name: str, model: str, currency: str, amounts: list[str]
) -> None:
    """A picture is estimated at its provider's public price."""
    tariff = the(name, model).tariff
    assert tariff is not None
    assert tariff.currency == currency
    assert [tier.amount for tier in tariff.tiers] == [Decimal(amount) for amount in amounts]


@pytest.mark.parametrize(
    ("name", "model", "low", "high"),
    [
        ("ark", "doubao-seedream-5-0-pro-260628", "0.30", "0.60"),
        ("byteplus", "dola-seedream-5-0-pro-260628", "0.045", "0.09"),
        ("byteplus", "dola-seedream-5-5-261028", "0.020", "0.035"),
    ],
)
def test_where_the_bound_is_not_sure_the_higher_price_is_shown(
    name: str, model: str, low: str, high: str
) -> None:
    """Pages print 2.61 MP, another figure is 2,601,123.84: between them it is the dear one."""
    for size, amount in (
        (Size(1536, 1536), low),
        (Size(1613, 1613), high),
        (Size(1616, 1616), high),
    ):
        request = Request(model=model, prompt="x", size=size)
        found = estimate(the(name, model), measure(PROVIDERS[name], the(name, model), request))
        assert found is not None
        assert found.amount == Decimal(amount)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_can_be_rehearsed(name: str) -> None:
    """The stand-in serves it where its `sandbox_path` says, and has words for its troubles."""
    provider = PROVIDERS[name]
    served = [prefix for prefix in PREFIXES if provider.sandbox_path.startswith(prefix)]
    assert served, "a line in sandbox/router.py"
    api = api_of(PREFIXES[served[0]])
    assert callable(api.answer)
    assert api.VOICE
