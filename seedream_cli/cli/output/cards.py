"""What a page of pictures says of each: of jobs, of a manifest's plan, and of how a run ended."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seedream_cli.batch.action import Act
from seedream_cli.cli.output.gallery import Card, Shot
from seedream_cli.cli.output.job import hint_of
from seedream_cli.cli.output.row import explain, is_left
from seedream_cli.core import money as price
from seedream_cli.core.model import OPEN_STATES, Charge, State
from seedream_cli.core.paths import is_file
from seedream_cli.core.record import dataclass
from seedream_cli.core.text import human_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.action import Action, Key, Plan, Result
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.core.events import RowEnded
    from seedream_cli.core.model import Image, Job, Money, Problem

_POINTER: Final = b"version https://git-lfs"
"""How a file begins that stands for a picture which Git LFS has not fetched."""
_MOODS: Final = {
    State.SAVED: "good",
    State.REFUSED: "bad",
    State.FAILED: "bad",
    State.UNKNOWN: "bad",
    State.EXPIRED: "bad",
}
"""How a state looks; its word says it, too."""
_PLANNED: Final = {
    Act.KEEP: ("current", "good", ""),
    Act.MOVE: ("to move", "wait", ""),
    Act.FETCH: ("to fetch", "wait", "paid for, to be fetched"),
    Act.MAKE: ("to make", "wait", "to be made"),
    Act.LEAVE: ("by hand", "wait", ""),
    Act.WAIT: ("waits", "wait", "waits"),
    Act.UNKNOWN: ("unknown", "bad", "nobody knows"),
    Act.CONFLICT: ("conflict", "bad", ""),
}
"""Of what is to be done: its word, its look, and what stands in the place of the picture."""


# -- jobs --------------------------------------------------------------------------------------


def cards_of(
    jobs: Iterable[Job],
    now: datetime,
    command: Callable[[Job], str],
    sources: Callable[[Job], Iterable[Image]],
) -> Iterator[Card]:
    """Yield a card a picture of each job, or one for a job that has none."""
    for job in jobs:
        made_from = [f"{each.job}.{each.index}" for each in sources(job)]
        line, many = command(job), len(job.images) > 1
        for image in job.images or (None,):
            why, hint = _trouble(job, image)
            yield Card(
                anchor=f"{job.id}.{image.index}" if image else job.id,
                name=f"{job.id}.{image.index}" if image and many else job.id,
                prompt=job.prompt,
                state="not made" if image and _is_lacking(image) else job.state.value,
                mood="bad" if image and _is_lacking(image) else _MOODS.get(job.state, "wait"),
                facts=_facts(job, image),
                shots=(_shot(image, job, now),),
                why=why,
                hint=hint,
                sources=[(each, each) for each in made_from],
                command=line,
            )


def _is_lacking(image: Image) -> bool:
    """Tell whether a picture was never made: its provider said why, and named no place of it."""
    return image.problem is not None and not image.url and image.saved_at is None


def _facts(job: Job, image: Image | None) -> list[str]:
    size = f"{image.width}x{image.height}" if image and image.width else job.request.get("size")
    facts = [
        f"{image.index} of {len(job.images)}" if image and len(job.images) > 1 else "",
        job.model or job.provider,
        str(size or ""),
        _cost(job) if image is None or not _is_lacking(image) else "",
        f"{job.created_at.astimezone():%Y-%m-%d %H:%M}",
        "sandbox" if job.sandbox else "",
    ]
    return [fact for fact in facts if fact]


def _cost(job: Job) -> str:
    """Say what a picture of a job cost: of several its share, and what all of them did."""
    money = (job.cost or job.price) if job.charge is not Charge.NONE else None
    if money is None:
        return ""
    about = "perhaps" if job.charge is Charge.MAYBE else "about"
    made = sum(not _is_lacking(image) for image in job.images)
    if made > 1:
        share = price.show(price.share(money, made))
        return f"{about} {share} of {price.show(money)}"
    return f"{about} {price.show(money)}"


def _shot(image: Image | None, job: Job, now: datetime) -> Shot:
    if image is None:
        return Shot(words="being made" if job.state in OPEN_STATES else "no picture")
    if image.saved_at is None:
        if _is_lacking(image):
            return Shot(words="was not made")
        left = image.expires_at - now if image.expires_at else None
        lapses = f"lapses in {human_span(left)}" if left else "nobody knows when it lapses"
        is_gone = job.state is State.EXPIRED or (left is not None and left.total_seconds() <= 0)
        return Shot(words="not on disk, " + ("lapsed" if is_gone else lapses))
    if image.path is None:
        return Shot(words="went to stdout")
    return _lying(image.path, width=image.width, height=image.height)


def _lying(
    path: str, label: str = "", *, width: int | None = None, height: int | None = None
) -> Shot:
    """Return the picture at a path, or the words for what lies there now."""
    try:
        if not is_file(path):  # a pipe would never answer
            return Shot(words="not on disk any more", label=label)
        with Path(path).open("rb") as file:
            is_pointer = file.read(len(_POINTER)) == _POINTER
    except (OSError, ValueError):
        return Shot(words="cannot be read", label=label)
    if is_pointer:
        return Shot(words="Git LFS has not fetched it", label=label)
    return Shot(path=path, label=label, width=width, height=height)


def _trouble(job: Job, image: Image | None) -> tuple[str, str]:
    """Return what went wrong with a picture, and the commands that go on."""
    is_there = image is not None and image.saved_at is not None
    problem = (image.problem if image else None) or (None if is_there else job.problem)
    if image is not None and image.warning and problem is None:
        return image.warning, ""
    is_settled = job.state is State.CLOSED
    return problem.message if problem else "", "" if is_settled else _way_on(job, problem)


def _way_on(job: Job, problem: Problem | None) -> str:
    """Return what to type next about a job, a command a line; empty for nothing."""
    if problem is not None:
        return hint_of(job, problem)
    is_waiting = job.state in {State.RUNNING, State.READY}
    return f"seedream download {job.id}" if is_waiting else ""


# -- a manifest --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an action ended in a run."""

    result: Result
    row: RowEnded
    """The same in the words of a row."""
    is_fetched: bool
    """It was paid for by an earlier run."""


