"""Sensors that own a UART line: Winsen's 9-byte frames, DYP ultrasonic distance, Megatec UPS; bytes ↔ named figures.

Pure codecs under `drivers.uart`. Winsen: `FF … checksum`, the checksum being the two's complement of the sum of bytes 1
to 7 (manuals of MH-Z19B, ZE07-CO, ZC05). DYP: `FF high low sum` in mm (DYP-A02YYUW). Megatec: `Q1`, answered by one
line of figures and eight bits. Whatever does not fit is counted by a closed reason and costs at most itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

LONGEST_LINE = 80
VALUE = 0x86  # Winsen's command that asks for the value
_START = 0xFF
_HOST = 1  # stands before a command
_COMMANDS = 0x78  # and above; gases are below


class Refused(StrEnum):
    """Why bytes were no frame."""

    CHECKSUM = "checksum"
    GARBAGE = "garbage"
    FORMAT = "format"


@dataclass(frozen=True, slots=True)
class Told:
    """One frame: its bytes and its figures by name."""

    raw: bytes
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Unfit:
    """Bytes that belong to no frame."""

    raw: bytes
    reason: Refused


class Ear(Protocol):
    """Collects bytes until frames stand among them; bounded, whatever comes."""

    pending: bytes  # begins a frame that is not whole

    def feed(self, data: bytes) -> list[Told | Unfit]:
        """Take bytes; return what they complete, in order."""

    def drop(self) -> list[Told | Unfit]:
        """Give up a half frame."""


class _Fixed:
    """Frames of one length behind 0xFF: a wrong one costs a byte, and the next start is looked for."""

    def __init__(self, size: int, fits: Callable[[bytes], bool], figures: Callable[[bytes], dict[str, float]]) -> None:
        self.pending = b""
        self._size = size
        self._fits = fits
        self._figures = figures

    def feed(self, data: bytes) -> list[Told | Unfit]:
        buffer, self.pending = self.pending + data, b""
        found: list[Told | Unfit] = []
        place = lost = 0
        while place < len(buffer):
            start = buffer.find(_START, place)
            place = len(buffer) if start < 0 else start
            frame = buffer[place : place + self._size]
            if len(frame) < self._size:
                break
            if self._fits(frame):
                found += self._unfit(buffer[lost:place])
                found.append(Told(frame, self._figures(frame)))
                place += self._size
                lost = place
            else:
                place += 1
        found += self._unfit(buffer[lost:place])
        self.pending = buffer[place:]
        return found

    def drop(self) -> list[Told | Unfit]:
        lost, self.pending = self.pending, b""
        return [*self._unfit(lost[:1]), *self.feed(lost[1:])]

    def _unfit(self, lost: bytes) -> list[Told | Unfit]:
        if not lost:
            return []
        whole = lost[0] == _START and len(lost) >= self._size
        return [Unfit(lost, Refused.CHECKSUM if whole else Refused.GARBAGE)]


def winsen() -> Ear:
    """Return an ear for Winsen's frames.

    Figures of an answer (byte 1 is the command): `command`; where that asks for the value (0x86) also `value` (bytes 2
    and 3) and `temperature` (byte 4 less 40, of MH-Z19B). Of what is sent unasked: `gas`, `unit`, `decimals`, `value`
    and `full_scale` with the decimals applied. Of what a host says, as an adapter may echo it: `question`.
    """
    return _Fixed(9, lambda frame: frame[8] == checksum(frame[1:8]), _winsen)


def checksum(body: bytes) -> int:
    """Return Winsen's checksum over bytes 1 to 7."""
    return -sum(body) & 0xFF


def winsen_command(command: int, *arguments: int) -> bytes:
    """Return a command to a Winsen sensor: `winsen_command(0x86)` asks for the value."""
    body = bytes((1, command, *arguments)).ljust(7, b"\0")
    return bytes((_START,)) + body + bytes((checksum(body),))


def winsen_answer(command: int, value: int, *rest: int) -> bytes:
    """Return what a sensor answers to a question."""
    body = bytes((command, value >> 8, value & 0xFF, *rest)).ljust(7, b"\0")
    return bytes((_START,)) + body + bytes((checksum(body),))


def winsen_upload(gas: int, unit: int, decimals: int, value: int, full_scale: int) -> bytes:
    """Return what a sensor sends unasked; value and full scale as they stand there, without decimals."""
    body = bytes((gas, unit, decimals, value >> 8, value & 0xFF, full_scale >> 8, full_scale & 0xFF))
    return bytes((_START,)) + body + bytes((checksum(body),))


