"""Ten thousand retained states under one wildcard filter: no alarm among them waits, none is missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway import registry
from gateway.model.point import Device
from gateway.model.ports import Decoded, DialectSetup
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import Limits
from tests.mqtt_clients import ours
from tests.mqtt_driver_setup import Notebook, Store, device, driver, up
from tests.patience import until
from tests.real_mosquitto import OPEN, Mosquitto, running

TOPICS, SMOKES = 10_000, 50
MAXIMUM = 200  # messages that may be unacknowledged


class SiteDialect:
    """`site/NUMBER`: a number for the point of the device that has this topic, else for that of the wildcard."""

    def __init__(self, setup: DialectSetup) -> None:
        self._ids = setup.point_ids

    def filters(self, device: Device) -> Sequence[str]:
        """Return the device's topic, or the wildcard."""
        return (str(device.options["filter"]),)

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Read one message."""
        point = self._ids.get(f"{topic.partition('/')[2]}.value", self._ids["all.value"])
        doubt = quality(Level.UNCERTAIN, Doubt.RETAINED) if retained else quality(Level.GOOD)
        into.rows.append((point, 0, float(payload), doubt))
        return True

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:
        """Ask nobody."""
        del device
        return ()


def rows(store: Store) -> list[tuple[int, float, int]]:
    """Return point, value and quality of every reading."""
    return [
        (int(batch.point[row]), float(batch.value[row]), int(batch.quality[row]))
        for batch in store.batches
        for row in range(len(batch))
    ]


def test_alarms_are_read_though_no_telemetry_is_committed_and_then_everything_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "dialect", lambda _name: SimpleNamespace(create=SiteDialect))
    smokes = [f"d{number}" for number in range(0, TOPICS, TOPICS // SMOKES)]
    devices = [device("all", filter="site/#"), *(device(name, filter=f"site/{name}") for name in smokes)]

    async def script(broker: Mosquitto) -> None:
        sender = await ours(broker.port, "sender", [])
        for begin in range(0, TOPICS, 2_000):
            said = [(f"site/d{number}", b"%200d" % number) for number in range(begin, begin + 2_000)]
            await asyncio.gather(*(sender.publish(topic, payload, retain=True) for topic, payload in said))
        notebook, store = Notebook(), Store(instant=False)
        limits = Limits(receive_maximum=MAXIMUM)
        found: list[tuple[int, float, int]] = []
        most = 0
        async with up(driver(broker.port, notebook, devices=devices, alarm=smokes, limits=limits), store):
            await until(lambda: len([row for row in rows(store) if row[0]]) == SMOKES)
            await until(lambda: notebook.counts["alive"] == 2)
            while len(found) < TOPICS:
                await until(lambda: bool(store.batches))
                taken = rows(store)
                most = max(most, len(taken))
                found += taken
                store.batches.clear()
                store.commit()
        assert most <= 2 * MAXIMUM + 2_000, "held back, but for what one read holds"
        assert sorted(value for _, value, _ in found) == list(range(TOPICS)), "each once"
        assert len({point for point, _, _ in found}) == SMOKES + 1
        assert {state for _, _, state in found} == {quality(Level.UNCERTAIN, Doubt.RETAINED)}
        before = notebook.counts["alive"]
        async with up(driver(broker.port, notebook, devices=devices, alarm=smokes, limits=limits), store):
            await until(lambda: notebook.counts["alive"] == before + 2)
            await sender.publish(f"site/{smokes[1]}", b"-1", retain=True)
            await until(lambda: bool(store.batches))
        assert rows(store) == [(2, -1.0, quality(Level.GOOD))], "all was acknowledged: nothing comes again"
        await sender.close()

    with running(tmp_path, OPEN) as broker:
        asyncio.run(asyncio.wait_for(script(broker), 300))
