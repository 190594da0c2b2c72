"""What a batch is allowed: its bounds in pictures and money, a yes, open files."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext, suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.batch.apply import Bounds
from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Money

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import TextIO

    from seedream_cli.batch.targets import Task
    from seedream_cli.cli.arguments import GenerateArguments

ASK_ABOVE = 10
"""Pictures; more are asked about once, on a terminal."""
FILES_A_WORKER = 2
"""A connection, by which it is sent and by which it can be cut off."""
FILES_BESIDE = 128


def bounds(asked: GenerateArguments, tasks: Sequence[Task]) -> Bounds:
    """Return what the command line allows; raise `UsageError` where prices do not tell enough."""
    if asked.max_cost is None:
        return Bounds(max_images=asked.max_images, fail_fast=asked.fail_fast)
    amount, named = parsed(asked.max_cost)
    currencies = {task.price.currency for task in tasks if task.price}
    currency = named or (currencies.pop() if len(currencies) == 1 else "")
    refused = [t.name for t in tasks if t.price is None or t.price.currency != currency]
    if tasks and refused:
        names = ", ".join(refused[:3]) + ("…" if len(refused) > 3 else "")  # noqa: PLR2004
        unit = f"in {currency}" if currency else "in one currency"
        others = sorted({task.price.currency for task in tasks if task.price} - {currency})
        prices = f"; the prices are in {' and '.join(others)}" if others else ""
        way = f"say it in {others[0]}, or bound" if len(others) == 1 and named else "bound"
        raise UsageError(
            f"--max-cost: not all prices are known {unit}: {names}{prices}",
            hint=f"{way} them with --max-images N",
        )
    money = Money(amount, currency)
    return Bounds(max_images=asked.max_images, max_cost=money, fail_fast=asked.fail_fast)


def parsed(text: str) -> tuple[Decimal, str]:
    """Read `--max-cost`: an amount and a currency, empty where none is named."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]{3})?", text.strip())
    if match is None:
        raise UsageError(f"--max-cost {text}: an amount, as 5 or 5USD")
    return Decimal(match[1]), (match[2] or "").upper()


def confirm(count: int, asked: GenerateArguments) -> None:
    """Ask a person at a terminal, once, before many pictures; raise `UsageError` for a no."""
    count = count if asked.max_images is None else min(count, asked.max_images)
    is_asked = count > ASK_ABOVE and not asked.yes
    terminal = _terminal() if is_asked and sys.stderr.isatty() else None
    if terminal is None:
        return
    sys.stderr.write(f"Make {count} pictures? [y/N] ")
    sys.stderr.flush()
    with terminal as heard:
        answer = heard.readline()
    if answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("not confirmed; nothing was sent", hint="-y does not ask")


def _terminal() -> AbstractContextManager[TextIO] | None:
    """Return what a person types, also where stdin brings the manifest; None: nobody is there."""
    if sys.stdin.isatty():
        return nullcontext(sys.stdin)
    try:
        return Path("/dev/tty").open(encoding="utf-8", errors="replace")
    except OSError:
        return None


def allow_files(workers: int) -> int:
    """Ask for as many open files as so many threads may need; return how many threads may be.

    macOS begins with 256 files.
    """
    import resource

    wanted = FILES_A_WORKER * workers + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unbounded = resource.RLIM_INFINITY
    most = wanted if hard == unbounded else min(wanted, hard)
    if soft not in {unbounded, most} and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    room = workers if soft == unbounded else (soft - FILES_BESIDE) // FILES_A_WORKER
    return max(1, min(workers, room))
