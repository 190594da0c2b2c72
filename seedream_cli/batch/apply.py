"""A plan is applied: files are moved, what is paid for is fetched, and then the rest is bought.

What is begun when, what it may cost, and when to begin no more.
"""

from __future__ import annotations

import posixpath
import threading
from collections import Counter, deque
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.batch.action import Act, Past, Result, pictures
from seedream_cli.batch.history import is_near
from seedream_cli.core import money as price
from seedream_cli.core.errors import Overtaken, SeedreamError, StorageError, UsageError
from seedream_cli.core.model import OPEN_STATES, Charge, Problem, State
from seedream_cli.core.record import dataclass, field, replace
from seedream_cli.engine.context import Step, StepKind
from seedream_cli.engine.save import copy_image, place_of, predict_extension
from seedream_cli.engine.workers import take_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from seedream_cli.batch.action import Action, Key, Plan
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.core.model import Call, Image, Job, Money
    from seedream_cli.engine.context import Context
    from seedream_cli.request.purchase import Purchase

MOST_UNKNOWN: Final = 3
"""Unknown outcomes after which no more is bought (docs/charge-safety.md, "Budgets and bounds")."""
MOST_TURNED_AWAY: Final = 3
"""Rows in a row that found the provider out of reach or too busy, after which none is begun."""
_BRINGING: Final = frozenset({Act.FETCH, Act.MAKE})
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a person allows a run."""

    max_images: int | None = None
    max_cost: Money | None = None
    fail_fast: bool = False


def to_begin(plan: Plan) -> list[Action]:
    """Return what a run begins, in order: fetches, first to lapse first, what waits, purchases."""
    # A URL that lapses is lost for good; what is to be bought can wait.
    fetches = sorted(plan.of(Act.FETCH), key=_lapses_at)
    return [*fetches, *plan.of(Act.UNKNOWN, Act.WAIT), *plan.of(Act.MAKE)]


def in_order(moves: Sequence[Action]) -> list[Action]:
    """Return moves in an order in which no target is another's file; object to a ring of them."""
    left, done = list(moves), []
    while left:
        taken = {move.entry.output for move in left if move.entry}
        free = [move for move in left if move.output not in taken]
        if not free:
            raise UsageError(
                f"{left[0].name} and others exchange their names",
                hint="give one of them a name of its own first, run, then the name it shall have",
            )
        done += free
        moved = {id(move) for move in free}
        left = [move for move in left if id(move) not in moved]
    return done


