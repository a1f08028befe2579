"""The `ttn` dialect: uplinks of The Things Stack v3 → readings and events.

Between the `mqtt` driver and the intake; pure (house rule 2). Topics `v3/<application>/devices/<device>/<event>`, where
the application is `app@tenant` (in the Open Source edition just `app`). Fields with 0, "" or false are left out (not
inside `decoded_payload`). What a person simulates in the console is never passed on. Options and `decode`: see
`Options`, `_report.py` and `_report_points.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drivers._installing import install, options_of
from drivers._json_path import MISSING
from drivers._lora import Radio, bytes_of, radio, table, time_of, whole
from drivers._payload import Unreadable, message_of
from drivers._report import Plan, Reads
from drivers._report_points import Report
from gateway.model.point import Device
from gateway.model.ports import Decoded, DialectSetup

_HEARD = ("up", "join")
_FORBIDDEN = set("/+#\0")


class Options(Reads, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a ttn device: the ids of the console."""

    application: str
    device: str

    def __post_init__(self) -> None:
        """Refuse what cannot be a level of a topic."""
        for name in (self.application, self.device):
            if not name or _FORBIDDEN & set(name):
                raise ValueError(f"{name!r}: application (app@tenant) and device are ids of the console")


OPTIONS = Options


def create(setup: DialectSetup) -> Ttn:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Ttn(setup)


class Ttn:
    """All devices of one source behind The Things Stack (port `Dialect`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._starts: dict[str, str] = {}
        self._devices: dict[str, list[tuple[str, Radio]]] = {}  # topic without the event → (device id, device)
        install(setup, self._install)

    def _install(self, device: Device, ids: Mapping[str, int]) -> None:
        options = options_of(device, Options)
        plan = Plan(device, options, ids)
        start = f"v3/{options.application}/devices/{options.device}"
        self._starts[device.id] = start
        self._devices.setdefault(start, []).append((options.device, Radio(plan)))

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filters of the device."""
        return tuple(f"{self._starts[device.id]}/{event}" for event in _HEARD)

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - the port names it
        """Nothing: a battery device listens only after it spoke."""
        return ()

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        start, _, kind = topic.rpartition("/")
        devices = self._devices.get(start, ()) if kind in _HEARD else ()
        for name, device in devices:
            _event(device, kind, name, payload, retained=retained, into=into)
        return bool(devices)


def _event(device: Radio, kind: str, name: str, payload: bytes, *, retained: bool, into: Decoded) -> None:
    message = message_of(payload)
    if not isinstance(message, dict):
        into.problems.append(message.value if isinstance(message, Unreadable) else "not_json")
        return
    uplink = table(message, "uplink_message")
    if message.get("simulated") is True or uplink.get("simulated") is True:
        into.problems.append("simulated")
        return
    if table(message, "end_device_ids").get("device_id", name) != name:
        into.problems.append("other_device")
    elif kind == "join":
        device.joined(into, retained=retained)
    else:
        received = uplink.get("received_at", message.get("received_at"))
        report = Report(message=payload, time=time_of(received, into.problems))
        _up(device, message, uplink, report, retained=retained, into=into)


def _up(
    device: Radio,
    message: Mapping[str, object],
    uplink: Mapping[str, object],
    report: Report,
    *,
    retained: bool,
    into: Decoded,
) -> None:
    decoded = uplink.get("decoded_payload")
    report.fields = MISSING if decoded is None else decoded
    report.data = bytes_of(uplink.get("frm_payload"), into.problems)
    report.port = whole(uplink, "f_port")
    report.extra = radio(uplink.get("rx_metadata"))
    battery = table(uplink, "last_battery_percentage").get("value")
    if battery is not None:
        report.extra = {**report.extra, "battery": battery}
    session = uplink.get("session_key_id") or table(message, "end_device_ids").get("dev_addr")
    device.up(report, key="", frame=(str(session), whole(uplink, "f_cnt")), retained=retained, into=into)
