"""The `ctwing` dialect: NB-IoT detectors behind China Telecom's platform (AEP), as it pushes their messages.

Between the `mqtt` driver and the intake; pure (house rule 2). One topic brings the messages of all devices (through a
relay at the station's broker); the envelope says whose it is: `deviceId`, `IMEI`, `productId`, `messageType`
(dataReport, eventReport, commandResponse, deviceOnlineOfflineReport), `timestamp` in ms, `payload`, of transparent
products `payload.APPdata` in base64. The platform repeats what was not answered in time. Options and `decode`: see
`Options`, `_report.py` and `_report_points.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

import msgspec

from drivers._installing import install, options_of
from drivers._json_path import MISSING
from drivers._nb import NbReads, raw_reader
from drivers._payload import Unreadable, message_of
from drivers._report import Plan, Recent
from drivers._report_points import Report
from drivers._times import source_time
from drivers._topics import Pattern
from drivers._values import OFFLINE
from gateway.model.batch import Event, EventCode
from gateway.model.point import AlarmClass, Device, Kind
from gateway.model.ports import Decoded, DialectSetup
from gateway.model.quality import GOOD

_NO_IDS = frozenset({"", "undefined", "null"})  # what the platform writes where it knows none
_ALARMS = {AlarmClass.FIRE: EventCode.FIRE, AlarmClass.GAS: EventCode.GAS, AlarmClass.FLOOD: EventCode.FLOOD}
_LONGEST_KEY = 64
_MOST_ENVELOPES = 1024  # in one message


class Options(NbReads, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a ctwing device.

    Attributes:
        topic: where the platform's messages come, for all devices of a feed the same; may have + and #.
        device_id: the platform's id; `imei`: of the modem. One of them is needed; the first that fits wins.
        product: the platform's productId: how messages of devices that are not installed are read.
        sleeps: it is reported offline between two messages, which says nothing. False: offline is BAD.
    """

    topic: str
    device_id: str = ""
    imei: str = ""
    product: str = ""
    base64: str = "APPdata"
    sleeps: bool = True


OPTIONS = Options


def create(setup: DialectSetup) -> Ctwing:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Ctwing(setup)


@dataclass(slots=True)
class _Installed:
    plan: Plan
    options: Options
    raw: Callable[[object, list[str]], bytes | None]
    recent: Recent = field(default_factory=Recent)


@dataclass(slots=True)
class _Feed:
    pattern: Pattern
    by_id: dict[str, _Installed] = field(default_factory=dict)
    by_imei: dict[str, _Installed] = field(default_factory=dict)
    by_product: dict[str, _Installed] = field(default_factory=dict)

    def of(self, envelope: Mapping[str, object]) -> _Installed | None:
        """Return whose message it is."""
        return self.by_id.get(_id(envelope, "deviceId")) or self.by_imei.get(_id(envelope, "IMEI"))


