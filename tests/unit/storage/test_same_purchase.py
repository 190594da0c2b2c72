"""Which purchases are one: decided in the transaction that writes ours down."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import OutcomeUnknown
from seedream_cli.core.model import Image, State
from seedream_cli.storage.files import naming
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seedream_cli.core.model import Job

    MakeJob = Callable[..., Job]

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
LIVE, DEAD = "liveliveliv", "deaddeaddead"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger."""
    ledger = Ledger(tmp_path / "ledger.db", now=lambda: NOW)
    yield ledger
    ledger.close()


def to(output: str, base: str = "/art", **how: bool) -> dict[str, object]:
    """Return where `-o` of a command in the folder `base` puts its pictures."""
    return naming.plan(output, base=base, **how).to_json()


def plan(ledger: Ledger, job: Job, **how: object) -> str:
    """Plan one job; return the id of the one that is to bring its picture."""
    how = {"is_dead": DEAD.__eq__} | how
    return ledger.plan([job], **how)[0].id  # type: ignore[arg-type] # as `plan` names them


@pytest.mark.parametrize("owner", [LIVE, DEAD])
@pytest.mark.parametrize("state", State)
def test_what_is_under_way_is_joined(
    ledger: Ledger, make_job: MakeJob, state: State, owner: str
) -> None:
    """A live process's job that is planned or sent, any that is bought; none that has ended."""
    ledger.plan([make_job(id="first", state=state, owner=owner, output=to("cat.png"))])
    ours = make_job(id="second", owner=LIVE, output=to("cat.png"))
    if state is State.UNKNOWN:
        with pytest.raises(OutcomeUnknown, match="first"):
            plan(ledger, ours)
        return
    is_live = state in {State.RUNNING, State.READY, State.SENDING}
    is_live |= state is State.PLANNED and owner == LIVE
    assert plan(ledger, ours) == ("first" if is_live else "second")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (to("cat.png"), to("./cat.png")),
        (to("cat.png"), to("/art/cat.png", base="/elsewhere")),
        (to("cat.png"), to("../art/cat.png", base="/elsewhere")),
        (to("cat.png"), to("x/../cat.png")),
        (to("cat.png"), to("{slug}.png")),
        (to("cat.png"), to("cat", is_folder=False)),
        (to("cat"), to("./cat")),
        (to("{date}/{slug}"), to("2026-11-21/cat.png")),
        (to("a-{width}.png"), to("./a-{width}.png")),
        (to("cat-1.png"), to("cat.png", many=True)),
        (to("art/{slug}.png"), to("{slug}.png", base="/art/art")),
    ],
)
def test_the_same_file_is_known_however_it_is_written(
    ledger: Ledger, make_job: MakeJob, theirs: dict[str, object], ours: dict[str, object]
) -> None:
    """Two commands have one target where the paths that they stand for are one file."""
    ledger.plan([make_job(id="first", prompt="cat", output=theirs)])
    assert plan(ledger, make_job(id="second", prompt="cat", output=ours), ext="png") == "first"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (to("cat.png"), to("cat.png", base="/elsewhere")),
        (to("cat.png"), to("Cat.png")),
        (to("cat.png"), to("cat.jpg")),
        (to("cat.png"), to("cat-{n}.png")),
        (to("cat"), to("dog")),
        (to("{slug}-{job}.png"), to("{slug}-{job}.png")),
        (to("{job}/cat.png"), to("{job}/cat.png")),
        (to("{time}.png"), to("{time}.png")),
        (to("art/", is_folder=True), to("art/", is_folder=True)),
        (naming.plan(None, base="/art").to_json(), naming.plan(None, base="/art").to_json()),
        ({"template": 1}, {"template": 1}),
    ],
)
def test_other_files_and_new_names_are_bought(
    ledger: Ledger, make_job: MakeJob, theirs: dict[str, object], ours: dict[str, object]
) -> None:
    """Two folders are two targets, and a name with {job} or {time} is a new one each time."""
    ledger.plan([make_job(id="first", prompt="cat", output=theirs)])
    assert plan(ledger, make_job(id="second", prompt="cat", output=ours), ext="png") == "second"


def test_links_lead_to_the_same_file(ledger: Ledger, make_job: MakeJob, tmp_path: Path) -> None:
    """A folder by another name is that folder; what is no regular file is nobody's target."""
    (tmp_path / "art").mkdir()
    (tmp_path / "way").symlink_to("art")
    os.mkfifo(tmp_path / "art/pipe")
    theirs, ours = (to("cat.png", base=str(tmp_path / name)) for name in ("art", "way"))
    ledger.plan([make_job(id="first", output=theirs)])
    assert plan(ledger, make_job(id="second", output=ours)) == "first"
    pipe = {**theirs, "template": "pipe"}
    ledger.plan([make_job(id="third", output=pipe)])
    assert plan(ledger, make_job(id="fourth", output=pipe)) == "fourth"


