"""One job's steps on a real ledger: what is written when, and what is never sent twice."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.replies import URL, accepted, made, polled, reply, success

from seedream_cli.core.errors import ImageBroken, ImageGone, OutcomeUnknown, StorageError, Unsent
from seedream_cli.core.model import Charge, Profile, Purpose, State
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from engine.conftest import House

    from seedream_cli.core.model import Call


def test_a_picture_is_bought_once_and_saved(house: House) -> None:
    """One submit, one picture under its final name, the job saved and charged."""
    house.transport.answers = [made()]
    (job,) = house.run(house.buy())
    assert (job.state, job.charge) == (State.SAVED, Charge.CHARGED)
    assert len(house.transport.sent) == 1
    (picture,) = house.pictures()
    assert job.images[0].path == str(picture)
    assert picture.suffix == ".png"


def test_sending_is_committed_before_the_first_byte(house: House) -> None:
    """While a submit is on the wire the ledger already says so."""
    seen: list[State] = []
    (job,) = house.buy()

    def look(_: Call) -> None:
        seen.append(house.ledger.job(job.id).state)

    house.transport.answers, house.transport.at_send = [made()], look
    house.run([job])
    assert seen == [State.SENDING]


def test_urls_are_committed_before_the_download(house: House) -> None:
    """A picture that cannot be fetched leaves its URL in the ledger, the job ready."""
    house.transport.answers = [made()]
    house.transport.pictures = {URL: [OutcomeUnknown("cut")]}
    (job,) = house.run(house.buy())
    assert job.state is State.READY
    assert job.images[0].url == URL
    assert house.engine.problems[job.id].code == "timeout"


def test_the_raw_answer_is_kept(house: House) -> None:
    """The provider's own bytes are in the ledger, also when nobody can read them."""
    house.transport.answers = [reply("<html>not json</html>")]
    (job,) = house.run(house.buy())
    assert job.state is State.UNKNOWN
    (kept,) = house.ledger.answers(job.id, Purpose.SUBMIT)
    assert kept.body == b"<html>not json</html>"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_cut_submit_is_never_sent_again(house: House, provider: str) -> None:
    """Bytes had left and no answer came: unknown, one purchase, maybe charged.

    Where its provider keeps a list, that does not answer either.
    """
    house.transport.answers = [OutcomeUnknown("cut")] * 9
    (job,) = house.run(house.buy(provider))
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert [call.purpose for call in house.transport.sent].count(Purpose.SUBMIT) == 1
    assert job.problem is not None
    assert f"status {job.id}" in job.problem.hint


def test_what_never_left_is_tried_again(house: House) -> None:
    """A refused connection is retried a few times, then the job is closed without charge."""
    house.transport.answers = [Unsent("refused")] * 9
    (job,) = house.run(house.buy())
    assert (job.state, job.charge) == (State.CLOSED, Charge.NONE)
    assert job.problem is not None
    assert job.problem.code == "unreachable"
    assert len(house.transport.answers) == 5


def test_what_somebody_has_to_mend_is_not_tried_again(house: House) -> None:
    """A certificate that is not trusted is final: one try, closed, no charge, with the way on."""
    house.transport.answers = [Unsent("distrusted", hint="export A=b", is_final=True)] * 2
    (job,) = house.run(house.buy())
    assert (job.state, job.charge) == (State.CLOSED, Charge.NONE)
    assert job.problem is not None
    assert (job.problem.code, job.problem.hint) == ("unreachable", "export A=b")
    assert len(house.transport.answers) == 1


@pytest.mark.parametrize(
    ("code", "status"), [("ModelNotOpen", 404), ("InvalidEndpointOrModel.NotFound", 404)]
)
def test_a_model_that_is_not_opened_says_where_to_open_it(
    house: House, code: str, status: int
) -> None:
    """Of an id that we know, "does not exist or no access" means no access: exit 4, the page."""
    house.transport.answers = [reply({"error": {"code": code, "message": "m"}}, status)]
    (job,) = house.run(house.buy())
    assert job.problem is not None
    assert (job.state, job.problem.code, job.problem.exit) == (State.REFUSED, "access", 4)
    assert "openManagement" in job.problem.hint