class Ctwing:
    """All devices of one source behind the platform (port `Dialect`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._feeds: dict[str, _Feed] = {}
        self._topics: dict[str, str] = {}
        self._stranger = setup.source_events
        install(setup, self._install)

    def _install(self, device: Device, ids: Mapping[str, int]) -> None:
        options = options_of(device, Options)
        if not (options.device_id or options.imei):
            raise ValueError("give its device_id or its imei, as the platform shows them")
        pattern = Pattern(options.topic)
        feed = self._feeds.setdefault(pattern.filter, _Feed(pattern))
        known = _Installed(Plan(device, options, ids), options, raw_reader(options))
        for names, name in (
            (feed.by_id, options.device_id),
            (feed.by_imei, options.imei),
        ):
            if name in names:
                raise ValueError(f"{name} is another device's already")
            if name:
                names[name] = known
        feed.by_product.setdefault(options.product, known)
        self._topics[device.id] = pattern.filter

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filter of the device's feed."""
        return (self._topics[device.id],)

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - the port names it
        """Nothing: a sleeping device listens only after it spoke."""
        return ()

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        feeds = [feed for feed in self._feeds.values() if feed.pattern.parts(topic) is not None]
        if not feeds:
            return False
        message = message_of(payload)
        envelopes = message if isinstance(message, list) else [message]
        if len(envelopes) > _MOST_ENVELOPES:
            into.problems.append("too_many_messages")
        for envelope in envelopes[:_MOST_ENVELOPES]:
            if not isinstance(envelope, dict):
                into.problems.append(envelope.value if isinstance(envelope, Unreadable) else "not_json")
                continue
            raw = payload if envelope is message else msgspec.json.encode(envelope)
            devices = [device for feed in feeds if (device := feed.of(envelope)) is not None]
            for device in devices:
                _told(device, envelope, raw, retained=retained, into=into)
            if not devices:
                self._strange(feeds, envelope, raw, retained=retained, into=into)
        return True

    def _strange(
        self, feeds: Sequence[_Feed], envelope: Mapping[str, object], raw: bytes, *, retained: bool, into: Decoded
    ) -> None:
        """A device that no configuration knows: its alarms are "not registered", all else is counted.

        It is read as the installed devices of its product are.
        """
        into.problems.append("unknown_device")
        product = _id(envelope, "productId")
        like = next((found for feed in feeds if (found := feed.by_product.get(product)) is not None), None)
        if like is None or retained or _kind(envelope) not in ("dataReport", "eventReport"):
            return
        said = Decoded()
        like.plan.tell(_report(like, envelope, raw, said.problems), retained=False, into=said)
        key = (_id(envelope, "deviceId") or _id(envelope, "IMEI"))[:_LONGEST_KEY]
        states: dict[int, Event] = {}  # one of each point, whatever number of samples says so
        for point, time, value, quality in said.rows:
            spec = like.plan.specs[point]
            classes = [alarm.alarm_class for alarm in spec.alarms if alarm.alarm_class in _ALARMS]
            if classes and spec.kind is Kind.STATE and value and quality == GOOD:
                code = _ALARMS[min(classes)]
                states[point] = Event(self._stranger, key, code, spec.name, time, raw, registered=False)
        into.events.extend(states.values())
        for event in said.events:
            if event.code in (*_ALARMS.values(), EventCode.PRE_ALARM, EventCode.MANUAL):
                strange = msgspec.structs.replace(event, point=self._stranger, key=key, registered=False)
                into.events.append(strange)


def _told(device: _Installed, envelope: Mapping[str, object], raw: bytes, *, retained: bool, into: Decoded) -> None:
    kind = _kind(envelope)
    if kind in ("dataReport", "eventReport"):
        dated = "timestamp" in envelope
        told = dated or kind == "dataReport"  # an event without a time may happen twice in the same words
        if told and not retained and device.recent.again(hash(raw), dated=dated):
            into.problems.append("repeat")
            into.heard.append(device.plan.point)
            return
        device.plan.tell(_report(device, envelope, raw, into.problems), retained=retained, into=into)
    elif kind == "deviceOnlineOfflineReport" and envelope.get("eventType") in (0, "0") and not device.options.sleeps:
        specs = device.plan.specs
        into.rows.extend((point, 0, *OFFLINE) for point, spec in specs.items() if spec.kind is not Kind.TEXT)
    elif kind not in ("commandResponse", "deviceOnlineOfflineReport"):
        into.problems.append("unknown_event")
    elif not retained and envelope.get("eventType") not in (0, "0"):
        into.heard.append(device.plan.point)


def _report(device: _Installed, envelope: Mapping[str, object], raw: bytes, problems: list[str]) -> Report:
    """Return payload and time; the content of events has a name of its own, and some payloads are JSON in text."""
    fields = envelope.get("payload", envelope.get("eventContent", MISSING))
    if isinstance(fields, str):
        inner = message_of(fields.encode("utf-8", "replace"))
        fields = inner if isinstance(inner, dict | list) else fields
    time = source_time(envelope.get("timestamp"), UTC, "ms") if "timestamp" in envelope else 0
    if time is None:
        problems.append("bad_time")
    return Report(message=raw, time=time or 0, fields=fields, data=device.raw(fields, problems))


def _kind(envelope: Mapping[str, object]) -> str:
    kind = envelope.get("messageType")
    return kind if isinstance(kind, str) else ""


def _id(envelope: Mapping[str, object], name: str) -> str:
    said = envelope.get(name)
    text = said if isinstance(said, str) else str(said) if isinstance(said, int) and abs(said) < 1 << 64 else ""
    return "" if text in _NO_IDS else text
