"""What each place of a GB/T 26875.3 device said last: tells news from what is only said again. Pure.

Beside `_gb26875_events.py`. Keeps house rule 4 where devices have poor clocks: a repeat is recognised by content and
time, but a second fire must never pass for a repeat of the first because the clock of the device stands still, or
because it has none (house section 7).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.model.time import DAY, MINUTE
from gateway.protocols.gb26875_objects import NO_TIME

_OLDEST = 30 * DAY  # ns of a backlog, as in `rules.panel`
RIGHT = MINUTE  # ns that a clock may be wrong and still tells one fire from the next
PLACES = 4096  # of one device; the one that was new first goes first, and its next word is news again
AGAIN_WITHIN = MINUTE  # ns in which the same word is a repeat where no clock tells it from news: four sends at 10 s
_UNSAID = -1


@dataclass(slots=True)
class _Last:
    """The last word of a place with its time tag; `stamp` tells words of one time tag apart, `at`: when it was news.

    `right`: the newest time (ns since 1970) that was proved right when it came, 0 when its clock has been wrong since;
    `beside`: bits of the words that were newer than what has come late since.
    """

    tag: bytes
    word: int
    stamp: int
    at: int
    right: int = 0
    beside: int = 0

    def hear(self, time: int, wall: int) -> None:
        """Note the time of another word before it becomes the last: while a backlog comes, newer words stand beside."""
        if not wall or not RIGHT < wall - time <= _OLDEST or time >= self.right:
            self.right, self.beside = (time if abs(wall - time) <= RIGHT else 0), 0
        elif self.word != _UNSAID:
            self.beside |= self.word


class Words:
    """The last words of one device, of at most `places`."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._last: dict[str, _Last] = {}
        self._forgot = False

    def note(
        self,
        key: str,
        tag: bytes,
        word: int,
        now: int,
        *,
        stands: bool = False,
        asked: bool = False,
        time: int = 0,
        wall: int = 0,
    ) -> tuple[int, int | None]:
        """Take the word of a place. `now` in ns, above 0. `stands`: the clock of the device is known to stand still.

        `asked`: it answers a question. `time`, `wall`: of a status word, what its tag says and when it came by our own
        trusted clock (ns since 1970).

        Returns:
            A stamp for the digest of the message: 0 unless the time tag alone does not tell this word from another. And
            the word before, with the bits of newer ones while a backlog comes; None when it is not known or when this
            may be the same message once more, which has to say the same: it waits for the commit of the first.
        """
        timed = len(tag) == len(NO_TIME) and tag != NO_TIME
        last = self._last.get(key)
        if last is None:
            if len(self._last) >= self._places:
                del self._last[next(iter(self._last))]
                self._forgot = True
            stamp = now if stands or (self._forgot and not timed) else 0
            last = self._last[key] = _Last(tag, word, stamp, now)
            last.hear(time, wall)
            last.beside = 0
            return stamp, None
        soon = now - last.at <= AGAIN_WITHIN
        before = None if last.word == _UNSAID else last.word | last.beside
        if timed and last.tag == tag and last.word == word:
            before = None if soon and not asked else word
        else:
            last.hear(time, wall)
        if last.tag != tag:
            last.stamp, last.at = 0 if timed else now, now
        elif last.word != word or (stands and not soon):
            last.stamp = last.at = now
        last.tag, last.word = tag, word
        return last.stamp, before

    def suppose(self, key: str, word: int) -> None:
        """Take this for the word of a place that has said none since its reset: the same is no news then."""
        last = self._last.get(key)
        if last is None and len(self._last) < self._places:
            self._last[key] = _Last(b"", word, 0, 0)
        elif last is not None and last.word == _UNSAID:
            last.word = word

    def below(self, key: str) -> Iterator[int]:
        """Yield the status words that came from below a place since its last reset; values have a blank in the key."""
        for name, last in self._last.items():
            if last.word != _UNSAID and name.startswith(f"{key}/") and " " not in name:
                yield last.word

    def reset(self, key: str, *, itself: bool = True) -> None:
        """Forget the words of what lies below a place, and its own: whatever comes next is news."""
        below = f"{key}/"
        for name, last in self._last.items():
            if name.startswith(below) or (itself and name == key):
                last.word = _UNSAID