@pytest.mark.parametrize(
    ("code", "status", "word"),
    [
        ("AccountOverdueError", 403, "finance/fund/recharge"),
        ("AuthenticationError", 401, "seedream providers check ark"),
    ],
)
def test_an_account_that_is_refused_says_where_it_is_mended(
    house: House, code: str, status: int, word: str
) -> None:
    """No credit comes with the page where it is bought, a bad key with the account's check."""
    house.transport.answers = [reply({"error": {"code": code, "message": "m"}}, status)]
    (job,) = house.run(house.buy())
    assert job.problem is not None
    assert word in job.problem.hint


@pytest.mark.parametrize("status", [404, 405, 200])
def test_a_wrong_base_url_is_told_what_it_should_be(house: House, status: int) -> None:
    """A page where an answer should be, at an address of one's own: what stands before the path."""
    (job,) = house.buy("kie")
    account = Profile(name="kie", provider="kie", base_url="https://gw.example/api/v1")
    house.adjust(account=lambda _: account)
    house.transport.answers = [reply("<html>nothing here</html>", status)]
    (job,) = house.run([job])
    assert job.problem is not None
    assert "before /api/v1/…, like https://api.kie.ai" in job.problem.message


def test_a_busy_provider_is_asked_again(house: House) -> None:
    """429 in the provider's words: wait as long as it says, then send; charged once."""
    busy = reply(
        {"error": {"code": "ServerOverloaded", "message": "m"}}, 429, **{"retry-after": "7"}
    )
    house.transport.answers = [busy, made()]
    (job,) = house.run(house.buy())
    assert job.state is State.SAVED
    assert len(house.transport.sent) == 2
    assert sum(house.clock.slept) == pytest.approx(7)


def test_a_wait_beyond_ten_minutes_is_not_waited_for(house: House) -> None:
    """A Retry-After of an hour ends the job, uncharged, and says the time."""
    busy = reply(
        {"error": {"code": "ServerOverloaded", "message": "m"}}, 429, **{"retry-after": "3601"}
    )
    house.transport.answers = [busy]
    (job,) = house.run(house.buy())
    assert (job.state, job.charge) == (State.CLOSED, Charge.NONE)
    assert job.problem is not None
    assert "3601 s" in job.problem.message


def test_a_polled_job_is_polled_until_it_is_done(house: House) -> None:
    """Accepted, running, an unknown word, a 500, then done: one submit, one picture."""
    house.transport.answers = [
        accepted(),
        polled("waiting"),
        polled("dreaming"),
        reply("oops", 500),
        success(),
    ]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    assert [call.purpose for call in house.transport.sent].count(Purpose.SUBMIT) == 1


def test_failed_is_believed_when_read_twice(house: House) -> None:
    """A failure that is taken back was none; one that stays is one."""
    failed = polled("fail", failCode="501", failMsg="upstream")
    house.transport.answers = [accepted(), failed, success()]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    house.transport.answers = [accepted("t2"), *[polled("fail", "t2", failMsg="no")] * 2]
    (job,) = house.run(house.buy("kie"))
    assert (job.state, job.charge) == (State.FAILED, Charge.MAYBE)


def test_a_task_that_is_not_found_yet_still_runs(house: House) -> None:
    """Within two minutes of its submit a missing task is a running one."""
    missing = reply({"code": 422, "msg": "recordInfo is null", "data": None})
    house.transport.answers = [accepted(), missing, missing, success()]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED


def test_an_answer_about_another_task_is_not_ours(house: House) -> None:
    """The id in a poll's answer must be the job's."""
    house.transport.answers = [
        accepted(),
        success("https://x.example/other.png", task="other"),
        success(),
    ]
    (job,) = house.run(house.buy("kie"))
    assert job.images[0].url == URL


