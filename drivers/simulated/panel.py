"""A simulated fire panel on its serial output: tells events in a dialect, answers polls, repeats what is not answered.

Pure, for demo, `simulate` and tests: frames are made by the dialect's own `encode`, so what is heard can be compared
with what was said (house rule 9). Faults can be set at any time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gateway.protocols.panel_words import Heard, Stream
from gateway.protocols.panels import fs5101w, gst5000, gst_crt, jb3208, jbf193k, ld128e

COPIES = 3  # of every frame on the GST5000 broadcast line
_TALKS = frozenset(("gst5000", "gst_crt", "jbf11sf", "jbf193k", "gst9000_printer"))


@dataclass(slots=True)
class PanelFault:
    """What is wrong with a panel just now: `flip` inverts a bit of every frame, `cut` loses bytes at its end."""

    flip: int | None = None
    cut: int = 0
    noise: bytes = b""
    silent: bool = False


@dataclass(slots=True)
class SimulatedPanel:
    """A panel. `told`: frames that wait to be asked for, or to be answered. A GST CRT talks until it is polled."""

    dialect: str
    address: int = 1
    fault: PanelFault = field(default_factory=PanelFault)
    told: deque[bytes] = field(default_factory=deque)
    answered: int = 0
    polled: bool = False
    _asked: bytes = b""  # what was last answered to a poll, until it is thanked for

    def tell(self, frame: bytes) -> bytes:
        """Tell an event; return what goes on the line at once, b"" where the panel waits to be polled or polls."""
        if self.dialect in _TALKS and not self.polled:
            return self._spoilt(frame) * (COPIES if self.dialect == "gst5000" else 1)
        self.told.append(frame)
        return b""

    def idle(self) -> bytes:
        """Return what a panel says when it has nothing to say, or what it asks."""
        match self.dialect:
            case "gst5000":
                return self._spoilt(gst5000.encode(gst5000.IDLE))
            case "jbf193k":
                return self._spoilt(jbf193k.POLL)
            case "fs5101w":
                frame = self.told.popleft() if self.told else fs5101w.encode(self.address, fs5101w.POLL)
                return self._spoilt(frame)
            case "jb3208":
                return self._spoilt(self.told[0] if self.told else jb3208.encode(self.address, jb3208.POLL))
        return b""

    def hear(self, data: bytes) -> bytes:
        """Take what the gateway sends; return the answer to a poll."""
        if self.dialect == "gst_crt":
            return b"".join(self._exchange(byte) for byte in data)
        if self.dialect == "ld128e":
            polls = data.count(ld128e.SETTINGS.poll)
            return b"".join(self._spoilt(self._next(bytes((ld128e.IDLE,)))) for _ in range(polls))
        if self.dialect == "jbf193k":
            return b"".join(self._spoilt(self._next(jbf193k.POLL)) for _ in range(data.count(jbf193k.POLL)))
        if self.dialect == "jb3208":
            stream = Stream(jb3208.read, jb3208.BEGIN)
            for found in stream.feed(data):
                if isinstance(found, Heard):
                    self.answered += 1
                    self._next(b"")
        if self.dialect == "fs5101w" and data:
            self.answered += 1
        return b""

    def _exchange(self, byte: int) -> bytes:
        """Echo the address; tell one frame, again until it is thanked for (a first byte of FD, FE or FA says so)."""
        if byte == self.address:
            self.polled = True
            return b"" if self.fault.silent else bytes((byte,))
        if bytes((byte,)) == gst_crt.SETTINGS.taken and self._asked:
            self.answered += 1
            if self._asked != gst_crt.NOTHING:
                self.told.popleft()
            self._asked = b""
        if bytes((byte,)) == gst_crt.SETTINGS.poll and self.polled:
            frame = self.told[0] if self.told else gst_crt.NOTHING
            frame, self._asked = gst_crt.again(frame) if frame == self._asked else frame, frame
            return self._spoilt(frame)
        return b""

    def _next(self, otherwise: bytes) -> bytes:
        return self.told.popleft() if self.told else otherwise

    def _spoilt(self, frame: bytes) -> bytes:
        if self.fault.silent:
            return b""
        if self.fault.flip is not None:
            place = self.fault.flip % (len(frame) * 8)
            frame = (int.from_bytes(frame, "little") ^ 1 << place).to_bytes(len(frame), "little")
        return self.fault.noise + (frame[: -self.fault.cut] if self.fault.cut else frame)
