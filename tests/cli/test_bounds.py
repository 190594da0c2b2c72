"""Bounds hold for whatever is bought: pictures, money, a yes, a budget, bad news."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli, Ran
    from support.server import Server

FOX = ("generate", "a fox", "-p", "kie")


@dataclass
class Shop:
    """A command line, and a server that counts."""

    cli: Cli
    server: Server

    def __call__(self, *arguments: str) -> Ran:
        """Run a command."""
        return self.cli(*arguments)

    def refuse(self, *arguments: str) -> str:
        """Run a command that sends nothing, for a mistake; return what it says."""
        before = len(self.server.submits())
        ran = self.cli(*arguments)
        assert (ran.code, len(self.server.submits())) == (2, before), ran.err
        assert "nothing was sent" in ran.err or "--max-cost" in ran.err
        return ran.err

    def charges(self, ran: Ran) -> Counter[object]:
        """Return what the jobs of a `--json` run cost, by their state."""
        return Counter((each["state"], each["charge"], each["next"]) for each in ran.objects)


@pytest.fixture
def shop(cli: Cli, start_server: StartServer) -> Shop:
    """Open it."""
    server = start_server(delay=0.05)
    cli.configure(server)
    return Shop(cli, server)


# -- said for one command ----------------------------------------------------------------------


def test_max_images_bounds_a_count(shop: Shop) -> None:
    """Five pictures are beyond three, a set of four too; what fits is bought."""
    assert "--max-images 3: 5 pictures may come" in shop.refuse(
        *FOX, "-n", "5", "--max-images", "3"
    )
    ark = ("generate", "4 foxes", "-p", "ark", "--max-images", "3")
    assert "4 pictures may come" in shop.refuse(*ark, "--series", "4")
    image = ("-i", "https://example.com/a.png", "-p", "kie", "-n", "2", "--max-images", "1")
    shop.refuse("edit", "at night", *image)
    assert shop(*FOX, "-n", "2", "--max-images", "2").code == 0


def test_max_cost_bounds_a_count(shop: Shop) -> None:
    """The sum counts, to the last cent; another currency, or no price, is a mistake."""
    words = shop.refuse(*FOX, "-n", "4", "--max-cost", "0.1")
    assert "--max-cost 0.10 USD: 4 pictures may cost 0.13 USD" in words
    assert "the prices are in USD" in shop.refuse(*FOX, "--max-cost", "1CNY")
    shop.refuse("generate", "a fox", "-p", "uniall", "--max-cost", "1")
    shop.refuse("generate", "a fox", "-p", "kie", "-m", "seedream/9", "--max-cost", "1")
    assert shop(*FOX, "-n", "3", "--max-cost", "0.0975USD").code == 0


@pytest.mark.parametrize("bound", [("--max-images", "9"), ("--max-cost", "9"), ()])
def test_under_a_bound_unknown_fields_are_mistakes(shop: Shop, bound: tuple[str, ...]) -> None:
    """Of a model's own fields any may be set; what nobody knows may bring more pictures."""
    if not bound:
        shop.cli.configure(shop.server, budget="9 USD/day")
    assert "--set shots" in shop.refuse(*FOX, *bound, "--set", "shots=4")
    if bound[:1] == ("--max-images",):
        shop.refuse("generate", "a", "-p", "kie", "-m", "seedream/9", *bound, "--set", "seed=4")
    assert shop(*FOX, *bound, "--set", "aspect_ratio=4:3").code == 0


def test_many_pictures_are_asked_about_at_a_terminal(shop: Shop) -> None:
    """More than ten, by count or as a set, once, with the price; not where somebody said yes."""
    many = (*FOX, "-m", "bytedance/seedream-v4-text-to-image", "-s", "1K", "-n", "11")
    said_no = shop.cli.on_terminal(*many, answer="n")
    assert said_no.code == 2, said_no.err
    assert "11 to make, about 0.3575 USD\r\nMake 11 pictures? [y/N]" in said_no.err
    a_set = ("generate", "12 foxes", "-p", "ark", "--series", "12")
    set_refused = shop.cli.on_terminal(*a_set, answer="n")
    assert "12 to make, about" in set_refused.err
    assert "Make 12 pictures? [y/N]" in set_refused.err
    assert shop.server.submits() == []
    said_yes = shop.cli.on_terminal(*many, answer="y")
    assert (said_yes.code, said_yes.err.count("[y/N]")) == (0, 1), said_yes.err
    shop.cli.configure(shop.server, key="sk-no-credit")
    not_asked = shop.cli.on_terminal(*a_set, "-y", answer="")
    assert (not_asked.code, "[y/N]" in not_asked.err) == (4, False), not_asked.err


# -- bad news ----------------------------------------------------------------------------------


def test_an_account_error_stops_a_run(shop: Shop) -> None:
    """Of thirty pictures some ask for credit; the others are not begun, and that is said."""
    shop.cli.configure(shop.server, key="sk-no-credit")
    ran = shop(*FOX, "-n", "30", "--json")
    refused = len(shop.server.submits())  # how many are on their way is up to the machine
    assert (ran.code, 1 <= refused <= 10) == (4, True), ran.err
    left = 30 - refused
    expected = {("refused", "none", "fix"): refused, ("closed", "none", "fix"): left}
    assert shop.charges(ran) == expected
    assert f"{left} jobs" in ran.err
    assert "nothing more is bought: the account was refused" in ran.err


