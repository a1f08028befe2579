"""The `hj212` driver: environmental data loggers and gas monitors that report by HJ 212, over any wire.

Joins the codec (`gateway.protocols.hj212…`) and the devices (`drivers._hj212_device`) in one pure conversation per
peer; `drivers._conversation` does the rest. Keeps house rule 4: data are confirmed (9014) after their commit, inside
the standard's 10 s; what comes with a wrong check is not answered at all, so that it comes again (HJ 212-2017 section
6.6). Editions 2017 and 2005; a packet that calls itself 2025 is read like 2017.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers._conversation import Decoded, Question, Said, Talking, WireOptions, read_options
from drivers._conversation_repeats import LASTING
from drivers._conversation_said import Proof
from drivers._hj212_device import DeviceOptions, Installed, install
from drivers._hj212_events import ALARM, CHINA, alarms, states, tells_states, told_before, unread
from drivers._hj212_requests import Requests
from drivers._installing import install_named
from gateway.model.ports import DriverSetup
from gateway.model.time import MINUTE, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.hj212 import Check, Frame, Frames, Garbage, encode_frame
from gateway.protocols.hj212_packet import Data, Fault, Packet, answer, data_of, encode, mn_of, parse, time_of
from gateway.protocols.hj212_parts import Parts

AGAIN_WITHIN = 60.0  # s in which an alarm whose time proves nothing is a repeat: four sends at 10 s
ANSWER_LIMIT = 5.0  # s; a sender waits 10, on some lines 5
QUIET = 2 * SECOND  # ns after the last byte of a half packet
WHOLE = 15 * SECOND  # ns after the first
DATA = frozenset(("2011", "2021", "2031", "2041", "2051", "2061"))
SETTINGS = frozenset(("1011", "1061", "1063", "1001", "1021", "1031", "1041", "3017", "3018", "3019"))
QUIET_ONES = frozenset(("9013", "9014", "9022"))
LOGIN, HEARTBEAT, ASKS_TIME = "9021", "9015", "1013"


class Options(WireOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "hj212"`: those of its wire."""


OPTIONS = Options
DEVICE_OPTIONS = DeviceOptions


def create(setup: DriverSetup) -> Talking:
    """Build the driver. Raises ConfigError with every problem of the source and its devices."""
    options = read_options(setup, Options)
    stranger = setup.point_ids[f"@{setup.source.id}.events"]
    devices = install_named(
        setup, lambda device, ids: install(device, ids, stranger), "mn", lambda made: made.options.mn
    )
    return Talking(setup, options, lambda _: Hj212(devices, stranger, datagrams=options.wire == "udp"))


