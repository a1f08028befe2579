"""How long work shows that it goes on: one line rewritten on a terminal, a line every tenth elsewhere.

On standard error, so that what a command prints can be piped.
"""

from __future__ import annotations

import sys

STEP = 10  # %


class Meter:
    """Counts towards a total that may be an estimate; used by `backup`, `restore` and `verify`."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = max(1, total)
        self._done = 0
        self._shown = -STEP
        self._rewrites = sys.stderr.isatty()

    def add(self, amount: int) -> None:
        """Count more."""
        self.reach(self._done + amount)

    def reach(self, done: int) -> None:
        """Stand at so much."""
        self._done = done
        percent = min(99, done * 100 // self._total)
        if percent > self._shown if self._rewrites else percent >= self._shown + STEP:
            self._shown = percent if self._rewrites else percent // STEP * STEP
            self._show(f"{self._shown} %")

    def end(self) -> None:
        """Say that it is done."""
        self._show("100 %")
        if self._rewrites:
            print(file=sys.stderr)

    def _show(self, text: str) -> None:
        if self._rewrites:
            print(f"\r{self._what}: {text}   ", end="", file=sys.stderr, flush=True)
        else:
            print(f"{self._what}: {text}", file=sys.stderr, flush=True)
