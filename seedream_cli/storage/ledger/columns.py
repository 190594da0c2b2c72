"""How the ledger's records become rows and back: text in columns, records in the program."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from seedream_cli.core.errors import StorageError
from seedream_cli.core.model import Charge, Image, Job, Look, Money, Problem, Record, State
from seedream_cli.core.text import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seedream_cli.core.model import Secret

_JOB_NUMBERS = frozenset({"seq", "sandbox", "first_n", "expected"})
_IMAGE_NUMBERS = frozenset({"idx", "n", "width", "height", "size"})
_MOST_CHARACTERS = 200
"""Of what is wrong with a row: some words quote it."""


def words_of(error: BaseException | str) -> str:
    """Return what SQLite says, on one line of bearable length."""
    return " ".join(str(error).split())[:_MOST_CHARACTERS] or type(error).__name__


def time_text(at: datetime) -> str:
    """Write a time so that its text sorts as the time does: UTC, microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_at(text: str | None) -> datetime | None:
    """Read what `time_text` wrote."""
    if not text:
        return None
    at = datetime.fromisoformat(text)  # takes much more: a day alone, no zone
    if at.tzinfo is None or text[10:20:9] != "T.":
        raise ValueError("a time of it is none")
    return at


def money_text(money: Money | None) -> str | None:
    """Write `0.0325 USD`."""
    return f"{money.amount} {money.currency}" if money else None


def path_text(path: str | None) -> str | None:
    """Write a path as a JSON string: it may hold bytes that are no UTF-8."""
    # JSON escapes what is no UTF-8; as it is, SQLite would not take it.
    return None if path is None else json.dumps(path)


def body_text(body: Mapping[str, object] | None) -> str | None:
    """Write a request's body for a later settling, each `data:` string as `sha256:…` of it.

    Whoever lists recent requests shows them as they were sent: such a string is compared whole.
    """
    return None if body is None else json_text(with_digests(body))


def with_digests(value: object) -> object:
    """Return a JSON value with each `data:` string in it as `sha256:…`."""
    match value:
        case str() if value.startswith("data:"):
            return f"sha256:{_sha256(value)}"
        case dict():
            return {key: with_digests(each) for key, each in value.items()}
        case list() | tuple():
            return [with_digests(each) for each in value]
        case _:
            return value


def key_digest(key: Secret | None) -> str | None:
    """Return the lower-case hex SHA-256 of a key: it tells accounts apart and opens none."""
    return None if key is None else _sha256(key.reveal())


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def problem_text(problem: Problem | None) -> str | None:
    """Write a problem as JSON."""
    if problem is None:
        return None
    return json_text({"code": problem.code, "message": problem.message, "hint": problem.hint})


def money_of(text: str | None) -> Money | None:
    """Read what `money_text` wrote."""
    if not text:
        return None
    amount, currency = text.split(" ")
    return Money(Decimal(amount), currency)


def _problem(text: str | None) -> Problem | None:
    match json.loads(text) if text else None:
        case None:
            return None
        case {"code": str(code), "message": str(message), "hint": str(hint)}:
            return Problem(code, message, hint)
        case _:
            raise ValueError("its problem is none")


def _object(text: str) -> dict[str, object]:
    match json.loads(text):
        case dict() as found:
            return found
        case _:
            raise ValueError("a field of it is no JSON object")


def _path(text: str | None) -> str | None:
    match json.loads(text) if text else None:
        case str() | None as path:
            return path
        case _:
            raise ValueError("its path is none")


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn whatever a damaged row can make of its reading into a `StorageError` that names it."""
    try:
        yield
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        raise UnreadableRow(f"{what} cannot be read: {words_of(error)}") from error


class UnreadableRow(StorageError):
    """A row of the ledger is damaged; those beside it may be sound."""


def _cells(
    row: Sequence[object], names: Sequence[str], numbers: frozenset[str]
) -> dict[str, str | None]:
    """Return a row's cells by name; raise `ValueError` where one is of another type than made.

    SQLite holds a column to its type when it is written, not when a damaged page is read.
    """
    cells = dict(zip(names, row, strict=True))
    for name, cell in cells.items():
        if not (cell is None or isinstance(cell, int if name in numbers else str)):
            raise ValueError(f"its {name} is a {type(cell).__name__}")
    return cells  # type: ignore[return-value] # numbers are read by int()


def job_columns(job: Job) -> dict[str, str | int | None]:
    """Return the columns of a new job."""
    return {
        "id": job.id,
        "run": job.run,
        "owner": job.owner,
        "state": job.state.value,
        "charge": job.charge.value,
        "provider": job.provider,
        "profile": job.profile,
        "origin": job.origin,
        "sandbox": int(job.sandbox),
        "model": job.model,
        "prompt": job.prompt,
        "request": json_text(job.request),
        "recipe": json_text(job.recipe),
        "fingerprint": job.purchase_digest,
        "output": json_text(job.output),
        "first_n": job.first_n,
        "expected": job.expected,
        "price": money_text(job.price),
        "task_id": job.task_id,
        "row": job.row,
        "created_at": time_text(job.created_at),
    }


def maker_of(job: Job) -> str:
    """Return whose jobs tell how long this one takes: those of its API; rehearsals are one's."""
    return "" if job.sandbox else job.origin


