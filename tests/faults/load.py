"""The load on a daemon that is going to be killed, and the ledger of it, kept outside the daemon.

Ledger A (house, words in figures): every message the broker acknowledged to this publisher must be in the store. The
few bytes of MQTT 3.1.1 are written here by hand: a ledger that shares no code with what it judges, and costs so little
that daemon and broker have the processor.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections import defaultdict

from tests.patience import PATIENCE
from tests.real_mosquitto import PASSWORD, USER

LOAD_DEVICES = 20
_PUBACK = 0x40
_IDS = 65_535


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def _connect() -> bytes:
    body = _text("MQTT") + bytes((4, 0xC2, 0, 0)) + _text("load") + _text(USER) + _text(PASSWORD)
    return bytes((0x10, len(body))) + body


class Publisher:
    """Publishes with QoS 1. `acked[device]`: values the broker has acknowledged, in that order."""

    def __init__(self, port: int, rate: float, *, after: int = 0) -> None:
        """Connect; values of the load are numbered from `after` + 1. `rate`: messages a second, offered."""
        self.rate = rate
        self.value = after
        self._link = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._link.sendall(_connect())
        if self._link.recv(4) != b"\x20\x02\x00\x00":
            raise AssertionError("the broker refuses the publisher")
        self._link.settimeout(None)  # it may be calm for long
        self._sent: dict[int, tuple[str, int]] = {}
        self._last = 0
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._load)]
        self.acked: dict[str, list[int]] = defaultdict(list)
        self._begun = self._ended = 0.0
        self._threads[0].start()

    def start(self) -> None:
        """Begin the load."""
        self._begun = time.monotonic()
        self._threads[1].start()

    @property
    def seconds(self) -> float:
        """Seconds of load so far."""
        return (self._ended or time.monotonic()) - self._begun

    def carries(self, rate: float) -> bool:
        """Whether the broker has taken so many messages a second since the load began."""
        return self.count >= rate * self.seconds

    @property
    def count(self) -> int:
        """Messages the broker has acknowledged."""
        return sum(map(len, list(self.acked.values())))

    def publish(self, topic: str, device: str, value: int, **said: object) -> None:
        """Publish one value, and what else is said; it counts from the broker's acknowledgement on."""
        with self._sending:
            self._link.sendall(self._packet(topic, device, value, **said))

    def publish_at_qos_0(self, topic: str, value: int) -> None:
        """Publish one value for which nobody answers."""
        body = _text(topic) + json.dumps({"v": value}).encode()
        with self._sending:
            self._link.sendall(bytes((0x30, len(body))) + body)

    def _packet(self, topic: str, device: str, value: int, **said: object) -> bytes:
        self._last = self._last % _IDS + 1
        if self._last in self._sent:
            raise AssertionError("the broker does not acknowledge any more")
        self._sent[self._last] = (device, value)
        body = _text(topic) + struct.pack(">H", self._last) + json.dumps({"v": value, **said}).encode()
        assert len(body) < 0x80, "a length of one byte"
        return bytes((0x32, len(body))) + body

    def _load(self) -> None:
        first = self.value
        with contextlib.suppress(OSError):  # the broker was killed: what it did not acknowledge does not count
            while not self._stop.is_set():
                due = first + int((time.monotonic() - self._begun) * self.rate)
                devices = [(f"l{n % LOAD_DEVICES}", n) for n in range(self.value + 1, due + 1)]
                self.value = due
                with self._sending:
                    self._link.sendall(b"".join(self._packet(f"station/{device}", device, n) for device, n in devices))
                time.sleep(0.02)
        self._ended = time.monotonic()

    def _read(self) -> None:
        left = b""
        with contextlib.suppress(OSError):
            while part := self._link.recv(65_536):
                left += part
                whole = len(left) // 4 * 4
                for kind, _, packet in struct.iter_unpack(">BBH", left[:whole]):
                    if kind != _PUBACK:
                        raise AssertionError(f"packet {kind:#x} is not the broker's to send")
                    device, value = self._sent.pop(packet)
                    self.acked[device].append(value)
                left = left[whole:]

    def wait_acked(self, within: float = PATIENCE) -> None:
        """Wait until the broker has acknowledged everything sent so far."""
        end = time.monotonic() + within
        while self._sent and time.monotonic() < end:
            time.sleep(0.01)
        assert not self._sent, f"{len(self._sent)} messages were never acknowledged by the broker"

    def stop(self) -> None:
        """End the load and wait until the broker has acknowledged all of it."""
        self._end_load()
        self.wait_acked()

    def close(self) -> None:
        """End the load and the connection, whatever is still under way."""
        self._end_load()
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE)
        self._link.close()

    def _end_load(self) -> None:
        self._stop.set()
        if self._threads[1].is_alive():
            self._threads[1].join(PATIENCE)