class Hj212:
    """The conversation with one peer (port `Conversation`); a logger may speak for many devices."""

    def __init__(self, devices: Mapping[str, Installed], stranger: int, *, datagrams: bool = False) -> None:
        self._devices = devices
        self._stranger = stranger
        self._datagrams = datagrams
        self._frames = Frames()
        self._parts = Parts()
        self._requests = Requests()
        self._begun = self._heard = 0  # ns: first and last byte of the half packet

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Take bytes of the stream, or one datagram."""
        waited = self._frames.pending
        said = self._told(self._frames.feed(data), now, wall)
        while self._datagrams and self._frames.pending:
            said += self._told(self._frames.drop(), now, wall)
        if said or not waited:
            self._begun = now
        self._heard = now
        return said

    def tick(self, now: int, wall: int) -> list[Said]:
        """Give up what does not come."""
        said: list[Said] = []
        if self._frames.pending and self._give_up_at() <= now:
            said = self._told(self._frames.drop(), now, wall)
            self._begun = self._heard = now
        lost = self._parts.expire(now)
        return [*said, Said(decoded=Decoded(problems=["parts_missing"] * lost))] if lost else said

    def due(self) -> int:
        """Return when to give up the half packet, or the parts, that wait."""
        half = self._give_up_at() if self._frames.pending else NEVER
        return min(half, self._parts.due(NEVER))

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> Question | None:
        """Return the request that sets or asks a point of the profile that has `set` or `get`."""
        for installed in self._devices.values():
            if installed.id == device:
                one = next((one for one in installed.fields if one.spec.name == point), None)
                return None if one is None else self._requests.ask(installed, one, value, now, wall)
        return None

    def _give_up_at(self) -> int:
        return min(self._heard + QUIET, self._begun + WHOLE)

    def _told(self, found: list[Frame | Garbage], now: int, wall: int) -> list[Said]:
        return [
            self._frame(one, now, wall)
            if isinstance(one, Frame)
            else Said(decoded=Decoded(problems=[one.reason.value]), frame=one.data)
            for one in found
        ]

    def _frame(self, frame: Frame, now: int, wall: int) -> Said:
        packet = parse(frame.segment)
        if isinstance(packet, Fault):
            sender = self._devices.get(mn_of(frame.segment))
            name = "" if sender is None else sender.id
            return Said(decoded=Decoded(problems=[packet.value]), frame=frame.raw, device=name)
        said = Said(frame=frame.raw, device=packet.mn[:64])
        device = self._devices.get(packet.mn)
        if device is None:
            if frame.check is Check.HJ212:
                self._unknown(packet, said, wall)
            else:
                said.decoded.problems.append("crc")
            return said
        if device.options.password and packet.pw != device.options.password:
            said.device = ""  # who does not know the password is not the device
            said.decoded.problems.append(f"password:{device.id}")
            return said
        said.device = device.id
        if frame.check not in device.checks:
            said.decoded.problems.append("crc")
            return said
        if frame.check is not Check.HJ212:
            said.decoded.problems.append(f"crc_{frame.check}")
        device.st, device.pw = packet.st, packet.pw
        if Fault.BAD_FLAG not in packet.flaws:
            device.old = packet.edition < 2017
        said.decoded.problems += packet.flaws
        self._known(device, packet, said, now, wall)
        if not said.stores and not said.decoded.heard:
            said.decoded.heard.append(device.any_point)
        return said

    def _unknown(self, packet: Packet, said: Said, wall: int) -> None:
        """A device that no configuration knows: its alarms are, its data are counted and not confirmed."""
        said.decoded.problems += ["unknown_device", *packet.flaws]
        if packet.cn == ALARM:
            data = data_of(packet.cp)
            said.decoded.events += alarms(packet, data, None, self._stranger, said.frame)
            said.digest = said.frame if _stamp(packet, data) else b""
            _prove(said, time_of(_stamp(packet, data), CHINA) or 0, wall)
            if packet.wants_answer:
                said.after, said.limit = _reply(packet, "9014"), ANSWER_LIMIT

    def _known(self, device: Installed, packet: Packet, said: Said, now: int, wall: int) -> None:
        data = data_of(packet.cp)
        match packet.cn:
            case "9011" | "9012":
                self._answered(packet, data, said, now, wall)
            case "9021" | "9015" | "1013":
                said.at_once = self._greeting(device, packet, now, wall)
            case cn if cn in QUIET_ONES:
                pass
            case _:
                self._data(device, packet, data, said, now, wall=wall)
                if packet.cn == ALARM:
                    _prove(said, time_of(_stamp(packet, data), device.offset) or 0, wall)
                self._confirm(device, packet, said)

    def _data(self, device: Installed, packet: Packet, data: Data, said: Said, now: int, *, wall: int) -> None:
        decoded = said.decoded
        decoded.problems += ["stray_item"] * data.stray
        time = data.fields.get("DataTime") or data.fields.get("BeginTime", "")
        if packet.parts > 1:
            time, lost = self._parts.add(packet, time, now)
            decoded.problems += ["parts_missing"] * lost
        time = time or _stamp(packet, data)
        said.digest = _digest(device, packet, time, said.frame)
        if packet.cn == ALARM:
            decoded.events += alarms(packet, data, device, device.events, said.frame)
        else:
            moment = device.time(time, decoded.problems)
            decoded.rows += device.rows(packet.cn, data, moment, decoded.problems)
            if tells_states(packet.cp) and not told_before(device, said.digest, now, said.within):
                decoded.events += states(packet.cp, device, moment, said.frame, wall)
            if packet.cn in SETTINGS:
                self._requests.note(device, data)
            if packet.cn not in DATA and not decoded.rows:
                decoded.events.append(unread(packet, device, moment, said.frame))

    def _confirm(self, device: Installed, packet: Packet, said: Said) -> None:
        wanted = {"flag": packet.wants_answer, "always": True, "never": False}[device.options.answer]
        if not wanted:
            return
        if said.stores:
            said.after, said.limit = _reply(packet, "9014"), ANSWER_LIMIT
        else:
            said.at_once = _reply(packet, "9014")  # nothing of it is kept: there is no commit to wait for

    def _greeting(self, device: Installed, packet: Packet, now: int, wall: int) -> bytes:
        if packet.cn == LOGIN:
            wanted = device.options.login_answer
            always = device.options.answer == "always"
            return _reply(packet, wanted) if wanted != "none" and (packet.wants_answer or always) else b""
        if packet.cn == HEARTBEAT:
            return _reply(packet, "9013")
        sets = device.options.set_clock and wall
        return _reply(packet, "9013") + (self._requests.clock(device, now, wall) if sets else b"")

    def _answered(self, packet: Packet, data: Data, said: Said, now: int, wall: int) -> None:
        step = self._requests.heard(packet, data, now, wall)
        if step is None:
            said.decoded.problems.append("unasked")
            return
        said.settles, said.refusal, said.at_once = step.settles, step.refusal, step.send


def _reply(packet: Packet, cn: str) -> bytes:
    return encode_frame(encode(answer(packet, cn)))


def _stamp(packet: Packet, data: Data) -> str:
    """Return when a packet was sent; devices of 2005 often have no QN, but the time of an alarm."""
    return packet.qn or data.fields.get("AlarmTime", "")


def _prove(said: Said, time: int, wall: int) -> None:
    """Say what the same alarm once more proves: with a wrong clock a second one may be told in the same bytes."""
    if time and wall and abs(time - wall) <= MINUTE:
        said.proof, said.within = Proof.TIME, LASTING / SECOND
    else:
        said.proof, said.within = Proof.NOTHING, AGAIN_WITHIN


def _digest(device: Installed, packet: Packet, time: str, raw: bytes) -> bytes:
    """Recognise a repeat: the same bytes with the same stamp. Of a device whose stamp stands still nothing is one."""
    stamp = f"{packet.cn}/{packet.qn or time}/{packet.part}"
    if Fault.BAD_PARTS not in packet.flaws:  # else nobody knows which part it is
        if stamp == device.stamp and raw != device.last:
            device.repeats_stamps = True
        device.stamp, device.last = stamp, raw
    return b"" if device.repeats_stamps or not time else raw
