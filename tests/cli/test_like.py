"""`--like`, the line that makes a picture again, and pictures that are named by their files."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from support.command import CHOSEN
from support.pictures import png

from seedream_cli.core.clock import SystemClock
from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Options, Reference
from seedream_cli.providers import PROVIDERS
from seedream_cli.request.check import resolve, split
from seedream_cli.request.purchase import purchases
from seedream_cli.storage.config.file import Config
from seedream_cli.storage.config.profiles import choose
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.command import Cli, Ran

NOW = datetime.now(UTC)
TYPED: tuple[dict[str, object], ...] = (
    {},
    {"size": "4K", "aspect": "16:9", "watermark": True, "extra": {"own": {"field": "5"}}},
    {"size": "2048x1536", "seed": 7, "format": "png"},
    {"quality": "high", "aspect": "3:4", "series": 3, "guidance": 3.5},
    {"size": "1K", "steps": 20},
)
"""What is tried with each model; a model refuses some of it."""


def _written(cli: Cli, provider: str, options: Options) -> str:
    """Write down a job that asks for `options`, as a rehearsal would; return its id."""
    found = PROVIDERS[provider]
    resolved = resolve(found, options, now=NOW)
    cli.state.mkdir(exist_ok=True)
    config = Config(path=cli.home / "config.toml")
    profile = choose(config, {}, name=provider, sandbox=True)
    with ExitStack() as exits:
        ledger = Ledger(cli.state / "ledger.db", now=SystemClock().now)
        exits.callback(ledger.close)
        number = len(ledger.jobs())
        (bought,) = purchases(
            split(resolved)[:1],
            profile=profile,
            provider=found,
            capabilities=resolved.capabilities,
            output={},
            run=f"{number:08}",
            owner="",
            now=NOW,
            job_id=lambda: f"{number:08}",
        )
        ledger.plan([replace(bought.job, purchase_digest=str(number))])
    return bought.job.id


def _body(ran: Ran) -> tuple[object, object]:
    assert ran.code == 0, ran.err
    return ran.object["url"], ran.object["body"]


def _combinations(provider: str) -> Iterator[Options]:
    models = [*PROVIDERS[provider].living(NOW), "a-model-of-tomorrow"]
    for number, model in enumerate(models):
        for typed in (TYPED[number % 2], TYPED[2 + number % 3]):
            yield Options(prompt="a fox's “den”", model=model or None, **typed)  # type: ignore[arg-type]
        yield Options(
            prompt="-- at night",
            model=model or None,
            aspect="4:3",
            edit=True,
            references=(
                Reference(source="https://example.com/a.jpg", url="https://example.com/a.jpg"),
            ),
        )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_request(cli: Cli, provider: str) -> None:
    """What is made like a picture, and what its line makes, is asked for in the same words."""
    cli.work.mkdir()
    count = 0
    if provider in CHOSEN:
        cli.configure("http://127.0.0.1:9")
    for options in _combinations(provider):
        try:
            job = _written(cli, provider, options)
            resolved = resolve(PROVIDERS[provider], options, now=NOW)
        except UsageError:
            continue
        sent = dict(PROVIDERS[provider].dialect.submit(split(resolved)[0]).body or {})
        command = "edit" if options.edit else "generate"
        like = cli(command, "--like", job, "--dry-run", "--json")
        assert _body(like)[1] == sent, options
        (line,) = [each for each in cli("status", job).lines if each.startswith("again ")]
        words = shlex.split(line.removeprefix("again "))
        assert words[:2] == ["seedream", command]
        assert "--sandbox" in words
        at = words.index("--") if "--" in words else len(words)
        pasted = cli(*words[1:at], "--dry-run", "--json", *words[at:])
        assert _body(pasted) == _body(like)
        count += 1
    assert count > 0


def test_what_is_said_beside_it_wins(cli: Cli) -> None:
    """Prompt, shape, seed and model of the line go before those of the picture."""
    job = _written(cli, "ark", Options(prompt="a fox", size="2K", aspect="1:1", extra={"a": 1}))

    def body(*words: str) -> dict[str, object]:
        ran = cli("generate", "--like", job, *words, "--dry-run", "--json")
        assert ran.code == 0, ran.err
        found = ran.object["body"]
        assert isinstance(found, dict)
        return found

    assert body("an owl")["prompt"] == "an owl"
    assert body()["size"] == "2048x2048"
    wide = body("-a", "16:9")
    assert wide["size"] not in {"2048x2048", None}
    assert wide["prompt"] == "a fox"
    assert body("-s", "2304x1728")["size"] == "2304x1728"
    assert body("--set", "b=2", "--set", "a=3")["a"] == 3
    assert body("-m", "ep-20260101000000-abcde")["model"] == "ep-20260101000000-abcde"


def test_one_picture_unless_said(cli: Cli) -> None:
    """Of a run of three pictures one more is made, to a name of its own, without its account's."""
    ran = cli("generate", "a fox", "-n", "3", "-o", "art/", "--sandbox", "-q")
    assert len(ran.lines) == 3
    more = cli("generate", "--like", "last", "--json")
    assert more.object["sandbox"] is True
    assert more.object["prompt"] == "a fox"
    two = cli("generate", "--like", "last.1", "-n", "2", "--json")
    assert len(two.objects) == 2


