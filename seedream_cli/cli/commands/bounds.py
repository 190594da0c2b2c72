"""What a purchase is allowed: its bounds in pictures and money, a yes, open files."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext, suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.core import money
from seedream_cli.core.addresses import origin
from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Money

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import TextIO

    from seedream_cli.batch.action import Action
    from seedream_cli.batch.apply import Bounds
    from seedream_cli.cli.arguments import GenerateArguments
    from seedream_cli.core.model import Job, Profile
    from seedream_cli.providers.spec import Provider
    from seedream_cli.request.check import Resolved
    from seedream_cli.storage.ledger.ledger import Ledger

    Price = tuple[str, Money | None]
    """What is bought, by a name for people, and the most that it may cost; None: not known."""

ASK_ABOVE = 10
"""Pictures; more are asked about once, on a terminal."""
FILES_A_WORKER = 2
"""A connection, by which it is sent and by which it can be cut off."""
FILES_BESIDE = 128


def bounds(asked: GenerateArguments, tasks: Sequence[Action]) -> Bounds:
    """Return what the command line allows; raise `UsageError` where prices do not tell enough."""
    from seedream_cli.batch.apply import Bounds

    most = max_cost(asked, [(task.name, task.price) for task in tasks])
    return Bounds(max_images=asked.max_images, max_cost=most, fail_fast=asked.fail_fast)


def max_cost(asked: GenerateArguments, prices: Sequence[Price]) -> Money | None:
    """Return `--max-cost`; raise `UsageError` where not all prices are known in its currency.

    5, all prices in USD           5 USD
    5, prices in USD and CNY       a mistake: 5 of which?
    5CNY, a price in USD           a mistake: there is no rate here
    """
    if asked.max_cost is None:
        return None
    amount, named = parsed(asked.max_cost)
    currencies = {price.currency for _, price in prices if price}
    currency = named or (currencies.pop() if len(currencies) == 1 else "")
    refused = [name for name, price in prices if price is None or price.currency != currency]
    if refused:
        names = ", ".join(refused[:3]) + ("…" if len(refused) > 3 else "")  # noqa: PLR2004
        unit = f"in {currency}" if currency else "in one currency"
        others = sorted({price.currency for _, price in prices if price} - {currency})
        in_others = f"; the prices are in {' and '.join(others)}" if others else ""
        way = f"say it in {others[0]}, or bound" if len(others) == 1 and named else "bound"
        raise UsageError(
            f"--max-cost: not all prices are known {unit}: {names}{in_others}",
            hint=f"{way} them with --max-images N",
        )
    return Money(amount, currency)


def check_bounds(asked: GenerateArguments, jobs: Sequence[Job]) -> None:
    """Raise `UsageError` where a command without a plan could buy more than its line allows."""
    count, most = sum(job.expected for job in jobs), asked.max_images
    if most is not None and count > most:
        raise UsageError(f"--max-images {most}: {_pictures(count)} may come; nothing was sent")
    prices = {job.model or job.provider: job.price for job in jobs}
    limit = max_cost(asked, list(prices.items()))
    if limit is None:
        return
    # All of it is held against the bound before any of it is sent.
    for cost in money.total(job.price for job in jobs if job.price):
        if cost.amount > limit.amount:
            words = f"{_pictures(count)} may cost {money.show(cost)}; nothing was sent"
            raise UsageError(f"--max-cost {money.show(limit)}: {words}")


def check_budget(profile: Profile, prices: Sequence[Price], ledger: Ledger) -> None:
    """Raise `UsageError` where a profile, with its key, has a budget that cannot be kept.

    What is bought is named beside its price. That it fits is the ledger's to say, when it is sent.
    """
    budget = profile.budget
    if budget is None or not prices:
        return
    from seedream_cli.core.budget import incomparable

    spent = ledger.list_spending(
        origin(profile.base_url),
        profile.api_key,
        budget.span,
        rehearsed=profile.provider if profile.sandbox else None,
    )
    if words := incomparable(budget, prices, spent):
        raise UsageError(f"{words}; nothing was sent")


def bound_of(asked: GenerateArguments, profile: Profile) -> str:
    """Return what bounds a purchase, in words; empty where nothing does."""
    bounds = {
        "--max-images": asked.max_images,
        "--max-cost": asked.max_cost,
        f"the budget {profile.budget}": profile.budget,
    }
    return next((name for name, value in bounds.items() if value is not None), "")


def check_settings(
    asked: GenerateArguments,
    profile: Profile,
    resolved: Resolved,
    provider: Provider,
    name: str = "",
) -> None:
    """Raise `UsageError` where `--set` may get more pictures than a bound can count.

    `name` is that of a batch's row.
    """
    bound = bound_of(asked, profile)
    if not bound:
        return
    from seedream_cli.request.demand import check_bounded

    try:
        check_bounded(provider, resolved.capabilities, resolved.request)
    except UsageError as error:
        row = f"{name}: " if name else ""
        words = f"{row}{error.message}, and {bound} could not be kept; nothing was sent"
        raise UsageError(words, hint=error.hint) from error


def parsed(text: str) -> tuple[Decimal, str]:
    """Read `--max-cost`: an amount and a currency, empty where none is named."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]{3}|credits)?", text.strip())
    if match is None:
        raise UsageError(f"--max-cost {text}: an amount, as 5 or 5USD")
    currency = match[2] or ""
    return Decimal(match[1]), currency if currency == money.CREDITS else currency.upper()


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def confirm(count: int, asked: GenerateArguments) -> None:
    """Ask a person at a terminal, once, before many pictures; raise `UsageError` for a no.

    11 pictures at a terminal            asked about
    11 pictures, -y, or in a script      not asked about
    11 pictures, --max-images 5          not asked about: 5 may come
    """
    count = count if asked.max_images is None else min(count, asked.max_images)
    is_asked = count > ASK_ABOVE and not asked.yes
    terminal = _terminal() if is_asked and sys.stderr.isatty() else None
    if terminal is None:
        return
    if not _is_yes(terminal, f"Make {count} pictures?"):
        raise UsageError("not confirmed; nothing was sent", hint="-y does not ask")


def confirm_model(asked: GenerateArguments, model: str, near: str) -> None:
    """Ask a person at a terminal before an id is sent that is `near` to a known one.

    Raises `UsageError` for a no, with the command that asks for that one.
    """
    terminal = _terminal() if near and not asked.yes and sys.stderr.isatty() else None
    if terminal is None:
        return
    if not _is_yes(terminal, f"{model} is not known; {near} is. Send {model} as it is?"):
        from seedream_cli.cli.arguments import command_line

        line = command_line(asked, model=near)
        raise UsageError("not confirmed; nothing was sent", hint=line)


def _is_yes(terminal: AbstractContextManager[TextIO], question: str) -> bool:
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    with terminal as heard:
        return heard.readline().strip().lower() in {"y", "yes"}


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
    # Where the system gives no more, fewer jobs are under way at a time.
    room = workers if soft == unbounded else (soft - FILES_BESIDE) // FILES_A_WORKER
    return max(1, min(workers, room))
