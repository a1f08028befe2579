"""What every driver keeps, found by file name: rigs in `tests/driver_rigs.py`, the port in `gateway.model.ports`."""

from __future__ import annotations

import asyncio
import threading
import tomllib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import registry
from gateway.errors import ConfigError, DeliveryError, GatewayError, LinkDown
from gateway.model.batch import Batch, EventCode
from gateway.model.moment import Input
from gateway.model.ports import Driver
from gateway.model.quality import GOOD, Level, level_of
from gateway.pipeline import supervisor
from gateway.registry import Group
from tests.channel_rigs import Notes
from tests.contracts import importing
from tests.driver_rigs import POINT, RIGS, Rig
from tests.gateway import test_docs
from tests.open_files import opened
from tests.patience import PATIENCE, until

KINDS = registry.names(Group.DRIVER)

Scene = Callable[[Rig], Awaitable[None]]


def on_rig(kind: str, folder: Path, scene: Scene) -> None:
    """Run a scene with the far end of a driver."""

    async def main() -> None:
        async with RIGS[kind](folder) as rig:
            await scene(rig)

    asyncio.run(main())


def make(kind: str, rig: Rig, notes: Notes | None = None) -> Driver:
    driver: Driver = registry.driver(kind).create(rig.setup(kind, notes or Notes()))
    return driver


def values(batches: list[Batch]) -> list[float]:
    """Return what the point told, as long as it is good; a source of events alone tells it as the place of a fire."""
    fires = [
        float(event.key.rpartition("/")[2])
        for batch in batches
        for event in batch.events
        if event.point == POINT and event.code is EventCode.FIRE
    ]
    return fires + [
        float(batch.value[row])
        for batch in batches
        for row in range(len(batch))
        if batch.point[row] == POINT and batch.quality[row] == GOOD
    ]


async def leave(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_every_driver_has_a_rig() -> None:
    assert set(KINDS) == set(RIGS)


def test_import_opens_and_starts_nothing() -> None:
    importing.check("driver", list(KINDS))


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_a_struct_that_refuses_unknown_keys(kind: str, tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        schema = registry.options("source", kind)
        assert schema is not None
        assert schema.__doc__
        msgspec.convert(rig.options, schema)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**rig.options, "no_such_key": 1}, schema)
        with pytest.raises(ConfigError, match="no_such_key"):
            make(kind, with_options(rig, no_such_key=1))

    on_rig(kind, tmp_path, scene)


def with_options(rig: Rig, **options: object) -> Rig:
    """Return the rig with further options."""
    return replace(rig, options={**rig.options, **options})


