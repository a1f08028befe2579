"""What lives beside the flow and never inside it: each part a supervised task of its own.

Part of the composition root, between `gateway.app` and `gateway.house`. A part is made from a living house and reads
it; what it wants changed it puts on the intake like everybody else (house rule 1). One that fails is started again with
back-off and is a fault alarm while it stays down (house section 11).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from gateway.care.box import Box, Starts
from gateway.care.lag import LoopLag
from gateway.care.machine import Machine
from gateway.care.modems import Modems
from gateway.care.watchdog import Watchdog
from gateway.house import House
from gateway.model.modem import OverModem
from gateway.transport import notify
from gateway.uplink.part import Uplink, forget, rewind

Part = Callable[[], Awaitable[None]]


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
        **_box(house, lag),
        **_uplinks(house),
        **_page(house),
    }


def _box(house: House, lag: LoopLag) -> dict[str, Part]:
    """Return the box as points, and its modems as a witness of the time."""
    found = [channel for channel in house.channels.values() if isinstance(channel, OverModem)]
    modems = Modems(found, house.timekeeper.hear, house.clock)
    starts = Starts(house.remembered("box"), house.clock)

    def inside() -> dict[str, float]:
        trusted = house.timekeeper.epoch.trusted
        figures = {"loop_lag": lag.peak(), "clock_trusted": float(trusted), "clock_error": house.timekeeper.error()}
        restarts = starts.count(trusted=trusted)
        return figures | modems.figures() | ({} if restarts is None else {"restarts_day": restarts})

    box = Box(
        house.intake.put,
        machine=Machine(Path(house.station.store.path)),
        ids=house.ids,
        clock=house.clock,
        inside=inside,
    )
    parts: dict[str, Part] = {"box": lambda: box.run(house.links["box"].alive)}
    return parts | ({"modem time": lambda: modems.run(house.links["modem time"].alive)} if found else {})


def _uplinks(house: House) -> dict[str, Part]:
    """Return a part for each sink; what is remembered of sinks that are no more goes."""
    sinks = [spec.id for spec in house.station.sinks]
    forget(sinks, house.ledger, house.runner.memory)
    uplinks = {sink: _uplink(house, sink, f"sink {sink}") for sink in sinks}
    house.requests["rewind"] = partial(rewind, uplinks)
    return {f"sink {sink}": uplink.run for sink, uplink in uplinks.items()}


def _uplink(house: House, sink: str, name: str) -> Uplink:
    return Uplink(
        sink,
        store=house.station.store.path,
        ledger=house.ledger,
        memory=house.runner.memory,
        link=lambda: house.links[name],
        clock=house.clock,
    )


def _page(house: House) -> dict[str, Part]:
    """Return the live page, if one is configured; what it needs is imported only when it starts."""

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
        )
        await LivePage(facts).run(house.links["page"].alive)

    return {"page": serve} if house.station.page is not None else {}


def _status(house: House) -> str:
    """Return what `systemctl status` shows in one line."""
    up = sum(link.health.up for link in house.links.values())
    store = "without the disk" if house.ledger.volatile else "recording"
    alarms = sum(1 for _ in house.state.book.open_alarms())
    return f"{store}, {alarms} alarms open, {up} of {len(house.links)} links up"