def test_like_a_file(cli: Cli) -> None:
    """A picture that was renamed, copied or moved is found by its bytes; a changed one is said."""
    cli("generate", "a fox", "-s", "1K", "-o", "fox.jpg", "--sandbox", "-q")
    (cli.work / "deep").mkdir()
    moved = (cli.work / "fox.jpg").rename(cli.work / "deep" / "renamed.png")
    for path in (moved, cli.work / "copy"):
        (cli.work / path).write_bytes(moved.read_bytes())
    for name in ("deep/renamed.png", "./copy"):
        ran = cli("generate", "--like", name, "--dry-run", "--json")
        assert "a fox" in str(_body(ran)[1])
        assert cli("status", name, "--json").object["prompt"] == "a fox"
    (cli.work / "fox.jpg").write_bytes(png(64, 64))
    ran = cli("generate", "--like", "fox.jpg", "--dry-run", "--json")
    assert "has changed since" in ran.err
    assert "has changed since" in cli("status", "fox.jpg").err


def test_an_edit_is_made_again_by_edit(cli: Cli) -> None:
    """`generate --like` of an edit names `edit --like`, which works from any folder."""
    cli.work.mkdir()
    (cli.work / "photo.jpg").write_bytes(png(512, 512))
    made = cli("edit", "at night", "-i", "photo.jpg", "--sandbox", "--json").object
    assert made["request"]["references"] == [str(cli.work / "photo.jpg")]  # type: ignore[index]
    ran = cli("generate", "--like", str(made["job"]))
    assert ran.code == 2
    hint = ran.err.splitlines()[-1].strip()
    assert hint == f"seedream edit --sandbox --like {made['job']}"
    again = cli(*shlex.split(hint)[1:], "--dry-run", "--json", cwd=cli.home)
    assert "at night" in str(_body(again)[1])
    (cli.work / "photo.jpg").write_bytes(png(640, 512))
    assert "photo.jpg has changed since" in cli(*shlex.split(hint)[1:], "--dry-run").err


def test_references_from_stdin_are_not_kept(cli: Cli) -> None:
    """An edit of what came by stdin needs its reference anew, and the line says where."""
    made = cli("edit", "at night", "-i", "-", "--sandbox", "--json", stdin=png(512, 512)).object
    ran = cli("edit", "--like", str(made["job"]))
    assert ran.code == 2
    assert "-i IMAGE" in ran.err
    again = cli("edit", "--like", str(made["job"]), "-i", "-", "--dry-run", stdin=png(512, 512))
    assert again.code == 0, again.err


def test_a_retired_model_is_not_bought_again(cli: Cli) -> None:
    """A picture of a model that is gone names the command with its successor, exit 2."""
    old = next(name for name, each in PROVIDERS["ark"].models.items() if each.is_retired(NOW))
    job = _written(cli, "ark", Options(prompt="a fox", model=old))
    ran = cli("generate", "--like", job, "--dry-run")
    assert ran.code == 2
    assert "retired" in ran.err
    line = ran.err.splitlines()[-1].strip()
    assert cli(*shlex.split(line)[1:], "--dry-run").code == 0


def test_the_account_of_a_likeness(cli: Cli) -> None:
    """The default profile, if it speaks to where the job was bought, else the only one that does.

    None of its options of pictures are taken: those are the picture's.
    """
    config = cli.home / "config.toml"

    def write(text: str) -> None:
        config.write_text(text)
        config.chmod(0o600)

    kie = 'provider = "kie"\napi_key_env = "A_KEY"\n'
    write(f"[profiles.one]\n{kie}")
    cli("generate", "a fox", "--sandbox", "-p", "one", "-q")

    def account(*words: str) -> Ran:
        return cli("generate", "--like", "last", "--dry-run", "--json", *words)

    options = 'aspect = "16:9"\nseed = 5\ncount = 4\n'
    write(f'[profiles.one]\n{kie}{options}[profiles.ark]\nprovider = "ark"\n')
    ran = account()
    assert ran.object["profile"] == "one"
    assert "16:9" not in str(_body(ran))
    (line,) = [each for each in cli("status", "last").lines if each.startswith("again ")]
    pasted = cli(*shlex.split(line)[2:], "--dry-run", "--json")
    assert _body(pasted) == _body(ran)
    write(f"[profiles.one]\n{kie}[profiles.two]\n{kie}")
    ran = account()
    assert ran.code == 2
    assert "-p one or -p two" in ran.err
    assert account("-p", "two").object["profile"] == "two"
    write(f'default_profile = "two"\n[profiles.one]\n{kie}[profiles.two]\n{kie}')
    assert account().object["profile"] == "two"
    ran = account("-p", "ark")
    assert ran.code == 2
    assert "was made at kie" in ran.err


def test_a_prompt_that_names_a_file(cli: Cli) -> None:
    """A prompt that, typed, would be taken for a file is said with --like."""
    cli.work.mkdir()
    (cli.work / "words").write_text("@prompt.txt")
    cli("generate", "-f", "words", "--sandbox", "-q")
    (line,) = [each for each in cli("status", "last").lines if each.startswith("again ")]
    assert "--like" in line
    ran = cli(*shlex.split(line)[2:], "--dry-run", "--json")
    assert "@prompt.txt" in str(_body(ran)[1])
