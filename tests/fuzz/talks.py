"""Conversations of the drivers on a wire, with one installed device of each shipped profile.

An input is raw bytes (first byte even) or messages parted by `SEPARATOR`, each put into a frame whose checks are right
(first byte odd): so what stands behind a check is reached as well. Then time passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from drivers import _profiles
from drivers._conversation import Conversation, Said, Talking
from drivers._panel_device import dialects
from gateway import registry
from gateway.clock import SECOND, SystemClock
from gateway.model.batch import Event
from gateway.model.point import Device, Profile
from gateway.model.ports import Decoded, DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.verdict import NEVER
from gateway.protocols import gb26875, hj212, sl651
from gateway.protocols.hj212_packet import Fault, parse
from gateway.protocols.sl651_frames import Frames as Sl651Frames
from gateway.protocols.uart import checksum
from tests.channel_rigs import Notes
from tests.fuzz.feeding import SEPARATOR, Decoder, fits, pieces
from tests.fuzz.panel_seals import SEALED, Seal, panel_frame
from tests.fuzz.streams import GB_FRAMES, HJ_PACKETS, PANEL_FRAMES, SL_FRAMES, UART_FRAMES

WALL = 1_790_000_000 * SECOND
_TICKS = 4
_AT_ONCE = 5  # ticks at one time, at most
_STATIONS = ("0000000001", "0000000002", "0012345678", "00ABCDEF01")
PROFILES = [_profiles.profile(name) for name in _profiles.names()]
NOT_ON_A_WIRE = {"gpio", "modbus_rtu", "modbus_tcp", "mqtt"}  # polled by `modbus reply`, or read by dialects
Check = Callable[[bytes], bool]


def driver(name: str, profiles: Sequence[Profile], options: Callable[[int], dict[str, Any]], wire: str) -> Talking:
    """Return a driver with one device of each profile, numbered from 1."""
    devices = [
        Device(id=profile.id, source="s", profile=profile, options=options(number))
        for number, profile in enumerate(profiles, 1)
    ]
    points = [f"{device.id}.{spec.name}" for device in devices for spec in device.profile.points]
    notes = Notes()
    setup = DriverSetup(
        source=SourceSpec(id="s", driver=name, options={"wire": wire, "port": 1 if wire != "serial" else "/dev/null"}),
        devices=devices,
        point_ids={"@s.events": 0, **{point: number for number, point in enumerate(points, 1)}},
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=notes,
        report=notes,
    )
    made: Talking = registry.driver(name).create(setup)
    return made


@dataclass(slots=True)
class Talks:
    """A driver of one kind, as long as it lives; every input is said by a new peer, every other one in pieces.

    `seal` puts bytes into a frame, `answers` says whether what was sent can be read by the far end.
    """

    make: Callable[[], Talking]
    seal: Seal
    answers: Check
    driver: Talking | None = None

    def renew(self) -> None:
        """Forget what was heard."""
        self.driver = self.make()

    def feed(self, data: bytes) -> None:
        """Hear an input."""
        if self.driver is None:
            self.renew()
        assert self.driver is not None
        stream, now = self.stream(data), SECOND
        talk = self.driver.talk("192.0.2.1:1")
        parts = pieces(stream, data) if len(data) % 2 else [stream]
        said = [one for part in parts for one in talk.hear(part, now, WALL)]
        self._check([*said, *self._later(talk, now)])

    def same_in_pieces(self, inputs: Sequence[bytes]) -> None:
        """Two drivers hear the same, one whole and one in pieces: both tell the same."""
        whole, other = self.make(), self.make()
        for data in inputs:
            stream = self.stream(data)
            said = whole.talk("192.0.2.1:1").hear(stream, SECOND, WALL)
            talk = other.talk("192.0.2.1:1")
            assert _stored(said) == _stored(
                [one for part in pieces(stream, data) for one in talk.hear(part, SECOND, WALL)]
            )

    def stream(self, data: bytes) -> bytes:
        """Return the bytes on the wire."""
        if not data or not data[0] % 2:
            return data[1:]
        return b"".join(map(self.seal, data[1:].split(SEPARATOR)))

    def _later(self, talk: Conversation, now: int) -> list[Said]:
        """Let time pass until nothing is due, or for some turns."""
        said, same = [], 0
        for _ in range(_TICKS):
            due = talk.due()
            if due == NEVER:
                break
            same = same + 1 if due <= now else 0
            assert same < _AT_ONCE, "it wants to be called again and again"
            now = max(now, due)
            said += talk.tick(now, WALL)
        return said

    def _check(self, said: Sequence[Said]) -> None:
        told = Decoded()
        for one in said:
            told.rows += one.decoded.rows
            told.events += one.decoded.events
            told.heard += one.decoded.heard
            told.problems += one.decoded.problems
            assert len(one.device.encode()) <= 256
            assert not one.late or one.limit
            for sent in (one.at_once, one.after, one.late):
                assert not sent or self.answers(sent), f"the far end cannot read {sent!r}"
        fits(told)


def _stored(said: Sequence[Said]) -> list[tuple[str, str, list[Event]]]:
    """Return what is stored; rows as text, because no NaN equals another."""
    return [(one.device, repr(one.decoded.rows), one.decoded.events) for one in said if one.stores]


# -- frames around bytes


def gb26875_frame(part: bytes) -> bytes:
    """Command, address, then the unit."""
    head = part[:2].ljust(2, b"\0")
    return gb26875.encode_frame(
        gb26875.Frame(serial=len(part), command=head[0], source=head[1] % 5, unit=part[2 : 2 + gb26875.UNIT_LIMIT])
    )


def hj212_frame(part: bytes) -> bytes:
    """Which check, then the segment."""
    checks = list(hj212.Check)
    return hj212.encode_frame(part[1 : 1 + hj212.LONGEST], checks[part[0] % len(checks)] if part else hj212.Check.HJ212)


def sl651_frame(part: bytes) -> bytes:
    """Bits (coding, direction, packets), function, station, end mark, then the body."""
    bits, function, station, end, *_ = part[:4].ljust(4, b"\0")
    down = bool(bits & 2)
    ends = sorted(sl651.DOWN_ENDS if down else sl651.UP_ENDS)
    frame = sl651.Frame(
        coding=sl651.Coding.ASCII if bits & 1 else sl651.Coding.HEX,
        down=down,
        function=function,
        station=_STATIONS[station % len(_STATIONS)],
        end=ends[end % len(ends)],
        body=part[4:4000],
        total=(bits >> 3 & 7) + 1 if bits & 4 else 0,
        sequence=(bits >> 6) + 1 if bits & 4 else 0,
    )
    with suppress(ValueError):  # a packet number above its total, an empty body
        return sl651.encode(frame)
    return part


def uart_frame(part: bytes) -> bytes:
    """Return a frame of Winsen's; of the others the sum is soon hit."""
    body = part[:7].ljust(7, b"\0")
    return b"\xff" + body + bytes((checksum(body),)) + part[7:]


