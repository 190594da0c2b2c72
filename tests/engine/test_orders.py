"""Many rows on a real ledger: what is begun when, what stops it, what was bought before."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.replies import accepted, polled, reply, success

from seedream_cli.batch.action import Act
from seedream_cli.batch.apply import Application, Bounds, entries_of, to_begin
from seedream_cli.batch.history import History
from seedream_cli.batch.manifest import read as manifest
from seedream_cli.batch.plan import Planner
from seedream_cli.batch.resolve import BatchContext
from seedream_cli.cli.commands.batch_accounts import Accounts
from seedream_cli.cli.output.job import job_exit
from seedream_cli.core.errors import ImageGone, OutcomeUnknown, StorageError, Unsent
from seedream_cli.core.model import Charge, Done, Money, Problem, Profile, Purpose, Reply, State
from seedream_cli.engine.context import Timing
from seedream_cli.engine.recall import recall
from seedream_cli.engine.workers import Inbox, WorkerPool
from seedream_cli.providers import PROVIDERS
from seedream_cli.request.purchase import purchases
from seedream_cli.storage.files.digest import digest_of, look

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.conftest import House

    from seedream_cli.batch.action import Action, Key, Plan, Result
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.core.model import Call, Job, Outcome
    from seedream_cli.providers.spec import Provider
    from seedream_cli.request.purchase import Purchase

HEAD = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de")
OVER = ImageGone("404", date=datetime(2036, 1, 1, tzinfo=UTC))
"""Said by a host when every URL has lapsed."""
TAIL = bytes.fromhex("0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082")


def png(text: str) -> bytes:
    """Draw a picture that is unlike those with another text."""
    chunk = b"tEXt" + f"x\0{text}".encode()
    length, crc = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    return HEAD + length + chunk + crc + TAIL


def refused(code: str = "InputTextSensitiveContentDetected", status: int = 400) -> Reply:
    """Build Ark's no."""
    return reply({"error": {"code": code, "message": "no"}}, status)


def rows(count: int, prompt: str = "picture") -> str:
    """Write a manifest of plain rows."""
    return "".join(f'[images.r{k}]\nprompt = "{prompt} {k}"\n' for k in range(count))


def profile_of(_: Row, provider: Provider) -> Profile:
    """Return the only account there is."""
    return Profile(name="p", provider=provider.name, base_url=provider.base_url)


class Known(Accounts):
    """Knows one account, which needs no key; nothing is uploaded."""

    def profile_of(self, row: Row, provider: Provider) -> Profile:
        """Return it."""
        return profile_of(row, provider)

    def key(self, profile: Profile) -> Profile:
        """Return it as it is."""
        return profile


@dataclass
class Desk:
    """A folder with a manifest, and runs of it."""

    house: House
    lock: dict[tuple[str, int], Entry] = field(default_factory=dict)
    ends: dict[str, Result] = field(default_factory=dict)
    """Of the last run, by the actions' names."""
    runs: int = 0
    urls: int = 0
    provider: str = "ark"
    is_alone: bool = False
    """All other processes have ended."""
    name: str = "art.lock"
    record: Callable[[Action, Job], None] | None = None

    @property
    def base(self) -> str:
        """Return the manifest's folder."""
        return str(self.house.folder / "art")

    @property
    def manifest(self) -> str:
        """Return what tells this manifest from others."""
        return f"{self.base}/{self.name}"

    def made(self, count: int = 1) -> list[Reply]:
        """Build answers, each with a picture of its own."""
        answers = []
        for _ in range(count):
            self.urls += 1
            url = f"https://images.example/{self.urls}.png"
            self.house.transport.pictures[url] = [png(url)]
            answers.append(reply({"model": "m", "created": 1, "data": [{"url": url}]}))
        return answers

    def planner(self, text: str, despite: Sequence[str] = ()) -> Planner:
        """Hold a manifest against the lock, the files and the ledger."""
        kind = manifest.Syntax.TOML
        found = manifest.read(text, file="art.toml", kind=kind, load=lambda name: name)
        house, ids = self.house, iter(range(10_000))

        def provider_of(_: Row, locked: str | None) -> Provider | None:
            return PROVIDERS[locked or self.provider]

        context = BatchContext(
            base=self.base,
            typed={},
            providers=PROVIDERS,
            provider_of=provider_of,
            maker_of=lambda _: None,
            look=look,
            digest_of=digest_of,
            now=house.clock.now(),
            path=str(Path(self.manifest).with_suffix(".toml")),
        )
        history = History(
            ledger=house.ledger,
            context=context,
            rows={row.name: row for row in found.rows},
            batch=self.manifest,
            run=f"run{self.runs:05}",
            owner=house.owner.name,
            now=house.clock.now,
            new_id=lambda: f"j{self.runs:03}{next(ids):04}",
            profile_of=profile_of,
            is_dead=lambda _: self.is_alone,
            despite=frozenset(despite),
            doubtful=recall(house.engine, house.ledger.jobs(states={State.FAILED})),
        )
        lock = list(self.lock.values())
        return Planner(found, lock, context, history=lambda: history)

    def plan(self, text: str) -> Plan:
        """Plan a manifest."""
        return self.planner(text).plan()

    def batch(
        self, text: str, bounds: Bounds | None = None, despite: Sequence[str] = (), room: int = 8
    ) -> Application:
        """Prepare a run as the command does."""
        self.runs += 1
        self.ends = {}
        planner = self.planner(text, despite)
        plan = planner.plan()
        assert not plan.of(Act.MOVE, Act.LEAVE, Act.CONFLICT)
        self.lock = dict(plan.kept)
        accounts = Known(world=None, asked=None, sandbox=False)  # type: ignore[arg-type]
        return Application(
            engine=self.house.engine,
            actions=deque(to_begin(plan)),
            bounds=bounds or Bounds(),
            room=lambda _: room,
            replan=planner.replan,
            call=lambda action, bought: accounts.call(
                self.house.engine, self.base, self.lock, action, bought
            ),
            record=self.record or self._record,
            despite=frozenset(despite),
            tell=self._tell,
        )

    def run(
        self,
        text: str,
        *answers: object,
        bounds: Bounds | None = None,
        despite: Sequence[str] = (),
        room: int = 8,
    ) -> Application:
        """Run a manifest to its end on these answers; all of them are used up."""
        self.house.transport.answers = list(answers)  # type: ignore[arg-type]
        self.house.transport.sent.clear()
        self.house.transport.fetched.clear()
        batch = self.batch(text, bounds, despite, room)
        self.go(batch)
        assert self.house.transport.answers == []
        return batch

    def go(self, batch: Application) -> None:
        """Take a prepared run to its end."""
        pool = WorkerPool(batch.take, self.house.clock, Inbox(), workers=0, on_signal=lambda _: 0.0)
        pool.run((), batch.more)
        batch.leave_rest()

    def _record(self, action: Action, job: Job) -> None:
        for entry in entries_of(action, job, self.base):
            self.lock[entry.key] = entry

    def _tell(self, end: Result) -> None:
        assert end.action.name not in self.ends, "each action is told of once"
        self.ends[end.action.name] = end

    @property
    def submits(self) -> list[str]:
        """Return the prompts that were sent, in order."""
        sent = [call for call in self.house.transport.sent if call.purpose is Purpose.SUBMIT]
        return [str((call.body or {}).get("prompt") or call.body) for call in sent]

    def states(self) -> dict[str, State | None]:
        """Return how each task ended; None: nothing was begun for it."""
        return {name: end.job.state if end.job else None for name, end in self.ends.items()}

    def codes(self) -> dict[str, str]:
        """Return the problems by task."""
        return {name: end.problem.code for name, end in self.ends.items() if end.problem}

    def path(self, name: str) -> str:
        """Return the path of a picture."""
        return f"{self.base}/{name}"

    def jobs(self, name: str) -> list[Job]:
        """Return the jobs of a row, newest first."""
        return self.house.ledger.of_row(name)


