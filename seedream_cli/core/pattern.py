"""Regular expressions that cost a start nothing: each is compiled when it is first used.

A command uses few of those whose modules it imports. `pattern` takes what `re.compile` takes, and
is that for mypy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from re import compile as pattern
else:

    class pattern:  # noqa: N801 - it stands for `re.compile`
        """Has the attributes of the compiled pattern, each from when it is first asked for."""

        def __init__(self, text: str | bytes, flags: int = 0) -> None:
            """Take a pattern and flags of `re`."""
            self.pattern = text
            self._flags = flags

        def __getattr__(self, name: str) -> object:
            """Return what the compiled pattern has; `re` keeps that."""
            found = getattr(re.compile(self.pattern, self._flags), name)
            setattr(self, name, found)
            return found


__all__ = ["pattern"]
