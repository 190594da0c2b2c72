"""Many rows on a real ledger: what is begun when, what stops it, what was bought before."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from seedream_cli import manifest
from seedream_cli.assets import Judge, Terms, Verdict
from seedream_cli.batch import Batch, Bounds, End
from seedream_cli.crew import Crew, Inbox
from seedream_cli.engine import Timing
from seedream_cli.errors import OutcomeUnknown, StorageError, Unsent
from seedream_cli.model import Charge, Money, Profile, Purpose, Reply, State
from seedream_cli.orders import Orders, entries_of
from seedream_cli.providers import PROVIDERS
from seedream_cli.references import Gatherer
from seedream_cli.shelf import digest_of, look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seedream_cli.assets import Picture
    from seedream_cli.lock import Entry
    from seedream_cli.manifest import Row
    from seedream_cli.model import Job
    from seedream_cli.orders import Order, Task
    from seedream_cli.providers.spec import Provider
    from seedream_cli.references import Gathered
    from tests.engine.conftest import House

HEAD = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de")
TAIL = bytes.fromhex("0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082")


def png(text: str) -> bytes:
    """Draw a picture that is unlike those with another text."""
    chunk = b"tEXt" + f"x\0{text}".encode()
    length, crc = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    return HEAD + length + chunk + crc + TAIL


def reply(body: object, status: int = 200) -> Reply:
    """Build an answer."""
    return Reply(purpose=Purpose.SUBMIT, status=status, headers={}, body=json.dumps(body).encode())


def refused(code: str = "InputTextSensitiveContentDetected", status: int = 400) -> Reply:
    """Build Ark's no."""
    return reply({"error": {"code": code, "message": "no"}}, status)


def rows(count: int, prompt: str = "picture") -> str:
    """Write a manifest of plain rows."""
    return "".join(f'[images.r{k}]\nprompt = "{prompt} {k}"\n' for k in range(count))