@pytest.fixture
def desk(house: House) -> Desk:
    """Lay a manifest's folder out."""
    (house.folder / "art").mkdir()
    house.adjust(timing=Timing(deadline=0, timeout=600, per_job=True))
    return Desk(house)


CHAIN = """[images.c]
prompt = "c"
references = ["images.b"]
[images.b]
prompt = "b"
references = ["images.a"]
[images.a]
prompt = "a"
[images.z]
prompt = "z"
"""


def test_all_are_made_once(desk: Desk) -> None:
    """Each row is one submit, and the next run finds nothing to do."""
    desk.run(rows(3), *desk.made(3))
    assert desk.submits == ["picture 0", "picture 1", "picture 2"]
    assert set(desk.states().values()) == {State.SAVED}
    assert [desk.lock["r1", 1].output, desk.lock["r1", 1].price] == [
        "r1.png",
        desk.jobs("r1")[0].price,
    ]
    desk.run(rows(3))
    assert desk.ends == {}


def test_what_is_made_from_others_waits_for_them(desk: Desk) -> None:
    """The order of the file does not matter; the picture just made travels by its URL."""
    desk.run(CHAIN, *desk.made(4))
    assert desk.submits == ["a", "z", "b", "c"]
    bodies = [call.body or {} for call in desk.house.transport.sent]
    assert bodies[2]["image"] == "https://images.example/1.png"
    assert bodies[3]["image"] == "https://images.example/3.png"
    desk.run(CHAIN)
    assert desk.submits == []


def test_a_failed_reference_leaves_its_dependents_unsent(desk: Desk) -> None:
    """Nothing is paid for that could not be right; what does not need it goes on."""
    desk.run(CHAIN, refused(), *desk.made(1))
    assert desk.submits == ["a", "z"]
    assert desk.states() == {"a": State.REFUSED, "z": State.SAVED, "b": None, "c": None}
    assert desk.codes() == {"a": "content_policy", "b": "provider_failed", "c": "provider_failed"}
    problem = desk.ends["b"].problem
    assert problem is not None
    assert "made from a" in problem.message


def test_the_dependents_of_what_was_left_are_left(desk: Desk) -> None:
    """Nothing failed there: the next run makes them."""
    desk.run(CHAIN, *desk.made(1), bounds=Bounds(max_images=1))
    assert desk.submits == ["a"]
    assert desk.codes() == {}
    assert desk.states() == {"a": State.SAVED, "b": None, "c": None, "z": None}
    desk.run(CHAIN, *desk.made(3))
    assert desk.submits == ["b", "z", "c"]


def test_thousands_in_a_chain_fall_with_the_first(desk: Desk) -> None:
    """However long the chain, its end is told of and nothing breaks."""
    text = '[images.r0]\nprompt = "x"\n'
    for k in range(1, 1500):
        text += f'[images.r{k}]\nprompt = "x"\nreferences = ["images.r{k - 1}"]\n'
    desk.run(text, refused())
    assert len(desk.submits) == 1
    assert len(desk.ends) == 1500


def test_two_tasks_of_one_name_are_two(desk: Desk) -> None:
    """A row may be called as another row's second picture is."""
    text = (
        '[images.a]\nprompt = "a"\n'
        '[images.h]\nprompt = "h"\ncount = 2\noutput = "h/{n}"\nreferences = ["images.a"]\n'
        '[images.h-2]\nprompt = "h2"\noutput = "h2"\nreferences = ["images.a"]\n'
    )
    told: list[Action] = []
    batch = desk.batch(text)
    batch.tell = lambda end: told.append(end.action)
    desk.house.transport.answers = list(desk.made(4))
    desk.go(batch)
    assert sorted(desk.submits) == ["a", "h", "h", "h2"]
    assert sorted(action.key for action in told) == [("a", 1), ("h", 1), ("h", 2), ("h-2", 1)]


# -- bounds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [1, 8])
def test_max_images_gives_room_back(desk: Desk, room: int) -> None:
    """A refused row costs nothing, so another one may take its place; then it is over."""
    desk.run(
        rows(5), *desk.made(1), refused(), *desk.made(1), bounds=Bounds(max_images=2), room=room
    )
    assert len(desk.submits) == 3
    assert [name for name, end in desk.ends.items() if end.job is None] == ["r3", "r4"]
    assert list(desk.codes()) == ["r1"]


def test_max_cost_counts_what_may_have_been_charged(desk: Desk) -> None:
    """An unknown outcome is spent, a refusal is not."""
    price = desk.plan(rows(1)).actions[0].price
    assert price is not None
    bound = Bounds(max_cost=Money(price.amount * 2 + Decimal("0.001"), price.currency))
    desk.run(rows(5), OutcomeUnknown("cut"), refused(), *desk.made(1), bounds=bound)
    assert desk.submits == ["picture 0", "picture 1", "picture 2"]
    assert desk.states()["r0"] is State.UNKNOWN
    assert desk.states()["r3"] is None
    desk.run(rows(9), bounds=Bounds(max_cost=Money(price.amount / 2, price.currency)))
    assert desk.submits == []


