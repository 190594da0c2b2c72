"""Settles a submit that got no answer by what its provider's list of recent requests shows.

Nothing here submits. A list settles a job only where every other reading of it is ruled out
(docs/charge-safety.md, "Asking"); all else is shown, and a person decides.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.commands import adopt_command, is_made
from seedream_cli.core.errors import AccountError, OutcomeUnknown, UnreadableReply, Unsent
from seedream_cli.core.events import JobChanged, Note
from seedream_cli.core.model import REFUND, Look, Problem, Settlement, State
from seedream_cli.core.money import show
from seedream_cli.core.record import dataclass, replace
from seedream_cli.core.text import clean, human_span
from seedream_cli.engine.answers import is_accepted
from seedream_cli.engine.context import can_be_found, has_named_charge
from seedream_cli.engine.listing import SLACK, Reading, read_charges, read_requests
from seedream_cli.engine.recovery import conclude_dead
from seedream_cli.storage.ledger.columns import key_digest, with_digests
from seedream_cli.transport.exchange import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from seedream_cli.core.model import Attempt, Job, Record
    from seedream_cli.engine.context import Context, Step
    from seedream_cli.engine.listing import Span
    from seedream_cli.providers.spec import Listing, Provider

ABSENT_AFTER: Final = timedelta(minutes=15)
"""How long after the end of an attempt a list that lacks it is believed, and how far around it the
list is read for that: how late lists are nobody documents."""
ASKING_SECONDS: Final = 30.0
"""For all questions of one look together."""
_MOST_OFF: Final = timedelta(minutes=5)
"""Where the clocks differ by more, what is not listed tells nothing."""
_REACH: Final = timedelta(hours=1)
"""Longer than any attempt lasts; jobs that far apart are not asked about together."""
_MOST_SHOWN: Final = 8
"""Records of a look that are kept for people."""
_LEAST_SECONDS: Final = 0.2
"""Between two looks, however fast a test lets time go."""
_OPEN: Final = frozenset({State.UNKNOWN, State.CLOSED})
"""What a job of unknown outcome is, or became."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look brought about one job."""

    look: Look
    is_early: bool = False
    """An equal job is on its way: its record must not be taken for this one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What a reading means for a job, by the ledger as it is in that moment."""

    word: str = "none"
    reason: str
    records: Sequence[Record] = ()
    """Those that may be the request."""
    settlements: Sequence[Settlement] = ()
    is_early: bool = False
    is_empty: bool = False


# -- looks ---------------------------------------------------------------------------------------


def search(context: Context, job: Job, step: Step) -> Step | None:
    """Look for a submit whose answer this very command lost, and go on with it where it is found.

    A step that is due: twice at most lists, and again while an equal job is on its way.
    """
    if job.state is not State.UNKNOWN:
        return context.first_step(job)
    found = look(context, [job], may_close=False).get(job.id)
    job = context.ledger.job(job.id)
    if job.state is not State.UNKNOWN:
        return context.next_step(job)
    provider = context.provider(job)
    if found is None or provider.listing is None:
        return None
    looks = [seconds * context.timing.look_pace for seconds in provider.listing.looks]
    # It was asked while an equal job is on its way: that look does not count as a try.
    if found.is_early:
        wait = looks[0]
    elif step.tries + 1 < len(looks):
        wait = looks[step.tries + 1] - looks[step.tries]
        step = replace(step, tries=step.tries + 1)
    else:
        context.notify(Note(message=f"{job.id}: {describe(provider, found.look)}"))
        return None
    due = context.clock.monotonic() + max(wait, _LEAST_SECONDS)
    return replace(step, due=due) if due <= context.deadline(job.id) else None