@dataclass(slots=True, kw_only=True)
class Application:
    """A plan on its way; its methods may be called from any thread.

    Without a lock, `record` does nothing and `replan` returns each action as it came, with its
    purchase: what one command asks for by number is such a plan.
    """

    engine: Context
    actions: deque[Action]
    """What is to be begun, in order; those that need others wait by themselves."""
    bounds: Bounds
    room: Callable[[str], int]
    """How many jobs of a provider may be under way."""
    replan: Callable[[Action, Mapping[Key, str]], Action]
    """Returns an action as it is now, with what buys it; raises `UsageError`, `AccountError`."""
    call: Callable[[Action, Purchase], Call]
    """What is sent, references uploaded; may take its time."""
    record: Callable[[Action, Job], None]
    """Writes the lock's lines of a saved job; raises `StorageError`."""
    tell: Callable[[Result], None]
    """Hears of each action once."""
    despite: frozenset[str] = frozenset()
    """Unknown jobs that a person buys in spite of."""
    why_stopped: str = ""
    """Why nothing more is bought; empty while it is."""
    origins: dict[Key, str] = field(default_factory=dict)
    """Digests of pictures that the plan did not know of, and of those made meanwhile."""
    under_way: dict[str, Action] = field(default_factory=dict)
    _stuck: dict[Key, list[Action]] = field(default_factory=dict)
    _missing: dict[Key, int] = field(default_factory=dict)
    """How many pictures an action still waits for, by its key."""
    _behind: dict[str, list[Action]] = field(default_factory=dict)
    """Actions whose job is under way for another one, by its id."""
    _closed: set[tuple[str, str]] = field(default_factory=set)
    """Origins and models that are not open to the account."""
    _kinds: Counter[str] = field(default_factory=Counter)
    _images: int = 0
    """Bought, or maybe."""
    _spent: Decimal = Decimal(0)
    """In the currency of the bound."""
    _mutex: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Let actions that need pictures which this run brings wait for them."""
        coming = {key for each in self.actions for key in each.keys if each.act in _BRINGING}
        waiting: set[Key] = set()
        for action in self.actions:
            needed = coming.intersection(action.needs) if action.act in _BRINGING else ()
            for key in needed:
                self._stuck.setdefault(key, []).append(action)
            if needed:
                self._missing[action.key] = len(needed)
                waiting.add(action.key)
        self.actions = deque(action for action in self.actions if action.key not in waiting)

    # -- begun ---------------------------------------------------------------------------------

    def more(self) -> Step | None:
        """Begin the next action there is room for and return its first step; None: not now."""
        with self._mutex:
            while self.actions and not self.why_stopped:
                if not self._has_room(self.actions[0]):
                    return None
                is_allowed = self._is_allowed(self.actions[0])
                # It is asked again when a job has ended; nothing behind it overtakes it.
                if is_allowed is None:
                    return None
                step = self._start(self.actions.popleft(), is_allowed=is_allowed)
                if step is not None:
                    return step
            return None

    def _has_room(self, action: Action) -> bool:
        busy = Counter(each.provider or "" for each in self.under_way.values())
        names = busy if action.provider is None else (action.provider,)
        return all(busy[each] < self.room(each) for each in names)

    def _is_allowed(self, action: Action) -> bool | None:
        """Tell whether the bounds allow to buy; None: it depends on jobs under way.

        --max-images 3, two bought, this is one      yes
        the same, and one more is under way          not known: that one may be turned away
        three bought                                 no
        """
        images, cost = self.bounds.max_images, self.bounds.max_cost
        if action.act is not Act.MAKE or (images is None and cost is None):
            return True
        amount = action.price.amount if action.price else Decimal(0)
        held = [each for each in self.under_way.values() if each.act is Act.MAKE]
        on_the_way = sum((each.price.amount for each in held if each.price), Decimal(0))
        if images is not None:
            if self._images + action.count > images:
                return False
            if self._images + pictures(held) + action.count > images:
                return None
        # A price that nobody knows is within no bound.
        if cost is not None:
            if action.price is None or self._spent + amount > cost.amount:
                return False
            if self._spent + on_the_way + amount > cost.amount:
                return None
        return True

    def _start(self, action: Action, *, is_allowed: bool) -> Step | None:
        """Write an action down as a job, or take on the one that bought it before."""
        # Nothing of it begins here; a problem is told with the job that it waits for.
        if action.act is Act.WAIT:
            self._end(action, action.job if action.problem else None, action.problem, is_old=True)
            return None
        try:
            now = self.replan(action, self.origins)
            is_closed = now.purchase is not None and _account(now.purchase.job) in self._closed
            is_planned = action.act is Act.MAKE
            if now.act is Act.MAKE and (is_closed or not is_allowed or not is_planned):
                # What was to be fetched and is lost now is bought by the next run, which says so.
                self._leave(action)
                return None
            if now.job is not None and now.job.id in self.under_way:
                # Of one job of before, other pictures are being fetched.
                self._behind.setdefault(now.job.id, []).append(action)
                return None
            now = self._take_on(self._write_down(now))
        except SeedreamError as error:
            self._end(action, None, Problem(error.code, error.message, error.hint))
            return None
        return self._first_step(now)

    def _first_step(self, action: Action) -> Step | None:
        job, past = action.job, action.past
        if job is None or past is None:
            return None
        if action.act is Act.MAKE:
            self.under_way[job.id] = action
            return Step(self.engine.clock.monotonic(), job.id, StepKind.SUBMIT)
        if action.act is Act.UNKNOWN:
            self._end(action, job, job.problem, is_old=True)
        elif action.act is not Act.FETCH:
            words = Problem("timeout", "another run is sending it", "run the same again later")
            self._end(action, job, words, is_old=True)
        else:
            # Where the files are there already, nothing is asked of the provider.
            step = None if past.images else self.engine.first_step(job)
            if step is not None and (self.engine.is_waiting or step.deed is not StepKind.POLL):
                self.under_way[job.id] = action
                return step
            self._conclude(action, job)
        return None

    def _write_down(self, action: Action) -> Action:
        """Write down a job that is new, unless another run was quicker to."""
        past, purchase, target = action.past, action.purchase, action.target
        if action.act is not Act.MAKE or past is None or purchase is None or target is None:
            return action
        (job,) = self.engine.ledger.plan(
            [purchase.job],
            despite=self.despite | past.spared,
            is_dead=self.engine.is_dead,
            ext=predict_extension(target.capabilities, target.request),
        )
        if job.id == purchase.job.id:
            return action
        # Another run wrote the very same down first: it buys, unless it has died with it.
        is_bought = job.state in {State.RUNNING, State.READY}
        act = Act.FETCH if is_bought and self.engine.is_dead(job.owner) else Act.WAIT
        return replace(action, act=act, past=Past(act=act, job=job))

    def _take_on(self, action: Action) -> Action:
        """Make the job of the past this run's; until here it was only looked at."""
        past, purchase = action.past, action.purchase
        if action.act is not Act.FETCH or past is None or purchase is None:
            return action
        ledger, ours = self.engine.ledger, purchase.job
        try:
            if past.images:
                # Pictures that lie elsewhere are copied to where they go now.
                at = replace(past.job, output=ours.output)
                images = past.images
                if not past.is_in_place:
                    images = tuple(copy_image(self.engine, at, image) for image in images)
                job = ledger.adopt(past.job, ours, images)
            else:
                job = ledger.take_on(past.job, ours, past.again)
        except Overtaken:
            return replace(action, act=Act.WAIT)
        return replace(action, past=replace(past, job=job))

    # -- under way -----------------------------------------------------------------------------

    def take(self, step: Step) -> Step | None:
        """Do one step of a job and return the next one, if any; write down where it ended."""
        action = self.under_way[step.job_id]
        following: Step | None = None
        if step.deed is not StepKind.SUBMIT or self._is_ready(action):
            following = take_step(self.engine, step)
        if following is None and step.job_id in self.under_way:
            self._conclude(action, self.engine.ledger.job(step.job_id), is_under_way=True)
        return following

    def _is_ready(self, action: Action) -> bool:
        """Prepare what is sent; False where nothing is to be sent any more."""
        job, purchase = action.job, action.purchase
        if job is None or purchase is None:
            return False
        if self.why_stopped:
            self._close(job, Problem("interrupted", self.why_stopped))
            with self._mutex:
                if self.under_way.pop(job.id, None) is not None:
                    self._leave(action)
            return False
        # Put off once for lack of room: its references are uploaded already.
        if job.id in self.engine.calls:
            return True
        try:
            # Only now: a reference may be a picture that this very run has made.
            self.engine.calls[job.id] = self.call(action, purchase)
        except SeedreamError as error:
            problem = Problem(error.code, error.message, error.hint)
            self.engine.problems[job.id] = problem
            self._close(job, problem)
            return False
        return True

    def _close(self, job: Job, problem: Problem) -> None:
        # What stays planned is closed when it is next seen: nothing of it was sent.
        with suppress(StorageError):
            self.engine.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)

    # -- ended ---------------------------------------------------------------------------------

    def put_down(self) -> None:
        """Take note of the jobs that a signal left under way."""
        for job_id, action in list(self.under_way.items()):
            self._conclude(action, self.engine.ledger.job(job_id), is_under_way=True)

    def _conclude(self, action: Action, job: Job, *, is_under_way: bool = False) -> None:
        """Take note of how a job ended, or where it was left."""
        problem = job.problem or self.engine.problems.pop(job.id, None)
        saved = find_saved(action, job)
        try:
            # Its line of the lock before anybody hears of it.
            if saved:
                self.record(action, job)
        except SeedreamError as error:
            problem = Problem(error.code, error.message, error.hint)
            saved = []
        with self._mutex:
            if self.under_way.pop(job.id, None) is None and is_under_way:
                return  # the main thread, or a thread it had given up, was first
            self.actions.extendleft(self._behind.pop(job.id, []))
            for image in saved:
                self.origins[action.row.name, image.n] = image.sha256 or ""
            if action.act is Act.MAKE and job.charge is not Charge.NONE:
                is_whole = job.state is State.SAVED
                # What is not saved yet may still bring all that was asked for.
                self._images += len(job.images) if is_whole else action.count
                paid, price = job.cost or job.price, job.price
                if paid and price and paid.currency != price.currency:
                    paid = price  # the bound is kept in the currency of the prices
                self._spent += paid.amount if paid else Decimal(0)
            self._end(action, job, problem)

    def _end(
        self,
        action: Action,
        job: Job | None,
        problem: Problem | None,
        *,
        is_old: bool = False,
    ) -> None:
        with self._mutex:
            if not is_old:
                self._count(job, problem)
            # Not by recursion: who is made from whom may go on for thousands of rows.
            result = Result(action=action, job=job, problem=problem, is_old=is_old)
            results = deque([result])
            while results:
                result = results.popleft()
                self.tell(result)
                results += self._release(result)

    def _count(self, job: Job | None, problem: Problem | None) -> None:
        """Stop buying where going on would waste money, or only time."""
        code = problem.code if problem else ""
        is_away = code in {"unreachable", "busy", "rate_limit"}
        # In a row: a single one that got through says that the provider is there.
        self._kinds["away"] = self._kinds["away"] + 1 if is_away else 0
        self._kinds["unknown"] += job is not None and job.state is State.UNKNOWN
        # It shuts this model alone; `auth` and `credit` shut the account.
        if code == "access" and job is not None:
            self._closed.add(_account(job))
        if code in {"auth", "credit"}:
            self._stop("the account was refused")
        elif self._kinds["unknown"] >= MOST_UNKNOWN:
            self._stop(f"{MOST_UNKNOWN} outcomes are unknown")
        elif self._kinds["away"] >= MOST_TURNED_AWAY:
            self._stop("the provider turns requests away")
        elif self.bounds.fail_fast and problem is not None:
            self._stop("a row failed (--fail-fast)")
        # What is paid for has no place to go: more of it would only be more to rescue.
        elif code == "storage":
            self._stop("the disk does not take what is made")

    def _stop(self, reason: str) -> None:
        self.why_stopped = self.why_stopped or f"nothing more is bought: {reason}"

    def _release(self, result: Result) -> Iterator[Result]:
        """Let those go on that waited for an action's pictures; yield those that cannot."""
        action, job = result.action, result.job
        # Of an unknown one a person has to say what became of it; then they go on.
        is_open = job is not None and job.state in OPEN_STATES | {State.UNKNOWN}
        is_left = result.problem is None if job is None else is_open
        words = f"it is made from {action.name}, which was not made"
        problem = None if is_left else Problem("provider_failed", words)
        for key in [(action.row.name, action.n + k) for k in range(action.of or 1)]:
            for stuck in self._stuck.pop(key, []):
                if stuck.key not in self._missing:
                    continue
                # It ended without this picture: what was to be made from it is not begun.
                if key not in self.origins:
                    del self._missing[stuck.key]
                    yield Result(action=stuck, job=None, problem=problem)
                    continue
                self._missing[stuck.key] -= 1
                if not self._missing[stuck.key]:
                    del self._missing[stuck.key]
                    self.actions.append(stuck)

    def _leave(self, action: Action) -> None:
        self._end(action, None, None, is_old=True)

    def leave_rest(self) -> None:
        """Tell of all that was not begun."""
        with self._mutex:
            for behind in self._behind.values():
                self.actions.extend(behind)
            self._behind.clear()
            while self.actions:
                self._leave(self.actions.popleft())
            rest = {each.key: each for waiting in self._stuck.values() for each in waiting}
            for key in self._missing.keys() & rest.keys():
                del self._missing[key]
                self.tell(Result(action=rest[key], job=None))


