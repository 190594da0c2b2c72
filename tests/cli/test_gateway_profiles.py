"""The examples of `docs/gateways.md`: each loads, and sends what it says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.command import Cli

PAGE = (Path(__file__).parents[2] / "docs" / "gateways.md").read_text("utf-8")
EXAMPLES = "\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
ARK = {"response_format": "url", "watermark": False}
BODIES: dict[str, tuple[tuple[str, ...], str, dict[str, object], str | None]] = {
    "apiyi": (
        ("-a", "16:9"),
        "https://api.apiyi.com/v1/images/generations",
        {"model": "seedream-5-5-261028", "size": "2816x1584", **ARK},
        "0.035 USD",
    ),
    "laozhang": (
        ("-s", "1K"),
        "https://api.laozhang.ai/v1/images/generations",
        {"model": "seedream-5-5-261028", "size": "1024x1024", **ARK},
        "0.035 USD",
    ),
    "cometapi": (
        ("-s", "3072x3072"),
        "https://api.cometapi.com/v1/images/generations",
        {"model": "doubao-seedream-5-0-260128", "size": "3072x3072", **ARK},
        "0.035 USD",
    ),
    "302ai": (
        (),
        "https://api.302.ai/doubao/images/generations",
        {"model": "doubao-seedream-5-0-flash-260915", "size": "2048x2048", **ARK},
        "0.12 CNY",
    ),
    "together": (
        ("-s", "2048x1152"),
        "https://api.together.xyz/v1/images/generations",
        {"model": "ByteDance-Seed/Seedream-4.0", "n": 1, "width": 2048, "height": 1152},
        "0.03 USD",
    ),
    "litellm": (
        ("-s", "1024x1024"),
        "http://127.0.0.1:4000/v1/images/generations",
        {"model": "seedream", "n": 1, "size": "1024x1024"},
        None,
    ),
    "studio": (
        ("-s", "2K"),
        "http://images.lan:8080/v1/images/generations",
        {"model": "seedream", "n": 1, "size": "2K", "response_format": "b64_json"},
        None,
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_an_example_sends_what_it_says(cli: Cli, name: str) -> None:
    """`--dry-run` with the profile shows its address, its fields, and the price it names."""
    config = cli.home / "config.toml"
    config.write_text(EXAMPLES)
    config.chmod(0o600)
    options, url, body, price = BODIES[name]
    ran = cli("generate", "a fox", "-p", name, *options, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    said = ran.object
    assert (said["url"], said["body"]) == (url, {"prompt": "a fox"} | body)
    cost = said["price"]
    assert isinstance(cost, dict | None)
    assert (f"{cost['amount']} {cost['currency']}" if cost else None) == price
    has_table = "models" in tomllib.loads(EXAMPLES)["profiles"][name]
    assert ("not known" in ran.err) is (name in {"litellm", "studio"}), (has_table, ran.err)
    shown = cli("providers", "show", name, "--json").object
    assert shown["base_url"] == url.removesuffix("/images/generations")


def test_every_example_is_tried() -> None:
    """No profile of the page is left out here."""
    assert set(tomllib.loads(EXAMPLES)["profiles"]) == set(BODIES)


def test_what_a_model_lacks_is_told(cli: Cli) -> None:
    """A table that rules references out makes an edit exit 2, before anything is sent."""
    config = cli.home / "config.toml"
    config.write_text(EXAMPLES)
    config.chmod(0o600)
    ran = cli(*("edit", "x", "-i", "https://example.com/a.png", "-p", "together", "--dry-run"))
    assert ran.code == 2
    assert "takes at most 0" in ran.err or "takes no -i" in ran.err