def test_max_cost_is_held_against_its_own_currency(desk: Desk) -> None:
    """What a provider says that it charged in another one is no part of the sum: the price is."""
    price = desk.plan(rows(1)).actions[0].price
    assert price is not None
    spec = desk.house.engine.providers["ark"]

    def decode(reply: Reply) -> Outcome:
        outcome = spec.dialect.decode(reply)
        assert isinstance(outcome, Done)
        return replace(outcome, cost=Money(Decimal("0.001"), "EUR"))

    ark = replace(spec, dialect=replace(spec.dialect, decode=decode))
    desk.house.adjust(providers={**PROVIDERS, "ark": ark})
    bound = Bounds(max_cost=Money(price.amount * 2, price.currency))
    desk.run(rows(3), *desk.made(2), bounds=bound)
    assert len(desk.submits) == 2


def test_what_was_bought_before_is_fetched_beyond_every_bound(desk: Desk) -> None:
    """A bound is about buying; a picture that is paid for is still fetched."""
    desk.run(rows(2), *desk.made(2))
    desk.house.folder.joinpath("art", "r1.png").unlink()
    desk.lock.pop(("r0", 1))
    desk.run(rows(2), bounds=Bounds(max_images=0))
    assert (desk.submits, len(desk.house.transport.fetched)) == ([], 1)
    assert set(desk.states().values()) == {State.SAVED}


def test_a_set_counts_by_what_came(desk: Desk) -> None:
    """Room for four is needed to begin; what the model did not make is given back."""
    text = '[images.s]\nprompt = "s"\nseries = 4\n' + rows(3)
    answers = desk.made(2)
    urls = [{"url": f"https://images.example/{k}.png"} for k in (1, 2)]
    answers[:2] = [reply({"model": "m", "created": 1, "data": urls})]
    desk.run(text, *answers, *desk.made(2), bounds=Bounds(max_images=4), room=1)
    assert len(desk.submits) == 3
    assert sorted(desk.lock) == [("r0", 1), ("r1", 1), ("s", 1), ("s", 2)]
    assert desk.lock["s", 1].of == 2
    desk.run(text, *desk.made(1))
    assert desk.submits == ["picture 2"]


# -- stops -----------------------------------------------------------------------------------------


def test_fail_fast_stops_at_the_first(desk: Desk) -> None:
    """What is under way is finished, nothing is begun."""
    batch = desk.run(rows(5), *desk.made(1), refused(), bounds=Bounds(fail_fast=True), room=1)
    assert len(desk.submits) == 2
    assert "--fail-fast" in batch.why_stopped
    assert list(desk.states().values()) == [State.SAVED, State.REFUSED, None, None, None]


def test_three_unknown_outcomes_stop(desk: Desk) -> None:
    """Three times money may be gone; a fourth is not risked, also not by what was planned."""
    cut = OutcomeUnknown("cut")
    batch = desk.run(rows(9), *desk.made(1), cut, cut, cut)
    assert len(desk.submits) == 4
    assert "3 outcomes are unknown" in batch.why_stopped
    assert [name for name, end in desk.ends.items() if end.job] == ["r0", "r1", "r2", "r3"]
    assert {job.charge for job in desk.jobs("r5")} <= {Charge.NONE}


def test_one_account_error_stops(desk: Desk) -> None:
    """A wrong key is wrong for every row."""
    batch = desk.run(rows(9), refused("AuthenticationError", 401))
    assert len(desk.submits) == 1
    assert "account" in batch.why_stopped
    assert desk.codes() == {"r0": "auth"}


def test_a_model_that_is_not_opened_stops_that_model(desk: Desk) -> None:
    """What other models make is bought all the same; the rest of that model is left."""
    other = '[images.other]\nprompt = "a fox"\nmodel = "doubao-seedream-4-0-20260415"\n'
    batch = desk.run(rows(4) + other, refused("ModelNotOpen", 404), *desk.made(1), room=1)
    assert not batch.why_stopped
    assert desk.codes() == {"r0": "access"}
    assert desk.states()["other"] is State.SAVED
    assert len(desk.submits) == 2
    assert [desk.ends[f"r{k}"].job for k in (1, 2, 3)] == [None] * 3


def test_three_turned_away_in_a_row_stop(desk: Desk) -> None:
    """A provider that cannot be reached is not asked for all rows; a good answer begins anew."""
    desk.house.adjust(timing=replace(desk.house.engine.timing, submit_tries=1))
    away = Unsent("no route")
    batch = desk.run(rows(9), away, away, *desk.made(1), away, away, away, room=1)
    assert "turns requests away" in batch.why_stopped
    assert len(desk.submits) == 6
    assert desk.states()["r2"] is State.SAVED
    assert list(desk.codes().values()) == ["unreachable"] * 5


def test_a_lock_that_cannot_be_written_stops(desk: Desk) -> None:
    """The picture is saved and in the ledger; no more are bought that nobody would know of."""

    def record(action: Action, job: Job) -> None:
        del action, job
        raise StorageError("art.lock could not be written")

    desk.record = record
    batch = desk.run(rows(5), *desk.made(1), room=1)
    assert len(desk.submits) == 1
    assert "disk" in batch.why_stopped
    problem = desk.ends["r0"].problem
    assert problem is not None
    assert problem.exit == 74
    desk.record = None
    assert [job.state for job in desk.jobs("r0")] == [State.SAVED]


# -- what earlier runs left ------------------------------------------------------------------------


def test_an_unknown_outcome_is_not_bought_again(desk: Desk) -> None:
    """Whoever wants it all the same names the job."""
    desk.run(rows(2), OutcomeUnknown("cut"), *desk.made(1))
    desk.run(rows(2))
    assert desk.submits == []
    assert desk.states() == {"r0": State.UNKNOWN}
    assert desk.codes() == {"r0": "outcome_unknown"}
    (job,) = desk.jobs("r0")
    desk.run(rows(2), *desk.made(1), despite=[job.id])
    assert desk.submits == ["picture 0"]
    assert desk.states() == {"r0": State.SAVED}


OLD, V4 = "doubao-seedream-4-5-251128", "doubao-seedream-4-0-20260415"


def by_old(text: str) -> str:
    """Let a manifest ask for the model that was the default before it was retired."""
    return text + f'[defaults]\nmodel = "{OLD}"\n'


def test_an_unknown_outcome_of_a_former_default_is_not_bought_again(desk: Desk) -> None:
    """A new default is no reason to pay twice for a picture that may be paid for."""
    desk.run(by_old(rows(2)), OutcomeUnknown("cut"), *desk.made(1))
    del desk.lock["r1", 1]
    desk.run(rows(2))
    assert desk.submits == []
    assert desk.states() == {"r0": State.UNKNOWN, "r1": State.SAVED}