def test_the_deadline_leaves_the_job_running(house: House) -> None:
    """When `--timeout` is over the job stays running, to be downloaded later."""
    house.transport.answers = [accepted(), *[polled("generating")] * 1000]
    (job,) = house.run(house.buy("kie"))
    assert (job.state, job.charge) == (State.RUNNING, Charge.CHARGED)
    assert house.engine.problems[job.id].exit == 75
    assert sum(house.clock.slept) == pytest.approx(1200, abs=20)


def test_a_lost_key_while_polling_leaves_the_job_running(house: House) -> None:
    """401 on a poll is the account's trouble, not the job's."""
    refused = reply({"code": 401, "msg": "You do not have access permissions"})
    house.transport.answers = [accepted(), refused]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.RUNNING
    assert house.engine.problems[job.id].exit == 4


def test_a_gone_url_is_asked_for_anew(house: House) -> None:
    """KIE gives a fresh URL for a picture whose first one is gone."""
    fresh = "https://images.example/fresh.png"
    again = reply({"code": 200, "msg": "success", "data": fresh})
    house.transport.answers = [accepted(), success(), success(), again]
    house.transport.pictures = {URL: [ImageGone("403")]}
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    assert house.transport.fetched == [URL, fresh]


def test_a_picture_that_is_gone_for_good_is_expired(house: House) -> None:
    """Its URL has lapsed and no fresh one can be had: the job is expired, and it was paid."""
    house.transport.answers = [made()]
    late = house.clock.now() + timedelta(days=15)
    house.transport.pictures = {URL: [ImageGone("403", date=late)]}
    (job,) = house.run(house.buy())
    assert (job.state, job.charge) == (State.EXPIRED, Charge.CHARGED)


def test_a_broken_picture_is_fetched_again(house: House) -> None:
    """A page of HTML in a picture's place is not saved; the next try is."""
    house.transport.answers = [made()]
    broken = ImageBroken("a web page")
    house.transport.pictures = {URL: [broken, broken, *house.transport.whole]}
    (job,) = house.run(house.buy())
    assert job.state is State.SAVED
    assert len(house.transport.sent) == 1


def test_a_missing_member_keeps_the_others(house: House) -> None:
    """One image of an answer is an error: the good one is saved, the job has a problem."""
    house.transport.answers = [
        reply({"data": [{"url": URL}, {"error": {"code": "OutputImageSensitiveContentDetected"}}]})
    ]
    (job,) = house.run(house.buy())
    assert job.state is State.SAVED
    assert job.problem is not None
    assert job.problem.code == "content_policy"
    assert len(house.pictures()) == 1


def test_a_commit_that_fails_sends_nothing(house: House) -> None:
    """If the ledger does not take `sending`, the transport's hook stops the request."""
    (job,) = house.buy()
    house.ledger.begin(job.id)  # someone else has begun it
    house.transport.answers = [made()]
    with pytest.raises(StorageError):
        house.ledger.begin(job.id)
    house.run([job])
    assert house.transport.sent == []


def test_three_jobs_run_together(house: House) -> None:
    """Each job of one command has its own picture, numbered through."""
    house.transport.answers = [made(f"https://images.example/{k}.png") for k in range(3)]
    jobs = house.run(house.buy(count=3))
    assert [job.images[0].n for job in jobs] == [1, 2, 3]
    assert len(house.pictures()) == 3


def test_nothing_is_begun_after_a_halt(house: House) -> None:
    """A signal that comes while a request is prepared or connecting stops it before it costs."""
    (job,) = house.buy()
    house.adjust(halt_reason=lambda: "a signal came")
    house.transport.answers = [made()]
    (job,) = house.run([job])
    assert (job.state, job.charge) == (State.CLOSED, Charge.NONE)
    assert job.sent_at is None
    assert job.problem is not None
    assert job.problem.message == "a signal came"