def test_three_unknown_outcomes_stop_a_run(shop: Shop) -> None:
    """Exit 5; what was not begun is free, and the hint brings exactly that, right as pasted."""
    shop.server.change_weather("drop:14")
    ran = shop(*FOX, "-n", "14", "--json")
    unknown = len(shop.server.submits())
    assert (ran.code, 3 <= unknown <= 10) == (5, True), ran.err
    left = 14 - unknown
    expected = {("unknown", "maybe", "settle"): unknown, ("closed", "none", "retry"): left}
    assert shop.charges(ran) == expected
    assert "nothing more is bought: 3 outcomes are unknown" in ran.err
    (line,) = [each for each in ran.err.splitlines() if each.startswith("  seedream generate")]
    shop.server.change_weather()
    again = shop(*shlex.split(line)[1:])
    assert (again.code, len(again.objects)) == (0, left), again.err


# -- a budget ----------------------------------------------------------------------------------


def test_a_budget_buys_what_fits(shop: Shop) -> None:
    """Three of five, exit 4; the next command gets nothing, until one was not charged after all."""
    shop.cli.configure(shop.server, budget="0.1 USD/day")
    ran = shop(*FOX, "-n", "5", "--json")
    assert ran.code == 4, ran.err
    assert shop.charges(ran) == {("saved", "charged", None): 3, ("closed", "none", "retry"): 2}
    (error, _) = [each["error"] for each in ran.objects if each["error"]]
    assert isinstance(error, dict)
    assert (error["code"], error["exit"]) == ("budget", 4)
    assert "has 0.0025 USD left" in error["message"]
    assert "more is free at " in error["message"]
    assert error["hint"].endswith("-n 2 --json")
    again = shop("generate", "a hen", "-p", "kie")
    assert (again.code, len(shop.server.submits())) == (4, 3), again.err
    assert "nothing was charged" in again.err


def test_a_budget_is_the_accounts(shop: Shop) -> None:
    """Another profile with the same key has the same; another key has its own."""
    config = shop.cli.configure(shop.server, budget="0.04 USD/month")
    text = config.read_text()
    mine = text.replace("[profiles.kie]", "[profiles.mine]").partition("[profiles.mine]")[2]
    mine = "[profiles.mine]" + mine.partition("[profiles.")[0]
    theirs = mine.replace("mine", "theirs").replace("sk-test", "sk-theirs")
    config.write_text(f"{text}{mine}{theirs}")
    assert shop(*FOX).code == 0
    assert shop("generate", "a fox", "-p", "mine").code == 4
    assert shop("generate", "a fox", "-p", "theirs").code == 0
    assert len(shop.server.submits()) == 2


def test_under_a_budget_prices_are_known(shop: Shop) -> None:
    """No price, another currency, or a purchase beside it without one: exit 2, before sending."""
    shop.cli.configure(shop.server, budget="9 USD/day")
    assert "is priced in CNY" in shop.refuse("generate", "a fox", "-p", "ark")
    shop.refuse("generate", "a fox", "-p", "uniall")
    shop.refuse(*FOX, "-m", "seedream/9")
    shop.cli.configure(shop.server)
    assert shop("generate", "a fox", "-p", "ark").code == 0
    shop.cli.configure(shop.server, budget="9 USD/day")
    # To the stand-in all providers are one account.
    assert "nobody can say what is left of the budget" in shop.refuse(*FOX)


def test_a_rehearsal_has_a_budget_of_its_own(shop: Shop) -> None:
    """It is held among rehearsals, and never against what was paid."""
    shop.cli.configure(shop.server, budget="0.04 USD/day")
    assert shop(*FOX).code == 0
    assert shop(*FOX, "--sandbox").code == 0
    ran = shop(*FOX, "--sandbox")
    assert (ran.code, "the budget 0.04 USD/day" in ran.err) == (4, True)


def test_a_batch_keeps_a_budget(shop: Shop) -> None:
    """It makes three of five and is exit 4; rows whose price nobody knows are a mistake."""
    shop.cli.configure(shop.server, budget="0.1 USD/day")
    shop.cli.work.mkdir(parents=True, exist_ok=True)
    (shop.cli.work / "art.txt").write_text("".join(f"fox {k}\n" for k in range(5)))
    shop.refuse("generate", "--batch", "art.txt", "-p", "ark")
    shop.refuse("generate", "--batch", "art.txt", "-p", "kie", "--set", "shots=4")
    for _ in range(2):
        ran = shop("generate", "--batch", "art.txt", "-p", "kie")
        assert (ran.code, len(shop.server.submits())) == (4, 3), ran.err
        assert "the budget 0.1 USD/day" in ran.err


def test_a_budget_is_shown(shop: Shop) -> None:
    """`providers show` names it, and where it stands."""
    shop.cli.configure(shop.server, budget="20 USD/day")
    assert "budget" in shop("providers", "show", "kie").out.decode()
    assert shop("providers", "show", "kie", "--json").object["budget"] == "20 USD/day"
