"""Damaged replies: whatever comes, it is read or it is unreadable, and it can be stored."""

from __future__ import annotations

import dataclasses
import json
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.replies import STORED

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import Busy, Done, Failed, Purpose, Refused, Reply, Running
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from support.soak import Soak


PIECES = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 5000,
    b"[" * 100,
    b'{"a":' * 2000,
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'""',
    b"\\ud83d",
    b"\xff\xfe",
    b"\x00",
    b'"',
    b"\\",
    b"-1",
    b"0",
    b"429",
)
VALUES: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "\ud83d",
    "https://[",
    [],
    {},
    [None],
    {"url": 1},
)


def damaged(body: object, draw: random.Random) -> bytes:
    """Return the body with one to three things wrong with it."""
    text = body if isinstance(body, str) else json.dumps(_swapped(body, draw))
    raw = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw.randrange(3)):
        at = draw.randrange(len(raw) + 1)
        match draw.randrange(4):
            case 0:
                raw[at:at] = draw.choice(PIECES)
            case 1:
                del raw[at : at + draw.randrange(1, 20)]
            case 2:
                raw[at : at + 1] = bytes([draw.randrange(256)])
            case _:
                del raw[at:]
    return bytes(raw)


def _swapped(value: object, draw: random.Random) -> object:
    """Return a JSON value with some branch replaced by something else."""
    if draw.random() < 0.12:
        return draw.choice(VALUES)
    if isinstance(value, dict):
        return {key: _swapped(each, draw) for key, each in value.items() if draw.random() > 0.04}
    if isinstance(value, list):
        return [_swapped(each, draw) for each in value]
    return value


def hold(name: str, reply: Reply) -> None:
    """Read a reply; what comes out is an outcome whose every word a database takes."""
    try:
        outcome = PROVIDERS[name].dialect.decode(reply)
    except UnreadableReply as error:
        error.message.encode()
        return
    assert isinstance(outcome, Running | Done | Failed | Refused | Busy)
    _hold_storable(dataclasses.asdict(outcome))


def _hold_storable(value: object) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        for each in value.values():
            _hold_storable(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _hold_storable(each)


@pytest.mark.parametrize("name", PROVIDERS)
def test_damaged_replies_are_read_or_unreadable(name: str, soak: Soak) -> None:
    """No damage to any stored reply raises anything but `UnreadableReply`."""
    draw = soak.dice() if soak.is_long else random.Random(20261121)
    stored = [json.loads(p.read_text("utf-8")) for p in sorted(STORED.glob(f"{name}/*/reply.json"))]
    for _ in range(soak.times(500, long=20_000)):
        case = draw.choice(stored)
        purpose = Purpose(case["purpose"]) if draw.random() < 0.8 else draw.choice(list(Purpose))
        body = damaged(case["body"], draw)
        status = case["status"] if draw.random() < 0.8 else draw.randrange(100, 600)
        reply = Reply(purpose=purpose, status=status, headers=case["headers"], body=body)
        try:
            hold(name, reply)
        except Exception as error:  # the failing reply is what a person needs to see
            raise AssertionError(reply) from error


NAMES = [
    "code",
    "msg",
    "message",
    "data",
    "error",
    "taskId",
    "state",
    "status",
    "url",
    "resultJson",
    "successFlag",
    "resultUrl",
    "resultUrls",
    "errorCode",
    "detail",
    "b64_json",
    "creditsConsumed",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(said=JSON, status=st.integers(100, 599), purpose=st.sampled_from(list(Purpose)))
def test_any_json_is_read_or_unreadable(said: object, status: int, purpose: Purpose) -> None:
    """No JSON at all, in the providers' own field names, raises anything else."""
    body = json.dumps(said).encode()
    for name in PROVIDERS:
        hold(name, Reply(purpose=purpose, status=status, headers={}, body=body))
