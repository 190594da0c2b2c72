"""Total deadlines: a leash is pulled in time, and only a leash that is still held."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from seedream_cli.transport.deadline import Leash, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two ends of a connection; reading from one gives up after 5 s."""
    near, far = socket.socketpair()
    near.settimeout(5)
    far.settimeout(5)
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
    leash = Leash()
    leash.hold(near)
    Watchdog().watch(leash, 0.2)
    assert 0.15 <= seconds_until_end(near) < 2
    assert leash.is_late
    leash.drop()


def test_an_earlier_deadline_is_kept_though_it_came_later() -> None:
    """Deadlines are met in their own order, not in that of their coming."""
    watchdog, took = Watchdog(), []
    with ExitStack() as exits:
        leashes = []
        for seconds in (0.4, 0.2, 30.0, 0.1):
            near, far = socket.socketpair()
            exits.enter_context(closing(near))
            exits.enter_context(closing(far))
            near.settimeout(5)
            leash = Leash()
            exits.callback(leash.drop)
            leash.hold(near)
            watchdog.watch(leash, seconds)
            leashes.append((leash, near))
        for number in (3, 1, 0):
            seconds_until_end(leashes[number][1])
            took.append([leash.is_late for leash, _ in leashes])
    assert took[0] == [False, False, False, True]
    assert took[1] == [False, True, False, True]
    assert took[2] == [True, True, False, True]


def test_a_deadline_is_heard_while_a_later_one_is_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A short request that starts beside a long one is not held until the long one ends."""
    near, _ = pair
    watchdog, leash = Watchdog(), Leash()
    watchdog.watch(Leash(), 60.0)
    time.sleep(0.05)
    leash.hold(near)
    watchdog.watch(leash, 0.1)
    assert seconds_until_end(near) < 2
    leash.drop()


def test_a_dropped_leash_is_pulled_in_vain(pair: tuple[socket.socket, socket.socket]) -> None:
    """A request that ended in time leaves its connection, and any other, alone."""
    near, far = pair
    leash, other = Leash(), Leash()
    leash.hold(near)
    leash.drop()
    leash.drop()
    leash.pull()
    other.pull()
    near.sendall(b"x")
    assert far.recv(1) == b"x"


def test_a_connection_that_comes_too_late_is_shut_at_once(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """When connecting took longer than the deadline, nothing is waited for any more."""
    near, _ = pair
    leash = Leash()
    leash.pull()
    leash.hold(near)
    assert seconds_until_end(near) < 1
    leash.drop()


def test_a_leash_outlives_the_socket_it_was_given(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """TLS takes the original socket away: the connection is shut through a duplicate."""
    near, far = pair
    leash = Leash()
    leash.hold(near)
    with closing(socket.socket(fileno=near.detach())) as wrapped:
        wrapped.settimeout(5)
        leash.pull()
        assert seconds_until_end(wrapped) < 1
        assert seconds_until_end(far) < 1
    leash.drop()


def test_a_second_connection_takes_the_place_of_the_first(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A leash holds one connection: what it held before is let go, not shut."""
    near, far = pair
    leash = Leash()
    leash.hold(near)
    second, end = socket.socketpair()
    with closing(second), closing(end):
        leash.hold(second)
        leash.pull()
        near.sendall(b"x")
        assert far.recv(1) == b"x"
        assert end.recv(1) == b""
    leash.drop()


def test_one_thread_watches_everything() -> None:
    """A thousand requests cost one thread, which ends with the process, and none before that."""
    before = threading.active_count()
    watchdog = Watchdog()
    assert threading.active_count() == before
    for _ in range(1000):
        watchdog.watch(Leash(), 60.0)
    assert threading.active_count() == before + 1
    (thread,) = [t for t in threading.enumerate() if t is watchdog._thread]
    assert thread.daemon
