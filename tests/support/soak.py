"""Storms: a short form by default, the long one by `--soak`; `--seed N` repeats their draws."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """How long the storms of this run are, and from which seed they are drawn."""

    is_long: bool
    seed: int

    def times(self, short: int, *, long: int) -> int:
        """Choose how often something is done."""
        return long if self.is_long else short

    def dice(self) -> random.Random:
        """Return dice that fall alike in every run of this seed."""
        return random.Random(self.seed)

    @property
    def again(self) -> str:
        """How the same draws are had again."""
        return f"again with: --seed {self.seed}" + (" --soak" if self.is_long else "")
