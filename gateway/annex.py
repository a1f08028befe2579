"""What lives beside the flow and never inside it: each part a supervised task of its own.

Part of the composition root, between `gateway.app` and `gateway.house`. A part is made from a living house and reads
it; what it wants changed it puts on the intake like everybody else (house rule 1). One that fails is started again with
back-off and is a fault alarm while it stays down (house section 11).
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import registry
from gateway.care.box import Box, Starts, room_figures
from gateway.care.heartbeat import Heartbeat, Relay, Way, Webhook
from gateway.care.lag import LoopLag
from gateway.care.machine import Machine
from gateway.care.modems import Modems
from gateway.care.power import Power, Ups, power_off
from gateway.care.tested import Overdue
from gateway.care.watchdog import Watchdog
from gateway.clock import SECOND
from gateway.config.options import read
from gateway.house import House
from gateway.model.batch import Event, EventCode, make_batch
from gateway.model.care import HeartbeatSpec, PowerSpec
from gateway.model.modem import OverModem
from gateway.model.point import MAINS_SILENCE
from gateway.model.quality import Level, level_of
from gateway.transport import notify
from gateway.uplink.part import Uplink, forget, rewind

if TYPE_CHECKING:
    from gateway.transport.mqtt_options import MqttOptions  # it imports mqtt5

Part = Callable[[], Awaitable[None]]
_PAGE = "gateway.web.server"


def parts(house: House) -> Mapping[str, Part]:
    """Return what this station keeps beside the flow, by name."""
    lag = LoopLag(house.intake.put, clock=house.clock, events=house.state.gateway_events)
    watchdog = Watchdog(
        house.intake.put,
        clock=house.clock,
        notifier=notify.notifier(os.environ),
        watched=notify.watchdog(os.environ),
        interval=house.station.store.commit_interval,
        status=partial(_status, house),
    )
    return {
        "watchdog": lambda: watchdog.run(house.links["watchdog"].alive),
        "loop": lambda: lag.run(house.links["loop"].alive),
        "tested": _tested(house),
        **_box(house, lag),
        **_heartbeat(house, watchdog),
        **_power(house),
        **_uplinks(house),
        **_page(house),
    }


def _tested(house: House) -> Part:
    """Return who looks which devices are due for a test."""
    state = house.state
    overdue = Overdue(
        house.intake.put,
        station=house.station,
        ids=house.ids,
        life=house.life,
        memory=house.remembered("test"),
        clock=house.clock,
        latest=lambda: state.book.walktests.latest,
        offset=lambda: state.axis.offset if state.axis.trusted else None,
    )
    return lambda: overdue.run(house.links["tested"].alive)


def _box(house: House, lag: LoopLag) -> dict[str, Part]:
    """Return the box as points, and its modems as a witness of the time."""
    found = [channel for channel in house.channels.values() if isinstance(channel, OverModem)]
    modems = Modems(found, house.timekeeper.hear, house.clock)
    starts = Starts(house.remembered("box"))

    def inside() -> dict[str, float]:
        epoch = house.timekeeper.epoch
        figures = {"loop_lag": lag.peak(), "clock_trusted": float(epoch.trusted)}
        figures["clock_error"] = house.timekeeper.error()
        figures |= room_figures(house.ledger.upkeep.room)
        restarts = starts.count(house.clock.mono() + epoch.wall_offset if epoch.trusted else None)
        return figures | modems.figures() | ({} if restarts is None else {"restarts_day": restarts})

    box = Box(
        house.intake.put,
        machine=Machine(Path(house.station.store.path)),
        ids=house.ids,
        clock=house.clock,
        inside=inside,
        elsewhere=_told_better(house.station.power),
    )
    parts: dict[str, Part] = {"box": lambda: box.run(house.links["box"].alive)}
    return parts | ({"modem time": lambda: modems.run(house.links["modem time"].alive)} if found else {})


def _told_better(power: PowerSpec | None) -> set[str]:
    """Return what the kernel need not tell of the supply, because the configuration names somebody who knows."""
    names = {"mains", "battery_charge"} if power and power.nut else set[str]()
    return names | ({"mains"} if power and power.mains_lost else set())


def _heartbeat(house: House, watchdog: Watchdog) -> dict[str, Part]:
    """Return a part for each way of the heartbeat that is configured."""
    spec, station = house.station.heartbeat, house.station
    if spec is None:
        return {}

    def facts(state: str) -> dict[str, object]:
        mono = house.clock.mono()
        axis = house.state.axis
        moment = datetime.fromtimestamp((mono + axis.offset) / SECOND, tz=UTC).isoformat(timespec="seconds")
        open_alarms = sum(1 for _ in house.state.book.open_alarms())
        known = {"station": station.id, "state": state, "at": moment if axis.trusted else "", "every": spec.every}
        return known | {"uptime": mono // SECOND, "alarms": open_alarms}

    ways: dict[str, Way] = {}
    if spec.source:
        ways["heartbeat mqtt"] = _broker_way(house, spec, facts)
    if spec.url:
        files = Path(spec.secret_file), spec.ca_file or None
        ways["heartbeat webhook"] = Webhook(spec.url, *files, facts=facts, clock=house.clock)
    if spec.device:
        ways["heartbeat relay"] = Relay(partial(house.write, spec.device, spec.point), toggle=spec.toggle)
    beating = {
        name: Heartbeat(way, every=spec.every, clock=house.clock, last_probe=lambda: watchdog.last)
        for name, way in ways.items()
    }
    return {name: partial(_alive, house, name, one.run) for name, one in beating.items()}


def _broker_way(house: House, spec: HeartbeatSpec, facts: Callable[[str], dict[str, object]]) -> Way:
    from gateway.care.heartbeat_mqtt import Broker  # noqa: PLC0415 - mqtt5 is imported only where there is a broker

    source = next(one for one in house.station.sources if one.id == spec.source)

    def options() -> MqttOptions:
        driver = registry.driver(source.driver)
        made: MqttOptions = driver.connection_of(
            read(source, driver.OPTIONS), station=house.station.id, source=source.id, receive_maximum=1
        )
        return made

    topic = spec.topic or f"firegrid/{house.station.id}/heartbeat"
    return Broker(options, topic, facts=facts, clock=house.clock)


def _power(house: House) -> dict[str, Part]:
    """Return what watches mains and battery, and the UPS that a NUT server knows."""
    spec = house.station.power
    if spec is None:
        return {}
    ups = Ups(spec, house.intake.put, ids=house.ids, clock=house.clock) if spec.nut else None
    power = Power(
        spec,
        house.intake.put,
        level=partial(_level, house),
        said_low=lambda: ups is not None and ups.low,
        ids=house.ids,
        clock=house.clock,
        stop=house.stop,
        power_off=partial(power_off, "systemctl", "poweroff", clock=house.clock),
    )
    parts: dict[str, Part] = {"power": partial(_alive, house, "power", power.run)}
    return parts | ({"ups": partial(_alive, house, "ups", ups.run)} if ups else {})


def _level(house: House, point: str) -> float | None:
    """Return the newest value of a point; None when it is bad, or older than any device may be silent."""
    latest, number = house.state.latest, house.ids[point]
    fresh = house.clock.mono() - int(latest.time[number]) <= MAINS_SILENCE * SECOND
    return float(latest.value[number]) if fresh and level_of(int(latest.quality[number])) is not Level.BAD else None


def _alive(house: House, name: str, run: Callable[[Callable[[], None]], Awaitable[None]]) -> Awaitable[None]:
    return run(house.links[name].alive)


def _uplinks(house: House) -> dict[str, Part]:
    """Return a part for each sink; what is remembered of sinks that are no more goes."""
    sinks = [spec.id for spec in house.station.sinks]
    forget(sinks, house.ledger, house.runner.memory)
    uplinks = {sink: _uplink(house, sink, f"sink {sink}") for sink in sinks}
    house.requests["rewind"] = partial(rewind, uplinks)
    return {f"sink {sink}": partial(_run_uplink, house, uplink) for sink, uplink in uplinks.items()}


async def _run_uplink(house: House, uplink: Uplink) -> None:
    """Run a sink; of a store that could not be read at the start nobody knows yet how far it has come."""
    if house.unread:
        while house.unread and house.ledger.volatile:
            await house.clock.sleep(1.0)
        house.unread = False
        uplink.resume()
    await uplink.run()


def _uplink(house: House, sink: str, name: str) -> Uplink:
    return Uplink(
        sink,
        store=house.station.store.path,
        ledger=house.ledger,
        memory=house.runner.memory,
        link=lambda: house.links[name],
        clock=house.clock,
        tell=partial(_told, house, name),
    )


def _told(house: House, name: str, key: str, code: EventCode, text: str) -> None:
    """Put what a far end wants of people on the intake, as an event of the gateway itself."""
    event = Event(house.state.gateway_events, key, code, text)
    house.intake.put(make_batch(name, house.clock.mono(), events=[event]))


def _page(house: House) -> dict[str, Part]:
    """Return the live page, if one is configured.

    What it needs is imported here, before anything waits for the loop: a second on a small box, in which the loop would
    stand still and say so. What fails here fails again in the part, which is its fault alarm.
    """
    if house.station.page is None:
        return {}
    with contextlib.suppress(Exception):
        importlib.import_module(_PAGE)

    async def serve() -> None:
        from gateway.web.facts import Facts  # noqa: PLC0415 - starlette and uvicorn cost memory
        from gateway.web.server import LivePage  # noqa: PLC0415 - likewise

        facts = Facts(
            station=house.station,
            ids=house.ids,
            runner=house.runner,
            clock=house.clock,
            links=lambda: [link.health for link in house.links.values()],
            memory=house.remembered("page"),
            life=house.life,
        )
        await LivePage(facts).run(house.links["page"].alive)

    return {"page": serve}


def _status(house: House) -> str:
    """Return what `systemctl status` shows in one line."""
    up = sum(link.health.up for link in house.links.values())
    store = "without the disk" if house.ledger.volatile else "recording"
    alarms = sum(1 for _ in house.state.book.open_alarms())
    return f"{store}, {alarms} alarms open, {up} of {len(house.links)} links up"
