"""A text cut into SMS parts, and parts joined to a text again (3GPP TS 23.040 clause 9.2.3.24.1).

Pure (house rule 2). `submit_parts` stands before the modem session's queue, `Joiner` behind its reading of replies.
A text with one character outside the GSM alphabet goes as UCS2 whole; nothing is cut inside an escape or surrogate
pair. The concatenation reference is the caller's: two long messages to one phone within minutes must not share it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

from gateway.protocols import gsm7
from gateway.protocols.smsfields import Alphabet, Concatenation, UserData, address_type, text_of
from gateway.protocols.smspdu import NO_VALIDITY, RELATIVE, Deliver, Submit, relative_validity

CODING_GSM7, CODING_UCS2 = 0x00, 0x08
_WHOLE = {Alphabet.GSM7: 160, Alphabet.UCS2: 140}  # septets, octets
_PART = {Alphabet.GSM7: 153, Alphabet.UCS2: 134}
PARTS_LIMIT = 255


def submit_parts(
    number: str, text: str, *, reference: int, report: bool = True, validity: float | None = None
) -> list[Submit]:
    """Return the messages that carry `text` to `number`, in order.

    Args:
        number: as people write it, + for international; short codes without.
        text: any text; what UTF-16 cannot carry becomes a question mark.
        reference: concatenation reference, taken modulo 256.
        report: ask for a status report of every part.
        validity: seconds that the service centre may keep trying; None is its own default.

    Raises:
        ValueError: a text longer than 255 parts.
    """
    alphabet, chunks = _cut(text)
    if len(chunks) > PARTS_LIMIT:
        raise ValueError(f"text of {len(chunks)} parts")
    parts = []
    for place, chunk in enumerate(chunks, 1):
        header = bytes((0, 3, reference % 256, len(chunks), place)) if len(chunks) > 1 else b""
        submit = Submit(
            number,
            UserData(alphabet, chunk, header),
            CODING_GSM7 if alphabet is Alphabet.GSM7 else CODING_UCS2,
            address_type(number),
            report=report,
            validity_format=NO_VALIDITY if validity is None else RELATIVE,
            validity=b"" if validity is None else relative_validity(validity),
        )
        parts.append(submit)
    return parts


def _cut(text: str) -> tuple[Alphabet, list[bytes]]:
    septets = gsm7.septets_of(text)
    if septets is not None:
        alphabet, data = Alphabet.GSM7, septets
    else:
        alphabet, data = Alphabet.UCS2, text.encode("utf-16-be", errors="replace")
    if len(data) <= _WHOLE[alphabet]:
        return alphabet, [data]
    chunks = []
    start = 0
    while start < len(data):
        end = min(start + _PART[alphabet], len(data))
        if end < len(data) and _splits_pair(alphabet, data, end):
            end -= 1 if alphabet is Alphabet.GSM7 else 2
        chunks.append(data[start:end])
        start = end
    return alphabet, chunks


def _splits_pair(alphabet: Alphabet, data: bytes, end: int) -> bool:
    if alphabet is Alphabet.GSM7:
        return data[end - 1] == gsm7.ESCAPE
    return 0xD8 <= data[end - 2] <= 0xDB


@dataclass(frozen=True, slots=True)
class Received:
    """A message joined from its parts. `complete` is False when parts never came; `tags` are the caller's, in order."""

    number: str
    text: str
    sent: datetime | None
    tags: tuple[Hashable, ...]
    complete: bool = True


@dataclass(slots=True)
class _Open:
    total: int
    since: int
    parts: dict[int, tuple[Deliver, list[Hashable]]]


class Joiner:
    """Joins the parts of long messages, whatever their order; holds at most `limit` unfinished ones.

    `tag` names where a part is stored, so that the caller can free the place once the whole was accepted. `now` is
    any clock in nanoseconds. An unfinished message that is too many or too old is given out incomplete, never dropped.
    """

    def __init__(self, *, limit: int = 32, patience: int = 600_000_000_000) -> None:
        self._limit = limit
        self._patience = patience
        self._open: dict[tuple[str, int, int], _Open] = {}

    def add(self, message: Deliver, tag: Hashable, now: int) -> list[Received]:
        """Take one part; return what is finished or had to make room."""
        place = message.user.concatenation
        if place is None or place.total == 1:
            return [Received(message.number, message.user.text, message.sent, (tag,))]
        key = (message.number, place.reference, place.total)
        entry = self._open.setdefault(key, _Open(place.total, now, {}))
        finished = self._place(entry, place, message, tag)
        if len(entry.parts) == entry.total:
            del self._open[key]
            finished.append(_join(message.number, entry))
        while len(self._open) > self._limit:
            finished.append(self._give_up(min(self._open, key=lambda each: self._open[each].since)))
        return finished

    def expire(self, now: int) -> list[Received]:
        """Return, incomplete, what has waited longer than the patience."""
        late = [key for key, entry in self._open.items() if now - entry.since > self._patience]
        return [self._give_up(key) for key in late]

    def flush(self) -> list[Received]:
        """Return everything unfinished, incomplete: its places are needed."""
        return [self._give_up(key) for key in list(self._open)]

    def _place(self, entry: _Open, place: Concatenation, message: Deliver, tag: Hashable) -> list[Received]:
        held = entry.parts.get(place.sequence)
        if held is None:
            entry.parts[place.sequence] = (message, [tag])
            return []
        if held[0].user == message.user:  # the network sent it again
            held[1].append(tag)
            return []
        # Another message with the same reference: the older one will never be finished.
        older = _join(message.number, _Open(entry.total, entry.since, dict(entry.parts)))
        entry.parts = {place.sequence: (message, [tag])}
        return [older]

    def _give_up(self, key: tuple[str, int, int]) -> Received:
        return _join(key[0], self._open.pop(key))


def _join(number: str, entry: _Open) -> Received:
    """Join data before reading it as text: a far end may have cut a character in two."""
    ordered = [entry.parts[place] for place in sorted(entry.parts)]
    messages = [message for message, _ in ordered]
    alphabets = {message.user.alphabet for message in messages}
    if len(alphabets) == 1 and len(ordered) == entry.total:
        text = text_of(alphabets.pop(), b"".join(message.user.data for message in messages))
    else:
        text = "".join(message.user.text for message in messages)
    tags = tuple(tag for _, held in ordered for tag in held)
    return Received(number, text, messages[0].sent, tags, complete=len(ordered) == entry.total)