def test_an_unknown_outcome_of_a_former_default_holds_its_row_alone(desk: Desk) -> None:
    """Another row that asks for the same is bought, as it was before the default changed."""
    one = '[images.a]\nprompt = "a fox"\n'
    desk.run(by_old(one), OutcomeUnknown("cut"))
    desk.run(one + '[images.b]\nprompt = "a fox"\n', *desk.made(1))
    assert desk.states() == {"a": State.UNKNOWN, "b": State.SAVED}


def test_a_lost_file_of_a_retired_model_is_fetched_again(desk: Desk) -> None:
    """While its URL lives nothing is bought, though its model has ended; then by the default."""
    desk.house.clock.at = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
    desk.run(by_old(rows(1)), *desk.made(1))
    for hours in (2, 72):
        desk.house.folder.joinpath("art", "r0.png").unlink()
        desk.house.clock.at += timedelta(hours=hours)
        desk.run(rows(1), *(desk.made(1) if hours > 24 else ()))
        assert len(desk.submits) == (hours > 24)
    bodies = [call.body or {} for call in desk.house.transport.sent]
    assert [body["model"] for body in bodies] == ["doubao-seedream-5-0-flash-260915"]


def test_the_refusal_of_a_retired_model_names_its_successor(desk: Desk) -> None:
    """What takes over can do the same: one picture, or a set. A living model's says nothing."""
    desk.house.clock.at = datetime(2026, 11, 30, tzinfo=UTC)
    gone = refused("InvalidEndpointOrModel.NotFound", 404)
    for more, successor in (("", "doubao-seedream-5-0-pro-260628"), ("series = 3", V4)):
        desk.run(by_old(rows(1) + more + "\n"), gone)
        (problem,) = [end.problem for end in desk.ends.values() if end.problem]
        assert problem.code == "invalid_request"
        assert f"{OLD} was retired on 2026-11-24" in problem.message
        assert (
            problem.hint
            == f'model = "{successor}" in the manifest, or the same with -m {successor}'
        )
    desk.run(by_old(rows(1)), refused())
    assert [end.problem.hint for end in desk.ends.values() if end.problem] == [""]
    desk.run(rows(1), gone)
    (hint,) = [end.problem.hint for end in desk.ends.values() if end.problem]
    assert hint.startswith("models are opened at https://")


def test_a_running_job_is_taken_on(desk: Desk) -> None:
    """With `--no-wait`, or after a kill, the next run waits for it and buys nothing."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    desk.run(rows(1), accepted())
    assert desk.states() == {"r0": State.RUNNING}
    assert desk.codes() == {}
    desk.run(rows(1))  # still not waiting: it is told of as it stands
    assert desk.states() == {"r0": State.RUNNING}
    desk.house.adjust(is_waiting=True)
    desk.run(rows(1), success())
    assert desk.submits == []
    assert desk.states() == {"r0": State.SAVED}
    assert len(desk.jobs("r0")) == 1
    assert desk.lock["r0", 1].output == "r0.png"


def test_dependents_of_a_running_job_are_left(desk: Desk) -> None:
    """They did not fail: what they are made from is not there yet."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    desk.run(CHAIN.partition("[images.z]")[0], accepted())
    assert desk.states() == {"a": State.RUNNING, "b": None, "c": None}
    assert desk.codes() == {}


def test_a_running_job_of_a_row_with_another_name_is_taken_on(desk: Desk) -> None:
    """A purchase of the same request for the same file is joined, whoever began it."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    text = '[images.a]\nprompt = "a"\noutput = "x"\n'
    desk.run(text, accepted())
    desk.house.adjust(is_waiting=True)
    desk.run(text.replace("images.a", "images.b"), success())
    assert desk.submits == []
    assert desk.states() == {"b": State.SAVED}
    assert desk.lock["b", 1].output == "x.png"


def test_a_lost_file_is_fetched_again(desk: Desk) -> None:
    """While its URL lives that costs nothing; after that it is bought."""
    desk.run(rows(1), *desk.made(1))
    desk.house.folder.joinpath("art", "r0.png").unlink()
    desk.run(rows(1))
    assert (desk.submits, desk.house.transport.fetched) == ([], ["https://images.example/1.png"])
    assert digest_of(desk.path("r0.png")) == desk.lock["r0", 1].sha256
    desk.house.folder.joinpath("art", "r0.png").unlink()
    desk.house.clock.at += timedelta(days=3)
    desk.run(rows(1), *desk.made(1))
    assert desk.submits == ["picture 0"]


def test_what_was_to_be_fetched_is_not_bought_instead(desk: Desk) -> None:
    """Its URL lapsed after the plan was printed: the next run's plan says that it is bought."""
    desk.run(rows(2), *desk.made(2))
    desk.house.folder.joinpath("art", "r0.png").unlink()
    batch = desk.batch(rows(2), Bounds(max_images=0))
    desk.house.clock.at += timedelta(days=3)
    desk.house.transport.sent.clear()
    desk.go(batch)
    assert (desk.submits, desk.states(), desk.codes()) == ([], {"r0": None}, {})
    assert [action.act for action in desk.plan(rows(2)).actions] == [Act.MAKE, Act.KEEP]


def test_plan_and_run_hold_back_what_is_made_from_an_unknown_one(desk: Desk) -> None:
    """Both say `wait`, down to the end of the chain; what needs none of them is made."""
    desk.run(CHAIN, OutcomeUnknown("cut"), *desk.made(1))
    acts = {action.name: action.act for action in desk.plan(CHAIN).actions}
    assert acts == {"a": Act.UNKNOWN, "b": Act.WAIT, "c": Act.WAIT, "z": Act.KEEP}
    desk.run(CHAIN)
    assert (desk.submits, desk.states()) == ([], {"a": State.UNKNOWN, "b": None, "c": None})
    assert desk.codes() == {"a": "outcome_unknown"}


def test_a_prompt_that_went_back_is_fetched(desk: Desk) -> None:
    """The first picture was paid for: it is fetched over the second one, and not bought."""
    one, two = rows(1), rows(1, "other")
    desk.run(one, *desk.made(1))
    first = digest_of(desk.path("r0.png"))
    desk.run(two, *desk.made(1))
    second = digest_of(desk.path("r0.png"))
    assert first != second
    desk.run(one)
    assert (desk.submits, desk.house.transport.fetched) == ([], ["https://images.example/1.png"])
    assert digest_of(desk.path("r0.png")) == first == desk.lock["r0", 1].sha256
    assert [path.name for path in (desk.house.folder / "art").iterdir()] == ["r0.png"]


