"""What a batch sends: accounts whose keys are read once, references that are uploaded once."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seedream_cli.engine.references import upload_references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.batch.orders import Order, Orders
    from seedream_cli.cli.context import CommandContext
    from seedream_cli.core.model import Call, Profile, Reference
    from seedream_cli.engine.context import Context
    from seedream_cli.engine.references import LoadedReference


@dataclass(slots=True, kw_only=True)
class Calls:
    """The calls of one batch; safe to ask from any thread."""

    world: CommandContext
    _keyed: dict[str, Profile] = field(default_factory=dict)
    _uploads: dict[str, threading.Lock] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def key(self, profile: Profile) -> Profile:
        """Return a profile with its key, read once; raise `AccountError`."""
        with self._mutex:
            if profile.name not in self._keyed:
                from seedream_cli.transport.proxies import check_proxies

                world = self.world
                check_proxies(world.environ, profile.base_url)
                self._keyed[profile.name] = world.keyed(profile)
            return self._keyed[profile.name]

    def call(self, engine: Context, orders: Orders, order: Order) -> Call:
        """Return what an order sends; raise `AccountError` and what `Orders.call` raises."""
        profile = self.key(orders.profile_of(order.task.row, order.wish.provider))

        def upload(
            references: Sequence[Reference], gathered: Sequence[LoadedReference]
        ) -> Sequence[Reference]:
            with ExitStack() as held:
                for digest in sorted({each.digest for each in gathered if each.local}):
                    held.enter_context(self._turn(digest))
                return upload_references(
                    references,
                    gathered,
                    provider=order.wish.provider,
                    profile=profile,
                    transport=engine.transport,
                    ledger=engine.ledger,
                    now=engine.clock.now(),
                )

        return orders.call(order, profile, upload)

    def _turn(self, digest: str) -> threading.Lock:
        """Return the lock of one reference image: rows that share it upload it once."""
        with self._mutex:
            return self._uploads.setdefault(digest, threading.Lock())