@dataclass
class Desk:
    """A folder with a manifest, and runs of it."""

    house: House
    lock: dict[tuple[str, int], Entry] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)
    """Of the last run, by the tasks' names."""
    runs: int = 0
    urls: int = 0
    provider: str = "ark"
    record: Callable[[Order, Job], None] | None = None

    @property
    def base(self) -> str:
        """Return the manifest's folder."""
        return str(self.house.folder / "art")

    def made(self, count: int = 1) -> list[Reply]:
        """Build answers, each with a picture of its own."""
        answers = []
        for _ in range(count):
            self.urls += 1
            url = f"https://images.example/{self.urls}.png"
            self.house.transport.pictures[url] = [png(url)]
            answers.append(reply({"model": "m", "created": 1, "data": [{"url": url}]}))
        return answers

    def pictures(self, text: str) -> tuple[Judge, list[Picture]]:
        """Judge a manifest."""
        kind = manifest.Kind.TOML
        found = manifest.read(text, file="art.toml", kind=kind, load=lambda name: name)

        def provider_of(_: Row, locked: str | None) -> Provider | None:
            return PROVIDERS[locked or self.provider]

        terms = Terms(
            base=self.base,
            typed={},
            providers=PROVIDERS,
            provider_of=provider_of,
            maker_of=lambda _: None,
            look=look,
            digest_of=digest_of,
        )
        judge = Judge(found, list(self.lock.values()), terms)
        pictures = judge.judge()
        assert not [p for p in pictures if p.verdict not in {Verdict.CURRENT, Verdict.MAKE}]
        self.lock = dict(judge.kept)
        return judge, pictures

    def batch(
        self, text: str, bounds: Bounds | None = None, despite: Sequence[str] = (), room: int = 8
    ) -> Batch:
        """Prepare a run as the command does."""
        self.runs += 1
        self.ends = {}
        house, ids = self.house, iter(range(10_000))
        judge, pictures = self.pictures(text)

        def profile_of(_: Row, provider: Provider) -> Profile:
            return Profile(name="p", provider=provider.name, base_url=provider.base_url)

        def gather(profile: Profile, names: Sequence[str]) -> list[Gathered]:
            now = house.clock.now()
            return Gatherer(lambda: house.ledger, profile, bytes, now).gather(names)

        orders = Orders(
            judge=judge,
            terms=judge.terms,
            ledger=house.ledger,
            profile_of=profile_of,
            gather=gather,
            run=f"run{self.runs:05}",
            owner=house.owner.name,
            now=house.clock.now,
            new_id=lambda: f"j{self.runs:03}{next(ids):04}",
            entries=self.lock,
            is_dead=lambda _: False,
            despite=frozenset(despite),
        )
        tasks = list(orders.tasks(pictures))
        batch = Batch(
            engine=house.engine,
            tasks=deque(tasks),
            bounds=bounds or Bounds(),
            room=lambda _: room,
            order=orders.order,
            call=lambda order: orders.call(
                order, profile_of(order.task.row, order.wish.provider), lambda sent, _: sent
            ),
            record=self.record or self._record,
            despite=frozenset(despite),
            tell=self._tell,
        )
        numbers = [(task, n) for task in tasks for n in range(task.count)]
        batch.expect((task.row.name, task.first_n + n) for task, n in numbers)
        return batch

    def run(
        self,
        text: str,
        *answers: object,
        bounds: Bounds | None = None,
        despite: Sequence[str] = (),
        room: int = 8,
    ) -> Batch:
        """Run a manifest to its end on these answers; all of them are used up."""
        self.house.transport.answers = list(answers)  # type: ignore[arg-type]
        self.house.transport.sent.clear()
        self.house.transport.fetched.clear()
        batch = self.batch(text, bounds, despite, room)
        self.go(batch)
        assert self.house.transport.answers == []
        return batch

    def go(self, batch: Batch) -> None:
        """Take a prepared run to its end."""
        crew = Crew(batch, self.house.clock, Inbox(), workers=0, on_signal=lambda _: 0.0)
        crew.run((), batch.more)
        batch.leave_rest()

    def _record(self, order: Order, job: Job) -> None:
        for entry in entries_of(order, job, self.base):
            self.lock[entry.key] = entry

    def _tell(self, end: End) -> None:
        assert end.task.name not in self.ends, "each task is told of once"
        self.ends[end.task.name] = end

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
        return self.house.ledger.jobs("row = ?", (name,))


@pytest.fixture
def desk(house: House) -> Desk:
    """Lay a manifest's folder out."""
    (house.folder / "art").mkdir()
    house.engine.timing = Timing(deadline=0, timeout=600, per_job=True)
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
    told: list[Task] = []
    batch = desk.batch(text)
    batch.tell = lambda end: told.append(end.task)
    desk.house.transport.answers = list(desk.made(4))
    desk.go(batch)
    assert sorted(desk.submits) == ["a", "h", "h", "h2"]
    assert sorted(task.key for task in told) == [("a", 1), ("h", 1), ("h", 2), ("h-2", 1)]


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
    price = desk.pictures(rows(1))[1][0].price
    assert price is not None
    bound = Bounds(max_cost=Money(price.amount * 2 + Decimal("0.001"), price.currency))
    desk.run(rows(5), OutcomeUnknown("cut"), refused(), *desk.made(1), bounds=bound)
    assert desk.submits == ["picture 0", "picture 1", "picture 2"]
    assert desk.states()["r0"] is State.UNKNOWN
    assert desk.states()["r3"] is None
    desk.run(rows(9), bounds=Bounds(max_cost=Money(price.amount / 2, price.currency)))
    assert desk.submits == []


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


def test_three_turned_away_in_a_row_stop(desk: Desk) -> None:
    """A provider that cannot be reached is not asked for all rows; a good answer begins anew."""
    desk.house.engine.timing = replace(desk.house.engine.timing, submit_tries=1)
    away = Unsent("no route")
    batch = desk.run(rows(9), away, away, *desk.made(1), away, away, away, room=1)
    assert "turns requests away" in batch.why_stopped
    assert len(desk.submits) == 6
    assert desk.states()["r2"] is State.SAVED
    assert list(desk.codes().values()) == ["unreachable"] * 5


