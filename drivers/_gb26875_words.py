"""What each place of a GB/T 26875.3 device said last: tells news from what is only said again. Pure.

Beside `_gb26875_events.py`. Keeps house rule 4 where devices have poor clocks: a repeat is recognised by content and
time, but a second fire must never pass for a repeat of the first because the clock of the device stands still, or
because it has none (house section 7).
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.time import MINUTE
from gateway.protocols.gb26875_objects import NO_TIME

PLACES = 4096  # of one device; the one that was new first goes first, and its next word is news again
AGAIN_WITHIN = MINUTE  # ns in which the same word is a repeat where no clock tells it from news: four sends at 10 s
_UNSAID = -1


@dataclass(slots=True)
class _Last:
    """The last word of a place with its time tag; `stamp` tells words of one time tag apart, `at`: when it was news."""

    tag: bytes
    word: int
    stamp: int
    at: int


class Words:
    """The last words of one device, of at most `places`."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._last: dict[str, _Last] = {}
        self._forgot = False

    def note(self, key: str, tag: bytes, word: int, now: int, *, stands: bool = False) -> tuple[int, int | None]:
        """Take the word of a place. `now` in ns, above 0. `stands`: the clock of the device is known to stand still.

        Returns:
            A stamp for the digest of the message: 0 unless the time tag alone does not tell this word from another. And
            the word before, None when it is not known or when this is the same message once more.
        """
        timed = len(tag) == len(NO_TIME) and tag != NO_TIME
        last = self._last.get(key)
        if last is None:
            if len(self._last) >= self._places:
                del self._last[next(iter(self._last))]
                self._forgot = True
            stamp = now if stands or (self._forgot and not timed) else 0
            self._last[key] = _Last(tag, word, stamp, now)
            return stamp, None
        again = timed and last.tag == tag and last.word == word
        before = None if again or last.word == _UNSAID else last.word
        late = stands and now - last.at > AGAIN_WITHIN
        if last.tag != tag:
            last.stamp, last.at = 0 if timed else now, now
        elif last.word != word or late:
            last.stamp = last.at = now
        last.tag, last.word = tag, word
        return last.stamp, before

    def reset(self, key: str, *, itself: bool = True) -> None:
        """Forget the words of what lies below a place, and its own: whatever comes next is news."""
        below = f"{key}/"
        for name, last in self._last.items():
            if name.startswith(below) or (itself and name == key):
                last.word = _UNSAID