def look(context: Context, jobs: Iterable[Job], *, may_close: bool = True) -> dict[str, Finding]:
    """Ask once about jobs of unknown outcome; write down what that settles, and what was seen.

    Also about those that were closed because a list lacked them. What is found runs; with
    `may_close` what provably was not accepted is closed. Within `ASKING_SECONDS` in all.
    """
    until = context.clock.monotonic() + ASKING_SECONDS
    if context.ledger.is_read_only:
        return {}
    jobs = list(jobs)
    for job in jobs:
        if has_named_charge(context, job) and context.clock.monotonic() < until:
            _ask_cost(context, job)
    attempts = [
        attempt
        for job in jobs
        if can_be_found(context, job) and (attempt := context.ledger.attempt(job)) is not None
    ]
    attempts.sort(key=lambda attempt: attempt.started_at)
    findings: dict[str, Finding] = {}
    readings: dict[tuple[str, ...], Reading] = {}
    for number, attempt in enumerate(attempts):
        if context.clock.monotonic() >= until:
            break
        job = context.ledger.job(attempt.job.id)
        # A look at one of several equal jobs settles all of them.
        if job.id not in findings and job.state is attempt.job.state:
            findings |= _look(context, attempt, attempts[number:], readings, may_close=may_close)
    return findings


def _ask_cost(context: Context, job: Job) -> None:
    """Write down what a job was charged whose answer was lost; its picture stays lost."""
    provider = context.provider(job)
    cost, cost_of = provider.dialect.cost, provider.dialect.cost_of
    if cost is None or cost_of is None:
        return
    try:
        reply = context.transport.send(context.account(job), cost(job.request_id or ""), Limits())
        money = cost_of(reply)
    except (AccountError, Unsent, OutcomeUnknown, UnreadableReply) as error:
        context.notify(Note(message=f"{job.id}: what it was charged is not known: {error.message}"))
        return
    words = f"{provider.title} charged {show(money)} for it; its picture was lost with the answer"
    line = f"seedream status {job.id} --write-off"
    problem = Problem("outcome_unknown", words, line)
    context.ledger.put_cost(job.id, money, problem)


def describe(provider: Provider, look: Look) -> str:
    """Say what a look brought, and which requests a person may adopt."""
    words = f"{provider.title}'s list, asked at {look.at:%H:%M:%S}Z, {look.reason}"
    lines = [f"{r.task_id}, {r.at:%Y-%m-%d %H:%M:%S}Z, {r.state or '-'}" for r in look.records]
    return "\n  ".join([words, *lines])


def _look(
    context: Context,
    attempt: Attempt,
    others: Sequence[Attempt],
    readings: dict[tuple[str, ...], Reading],
    *,
    may_close: bool,
) -> dict[str, Finding]:
    job, provider = attempt.job, context.provider(attempt.job)
    span = _span_to_read(context, attempt, may_close=may_close)
    try:
        profile = context.account(job)
    except AccountError as error:
        return _note(context, job, *_skip(context, span, error.message))
    key = key_digest(profile.api_key)
    if attempt.body is None or attempt.key_digest is None:
        reason = "an old version did not keep what was sent, and with which key"
        return _note(context, job, *_skip(context, span, reason))
    # A list shows one account's requests: that another's are not in it proves nothing.
    if attempt.key_digest != key:
        reason = "another key sent the job, which may be another account's"
        return _note(context, job, *_skip(context, span, reason))
    # First: an equal job that is still `sending` would bar every verdict (`_on_its_way`).
    _conclude_equals(context, attempt)
    account = (job.origin, key, job.model)
    reading = readings.get(account)
    if reading is None or not reading.covers([span]):
        for other in others:  # what was sent soon after it is asked about by the same question
            since, until = _span_to_read(context, other, may_close=may_close)
            is_near = since <= span[1] and until - span[0] <= _REACH
            if is_near and (other.job.origin, other.job.model) == (job.origin, job.model):
                span = min(span[0], since), max(span[1], until)
        reading = readings[account] = read_requests(context, profile, provider, job.model, span)
    is_due = may_close and _is_late(context, attempt, reading)
    # Asked for only when absence may count: a charge that no job explains may be this one's.
    if is_due and provider.dialect.charges is not None and reading.charges is None:
        reading.charges = read_charges(context, profile, provider, job.model, reading.span)
    verdicts: list[_Verdict] = []

    # Inside the transaction that settles: another process may look at the same list now.
    def decide() -> Sequence[Settlement]:
        verdicts.append(_judge(context, attempt, reading, may_close=may_close))
        return verdicts[-1].settlements

    settled = context.ledger.settle_by(decide)
    (verdict,) = verdicts
    findings: dict[str, Finding] = {}
    for each in settled or [job]:
        findings |= _note(context, each, reading, verdict)
    return findings


