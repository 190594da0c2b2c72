"""The table of `seedream status`: jobs newest first, what they wait for, what they cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from seedream_cli.cli.output.job import hint_of, offers
from seedream_cli.core import money as price
from seedream_cli.core.commands import adopt_command
from seedream_cli.core.model import Charge, Money, State
from seedream_cli.core.text import clean as cleaned
from seedream_cli.core.text import columns, human_span, shorten, verbatim

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.core.model import Image, Job, Look, Reply

HEADS = ("JOB", "STATE", "LAPSES", "COST", "MADE", "PROMPT")
_UNKNOWN_LAPSE = "?"
_LEAST_NEEDED = (4, 3, 2)
"""Columns to leave out on a narrow terminal, first to last."""
_PROMPT_ROOM = 12
_OF_NOTHING = " (a rehearsal: nothing was paid)"
LABEL = 9
"""Columns of the labels of what is told of one job."""


def table(
    jobs: Sequence[Job], now: datetime, width: int, unasked: Collection[str] = ()
) -> list[str]:
    """Return the lines of the table, cut to `width` columns; a narrow one has fewer of them.

    Times are local. Of the jobs `unasked` the state is the one that was last known.
    """
    rows = [HEADS, *(_row(job, now, is_asked=job.id not in unasked) for job in jobs)]
    widths = [max(columns(row[k]) for row in rows) for k in range(len(HEADS) - 1)]
    kept = list(range(len(widths)))
    # The prompt is what a person knows a job by: other columns make room for it.
    for least in _LEAST_NEEDED:
        if sum(widths[k] + 2 for k in kept) + _PROMPT_ROOM > width:
            kept.remove(least)
    room = max(_PROMPT_ROOM, width - sum(widths[k] + 2 for k in kept))
    return [
        "".join(row[k] + " " * (widths[k] - columns(row[k]) + 2) for k in kept)
        + shorten(row[-1], room)
        for row in rows
    ]


def sums(costs: Mapping[tuple[Charge, Money], int]) -> list[str]:
    """Return what jobs cost together, a line a currency: what is certain and what is perhaps."""
    sums: dict[str, dict[Charge, Decimal]] = {}
    # As decimals: a sum of floats is no amount of money.
    for (charge, money), count in costs.items():
        own = sums.setdefault(money.currency, {})
        own[charge] = own.get(charge, Decimal(0)) + money.amount * count
    lines = []
    for currency, own in sorted(sums.items()):
        sure, perhaps = own.get(Charge.CHARGED), own.get(Charge.MAYBE)
        words = [f"about {price.show(Money(sure, currency))}"] if sure else []
        more = " more" if sure else ""
        words += [f"perhaps {price.show(Money(perhaps, currency))}{more}"] if perhaps else []
        lines += [f"cost together: {', '.join(words)}"] if words else []
    return lines


def details(job: Job, now: datetime, sources: Sequence[Image] = (), again: str = "") -> list[str]:
    """Return everything worth knowing of one job, a line each; it was made from `sources`.

    `again` is the command that makes it again.
    """
    beside = _OF_NOTHING if job.sandbox else ""
    lines = [
        f"job      {job.id} (run {job.run}{', sandbox' if job.sandbox else ''})",
        f"state    {job.state.value}, charge {job.charge.value}{beside}",
        f"provider {job.provider} ({_clean(job.profile)}), model {_clean(job.model or '-')}",
        f"prompt   {_clean(job.prompt)}",
        f"made     {local(job.created_at)}",
    ]
    if job.row:
        lines.append(f"row      {_clean(job.row)}, its picture {job.first_n}")
    asked = {key: value for key, value in job.request.items() if value}
    lines.append("request  " + ", ".join(f"{key} {_word(value)}" for key, value in asked.items()))
    lines += [f"from     {each.job}.{each.index} {_clean(each.path or '')}" for each in sources]
    if job.task_id:
        found = ", named by the provider's list of requests" if job.found_at else ""
        lines.append(f"task     {_clean(job.task_id)}{found}")
    if job.request_id:
        lines.append(f"support  request id {_clean(job.request_id)}")
    money = (job.cost or job.price) if job.charge is not Charge.NONE else None
    if money:
        about = "perhaps" if job.charge is Charge.MAYBE else "about"
        about = "would be about" if job.sandbox else about
        lines.append(f"cost     {about} {price.show(money)}")
    lines += [_image_line(image, now) for image in job.images]
    if job.problem:
        lines.append(f"problem  {_clean(job.problem.message)}")
        hint = cleaned(hint_of(job, job.problem), ci=True)
        lines += [f"         {line}" for line in hint.splitlines()]
    if again:
        lines.append(f"again    {cleaned(again, ci=True)}")
    return lines


def local(at: datetime) -> str:
    """Write a moment in local time, with its distance from UTC."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %z}"


