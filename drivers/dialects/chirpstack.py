"""The `chirpstack` dialect: event messages of ChirpStack v4 → readings and events.

Between the `mqtt` driver and the intake; pure (house rule 2). Topics `application/<id>/device/<dev eui>/event/<event>`
with up, join, status, ack, txack, log, location, integration; payloads are protobuf JSON, in which zeros and false are
left out (not inside `object`). Points are read out of `object` where the server has a codec, else out of the raw `data`
by the profile's layout. Options and `decode`: see `Options`, `_report.py` and `_report_points.py`.
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

_QUIET = frozenset({"ack", "txack", "location", "integration"})  # say nothing of what is measured


class Options(Reads, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a chirpstack device. `base` stands before `application/` where an integration has a prefix."""

    dev_eui: str
    application: str = "+"
    base: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a topic."""
        if len(self.dev_eui) != 16 or set(self.dev_eui.lower()) - set("0123456789abcdef"):
            raise ValueError(f"dev_eui = {self.dev_eui!r}: write 16 hexadecimal digits, as the server shows them")
        if set("/#\0") & set(self.application) or ("+" in self.application and self.application != "+"):
            raise ValueError(f"application = {self.application!r}: the id in the server's topics, or + for any")


OPTIONS = Options


def create(setup: DialectSetup) -> Chirpstack:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Chirpstack(setup)


class Chirpstack:
    """All devices of one source behind ChirpStack (port `Dialect`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._filters: dict[str, str] = {}
        self._devices: dict[tuple[str, str], list[tuple[str, Radio]]] = {}  # base, dev eui → (application, device)
        install(setup, self._install)

    def _install(self, device: Device, ids: Mapping[str, int]) -> None:
        options = options_of(device, Options)
        plan = Plan(device, options, ids)
        base, eui = options.base.strip("/"), options.dev_eui.lower()
        self._devices.setdefault((base, eui), []).append((options.application, Radio(plan)))
        start = f"{base}/application" if base else "application"
        self._filters[device.id] = f"{start}/{options.application}/device/{eui}/event/+"

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filter of all events of the device."""
        return (self._filters[device.id],)

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - the port names it
        """Nothing: a battery device listens only after it spoke."""
        return ()

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        levels = topic.split("/")
        if len(levels) < 6 or (levels[-6], levels[-4], levels[-2]) != ("application", "device", "event"):
            return False
        application, eui, kind = levels[-5::2]
        known = self._devices.get(("/".join(levels[:-6]), eui), ())
        devices = [radio for wanted, radio in known if wanted in ("+", application)]
        for device in devices:
            _event(device, kind, eui, payload, retained=retained, into=into)
        return bool(devices)


def _event(device: Radio, kind: str, eui: str, payload: bytes, *, retained: bool, into: Decoded) -> None:
    message = message_of(payload)
    if not isinstance(message, dict):
        into.problems.append(message.value if isinstance(message, Unreadable) else "not_json")
        return
    said = table(message, "deviceInfo").get("devEui", eui)
    if not isinstance(said, str) or said.lower() != eui:
        into.problems.append("other_device")
        return
    report = Report(message=payload, time=time_of(message.get("time"), into.problems))
    if kind == "up":
        _up(device, message, report, retained=retained, into=into)
    elif kind == "join":
        device.joined(into, retained=retained)
    elif kind == "status":
        report.extra = _status(message)
        device.plan.tell(report, retained=retained, into=into)
    elif kind == "log" and not retained:
        words = [message.get(name) for name in ("level", "code", "description")]
        device.log(" ".join(word for word in words if isinstance(word, str)), report, into)
    elif kind not in _QUIET and kind != "log":
        into.problems.append("unknown_event")


def _up(device: Radio, message: Mapping[str, object], report: Report, *, retained: bool, into: Decoded) -> None:
    decoded = message.get("object", MISSING)
    report.fields = MISSING if decoded is None else decoded
    report.data = bytes_of(message.get("data"), into.problems)
    report.port = whole(message, "fPort")
    report.extra = radio(message.get("rxInfo"))
    key = message.get("deduplicationId")
    device.up(
        report,
        key=key if isinstance(key, str) else "",
        frame=(str(message.get("devAddr")), whole(message, "fCnt")),
        retained=retained,
        into=into,
    )


def _status(message: Mapping[str, object]) -> dict[str, object]:
    """Return battery and margin. A left-out level is 0 %, unless the device has none or is on mains."""
    said: dict[str, object] = {
        "margin": message.get("margin", 0),
        "external_power": message.get("externalPowerSource") is True,
    }
    if not (said["external_power"] or message.get("batteryLevelUnavailable") is True):
        said["battery"] = message.get("batteryLevel", 0)
    return said
