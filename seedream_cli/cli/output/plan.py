"""What `--plan` and `--check` say of a manifest: a line a picture, and the sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.batch.action import Verdict
from seedream_cli.batch.conflicts import keepable
from seedream_cli.core import money as price
from seedream_cli.core.text import clean, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.batch.action import Picture
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.plan import Judge
    from seedream_cli.batch.targets import Task
    from seedream_cli.cli.arguments import GenerateArguments
    from seedream_cli.cli.output.batch_progress import LiveBatch, PlainBatch
    from seedream_cli.cli.output.ci import Actions
    from seedream_cli.cli.output.stdout import Stdout

_WIDEST = 32
_NAMED = 10
"""Files that are named one by one."""


def show(
    pictures: Sequence[Picture],
    judge: Judge,
    stdout: Stdout,
    observer: PlainBatch | LiveBatch,
    asked: GenerateArguments,
    actions: Actions,
) -> int:
    """Print the plan; return 1 where `--check` finds something that is not as described."""
    stale = [picture for picture in pictures if picture.verdict is not Verdict.CURRENT]
    if asked.json:
        for picture in pictures:
            stdout.json(_json(picture))
    else:
        shown = [
            picture
            for picture in pictures
            if picture.verdict is not Verdict.CURRENT or _oddness(picture)
        ]
        width = min(_WIDEST, max((columns(p.name) for p in shown), default=0))
        for picture in shown:
            stdout.line(_line(picture, width))
    cost = cost_of([picture for picture in stale if picture.verdict is Verdict.MAKE])
    observer.say(f"{sentence(pictures)}, {cost}" if cost else sentence(pictures))
    gone = farewell(judge.leaving)
    if gone:
        observer.say(gone)
    names = keepable(stale)
    if names:
        observer.say(f"to keep what lies there: --accept {names[0]}")
    if asked.check:
        found = ((p.name, p.row.line, p.reason) for p in stale)
        actions.mark_stale(asked.batch or "", found)
    return 1 if asked.check and stale else 0


def sentence(
    pictures: Sequence[Picture],
    *,
    fetched: int = 0,
    stuck: int = 0,
    behind: int = 0,
    adopted: int = 0,
) -> str:
    """Return the line before the first submit: `40 to make, 160 current, about 1.30 USD`."""
    made = [picture for picture in pictures if picture.verdict is Verdict.MAKE]
    left = [picture for picture in pictures if picture.verdict is Verdict.LEAVE]
    count = sum(picture.count for picture in made) - fetched - stuck - behind - adopted
    words = [f"{count} to make"]
    for number, word in (
        (fetched + sum(p.verdict is Verdict.FETCH for p in pictures), "to fetch"),
        (stuck + sum(p.verdict is Verdict.STUCK for p in pictures), "of unknown outcome"),
        (behind, "to wait for those"),
        (sum(p.verdict is Verdict.MOVE for p in pictures), "to move"),
        (sum(not p.is_misplaced for p in left), "changed by hand"),
        (sum(p.is_misplaced for p in left), "not to be moved"),
        (sum(p.verdict is Verdict.CONFLICT for p in pictures), "in conflict"),
    ):
        words += [f"{number} {word}"] if number else []
    words.append(f"{sum(p.verdict is Verdict.CURRENT for p in pictures) + adopted} current")
    return ", ".join(words)


def cost_of(pictures: Sequence[Picture | Task]) -> str:
    """Return what making these would cost, as far as prices are known."""
    sums = " and ".join(
        price.show(money) for money in price.total(p.price for p in pictures if p.price)
    )
    unknown = sum(p.price is None for p in pictures)
    if not unknown:
        return f"about {sums}" if sums else ""
    return f"about {sums}, {unknown} of unknown price" if sums else "price not known"


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


def _line(picture: Picture, width: int) -> str:
    cost = (
        f", about {price.show(picture.price)}"
        if picture.price and picture.verdict is Verdict.MAKE
        else ""
    )
    name = picture.name + " " * (width - columns(picture.name))
    word, reason = picture.verdict.value, picture.reason
    if oddness := _oddness(picture):
        word, reason = f"{word} (warning)", oddness
    return clean(f"{word:<8}  {name}  {picture.output}  ({reason}{cost})", one_line=True)


def _oddness(picture: Picture) -> str:
    """Return what is odd about a picture that is as described; empty for nothing."""
    entry = picture.entry if picture.verdict is Verdict.CURRENT else None
    return (entry.warning if entry else None) or ""


def _json(picture: Picture) -> dict[str, object]:
    money = picture.price
    return {
        "schema": 1,
        "row": picture.row.name,
        "n": picture.n,
        "action": picture.verdict.value,
        "reason": picture.reason or None,
        "warning": _oddness(picture) or None,
        "output": picture.output,
        "images": picture.of or 1,
        "line": picture.row.line,
        "prompt": picture.row.prompt,
        "provider": picture.provider,
        "price": {**price.as_json(money), "estimated": True} if money else None,
    }
