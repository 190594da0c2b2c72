"""Two processes, one purchase: the second waits, and buys only what nobody else will."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.pictures import PNG
from support.replies import URL, accepted, made, reply, success

from seedream_cli.cli.run import put_down
from seedream_cli.core.errors import OutcomeUnknown, Unsent
from seedream_cli.core.model import Charge, Problem, Purpose, Reply, State
from seedream_cli.engine.answers import mark_unknown
from seedream_cli.engine.context import Step, StepKind, Timing
from seedream_cli.engine.join import join, plan
from seedream_cli.engine.settle import close
from seedream_cli.storage.ledger.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.conftest import House
    from support.transport import Answer

    from seedream_cli.core.model import Job


def refused() -> Reply:
    """Ark's answer to what it does not draw."""
    error = {"code": "InputTextSensitiveContentDetected", "message": "no"}
    return reply({"error": error}, 400)


class Pair:
    """A process that bought first, and one that wants the very same; one ledger, one clock."""

    def __init__(self, house: House, provider: str = "ark", **flags: object) -> None:
        """Let the first one plan it, and the second one join."""
        self.house = house
        self.owner = Owner(house.folder / "owners", "firstone")
        self.first = house.another(self.owner)
        self.transport = self.first.transport
        house.adjust(is_dead=house.owner.is_dead)
        (self.job,) = self.first.buy(provider, output="cat.png")
        self.step = self.join("ours0001", **flags)

    def join(self, job_id: str, **flags: object) -> Step | None:
        """Let the second one want the same; return its first step."""
        ours = replace(
            self.job,
            id=job_id,
            run="run00002",
            owner=self.house.owner.name,
            output={**self.job.output, **flags},
        )
        self.house.engine.calls[job_id] = self.first.engine.calls[self.job.id]
        (joined,) = plan(self.house.engine, [ours])
        assert joined.id == self.job.id
        return self.house.engine.first_step(joined)

    def buy(self, *answers: Answer, job_id: str | None = None) -> None:
        """Let the first one buy, as far as these answers go."""
        self.transport.answers = list(answers)
        step = self.first.engine.first_step(self.first.ledger.job(job_id or self.job.id))
        while step is not None and (self.transport.answers or step.deed is StepKind.SAVE):
            self.house.clock.sleep(max(0.0, step.due - self.house.clock.monotonic()))
            step = self.first.take(step)

    def look(self) -> None:
        """Let the second one take the step that is due."""
        assert self.step is not None
        self.house.clock.sleep(max(0.0, self.step.due - self.house.clock.monotonic()))
        self.step = self.house.take(self.step)

    def finish(self) -> Job:
        """Let the second one go on to its end; return the job that it ends with."""
        job_id = self.job.id
        while self.step is not None:
            self.look()
        while job_id in self.house.engine.replaced:
            job_id = self.house.engine.replaced[job_id].id
        return self.house.ledger.job(job_id)

    def die(self) -> None:
        """Kill the first one."""
        self.owner.keep()
        self.owner.close()

    @property
    def submits(self) -> tuple[int, ...]:
        """How many paid requests each has sent."""
        return tuple(
            sum(call.purpose is Purpose.SUBMIT for call in transport.sent)
            for transport in (self.transport, self.house.transport)
        )

    @property
    def problem(self) -> Problem | None:
        """What stopped the second one."""
        return self.house.engine.problems.get(self.job.id)


@pytest.fixture
def pair(house: House) -> Iterator[Pair]:
    """Return two processes that want the same of Ark."""
    pair = Pair(house)
    yield pair
    pair.owner.close()


@pytest.fixture
def polled(house: House) -> Iterator[Pair]:
    """Return two processes that want the same of KIE."""
    pair = Pair(house, "kie")
    yield pair
    pair.owner.close()


# -- while the first one lives ---------------------------------------------------------------------