def _skip(context: Context, span: Span, reason: str) -> tuple[Reading, _Verdict]:
    reading = Reading(at=context.clock.now(), span=span, trouble=reason)
    return reading, _Verdict(reason=f"was not asked: {reason}")


def _conclude_equals(context: Context, attempt: Attempt) -> None:
    """Say what became of equal jobs whose processes died while they sent them."""
    for twin in [each.job for each in _equals(context, attempt)]:
        if twin.state is State.SENDING and context.is_dead(twin.owner):
            conclude_dead(context, twin)


def _note(context: Context, job: Job, reading: Reading, verdict: _Verdict) -> dict[str, Finding]:
    """Write down and tell what a look brought about a job, as it is now."""
    # People need its id and time; the input may hold whole pictures.
    shown = tuple(replace(each, input=None) for each in verdict.records[:_MOST_SHOWN])
    found = Look(
        at=reading.at,
        since=reading.span[0],
        until=reading.span[1],
        pages=reading.pages,
        is_whole=not reading.trouble,
        is_empty=verdict.is_empty,
        verdict=verdict.word,
        reason=verdict.reason,
        records=shown,
    )
    context.ledger.put_look(job.id, found, _problem(job, shown))
    title = context.provider(job).title
    if verdict.word == "found":
        words = f"the answer was lost; {title}'s list has the request: going on"
        context.notify(Note(message=f"{job.id}: {words}"))
    elif verdict.word == "absent":
        context.notify(Note(message=f"{job.id}: {title}'s list {verdict.reason}"))
    if verdict.word != "none":
        context.notify(JobChanged(job=job))
    return {job.id: Finding(look=found, is_early=verdict.is_early)}


def _problem(job: Job, records: Sequence[Record]) -> Problem | None:
    """Return what is wrong with a job with the lines that adopt these records; None: no news."""
    offers = [adopt_command(job.id, each.task_id) for each in records]
    shown = [line for line in offers if clean(line, ci=True) == line]
    if job.problem is None or not shown:
        return None
    hint = "\n".join(dict.fromkeys([*shown, *job.problem.hint.splitlines()]))
    return replace(job.problem, hint=hint)


# -- time ----------------------------------------------------------------------------------------


def _span(context: Context, attempt: Attempt) -> Span:
    """Return when the record of an attempt may have been made, by our clock."""
    listing = _listing(context, attempt.job)
    return attempt.started_at - listing.before, _end(context, attempt) + listing.after


def _end(context: Context, attempt: Attempt) -> datetime:
    return attempt.ended_at or context.clock.now()


def _span_to_read(context: Context, attempt: Attempt, *, may_close: bool) -> Span:
    """Return what is to be read for an attempt: more where its absence may count."""
    spans = [_span(context, each) for each in _equals(context, attempt)]
    own, now = _span(context, attempt), context.clock.now()
    since, until = min([own[0], *(s for s, _ in spans)]), max([own[1], *(u for _, u in spans)])
    if may_close and now >= _end(context, attempt) + ABSENT_AFTER:
        # Our clock may have been put right since the submit: then its record bears another time.
        around = SLACK + ABSENT_AFTER
        return since - around - _REACH, max(until + around, now + SLACK)
    return since - SLACK, until + SLACK