def find_saved(action: Action, job: Job) -> list[Image]:
    """Return the saved pictures that are asked for; of a job that has ended, of a set if whole.

    What still runs is taken on by the next run: its pictures are not a part of the lock yet.
    """
    saved = [image for image in job.images if image.saved_at and image.path and image.sha256]
    if job.state in OPEN_STATES:
        return []
    if not action.is_whole_set:
        return [image for image in saved if image.n == action.n]
    is_whole = job.state is State.SAVED and not any(each.is_wanted for each in job.images)
    return saved if is_whole else []


def entries_of(action: Action, job: Job, base: str) -> list[Entry]:
    """Return the lock's lines for the saved pictures of a job; none without a target.

    Raises `StorageError` where one lies in another place than the action asked for.
    """
    target, saved = action.target, find_saved(action, job)
    if target is None or action.purchase is None:
        return []
    for image in saved:
        _check_place(action, action.purchase, job, image, base)
    share = job.cost or job.price
    # One request paid for all of them.
    if share is not None and saved:
        share = price.share(share, sum(1 for image in job.images if image.saved_at))
    # A lock moves with its folder, so its paths do: but for one that was given whole.
    is_absolute = str(action.purchase.job.output.get("template", "")).startswith("/")
    lines = []
    for image in saved:
        path = image.path or ""
        path = posixpath.normpath(path) if is_absolute else posixpath.relpath(path, base)
        line = target.entry(image.n, path, image.sha256 or "", image.size or 0, job.created_at)
        of = len(saved) if target.is_set else None
        line = replace(line, of=of, label=image.name, model=job.model, price=share)
        lines.append(replace(line, sandbox=job.sandbox, warning=image.warning))
    return lines


def _check_place(action: Action, purchase: Purchase, job: Job, image: Image, base: str) -> None:
    """Object to a picture that is not where it is wanted: rescued, or another's to place."""
    path = image.path or ""
    wanted = place_of(replace(job, output=purchase.job.output), image)
    is_stranger = action.stranger == image.sha256
    is_known = is_stranger and path == posixpath.join(base, action.output)
    if is_known or is_near(path, wanted, job.id):
        return
    raise StorageError(
        f"{action.row.name}: its picture is paid for and lies in {path}, not in {wanted}",
        hint="see why that folder does not take files, then run the same again: it is copied",
    )


def _lapses_at(action: Action) -> datetime:
    """Return when the first URL of a job lapses; far away where nobody knows."""
    images = action.job.images if action.job is not None else ()
    return min((image.expires_at for image in images if image.expires_at), default=_NEVER)


def _account(job: Job) -> tuple[str, str]:
    return job.origin, job.model
