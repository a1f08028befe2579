"""A simulated HJ 212 data logger: it reports, splits, repeats what is not confirmed, and answers requests.

Pure, for demo, `simulate` and tests: bytes in, bytes out; time is an argument (house rule 2). The far end of
`drivers.hj212`; keeps house rule 9: faults can be set at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.model.time import MILLISECOND
from gateway.protocols.hj212 import Check, Frame, Frames, encode_frame
from gateway.protocols.hj212_packet import Factor, Packet, data_of, encode, parse, stamp, written

_EDITION, _WANTED, _SPLIT = 4, 1, 2
_LONGEST_CP = 950  # bytes, HJ 212-2017 section 6.3.2


@dataclass(slots=True)
class LoggerFault:
    """What is wrong with a logger just now.

    Attributes:
        bad_crc: one digit of the check is wrong.
        noise: bytes before every packet.
        cut: so many bytes at the end of every packet are lost.
        still: QN stands still.
        refuses: QnRtn with which every request is refused.
        fails: ExeRtn with which every request ends.
    """

    bad_crc: bool = False
    noise: bytes = b""
    cut: int = 0
    still: bool = False
    refuses: str = ""
    fails: str = ""


@dataclass(slots=True)
class Logger:
    """One logger. `offset`: its zone, s; `settings`: plain fields that requests read and set, by their names."""

    mn: str
    pw: str = "123456"
    st: str = "39"
    offset: int = 8 * 3600
    wants_answer: bool = True
    check: Check = Check.HJ212
    longest_cp: int = _LONGEST_CP
    settings: dict[str, str] = field(default_factory=lambda: {"RtdInterval": "30", "MinInterval": "10"})
    fault: LoggerFault = field(default_factory=LoggerFault)
    unanswered: dict[str, bytes] = field(default_factory=dict)
    clock_set: str = ""
    _frames: Frames = field(default_factory=Frames)
    _last: int = 0

    def report(self, factors: Sequence[Factor], wall: int, cn: str = "2011", fields: Mapping[str, str] = {}) -> bytes:
        """Return the packets of one report: split into parts where its CP is too long."""
        head = {"DataTime": stamp(wall, self.offset), **fields}
        parts: list[list[Factor]] = [[]]
        for factor in factors:
            if parts[-1] and len(written(head, [*parts[-1], factor])) > self.longest_cp:
                parts.append([])
            parts[-1].append(factor)
        sent = b""
        for number, some in enumerate(parts, 1):
            sent += self._packet(cn, written(head, some), wall, len(parts), number)
        return sent

    def greet(self, wall: int, cn: str = "9021") -> bytes:
        """Return a login or heartbeat."""
        return self._packet(cn, "", wall, 1, 1)

    def again(self) -> bytes:
        """Return what was not confirmed, once more."""
        return b"".join(self.unanswered.values())

    def hear(self, data: bytes, wall: int) -> bytes:
        """Take what the centre sends; return what is answered."""
        answered = b""
        for found in self._frames.feed(data):
            packet = parse(found.segment) if isinstance(found, Frame) else None
            if isinstance(packet, Packet):
                answered += self._answer(packet, wall)
        return answered

    def _answer(self, packet: Packet, wall: int) -> bytes:
        if packet.cn in ("9013", "9014", "9022"):
            self.unanswered.pop(packet.qn, None)
            return b""
        ready = self.fault.refuses or ("1" if packet.pw == self.pw else "3")
        said = self._reply(packet, "9011", {"QnRtn": ready})
        if ready != "1":
            return said
        asked = {"1061": "RtdInterval", "1063": "MinInterval"}.get(packet.cn)
        if asked is not None:
            said += self._reply(packet, packet.cn, {asked: self.settings[asked]}, flag=_EDITION)
        if packet.cn == "1011":
            said += self._reply(packet, "1011", {"SystemTime": stamp(wall, self.offset)}, flag=_EDITION)
        done = self.fault.fails or "1"
        if done == "1":
            fields = data_of(packet.cp).fields
            self.clock_set = fields.get("SystemTime", self.clock_set)
            self.settings.update({name: value for name, value in fields.items() if name in self.settings})
        return said + self._reply(packet, "9012", {"ExeRtn": done})

    def _reply(self, packet: Packet, cn: str, fields: Mapping[str, str], flag: int = _EDITION) -> bytes:
        said = Packet(qn=packet.qn, st=self.st, cn=cn, pw=self.pw, mn=self.mn, flag=flag, cp=written(fields))
        return self._spoilt(encode_frame(encode(said), self.check))

    def _packet(self, cn: str, cp: str, wall: int, parts: int, part: int) -> bytes:
        if not self.fault.still:
            self._last = max(self._last + MILLISECOND, wall)
        flag = _EDITION | (_WANTED if self.wants_answer else 0) | (_SPLIT if parts > 1 else 0)
        qn = stamp(self._last, self.offset, thousandths=True)
        packet = Packet(qn=qn, st=self.st, cn=cn, pw=self.pw, mn=self.mn, flag=flag, cp=cp)
        if parts > 1:
            packet = msgspec.structs.replace(packet, parts=parts, part=part)
        frame = self._spoilt(encode_frame(encode(packet), self.check))
        if self.wants_answer:
            self.unanswered[qn] = frame
        return frame

    def _spoilt(self, frame: bytes) -> bytes:
        if self.fault.bad_crc:
            frame = frame[:-3] + (b"0" if frame[-3:-2] != b"0" else b"1") + frame[-2:]
        return self.fault.noise + (frame[: -self.fault.cut] if self.fault.cut else frame)
