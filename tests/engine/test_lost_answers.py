"""Storms of lost answers: several commands at once on one ledger, a list that is late and crowded.

`--soak` makes them long, `--seed N` repeats their draws.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.listing import LISTED, ListingServer, StandIn, picture_of
from support.replies import accepted

from seedream_cli.core.model import Done, Purpose, Secret, State, Task
from seedream_cli.engine.answers import mark_unknown, read_answer
from seedream_cli.engine.reconcile import look
from seedream_cli.providers import PROVIDERS
from seedream_cli.storage.ledger.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from engine.conftest import House
    from support.soak import Soak

    from seedream_cli.core.model import Call, Job, Settlement
    from seedream_cli.engine.context import Step
    from seedream_cli.storage.ledger.ledger import Ledger

AT_ONCE = 4
LISTING_PROVIDERS = [name for name, each in PROVIDERS.items() if each.listing is not None]
PROVIDER = {**PROVIDERS, "kie": LISTED}


def run_all(houses: Sequence[House], jobs: Sequence[list[Job]]) -> None:
    """Take the jobs of several commands to their ends, each step when it is due."""
    due: list[tuple[float, int, Step]] = []
    for number, (house, own) in enumerate(zip(houses, jobs, strict=True)):
        for step in filter(None, map(house.engine.first_step, own)):
            heapq.heappush(due, (step.due, number, step))
    while due:
        at, number, step = heapq.heappop(due)
        clock = houses[number].clock
        clock.sleep(max(0.0, at - clock.monotonic()))
        following = houses[number].take(step)
        if following is not None:
            heapq.heappush(due, (following.due, number, following))


def prompt_of(body: Mapping[str, object] | None) -> str:
    """Return the prompt of a request."""
    given = (body or {}).get("input", body)
    assert isinstance(given, dict)
    return str(given["prompt"])


@dataclass
class Storm:
    """Lost answers and requests that were never read, and all that a list may do meanwhile."""

    house: House
    dice: random.Random
    count: int
    """Of each."""
    provider: str
    share_opaque: float = 0.0
    """Of requests that are listed without what was asked."""
    server: StandIn = field(init=False)
    fates: dict[str, str] = field(default_factory=dict)
    """What becomes of a submit, by its prompt."""

    def __post_init__(self) -> None:
        """Let the list be late and crowded by others."""
        self.server = StandIn(
            self.house.clock,
            provider=self.provider,
            delay=lambda: self.dice.uniform(0.0, 40.0),
            has_input=lambda: self.dice.random() >= self.share_opaque,
            fate=lambda call: self.fates[prompt_of(call.body)],
            at_send=self.crowd,
        )

    def crowd(self, call: Call) -> None:
        """Let time go by; another program of the account asks for something now and then."""
        self.house.clock.sleep(self.dice.uniform(0.01, 0.3))
        if call.purpose is not Purpose.SUBMIT:
            return
        # More than a page holds of the first ones' time, and some all the time.
        for _ in range(110 if not self.server.book else self.dice.randrange(2)):
            body: dict[str, object] = {**(call.body or {}), "prompt": "a stranger's"}
            if isinstance(body.get("input"), dict):
                body["input"] = {"prompt": "a stranger's"}
            self.server.accept(call, body=body, is_ours=False)

    def blow(self) -> list[Job]:
        """Run four commands at once and return their jobs as they are then."""
        commands: list[list[Job]] = [[] for _ in range(AT_ONCE)]
        houses = []
        for number in range(AT_ONCE):
            owner = Owner(self.house.folder / "owners", f"owner00{number}")
            houses.append(self.house.another(owner))
            houses[-1].adjust(transport=self.server)
        for fate in ("lose", "drop"):
            for number in range(self.count):
                prompt = f"{fate} {number}"
                self.fates[prompt] = fate
                k = self.dice.randrange(AT_ONCE)
                # One in eight is bought several times at once.
                times = self.dice.choice((2, 3)) if self.dice.random() < 1 / 8 else 1
                for _ in range(times):
                    commands[k] += houses[k].buy(self.provider, prompt)
                    k = (k + self.dice.randrange(2)) % AT_ONCE
        for own in commands:
            self.dice.shuffle(own)
        run_all(houses, commands)
        return [self.house.ledger.job(job.id) for own in commands for job in own]

    def pictures(self, task: str) -> list[bytes]:
        """Return the pictures of a task by the server's book."""
        dialect = PROVIDERS[self.provider].dialect
        ask = dialect.result or dialect.poll
        assert ask is not None
        entry = next(entry for entry in self.server.book if entry.task == task)
        call = ask(Task(id=task, model=entry.model))
        done = dialect.decode(self.server.send(None, call, None))  # type: ignore[arg-type] # unread
        assert isinstance(done, Done)
        return [picture_of(str(image.url).rpartition("/")[2]) for image in done.images]


def audit(storm: Storm, jobs: list[Job]) -> Counter[str]:
    """Hold the jobs against the server's book: nothing is paid twice, no record is another's."""
    server, found = storm.server, Counter[str]()
    book = {entry.task: entry for entry in server.book}
    assert len(server.submits()) == len(jobs)
    for job in jobs:
        found[storm.fates[job.prompt]] += 1
        if job.task_id is None:
            assert job.state is State.UNKNOWN
            continue
        entry = book[job.task_id]
        assert (entry.is_ours, prompt_of(entry.body)) == (True, job.prompt)
        assert job.state is State.SAVED
        saved = [Path(image.path or "").read_bytes() for image in job.images]
        assert saved == storm.pictures(job.task_id)
        found["saved"] += 1
    held = [job.task_id for job in jobs if job.task_id is not None]
    assert len(held) == len(set(held))
    return found


