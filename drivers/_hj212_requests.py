"""Requests to an HJ 212 device: set or ask for an interval, its clock, its data; and what settles them. Pure.

Beside `drivers.hj212`. Follows HJ 212-2017 section 6.6.2: the centre asks, the device says that it is ready (9011),
sends data if that was asked, and says how it went (9012), all with the QN of the request. What is set is read back
where the profile says how (house section 9, port `Driver`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from drivers._conversation import Question
from drivers._hj212_device import Field, Installed
from gateway.model.time import MILLISECOND
from gateway.protocols.hj212 import Check, encode_frame
from gateway.protocols.hj212_codes import REQUEST_ANSWERS, RESULTS
from gateway.protocols.hj212_packet import Data, Packet, encode, stamp, written

PATIENCE = 10.0  # s that a device may take
TRIES = 4  # the standard sends again three times
_MOST = 32
_DONE = "1"
_READY = "1"
_FLAG, _OLD_FLAG = 5, 1  # an answer is wanted, editions 2017 and 2005
CLOCK = "SystemTime"


@dataclass(slots=True)
class _Asked:
    """A request on its way. `back`: the reading back is still to come; `seen`: the value that was read back."""

    device: Installed
    one: Field | None
    value: str
    question: Question | None
    back: bool
    seen: str | None = None


@dataclass(slots=True)
class Step:
    """What an answer to a request leads to."""

    settles: Question | None = None
    refusal: str = ""
    send: bytes = b""


class Requests:
    """What one peer was asked and has not answered. QNs of ours never repeat within a conversation."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Asked] = OrderedDict()
        self._last = 0

    def ask(self, device: Installed, one: Field, value: float, now: int, wall: int) -> Question | None:
        """Return how to set or ask a point; None when it is neither, or its value needs a clock that we have not."""
        decode = one.decode
        if not (decode.set or decode.get) or (one.code == CLOCK and decode.set and not wall):
            return None
        clock = one.code == CLOCK
        raw = (value - decode.offset) / decode.scale
        text = stamp(wall, device.offset) if clock else f"{raw:.10g}"
        question = Question(data=b"", limit=PATIENCE, tries=TRIES)
        asked = _Asked(device, one, text, question, back=bool(decode.set and decode.get and not clock))
        question.data = self._send(asked, decode.set or decode.get, with_value=bool(decode.set), now=now, wall=wall)
        return question

    def clock(self, device: Installed, now: int, wall: int) -> bytes:
        """Return the packet that sets the device's clock."""
        asked = _Asked(device, None, stamp(wall, device.offset), None, back=False)
        return self._send(asked, "1012", with_value=True, now=now, wall=wall)

    def heard(self, packet: Packet, data: Data, now: int, wall: int) -> Step | None:
        """Take a 9011 or 9012; None when nobody asked."""
        asked = self._open.get(packet.qn)
        if asked is None:
            return None
        code = data.fields.get("QnRtn" if packet.cn == "9011" else "ExeRtn", "")
        if packet.cn == "9011":
            if code == _READY:
                return Step()
            del self._open[packet.qn]
            return Step(asked.question, f"refused: QnRtn={code} {REQUEST_ANSWERS.get(code, '')}".strip())
        del self._open[packet.qn]
        if code != _DONE:
            return Step(asked.question, f"failed: ExeRtn={code} {RESULTS.get(code, '')}".strip())
        return self._done(asked, now, wall)

    def _done(self, asked: _Asked, now: int, wall: int) -> Step:
        if asked.one is None:
            return Step()
        if asked.back:
            asked.back = False
            return Step(send=self._send(asked, asked.one.decode.get, with_value=False, now=now, wall=wall))
        if asked.one.decode.set and asked.seen is not None and not _same(asked):
            return Step(asked.question, f"reads back {asked.seen}, not {asked.value}")
        return Step(asked.question)

    def note(self, device: Installed, data: Data) -> None:
        """Take what a device sends of its settings: the value that is read back."""
        for asked in self._open.values():
            if asked.device is device and asked.one is not None and not asked.back and asked.one.code in data.fields:
                asked.seen = data.fields[asked.one.code]

    def _send(self, asked: _Asked, command: str, *, with_value: bool, now: int, wall: int) -> bytes:
        device = asked.device
        code = CLOCK if asked.one is None else asked.one.code
        kind = "" if asked.one is None else asked.one.decode.kind
        also = "" if asked.one is None else asked.one.decode.also
        cp = written({code: asked.value}) if with_value and kind == "" else ""
        packet = Packet(
            qn=self._qn(wall or now, device.offset),
            st=device.st,
            cn=command,
            pw=device.options.password or device.pw,
            mn=device.options.mn,
            flag=_OLD_FLAG if device.old else _FLAG,
            cp=f"{cp};{also}" if cp and also else cp or also,
        )
        self._open[packet.qn] = asked
        while len(self._open) > _MOST:
            self._open.popitem(last=False)
        return encode_frame(encode(packet), Check.HJ212)

    def _qn(self, wall: int, offset: int) -> str:
        self._last = max(self._last + MILLISECOND, wall)
        return stamp(self._last, offset, thousandths=True)


def _same(asked: _Asked) -> bool:
    try:
        return float(asked.seen or "") == float(asked.value)
    except ValueError:
        return False
