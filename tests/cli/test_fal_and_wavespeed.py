"""What is special about fal and WaveSpeed, as their users meet it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

QUEUES = ("fal", "wavespeed")
URL = "https://example.com/{}.png"
PRO = "bytedance/seedream/v5/pro"


def told(cli: Cli, *arguments: str) -> dict[str, object]:
    """Run with `--json` and return the one object, with the exit code."""
    ran = cli(*arguments, "--json")
    return {**ran.object, "exit": ran.code, "err": ran.err}


def dry(cli: Cli, *arguments: str) -> dict[str, object]:
    """Return what would be sent."""
    ran = cli(*arguments, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    return ran.object


def usd(amount: float) -> dict[str, object]:
    """Return an estimate."""
    return {"amount": amount, "currency": "USD", "estimated": True}


def code_of(found: dict[str, object]) -> object:
    """Return the stable code of what went wrong."""
    error = found["error"]
    assert isinstance(error, dict)
    return error["code"]


def test_what_fal_may_bill_is_said_counted_and_priced(cli: Cli, server: Server) -> None:
    """Three times up to four pictures are twelve pictures and twelve prices, however asked."""
    cli.configure(server)
    words = ("generate", "a fox", "-p", "fal", "-n", "3", "--series", "4")
    asked = cli(*words, "--dry-run", "--json").objects
    bodies = [each["body"] for each in asked]
    assert sum(b["num_images"] * b["max_images"] for b in bodies) == 12  # type: ignore[index]
    assert sum(each["price"]["amount"] for each in asked) == pytest.approx(0.48)  # type: ignore[index]
    assert cli(*words, "-o", "fox.{ext}").code == 0
    assert len(cli.pictures()) == 12
    assert len(server.charges()) == len(asked)
    plain = dry(cli, "generate", "a fox", "-p", "fal")["body"]
    assert isinstance(plain, dict)
    assert (plain["num_images"], plain["max_images"]) == (1, 1)


def test_sets_are_endpoints_of_their_own_at_wavespeed(cli: Cli, server: Server) -> None:
    """`--series` goes to the endpoint for sets, with references to the one that edits them."""
    cli.configure(server)
    ran = cli("generate", "3 foxes", "-p", "wavespeed", "--series", "3", "-o", "fox.{ext}")
    assert ran.code == 0, ran.err
    assert len(ran.lines) == 3
    found = dry(cli, "edit", "3 foxes", "-i", URL.format(1), "-p", "wavespeed", "--series", "3")
    assert str(found["url"]).endswith("/bytedance/seedream-v4.5/edit-sequential")
    assert found["price"] == usd(0.12)


@pytest.mark.parametrize("provider", QUEUES)
def test_more_references_than_are_used_are_not_sent(
    cli: Cli, server: Server, provider: str
) -> None:
    """Of more than ten the first would be dropped in silence: exit 2 before anything is paid."""
    cli.configure(server)
    images = [word for number in range(11) for word in ("-i", URL.format(number))]
    found = told(cli, "edit", "all of them", *images, "-p", provider)
    assert (found["exit"], code_of(found)) == (2, "usage")
    assert "at most 10" in str(found["err"])
    assert server.submits() == []


@pytest.mark.parametrize(
    ("provider", "field"),
    [
        ("fal", "sync_mode"),
        ("wavespeed", "enable_sync_mode"),
        ("wavespeed", "enable_base64_output"),
    ],
)
def test_no_answer_is_waited_for_in_the_request(
    cli: Cli, server: Server, provider: str, field: str
) -> None:
    """What keeps a run out of the lists, or lets an answer time out, is never sent."""
    cli.configure(server)
    found = told(cli, "generate", "x", "-p", provider, "--set", f"{field}=true")
    assert (found["exit"], server.submits()) == (2, [])
    body = dry(cli, "generate", "x", "-p", provider, "--set", f"{field}=true", "--no-validate")
    assert field not in str(body["body"])


@pytest.mark.parametrize(("provider", "charge"), [("fal", "maybe"), ("wavespeed", "none")])
def test_refused_content_is_told_by_the_task(
    cli: Cli, start_server: StartServer, provider: str, charge: str
) -> None:
    """Both find out only when they work on it; fal may charge a checker that worked."""
    cli.configure(start_server("refuse"))
    found = told(cli, "generate", "x", "-p", provider)
    assert (found["exit"], code_of(found)) == (3, "content_policy")
    assert (found["state"], found["charge"]) == ("failed", charge)


@pytest.mark.parametrize("provider", QUEUES)
def test_a_failure_of_theirs_costs_nothing(
    cli: Cli, start_server: StartServer, provider: str
) -> None:
    """A runner that broke is not charged; a failed task is refunded."""
    cli.configure(start_server("fail"))
    found = told(cli, "generate", "x", "-p", provider)
    assert (found["exit"], code_of(found)) == (3, "provider_failed")
    assert (found["state"], found["charge"]) == ("failed", "none")


@pytest.mark.parametrize("provider", QUEUES)
def test_what_they_do_not_take_is_refused_before_any_work(
    cli: Cli, server: Server, provider: str
) -> None:
    """A size that was let through is turned down in their words, and costs nothing."""
    cli.configure(server)
    found = told(cli, "generate", "x", "-p", provider, "-s", "99x99", "--no-validate")
    assert (found["exit"], code_of(found)) == (3, "invalid_request")
    assert (found["state"], found["charge"]) == ("refused", "none")
    assert server.charges() == []


@pytest.mark.parametrize("provider", QUEUES)
def test_not_now_is_asked_again_and_paid_once(
    cli: Cli, start_server: StartServer, provider: str
) -> None:
    """A 429 is waited out, and the same is bought once."""
    server = start_server("429:1")
    cli.configure(server)
    assert cli("generate", "x", "-p", provider).code == 0
    assert (len(server.submits()), len(server.charges())) == (2, 1)


@pytest.mark.parametrize("provider", QUEUES)
def test_a_picture_that_has_lapsed_is_gone(
    cli: Cli, start_server: StartServer, provider: str
) -> None:
    """Their addresses live for a week and are not made anew: exit 5, charged, not bought again."""
    server = start_server("expire")
    cli.configure(server)
    found = told(cli, "generate", "x", "-p", provider)
    assert (found["exit"], found["state"], found["charge"]) == (5, "expired", "charged")
    assert len(server.charges()) == 1


@pytest.mark.parametrize("provider", QUEUES)
def test_a_picture_that_is_late_is_waited_for(
    cli: Cli, start_server: StartServer, provider: str
) -> None:
    """A host that says 404 for a while brings the picture after it."""
    server = start_server("late:1")
    cli.configure(server)
    assert cli("generate", "x", "-p", provider).code == 0
    assert len(server.charges()) == 1


@pytest.mark.parametrize("provider", QUEUES)
def test_a_lost_answer_is_unknown_and_listed(
    cli: Cli, start_server: StartServer, provider: str
) -> None:
    """What was accepted without an answer is exit 5, and adopted by the id that the server has."""
    server = start_server("lost:1")
    cli.configure(server)
    found = told(cli, "generate", "x", "-p", provider)
    assert (found["exit"], found["state"]) == (5, "unknown")
    (charge,) = server.charges()
    adopted = cli("status", str(found["job"]), "--adopt", str(charge["task"]))
    assert adopted.code == 0, adopted.err
    assert cli("download", str(found["job"])).code == 0
    assert len(cli.pictures()) == 1
    assert len(server.charges()) == 1


def test_a_task_made_elsewhere_is_asked_about_by_its_model(cli: Cli, server: Server) -> None:
    """Where a request lies at fal depends on its model: `-m` says it, and it buys nothing."""
    cli.configure(server)
    model = "bytedance/seedream/v5/flash/text-to-image"
    assert cli("generate", "x", "-p", "fal", "-m", model, "--no-wait").code == 0
    (charge,) = server.charges()
    task = ("download", "--task-id", str(charge["task"]), "-p", "fal")
    elsewhere = {"SEEDREAM_STATE_DIR": str(cli.home / "elsewhere")}
    ran = cli(*task, "-m", model, env=elsewhere)
    assert ran.code == 0, ran.err
    assert len(cli.pictures()) == 1
    assert len(server.charges()) == 1
    assert cli("download", "-m", model).code == 2


def test_a_file_goes_to_fal_in_two_steps(cli: Cli, server: Server) -> None:
    """The place is asked for with the key, the bytes are put there without it."""
    cli.configure(server)
    assert cli("generate", "a cat", "-p", "fal", "-o", "cat.png").code == 0
    server.reset()
    ran = cli("edit", "night", "-i", "cat.png", "-p", "fal")
    assert ran.code == 0, ran.err
    steps = [
        (entry["method"], entry["has_authorization"])
        for entry in server.log()
        if "/storage/" in str(entry["path"]) or "/files/" in str(entry["path"])
    ]
    assert steps == [("POST", True), ("PUT", False)]


@pytest.mark.parametrize("provider", QUEUES)
@pytest.mark.parametrize(("key", "code"), [("sk-test", 0), ("sk-wrong", 4)])
def test_a_key_is_proved_for_nothing(
    cli: Cli, server: Server, provider: str, key: str, code: int
) -> None:
    """`providers check` asks one free question."""
    cli.configure(server, key)
    assert cli("providers", "check", provider).code == code
    assert server.counters()["submits"] == {}


def test_a_gateway_of_fal_is_told_where_lists_and_uploads_are(cli: Cli) -> None:
    """With an address of one's own the key goes there alone, uploads and lists too."""
    cli.configure("https://gateway.example")
    ran = cli("providers", "show", "fal", "--json")
    assert ran.code == 0, ran.err
    assert "fal.run" not in ran.out.decode()
    assert "rest.fal.ai" not in ran.out.decode()


