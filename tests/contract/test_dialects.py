"""Every stored reply of every provider means what its case says."""

from __future__ import annotations

import json

import pytest
from support.replies import STORED

from seedream_cli.core.errors import EXITS, UnreadableReply
from seedream_cli.core.model import Busy, Done, Failed, Outcome, Purpose, Refused, Reply, Running
from seedream_cli.providers import PROVIDERS

CASES = sorted(path.parent.relative_to(STORED).as_posix() for path in STORED.glob("*/*/reply.json"))
OWED = ("done", "refused", "failed", "busy", "unreadable")


def stored(case: str) -> tuple[Reply, dict[str, object]]:
    """Read one case: the reply, and what it is expected to mean."""
    said = json.loads((STORED / case / "reply.json").read_text("utf-8"))
    body = said["body"] if isinstance(said["body"], str) else json.dumps(said["body"])
    reply = Reply(
        purpose=Purpose(said["purpose"]),
        status=said["status"],
        headers=said["headers"],
        body=body.encode(),
    )
    return reply, said["expect"]


def seen(outcome: Outcome) -> dict[str, object]:
    """Write an outcome in the words of the cases."""
    facts: dict[str, object] = {"outcome": type(outcome).__name__}
    match outcome:
        case Running():
            facts |= {"task_id": outcome.task_id, "word": outcome.word}
            facts |= {"is_missing": outcome.is_missing, "is_strange": outcome.is_strange}
            facts |= {"is_empty": outcome.is_empty, "ended_at": outcome.ended_at}
            facts |= {"is_finished": outcome.is_finished, "links": dict(outcome.links)}
            facts |= {"progress": outcome.progress, "queue": outcome.queue}
            facts["began_at"] = outcome.began_at.isoformat() if outcome.began_at else None
        case Done(images=images):
            lapses = [each.expires_at for each in images if each.expires_at]
            facts |= {"task_id": outcome.task_id, "request_id": outcome.request_id}
            facts |= {
                "urls": [each.url for each in images],
                "data": [each.data for each in images],
                "codes": [each.problem and each.problem.code for each in images],
                "cost": str(outcome.cost.amount.normalize()) if outcome.cost else None,
                "expires_at": lapses[0].isoformat() if lapses else None,
                "slot": outcome.slot and outcome.slot.url,
                "ended_at": outcome.ended_at.isoformat() if outcome.ended_at else None,
                "made_seconds": outcome.made_seconds,
            }
        case Failed(problem=problem):
            facts |= {"code": problem.code, "says": problem.message, "task_id": outcome.task_id}
            facts |= {"charge": outcome.charge}
        case Refused(problem=problem):
            facts |= {"code": problem.code, "says": problem.message, "is_model": outcome.is_model}
        case Busy(problem=problem):
            facts |= {"code": problem.code, "says": problem.message}
            facts |= {"retry_after": outcome.retry_after}
    return facts


@pytest.mark.parametrize("case", CASES)
def test_reply_means_what_its_case_says(case: str) -> None:
    """A stored reply is read as exactly the outcome that stands beside it."""
    provider = PROVIDERS[case.partition("/")[0]]
    reply, expected = stored(case)
    if expected == {"outcome": "UnreadableReply"}:
        with pytest.raises(UnreadableReply):
            provider.dialect.decode(reply)
        return
    outcome = provider.dialect.decode(reply)
    facts = seen(outcome)
    if "checked" in expected:
        assert provider.dialect.checked is not None
        facts["checked"] = provider.dialect.checked(reply)
    says = str(expected.pop("says", ""))
    assert says in str(facts.get("says", ""))
    assert {key: facts[key] for key in expected} == expected
    assert not facts.get("is_missing", False) or expected["is_missing"]
    assert not facts.get("is_model", False) or expected["is_model"]
    assert not facts.get("is_strange", False) or expected["is_strange"]
    assert not facts.get("is_finished", False) or expected["is_finished"]
    assert facts.get("code", "usage") in EXITS


@pytest.mark.parametrize("case", CASES)
def test_images_are_numbered_from_one(case: str) -> None:
    """The images of an answer carry 1, 2, 3…, and each a place, its bytes or a reason."""
    reply, expected = stored(case)
    if expected["outcome"] != "Done":
        return
    outcome = PROVIDERS[case.partition("/")[0]].dialect.decode(reply)
    assert isinstance(outcome, Done)
    assert [each.index for each in outcome.images] == list(range(1, len(outcome.images) + 1))
    assert all(each.url or each.data or each.problem for each in outcome.images)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("case", OWED)
def test_every_provider_has_the_owed_cases(name: str, case: str) -> None:
    """A provider comes with a done, a refused, a failed, a busy and an unreadable reply."""
    assert f"{name}/{case}" in CASES


def test_replies_belong_to_providers() -> None:
    """Each folder of replies is a provider's, and each provider has one."""
    assert {path.name for path in STORED.iterdir()} == set(PROVIDERS)
    assert all(provider.name == name for name, provider in PROVIDERS.items())
