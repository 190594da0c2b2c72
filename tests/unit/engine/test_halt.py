"""When a run buys nothing more, and what may still go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.model import Problem, State
from seedream_cli.engine.halt import Halt

if TYPE_CHECKING:
    from collections.abc import Callable

    from seedream_cli.core.model import Job


def test_three_unknown_outcomes_are_enough(make_job: Callable[..., Job]) -> None:
    """Two are not, nor is one that is told of three times."""
    halt, job = Halt(), make_job()
    for name in ("a", "b", "b", "a"):
        halt.note(make_job(id=name, state=State.UNKNOWN), None)
        assert halt.objection(job) is None
    halt.note(make_job(id="c", state=State.UNKNOWN), Problem("outcome_unknown", "cut"))
    problem = halt.objection(job)
    assert problem is not None
    assert (problem.message, problem.exit) == ("nothing more is bought: 3 outcomes are unknown", 3)


@pytest.mark.parametrize("code", ["auth", "credit"])
def test_one_account_error_is_enough(make_job: Callable[..., Job], code: str) -> None:
    """What is not begun then says the same, and where that is mended."""
    halt = Halt()
    halt.note(make_job(state=State.REFUSED), Problem(code, "no", "seedream providers check work"))
    problem = halt.objection(make_job(id="b"))
    assert problem is not None
    assert (problem.code, problem.exit) == (code, 4)
    assert problem.hint == "seedream providers check work"


def test_a_model_that_is_not_opened_stops_that_model_only(make_job: Callable[..., Job]) -> None:
    """Another model of the account, and the same one elsewhere, are bought."""
    halt, job = Halt(), make_job()
    halt.note(job, Problem("access", "not opened"))
    problem = halt.objection(make_job(id="b"))
    assert problem is not None
    assert (problem.code, job.model in problem.message) == ("access", True)
    assert halt.objection(make_job(model="another")) is None
    assert halt.objection(make_job(origin="https://gateway.example.com")) is None


@pytest.mark.parametrize("code", ["content_policy", "busy", "timeout", "budget", "storage"])
def test_what_concerns_one_picture_stops_no_other(make_job: Callable[..., Job], code: str) -> None:
    """The next may do."""
    halt = Halt()
    for name in "abcd":
        halt.note(make_job(id=name, state=State.FAILED), Problem(code, "m"))
    assert halt.objection(make_job()) is None