def looks(job: Job, looks: Sequence[Look]) -> list[str]:
    """Return what the provider's list was asked for a lost answer, and what it showed."""
    lines = []
    for look in looks:
        pages = "1 page" if look.pages == 1 else f"{look.pages} pages"
        lines += ["", f"look     at {job.provider}'s list, {local(look.at)}"]
        lines += [f"  asked for {local(look.since)} to {local(look.until)}, {pages} read"]
        lines += [f"  it {_clean(look.reason)}"]
        for each in look.records:
            state = f", {_clean(each.state)}" if each.state else ""
            lines += [f"  request {_clean(each.task_id)}, {local(each.at)}{state}"]
            command = adopt_command(job.id, each.task_id)
            if job.state is State.UNKNOWN and _clean(command) == command:
                lines += [f"  {command}"]
    return lines


def answers(job: Job, stored: Sequence[tuple[datetime, Reply]]) -> list[str]:
    """Return the provider's answers word for word, and the commands that adopt what they name."""
    lines = []
    for at, reply in stored:
        lines += ["", f"answer   to {reply.purpose.value}, HTTP {reply.status}, {local(at)}"]
        body = cleaned(verbatim(reply.body), ci=True)
        lines += [f"  {line}" for line in body.splitlines()] or ["  (empty)"]
        commands = offers(job, reply)
        lines += ["if that is its picture:"] if commands else []
        lines += [f"  {command}" for command in commands]
    return lines


def _row(job: Job, now: datetime, *, is_asked: bool) -> tuple[str, ...]:
    money = (job.cost or job.price) if job.charge is not Charge.NONE else None
    cost = price.show(money) if money else "-"
    state = job.state.value + ("" if is_asked else ", not asked")
    state += " (sandbox)" if job.sandbox else ""
    paths = (image.path for image in job.images if image.path)
    return (
        job.id,
        state,
        _lapses(job, now),
        f"{cost}?" if job.charge is Charge.MAYBE and money else cost,
        f"{job.created_at.astimezone():%Y-%m-%d %H:%M}",
        _clean(job.prompt or next(paths, "")),
    )


def _lapses(job: Job, now: datetime) -> str:
    waiting = [i for i in job.images if not i.saved_at and not i.problem]
    if not waiting or job.state not in {State.READY, State.UNKNOWN}:
        return "-"
    known = [image.expires_at for image in waiting if image.expires_at]
    # The first of them to lapse says how much time there is.
    return human_span(min(known) - now) if known else _UNKNOWN_LAPSE


def _image_line(image: Image, now: datetime) -> str:
    size = f" {image.width}x{image.height}" if image.width else ""
    if image.path:
        return f"image    {image.index}: {_clean(image.path)}{size}"
    if image.problem and not image.url:
        return f"image    {image.index}: {_clean(image.problem.message)}"
    what = _clean(image.problem.message) if image.problem else "not saved yet"
    left = f", lapses in {human_span(image.expires_at - now)}" if image.expires_at else ""
    where = f" {_clean(image.url)}" if image.url else ""
    return f"image    {image.index}: {what}{left}{where}"


def _clean(text: str) -> str:
    # CI runners read stdout too, and obey some commands wherever they stand in a line.
    return cleaned(text, ci=True, one_line=True)


def _word(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return _clean(text)
