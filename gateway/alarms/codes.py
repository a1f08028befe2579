"""Short reply codes: what a person types back to say which alarm he answers.

Two digits while at most 60 alarms are open, more digits beyond. Codes rotate, so that one just freed is not given to
the next alarm while its old message still lies in somebody's hand. Codes of three and more digits never begin with 1:
"1" + code typed without a space can then not be mistaken for another code.
"""

from __future__ import annotations

from gateway.model.delta import Delta, Table

_TWO_DIGITS_UP_TO = 60


def _room(width: int) -> tuple[int, int]:
    """Return first code and number of codes of a width."""
    return (10, 90) if width == 2 else (2 * 10 ** (width - 1), 8 * 10 ** (width - 1))


def _width(taken: int) -> int:
    width = 2
    while taken >= _room(width)[1] * 2 // 3:
        width += 1
    return width


class Codes:
    """Codes in use (`_code`: code → alarm id) and the rotating next one of each width (kept in a counter table)."""

    def __init__(self, counters: Table[int]) -> None:
        self._counters = counters
        self.taken: Table[int] = Table("_code")

    def take(self, alarm: int, delta: Delta) -> str:
        """Give an alarm a code that no open alarm has."""
        width = _width(len(self.taken))
        first, size = _room(width)
        key = f"code{width}"
        turn = self._counters.get(key) or 0
        while str(first + turn % size) in self.taken:
            turn += 1
        self._counters.put(delta, key, (turn + 1) % size)
        code = str(first + turn % size)
        self.taken.put(delta, code, alarm)
        return code

    def free(self, code: str, delta: Delta) -> None:
        """Take a code back."""
        self.taken.drop(delta, code)
