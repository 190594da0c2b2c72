"""What the checks found: mistakes, which stop a request, and notes, which do not."""

from __future__ import annotations

from seedream_cli.core.errors import UsageError
from seedream_cli.core.record import dataclass, field


@dataclass(slots=True, kw_only=True)
class Findings:
    """Mistakes and notes on one request, in the order of their discovery."""

    mistakes: list[UsageError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def object(self, message: str, hint: str = "") -> None:
        """Write down a mistake, and how to do it right."""
        self.mistakes.append(UsageError(message, hint=hint))

    def note(self, message: str) -> None:
        """Write down what a person should know."""
        self.notes.append(message)

    def raise_all(self) -> None:
        """Raise all mistakes as one `UsageError`; return where there are none."""
        if not self.mistakes:
            return
        if len(self.mistakes) == 1:
            raise self.mistakes[0]
        lines = "".join(f"\n- {mistake.message}" for mistake in self.mistakes)
        hints = dict.fromkeys(mistake.hint for mistake in self.mistakes if mistake.hint)
        error = UsageError(f"{len(self.mistakes)} mistakes:{lines}", hint="\n".join(hints))
        error.parts = tuple(self.mistakes)
        raise error
