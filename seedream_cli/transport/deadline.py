"""Total deadlines: one thread that shuts a socket down when its request has taken too long.

A read timeout alone does not bound a request: a body that drips a byte a second outlives it.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import socket
import threading
import time


class Deadline:
    """One request's socket and its deadline."""

    def __init__(self) -> None:
        """Hold no socket yet."""
        self.is_late = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def attach(self, connection: socket.socket) -> None:
        """Keep a duplicate of a fresh connection: TLS takes the original away."""
        duplicate = socket.socket(fileno=socket.dup(connection.fileno()))
        with self._lock:
            previous, self._socket = self._socket, duplicate
        if previous is not None:
            previous.close()
        # Its time ran out while it connected, when there was no socket to shut.
        if self.is_late:
            self.expire()

    def expire(self) -> None:
        """Shut the connection down: whoever reads from it gets an error now."""
        self.is_late = True
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the duplicate; the request is over."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


class Deadlines:
    """Expires deadlines when their time is over; starts its thread on first use."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._heap: list[tuple[float, int, Deadline]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline, seconds: float) -> None:
        """Expire `deadline` after `seconds`; a closed one expires in vain."""
        with self._changed:
            due = time.monotonic() + seconds
            is_first = not self._heap or due < self._heap[0][0]
            heapq.heappush(self._heap, (due, next(self._numbers), deadline))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="deadlines")
                self._thread.start()
            # The thread sleeps until the first is due: only an earlier one has to wake it.
            if is_first:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._heap:
                    self._changed.wait()
                    continue
                due, _, deadline = self._heap[0]
                left = due - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                heapq.heappop(self._heap)
            deadline.expire()