def test_one_buys_and_saves_the_other_waits(pair: Pair) -> None:
    """The second looks into the ledger now and then, and ends with the first one's picture."""
    for _ in range(5):
        pair.look()
        assert pair.step is not None
        assert 0.2 <= pair.step.due - pair.house.clock.monotonic() <= 0.5
    pair.buy(made())
    job = pair.finish()
    assert (job.id, job.state) == (pair.job.id, State.SAVED)
    assert [str(path) for path in pair.house.pictures()] == [job.images[0].path]
    assert pair.submits == (1, 0)
    assert pair.house.transport.fetched == []


def test_while_it_lives_it_alone_polls_and_saves(polled: Pair) -> None:
    """Neither what runs nor what is ready is touched by who waits for it."""
    polled.buy(accepted())
    polled.look()
    assert polled.house.ledger.job(polled.job.id).state is State.RUNNING
    polled.look()
    assert polled.step is not None
    assert polled.step.deed is StepKind.JOIN
    assert polled.house.transport.sent == []
    polled.buy(success())
    assert polled.finish().state is State.SAVED
    assert (polled.submits, polled.house.transport.sent) == ((1, 0), [])


@pytest.mark.parametrize(
    ("answer", "state"),
    [(refused(), State.REFUSED), (OutcomeUnknown("cut"), State.UNKNOWN)],
)
def test_its_end_is_ours(pair: Pair, answer: Answer, state: State) -> None:
    """What was refused, or whose outcome is unknown, is not tried by the other one."""
    pair.buy(answer)
    assert pair.finish().state is state
    assert pair.submits == (1, 0)


def test_a_timeout_ends_the_waiting_only(pair: Pair) -> None:
    """After `--timeout` the second says so; the first one's job goes on."""
    house = pair.house
    house.adjust(timing=Timing(deadline=house.clock.monotonic() + 3, timeout=3))
    assert pair.finish().state is State.PLANNED
    assert pair.problem is not None
    assert (pair.problem.code, pair.problem.exit) == ("timeout", 75)
    pair.buy(made())
    assert house.ledger.job(pair.job.id).state is State.SAVED


def test_without_waiting_it_ends_when_it_is_accepted(polled: Pair) -> None:
    """With `--no-wait` the second stays until the provider took the job, and no longer."""
    polled.house.adjust(is_waiting=False)
    polled.look()
    assert polled.step is not None
    polled.buy(accepted())
    assert polled.finish().state is State.RUNNING
    assert polled.problem is None


def test_a_sidecar_that_only_we_asked_for_is_written(house: House) -> None:
    """The picture is the first one's, the sidecar beside it ours."""
    pair = Pair(house, sidecar=True)
    pair.buy(made())
    pair.finish()
    assert [path.name for path in house.pictures()] == ["cat.json", "cat.png"]
    assert json.loads((house.folder / "out/cat.json").read_text())["job"] == pair.job.id
    pair.owner.close()


@pytest.mark.parametrize("is_joined", [True, False])
def test_a_signal_concludes_nothing_of_others(pair: Pair, *, is_joined: bool) -> None:
    """What a live process sends stays `sending`, whether we wait for it or only named it."""
    pair.house.ledger.begin(pair.job.id)
    if not is_joined:
        pair.house.engine.joined.clear()
    put_down(pair.house.engine, [pair.job.id])
    assert pair.house.ledger.job(pair.job.id).state is State.SENDING
    assert pair.problem is not None
    assert pair.problem.code == "interrupted"


def test_a_download_beside_its_owner_saves_the_same_file(pair: Pair) -> None:
    """Both fetch what is ready, in any order: one file, which the ledger knows."""

    def fetch() -> bytes:
        pair.transport.pictures[URL] = [PNG]
        pair.house.engine.joined.clear()
        pair.house.run([pair.house.ledger.job(pair.job.id)])
        return PNG

    pair.transport.pictures[URL] = [fetch]
    pair.buy(made())
    job = pair.house.ledger.job(pair.job.id)
    assert job.state is State.SAVED
    assert [str(path) for path in pair.house.pictures()] == [job.images[0].path]


