"""LoRaWAN devices behind ChirpStack v4 or The Things Stack v3: what the server publishes when they speak.

Pure, for `simulate` and tests; keeps house rule 9 (fakes ship). Payloads are those of the profiles: channels (id, type,
value) and the six bytes of a smoke detector. The server leaves zeros out, as the real ones do. Times are seconds since
1970 UTC.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Literal

from drivers.simulated.mqtt_devices import Message, Quantity

Fields = Mapping[str, object]

GATEWAYS = ("roof", "tower")


@dataclass(slots=True)
class LoraFault:
    """What is wrong just now.

    Attributes:
        silent: nothing arrives.
        copies: so many more copies of each message, as from a second server.
        stuck: the frame counter does not move.
        garbage: the payload is random.
        codec_fails: the server's codec says nothing, the bytes are there.
    """

    silent: bool = False
    copies: int = 0
    stuck: bool = False
    garbage: bool = False
    codec_fails: bool = False


@dataclass(slots=True)
class LoraDevice:
    """One device. `name` is its EUI (ChirpStack) or device id (The Things Stack)."""

    server: Literal["chirpstack", "ttn"]
    application: str
    name: str
    random: Random
    codec: bool = True
    fault: LoraFault = field(default_factory=LoraFault)
    _count: int = -1
    _session: int = 0

    def up(self, data: bytes, fields: Fields, time: float, *, port: int = 85) -> list[Message]:
        """Return an uplink of this payload, with its decoded fields where the server has a codec, and its copies."""
        if self.fault.silent:
            return []
        self._count += 0 if self.fault.stuck and self._count >= 0 else 1
        if self.fault.garbage:
            data, fields = self.random.randbytes(self.random.randrange(1, 24)), {}
        shown = fields if self.codec and not self.fault.codec_fails else {}
        build = self._chirpstack if self.server == "chirpstack" else self._ttn
        return [build(data, shown, time, port) for _ in range(1 + self.fault.copies)]

    def join(self, time: float) -> list[Message]:
        """Join anew: the counter begins at 0, the session is another."""
        self._count, self._session = -1, self._session + 1
        if self.server == "ttn":
            return [self._said("join", {**self._ids(), "received_at": _iso(time), "join_accept": {}})]
        return [self._said("join", {"time": _iso(time), **self._info(), "devAddr": self._address()})]

    def status(self, battery: float | None, margin: int, time: float) -> list[Message]:
        """Return the answer to the server's question for its state; no level: it is on mains. ChirpStack only."""
        level = {"externalPowerSource": True} if battery is None else {"batteryLevel": battery}
        return [self._said("status", _without_zeros({"time": _iso(time), **self._info(), "margin": margin, **level}))]

    def _chirpstack(self, data: bytes, fields: Fields, time: float, port: int) -> Message:
        message = {
            "deduplicationId": f"{self.random.getrandbits(128):032x}",
            "time": _iso(time),
            **self._info(),
            "devAddr": self._address(),
            "fCnt": self._count,
            "fPort": port,
            "data": b64encode(data).decode(),
            "rxInfo": self._receptions("gatewayId"),
        }
        return self._said("up", _without_zeros(message) | ({"object": fields} if fields else {}))

    def _ttn(self, data: bytes, fields: Fields, time: float, port: int) -> Message:
        uplink = {
            "session_key_id": f"session-{self._session}",
            "f_port": port,
            "f_cnt": self._count,
            "frm_payload": b64encode(data).decode(),
            "rx_metadata": self._receptions("gateway_ids"),
            "received_at": _iso(time),
        }
        uplink = _without_zeros(uplink) | ({"decoded_payload": fields} if fields else {})
        return self._said("up", {**self._ids(), "received_at": _iso(time + 0.2), "uplink_message": uplink})

    def _receptions(self, key: str) -> list[dict[str, object]]:
        heard = [(gateway, round(self.random.gauss(-80, 10)), self.random.randrange(-5, 10)) for gateway in GATEWAYS]
        return [_without_zeros({key: gateway, "rssi": rssi, "snr": snr}) for gateway, rssi, snr in heard]

    def _ids(self) -> dict[str, object]:
        return {"end_device_ids": {"device_id": self.name, "dev_addr": self._address()}}

    def _info(self) -> dict[str, object]:
        return {"deviceInfo": {"applicationId": self.application, "devEui": self.name}}

    def _address(self) -> str:
        return f"{self._session:08x}"

    def _said(self, event: str, message: Mapping[str, object]) -> Message:
        if self.server == "ttn":
            topic = f"v3/{self.application}/devices/{self.name}/{event}"
        else:
            topic = f"application/{self.application}/device/{self.name}/event/{event}"
        return Message(topic, json.dumps(message).encode())


@dataclass(slots=True)
class LoraSensor:
    """A device that measures: every `period` s, and at once when one of `alarms` turns.

    Attributes:
        quantities: field → number; `alarms`: field → threshold, the field then is 0 or 1.
        payload: measured numbers → raw payload; `fields`: measured numbers → what the codec makes of them.
        begins: s since 1970 of second 0.
    """

    device: LoraDevice
    quantities: Mapping[str, Quantity]
    payload: Callable[[Mapping[str, float]], bytes]
    fields: Callable[[Mapping[str, float]], Fields]
    alarms: Mapping[str, float] = field(default_factory=dict)
    period: float = 600.0
    begins: float = 1_700_000_000.0
    _state: tuple[bool, ...] = ()
    _next: float = 0.0

    def at(self, t: float) -> list[Message]:
        """Return what is published after t seconds."""
        values = {name: quantity.at(t, self.device.random) for name, quantity in self.quantities.items()}
        state = tuple(values[name] >= limit for name, limit in self.alarms.items())
        values |= {name: float(on) for name, on in zip(self.alarms, state, strict=True)}
        if state == self._state and t < self._next:
            return []
        self._state, self._next = state, t + self.period
        return self.device.up(self.payload(values), self.fields(values), self.begins + t)


def leak_sensor(device: LoraDevice, wet: Quantity, temperature: Quantity) -> LoraSensor:
    """An EM300-SLD; `wet`: mm of water on the floor. Profiles `chirpstack-em300-sld` and `ttn-em300-sld`."""

    def payload(values: Mapping[str, float]) -> bytes:
        warmth = round(10 * values["temperature"]).to_bytes(2, "little", signed=True)
        return channels([("0367", warmth), ("0500", bytes((round(values["leak"]),)))])

    def fields(values: Mapping[str, float]) -> Fields:
        return {"temperature": values["temperature"], "leakage_status": "leak" if values["leak"] else "normal"}

    return LoraSensor(device, {"leak": wet, "temperature": temperature}, payload, fields, {"leak": 1.0})


def channels(values: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a payload of channels: hexadecimal id and type, value."""
    return b"".join(bytes.fromhex(name) + value for name, value in values)


def smoke_payload(kind: int, *, battery: int = 100, smoke: int = 0, temperature: int = 20) -> bytes:
    """Return a payload of the GS524N: message type 1 alarm, 7 normal, 14 test …; its bytes add up to 0."""
    body = bytes((0x22, 0x10 | kind, battery, smoke, temperature & 0xFF))
    return body + bytes((-sum(body) & 0xFF,))


def _without_zeros(message: Mapping[str, object]) -> dict[str, object]:
    """Leave out what protobuf's JSON leaves out."""
    return {key: value for key, value in message.items() if value not in (0, False, "", None)}


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds").replace("+00:00", "123Z")
