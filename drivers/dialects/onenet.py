"""The `onenet` dialect: detectors that speak as China Mobile's OneNET Studio wants it → readings and events.

Between the `mqtt` driver and the intake; pure (house rule 2). Topics `$sys/<product>/<device>/thing/property/post` and
`…/thing/event/post` with `{"id", "version", "params": {name: {"value", "time" in ms}}}`; a value may come several times
in one message, each with its time (an array). Options and `decode`: see `Options`, `_report.py`, `_report_points.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

import msgspec

from drivers._installing import install, options_of
from drivers._json_path import MISSING
from drivers._nb import NbReads, raw_fields, raw_reader
from drivers._payload import Unreadable, message_of
from drivers._report import Plan, Recent
from drivers._report_points import Report
from drivers._times import source_time
from gateway.model.point import Device
from gateway.model.ports import Decoded, DialectSetup, Publication

_KINDS = ("property", "event")
_MOST_VALUES = 4096  # of one name in one message


class Options(NbReads, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of an onenet device.

    Attributes:
        product, device: as in its topics.
        reply: answer each post with `…/post/reply` (code 200), for devices at the station's own broker that wait for
            it. It says that the message could be read; that it is kept, says the acknowledgement of MQTT.
    """

    product: str
    device: str
    reply: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be a level of a topic."""
        for name in (self.product, self.device):
            if not name or set("/+#\0") & set(name):
                raise ValueError(f"{name!r}: product and device are levels of a topic")


OPTIONS = Options


@dataclass(slots=True)
class _Installed:
    plan: Plan
    options: Options
    raw: Callable[[object, list[str]], bytes | None]
    recent: Recent = field(default_factory=Recent)


def create(setup: DialectSetup) -> Onenet:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Onenet(setup)


class Onenet:
    """All devices of one source that speak so (port `Dialect`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._starts: dict[str, str] = {}
        self._topics: dict[str, list[_Installed]] = {}
        install(setup, self._install)

    def _install(self, device: Device, ids: Mapping[str, int]) -> None:
        options = options_of(device, Options)
        known = _Installed(Plan(device, options, ids), options, raw_reader(options))
        start = f"$sys/{options.product}/{options.device}/thing"
        self._starts[device.id] = start
        for kind in _KINDS:
            self._topics.setdefault(f"{start}/{kind}/post", []).append(known)

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filters of the device."""
        return tuple(f"{self._starts[device.id]}/{kind}/post" for kind in _KINDS)

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - the port names it
        """Nothing: a sleeping device listens only after it spoke."""
        return ()

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        devices = self._topics.get(topic, ())
        for device in devices:
            _post(device, topic, payload, retained=retained, into=into)
        return bool(devices)


def _post(device: _Installed, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> None:
    message = message_of(payload)
    params = message.get("params") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(params, dict):
        into.problems.append(message.value if isinstance(message, Unreadable) else "not_json")
        return
    if device.options.reply and not retained:
        answer = {"id": message.get("id", ""), "code": 200, "msg": "success"}
        into.replies.append(Publication(f"{topic}/reply", msgspec.json.encode(answer)))
    report = _report(params, payload, into.problems)
    dated = bool(report.times)
    told = dated or topic.endswith("/property/post")  # an event without a time may happen twice in the same words
    if told and not retained and device.recent.again(hash(payload), dated=dated):
        into.problems.append("repeat")
        into.heard.append(device.plan.point)
        return
    for one in _payloads(device, report, into.problems):
        device.plan.tell(one, retained=retained, into=into)


def _payloads(device: _Installed, report: Report, problems: list[str]) -> Iterator[Report]:
    """Yield the report with its raw payload, before it the older ones of an array of them; each with its own time."""
    told = report.fields if isinstance(report.fields, dict) else {}
    name = next((name for name in raw_fields(device.options) if name in told), "")
    for time, value in list(report.series.get(name, ()))[:-1]:
        data = device.raw({name: value}, problems)
        if data is not None:
            yield Report(message=report.message, time=time, data=data)
    report.data = device.raw(report.fields, problems)
    if report.data is not None:
        report.time = report.times.get(name) or max(report.times.values(), default=0)
    yield report


def _report(params: Mapping[str, object], payload: bytes, problems: list[str]) -> Report:
    """Unpack `{"value", "time"}`, alone or several in an array."""
    fields: dict[str, object] = {}
    times: dict[str, int] = {}
    series: dict[str, Sequence[tuple[int, object]]] = {}
    for name, said in params.items():
        entries = _entries(said)
        if len(entries) > _MOST_VALUES:
            problems.append("too_many_samples")
        values = [_value(entry, problems) for entry in entries[-_MOST_VALUES:]]
        if all(time for time, _ in values):
            values.sort(key=lambda pair: pair[0])
        time, fields[name] = values[-1]
        if time:
            times[name] = time
        if len(values) > 1:
            series[name] = values
    return Report(message=payload, fields=fields, times=times, series=series)


def _entries(said: object) -> list[object]:
    """Return the entries of an array of `{"value", "time"}`, anything else as one."""
    if isinstance(said, list) and said and all(isinstance(entry, dict) and "value" in entry for entry in said):
        return said
    return [said]


def _value(entry: object, problems: list[str]) -> tuple[int, object]:
    if not isinstance(entry, dict) or "value" not in entry:
        return 0, entry
    raw = entry.get("time")
    time = source_time(raw, UTC, "ms") if raw is not None else 0
    if time is None:
        problems.append("bad_time")
    return time or 0, entry.get("value", MISSING)