def test_a_picture_that_only_the_lock_lacks_is_adopted(desk: Desk) -> None:
    """A kill between the file and its line costs neither money nor a download."""
    batch = desk.batch(rows(1))
    desk.house.transport.answers = list(desk.made(1))
    desk.go(batch)
    desk.lock.clear()
    again = desk.batch(rows(1).replace("picture", "other"))  # planned before the file is there
    action = replace(again.actions[0], row=batch_row(rows(1)), target=None)
    again.actions = deque([action])
    desk.house.transport.sent.clear()
    desk.house.transport.fetched.clear()
    desk.go(again)
    assert (desk.submits, desk.house.transport.fetched) == ([], [])
    assert desk.lock["r0", 1].sha256 == digest_of(desk.path("r0.png"))


def batch_row(text: str) -> Row:
    """Return the first row of a manifest."""
    kind = manifest.Syntax.TOML
    return manifest.read(text, file="art.toml", kind=kind, load=lambda name: name).rows[0]


def test_the_same_request_of_another_row_is_bought(desk: Desk) -> None:
    """Two rows with the same words are two pictures, in one run and in two."""
    text = '[images.a]\nprompt = "x"\n[images.b]\nprompt = "x"\n'
    desk.run(text, *desk.made(2))
    assert len(desk.submits) == 2
    assert desk.lock["a", 1].sha256 != desk.lock["b", 1].sha256
    desk.run(text + '[images.c]\nprompt = "x"\n', *desk.made(1))
    assert len(desk.submits) == 1


def test_another_manifests_picture_is_not_taken(desk: Desk) -> None:
    """A copy of a manifest with other outputs gets files of its own and leaves those alone."""
    desk.run(rows(1), *desk.made(1))
    desk.lock.clear()
    desk.run('[defaults]\noutput = "v2/{name}"\n' + rows(1))
    assert desk.submits == []
    assert desk.lock["r0", 1].output == "v2/r0.png"
    assert digest_of(desk.path("r0.png")) == digest_of(desk.path("v2/r0.png"))


def test_pictures_above_the_folder_are_told_from_it(desk: Desk) -> None:
    """The lock is the same on every machine, wherever the manifest lies."""
    text = '[defaults]\noutput = "../site/{name}"\n' + rows(1)
    desk.run(text, *desk.made(1))
    assert desk.lock["r0", 1].output == "../site/r0.png"
    desk.run(text)
    assert desk.submits == []


# -- several pictures in one request ---------------------------------------------------------------


def together(desk: Desk, count: int) -> Reply:
    """Build UniAll's answer with so many pictures."""
    desk.made(count)
    numbers = range(desk.urls - count + 1, desk.urls + 1)
    return reply({"data": [{"url": f"https://images.example/{k}.png"} for k in numbers]})


def as_before(desk: Desk, text: str, answer: Reply | SeedreamError, count: int) -> None:
    """Run a row as former versions did: one request brings all its pictures."""
    batch = desk.batch(text)
    batch.actions = deque([batch.actions[0]])
    look = batch.replan

    def replan(action: Action, origins: Mapping[Key, str]) -> Action:
        now = look(action, origins)
        assert now.target is not None
        assert now.purchase is not None
        assert now.past is not None
        ours = now.purchase.job
        (bought,) = purchases(
            [replace(now.target.request, count=count)],
            profile=profile_of(now.row, now.target.provider),
            provider=now.target.provider,
            capabilities=now.target.capabilities,
            output=ours.output,
            run=ours.run,
            owner=ours.owner,
            now=ours.created_at,
            job_id=lambda: ours.id,
        )
        job = replace(bought.job, row=ours.row)
        past = replace(now.past, job=job)
        return replace(now, past=past, purchase=replace(bought, job=job))

    batch.replan = replan
    desk.house.transport.answers = [answer]
    desk.go(batch)
    assert desk.house.transport.answers == []


def test_each_picture_is_a_request_of_its_own(desk: Desk) -> None:
    """Also where a provider has a count: a lost answer then loses one; old files are replaced."""
    desk.provider = "uniall"
    text = '[images.h]\nprompt = "h"\ncount = 3\n'
    desk.run(text, *[together(desk, 1) for _ in range(3)])
    assert len(desk.submits) == 3
    assert sorted(desk.lock) == [("h", 1), ("h", 2), ("h", 3)]
    old = [entry.sha256 for entry in desk.lock.values()]
    desk.run(text.replace('"h"', '"H"'), *[together(desk, 1) for _ in range(3)])
    assert len(desk.submits) == 3
    art = desk.house.folder / "art"
    assert sorted(path.name for path in art.iterdir()) == ["h-1.png", "h-2.png", "h-3.png"]
    assert not {hashlib.sha256(path.read_bytes()).hexdigest() for path in art.iterdir()} & {*old}


def test_pictures_of_one_former_request_are_bought(desk: Desk) -> None:
    """Where the lock is lost, each is found; a row that grew buys what it lacks and no more."""
    desk.provider = "uniall"
    text = '[images.h]\nprompt = "h"\ncount = 3\n'
    as_before(desk, text, together(desk, 3), 3)
    desk.lock.clear()
    plan = desk.plan(text.replace("3", "4"))
    assert [action.act for action in plan.actions] == [Act.FETCH] * 3 + [Act.MAKE]
    desk.run(text)
    assert (desk.submits, desk.house.transport.fetched) == ([], [])
    assert sorted(desk.lock) == [("h", 1), ("h", 2), ("h", 3)]
    for n in (1, 3):
        desk.house.folder.joinpath("art", f"h-{n}.png").unlink()
    desk.run(text)
    assert (desk.submits, len(desk.house.transport.fetched)) == ([], 2)


# -- whose job it is -------------------------------------------------------------------------------


def test_another_manifests_job_is_its_own(desk: Desk) -> None:
    """The same row and words in another manifest are bought; what runs for the first stays its."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    desk.run(rows(1), accepted())
    (first,) = desk.jobs("r0")
    Path(desk.manifest).with_suffix(".toml").touch()
    desk.name = "other.lock"
    desk.run('[defaults]\noutput = "v2/{name}"\n' + rows(1), accepted("t2"))
    assert len(desk.submits) == 1
    assert desk.house.ledger.job(first.id).output == first.output


def test_a_renamed_manifest_finds_its_jobs(desk: Desk) -> None:
    """Where neither the manifest nor its lock lies there any more, it has another name now."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    desk.run(rows(1), accepted())
    desk.name = "other.lock"
    desk.house.adjust(is_waiting=True)
    desk.run(rows(1), success())
    assert (desk.submits, desk.lock["r0", 1].output) == ([], "r0.png")


