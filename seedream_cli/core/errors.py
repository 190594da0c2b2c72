"""Every way to stop, and the exit code and stable word that each one carries.

    SeedreamError
    ├── UsageError          usage            2   nothing was sent
    ├── ConfigError         config           2   nothing was sent
    ├── AccountError        auth, credit     4   also access: the model is not opened
    ├── Unsent              unreachable     69   provably not one byte of the request had left
    ├── Throttled           rate_limit      69   no room in the provider's rate limit; nothing sent
    ├── Withheld            budget           4   what a bound does not allow; nothing sent
    ├── OutcomeUnknown      outcome_unknown  5   bytes had left and no readable answer came
    ├── UnreadableReply     outcome_unknown  5   an answer came that its dialect cannot read
    ├── ImageGone           expired          5   the host says that an image is not there
    ├── ImageBroken         provider_failed  3   what came is not a whole picture
    │   ├── HostBarred      provider_failed  3   its address is one that we do not ask
    │   ├── EndUnseen       provider_failed  3   nothing tells yet whether all of a picture came
    │   └── NotAPicture     provider_failed  3   what came is none at all: a web page, a message
    ├── StorageError        storage         74   disk, folder or ledger would not take it
    │   └── Overtaken       storage         74   another process has taken the job on
    ├── DeadlineReached     timeout         75   still running at the provider
    └── Interrupted         interrupted    130   or 143, by signal

What a provider *said* is a value (see `model.Outcome`); what *stopped us* is an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

EXITS: Final = {
    "usage": 2,
    "config": 2,
    "auth": 4,
    "credit": 4,
    "access": 4,
    "budget": 4,
    "rate_limit": 69,
    "invalid_request": 3,
    "content_policy": 3,
    "provider_failed": 3,
    "unreachable": 69,
    "busy": 69,
    "timeout": 75,
    "outcome_unknown": 5,
    "expired": 5,
    "storage": 74,
    "interrupted": 130,
    "bug": 70,
}
"""The exit code of each stable error code (`README.md` prints them)."""

GRAVITY: Final = (143, 130, 5, 74, 70, 4, 3, 75, 69, 1, 2)
"""Which exit code wins when the jobs of one run end differently: signals, then the gravest."""


def gravest(exits: list[int]) -> int:
    """Return the one exit code that stands for a whole run; 0 when there is none."""
    return next((code for code in GRAVITY if code in exits), 0)


class SeedreamError(Exception):
    """A reason to stop that a person can act on."""

    code: str = "bug"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        """Say what happened in `message` and what to type next in `hint`."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    @property
    def exit(self) -> int:
        """The process exit code for this error."""
        return EXITS[self.code]


class UsageError(SeedreamError):
    """What was typed cannot be done; nothing was sent."""

    code = "usage"
    parts: tuple[UsageError, ...] = ()
    """The mistakes that it stands for, where they are several."""


class ConfigError(SeedreamError):
    """A profile or an environment variable is not usable; nothing was sent."""

    code = "config"


class AccountError(SeedreamError):
    """No key, a key that is not accepted, or no credit."""

    code = "auth"


class Unsent(SeedreamError):
    """Not one byte of the request had left, so sending it again cannot pay twice."""

    code = "unreachable"

    def __init__(self, message: str, *, hint: str = "", is_final: bool = False) -> None:
        """Say with `is_final` that trying again does not help: somebody has to mend something."""
        super().__init__(message, hint=hint)
        self.is_final = is_final


class Throttled(SeedreamError):
    """The provider's rate limit has no room yet; nothing was sent, and nothing was changed."""

    code = "rate_limit"

    def __init__(self, message: str, *, seconds: float) -> None:
        """Carry the seconds until there is room."""
        super().__init__(message)
        self.seconds = seconds


class Withheld(SeedreamError):
    """A budget, or how the run went so far, does not let a job be sent; nothing of it was."""

    code = "budget"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        undecided: frozenset[str] = frozenset(),
    ) -> None:
        """Name jobs on their way that may turn out to cost less: there may be room then."""
        super().__init__(message, hint=hint, code=code)
        self.undecided = undecided


class OutcomeUnknown(SeedreamError):
    """Bytes had left and no readable answer came: it may have been charged."""

    code = "outcome_unknown"
    event: bytes = b""
    """As much of a stream's last event."""


class HeldBack(OutcomeUnknown):
    """A job of unknown outcome, `job_id`, may have been the same purchase; nothing was sent now."""

    def __init__(self, message: str, *, hint: str, job_id: str) -> None:
        """Name the job that stands in the way, the newest of them."""
        super().__init__(message, hint=hint)
        self.job_id = job_id


class UnreadableReply(SeedreamError):
    """An answer came that its dialect has no reading for."""

    code = "outcome_unknown"


class ImageGone(SeedreamError):
    """The image host says that an image is not there (403, 404, 410)."""

    code = "expired"

    def __init__(self, message: str, *, date: datetime | None = None) -> None:
        """Carry when the host said so, by its own clock, where it sent a `Date`."""
        super().__init__(message)
        self.date = date


class ImageBroken(SeedreamError):
    """What the image host sent is not one whole picture."""

    code = "provider_failed"


class HostBarred(ImageBroken):
    """The address of an image is one that no picture is fetched from; waiting changes nothing."""


class EndUnseen(ImageBroken):
    """Neither HTTP nor the picture itself tells whether all of it came; the same bytes twice do."""

    def __init__(self, message: str, *, sha256: str) -> None:
        """Carry the digest of what came, in lower-case hex."""
        super().__init__(message)
        self.sha256 = sha256


class NotAPicture(ImageBroken):
    """What the image host sent does not begin as any picture does."""


class StorageError(SeedreamError):
    """A disk, a folder or the ledger would not take what we have to write."""

    code = "storage"


class Overtaken(StorageError):
    """Another process, or another thread of this one, has taken the job on."""


class DeadlineReached(SeedreamError):
    """The provider is still working when `--timeout` is over."""

    code = "timeout"


class Interrupted(SeedreamError):
    """A signal asked us to stop; what was bought is recorded."""

    code = "interrupted"

    def __init__(self, message: str, *, hint: str = "", signal_exit: int = 130) -> None:
        """Carry 130 for SIGINT and 143 for SIGTERM and SIGHUP."""
        super().__init__(message, hint=hint)
        self._exit = signal_exit

    @property
    def exit(self) -> int:
        """The exit code of the signal that stopped us."""
        return self._exit