def cards_of_plan(
    plan: Plan,
    base: str,
    ends: Mapping[Key, End] | None = None,
    entries: Mapping[Key, Entry] | None = None,
    why_left: str = "",
    keep: Callable[[Sequence[Action]], str] = lambda _: "",
) -> Iterator[Card]:
    """Yield a card a picture of a manifest whose folder is `base`: as it is, and as it would be.

    After a run `ends` are how its actions ended, `entries` what the lock says now, and `why_left`
    why some were not begun: nothing is read again for it, so that Ctrl-C ends soon. `keep` is the
    command that keeps a file of an action as it lies there, empty where that cannot be.
    """
    names = {key: action.name for action in plan.actions for key in action.keys}
    for action in plan.actions:
        sources = [(names.get(key, key[0]), _anchor(key)) for key in action.needs]
        end = (ends or {}).get(action.key)
        now = (entries or {}).get(action.key)
        if end is not None:
            yield from _ended_cards(action, base, end, sources, why_left)
        else:
            yield _planned_card(action, base, now, sources, keep)


def _planned_card(
    action: Action,
    base: str,
    now: Entry | None,
    sources: list[tuple[str, str]],
    keep: Callable[[Sequence[Action]], str],
) -> Card:
    """Return the card of an action that no run has begun; moves are done before the others."""
    state, mood, _ = _PLANNED[action.act]
    entry, problem, is_new = action.entry, action.problem, action.act is Act.MAKE
    if action.act is Act.MOVE and now is not None and now.output == action.output:
        state, mood = "moved", "good"
    shots = list(_planned_shots(action, base))
    if is_new and entry is not None:
        state = "stale"
    hint = problem.hint if problem else ""
    if action.act is Act.UNKNOWN and action.job is not None:
        hint = _way_on(action.job, action.job.problem)
    hint = keep([action]) or hint
    return Card(
        anchor=_anchor(action.key),
        name=action.name,
        prompt=action.row.prompt,
        state="failed" if problem else state,
        mood="bad" if problem else mood,
        facts=_planned_facts(action),
        shots=shots,
        why=problem.message if problem else action.reason,
        hint=hint,
        sources=sources,
    )


def _planned_facts(action: Action) -> list[str]:
    entry, is_new = action.entry, action.act is Act.MAKE
    a_set = f"a set of up to {action.of}" if action.is_whole_set else ""
    if is_new or entry is None:
        model = action.target.request.model if action.target else ""
        cost = f"would cost about {price.show(action.price)}" if is_new and action.price else ""
        return [fact for fact in (a_set, model or "", cost) if fact]
    return [a_set, *_entry_facts(entry)] if a_set else _entry_facts(entry)


def _entry_facts(entry: Entry) -> list[str]:
    cost = f"about {price.show(entry.price)}" if entry.price else ""
    size = entry.keyword or ""
    rehearsed = "sandbox" if entry.sandbox else ""
    return [fact for fact in (entry.model, size, cost, entry.date, rehearsed) if fact]


def _planned_shots(action: Action, base: str) -> Iterator[Shot]:
    """Yield the picture that is there, and the place of the one that would be made."""
    there, words = _there(action, base), _PLANNED[action.act][2]
    if there is not None:
        yield _lying(there, "old" if words else "")
    if words or there is None:
        yield Shot(words=words or "not on disk", label="new" if there else "")


def _there(action: Action, base: str) -> str | None:
    """Return where an action's picture lies, as far as there is one; None: nowhere."""
    places = [action.output] + ([action.entry.output] if action.entry else [])
    return next(filter(is_file, (posixpath.join(base, at) for at in places)), None)


