"""Total deadlines: each expires in time, and shuts only a connection that is still open."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.clock import AT_ONCE, eventually

from seedream_cli.transport.deadline import Deadline, Deadlines

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two ends of a connection; reading from one gives up after a minute."""
    near, far = socket.socketpair()
    near.settimeout(60)
    far.settimeout(60)
    with closing(near), closing(far):
        yield near, far


def seconds_until_end(connection: socket.socket) -> float:
    """Read to the end of a connection and return how long that took."""
    started = time.monotonic()
    assert connection.recv(1) == b""
    return time.monotonic() - started


def test_a_reader_is_freed_when_time_is_over(pair: tuple[socket.socket, socket.socket]) -> None:
    """Who waits for a byte that never comes is freed at the deadline, not before."""
    near, _ = pair
    deadline = Deadline()
    deadline.attach(near)
    started = time.monotonic()
    Deadlines().add(deadline, 0.2)
    assert seconds_until_end(near) < AT_ONCE
    assert time.monotonic() - started >= 0.15
    assert deadline.is_late
    deadline.close()


class Noted(Deadline):
    """Writes down when its turn comes."""

    def __init__(self, seconds: float, expired: list[float]) -> None:
        """Take the list that all share."""
        super().__init__()
        self.seconds, self.expired = seconds, expired

    def expire(self) -> None:
        """Write it down."""
        self.expired.append(self.seconds)


def test_an_earlier_deadline_is_kept_though_it_came_later() -> None:
    """Deadlines are met in their own order, not in that of their coming."""
    deadlines, expired = Deadlines(), list[float]()
    for seconds in (0.4, 0.2, 60.0, 0.1):
        deadlines.add(Noted(seconds, expired), seconds)
    eventually(lambda: len(expired) == 3)
    assert expired == [0.1, 0.2, 0.4]


def test_a_deadline_is_heard_while_a_later_one_is_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A short request that starts beside a long one is not held until the long one ends."""
    near, _ = pair
    deadlines, deadline = Deadlines(), Deadline()
    deadlines.add(Deadline(), 60.0)
    time.sleep(0.05)
    deadline.attach(near)
    deadlines.add(deadline, 0.1)
    assert seconds_until_end(near) < AT_ONCE
    deadline.close()


def test_a_closed_deadline_expires_in_vain(pair: tuple[socket.socket, socket.socket]) -> None:
    """A request that ended in time leaves its connection, and any other, alone."""
    near, far = pair
    deadline, other = Deadline(), Deadline()
    deadline.attach(near)
    deadline.close()
    deadline.close()
    deadline.expire()
    other.expire()
    near.sendall(b"x")
    assert far.recv(1) == b"x"


def test_a_connection_that_comes_too_late_is_shut_at_once(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """When connecting took longer than the deadline, nothing is waited for any more."""
    near, _ = pair
    deadline = Deadline()
    deadline.expire()
    deadline.attach(near)
    assert seconds_until_end(near) < AT_ONCE
    deadline.close()


def test_a_deadline_outlives_the_socket_it_was_given(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """TLS takes the original socket away: the connection is shut through a duplicate."""
    near, far = pair
    deadline = Deadline()
    deadline.attach(near)
    with closing(socket.socket(fileno=near.detach())) as wrapped:
        wrapped.settimeout(60)
        deadline.expire()
        assert seconds_until_end(wrapped) < AT_ONCE
        assert seconds_until_end(far) < AT_ONCE
    deadline.close()


def test_a_second_connection_takes_the_place_of_the_first(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A deadline holds one connection: what it held before is let go, not shut."""
    near, far = pair
    deadline = Deadline()
    deadline.attach(near)
    second, end = socket.socketpair()
    with closing(second), closing(end):
        deadline.attach(second)
        deadline.expire()
        near.sendall(b"x")
        assert far.recv(1) == b"x"
        assert end.recv(1) == b""
    deadline.close()


def test_one_thread_watches_everything() -> None:
    """A thousand requests cost one thread, which ends with the process, and none before that."""
    before = threading.active_count()
    deadlines = Deadlines()
    assert threading.active_count() == before
    for _ in range(1000):
        deadlines.add(Deadline(), 60.0)
    assert threading.active_count() == before + 1
    (thread,) = [t for t in threading.enumerate() if t is deadlines._thread]
    assert thread.daemon
