"""The conversation with one SL 651 peer: a station on a line, or many behind one connection. Pure.

Between `drivers/sl651.py` and the codec (`gateway.protocols.sl651…`); a station's own reading is in
`drivers._sl651_device`. Keeps house rule 4 (reports are confirmed after their commit, with the serial number of the
report) and section 11: a frame with a wrong CRC is not answered, so that the station sends it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drivers._conversation import Decoded, Question, Said
from drivers._sl651_device import READINGS, DeviceOptions, Installed, element_text
from drivers._sl651_said import LONGEST_TEXT, report_events, stranger_event
from gateway.model.time import MINUTE, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols import sl651
from gateway.protocols.sl651 import ACK, EOT, ESC, ETB, NAK, REPORTS, Coding, Frame, Function
from gateway.protocols.sl651_body import read
from gateway.protocols.sl651_frames import Frames, Garbage
from gateway.protocols.sl651_message import Body, Element
from gateway.protocols.sl651_packets import Packets, Report
from gateway.protocols.sl651_times import NO_TIME
from gateway.protocols.sl651_writing import question

QUIET = 5 * SECOND  # after the last byte of half a frame; a radio may pause inside one
WHOLE = 60 * SECOND  # after its first: 4 KB at 1 200 baud take 37 s
PACKET_WAIT = 30 * SECOND
ASK_TRIES = 2  # for packets that did not come
ASKED_AT_ONCE = 16
CLOCK_LIMIT = 5 * MINUTE  # an error above is set twice (section 6.6.4)
_ENDS = {"ESC": ESC, "EOT": EOT, "ACK": ACK}
_UNDATED = 60.0  # s in which the same bytes without a send time are a repeat


class Talk:
    """The conversation with one peer (port `Conversation`). `stranger`: event point of unknown stations."""

    def __init__(
        self, devices: Mapping[str, Installed], stranger: int, *, coding: Coding | None = None, datagrams: bool = False
    ) -> None:
        self._devices = devices
        self._named = {each.id: each for each in devices.values()}
        self._stranger = stranger
        self._datagrams = datagrams
        self._frames = Frames(coding)
        self._packets = Packets(PACKET_WAIT)
        self._last: dict[str, Frame] = {}  # what each configured station sent last
        self._asked: dict[tuple[str, int], Question] = {}
        self._set_again: set[str] = set()
        self._first = self._half_due = 0

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Take bytes of the stream, or one datagram."""
        waited = self._frames.pending
        found = self._frames.feed(data)
        while self._datagrams and self._frames.pending:
            found += self._frames.drop()
        if found or not waited:
            self._first = now
        self._half_due = min(now + QUIET, self._first + WHOLE)
        return [said for each in found for said in self._said(each, now, wall)]

    def tick(self, now: int, wall: int) -> list[Said]:
        """Give half a frame up; ask for packets that did not come, or do without them."""
        found: list[Said] = []
        if self._frames.pending and self._half_due <= now:
            for each in self._frames.drop():
                found += self._said(each, now, wall)
            self._first, self._half_due = now, now + QUIET
        for report in self._packets.lacking(now, ASK_TRIES):
            found += self._ask_missing(report, wall)
        for report in self._packets.over(now):
            found.append(self._report(report, wall))
        return found

    def due(self) -> int:
        """Return when `tick` has something to do."""
        return min(self._half_due if self._frames.pending else NEVER, self._packets.due)

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> Question | None:  # noqa: ARG002 - port
        """Return how a station is asked; None when it has no such output, or not this value."""
        station = self._named.get(device)
        ask = None if station is None else station.asks.get(point)
        if station is None or ask is None:
            return None
        heard = self._last.get(station.address) or _unheard(station)
        frame = ask.frame(heard, value, self._local(station, wall))
        if frame is None:
            return None
        setting = frame.function == Function.SET_CLOCK  # its time must not be sent a second time
        asked = Question(data=sl651.encode(frame), limit=20.0 if setting else 10.0, tries=1 if setting else 2)
        self._asked[station.address, frame.function] = asked
        return asked

    # -- what is heard

    def _said(self, found: Frame | Garbage, now: int, wall: int) -> Iterable[Said]:
        if isinstance(found, Garbage):
            return (Said(decoded=Decoded(problems=[found.reason.value]), frame=found.data),)
        if found.down:  # of another centre on the line, or our own echo
            return (Said(decoded=Decoded(problems=["downlink"]), frame=found.raw),)
        if not found.total:
            return (self._report(Report(frame=found, total=0), wall),)
        reports = self._packets.add(found, now)
        if reports:
            return [self._report(report, wall) for report in reports]
        return (self._heard(found),)

    def _heard(self, frame: Frame) -> Said:
        station = self._devices.get(frame.station)
        if station is None:
            return Said(device=frame.station)
        if station.refuses(frame):
            _refuse(station, frame, refused := Decoded(), told=False)
            return Said(decoded=refused, device=frame.station)
        self._last[frame.station] = frame
        return Said(decoded=Decoded(heard=[station.point]), device=station.id)

    def _report(self, report: Report, wall: int) -> Said:
        frame = report.frame
        body = read(frame)
        station = self._devices.get(frame.station)
        decoded = Decoded(problems=list(body.problems))
        raw = frame.body if report.total else frame.raw
        said = Said(decoded=decoded, frame=raw, device=frame.station if station is None else station.id)
        alive = frame.function == Function.LINK  # nothing but a sign of life
        if not alive:
            said.digest = frame.station.encode() + bytes((frame.function,)) + frame.body
            said.within = said.within if body.sent else _UNDATED
        if station is None:
            self._strange(frame, body, decoded)
        elif station.refuses(frame):
            said.device = frame.station  # who does not know the password is not the station
            _refuse(station, frame, decoded, told=not alive)
        else:
            self._last[frame.station] = frame
            decoded.heard.append(station.point)
            station.take_clock(body.sent, wall, decoded)
            if not alive:
                unread = self._share(frame, body.elements, decoded) if frame.function in READINGS else []
                report_events(station, report, body, unread, decoded)
                self._answer(station, report, body, wall, said)
        return said

    def _strange(self, frame: Frame, body: Body, into: Decoded) -> None:
        """Take the report of a station that no configuration knows; the ones it speaks for may be known."""
        named = {element.station for element in body.elements}
        if frame.function in READINGS and named & self._devices.keys():
            self._share(frame, body.elements, into)
        else:
            into.problems.append("unknown_station")
            if frame.function != Function.LINK:
                into.events.append(stranger_event(frame, body, self._stranger))

    def _share(self, frame: Frame, elements: tuple[Element, ...], into: Decoded) -> list[Element]:
        """Append what a report says of each station; return what no point takes of the one that sent it."""
        unread: list[Element] = []
        for number, own in _by_station(elements, frame.station):
            speaker = self._devices.get(number)
            if speaker is None:
                into.problems.append("unknown_station")
                into.events.append(stranger_event(frame, Body(elements=own), self._stranger, number))
            elif speaker.refuses(frame):
                _refuse(speaker, frame, into, told=True)
            elif number == frame.station:
                unread = speaker.take(own, into)
            elif text := "; ".join(map(element_text, speaker.take(own, into))):
                speaker.tell(text[:LONGEST_TEXT], frame.raw, into)
        return unread

    # -- what is answered

    def _answer(self, station: Installed, report: Report, body: Body, wall: int, said: Said) -> None:
        frame, options = report.frame, station.options
        self._settle(station, frame, body, wall, said)
        if body.serial < 0 or report.missing:
            return  # not confirmed: it comes again
        confirms = options.mode in ("M2", "M3") and frame.function in REPORTS
        if not confirms and not (options.confirm_answers and frame.function not in REPORTS):
            return
        end = _end(options, more=frame.end == ETB and not report.total)
        if end:
            said.after = sl651.encode(self._confirmation(station, report, body, wall, end))

    def _confirmation(self, station: Installed, report: Report, body: Body, wall: int, end: int) -> Frame:
        """Serial number of the report and our time; while we have none, the station's own."""
        local = self._local(station, wall) or body.sent or NO_TIME
        return _packet(
            question(report.frame, report.frame.function, local, serial=body.serial, end=end),
            report.total,
            report.total,
        )

    def _settle(self, station: Installed, frame: Frame, body: Body, wall: int, said: Said) -> None:
        """Note that a question is answered; a clock that is still far off is set a second time."""
        asked = self._asked.get((frame.station, frame.function))
        if asked is None:
            return
        if frame.function == Function.SET_CLOCK and wall and body.sent:
            error = abs(body.sent - self._local(station, wall))
            if error > CLOCK_LIMIT and station.id not in self._set_again:
                self._set_again.add(station.id)
                said.at_once = sl651.encode(question(frame, frame.function, self._local(station, wall)))
                return
            if error > CLOCK_LIMIT:
                said.refusal = f"its clock is still {error // SECOND} s off"
        self._set_again.discard(station.id)
        self._asked.pop((frame.station, frame.function), None)
        said.settles = asked

    def _ask_missing(self, report: Report, wall: int) -> list[Said]:
        """One NAK for each packet that did not come, some at once."""
        station = self._devices.get(report.frame.station)
        if station is None or not station.options.ask_missing or station.options.mode in ("M1", "M4"):
            return []
        serial = max(read(report.frame).serial, 0)
        local = self._local(station, wall) or NO_TIME
        nak = question(report.frame, report.frame.function, local, serial=serial, end=NAK)
        frames = [_packet(nak, report.total, number) for number in report.missing[:ASKED_AT_ONCE]]
        decoded = Decoded(problems=["packets_asked_again"])
        return [Said(decoded=decoded, at_once=b"".join(map(sl651.encode, frames)), device=station.id)]

    def _local(self, station: Installed, wall: int) -> int:
        """Our time on the station's clock, 0 when it is not to be trusted."""
        return wall + station.offset if wall else 0


