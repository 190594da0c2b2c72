"""What the engine tells an observer; only `cli/` knows how any of it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from seedream_cli.core.model import Charge, Image, Job, Money, Problem, State


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChanged:
    """A job entered a state, or its provider said a new word about it."""

    job: Job
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A step is put off; nothing was bought meanwhile."""

    job_id: str
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesReceived:
    """A part of an image arrived."""

    job_id: str
    index: int
    received: int
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSaved:
    """An image is on disk under its final name."""

    job: Job
    image: Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a person may want to know; `is_warning` survives `--quiet`."""

    message: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One HTTP exchange, for `-v`. Holds neither key nor query values."""

    method: str
    host: str
    path: str
    status: int | None
    seconds: float
    detail: str = ""
    """Bodies, for `-vv`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEnded:
    """Pictures of a row, or of a job without one, are done with in this run.

    One, or all that went wrong together.
    """

    row: str
    """Its name: `hero`, `hero-night-2`; without a row the job's id."""
    line: int = 0
    """Of the manifest, from 1; 0: not known."""
    state: State
    """Where it was left; `planned`: it was never sent."""
    path: str | None = None
    """As it is printed."""
    prompt: str = ""
    money: Money | None
    """What it cost, or may have."""
    is_estimate: bool
    seconds: float | None = None
    """From submit to disk."""
    problem: Problem | None
    job: str | None
    charge: Charge | None = None
    """None: not said; then `state` and `money` have to tell."""
    count: int = 1
    """How many pictures."""


Event = JobChanged | Waiting | BytesReceived | ImageSaved | Note | Exchange | RowEnded