@pytest.mark.parametrize("size", ["4K", "2048x2048"])
def test_words_of_wavespeed_are_not_pixels(cli: Cli, size: str) -> None:
    """5.0 pro knows 1k to 2k only, in lower case, and no pixels."""
    model = "bytedance/seedream-v5.0-pro"
    found = told(cli, "generate", "x", "-p", "wavespeed", "-m", model, "-s", size, "--sandbox")
    assert (found["exit"], code_of(found)) == (2, "usage")
    body = dry(cli, "generate", "x", "-p", "wavespeed", "-m", model)["body"]
    assert body == {"prompt": "x", "aspect_ratio": "1:1", "resolution": "2k"}


def test_pro_at_fal_stays_within_its_pixels(cli: Cli) -> None:
    """The pixels of 2K at 16:9 fit into 2048², whatever other hosts make of it."""
    found = dry(cli, "generate", "x", "-p", "fal", "-m", f"{PRO}/text-to-image", "-a", "16:9")
    body = found["body"]
    assert isinstance(body, dict)
    size = body["image_size"]
    assert 0.95 * 2048**2 < size["width"] * size["height"] <= 2048**2
    assert found["price"] == usd(0.135)
    edit = dry(
        cli,
        *("edit", "x", "-p", "fal", "-m", f"{PRO}/edit", "-s", "1K"),
        *("-i", URL.format(1), "-i", URL.format(2), "-i", URL.format(3)),
    )
    assert edit["price"] == usd(0.0765)
