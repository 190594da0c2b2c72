"""Counts what a server was asked and what it charged for."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from seedream_cli.sandbox.apis.forms import read_form
from seedream_cli.sandbox.messages import SubmitRecord, Where
from seedream_cli.sandbox.pictures.host import PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Money
    from seedream_cli.sandbox.messages import Answer, HttpRequest

LONGEST_LOG: Final = 10_000
_LONGEST_TEXT: Final = 65_536


class Counters:
    """Counters and a log in memory, safe to use from many threads. Keys are never kept."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._counts: dict[Where, Counter[str]] = {where: Counter() for where in Where}
            self._charges: list[dict[str, object]] = []
            self._bought: list[tuple[str, int, Money | None]] = []
            self._records: deque[SubmitRecord] = deque(maxlen=LONGEST_LOG)
            self._authorised = 0
            self._log: deque[dict[str, object]] = deque(maxlen=LONGEST_LOG)

    def note(self, asked: HttpRequest, reply: Answer, at: float) -> None:
        """Count one request at the time `at` (seconds since 1970), before it is answered."""
        deed = reply.deed
        with self._lock:
            self._counts[deed.where][deed.provider] += 1
            if deed.where is Where.SUBMIT and deed.is_good:
                self._charges.append(_charge(asked, reply))
                self._bought.append((deed.provider, deed.images, deed.price))
                self._records.append(_record(asked, reply, at))
            if asked.path.startswith(PATH) and "authorization" in asked.headers:
                self._authorised += 1
            self._log.append(_line(asked, reply, at))

    def counters(self) -> dict[str, object]:
        """Return what was counted; a charge is a paid request that the provider accepted.

        `bought` are the pictures of all charges, by provider; `spent` what they cost by the
        providers' lists, by currency, where a list has a price.
        """
        with self._lock:
            charged, bought = Counter[str](), Counter[str]()
            for provider, images, _ in self._bought:
                charged[provider] += 1
                bought[provider] += images
            prices = [price for _, _, price in self._bought if price is not None]
            spent = {
                currency: str(sum(price.amount for price in prices if price.currency == currency))
                for currency in sorted({price.currency for price in prices})
            }
            return {
                "submits": dict(self._counts[Where.SUBMIT]),
                "charged": dict(charged),
                "bought": dict(bought),
                "spent": spent,
                "charges": list(self._charges),
                "polls": dict(self._counts[Where.POLL]),
                "uploads": self._counts[Where.UPLOAD].total(),
                "images": self._counts[Where.IMAGE].total(),
                "authorised_image_requests": self._authorised,
            }

    def records(self) -> tuple[SubmitRecord, ...]:
        """Return the newest accepted submits, oldest first, at most `LONGEST_LOG`."""
        with self._lock:
            return tuple(self._records)

    def log(self) -> list[dict[str, object]]:
        """Return the newest requests, oldest first, at most `LONGEST_LOG`."""
        with self._lock:
            return list(self._log)


def _charge(asked: HttpRequest, reply: Answer) -> dict[str, object]:
    body: Mapping[str, object] = asked.json() or _texts(asked)
    given = body.get("input")
    price = reply.deed.price
    return {
        "provider": reply.deed.provider,
        "task": reply.deed.task,
        "client_request_id": asked.client_request_id,
        "prompt": (given if isinstance(given, dict) else body).get("prompt"),
        "images": reply.deed.images,
        "price": {"amount": str(price.amount), "currency": price.currency} if price else None,
    }


def _texts(asked: HttpRequest) -> dict[str, str]:
    return {name: part.text for name, part in read_form(asked).items() if not part.is_file}


def _record(asked: HttpRequest, reply: Answer, at: float) -> SubmitRecord:
    return SubmitRecord(
        provider=reply.deed.provider,
        task=reply.deed.task,
        key=asked.account,
        at=at,
        body={name: _short(value) for name, value in (asked.json() or {}).items()},
    )


def _line(asked: HttpRequest, reply: Answer, at: float) -> dict[str, object]:
    return {
        "at": at,
        "method": asked.method,
        "path": asked.path,
        "query": dict(asked.query),
        "status": None if reply.is_dropped else reply.status,
        "has_authorization": "authorization" in asked.headers,
        "headers": sorted(asked.headers),
        "client_request_id": asked.client_request_id,
        "body": _short(asked.json()) if asked.body else None,
    }


def _short(value: object) -> object:
    """Return JSON without the megabytes of its inline images."""
    match value:
        case str() if len(value) > _LONGEST_TEXT:
            return f"{value[:64]}… ({len(value)} characters)"
        case dict():
            return {key: _short(item) for key, item in value.items()}
        case list():
            return [_short(item) for item in value]
        case _:
            return value