def _winsen(frame: bytes) -> dict[str, float]:
    if frame[1] == _HOST and frame[2] >= _COMMANDS:
        return {"question": frame[2]}
    if frame[1] >= _COMMANDS:
        if frame[1] != VALUE:  # "done", perhaps: what stands there is no concentration
            return {"command": frame[1]}
        return {"command": VALUE, "value": frame[2] << 8 | frame[3], "temperature": frame[4] - 40}
    tens = 10 ** -(frame[3] & 0x0F)
    figures = {"gas": frame[1], "unit": frame[2], "decimals": frame[3] & 0x0F}
    value, full = frame[4] << 8 | frame[5], frame[6] << 8 | frame[7]
    return {**figures, "value": round(value * tens, 9), "full_scale": round(full * tens, 9)}


def dyp() -> Ear:
    """Return an ear for DYP's distance: `value` in mm."""
    return _Fixed(4, lambda frame: sum(frame[:3]) & 0xFF == frame[3], lambda frame: {"value": frame[1] << 8 | frame[2]})


def dyp_frame(distance: int) -> bytes:
    """Return the frame that tells a distance, mm."""
    body = bytes((_START, distance >> 8, distance & 0xFF))
    return body + bytes((sum(body) & 0xFF,))


MEGATEC = ("input", "fault_input", "output", "load", "frequency", "battery", "temperature")
MEGATEC_BITS = ("beeper", "stopping", "testing", "line_interactive", "failed", "bypass", "battery_low", "mains_lost")
MEGATEC_QUESTION = b"Q1\r"


class _Megatec:
    """Lines `(208.4 140.0 208.4 034 59.9 2.05 35.0 00110000` with CR; a bracket begins one wherever it stands."""

    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> list[Told | Unfit]:
        *lines, rest = (self.pending + data).replace(b"\n", b"\r").split(b"\r")
        found = [one for line in lines for one in _lines(line)]
        begin = max(rest.rfind(b"("), 0)
        if len(rest) - begin > LONGEST_LINE:
            begin = len(rest)
        if begin:
            found.append(Unfit(rest[:begin], Refused.GARBAGE))
            rest = rest[begin:]
        self.pending = rest
        return found

    def drop(self) -> list[Told | Unfit]:
        lost, self.pending = self.pending, b""
        return [Unfit(lost, Refused.GARBAGE)] if lost else []


def megatec() -> Ear:
    """Return an ear for a UPS: figures `MEGATEC`, and `MEGATEC_BITS` as 0 or 1, the lowest bit first.

    A figure that the UPS does not measure (`--.-`) is left out.
    """
    return _Megatec()


def megatec_line(figures: dict[str, float]) -> bytes:
    """Return the line of a UPS."""
    bits = "".join(str(int(figures.get(name, 0))) for name in reversed(MEGATEC_BITS))
    return ("(" + " ".join(f"{figures.get(name, 0):g}" for name in MEGATEC) + f" {bits}\r").encode()


def _lines(line: bytes) -> list[Told | Unfit]:
    begin = line.rfind(b"(")
    if begin < 0:
        return [Unfit(line, Refused.GARBAGE)] if line else []
    return [*([Unfit(line[:begin], Refused.GARBAGE)] if begin else []), _line(line[begin:])]


def _line(line: bytes) -> Told | Unfit:
    *texts, bits = line[1:].split() or [b""]
    if len(line) > LONGEST_LINE or len(texts) != len(MEGATEC) or len(bits) != len(MEGATEC_BITS):
        return Unfit(line, Refused.FORMAT)
    if any(not _NUMBER.issuperset(text) for text in texts) or set(bits) - set(b"01"):
        return Unfit(line, Refused.FORMAT)
    try:
        named = zip(MEGATEC, texts, strict=True)
        figures = {name: float(text) for name, text in named if not _UNMEASURED.issuperset(text)}
    except ValueError:
        return Unfit(line, Refused.FORMAT)
    states = {name: float(bit - ord("0")) for name, bit in zip(reversed(MEGATEC_BITS), bits, strict=True)}
    return Told(line + b"\r", figures | states)


_NUMBER = frozenset(b"0123456789.-")
_UNMEASURED = frozenset(b".-")
EARS: dict[str, Callable[[], Ear]] = {"winsen": winsen, "dyp": dyp, "megatec": megatec}
FIGURES = {
    "winsen": ("value", "full_scale", "temperature", "gas", "unit", "decimals"),
    "dyp": ("value",),
    "megatec": (*MEGATEC, *MEGATEC_BITS),
}