# -- when the first one sends nothing --------------------------------------------------------------


def test_what_died_unsent_is_bought_by_who_waited(pair: Pair) -> None:
    """A `planned` job of a dead process is closed, and ours is written down and sent."""
    pair.die()
    pair.house.transport.answers = [made()]
    job = pair.finish()
    assert (job.id, job.state) == ("ours0001", State.SAVED)
    closed = pair.house.ledger.job(pair.job.id)
    assert (closed.state, closed.charge) == (State.CLOSED, Charge.NONE)
    assert pair.submits == (0, 1)


def test_what_was_given_up_unsent_is_tried_once_more(pair: Pair) -> None:
    """A provider out of reach for the first one is tried by the second, and then no more."""
    pair.buy(*[Unsent("no route")] * 4)
    assert pair.house.ledger.job(pair.job.id).state is State.CLOSED
    pair.house.transport.answers = [Unsent("no route")] * 4
    job = pair.finish()
    assert (job.id, job.state, job.charge) == ("ours0001", State.CLOSED, Charge.NONE)
    assert job.problem is not None
    assert job.problem.exit == 69
    assert pair.house.transport.answers == []


@pytest.mark.parametrize(("code", "is_tried"), [("unreachable", False), ("interrupted", True)])
def test_the_second_that_we_waited_for(pair: Pair, code: str, *, is_tried: bool) -> None:
    """Only who was cut short a second time is replaced a second time."""
    ledger, engine = pair.house.ledger, pair.house.engine
    ledger.move(pair.job, State.CLOSED, problem=Problem("unreachable", "no route"))
    third = replace(pair.job, id="third001", run="run00003")
    ledger.plan([third])
    pair.look()
    assert engine.replaced[pair.job.id].id == "third001"
    ledger.move(third, State.CLOSED, problem=Problem(code, "gave up"))
    pair.house.transport.answers = [made()]
    assert pair.finish().id == ("ours0001" if is_tried else "third001")
    assert pair.submits == (0, int(is_tried))


def test_nothing_is_planned_after_a_signal(pair: Pair) -> None:
    """Whoever is to stop does not begin a purchase because another process ended."""
    pair.die()
    pair.house.adjust(halt_reason=lambda: "a signal stopped it")
    assert pair.finish().id == pair.job.id
    assert [job.id for job in pair.house.ledger.jobs()] == [pair.job.id]


def test_an_unknown_job_meanwhile_holds_ours_back(pair: Pair) -> None:
    """To plan anew is a new transaction, which asks again whether the same is unknown."""
    lost = replace(pair.job, id="lost0001", run="run00003", state=State.UNKNOWN)
    pair.house.ledger.plan([replace(lost, output={"template": "{job}"})])
    pair.die()
    assert pair.finish().id == pair.job.id
    assert pair.problem is not None
    assert pair.problem.exit == 5
    assert pair.problem.message.endswith("(--despite lost0001 buys all the same)")
    assert pair.submits == (0, 0)


def test_what_a_person_wrote_off_is_not_bought_by_itself(pair: Pair) -> None:
    """Written off while we waited: it may have been charged, exit 5."""
    ledger = pair.house.ledger
    ledger.begin(pair.job.id)
    job = mark_unknown(pair.house.engine, ledger.job(pair.job.id), "cut")
    close(pair.house.engine, [job], "write-off")
    assert pair.finish().state is State.CLOSED
    assert pair.problem is not None
    assert pair.problem.exit == 5
    assert pair.submits == (0, 0)


# -- when the first one dies -----------------------------------------------------------------------


def test_what_died_while_sending_is_unknown(pair: Pair) -> None:
    """Nobody knows what became of it: neither process sends it again."""
    pair.house.ledger.begin(pair.job.id)
    pair.die()
    job = pair.finish()
    assert (job.id, job.state) == (pair.job.id, State.UNKNOWN)
    assert pair.submits == (0, 0)