# -- what the far ends can read


def gb26875_reads(sent: bytes) -> bool:
    """Whole frames and nothing else."""
    splitter = gb26875.Frames()
    return all(isinstance(one, gb26875.Frame) for one in splitter.feed(sent)) and not splitter.pending


def hj212_reads(sent: bytes) -> bool:
    """Whole packets that can be parsed."""
    splitter = hj212.Frames()
    found = splitter.feed(sent)
    return bool(found) and all(
        isinstance(one, hj212.Frame) and not isinstance(parse(one.segment), Fault) for one in found
    )


def sl651_reads(sent: bytes) -> bool:
    """Whole frames that go down."""
    splitter = Sl651Frames()
    return all(isinstance(one, sl651.Frame) and one.down for one in splitter.feed(sent)) and not splitter.pending


def anything(_sent: bytes) -> bool:
    """Answers of panels are bytes and tables, questions to sensors constants."""
    return True


# -- seeds: raw frames, and the same as messages to be sealed


def _gb26875_parts() -> list[bytes]:
    return [
        bytes((one.command, one.source % 5)) + one.unit
        for frame in GB_FRAMES
        for one in gb26875.Frames().feed(frame)
        if isinstance(one, gb26875.Frame)
    ]


def _hj212_parts() -> list[bytes]:
    found = [one for packet in HJ_PACKETS for one in hj212.Frames().feed(packet) if isinstance(one, hj212.Frame)]
    return [b"\0" + _renamed(one.segment) for one in found]


