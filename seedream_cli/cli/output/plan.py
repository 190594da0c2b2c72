"""What `--plan` and `--check` say of a manifest: a line a picture, and the sum."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from seedream_cli.batch.action import Act
from seedream_cli.cli.output.job import hint_lines
from seedream_cli.cli.output.outcome import estimate, show_sums
from seedream_cli.core import money as price
from seedream_cli.core.errors import UsageError
from seedream_cli.core.text import clean, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.batch.action import Action, Plan
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.cli.arguments import GenerateArguments
    from seedream_cli.cli.output.ci import Actions
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.cli.output.stdout import Stdout

_CONFLICTS = 20
_KEPT = 3
"""Commands that keep a file: each is a decision of its own."""
"""Pictures in the way that are named one by one."""
_WIDEST = 32
_NAMED = 10
"""Files that are named one by one."""


def show(
    plan: Plan,
    stdout: Stdout,
    observer: Plain,
    asked: GenerateArguments,
    actions: Actions,
) -> int:
    """Print the plan; return 1 where `--check` finds something that is not as described."""
    # Whatever is not current: `--check` asks if anything is to be done, not what.
    stale = [action for action in plan.actions if action.act is not Act.KEEP]
    shown = [action for action in plan.actions if action.act is not Act.KEEP or _oddness(action)]
    if asked.json:
        for action in plan.actions:
            stdout.json(_json(action))
    else:
        width = min(_WIDEST, max((columns(action.name) for action in shown), default=0))
        for action in shown:
            stdout.line(_line(action, width))
    observer.say(announcement(plan))
    if plan.leaving:
        observer.say(farewell(plan.leaving))
    if lines := accept_lines(asked, stale):
        observer.say("to keep what lies there:" + hint_lines(lines))
    if asked.check:
        found = ((each.name, each.row.line, each.reason) for each in stale)
        actions.mark_stale(asked.batch or "", found)
    actions.write_plan(
        title=asked.batch or "",
        words=announcement(plan),
        rows=[(each.name, *_words(each), _price(each)) for each in shown],
        to_make=plan.count(Act.MAKE),
        cost=show_sums(price.total(each.price for each in plan.of(Act.MAKE) if each.price)),
        show=observer,
    )
    return 1 if asked.check and stale else 0


def announcement(plan: Plan) -> str:
    """Return the line before the first submit: `40 to make, 160 current, about 1.30 USD`."""
    words = [f"{plan.count(Act.MAKE)} to make"]
    misplaced = sum(action.is_misplaced for action in plan.of(Act.LEAVE))
    stuck = plan.count(Act.UNKNOWN)
    for number, word in (
        (plan.count(Act.FETCH), "to fetch"),
        (stuck, "of unknown outcome"),
        (plan.count(Act.WAIT), "to wait for those" if stuck else "to wait"),
        (plan.count(Act.MOVE), "to move"),
        (plan.count(Act.LEAVE) - misplaced, "changed by hand"),
        (misplaced, "not to be moved"),
        (plan.count(Act.CONFLICT), "in conflict"),
    ):
        words += [f"{number} {word}"] if number else []
    words.append(f"{plan.count(Act.KEEP)} current")
    words += filter(None, [estimate([action.price for action in plan.of(Act.MAKE)])])
    return ", ".join(words)


def check_conflicts(file: str, plan: Plan, asked: GenerateArguments) -> None:
    """Object to pictures in whose place lies what is not ours to replace."""
    stuck = plan.of(Act.CONFLICT)
    if not stuck:
        return
    lines = [f"{file}:{each.row.line}: {each.name}: {each.reason}" for each in stuck[:_CONFLICTS]]
    more = len(stuck) - len(lines)
    lines += [f"… and {more} more"] if more > 0 else []
    hint = "nothing was sent"
    if commands := accept_lines(asked, stuck):
        hint += "; to have it made move that file away, to keep it:\n" + commands
    raise UsageError("\n".join(lines), hint=hint)


def accept_lines(asked: GenerateArguments, actions: Sequence[Action]) -> str:
    """Return a command a line that keeps a file as it lies there: of the first rows that can.

    Empty where none can: of a manifest on stdin there is no lock that could say so.
    """
    names = [
        each.row.name
        for each in actions
        if (each.act is Act.LEAVE and not each.is_misplaced)
        or (each.act is Act.CONFLICT and each.obstacle)
    ]
    if not names or asked.batch == "-":
        return ""
    from seedream_cli.cli.arguments import command_line

    line = partial(command_line, asked, plan=False, check=False, no_files=False, gallery=None)
    return "\n".join(line(json=False, yes=False, accept=[name]) for name in names[:_KEPT])


def farewell(entries: Sequence[Entry]) -> str:
    """Return which pictures leave the lock, their files staying; empty where none does."""
    return f"not in the manifest any more, their files stay: {_files(entries)}" if entries else ""


def outdated(entries: Sequence[Entry]) -> str:
    """Return which files of before lie beside those that now have other names."""
    words = "made anew under another name, the old file stays"
    return f"{words}: {_files(entries)}" if entries else ""


def _files(entries: Sequence[Entry]) -> str:
    files = ", ".join(entry.output for entry in entries[:_NAMED])
    more = len(entries) - _NAMED
    return f"{files} and {more} more" if more > 0 else files


def _line(action: Action, width: int) -> str:
    word, reason = _words(action)
    name = action.name + " " * (width - columns(action.name))
    cost = f", about {_price(action)}" if _price(action) else ""
    return clean(f"{word:<8}  {name}  {action.output}  ({reason}{cost})", one_line=True)


def _words(action: Action) -> tuple[str, str]:
    """Return what is done about a picture, and why."""
    oddness = _oddness(action)
    word = action.act.value
    return (f"{word} (warning)", oddness) if oddness else (word, action.reason)


def _price(action: Action) -> str:
    # What is fetched was paid for, and is not announced as if it cost again.
    return price.show(action.price) if action.price and action.act is Act.MAKE else ""


def _oddness(action: Action) -> str:
    """Return what is odd about a picture that is as described; empty for nothing."""
    entry = action.entry if action.act is Act.KEEP else None
    return (entry.warning if entry else None) or ""


def _json(action: Action) -> dict[str, object]:
    money = action.price
    return {
        "schema": 1,
        "row": action.row.name,
        "n": action.n,
        "action": action.act.value,
        "reason": action.reason or None,
        "warning": _oddness(action) or None,
        "output": action.output,
        "images": action.count,
        "line": action.row.line,
        "prompt": action.row.prompt,
        "provider": action.provider,
        "price": {**price.as_json(money), "estimated": True} if money else None,
        "job": action.job.id if action.job is not None else None,
    }