@pytest.mark.parametrize("is_given_up", [False, True])
def test_an_answer_that_nobody_read_is_read(pair: Pair, *, is_given_up: bool) -> None:
    """It was stored when the first one died, perhaps just after it was given up: saved by us."""
    ledger = pair.house.ledger
    ledger.begin(pair.job.id)
    if is_given_up:
        mark_unknown(pair.house.engine, ledger.job(pair.job.id), "a signal came")
    ledger.store(pair.job.id, made())
    pair.die()
    job = pair.finish()
    assert (job.id, job.state) == (pair.job.id, State.SAVED)
    assert (pair.submits, pair.house.transport.fetched) == ((0, 0), [URL])


@pytest.mark.parametrize("more", [(), (success(),)])
def test_what_it_bought_is_taken_on(polled: Pair, more: tuple[Reply, ...]) -> None:
    """A job that runs or is ready when its process dies is polled and saved by who waited."""
    polled.transport.pictures[URL] = [OutcomeUnknown("cut")]
    now = polled.first.clock.monotonic()
    timing = replace(polled.first.engine.timing, deadline=now, timeout=0.0, late_tries=0)
    polled.first.adjust(timing=timing)
    polled.buy(accepted(), *more)
    state = polled.house.ledger.job(polled.job.id).state
    assert state is (State.READY if more else State.RUNNING)
    polled.look()
    polled.die()
    polled.house.transport.answers = [] if more else [success()]
    job = polled.finish()
    assert (job.id, job.state) == (polled.job.id, State.SAVED)
    assert polled.submits == (1, 0)


def test_two_that_waited_save_one_file(polled: Pair) -> None:
    """Both take on what a dead process bought: one picture, under its name."""
    polled.buy(accepted())
    polled.die()
    third = polled.house.another(polled.house.owner, success())
    third.run([polled.house.ledger.job(polled.job.id)])
    polled.house.transport.answers = [success()]
    assert polled.finish().state is State.SAVED
    assert [path.name for path in polled.house.pictures()] == ["cat.png"]


def test_what_is_taken_on_is_saved_as_we_asked(house: House) -> None:
    """`--overwrite` and `--sidecar` of who goes on hold for what a dead process bought."""
    pair = Pair(house, "kie", overwrite=True, sidecar=True)
    pair.buy(accepted())
    pair.die()
    (house.folder / "out").mkdir()
    (house.folder / "out/cat.png").write_bytes(b"old")
    house.transport.answers = [success()]
    job = pair.finish()
    assert [path.name for path in house.pictures()] == ["cat.json", "cat.png"]
    assert (house.folder / "out/cat.png").read_bytes() != b"old"
    assert job.images[0].path == str(house.folder / "out/cat.png")


def test_its_last_deed_counts(pair: Pair) -> None:
    """It saved and ended between our look at the job and that at its lock: nothing is redone."""
    read = pair.house.ledger.job(pair.job.id)
    pair.buy(made())
    pair.owner.close()
    assert pair.step is not None
    assert join(pair.house.engine, read, pair.step) is None
    assert pair.house.ledger.job(pair.job.id).state is State.SAVED
    assert pair.house.transport.fetched == []


def test_what_another_process_has_taken_on_is_waited_for(house: House) -> None:
    """The buyer died, a third process took the job on while we looked: it saves, we wait."""
    pair = Pair(house, "kie")
    pair.buy(accepted())
    stale = house.ledger.job(pair.job.id)
    pair.die()
    with Owner(house.folder / "owners", "btakeson") as third:
        house.ledger.take_on(stale, replace(stale, owner=third.name), ())
        assert pair.step is not None
        following = join(house.engine, stale, pair.step)
        assert following is not None
        assert following.deed is StepKind.JOIN