@pytest.mark.parametrize("kind", KINDS)
def test_making_it_opens_nothing(kind: str, tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        before, threads = opened(), set(threading.enumerate())
        make(kind, rig)
        assert opened(before) <= before
        assert set(threading.enumerate()) <= threads

    on_rig(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_device_tells_arrives_with_time_source_and_evidence(kind: str, tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        notes, batches = Notes(), list[Batch]()
        setup = rig.setup(kind, notes)
        before = setup.clock.mono()
        running = asyncio.create_task(registry.driver(kind).create(setup).run(batches.append))
        await until(lambda: notes.counts["alive"])
        await rig.say(7)
        await until(lambda: rig.hears(7) in values(batches))
        for batch in (batch for batch in batches if len(batch)):
            assert batch.source == "src"
            assert batch.frame_of(0)
            assert before <= int(batch.arrival[0]) <= setup.clock.mono()
            batch.ack()
        await leave(running)

    on_rig(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_never_committed_is_told_again(kind: str, tmp_path: Path) -> None:
    """A daemon that dies before its commit has acknowledged nothing: the next life hears it."""

    async def scene(rig: Rig) -> None:
        notes = Notes()
        for life in range(3):
            batches: list[Batch] = []
            running = asyncio.create_task(make(kind, rig, notes).run(batches.append))
            if not life:
                await until(lambda: notes.counts["alive"])
                await rig.say(8)
            await until(lambda: rig.hears(8) in values(batches))  # noqa: B023 - of this life
            await leave(running)

    on_rig(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_that_is_gone_is_link_down_and_the_same_driver_comes_back(kind: str, tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        notes, batches = Notes(), list[Batch]()
        driver = make(kind, rig, notes)
        for turn in range(1, 4):
            running = asyncio.create_task(driver.run(batches.append))
            await until(lambda: notes.counts["alive"] >= turn)  # noqa: B023 - of this turn
            await rig.say(turn)
            await until(lambda: rig.hears(turn) in values(batches))  # noqa: B023 - likewise
            await rig.cut()
            with pytest.raises(LinkDown) as caught:
                await asyncio.wait_for(running, PATIENCE)
            assert str(caught.value)
            with pytest.raises(LinkDown):
                await asyncio.wait_for(driver.run(batches.append), PATIENCE)
            await rig.mend()

    on_rig(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_points_are_bad_while_the_link_is_gone_and_good_when_it_is_found(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the driver does, the supervisor above it hears of the loss and says so for its points."""
    monkeypatch.setattr(supervisor, "BACK_OFF", (0.05,))

    async def scene(rig: Rig) -> None:
        batches: list[Batch] = []

        def put(one: Input) -> None:
            assert isinstance(one, Batch)
            batches.append(one)

        setup = rig.setup(kind, Notes())
        link = supervisor.Supervisor(
            "src", clock=setup.clock, put=put, events=0, key="link", points=[POINT], fault_after=100
        )
        driver = registry.driver(kind).create(replace(setup, report=link))
        running = asyncio.create_task(link.run(lambda: driver.run(link.emit)))
        await until(lambda: link.health.up)
        await rig.say(5)
        await until(lambda: rig.hears(5) in values(batches))
        await rig.cut()
        await until(lambda: [level_of(int(batch.quality[0])) for batch in batches if len(batch)][-1:] == [Level.BAD])
        batches.clear()
        await rig.mend()
        await until(lambda: link.health.up)
        await rig.say(6)
        await until(lambda: rig.hears(6) in values(batches))
        await leave(running)

    on_rig(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_the_docs_have_an_example_of_it_that_passes_check(kind: str, tmp_path: Path) -> None:
    """A source with a device on it; that all examples of the docs pass is checked where they are."""
    examples = [(place, text) for place, text in toml_examples() if shows(kind, tomllib.loads(text))]
    assert examples, f"no page of docs/ shows a [[source]] of {kind} with a [[device]] on it"
    for place, text in examples[:1]:
        test_docs.test_every_configuration_in_the_docs_passes_check(place, text, tmp_path)


def shows(kind: str, example: dict[str, Any]) -> bool:
    """Whether an example has a source of this driver with a device on it."""
    shown = {source["id"] for source in example["source"] if source["driver"] == kind}
    return any(device["source"] in shown for device in example.get("device", ()))


def toml_examples() -> list[tuple[str, str]]:
    """Return every TOML example of the docs that shows a source, with its place."""
    return [
        (f"{page.name}#{number}", text)
        for page in test_docs.PAGES
        for number, (language, text) in enumerate(test_docs.BLOCKS.findall(page.read_text(encoding="utf-8")), start=1)
        if language == "toml" and "[[source]]" in text
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_it_leaves_nothing_open(kind: str, tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        before, tasks = opened(), len(asyncio.all_tasks())
        for moment in (0, 1, 2, 5, 30):
            running = asyncio.create_task(make(kind, rig).run(lambda _: None))
            await asyncio.sleep(moment / 1000)
            await leave(running)
            assert running.cancelled()
            # the far end of the rig closes its own side a moment later
            await until(lambda: opened(before) <= before and len(asyncio.all_tasks()) <= tasks)

    on_rig(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_that_drops_while_the_daemon_stops_does_not_swallow_the_stop(kind: str, tmp_path: Path) -> None:
    """The supervisor would start it again: a daemon that is told to stop must not have to be told twice."""

    async def scene(rig: Rig) -> None:
        async def for_ever(driver: Driver) -> None:
            while True:  # as the supervisor
                try:
                    await driver.run(lambda _: None)
                except LinkDown:
                    await asyncio.sleep(0.001)

        for turns in range(12):
            notes = Notes()
            running = asyncio.create_task(for_ever(make(kind, rig, notes)))
            await until(lambda: notes.counts["alive"])  # noqa: B023 - of this turn
            cutting = asyncio.ensure_future(rig.cut())
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            _, still = await asyncio.wait([running], timeout=PATIENCE)
            running.cancel()
            await asyncio.gather(running, cutting, return_exceptions=True)
            assert not still, f"the stop was swallowed when it came {turns} turns after the cut"
            await rig.mend()

    on_rig(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_set_is_refused_with_a_reason(kind: str, tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        driver = make(kind, rig)
        for device, point in (("it", "v"), ("it", "absent"), ("nobody", "v")):
            with pytest.raises((DeliveryError, LinkDown)) as caught:
                await driver.write(device, point, 1.0)
            assert isinstance(caught.value, GatewayError)
            assert str(caught.value)

    on_rig(kind, tmp_path, scene)