def test_a_lock_that_cannot_be_written_stops(desk: Desk) -> None:
    """The picture is saved and in the ledger; no more are bought that nobody would know of."""

    def record(order: Order, job: Job) -> None:
        del order, job
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


def accepted(task: str = "t1") -> Reply:
    """Build KIE's yes."""
    return reply({"code": 200, "msg": "success", "data": {"taskId": task}})


def success(url: str = "https://images.example/k.png") -> Reply:
    """Build KIE's answer to a poll when it is done."""
    result = json.dumps({"resultUrls": [url]})
    said = {"taskId": "t1", "state": "success", "resultJson": result}
    return reply({"code": 200, "msg": "ok", "data": said})


def test_a_running_job_is_taken_on(desk: Desk) -> None:
    """With `--no-wait`, or after a kill, the next run waits for it and buys nothing."""
    desk.provider = "kie"
    desk.house.engine.is_waiting = False
    desk.run(rows(1), accepted())
    assert desk.states() == {"r0": State.RUNNING}
    assert desk.codes() == {}
    desk.run(rows(1))  # still not waiting: it is told of as it stands
    assert desk.states() == {"r0": State.RUNNING}
    desk.house.engine.is_waiting = True
    desk.run(rows(1), success())
    assert desk.submits == []
    assert desk.states() == {"r0": State.SAVED}
    assert len(desk.jobs("r0")) == 1
    assert desk.lock["r0", 1].output == "r0.png"


def test_dependents_of_a_running_job_are_left(desk: Desk) -> None:
    """They did not fail: what they are made from is not there yet."""
    desk.provider = "kie"
    desk.house.engine.is_waiting = False
    desk.run(CHAIN.partition("[images.z]")[0], accepted())
    assert desk.states() == {"a": State.RUNNING, "b": None, "c": None}
    assert desk.codes() == {}


def test_a_running_job_of_a_row_with_another_name_is_taken_on(desk: Desk) -> None:
    """A purchase of the same request for the same file is joined, whoever began it."""
    desk.provider = "kie"
    desk.house.engine.is_waiting = False
    text = '[images.a]\nprompt = "a"\noutput = "x"\n'
    desk.run(text, accepted())
    desk.house.engine.is_waiting = True
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
    again = desk.batch(rows(1).replace("picture", "other"))  # judged before the file is there
    task = replace(again.tasks[0], row=batch_row(rows(1)))
    again.tasks = deque([task])
    desk.house.transport.sent.clear()
    desk.house.transport.fetched.clear()
    desk.go(again)
    assert (desk.submits, desk.house.transport.fetched) == ([], [])
    assert desk.lock["r0", 1].sha256 == digest_of(desk.path("r0.png"))


def batch_row(text: str) -> Row:
    """Return the first row of a manifest."""
    kind = manifest.Kind.TOML
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


def test_a_providers_own_count_is_used(desk: Desk) -> None:
    """Pictures of one row come with one request, each with its name, over its old file."""
    desk.provider = "uniall"
    text = '[images.h]\nprompt = "h"\ncount = 3\n'

    def together(count: int) -> Reply:
        desk.made(count)
        numbers = range(desk.urls - count + 1, desk.urls + 1)
        return reply({"data": [{"url": f"https://images.example/{k}.png"} for k in numbers]})

    desk.run(text, together(3))
    assert len(desk.submits) == 1
    assert sorted(desk.lock) == [("h", 1), ("h", 2), ("h", 3)]
    old = [entry.sha256 for entry in desk.lock.values()]
    desk.run(text.replace('"h"', '"H"'), together(3))
    assert len(desk.submits) == 1
    art = desk.house.folder / "art"
    assert sorted(path.name for path in art.iterdir()) == ["h-1.png", "h-2.png", "h-3.png"]
    assert not {hashlib.sha256(path.read_bytes()).hexdigest() for path in art.iterdir()} & {*old}