def _equals(context: Context, attempt: Attempt) -> list[Attempt]:
    """Return the attempts whose record may be that of this one, itself among them.

    They asked for what a record of this one may show, or this one for what one of theirs may, and
    their spans overlap, or those of others between them do.
    """
    listing = _listing(context, attempt.job)
    asked = _find_input(attempt.body, listing)

    def is_alike(body: str | None) -> bool:
        if body is None or body == attempt.body:
            return True
        other = _find_input(body, listing)
        return _shows(other, asked, listing) or _shows(asked, other, listing)

    found: dict[str, Attempt] = {}
    since, until = _span(context, attempt)
    # One may be near only to another that is: until a round adds none.
    while True:
        alike = context.ledger.attempts_of(attempt.job, since - _REACH, until + _REACH, is_alike)
        fresh = {each.job.id: each for each in alike if each.job.id not in found}
        spans = {job_id: _span(context, each) for job_id, each in fresh.items()}
        near = [key for key, (begin, end) in spans.items() if begin <= until and since <= end]
        if not near:
            return sorted(found.values(), key=lambda each: (each.started_at, each.job.id))
        for key in near:
            found[key] = fresh[key]
            since, until = min(since, spans[key][0]), max(until, spans[key][1])


# -- verdicts ------------------------------------------------------------------------------------


def _judge(context: Context, attempt: Attempt, reading: Reading, *, may_close: bool) -> _Verdict:
    """Return what a reading means for a job; called in the transaction that writes it down.

    two equal jobs of ours, two records of that time    each has its record, the older the older
    two equal jobs of ours, one record                  nobody is settled: it may be either's
    a record whose input is not shown                   nobody is settled: it may be this one
    no record, a quarter of an hour later               closed: a whole list lacks it
    """
    job = context.ledger.job(attempt.job.id)
    if job.state is not attempt.job.state or is_made(job):
        return _Verdict(reason="was asked too late: somebody has settled the job since")
    equals = _equals(context, attempt)
    spans = [reading.shift(_span(context, each)) for each in equals]
    free, alike, opaque = _sift(context, attempt, reading, spans)
    early = _on_its_way(context, attempt, equals)
    # It came since the list was read, and its record may lie outside of what was asked for.
    if not reading.covers(spans):
        early = "another job asked for the same meanwhile"
    # A page that could not be read may be the one that has it.
    if reading.trouble or early:
        words = f"could not be read: {reading.trouble}"
        reason = words if reading.trouble else f"was asked too early: {early}"
        return _Verdict(reason=reason, records=[*alike, *opaque], is_early=bool(early))
    if doubt := _doubt(equals, attempt.key_digest, opaque):
        return _Verdict(reason=doubt, records=[*alike, *opaque])
    if alike:
        return _assign(context, reading, [e for e in equals if e.job.task_id is None], alike)
    # Before absence counts: a record of the same prompt, otherwise written, may be it.
    near = [each for each in free if _is_near(each, attempt, _listing(context, job))]
    doubt = next(_doubts_of_absence(context, attempt, reading, near), "")
    is_empty = reading.date is not None
    # The command that lost the answer closes nothing: the list may still be late.
    if doubt or not may_close or job.state is not State.UNKNOWN:
        words = "has no such request" + (f"; {doubt}" if doubt else "")
        shown = [r for r in near if r.model == job.model and any(s <= r.at <= u for s, u in spans)]
        return _Verdict(reason=words, records=shown, is_empty=is_empty)
    words = "has no such request, a quarter of an hour after it: it was never accepted"
    settlement = Settlement(job=job, word="absence")
    return _Verdict(word="absent", reason=words, is_empty=is_empty, settlements=[settlement])


def _assign(
    context: Context, reading: Reading, claims: Sequence[Attempt], alike: Sequence[Record]
) -> _Verdict:
    """Give each of these jobs one of these records, in the order of time; or nobody any.

    What a person closed stays so, and has its record all the same.
    """
    count = f"has {_count(alike)} that may be it"
    if len(alike) != len(claims):
        jobs = "1 job" if len(claims) == 1 else f"{len(claims)} jobs"
        return _Verdict(reason=f"{count}, and {jobs} asked for that", records=alike)
    ordered = sorted(alike, key=lambda record: (record.at, record.task_id))
    pairs = list(zip(claims, ordered, strict=True))
    spans = [reading.shift(_span(context, claim)) for claim in claims]
    if not all(
        since <= each.at <= until for each, (since, until) in zip(ordered, spans, strict=True)
    ):
        return _Verdict(reason=f"{count}, of another time", records=alike)
    if not all(is_input(each, claim, _listing(context, claim.job)) for claim, each in pairs):
        return _Verdict(reason=f"{count}, and jobs asked for more than that", records=alike)
    # A list's word gives way to a list's word; a person's does not.
    absent = {each.id for each in context.ledger.list_absent(is_asked_again=True)}
    settlements = [
        Settlement(job=claim.job, word="found", task_id=record.task_id)
        for claim, record in pairs
        if claim.job.state is State.UNKNOWN or claim.job.id in absent
    ]
    words = "has the request" if len(pairs) == 1 else f"has {_count(alike)}, one a job"
    return _Verdict(word="found", reason=words, records=alike, settlements=settlements)