def test_a_moved_checkout_finds_its_jobs(desk: Desk) -> None:
    """A kept ledger serves a fresh checkout at another path, if the old one is gone."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    desk.run(rows(1), accepted())
    (job,) = desk.jobs("r0")
    moved = {**job.output, "batch": "/gone/art.lock", "manifest": "/gone/art.toml"}
    desk.house.ledger.put_output(job, moved)
    desk.house.adjust(is_waiting=True)
    desk.run(rows(1), success())
    assert (desk.submits, desk.lock["r0", 1].output) == ([], "r0.png")


def of_another(desk: Desk) -> Job:
    """Leave a running job of the first row to another process."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    desk.run(rows(1), accepted())
    (job,) = desk.jobs("r0")
    return desk.house.ledger.take_on(job, replace(job, owner="another0"), ())


def test_a_job_that_a_live_process_waits_for_is_left_to_it(desk: Desk) -> None:
    """It is neither bought nor taken; when that process is dead, it is taken on."""
    job = of_another(desk)
    desk.run(rows(1))
    assert (desk.submits, desk.codes()) == ([], {"r0": "timeout"})
    assert desk.house.ledger.job(job.id) == job
    desk.is_alone = True
    desk.house.adjust(is_waiting=True)
    desk.run(rows(1), success())
    assert (desk.submits, desk.states()) == ([], {"r0": State.SAVED})
    assert desk.house.ledger.job(job.id).owner == desk.house.owner.name


def test_a_look_changes_nothing(desk: Desk) -> None:
    """Whoever says no to the question leaves the ledger as it was."""
    job = of_another(desk)
    desk.is_alone = True
    batch = desk.batch(rows(1).replace("[images.r0]", '[images.r0]\noutput = "x"'))
    assert batch.replan(batch.actions[0], {}).act is Act.FETCH
    assert desk.house.ledger.job(job.id) == job


def test_who_is_overtaken_leaves_the_job(desk: Desk) -> None:
    """Another process took it on between our look and our hand."""
    job = of_another(desk)
    desk.is_alone = True
    batch = desk.batch(rows(1))
    look = batch.replan

    def replan(action: Action, origins: Mapping[Key, str]) -> Action:
        found = look(action, origins)
        ledger = desk.house.ledger
        ledger.take_on(ledger.job(job.id), replace(job, owner="third000"), ())
        return found

    batch.replan = replan
    desk.go(batch)
    assert desk.codes() == {"r0": "timeout"}
    assert desk.house.ledger.job(job.id).owner == "third000"


# -- unknown outcomes ------------------------------------------------------------------------------