@pytest.mark.parametrize("other", [{"purchase_digest": "e" * 64}, {"expected": 2}])
def test_another_purchase_is_bought(
    ledger: Ledger, make_job: MakeJob, other: dict[str, object]
) -> None:
    """What another request would bring to that name is not what we want there."""
    ledger.plan([make_job(id="first", output=to("cat-{n}.png"), **other)])
    assert plan(ledger, make_job(id="second", output=to("cat-{n}.png"))) == "second"


def test_each_picture_is_joined_by_itself(ledger: Ledger, make_job: MakeJob) -> None:
    """Of three that are wanted the one that is under way is joined, the others are bought."""
    many = to("cat.png", many=True)
    ledger.plan([make_job(id="first", first_n=2, output=many)])
    ours = [make_job(id=f"ours{n}", first_n=n, output=many) for n in (1, 2, 3)]
    assert [job.id for job in ledger.plan(ours)] == ["ours1", "first", "ours3"]


@pytest.mark.parametrize(("ago", "joined"), [(-1, "first"), (0, "first"), (1, "second")])
def test_what_was_saved_while_we_looked_is_joined(
    ledger: Ledger, make_job: MakeJob, ago: int, joined: str
) -> None:
    """A job that ended after our command began brought its picture; an earlier one's is old."""
    ledger.plan([make_job(id="first", state=State.READY, output=to("cat.png"))])
    picture = Image(job="first", index=1, n=1, path="/art/cat.png", saved_at=NOW)
    ledger.put_image(picture)
    ledger.move(ledger.job("first"), State.SAVED)
    began = NOW + timedelta(seconds=ago)
    ours = make_job(id="second", output=to("cat.png"), created_at=began)
    assert plan(ledger, ours) == joined


def test_a_send_that_died_holds_its_like_back(ledger: Ledger, make_job: MakeJob) -> None:
    """What a process was sending when it died is unknown; a live one's send holds nothing back."""
    ledger.plan([make_job(id="first", state=State.PLANNED, owner=LIVE)])
    ledger.begin("first")
    ours = make_job(id="second")
    with pytest.raises(OutcomeUnknown, match="first"):
        plan(ledger, ours, is_dead=LIVE.__eq__)
    assert plan(ledger, ours) == "second"


def test_joining_needs_no_word_on_unknown_ones(ledger: Ledger, make_job: MakeJob) -> None:
    """Who joins buys nothing, so an older unknown job stands in nobody's way."""
    ledger.plan([make_job(id="lost", state=State.UNKNOWN)])
    going = make_job(id="first", state=State.RUNNING, output=to("cat.png"))
    ledger.plan([going], despite=["lost"])
    assert plan(ledger, make_job(id="second", output=to("cat.png"))) == "first"


# -- --despite ---------------------------------------------------------------------------------


def test_despite_covers_its_run_and_what_is_older(ledger: Ledger, make_job: MakeJob) -> None:
    """The named job's run and older unknown jobs of its purchase, never newer or other ones."""
    other = "e" * 64
    for name, run, purchase_digest in (
        ("older", "run1", "f" * 64),
        ("othersold", "run1", other),
        ("named", "run2", "f" * 64),
        ("sibling", "run2", "f" * 64),
        ("cousin", "run2", other),
        ("newer", "run3", "f" * 64),
    ):
        job = make_job(id=name, run=run, purchase_digest=purchase_digest, state=State.UNKNOWN)
        known = [each.id for each in ledger.jobs()]
        ledger.plan([job], despite=known)
    covered = {job.id for job in ledger.unknown_up_to(ledger.job("named"))}
    assert covered == {"older", "named", "sibling", "cousin"}
    ours = make_job(id="ours")
    with pytest.raises(OutcomeUnknown, match="newer"):
        plan(ledger, ours, despite=covered)
    with pytest.raises(OutcomeUnknown) as refusal:
        plan(ledger, ours)
    assert refusal.value.message.endswith("(--despite newer buys all the same)")
    newest = {job.id for job in ledger.unknown_up_to(ledger.job("newer"))}
    assert plan(ledger, ours, despite=newest) == "ours"


def test_a_settled_job_still_covers_what_is_older(ledger: Ledger, make_job: MakeJob) -> None:
    """`--despite` of a job that was settled since is no mistake, and covers the older ones."""
    ledger.plan([make_job(id="older", state=State.UNKNOWN)])
    ledger.plan([make_job(id="named", run="run2", state=State.CLOSED)], despite=["older"])
    covered = {job.id for job in ledger.unknown_up_to(ledger.job("named"))}
    assert covered == {"older"}
