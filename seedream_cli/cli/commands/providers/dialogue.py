"""Asks a person at a terminal for what `providers add` was not told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from seedream_cli.core.errors import UsageError
from seedream_cli.core.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seedream_cli.providers.spec import Provider

_TRIES = 3


class Dialogue:
    """Questions on stderr, answers from stdin, a line each."""

    def line(self, question: str, default: str = "") -> str:
        """Return a line that was typed, or the default; raise `UsageError` where none comes."""
        for _ in range(_TRIES):
            word = self._ask(f"{question}{f' [{default}]' if default else ''}: ") or default
            if word:
                return word
        raise _unanswered()

    def is_yes(self, question: str) -> bool:
        """Return whether a person says yes; Enter is no."""
        return self._ask(f"{question} [y/N] ").lower() in {"y", "yes"}

    def provider(self) -> str:
        """Return the provider that is chosen, by number or name, of all with what they cost."""
        from seedream_cli.cli.output.layout import lay_out, terminal_width
        from seedream_cli.providers import PROVIDERS
        from seedream_cli.storage.config.file import near

        names = list(PROVIDERS)
        heads = ("", "PROVIDER", "PICTURE", "KEPT", "KEYS ARE MADE AT")
        rows = [(str(number), *_row(each)) for number, each in enumerate(PROVIDERS.values(), 1)]
        width = min(terminal_width(), 120)
        for line in _menu([heads, *rows], width, list(lay_out([heads, *rows], width, heads=heads))):
            self._write(f"{line}\n")
        for _ in range(_TRIES):
            word = self._ask("Which provider, by number or name? ").lower()
            if word in names:
                return word
            if word.isdecimal() and 1 <= int(word) <= len(names):
                return names[int(word) - 1]
            if word:
                self._write(f"{clean(word, one_line=True)}: {near(word, names)}\n")
        raise _unanswered()

    def _ask(self, question: str) -> str:
        self._write(question)
        word = sys.stdin.readline()
        if not word:
            self._write("\n")
            raise _unanswered()
        return word.strip()

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _unanswered() -> UsageError:
    return UsageError(
        "nothing was chosen; nothing was written",
        hint="seedream providers add kie",
    )


def _row(provider: Provider) -> tuple[str, ...]:
    """Return name, what a picture of the default model costs, how long it is kept, where keys are.

    `kept`: how long a picture's URL lives; it is on disk seconds after it is made.
    """
    from seedream_cli.cli.output.capabilities import tariff
    from seedream_cli.core.text import human_span

    model = provider.models.get(provider.default_model or "")
    price = tariff(model.tariff) if model is not None else "yours"
    kept = human_span(provider.url_lifetime) if provider.url_lifetime else "?"
    return provider.name, price, kept, provider.keys_page


def _menu(rows: list[tuple[str, ...]], width: int, table: list[str]) -> Iterator[str]:
    """Yield the table, or where a page's address has no room beside the rest, two lines each."""
    from seedream_cli.cli.output.layout import fits

    if fits(rows, width):
        yield from table
        return
    for number, name, price, kept, page in rows[1:]:
        words = "price not known" if price == "?" else price
        yield f"{number:>2} {name}: {words}{'' if kept == '?' else f', kept {kept}'}"
        yield f"   {page}"