def test_what_was_bought_in_spite_comes_before_the_doubt(desk: Desk) -> None:
    """A running job of the row is fetched though an older one of it is unknown for ever."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    desk.run(rows(1), OutcomeUnknown("cut"))
    (lost,) = desk.jobs("r0")
    desk.run(rows(1), accepted(), despite=[lost.id])
    desk.house.adjust(is_waiting=True)
    desk.run(rows(1), success())
    assert (desk.submits, desk.states()) == ([], {"r0": State.SAVED})


def test_an_unknown_outcome_holds_the_pictures_that_it_may_have_brought(desk: Desk) -> None:
    """Two may be among those that one former request asked for; the third is another one."""
    desk.provider = "uniall"
    text = '[images.h]\nprompt = "h"\ncount = 2\n'
    as_before(desk, text, OutcomeUnknown("cut"), 2)
    desk.run(text.replace("2", "3"), together(desk, 1))
    assert len(desk.submits) == 1
    assert desk.codes() == {"h-1": "outcome_unknown", "h-2": "outcome_unknown"}


def test_an_unknown_outcome_holds_a_set_of_another_size(desk: Desk) -> None:
    """A set of four may be the set of three that was perhaps bought."""
    text = '[images.s]\nprompt = "s"\nseries = 3\n'
    desk.run(text, OutcomeUnknown("cut"))
    desk.run(text.replace("3", "4"))
    assert (desk.submits, desk.codes()) == ([], {"s-1": "outcome_unknown"})


def test_an_unknown_outcome_holds_whoever_asks_for_it_now(desk: Desk) -> None:
    """Its row asks for something else: then the row that has its words is held."""
    desk.run('[images.hero]\nprompt = "cat"\n', OutcomeUnknown("cut"))
    text = '[images.hero]\nprompt = "dog"\n[images.cover]\nprompt = "cat"\n'
    desk.run(text, *desk.made(1))
    assert desk.submits == ["dog"]
    assert desk.codes() == {"cover": "outcome_unknown"}


def test_an_unknown_outcome_of_a_row_that_is_gone_holds_all_who_ask_for_it(desk: Desk) -> None:
    """Any of them may be what it stands for now: none is bought, in the plan and in the run."""
    desk.run('[images.hero]\nprompt = "cat"\n', OutcomeUnknown("cut"))
    text = '[images.b]\nprompt = "cat"\n[images.c]\nprompt = "cat"\n'
    assert [action.act for action in desk.plan(text).actions] == [Act.UNKNOWN] * 2
    desk.run(text)
    assert (desk.submits, set(desk.codes().values())) == ([], {"outcome_unknown"})


def test_a_job_of_a_row_that_is_gone_is_taken_once(desk: Desk) -> None:
    """Of two rows that ask for its picture one fetches it, and the other one is bought."""
    desk.run('[images.hero]\nprompt = "cat"\n', *desk.made(1))
    desk.lock.clear()
    text = '[images.b]\nprompt = "cat"\n[images.c]\nprompt = "cat"\n'
    assert [action.act for action in desk.plan(text).actions] == [Act.FETCH, Act.MAKE]
    desk.run(text, *desk.made(1))
    assert (desk.submits, sorted(desk.lock)) == (["cat"], [("b", 1), ("c", 1)])


def test_an_unknown_outcome_of_a_row_holds_only_it(desk: Desk) -> None:
    """Its own row asks for it still, so another one with the same words is bought."""
    desk.run('[images.hero]\nprompt = "cat"\n', OutcomeUnknown("cut"))
    text = '[images.hero]\nprompt = "cat"\n[images.cover]\nprompt = "cat"\n'
    desk.run(text, *desk.made(1))
    assert desk.submits == ["cat"]
    assert desk.codes() == {"hero": "outcome_unknown"}


# -- several in one job ----------------------------------------------------------------------------


def three(desk: Desk) -> str:
    """Leave a job of three pictures of which only the first could be fetched."""
    desk.provider = "uniall"
    answer = together(desk, 3)
    broken = [f"https://images.example/{k}.png" for k in (2, 3)]
    whole = {url: desk.house.transport.pictures[url] for url in broken}
    desk.house.transport.pictures |= {url: [Unsent("no route")] for url in broken}
    text = '[images.h]\nprompt = "h"\ncount = 3\n'
    as_before(desk, text, answer, 3)
    assert [job.state for job in desk.jobs("h")] == [State.READY]
    desk.house.transport.pictures |= whole
    return text


def test_a_job_that_is_not_over_is_no_part_of_the_lock(desk: Desk) -> None:
    """The rest of its pictures is fetched by the next run, and not bought."""
    text = three(desk)
    assert desk.lock == {}
    # The command takes the file that lies there for its own; here it is out of the way.
    desk.house.folder.joinpath("art", "h-1.png").unlink()
    desk.run(text)
    assert (desk.submits, sorted(desk.lock)) == ([], [("h", 1), ("h", 2), ("h", 3)])


def test_missing_pictures_are_those_of_an_open_job(desk: Desk) -> None:
    """They are fetched, however many are asked for now; what it was not begun for is bought."""
    text = three(desk).replace("3", "4")
    desk.house.folder.joinpath("art", "h-1.png").unlink()
    desk.run(text, together(desk, 1))
    assert len(desk.submits) == 1
    assert sorted(desk.lock) == [("h", 1), ("h", 2), ("h", 3), ("h", 4)]
    assert desk.codes() == {}


# -- where the pictures lie ------------------------------------------------------------------------


def test_a_key_with_another_name_takes_its_picture_along(desk: Desk) -> None:
    """A kill cost the line; the file is copied, without a fetch, long after its URL lapsed."""
    desk.run('[images.a]\nprompt = "x"\n', *desk.made(1))
    desk.lock.clear()
    desk.house.clock.at += timedelta(days=3)
    desk.run('[images.b]\nprompt = "x"\n')
    assert (desk.submits, desk.house.transport.fetched) == ([], [])
    assert desk.lock["b", 1].output == "b.png"
    assert (
        digest_of(desk.path("b.png")) == desk.lock["b", 1].sha256 == digest_of(desk.path("a.png"))
    )
    desk.run('[images.b]\nprompt = "x"\n[images.c]\nprompt = "x"\n', *desk.made(1))
    assert desk.submits == ["x"]


def test_a_picture_that_is_gone_at_its_host_is_lost(desk: Desk) -> None:
    """It is said with 5, and the next run makes it anew."""
    desk.run(rows(1), *desk.made(1))
    desk.house.folder.joinpath("art", "r0.png").unlink()
    desk.house.transport.pictures["https://images.example/1.png"] = [OVER]
    desk.run(rows(1))
    job = desk.ends["r0"].job
    assert job is not None
    assert (desk.submits, job.state, job_exit(job, None)) == ([], State.EXPIRED, 5)
    desk.run(rows(1), *desk.made(1))
    assert desk.submits == ["picture 0"]


def test_a_word_of_old_versions_buys_nothing(desk: Desk) -> None:
    """What they gave up, before any clock said so, is fetched first."""
    desk.house.transport.pictures["https://images.example/1.png"] = [OVER]
    desk.run(rows(1), *desk.made(1))
    (job,) = desk.jobs("r0")
    words = Problem("expired", "its host says that the picture is gone; it was made")
    desk.house.ledger.put_image(replace(job.images[0], problem=words))
    desk.house.transport.pictures.clear()
    desk.run(rows(1))
    assert (desk.submits, desk.lock["r0", 1].output) == ([], "r0.png")


@pytest.mark.parametrize(
    ("answer", "submits", "states"),
    [
        (success(), 0, {"r0": "saved"}),
        (OutcomeUnknown("cut"), 0, {"r0": "failed"}),
        (reply({"code": 500, "msg": "oops"}), 0, {"r0": "failed"}),
        (polled("fail", failMsg="boom"), 1, {"r0": "running"}),
    ],
    ids=["made", "cut", "trouble", "failed"],
)
def test_a_failed_row_is_asked_about_before_it_is_bought(
    desk: Desk, answer: Reply | SeedreamError, submits: int, states: dict[str, str]
) -> None:
    """Made after all: fetched. No word: left in doubt. Failed indeed: bought anew."""
    desk.provider = "kie"
    boom = polled("fail", failMsg="boom")
    desk.run(rows(1), accepted(), boom, boom)
    assert desk.states() == {"r0": State.FAILED}
    desk.house.clock.at += timedelta(minutes=1)
    desk.house.adjust(is_waiting=False)
    desk.run(rows(1), answer, *[accepted("t2")] * submits)
    assert (len(desk.submits), desk.states()) == (submits, states)


def test_a_saved_job_without_its_picture_is_no_success(desk: Desk) -> None:
    """What was to be fetched again and did not come is not there; its URL is tried later."""
    desk.run(rows(1), *desk.made(1))
    desk.house.folder.joinpath("art", "r0.png").unlink()
    desk.house.transport.pictures["https://images.example/1.png"] = [Unsent("no route")]
    desk.run(rows(1))
    end = desk.ends["r0"]
    assert end.job is not None
    assert (end.job.state, job_exit(end.job, end.problem)) == (State.SAVED, 75)
    assert job_exit(end.job, None) == 5


def test_a_lost_picture_that_is_back_is_adopted(desk: Desk) -> None:
    """The ledger gave it up; the file lies in its place all the same."""
    desk.run(rows(1), *desk.made(1))
    picture = desk.house.folder / "art" / "r0.png"
    data = picture.read_bytes()
    picture.unlink()
    desk.house.transport.pictures["https://images.example/1.png"] = [OVER]
    desk.run(rows(1))
    desk.lock.clear()
    again = desk.batch(rows(1))
    picture.write_bytes(data)
    desk.go(again)
    assert (desk.submits, desk.lock["r0", 1].output) == ([], "r0.png")
    assert [job.state for job in desk.jobs("r0")] == [State.SAVED]


def test_a_rescued_picture_is_no_part_of_the_lock(desk: Desk) -> None:
    """Its folder took nothing: it is said where it lies, buying stops, the next run copies it."""
    text = '[defaults]\noutput = "site/{name}"\n' + rows(3)
    site = desk.house.folder / "art" / "site"
    site.write_text("in the way")
    batch = desk.run(text, *desk.made(1), room=1)
    assert (len(desk.submits), desk.lock, desk.codes()) == (1, {}, {"r0": "storage"})
    problem = desk.ends["r0"].problem
    assert problem is not None
    assert "/rescue/" in problem.message
    assert "disk" in batch.why_stopped
    site.unlink()
    desk.run(text, *desk.made(2))
    assert len(desk.submits) == 2
    assert desk.lock["r0", 1].output == "site/r0.png"


def test_what_is_beside_a_taken_name_is_in_its_place(desk: Desk) -> None:
    """A file that came there meanwhile is never replaced, and the lock names the one beside it."""
    batch = desk.batch(rows(1))
    taken = desk.house.folder / "art" / "r0.png"
    taken.write_bytes(b"mine")
    desk.house.transport.answers = list(desk.made(1))
    desk.go(batch)
    (job,) = desk.jobs("r0")
    assert desk.lock["r0", 1].output == f"r0-{job.id}.png"
    assert taken.read_bytes() == b"mine"


def test_a_picture_that_another_placed_gets_no_line(desk: Desk) -> None:
    """`download -o` fetched it elsewhere while we waited: the lock never names that file."""
    desk.provider = "kie"
    desk.house.adjust(is_waiting=False)
    desk.run(rows(1), accepted())
    (job,) = desk.jobs("r0")
    desk.house.adjust(is_waiting=True)
    batch = desk.batch(rows(1))
    desk.house.transport.answers = [success()]

    def elsewhere(_: Call) -> None:
        desk.house.ledger.put_output(job, {**job.output, "template": "else/r0.{ext}"})

    desk.house.transport.at_send = elsewhere
    desk.go(batch)
    assert (desk.lock, desk.codes()) == ({}, {"r0": "storage"})
    desk.house.transport.at_send = lambda _: None
    desk.run(rows(1))
    assert (desk.submits, desk.lock["r0", 1].output) == ([], "r0.png")


def test_what_nobody_can_price_is_within_no_bound(desk: Desk) -> None:
    """A row whose price is not known is left where there is a bound of cost."""
    batch = desk.batch(rows(1), Bounds(max_cost=Money(Decimal(9), "USD")))
    batch.actions = deque([replace(batch.actions[0], price=None)])
    desk.go(batch)
    assert (desk.submits, desk.states()) == ([], {"r0": None})


def test_a_file_that_was_named_and_not_recorded_is_taken_for_its_own(desk: Desk) -> None:
    """A kill came between the two: no second file is laid beside it."""
    of_another(desk)
    desk.is_alone = True
    desk.house.adjust(is_waiting=True)
    batch = desk.batch(rows(1))
    url = "https://images.example/k.png"
    desk.house.transport.pictures[url] = [png(url)]
    desk.house.folder.joinpath("art", "r0.png").write_bytes(png(url))
    desk.house.transport.answers = [success(url)]
    desk.go(batch)
    assert [path.name for path in (desk.house.folder / "art").iterdir()] == ["r0.png"]
    assert desk.lock["r0", 1].output == "r0.png"


def test_what_its_host_has_given_up_is_not_fetched_again(desk: Desk) -> None:
    """A kill came before its job was called lost: the next run buys it all the same."""
    desk.run(rows(1), *desk.made(1))
    desk.house.folder.joinpath("art", "r0.png").unlink()
    (job,) = desk.jobs("r0")
    taken = desk.house.ledger.take_on(job, job, [1])
    desk.house.ledger.put_image(replace(taken.images[0], problem=Problem("expired", "gone")))
    desk.run(rows(1), *desk.made(1))
    assert desk.submits == ["picture 0"]


def test_a_set_of_which_one_is_lost_is_not_a_smaller_set(desk: Desk) -> None:
    """While one of its pictures cannot be fetched again, the lock says what it said."""
    text = '[images.s]\nprompt = "s"\nseries = 4\n'
    desk.made(2)
    urls = [{"url": f"https://images.example/{k}.png"} for k in (1, 2)]
    desk.run(text, reply({"model": "m", "created": 1, "data": urls}))
    lock = dict(desk.lock)
    desk.house.folder.joinpath("art", "s-2.png").unlink()
    desk.house.transport.pictures["https://images.example/2.png"] = [Unsent("no route")]
    desk.run(text)
    assert (desk.submits, desk.lock) == ([], lock)


# -- beside a single purchase ------------------------------------------------------------------


def bought(batch: Application) -> Purchase:
    """Return what would buy the first picture of a batch."""
    purchase = batch.replan(batch.actions[0], {}).purchase
    assert purchase is not None
    return purchase


def single(desk: Desk, purchase: Purchase, **changes: object) -> Job:
    """Write down a `generate -o` of what a row asks for, to the same file."""
    output = {**purchase.job.output, "template": f"{desk.base}/r0.{{ext}}"}
    for key in ("batch", "manifest", "replaces"):
        del output[key]
    job = replace(purchase.job, id="single01", run="runofone", row=None, output=output)
    job = replace(job, owner="elsewhere", **changes)  # type: ignore[arg-type] # real fields
    desk.house.ledger.plan([job])
    return job


@pytest.mark.parametrize("state", [State.PLANNED, State.SENDING, State.RUNNING, State.READY])
def test_a_live_single_purchase_of_a_rows_file_is_left_alone(desk: Desk, state: State) -> None:
    """It brings that very file, so the batch buys nothing for it and says to come again."""
    batch = desk.batch(rows(1))
    single(desk, bought(batch), state=state)
    desk.go(batch)
    assert desk.submits == []
    assert desk.codes() == {"r0": "timeout"}
    assert [job.id for job in desk.house.ledger.jobs()] == ["single01"]


def test_a_dead_single_purchase_of_a_rows_file_is_taken_on(desk: Desk) -> None:
    """What a process had bought before it died is polled and saved as the row's picture."""
    desk.provider = "kie"
    desk.house.adjust(is_dead="elsewhere".__eq__)
    batch = desk.batch(rows(1))
    single(desk, bought(batch), state=State.RUNNING, task_id="t1")
    desk.house.transport.answers = [success()]
    desk.go(batch)
    assert desk.submits == []
    assert desk.states() == {"r0": State.SAVED}
    (job,) = desk.house.ledger.jobs()
    assert (job.id, job.row) == ("single01", "r0")
    assert desk.lock["r0", 1].output == "r0.png"
