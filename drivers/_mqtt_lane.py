"""One persistent session of the `mqtt` driver: messages of one read → one batch; PUBACK after its commit.

Beside `mqtt.py`. Keeps house section 4 (acknowledged only once committed, redelivery recognised) and section 3 (no
poison pill): what carries nothing for us, is too large or unreadable is counted and acknowledged at once.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from drivers._mqtt_outputs import Outputs
from drivers._mqtt_redelivery import Handed, Known, digest
from drivers._mqtt_routes import ALARM, TELEMETRY, Route, Routes
from drivers._mqtt_subscriptions import judge, keep, subscriptions
from drivers._mqtt_unread import Unread
from drivers._mqtt_voice import Voice
from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.model.batch import Mark, make_batch
from gateway.model.ports import Announcing, Decoded, Dialect, Emit, LinkReport, Memory, Publication
from gateway.transport.mqtt import Message, MqttSession, connect
from gateway.transport.mqtt_options import MqttOptions

_AT_MOST_ONCE = "spBv1.0/"  # Sparkplug asks for QoS 0, and finds gaps by its own sequence numbers
_BATCH = 500  # messages; a step takes whole batches, so none may be large
_GATHER = 0.1  # s that telemetry waits for company: a step costs the same for one message and for fifty
_FORGET_WITHIN = 2.0  # s
_ASK_EXPIRY = 60  # s; a question that waited longer would be answered by newer news anyway


@dataclass(slots=True)
class _Turn:
    """What one read brought. `idle`: packet ids to acknowledge now, since nothing of them is kept."""

    decoded: Decoded = field(default_factory=Decoded)
    idle: list[int] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)


class Lane:
    """What one session does.

    `asks` are messages that make devices tell their present state, `polls` those that are sent now and then.
    `announcing`: dialects that say that we are here, once this session and that of `after` are subscribed.
    """

    def __init__(
        self,
        number: int,
        options: MqttOptions,
        routes: Routes,
        *,
        source: str,
        source_events: int,
        asks: Sequence[tuple[str, bytes]],
        payload_limit: int,
        marks: Sequence[Mark],
        clock: Clock,
        memory: Memory,
        report: LinkReport,
        outputs: Outputs,
        announcing: Sequence[Announcing] = (),
        polls: Sequence[Publication] = (),
        after: Lane | None = None,
    ) -> None:
        self.number = number
        self.name = options.client_id
        self._options = options
        self._routes = routes
        self._source = source
        self._source_events = source_events
        self._asks = asks
        self._payload_limit = payload_limit
        self._clock = clock
        self._memory = memory
        self._report = report
        self._handed = Handed(mark for mark in marks if mark.session == self.name)
        self._remarked: set[str] = set()
        self._unread = Unread(routes, clock, report)
        self._emit: Emit | None = None
        self._gathered: list[Message] = []
        self._came = asyncio.Event()
        self._voice = Voice(announcing, polls, clock, report)
        self._outputs = outputs
        self._session: MqttSession | None = None
        self._after = after
        self._subscribed = asyncio.Event()

    async def run(self, emit: Emit) -> None:
        """Keep one connection until it ends: raises `LinkDown` with the reason, or is cancelled."""
        self._emit = emit
        self._subscribed.clear()
        options = self._voice.begin(self._options)
        session = await connect(options, self._clock, self._receive)
        self._handed.follow(session)
        # No TaskGroup, as in `_together`. Whichever of them fails ends the session.
        tasks = [
            asyncio.create_task(self._live(session), name=f"{self.name} session"),
            asyncio.create_task(self._gather(session), name=f"{self.name} gathering"),
            asyncio.create_task(self._voice.speak(session), name=f"{self.name} replies"),
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            self._session = None
            for task in tasks:
                task.cancel()
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
                self._flush(session)
            finally:
                await session.close(will=options.will is not None)

    async def _live(self, session: MqttSession) -> None:
        await self._prepare(session)
        self._session = session
        self._subscribed.set()
        self._report.alive()
        if self._after is not None:
            await self._after.subscribed()
        self._voice.announce()
        await session.run()

    async def subscribed(self) -> None:
        """Wait until this connection's subscriptions stand."""
        await self._subscribed.wait()

    async def say(self, messages: Iterable[Publication]) -> None:
        """Publish in order; returns when the broker has them. Raises `LinkDown`."""
        if self._session is None:
            raise LinkDown(f"{self.name}: no connection to the broker")
        for topic, payload, retain, qos in messages:
            await self._session.publish(topic, payload, qos=qos, retain=retain, expiry=_ASK_EXPIRY)

    # after the connection
    async def _prepare(self, session: MqttSession) -> None:
        """Bring the broker's subscriptions in line with the configuration, say that we are here, ask for states."""
        wanted = self._routes.filters(self.number)
        kept = set(subscriptions(self._memory, self.name))
        self._keep(kept | set(wanted))
        stale = sorted(kept - set(wanted)) if session.session_present else []
        if not session.session_present:
            self._report.count("new_session")
            await self._forget()
        codes = await session.subscribe([(pattern, 1) for pattern in wanted]) if wanted else []
        self._judge(dict(zip(wanted, codes, strict=True)))
        if stale:
            await session.unsubscribe(stale)
        self._keep(set(wanted))
        if self._options.will is not None:
            await session.publish(self._options.will.topic, b"online", retain=True)
        for topic, payload in self._asks:
            await session.publish(topic, payload, expiry=_ASK_EXPIRY)

    async def _forget(self) -> None:
        """Let marks of a session that the broker lost leave the store before anything comes under their ids again.

        Nothing comes before we subscribe. A store that does not answer may not keep us deaf: then they leave with the
        first message.
        """
        stale = self._handed.stale()
        if stale and self._emit is not None:
            gone = asyncio.Event()
            self._emit(make_batch(self._source, self._clock.mono(), stale=stale, ack=gone.set, waiting=True))
            with suppress(TimeoutError):
                async with self._clock.timeout(_FORGET_WITHIN):
                    await gone.wait()

    def _keep(self, patterns: Iterable[str]) -> None:
        keep(self._memory, self.name, patterns)

    def _judge(self, granted: dict[str, int]) -> None:
        """Turn refused subscriptions into a fault alarm of the source."""
        for pattern, code in granted.items():
            if code == 0:
                self._report.finding(f"qos {pattern}", f"the broker grants QoS 0 only for {pattern}")
        events = judge(self._memory, self.name, granted, self._source_events)
        if events and self._emit is not None:
            self._emit(make_batch(self._source, self._clock.mono(), events=events))

    # messages
    def _receive(self, session: MqttSession, messages: list[Message]) -> None:
        """Make batches of what one read brought, or let it wait for company. Loop thread; waits for nothing."""
        self._handed.follow(session)
        self._gathered += messages
        if self.number != TELEMETRY or len(self._gathered) >= _BATCH:
            self._flush(session)
        else:
            self._came.set()

    async def _gather(self, session: MqttSession) -> None:
        """Let telemetry wait for company, never for long."""
        while True:
            await self._came.wait()
            await self._clock.sleep(_GATHER)
            self._flush(session)

    def _flush(self, session: MqttSession) -> None:
        """Make batches of what waits, one unless in a flood."""
        messages, self._gathered = self._gathered, []
        self._came.clear()
        for start in range(0, len(messages), _BATCH):
            self._batch(session, messages[start : start + _BATCH])

    def _batch(self, session: MqttSession, messages: Sequence[Message]) -> None:
        turn = _Turn()
        self._take(messages, turn)
        for problem in turn.decoded.problems:
            self._report.count(problem)
        self._voice.take(turn.decoded.replies)
        self._outputs.saw(turn.decoded.rows)
        if turn.idle:
            session.ack(turn.idle)
        if turn.frames and self._emit is not None:
            batch = make_batch(
                self._source,
                self._clock.mono(),
                turn.decoded.rows,
                frames=turn.frames,
                frame=turn.frame,
                events=turn.decoded.events,
                heard=turn.decoded.heard,
                marks=turn.marks,
                ack=functools.partial(self._handed.committed, session, self._handed.session, turn.marks),
                settled=functools.partial(self._handed.settled, session, turn.marks),
                stale=self._handed.stale(),
                waiting=session.pressed,
            )
            self._emit(batch)

    def _take(self, messages: Sequence[Message], turn: _Turn) -> None:
        """Read messages. One loop without a call that can be spared: a flood comes through here."""
        decoded, frames, frame = turn.decoded, turn.frames, turn.frame
        rows, events, heard = decoded.rows, decoded.events, decoded.heard
        for topic, payload, retained, duplicate, packet_id in messages:
            route = self._routes.of(topic)
            if self.number not in route.lanes or payload is None or len(payload) > self._payload_limit:
                self._pass_over(route, topic, payload or b"")
                self._idle(packet_id, turn)
                continue
            value = b""
            if packet_id:
                value = digest(topic, payload)
                if duplicate and self._came_before(packet_id, value, turn.idle):
                    continue
            elif not retained:
                self._remark(topic)
            before, others = len(rows), len(events) + len(heard)
            self._decode(route, topic, payload, retained=retained, into=decoded)
            told = len(rows) - before
            if not told and len(events) + len(heard) == others:
                self._idle(packet_id, turn)
                continue
            frame += [len(frames)] * told
            frames.append(payload)
            if packet_id:
                turn.marks.append(Mark(self.name, packet_id, value))
                self._handed.over(packet_id, value)

    def _decode(self, route: Route, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> None:
        well = len(into.problems)
        for dialect in route.dialects:
            try:
                dialect.decode(topic, payload, retained=retained, into=into)
            except Exception as error:  # noqa: BLE001 - a bug in a dialect must not make one message come for ever
                self._failed(dialect, topic, error)
        if len(into.problems) > well:
            self._unread.note(topic, payload, into.problems[well:])

    def _pass_over(self, route: Route, topic: str, payload: bytes) -> None:
        """Count what is nobody's or too large; what the other session has is its to count."""
        if self.number in route.lanes:
            self._report.count("too_large")
            self._unread.note(topic, payload, ("too_large",))
        elif not route.dialects:
            self._report.count("unknown_topic")

    def _failed(self, dialect: Dialect, topic: str, error: Exception) -> None:
        self._report.count("dialect_failed")
        self._report.finding(f"dialect {topic}", f"{type(dialect).__module__} failed on {topic}: {error!r}")

    def _came_before(self, packet_id: int, value: bytes, idle: list[int]) -> bool:
        known = self._handed.known(packet_id, value)
        if known is Known.NEW:
            return False
        self._report.count("redelivered")
        if known is Known.COMMITTED:
            idle.append(packet_id)
        return True

    def _idle(self, packet_id: int, turn: _Turn) -> None:
        turn.idle.append(packet_id)
        self._handed.forget(packet_id)

    def _remark(self, topic: str) -> None:
        if self.number == ALARM and topic not in self._remarked and not topic.startswith(_AT_MOST_ONCE):
            self._remarked.add(topic)
            self._report.finding(
                f"qos0 {topic}",
                f"{topic} is a life-safety topic sent at QoS 0: lost if the broker or a link fails at that moment."
                " In Zigbee2MQTT's configuration.yaml put `qos: 1` and `retain: true` under this device.",
            )
