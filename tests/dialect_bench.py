"""A dialect with devices of shipped profiles, to hand messages to; and what its memory does under a flood."""

from __future__ import annotations

import functools
import gc
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import strategies as st

from drivers._profiles import profile, tailor
from drivers.simulated.mqtt_devices import Message
from gateway import registry
from gateway.model.batch import make_batch
from gateway.model.point import Device
from gateway.model.ports import Decoded, Dialect, DialectSetup
from gateway.model.quality import describe

STRANGERS = 1
_profile = functools.cache(profile)


class Bench:
    """One dialect; `said` are rows as (device.point, time in ns, value, quality)."""

    def __init__(self, *devices: tuple[str, str, dict[str, Any]], points: dict[str, Any] | None = None) -> None:
        self.devices = [
            Device(id=name, source="b", profile=tailor(_profile(kind), points or {}), options=options)
            for name, kind, options in devices
        ]
        names = [f"{device.id}.{spec.name}" for device in self.devices for spec in device.profile.points]
        self.ids = {name: number for number, name in enumerate(names, 10)}
        self._names = {number: name for name, number in self.ids.items()} | {STRANGERS: "strangers"}
        setup = DialectSetup(devices=self.devices, point_ids=self.ids, source_events=STRANGERS)
        self.dialect: Dialect = registry.dialect(self.devices[0].profile.driver).create(setup)

    def hear(self, messages: Iterable[Message]) -> Decoded:
        """Hand over what was published; all of it must be somebody's and fit into a batch."""
        into = Decoded()
        for message in messages:
            assert self.dialect.decode(message.topic, message.payload, retained=message.retain, into=into)
        make_batch("b", 1, into.rows, events=into.events)
        return into

    def said(self, into: Decoded) -> list[tuple[str, int, float, str]]:
        """Return the rows in words."""
        return [(self._names[point], time, value, describe(quality)) for point, time, value, quality in into.rows]

    def latest(self, into: Decoded) -> dict[str, float]:
        """Return the last value of each point."""
        return {self._names[point]: value for point, _, value, _ in into.rows}


@st.composite
def mutated(draw: st.DrawFn, payloads: list[bytes]) -> bytes:
    """Return a payload with some bytes changed, cut out or put in."""
    payload = bytearray(draw(st.sampled_from(payloads)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(payload)))
        payload[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(payload)


def growth(flood: Callable[[int], None], *, rounds: int = 500) -> int:
    """Return the bytes by which memory grows from a fifth of the rounds to all of them."""

    def used(numbers: range) -> int:
        for number in numbers:
            flood(number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first, last = used(range(rounds // 5)), used(range(rounds // 5, rounds))
    finally:
        tracemalloc.stop()
    return last - first
