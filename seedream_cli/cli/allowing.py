"""What a batch is allowed: its bounds in pictures and money, a yes, open files."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

from seedream_cli.batch import Bounds
from seedream_cli.errors import UsageError
from seedream_cli.model import Money

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.cli.asked import Asked
    from seedream_cli.orders import Task

ASK_ABOVE = 10
"""Pictures; more are asked about once, on a terminal."""
FILES_A_WORKER = 2
"""A connection, by which it is sent and by which it can be cut off."""
FILES_BESIDE = 128


def bounds(asked: Asked, tasks: Sequence[Task]) -> Bounds:
    """Return what the command line allows; raise `UsageError` where prices do not tell enough."""
    if asked.max_cost is None:
        return Bounds(max_images=asked.max_images, fail_fast=asked.fail_fast)
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]{3})?", asked.max_cost.strip())
    if match is None:
        raise UsageError(f"--max-cost {asked.max_cost}: an amount, as 5 or 5USD")
    currencies = {task.price.currency for task in tasks if task.price}
    currency = (match[2] or "").upper() or (currencies.pop() if len(currencies) == 1 else "")
    refused = [t.name for t in tasks if t.price is None or t.price.currency != currency]
    if tasks and refused:
        names = ", ".join(refused[:3]) + ("…" if len(refused) > 3 else "")  # noqa: PLR2004
        unit = f"in {currency}" if currency else "in one currency"
        raise UsageError(
            f"--max-cost: the price of {len(refused)} rows is not known {unit} ({names})",
            hint="bound them with --max-images N",
        )
    money = Money(Decimal(match[1]), currency)
    return Bounds(max_images=asked.max_images, max_cost=money, fail_fast=asked.fail_fast)


def confirm(count: int, asked: Asked) -> None:
    """Ask a person at a terminal, once, before many pictures; raise `UsageError` for a no."""
    count = count if asked.max_images is None else min(count, asked.max_images)
    is_asked = count > ASK_ABOVE and not asked.yes
    if not is_asked or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    sys.stderr.write(f"Make {count} pictures? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("not confirmed; nothing was sent", hint="-y does not ask")


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
