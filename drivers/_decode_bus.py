"""Modbus frames out of a bus that somebody else talks on: requests, the replies to them, and what is neither.

Pure; for `firegrid listen` and `decode`, which hear both sides and send nothing. Uses the codec of the driver
(`gateway.protocols.modbus`). Keeps house section 11: a bad byte costs itself, never the good frames beside it; what
waits for its end is one frame (260 bytes at most).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gateway.protocols.modbus import EXCEPTION_SIZE, READS, REFUSED, Reply, ReplyMatcher, Request, decode_request
from gateway.protocols.modbus_line import is_whole

_LONG_WRITES = (15, 16)
_FUNCTIONS = frozenset((1, 2, 3, 4, 5, 6, *_LONG_WRITES))
_CANDIDATE = re.compile(b"(?s:.)[" + bytes(one | refused for one in _FUNCTIONS for refused in (0, REFUSED)) + b"]")
_REQUEST = 8  # bytes of every request but the long writes


@dataclass(frozen=True, slots=True)
class Passed:
    """One frame that passed, or bytes that are none. A reply has the request that it answers, where that was heard."""

    what: Literal["request", "reply", "noise"]
    frame: bytes
    request: Request | None = None


class Bus:
    """The frames of one line, in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._open: Request | None = None

    @property
    def pending(self) -> bool:
        """Whether bytes wait for the rest of their frame."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Passed]:
        """Take bytes; return what they complete."""
        self._buffer += data
        return self._scan(0)

    def drop(self) -> list[Passed]:
        """Give up the frame that waits for its rest; return what was hidden behind its first byte."""
        return self._scan(1) if self._buffer else []

    def _scan(self, at: int) -> list[Passed]:
        buffer, found, clean = self._buffer, list[Passed](), 0
        while at < len(buffer):
            candidate = _CANDIDATE.search(buffer, at)
            at = len(buffer) - 1 if candidate is None else candidate.start()  # a last byte may be an address
            passed = self._at(bytes(buffer[at : at + 260]))
            if passed is None:
                break
            if passed.what == "noise":
                at += 1
                continue
            if at > clean:
                found.append(Passed("noise", bytes(buffer[clean:at])))
            found.append(passed)
            self._open = passed.request if passed.what == "request" else None
            at += len(passed.frame)
            clean = at
        if at > clean:
            found.append(Passed("noise", bytes(buffer[clean:at])))
        del buffer[:at]
        return found

    def _at(self, data: bytes) -> Passed | None:
        """Judge what begins at data[0]; None: more bytes may make a frame of it."""
        if len(data) < 2:
            return None
        sizes = [*self._reply_sizes(data), *_own_sizes(data)]
        for size, what in sizes:
            frame = data[:size]
            if not 0 < size <= len(data) or not is_whole(frame):
                continue
            if what == "request":
                request = decode_request(frame)
                if request is not None:
                    return Passed("request", frame, request)
            else:
                return Passed("reply", frame, self._open if what == "answer" else None)
        needed = max((size or 9 for size, _ in sizes), default=0)
        return None if len(data) < needed else Passed("noise", data[:1])

    def _reply_sizes(self, data: bytes) -> list[tuple[int, str]]:
        """Return the size of the answer to the request that is open, if this may be it."""
        asked = self._open
        if asked is None or data[0] != asked.address:
            return []
        if data[1] == asked.function | REFUSED:
            return [(EXCEPTION_SIZE, "answer")]
        return [(asked.reply_size(), "answer")] if data[1] == asked.function else []


def _own_sizes(data: bytes) -> list[tuple[int, str]]:
    """Return what a frame may be when nothing is known of what went before; size 0: not yet to be told."""
    function = data[1]
    if function & REFUSED:
        return [(EXCEPTION_SIZE, "reply")]
    if function in _LONG_WRITES:
        return [(9 + data[6] if len(data) > 6 else 0, "request"), (_REQUEST, "reply")]
    sizes = [(_REQUEST, "request")]
    if function in READS:
        sizes.append((5 + data[2] if len(data) > 2 else 0, "reply"))
    return sizes


def answer_in(passed: Passed) -> Reply | None:
    """Return what a reply says, where its request is known."""
    return None if passed.request is None else ReplyMatcher(passed.request).feed(passed.frame)


def passed_beside(data: bytes) -> bool:
    """Whether more is among the bytes than a request, a good reply, or a request and what should answer it."""
    bus = Bus()
    passed = [one.what for one in bus.feed(data)]
    while bus.pending:
        passed += [one.what for one in bus.drop()]
    replies = passed.count("reply")
    return replies > 1 or passed.count("request") > 1 or (replies == 1 and "noise" in passed)
