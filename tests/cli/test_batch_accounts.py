"""Which account a batch pays with, where several speak to the same provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.command import Cli
    from support.server import Server

MANIFEST = '[images.own]\nprompt = "own"\nprofile = "c"\n[images.free]\nprompt = "free"\n'


@pytest.mark.parametrize(
    ("arguments", "payer"), [((), "a"), (("-p", "b"), "b"), (("-p", "c"), "c")]
)
def test_the_row_then_the_option_then_the_default_pays(
    cli: Cli, server: Server, arguments: tuple[str, ...], payer: str
) -> None:
    """A row's `profile` goes before `-p`, and that before the default profile."""
    cli.configure(server)
    base = f'provider = "ark"\nbase_url = "{server.origin}/ark/api/v3"\n'
    text = 'default_profile = "a"\n' + "".join(
        f'[profiles.{name}]\n{base}api_key = "sk-{name}-key"\n' for name in "abc"
    )
    (cli.home / "config.toml").write_text(text)
    cli.work.mkdir()
    (cli.work / "art.toml").write_text(MANIFEST)
    ran = cli("generate", "--batch", "art.toml", "--json", *arguments)
    assert ran.code == 0, ran.err
    paid = {str(each["row"]): each["profile"] for each in ran.objects}
    assert paid == {"own": "c", "free": payer}