def _renamed(segment: bytes) -> bytes:
    """Let it be of the first installed device."""
    before, mark, behind = segment.partition(b"MN=")
    return before + mark + b"1" + behind[behind.find(b";") :] if mark else segment


def _sl651_parts() -> list[bytes]:
    found = [one for frame in SL_FRAMES for one in Sl651Frames().feed(frame) if isinstance(one, sl651.Frame)]
    return [bytes((one.down << 1, one.function, 0, 0)) + one.body for one in found]


def _inputs(raw: Sequence[bytes], parts: Sequence[bytes]) -> list[bytes]:
    joined = [SEPARATOR.join(parts[:3])] if parts else []
    return [b"\0" + one for one in raw] + [b"\1" + one for one in [*parts, *joined]]


def _decoder(talks: Talks, seeds: Sequence[bytes], covers: Sequence[str]) -> Decoder:
    return Decoder(talks.feed, seeds, renew=talks.renew, covers=covers, in_pieces=talks.same_in_pieces)


def _of(name: str) -> list[Profile]:
    return [profile for profile in PROFILES if profile.driver == name]


def _panel(name: str) -> Decoder:
    profiles = [profile for profile in _of("panel_serial") if profile.options["dialect"] == name]
    talks = Talks(
        lambda: driver("panel_serial", profiles, lambda _: {}, "tcp_server"), seal=panel_frame(name), answers=anything
    )
    return _decoder(talks, _inputs(PANEL_FRAMES[name], SEALED.get(name, [])), ["panel_serial"])


def _uart(profile: Profile) -> Decoder:
    sensor = profile.options["sensor"]
    talks = Talks(
        lambda: driver("uart", [profile], lambda _: {}, "serial"),
        seal=uart_frame if sensor == "winsen" else bytes,
        answers=anything,
    )
    return _decoder(talks, _inputs(UART_FRAMES[sensor], [frame[1:] for frame in UART_FRAMES[sensor]]), ["uart"])


DECODERS: dict[str, Decoder] = {
    "gb26875 talk": _decoder(
        Talks(
            lambda: driver("gb26875", _of("gb26875"), lambda number: {"address": number}, "tcp_server"),
            seal=gb26875_frame,
            answers=gb26875_reads,
        ),
        _inputs(GB_FRAMES[:4], _gb26875_parts()),
        ["gb26875", "gb26875_units", "gb26875_objects", "gb26875_tables"],
    ),
    "hj212 talk": _decoder(
        Talks(
            lambda: driver("hj212", _of("hj212"), lambda number: {"mn": str(number), "crc": "tolerant"}, "tcp_server"),
            seal=hj212_frame,
            answers=hj212_reads,
        ),
        _inputs(HJ_PACKETS[:4], _hj212_parts()),
        ["hj212", "hj212_codes", "hj212_packet", "hj212_parts"],
    ),
    "sl651 talk": _decoder(
        Talks(
            lambda: driver("sl651", _of("sl651"), lambda number: {"address": _STATIONS[number - 1]}, "tcp_server"),
            seal=sl651_frame,
            answers=sl651_reads,
        ),
        _inputs(SL_FRAMES[:4], _sl651_parts()),
        [
            "sl651",
            *(f"sl651_{part}" for part in ("ascii", "body", "elements", "message", "packets", "times", "writing")),
        ],
    ),
    **{f"panel {name} talk": _panel(name) for name in dialects()},
    **{f"{profile.id} talk": _uart(profile) for profile in _of("uart")},
}
