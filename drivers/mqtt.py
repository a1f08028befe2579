"""The `mqtt` driver: everything devices publish at one broker → batches.

Two persistent MQTT 5 sessions per broker, so that queued telemetry never stands before a smoke detector: topics of
life-safety devices in the one, the rest in the other (house section 2: two lanes). Dialects read payloads. Keys of the
`[[source]]` table: see `Options`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import msgspec

from drivers._mqtt_lane import Lane
from drivers._mqtt_outputs import Outputs
from drivers._mqtt_routes import ALARM, LANES, TELEMETRY, Routes
from drivers._mqtt_subscriptions import subscriptions
from drivers._together import until_one_ends
from gateway import registry
from gateway.errors import ConfigError, DriverFatal
from gateway.model.ports import Announcing, Dialect, DialectSetup, DriverSetup, Emit, Polling
from gateway.protocols.mqtt_topics import is_filter
from gateway.transport.mqtt_options import WEEK, Announcement, BrokerAccount, MqttOptions

_LANE_NAMES = {ALARM: "alarm", TELEMETRY: "telemetry"}


class Options(BrokerAccount, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "mqtt"`. Times in seconds, sizes in bytes.

    `client_id` must be unique at the broker and never change: the broker keeps the queue under it. `status_topic` gets
    a retained `online` or, as last will, `offline`.
    """

    client_id: str = ""
    session_expiry: Annotated[int, msgspec.Meta(ge=60)] = WEEK
    payload_limit: Annotated[int, msgspec.Meta(ge=256, le=1 << 20)] = 64 << 10
    status_topic: str = ""


OPTIONS = Options
DIALECTS = True  # devices of every dialect stand on it


def create(setup: DriverSetup) -> MqttDriver:
    """Build the driver. Raises `ConfigError`: unknown or wrong keys, a password file others may read, no dialect."""
    try:
        options = msgspec.convert(setup.source.options, Options)
    except msgspec.ValidationError as error:
        raise ConfigError(f"source {setup.source.id}: {error}") from error
    dialects = _dialects(setup)
    placed = [
        (device, ALARM if device.id in setup.life_safety else TELEMETRY, dialects[device.profile.driver])
        for device in setup.devices
    ]
    connection = connection_of(
        options, station=setup.station, source=setup.source.id, receive_maximum=setup.limits.receive_maximum
    )
    names = {lane: f"{connection.client_id}-{name}" for lane, name in _LANE_NAMES.items()}
    routes = Routes(placed, {lane: subscriptions(setup.memory, name) for lane, name in names.items()})
    wrong = [pattern for lane in LANES for pattern in routes.filters(lane) if not is_filter(pattern)]
    if wrong:
        raise ConfigError(
            f"source {setup.source.id}: no topic filter: {', '.join(wrong)}; fix: `+` and `#` stand alone"
        )
    lanes: list[Lane] = []
    outputs = Outputs(setup.point_ids, setup.clock)
    announcing = [dialect for dialect in dialects.values() if isinstance(dialect, Announcing)]
    for number in LANES:
        asks = [ask for device, lane, dialect in placed if lane == number for ask in dialect.ask(device)]
        polls = [
            poll
            for device, lane, dialect in placed
            if lane == number and isinstance(dialect, Polling)
            for poll in dialect.poll(device)
        ]
        own = replace(connection, client_id=names[number])
        lanes.append(
            Lane(
                number,
                own if number == ALARM else replace(own, will=None),
                routes,
                source=setup.source.id,
                source_events=_source_events(setup),
                asks=list(dict.fromkeys(asks)),
                payload_limit=options.payload_limit,
                marks=setup.marks,
                clock=setup.clock,
                memory=setup.memory,
                report=setup.report,
                outputs=outputs,
                polls=list(dict.fromkeys(polls)),
                announcing=announcing if number == TELEMETRY else (),  # the other session's will is our own status
                after=lanes[0] if announcing and lanes else None,
            )
        )
    by_number = {lane.number: lane for lane in lanes}
    for device, number, dialect in placed:
        outputs.add(device, dialect, by_number[number])
    return MqttDriver(lanes, outputs)


class MqttDriver:
    """A broker as source of batches (port `Driver`)."""

    def __init__(self, lanes: list[Lane], outputs: Outputs) -> None:
        self._lanes = lanes
        self._outputs = outputs

    async def run(self, emit: Emit) -> None:
        """Keep both sessions until one of them ends: raises `LinkDown` or `DriverFatal`; close both when cancelled."""
        lanes = [asyncio.create_task(lane.run(emit), name=lane.name) for lane in self._lanes]
        try:
            await until_one_ends(*lanes)
        except ConfigError as wrong:  # TLS files are read at every connection
            raise DriverFatal(str(wrong)) from None

    async def write(self, device: str, point: str, value: float) -> None:
        """Set an output, see `Outputs`. Raises `DeliveryError`, `LinkDown`."""
        await self._outputs.write(device, point, value)


def _source_events(setup: DriverSetup) -> int:
    return setup.point_ids[f"@{setup.source.id}.events"]


def _dialects(setup: DriverSetup) -> dict[str, Dialect]:
    """Return one dialect object per name, knowing all its devices of both lanes."""
    return {
        name: registry.dialect(name).create(
            DialectSetup(
                devices=[device for device in setup.devices if device.profile.driver == name],
                point_ids=setup.point_ids,
                source_events=_source_events(setup),
            )
        )
        for name in sorted({device.profile.driver for device in setup.devices})
    }


def connection_of(options: Options, *, station: str, source: str, receive_maximum: int) -> MqttOptions:
    """Return how the broker is reached; `doctor` asks too. Raises `ConfigError`: a password file others may read."""
    status = options.status_topic or f"firegrid/{station}/status"
    return replace(
        options.session(options.client_id or f"firegrid-{station}-{source}"),
        session_expiry=options.session_expiry,
        receive_maximum=receive_maximum,
        will=Announcement(status, b"offline"),
    )