def _count(records: Sequence[Record]) -> str:
    return "1 request" if len(records) == 1 else f"{len(records)} requests"


def _sift(
    context: Context, attempt: Attempt, reading: Reading, spans: Sequence[Span]
) -> tuple[list[Record], list[Record], list[Record]]:
    """Return what no job of ours holds: all, what may be the request, what does not tell."""
    listing = _listing(context, attempt.job)
    # A request that some job of ours has is nobody else's.
    held = context.ledger.find_ours(attempt.job.origin, [each.task_id for each in reading.records])
    free = [each for each in reading.records if each.task_id not in held]
    timely = [
        each
        for each in free
        if each.model == attempt.job.model and any(s <= each.at <= u for s, u in spans)
    ]
    alike = [each for each in timely if is_input(each, attempt, listing)]
    return free, alike, [each for each in timely if not each.input]


def is_input(record: Record, attempt: Attempt, listing: Listing) -> bool:
    """Tell whether a record shows what an attempt asked for.

    Equal as JSON: the order of keys means nothing, that of lists and the types of values do.
    Keys may be added at the top, where the provider may add its defaults.
    """
    return _shows(with_digests(record.input), _find_input(attempt.body, listing), listing)


def _find_input(body: str | None, listing: Listing) -> object:
    """Return of a body what a record would show."""
    sent: object = json.loads(body or "null")
    for key in listing.input_at:
        sent = sent.get(key) if isinstance(sent, dict) else None
    return sent


def _shows(shown: object, sent: object, listing: Listing) -> bool:
    if not isinstance(sent, dict) or not isinstance(shown, dict):
        return False
    if listing.adds_fields:
        shown = {key: shown[key] for key in shown if key in sent}
    return _is_equal(sent, shown)


def _is_equal(one: object, other: object) -> bool:
    """Tell whether two JSON values are equal: in Python `true` is 1."""
    match one, other:
        case (dict(), dict()):
            return one.keys() == other.keys() and all(_is_equal(one[k], other[k]) for k in one)
        case (list(), list()):
            return len(one) == len(other) and all(map(_is_equal, one, other))
        case _:
            # `True == 1` in Python; to a provider they are two inputs.
            return isinstance(one, bool) == isinstance(other, bool) and one == other


def _on_its_way(context: Context, attempt: Attempt, equals: Sequence[Attempt]) -> str:
    """Say which equal job may yet get an answer of its own, or a record; empty: none."""
    until = max(_span(context, each)[1] for each in equals)
    for job in [each.job for each in equals]:
        if job.state is State.SENDING:
            return f"job {job.id} asked for the same and is being sent"
        # Stored and not yet read, it names the task itself: no list has to.
        answer = context.ledger.last_answer(job.id) if job.task_id is None else None
        if answer is not None and not is_made(job) and is_accepted(context, job, answer):
            return f"the answer to job {job.id} has yet to be read"
    for job in context.ledger.find_planned_like(attempt.job):
        is_soon = context.clock.now() - _listing(context, job).before <= until
        if job.model == attempt.job.model and is_soon and not context.is_dead(job.owner):
            return f"job {job.id} asks for the same and is to be sent"
    return ""