def size_of(job: Job) -> str:
    """Return what a job asked for as durations are kept by: its size, `4x 2K` for a set of four."""
    size = str(job.request.get("size") or "")
    return size if job.expected == 1 else f"{job.expected}x {size}"


def _required_time(text: str) -> datetime:
    at = time_at(text)
    if at is None:
        raise ValueError("it has no time")
    return at


def job_of(row: Sequence[object], names: Sequence[str], images: tuple[Image, ...]) -> Job:
    """Build a job from its row and its images."""
    cells = _cells(row, names, _JOB_NUMBERS)
    text = {key: value or "" for key, value in cells.items()}
    return Job(
        id=text["id"],
        run=text["run"],
        owner=text["owner"],
        state=State(text["state"]),
        charge=Charge(text["charge"]),
        provider=text["provider"],
        profile=text["profile"],
        origin=text["origin"],
        sandbox=bool(cells["sandbox"]),
        model=text["model"],
        prompt=text["prompt"],
        request=_object(text["request"]),
        recipe=_object(text["recipe"]),
        purchase_digest=text["fingerprint"],
        output=_object(text["output"]),
        first_n=int(text["first_n"]),
        expected=int(text["expected"]),
        price=money_of(cells["price"]),
        cost=money_of(cells["cost"]),
        task_id=cells["task_id"],
        request_id=cells["request_id"],
        problem=_problem(cells["problem"]),
        row=cells["row"],
        peer=text["peer"],
        exhausted_at=time_at(cells["exhausted_at"]),
        found_at=time_at(cells["found_at"]),
        created_at=_required_time(text["created_at"]),
        sent_at=time_at(cells["sent_at"]),
        finished_at=time_at(cells["finished_at"]),
        images=images,
    )


def image_of(row: Sequence[object], names: Sequence[str]) -> Image:
    """Build an image from its row."""
    cells = _cells(row, names, _IMAGE_NUMBERS)

    def number(name: str) -> int | None:
        cell = cells[name]
        return None if cell is None else int(cell)

    return Image(
        job=cells["job"] or "",
        index=number("idx") or 0,
        n=number("n") or 0,
        url=cells["url"],
        expires_at=time_at(cells["expires_at"]),
        path=_path(cells["path"]),
        format=cells["format"],
        width=number("width"),
        height=number("height"),
        size=number("size"),
        sha256=cells["sha256"],
        saved_at=time_at(cells["saved_at"]),
        warning=cells["warning"],
        problem=_problem(cells["problem"]),
        name=cells["name"],
    )


def look_columns(job_id: str, look: Look) -> tuple[str | int, ...]:
    """Return the columns of a look, in their order."""
    records = [[each.task_id, each.model, time_text(each.at), each.state] for each in look.records]
    return (
        job_id,
        time_text(look.at),
        time_text(look.since),
        time_text(look.until),
        look.pages,
        int(look.is_whole),
        int(look.is_empty),
        look.verdict,
        look.reason,
        json_text(records),
    )


def look_of(row: Sequence[object]) -> Look:
    """Build a look from what `look_columns` wrote, but for the job."""
    at, since, until, pages, is_whole, is_empty, verdict, reason, records = row
    return Look(
        at=_required_time(str(at)),
        since=_required_time(str(since)),
        until=_required_time(str(until)),
        pages=int(str(pages)),
        is_whole=bool(is_whole),
        is_empty=bool(is_empty),
        verdict=str(verdict),
        reason=str(reason),
        records=tuple(
            Record(task_id=task_id, model=model, at=_required_time(began), state=state)
            for task_id, model, began, state in json.loads(str(records))
        ),
    )
