"""What is sent is what is counted, from the command line to the names of the files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.command import Cli
    from support.server import Server

AUTO = "sequential_image_generation=auto"
MANIFEST = """
[defaults]
profile = "ark"

[images.hero]
prompt = "a lighthouse"
output = "hero.jpg"
set = {sequential_image_generation = "auto"}
"""


def test_a_set_said_by_field_is_counted_in_a_batch(cli: Cli, server: Server) -> None:
    """A row's own field asks for 15 pictures: they are announced, and no bound lets them by."""
    cli.configure(server)
    cli.work.mkdir(exist_ok=True)
    (cli.work / "art.toml").write_text(MANIFEST)
    batch = ("generate", "--batch", "art.toml")
    for bound in (("--max-images", "1"), ("--max-cost", "0.30CNY"), ("--max-cost", "2.99CNY")):
        ran = cli(*batch, *bound)
        assert ran.code != 0
        assert "15 to make" in ran.err
        assert "3.00 CNY" in ran.err
    both = cli(*batch, "--max-cost", "0.30CNY", "--max-images", "1")
    assert both.code != 0
    assert server.charges() == []
    assert cli("generate", "--batch", "art.toml", "--plan").out.count(b"hero") >= 1


def test_a_field_that_nobody_knows_is_no_batch_under_a_bound(cli: Cli, server: Server) -> None:
    """The row is named; without a bound it is made."""
    cli.configure(server)
    cli.work.mkdir(exist_ok=True)
    text = MANIFEST.replace('sequential_image_generation = "auto"', "bogus = 2")
    (cli.work / "art.toml").write_text(text)
    ran = cli("generate", "--batch", "art.toml", "--max-images", "5")
    assert ran.code == 2
    assert "hero: --set bogus is no field" in ran.err
    assert server.charges() == []
    assert cli("generate", "--batch", "art.toml").code == 0


def test_names_and_price_follow_a_set_said_by_field(cli: Cli) -> None:
    """`--set` asks for a set: its pictures are numbered, none is called taken, all are priced."""
    words = ("generate", "a fox", "-p", "byteplus", "--set", AUTO, "-o", "fox.jpg")
    price = cli(*words, "--dry-run", "--json").object["price"]
    assert price == {"amount": 0.6, "currency": "USD", "estimated": True}
    ran = cli(*words, "--set", "sequential_image_generation_options.max_images=3", "--sandbox")
    assert ran.code == 0, ran.err
    assert ran.lines == ["fox-1.jpg", "fox-2.jpg", "fox-3.jpg"]
    assert "taken" not in ran.err


def test_uniall_counts_its_own_n(cli: Cli) -> None:
    """`-n` is as many requests, `--set n` as many pictures of each."""
    words = ("generate", "a fox", "-p", "uniall", "-o", "u.jpg", "--sandbox")
    ran = cli(*words, "-n", "2", "--set", "n=2", "--json")
    assert ran.code == 0, ran.err
    assert [len(job["images"]) for job in ran.objects] == [2, 2]  # type: ignore[arg-type]
    paths = [image["path"] for job in ran.objects for image in job["images"]]  # type: ignore[attr-defined]
    assert [path.rpartition("/")[2] for path in paths] == [f"u-{n}.jpg" for n in range(1, 5)]


@pytest.mark.parametrize(
    ("arguments", "way"),
    [
        (("-p", "kie", "--set", "max_images=3"), "-n N makes N pictures"),
        (("-p", "kie", "-m", "4", "--set", "max_images=many"), "--series N a set"),
        (("-p", "kie", "-m", "4", "--set", "max_images=true"), "--series N a set"),
        (("-p", "uniall", "--set", "n=7"), "-n N makes N pictures"),
        (("-p", "uniall", "--set", "n=[3]"), "-n N makes N pictures"),
        (("-p", "uniall", "--set", 'n={"n": 3}'), "-n N makes N pictures"),
        (("-p", "kie", "--set", "max_images=3", "-s", "1K"), "-n N makes N pictures"),
        (("-p", "seedreams", "--set", "maxImages=5"), "-n N makes N pictures"),
        (("-m", "5-pro", "--set", AUTO), "-n N makes N pictures"),
    ],
)
def test_a_count_that_is_not_to_be_had_names_the_option(
    cli: Cli, arguments: tuple[str, ...], way: str
) -> None:
    """A field for a count that the model lacks, or does not take, is exit 2 with the way."""
    words = arguments if "-p" in arguments else ("-p", "ark", *arguments)
    ran = cli("generate", "a fox at dawn", *words, "--dry-run")
    assert ran.code == 2
    assert way in ran.err


def test_what_a_provider_documents_is_no_warning(cli: Cli) -> None:
    """KIE's callback address is a field like others; what it does not know is said."""
    words = ("generate", "a fox at dawn", "-p", "kie", "--dry-run", "--json")
    known = cli(*words, "--set", "callBackUrl=https://example.com/hook")
    assert known.err == ""
    assert known.object["body"]["callBackUrl"] == "https://example.com/hook"  # type: ignore[index]
    assert "documents" in cli(*words, "--set", "bogus=1").err


@pytest.mark.parametrize("more", [(), ("--series", "2")])
def test_usage_is_shown(cli: Cli, more: tuple[str, ...]) -> None:
    """What a provider counted is in `status JOB -v`, of a stream too."""
    ran = cli("generate", "a fox", "-p", "ark", "--sandbox", "-o", "f.jpg", *more)
    assert ran.code == 0, ran.err
    assert '"generated_images"' in cli("status", "last", "-v").out.decode()
    answers = cli("status", "last", "-v", "--json").object["answers"]
    assert "generated_images" in json.dumps(answers)


def test_credits_are_shown_where_a_page_gives_them(cli: Cli) -> None:
    """One model of seedreams.app has a published price, in credits."""
    words = ("generate", "a fox", "-p", "seedreams", "--dry-run", "-m")
    assert "about 2 credits" in cli(*words, "gpt-image-2").out.decode()
    assert "price not known" in cli(*words, "4.5").out.decode()


def test_short_names_are_listed(cli: Cli) -> None:
    """`providers show` says what each means today."""
    shown = cli("providers", "show", "ark").out.decode()
    assert "\n4        doubao-seedream-4-0-20260415" in shown
    names = cli("providers", "show", "kie", "--json").object["short_names"]
    assert names["5-pro"] == "seedream/5-pro-text-to-image"  # type: ignore[index]