@pytest.mark.parametrize("provider", LISTING_PROVIDERS)
def test_lost_answers_come_home(house: House, soak: Soak, provider: str) -> None:
    """Each accepted one in time, without a person; of what was never read none ever runs."""
    storm = Storm(house, soak.dice(), soak.times(10, long=100), provider)
    found = audit(storm, storm.blow())
    assert found["saved"] >= 0.95 * found["lose"], soak.again


@pytest.mark.parametrize("provider", LISTING_PROVIDERS)
def test_a_list_without_inputs_misleads_nobody(house: House, soak: Soak, provider: str) -> None:
    """Where one record in ten does not say what was asked, what is found is found rightly."""
    storm = Storm(house, soak.dice(), soak.times(6, long=100), provider, share_opaque=0.1)
    found = audit(storm, storm.blow())
    assert found["saved"] <= found["lose"], soak.again


# -- twins -----------------------------------------------------------------------------------------


@dataclass
class Hooked:
    """A ledger in which something else happens just before it settles."""

    ledger: Ledger
    before: Callable[[], None]

    def __getattr__(self, name: str) -> object:
        """Be that ledger."""
        return getattr(self.ledger, name)

    def settle_by(self, decide: Callable[[], Sequence[Settlement]]) -> list[Job]:
        """Let it happen, then settle."""
        self.before()
        return self.ledger.settle_by(decide)


def twin_steps(house: House, server: ListingServer, prompt: str, fate: str) -> Iterator[str | None]:
    """Send an equal job, step by step, as its process would; each step may come at any time."""
    unknown = {job.id for job in house.ledger.jobs(states={State.UNKNOWN})}
    (job,) = house.buy("kie", prompt, despite=unknown)
    call = house.engine.calls[job.id]
    yield None
    house.ledger.begin(job.id, body=call.body, key=Secret("sk-test"))
    yield None
    task = ""
    if fate != "drop":
        house.clock.sleep(0.05)
        task = server.accept(call).task
        yield None
    job = house.ledger.job(job.id)
    if fate != "answer":
        mark_unknown(house.engine, job, "cut")
        return
    reply = accepted(task)
    house.ledger.store(job.id, reply)
    yield None
    read_answer(house.engine, job, reply)


@pytest.mark.parametrize("block", range(4))
def test_a_twin_that_is_being_sent_keeps_its_record(house: House, soak: Soak, block: int) -> None:
    """In 200 seeded interleavings no job gets the record of an equal one that has its answer."""
    verdicts: Counter[str] = Counter()
    with Owner(house.folder / "owners", "twintwin") as owner:
        for number in range(soak.times(50, long=500)):
            dice = random.Random(f"{soak.seed} {block} {number}")
            verdicts[interleave(house, house.another(owner), f"fox{number}", dice)] += 1
    assert verdicts["found"]
    assert verdicts["none"]


def interleave(house: House, beside: House, prompt: str, dice: random.Random) -> str:
    """Lose the answer of one job while an equal one is sent, and look; return what came of it."""
    server = ListingServer(house.clock, page_size=1, name=f"{prompt}-")
    for each in (house, beside):
        each.adjust(transport=server, providers=PROVIDER, calls={})
    fates = dice.choice(("lose", "drop")), dice.choice(("answer", "answer", "lose", "drop"))
    twin = twin_steps(beside, server, prompt, fates[1])

    def go(chance: float) -> None:
        while dice.random() < chance and next(twin, "over") is None:
            house.clock.sleep(dice.uniform(0.0, 2.0))

    house.clock.sleep(3600)
    go(0.3)
    unknown = {job.id for job in house.ledger.jobs(states={State.UNKNOWN})}
    (job,) = house.buy("kie", prompt, despite=unknown)
    call = house.engine.calls[job.id]
    house.ledger.begin(job.id, body=call.body, key=Secret("sk-test"))
    go(0.4)
    mine = server.accept(call).task if fates[0] == "lose" else None
    go(0.3)
    mark_unknown(house.engine, house.ledger.job(job.id), "cut")
    for _ in range(2):
        server.accept(call, body={"input": {"prompt": "a stranger's"}}, is_ours=False)
    server.at_send = lambda _: go(0.4)
    hooked = replace(house.engine, ledger=Hooked(house.ledger, lambda: go(0.5)))  # type: ignore[arg-type] # it is one
    for _ in range(dice.randint(1, 3)):
        house.clock.sleep(dice.uniform(1.0, 30.0))
        look(hooked, [house.ledger.job(job.id)], may_close=False)
    while next(twin, "over") is None:
        pass
    same = house.ledger.find_bought_with(job.purchase_digest, sandbox=False, first_n=1)
    tasks = [each.task_id for each in same if each.task_id is not None]
    assert len(tasks) == len(set(tasks))
    assert set(tasks) <= {entry.task for entry in server.book if entry.is_ours}
    job, other = sorted(same, key=lambda each: each.id != job.id)
    if fates[1] == "answer":
        assert other.task_id not in {None, mine}
        assert job.task_id in {None, mine}
    if fates == ("drop", "drop"):
        assert tasks == []
    return "found" if job.task_id else "none"