def _doubt(equals: Sequence[Attempt], key: str | None, opaque: Sequence[Record]) -> str:
    """Say why nobody can tell whose a record is; empty: somebody can."""
    for each in equals:
        job = each.job
        if job.task_id is not None:
            continue
        if each.body is None:
            return f"says nothing: job {job.id} may have asked for the same, an old version sent it"
        if each.key_digest != key:
            return f"says nothing: another key sent job {job.id}, which asked for the same"
        if is_made(job) or job.state not in _OPEN:
            return f"says nothing: job {job.id} asked for the same, and its task is not known"
    return f"shows {_count(opaque)} of that time without what was asked" if opaque else ""


def _is_near(record: Record, attempt: Attempt, listing: Listing) -> bool:
    """Tell whether a record of whatever time may be of an attempt all the same.

    What its provider wrote in its own way, as an address or a default, has kept its prompt.
    """
    if record.model != attempt.job.model or not record.input:
        return record.model == attempt.job.model or is_input(record, attempt, listing)
    asked = _find_input(attempt.body, listing)
    prompt = asked.get("prompt") if isinstance(asked, dict) else None
    is_its_prompt = prompt is not None and record.input.get("prompt") == prompt
    return is_its_prompt or is_input(record, attempt, listing)


def _doubts_of_absence(
    context: Context, attempt: Attempt, reading: Reading, near: Sequence[Record]
) -> Iterator[str]:
    """Yield why a list without a request does not prove that it was not accepted."""
    job, listing, now = attempt.job, _listing(context, attempt.job), reading.at
    since, until = reading.shift(_span(context, attempt))
    around = since - ABSENT_AFTER, until + ABSENT_AFTER
    # By the clock that is further on: what was asked may be gone sooner than ours says.
    age = max(now, reading.date or now) - attempt.started_at
    if not listing.empty_looks:
        yield f"with {context.provider(job).title} that proves nothing"
    if reading.date is None:
        yield "its answers do not say when they were given"
    if abs(reading.offset) > _MOST_OFF:
        yield f"our clock and its differ by {human_span(abs(reading.offset))}"
    if not _is_late(context, attempt, reading) or not reading.covers([around]):
        yield "it may be late"
    if age > min(listing.kept, listing.inputs_kept or listing.kept):
        yield "it does not keep so long what was asked"
    # This look is one more that found nothing.
    if sum(look.is_empty for look in context.ledger.looks(job.id)) + 1 < listing.empty_looks:
        yield "one look more is needed"
    for each in near:
        yield f"{each.task_id} may be it all the same"
    yield from _doubts_of_list(context, attempt, reading)
    yield from _doubts_of_charges(context, job, reading)


def _doubts_of_list(context: Context, attempt: Attempt, reading: Reading) -> Iterator[str]:
    """Yield what else a list lacks that is known to have been accepted about then."""
    near = ABSENT_AFTER - 2 * SLACK
    since, until = attempt.started_at - near, _end(context, attempt) + near
    listed = {each.task_id for each in reading.records}
    for task_id in context.ledger.list_accepted_between(attempt, since, until):
        if task_id not in listed:
            yield f"it lacks task {task_id}, too, which is known"


def _doubts_of_charges(context: Context, job: Job, reading: Reading) -> Iterator[str]:
    """Yield the charges of that time of which nobody knows what they are for."""
    charges = reading.charges
    if context.provider(job).dialect.charges is None:
        return
    if charges is None or charges.trouble:
        yield f"its charges could not be read: {charges.trouble if charges else 'not asked for'}"
        return
    # What was given back is no charge that waits for its job.
    ended = {each.task_id for each in charges.records if each.state == REFUND}
    taken = {each.task_id for each in charges.records} - ended
    for task_id in sorted(taken - context.ledger.find_ours(job.origin, taken)):
        yield f"{task_id} was charged then, and no job is known that it is for"


def _is_late(context: Context, attempt: Attempt, reading: Reading) -> bool:
    """Tell whether an attempt is long over, by both clocks."""
    now = min(reading.at, reading.date or reading.at)
    return now >= _end(context, attempt) + ABSENT_AFTER


def _listing(context: Context, job: Job) -> Listing:
    listing = context.provider(job).listing
    assert listing is not None, "checked before"  # noqa: S101 - for the type checker
    return listing