def _refuse(station: Installed, frame: Frame, into: Decoded, *, told: bool) -> None:
    """Count a wrong password. Which one is not told: it may be the station's right one, and this configuration old."""
    into.problems.append(f"wrong_password:{station.id}")
    if told:
        station.tell("密码错误 wrong password", frame.raw, into)


def _packet(frame: Frame, total: int, sequence: int) -> Frame:
    """Return a frame with the packet numbers of what it answers."""
    return sl651.numbered(frame, total, sequence) if total else frame


def _end(options: DeviceOptions, *, more: bool) -> int:
    """The end mark of an answer, 0 for no answer."""
    return _ENDS.get(options.etb_answer, 0) if more else _ENDS[options.answer_end]


def _by_station(elements: tuple[Element, ...], first: str) -> list[tuple[str, tuple[Element, ...]]]:
    """Return elements by the station they belong to; one station, the usual case, costs nothing."""
    if all(element.station == first for element in elements):
        return [(first, elements)]
    names = dict.fromkeys(element.station for element in elements)
    return [(name, tuple(element for element in elements if element.station == name)) for name in names]


def _unheard(station: Installed) -> Frame:
    """Stands in for what a station sent last, while it has sent nothing."""
    options = station.options
    return Frame(
        function=Function.LINK,
        body=b"",
        end=ETB,
        station=station.address,
        centre=options.centre,
        password=options.password.upper() or "0000",
        coding=Coding(options.coding),
    )
