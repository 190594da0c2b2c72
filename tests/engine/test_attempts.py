"""What each attempt keeps for whoever has to settle it later."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import OutcomeUnknown
from seedream_cli.core.model import Purpose, Reply, Secret

if TYPE_CHECKING:
    from engine.conftest import House

KEY = "sk-test"
KEPT = "body, key_digest, started_at, ended_at"


def attempts(house: House) -> list[tuple[str | None, ...]]:
    """Return what the ledger's attempts keep, oldest first."""
    with closing(sqlite3.connect(house.folder / "ledger.db")) as database:
        return database.execute(f"SELECT {KEPT} FROM attempts ORDER BY id").fetchall()  # noqa: S608 - ours


def busy() -> Reply:
    """Return an answer that turns away."""
    body = b'{"error":{"code":"RateLimitExceeded","message":"slow down"}}'
    return Reply(purpose=Purpose.SUBMIT, status=429, headers={"retry-after": "1"}, body=body)


@pytest.mark.parametrize(
    "provider", ["ark", "kie", "uniall", "seedreams", "replicate", "openrouter"]
)
def test_an_attempt_keeps_its_body_and_whose_key_paid(house: House, provider: str) -> None:
    """The body as sent, the key's SHA-256, when it was sent and when that ended: each attempt."""
    house.transport.answers = [busy(), *[OutcomeUnknown("cut")] * 9]  # nor does a list answer
    (job,) = house.buy(provider)
    call = house.engine.calls[job.id]
    (job,) = house.run([job])
    first, second = attempts(house)
    for body, digest, started, ended in (first, second):
        assert started is not None
        assert json.loads(body or "") == call.body
        assert digest == hashlib.sha256(KEY.encode()).hexdigest()
        assert (started or "") <= (ended or "")
    assert second[2] == f"{job.sent_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert KEY.encode() not in (house.folder / "ledger.db").read_bytes()


def test_an_inline_reference_is_kept_by_its_digest(house: House) -> None:
    """A `data:` string, however deep, is kept as the SHA-256 of itself; other text stays."""
    inline = "data:image/png;base64,iVBORw0KGgo="
    body = {"image": [inline, "https://images.example/a.png"], "options": {"mask": inline}, "n": 1}
    (job,) = house.buy()
    house.ledger.begin(job.id, body=body, key=Secret(KEY))
    told = f"sha256:{hashlib.sha256(inline.encode()).hexdigest()}"
    ((kept, *_),) = attempts(house)
    assert json.loads(kept or "") == {
        "image": [told, "https://images.example/a.png"],
        "options": {"mask": told},
        "n": 1,
    }


def test_what_is_not_known_is_null(house: House) -> None:
    """Without body and key the attempt says so, and is no less an attempt."""
    (job,) = house.buy()
    house.ledger.begin(job.id)
    ((body, digest, started, ended),) = attempts(house)
    assert (body, digest, ended) == (None, None, None)
    assert started is not None
