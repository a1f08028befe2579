"""NB-IoT detectors as CTWing pushes them and as OneNET Studio wants them.

Pure, for `simulate` and tests; keeps house rule 9 (fakes ship). Times are ms since 1970 UTC.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from drivers.simulated.mqtt_devices import Message

Values = Mapping[str, object]


@dataclass(slots=True)
class NbFault:
    """What is wrong just now.

    Attributes:
        silent: nothing arrives.
        repeats: the platform got no answer and sends each message so many more times.
        garbage: payloads are cut somewhere.
    """

    silent: bool = False
    repeats: int = 0
    garbage: bool = False


@dataclass(slots=True)
class _Sender:
    random: Random
    fault: NbFault = field(default_factory=NbFault)

    def _sent(self, topic: str, message: object) -> list[Message]:
        if self.fault.silent:
            return []
        data = json.dumps(message, ensure_ascii=False).encode()
        if self.fault.garbage:
            data = data[: self.random.randrange(1, len(data))]
        return [Message(topic, data)] * (1 + self.fault.repeats)


@dataclass(slots=True)
class CtwingDevice(_Sender):
    """A detector behind CTWing."""

    topic: str = "aep/push"
    device_id: str = "d01308047f864601a821e02dc328eab4"
    imei: str = "161941770261953"
    product: str = "15045240"

    def report(self, payload: Values, time: int) -> list[Message]:
        """Return a dataReport."""
        return self._pushed("dataReport", time, payload=payload)

    def event(self, content: Values, time: int) -> list[Message]:
        """Return an eventReport."""
        return self._pushed("eventReport", time, eventContent=content)

    def transparent(self, data: bytes, time: int) -> list[Message]:
        """Return a dataReport of a transparent product."""
        return self.report({"APPdata": b64encode(data).decode()}, time)

    def presence(self, time: int, *, online: bool) -> list[Message]:
        """Return a deviceOnlineOfflineReport."""
        return self._pushed("deviceOnlineOfflineReport", time, eventType=int(online))

    def _pushed(self, kind: str, time: int, **more: object) -> list[Message]:
        envelope = {
            "upPacketSN": -1,
            "topic": "v1/up/ad19",
            "timestamp": time,
            "serviceId": 10,
            "protocol": "lwm2m",
            "productId": self.product,
            "messageType": kind,
            "deviceId": self.device_id,
            "IMSI": "undefined",
            "IMEI": self.imei,
        }
        return self._sent(self.topic, {**envelope, **more})


@dataclass(slots=True)
class OnenetDevice(_Sender):
    """A detector that speaks as OneNET Studio wants it."""

    product: str = "abc123"
    name: str = "smoke-1"
    _id: int = 0

    def post(self, values: Values, time: int, *, kind: str = "property") -> list[Message]:
        """Return a post of one value each, all of one time."""
        return self._posted(kind, {name: {"value": value, "time": time} for name, value in values.items()})

    def aggregated(self, name: str, values: Sequence[tuple[int, object]]) -> list[Message]:
        """Return a post of several (time, value) of one property."""
        return self._posted("property", {name: [{"value": value, "time": time} for time, value in values]})

    def logged(self, name: str, levels: Sequence[int], time: int, *, battery: float = 3.6) -> list[Message]:
        """Return a post of the form of `nb-onenet-level`: head, battery, count, levels; hexadecimal."""
        head = b"\x5a" + round(1000 * battery).to_bytes(2, "big") + b"\0\0" + bytes((len(levels),))
        data = head + b"".join(level.to_bytes(2, "big") for level in levels)
        return self.post({name: data.hex()}, time)

    def _posted(self, kind: str, params: Values) -> list[Message]:
        self._id += 1
        topic = f"$sys/{self.product}/{self.name}/thing/{kind}/post"
        return self._sent(topic, {"id": str(self._id), "version": "1.0", "params": params})


def sealed(data: bytes) -> bytes:
    """Return a raw payload with the xor of its bytes behind it, as `nb-ctwing-smoke-raw` checks it."""
    found = 0
    for byte in data:
        found ^= byte
    return data + bytes((found,))