def _ended_cards(
    action: Action, base: str, end: End, sources: list[tuple[str, str]], why_left: str
) -> Iterator[Card]:
    """Yield a card a picture that a run brought, and one for all of an action that it did not."""
    job, row = end.result.job, end.row
    images = job.images if job is not None and not end.result.is_old else ()
    meant = [image for image in images if action.is_whole_set or image.n == action.n]
    saved = [image for image in meant if image.saved_at and image.path]
    share = price.share(row.money, len(saved)) if row.money and saved else None
    for image in saved:
        key = (action.row.name, image.n if action.is_whole_set else action.n)
        yield Card(
            anchor=_anchor(key),
            name=f"{action.row.name}-{image.n}" if action.is_whole_set else action.name,
            prompt=action.row.prompt,
            state="fetched" if end.is_fetched else "made",
            mood="good",
            facts=_made_facts(job, image, share, is_estimate=row.is_estimate),
            shots=list(_made_shots(action, base, image)),
            why="; ".join(filter(None, [_replaced(action, base, image), image.warning])),
            sources=sources,
        )
    if not saved or (len(saved) < action.count and row.problem is not None):
        yield _unmade_card(action, base, end, sources, why_left, missing=action.count - len(saved))


def _unmade_card(
    action: Action,
    base: str,
    end: End,
    sources: list[tuple[str, str]],
    why_left: str,
    *,
    missing: int,
) -> Card:
    """Return the card of what a run did not bring: why, what it cost, and what to do."""
    job, row = end.result.job, end.row
    left, problem = is_left(row), row.problem
    is_rest = missing < action.count
    there = _there(action, base) if not is_rest else None
    shots = [_lying(there, "old")] if there is not None else []
    facts = [action.target.request.model if action.target else ""]
    if left:
        state, mood, words = "left", "wait", "not begun"
        why, hint = f"{action.reason}; {why_left}" if why_left else action.reason, ""
        facts += [f"would cost about {price.show(action.price)}"] if action.price else []
    elif is_rest:
        # The set is as whole as it gets, and what it cost is told with its pictures.
        state, mood, words = "not made", "bad", "not made"
        why, hint = problem.message if problem else "", ""
    elif job is None:
        state, mood, words = "failed", "bad", "not made"
        why, hint = explain(row), problem.hint if problem else ""
    else:
        is_open = job.state in OPEN_STATES
        state = job.state.value if job.sent_at else "not sent"
        mood = "wait" if is_open else "bad"
        words = "being made" if is_open else "not made"
        why, hint = explain(row), _way_on(job, problem)
        facts += [job.id, _cost(job)]
    if not (hint or left or is_rest):
        is_paid = job is not None and job.charge is not Charge.NONE
        hint = "run the same again" + (": it is made anew, which costs again" if is_paid else "")
        hint = f"change its row, then {hint}" if row.state is State.REFUSED else hint
    return Card(
        anchor=f"{_anchor(action.key)}/rest" if is_rest else _anchor(action.key),
        name=f"{action.row.name}, {missing} more" if is_rest else action.name,
        prompt=action.row.prompt,
        state=state,
        mood=mood,
        facts=[fact for fact in facts if fact],
        shots=[*shots, Shot(words=words, label="new" if shots else "")],
        why=why,
        hint=hint,
        sources=sources,
    )


def _made_facts(
    job: Job | None, image: Image, money: Money | None, *, is_estimate: bool
) -> list[str]:
    about = "about " if is_estimate else ""
    facts = [
        (job.model or job.provider) if job else "",
        f"{image.width}x{image.height}" if image.width else "",
        f"{about}{price.show(money)}" if money else "",
        f"{image.saved_at:%Y-%m-%d}" if image.saved_at else "",
        "sandbox" if job and job.sandbox else "",
    ]
    return [fact for fact in facts if fact]


def _made_shots(action: Action, base: str, image: Image) -> Iterator[Shot]:
    """Yield the picture of before where it lies under another name, and the new one."""
    old = _old_place(action, base, image)
    if old is not None:
        yield _lying(old, "old")
    label = "new" if old else ""
    yield _lying(image.path or "", label, width=image.width, height=image.height)


def _old_place(action: Action, base: str, image: Image) -> str | None:
    """Return where the picture lies that this one was made instead of; None: nowhere any more."""
    entry = action.entry if action.act is Act.MAKE else None
    old = posixpath.join(base, entry.output) if entry else ""
    is_another = bool(old) and posixpath.normpath(old) != posixpath.normpath(image.path or "")
    return old if is_another and is_file(old) else None


def _replaced(action: Action, base: str, image: Image) -> str:
    """Say why a picture was made anew, and what became of the old one."""
    entry = action.entry if action.act is Act.MAKE else None
    if entry is None:
        return ""
    if _old_place(action, base, image) is not None:
        return action.reason
    return f"{action.reason}; the one of {entry.date} by {entry.model} was replaced"


def _anchor(key: Key) -> str:
    return key[0] if key[1] == 1 else f"{key[0]}/{key[1]}"
