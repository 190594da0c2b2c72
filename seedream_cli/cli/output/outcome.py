"""What a run came to: what it made, what that cost, in one sentence, and its exit code."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING, Final

from seedream_cli.cli.output import job as render
from seedream_cli.core import money as price
from seedream_cli.core.errors import gravest
from seedream_cli.core.model import OPEN_STATES, Charge, State
from seedream_cli.core.record import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from seedream_cli.core.model import Job, Money, Problem

NOT_AS_ASKED: Final = 3
"""The exit code where what was made is not what was asked for."""
THERE: Final = ("current", "changed by hand", "not moved")
FAILING: Final = ("failed", "of unknown outcome", "not finished")
_TOLD: Final = ("made", "fetched", "moved", *THERE, *FAILING, "left")
_BOUGHT_NOTHING: Final = frozenset({2, 69})
"""Exit codes that promise that nothing was bought, or even sent (README.md)."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Holds no more of the jobs of a run than numbers and sums."""

    runs: Collection[str]
    """What was bought by these counts; of a command that buys nothing, none is named."""
    counts: Counter[str] = field(default_factory=Counter)
    """Pictures, by the words in which they are told."""
    codes: set[int] = field(default_factory=set)
    """The exit codes of jobs, and of what else went wrong."""
    has_bought: bool = False
    """Something was charged, or may have been."""
    is_estimate: bool = False
    """Not all that was charged is known from who charged it."""
    rehearsed: list[Money] = field(default_factory=list)
    certain: list[Money] = field(default_factory=list)
    perhaps: list[Money] = field(default_factory=list)
    """Sums, one a currency."""
    _kinds: set[str] = field(default_factory=set)

    def add(self, job: Job) -> None:
        """Count what a job cost."""
        if job.charge is Charge.NONE or (self.runs and job.run not in self.runs):
            return
        self.has_bought = True
        sums = [money] if (money := job.cost or job.price) else []
        if job.sandbox:
            self._kinds.add("rehearsed")
            self.rehearsed = price.total([*self.rehearsed, *sums])
        elif job.charge is Charge.CHARGED:
            self._kinds.add("certain")
            self.is_estimate |= not is_exact(job)
            self.certain = price.total([*self.certain, *sums])
        else:
            self._kinds.add("perhaps")
            self.perhaps = price.total([*self.perhaps, *sums])

    def sentence(self, *also: str) -> str:
        """Return `29 made, 1 failed; cost about 0.94 USD`; `also` is told where it is none too."""
        shown = (word for word in _TOLD if self.counts[word] or word in {"made", *also})
        return "; ".join([", ".join(f"{self.counts[word]} {word}" for word in shown), *self._costs])

    @property
    def _costs(self) -> list[str]:
        """Say what is certain, and apart from it what may have been charged."""
        words = []
        if "rehearsed" in self._kinds:
            sums = show_sums(self.rehearsed)
            would = f"would cost about {sums}" if sums else "price not known"
            words.append(f"{would} (sandbox: nothing was charged)")
        if "certain" in self._kinds:
            about = "about " if self.is_estimate and self.certain else ""
            words.append(f"cost {about}{show_sums(self.certain) or 'not known'}")
        if "perhaps" in self._kinds:
            words.append(f"{show_sums(self.perhaps) or 'what is not known'} may have been charged")
        return words

    @property
    def cost(self) -> str:
        """What the run cost, for programs; what may have been charged is in it."""
        sums = show_sums(price.total([*self.rehearsed, *self.certain, *self.perhaps]))
        return sums or ("not known" if self.has_bought else "0")

    def exit(self, signal_number: int = 0) -> int:
        """Return the exit code of the whole run, which a signal may have ended.

        2 pictures saved                             0
        one saved, one found its provider away       3: something was bought
        nothing bought, the provider out of reach    69
        Ctrl-C                                       130, unless something graver happened
        """
        codes = self.codes
        # 2 and 69 promise that nothing was bought: beside a purchase they would be a lie.
        if self.has_bought:
            codes = {NOT_AS_ASKED if code in _BOUGHT_NOTHING else code for code in codes}
        ending = {0: 0, signal.SIGINT: 130}.get(signal_number, 143)
        return gravest([ending, *codes])


def word_of(job: Job | None) -> str:
    """Return the word by which a picture that was not made is counted."""
    if job is not None and job.state is State.UNKNOWN:
        return "of unknown outcome"
    return "not finished" if job is not None and job.state in OPEN_STATES else "failed"


def is_left(job: Job | None, problem: Problem | None) -> bool:
    """Tell whether nothing was sent for a picture though nothing is wrong with it."""
    if job is None:
        return problem is None
    return job.state is State.CLOSED and problem is not None and problem.code == "interrupted"


def is_exact(job: Job) -> bool:
    """Tell whether what a job cost is known from who charged it."""
    return render.is_named_charge(job) or (job.cost is not None and job.cost != job.price)


def money_of(job: Job) -> Money | None:
    """Return what a job cost, or may have; None: nothing, or nobody knows."""
    is_free = job.sandbox or job.charge is Charge.NONE
    return None if is_free else job.cost or job.price


def estimate(prices: Sequence[Money | None]) -> str:
    """Say what some purchases would cost, as far as their prices are known."""
    sums = show_sums(price.total(filter(None, prices)))
    unknown = sum(each is None for each in prices)
    if not unknown:
        return f"about {sums}" if sums else ""
    return f"about {sums}, {unknown} of unknown price" if sums else "price not known"


def show_sums(moneys: Iterable[Money]) -> str:
    """Write sums, one a currency."""
    return " and ".join(map(price.show, moneys))
