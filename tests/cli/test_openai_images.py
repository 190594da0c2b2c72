"""`openai-images`: any gateway by its profile alone, against the stand-in, over real sockets."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import StartServer
    from support.command import Cli, Ran
    from support.server import Server

URL = "https://example.com/a.png"
PRICED = '[profiles.g.models."any"]\nprice = "0.04 USD"\n'


def profile(cli: Cli, server: Server, text: str = "", key: str = "sk-1234567890123456") -> None:
    """Write the profile `g` of a gateway that is the stand-in."""
    config = cli.home / "config.toml"
    config.write_text(
        f'[profiles.g]\nprovider = "openai-images"\napi_key = "{key}"\nmodel = "any"\n'
        f'base_url = "{server.origin}/openai-images/v1"\n{text}'
    )
    config.chmod(0o600)


def made(cli: Cli, *arguments: str) -> Ran:
    """Generate, or what else is said first, and return what came."""
    words = arguments if arguments[:1] == ("edit",) else ("generate", *arguments)
    return cli(*words, "-p", "g", "--json", "--timeout", "5")


@pytest.fixture
def photo(cli: Cli) -> Path:
    """Return a picture in the working folder."""
    cli.work.mkdir(exist_ok=True)
    ran = cli("generate", "a cat", "--sandbox", "-o", "photo.jpg", "-q")
    assert ran.code == 0, ran.err
    return cli.work / "photo.jpg"


def bodies(server: Server) -> list[dict[str, object]]:
    """Return the bodies of all submits."""
    found = [entry["body"] for entry in server.submits()]
    return [body for body in found if isinstance(body, dict)]


@pytest.mark.parametrize("response", ["url", "b64_json"])
def test_a_picture_is_made(cli: Cli, server: Server, response: str) -> None:
    """By address or inline: one submit, the picture on disk, its size as it was asked for."""
    profile(cli, server, f'response_format = "{response}"\n{PRICED}')
    ran = made(cli, "a fox", "-s", "512x256", "-o", "a.png")
    assert ran.code == 0, ran.err
    said = ran.object
    assert (said["state"], said["charge"]) == ("saved", "charged")
    assert said["price"] == {"amount": 0.04, "currency": "USD", "estimated": True}
    images = said["images"]
    assert isinstance(images, list)
    assert [(i["width"], i["height"], i["format"]) for i in images] == [(512, 256, "png")]
    (body,) = bodies(server)
    assert body == {
        "model": "any",
        "prompt": "a fox",
        "n": 1,
        "size": "512x256",
        "response_format": response,
    }
    assert server.counters()["charged"] == {"openai-images": 1}
    assert "not known" not in ran.err
    assert server.counters()["authorised_image_requests"] == 0


def test_three_pictures_are_three_requests(cli: Cli, server: Server) -> None:
    """`-n 3` is three requests for one picture each."""
    profile(cli, server)
    ran = made(cli, "a fox", "-n", "3", "-o", "a.png")
    assert ran.code == 0, ran.err
    assert [path.name for path in cli.pictures()] == ["a-1.png", "a-2.png", "a-3.png"]
    assert [body["n"] for body in bodies(server)] == [1, 1, 1]
    assert len(server.charges()) == 3


@pytest.mark.parametrize("edits", ["json", "generations"])
def test_an_edit_takes_addresses_and_files(
    cli: Cli, server: Server, photo: Path, edits: str
) -> None:
    """An address goes as it is, a file as a `data:` URL, in the order in which they were given."""
    profile(cli, server, f'edits = "{edits}"\n')
    ran = made(cli, "edit", "at night", "-i", URL, "-i", photo.name, "-o", "a.png")
    assert ran.code == 0, ran.err
    (entry,) = server.submits()
    assert str(entry["path"]).endswith("/edits") is (edits == "json")
    (body,) = bodies(server)
    sent = body["image"]
    assert isinstance(sent, list)
    assert sent[0] == URL
    assert sent[1].startswith("data:image/jpeg;base64,")
    assert len(server.charges()) == 1


def test_an_edit_as_a_form_takes_files(cli: Cli, server: Server, photo: Path) -> None:
    """A form has the files as parts; the ledger names the purchase by their digests."""
    profile(cli, server, 'edits = "multipart"\n')
    ran = made(cli, "edit", "at night", "-i", photo.name, "-i", photo.name, "-o", "a.png")
    assert ran.code == 0, ran.err
    assert [charge["prompt"] for charge in server.charges()] == ["at night"]
    digest = hashlib.sha256(photo.read_bytes()).hexdigest()
    dry = cli("status", str(ran.object["job"]), "-v", "--json", "--offline").object
    assert dry["request"]["references"] == [str(photo)] * 2  # type: ignore[index]
    assert digest.encode() in (cli.state / "ledger.db").read_bytes()
    shown = cli(*("edit", "x", "-i", photo.name, "-p", "g", "--dry-run", "--json")).object
    assert f"({photo.stat().st_size} bytes)" in json.dumps(shown["body"])


def test_another_file_is_another_purchase(cli: Cli, start_server: StartServer, photo: Path) -> None:
    """An unknown outcome stands in the way of the same file in a form, and of no other."""
    server = start_server("drop:1")
    profile(cli, server, 'edits = "multipart"\n')
    other = cli.work / "other.jpg"
    cli("generate", "a dog", "--sandbox", "-o", other.name, "-q")
    assert made(cli, "edit", "x", "-i", photo.name, "-o", "a.png").code == 5
    assert made(cli, "edit", "x", "-i", photo.name, "-o", "a.png").code == 5
    assert len(server.charges()) == 1
    assert made(cli, "edit", "x", "-i", other.name, "-o", "b.png").code == 0
    assert len(server.charges()) == 2


def test_a_form_has_no_place_for_addresses(cli: Cli, server: Server) -> None:
    """An address is exit 2 before anything is sent; an earlier picture goes as its file."""
    profile(cli, server, 'edits = "multipart"\n')
    ran = made(cli, "edit", "x", "-i", URL, "-o", "a.png")
    assert (ran.code, server.submits()) == (2, [])
    assert 'edits = "json"' in ran.err
    assert made(cli, "a fox", "-o", "b.png").code == 0
    assert made(cli, "edit", "x", "-i", "job:last", "-o", "c.png").code == 0
    assert len(server.charges()) == 2


@pytest.mark.parametrize(
    ("key", "code", "word"), [("wrong-key", 4, "auth"), ("no-credit", 4, "credit")]
)
def test_what_an_account_lacks_is_refused(
    cli: Cli, server: Server, key: str, code: int, word: str
) -> None:
    """A wrong key, and a 429 that speaks of credit: refused, free, asked once."""
    profile(cli, server, key=key)
    ran = made(cli, "a fox", "-o", "a.png")
    error = ran.object["error"]
    assert isinstance(error, dict)
    assert (ran.code, error["code"], ran.object["charge"]) == (code, word, "none")
    assert len(server.submits()) == 1


@pytest.mark.parametrize(
    ("fault", "code", "state", "charge"),
    [
        ("refuse", 3, "refused", "none"),
        ("fail", 3, "failed", "maybe"),
        ("500", 5, "unknown", "maybe"),
        ("html", 5, "unknown", "maybe"),
        ("drop", 5, "unknown", "maybe"),
        ("cut", 5, "unknown", "maybe"),
    ],
)
def test_each_ending_is_told(
    cli: Cli, start_server: StartServer, fault: str, code: int, state: str, charge: str
) -> None:
    """Content policy, a failure, an error and lost answers: one submit, never sent again."""
    server = start_server(fault)
    profile(cli, server)
    ran = made(cli, "a fox", "-o", "a.png")
    said = ran.object
    assert (ran.code, said["state"], said["charge"]) == (code, state, charge)
    assert len(server.submits()) == 1


def test_a_wrong_size_is_refused_in_the_gateways_words(cli: Cli, server: Server) -> None:
    """What the gateway does not take is its own refusal: exit 3, not charged."""
    profile(cli, server)
    ran = made(cli, "a fox", "-s", "9000x9000", "-o", "a.png")
    assert (ran.code, ran.object["charge"]) == (3, "none")
    assert "A side must have from 1" in ran.err


def test_a_busy_gateway_is_waited_for(cli: Cli, start_server: StartServer) -> None:
    """429 with Retry-After is waited for, and the same is sent once more: one charge."""
    server = start_server("429:1")
    profile(cli, server)
    ran = made(cli, "a fox", "-o", "a.png")
    assert (ran.code, len(server.charges())) == (0, 1), ran.err


def test_a_picture_that_is_gone_is_told(cli: Cli, start_server: StartServer) -> None:
    """A picture whose address lapsed is exit 5 and charged; nothing is bought in its place."""
    server = start_server("expire")
    profile(cli, server)
    ran = made(cli, "a fox", "-o", "a.png")
    assert (ran.code, ran.object["state"], ran.object["charge"]) == (5, "expired", "charged")
    assert len(server.submits()) == 1


def test_a_model_has_to_be_chosen(cli: Cli, server: Server) -> None:
    """Without `-m` and a model in the profile it is exit 2; the only one described is meant."""
    profile(cli, server)
    config = cli.home / "config.toml"
    config.write_text(config.read_text().replace('model = "any"\n', ""))
    ran = cli("generate", "x", "-p", "g")
    assert (ran.code, server.submits()) == (2, [])
    assert "no model is chosen" in ran.err
    config.write_text(config.read_text() + PRICED)
    assert cli("generate", "x", "-p", "g", "--dry-run", "--json").object["price"]


def test_a_table_is_checked_and_shown(cli: Cli, server: Server) -> None:
    """What a table says of a model is checked before paying, and `providers show` has it."""
    table = 'sizes = ["2K"]\nformats = ["png"]\nreferences = 1\n'
    profile(cli, server, PRICED + table)
    for words, said in [
        (("generate", "x", "-s", "4K"), "takes --size 2K, not 4K"),
        (("generate", "x", "--format", "jpeg"), "makes PNG only"),
        (("generate", "x", "-o", "a.jpg"), "makes PNG only"),
        (("edit", "x", "-i", URL, "-i", URL), "takes at most 1"),
        (("generate", "x", "--seed", "1"), "--seed has no known form"),
    ]:
        ran = cli(*words, "-p", "g")
        assert (ran.code, server.submits()) == (2, []), words
        assert said in ran.err
    shown = cli("providers", "show", "g").out.decode()
    assert "0.04 USD" in shown
    models = cli("providers", "show", "g", "--json").object["models"]
    assert models["any"]["price"] == [{"amount": 0.04, "pixels": None, "currency": "USD"}]  # type: ignore[index]


def test_a_new_model_has_a_price_on_its_first_day(cli: Cli) -> None:
    """At every provider: the price is announced, and a list price gives way to the profile's."""
    config = cli.home / "config.toml"
    config.write_text(
        '[profiles.a]\nprovider = "ark"\n'
        '[profiles.a.models."doubao-seedream-6-0-270101"]\nprice = "0.5 CNY"\n'
        '[profiles.a.models."doubao-seedream-4-0-20260415"]\nprice = "0.01 CNY"\n'
        '[profiles.k]\nprovider = "kie"\n[profiles.k.models."seedream/6"]\nprice = "0.05 USD"\n'
    )
    for name, model, amount in [
        ("a", "doubao-seedream-6-0-270101", 0.5),
        ("a", "doubao-seedream-4-0-20260415", 0.01),
        ("k", "seedream/6", 0.05),
    ]:
        ran = cli("generate", "x", "-p", name, "-m", model, "--dry-run", "--json")
        price = ran.object["price"]
        assert isinstance(price, dict)
        assert (price["amount"], "not known" in ran.err) == (amount, False)


def test_a_batch_knows_a_gateways_prices(cli: Cli, server: Server) -> None:
    """`--plan` has the price, `--max-cost` holds, and without the table nothing is stale."""
    profile(cli, server, PRICED + 'formats = ["jpeg", "png"]\n')
    cli.work.mkdir(exist_ok=True)
    (cli.work / "art.toml").write_text(
        '[defaults]\nmodel = "any"\n[images.a]\nprompt = "x"\noutput = "a.png"\n'
    )
    batch = ("generate", "--batch", "art.toml")
    plan = cli(*batch, "-p", "g", "--plan")
    assert "0.04 USD" in plan.out.decode() + plan.err
    ran = cli(*batch, "-p", "g", "--max-cost", "1USD")
    assert ran.code == 0, ran.err
    assert len(server.charges()) == 1
    (cli.home / "config.toml").unlink()
    assert cli(*batch, "--check").code == 0
