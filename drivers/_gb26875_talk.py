"""The centre's side of GB/T 26875.3 with one peer: frames → what they said, how they are answered, what is asked.

Pure (port `Conversation`), between the codec and `drivers._conversation.Talking`. Keeps house rule 4: a frame is
confirmed once it is committed; what cannot be committed in time, or fails its checksum, is denied, so that the device
sends it again. Who sent a frame is told by the frame, not by the connection: one peer may be many devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from drivers._conversation_repeats import LASTING
from drivers._conversation_said import Proof, Question, Said
from drivers._gb26875_asking import Asking, Attention
from drivers._gb26875_device import Directory, Speaker
from drivers._gb26875_events import duty_over, raw, tell
from drivers._gb26875_told import Told
from drivers._gb26875_words import AGAIN_WITHIN
from gateway.model.ports import Decoded
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.gb26875 import (
    USER_COMMANDS,
    Command,
    Frame,
    Frames,
    Garbage,
    deniable,
    encode_frame,
    head_of,
    reply_to,
)
from gateway.protocols.gb26875_units import Unit, decode_unit, time_tag

LIMIT = 10.0  # s that a device waits for its answer (clause "time-out and resend")
HALF = 5 * SECOND  # ns that the rest of a frame may take
UNTIMED_WITHIN = AGAIN_WITHIN / SECOND  # s in which the same content without a time of its own is a repeat
_ANSWERS = frozenset({Command.CONFIRM, Command.ANSWER, Command.DENY})
_SHAKE, _SHAKEN = b"\x16", b"\x17"  # one maker's handshake in place of a unit


class Centre:
    """A conversation. `datagrams`: no frame goes on in the next one. `there`: devices that need not speak first."""

    def __init__(self, directory: Directory, *, datagrams: bool = False, there: Sequence[Speaker] = ()) -> None:
        self._directory = directory
        self._datagrams = datagrams
        self._there = there
        self._frames = Frames()
        self._half = NEVER  # when a frame that has begun is given up
        self._asking = Asking()
        self._here: dict[str, Attention] = {}

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Take bytes of the stream, cut anywhere, or one datagram."""
        found = self._frames.feed(data)
        if self._datagrams:
            found += self._frames.drop()
        if not self._frames.pending:
            self._half = NEVER
        elif found or self._half == NEVER:
            self._half = now + HALF
        return [*self._said(found, now, wall), *self._ask(now, wall)]

    def tick(self, now: int, wall: int) -> list[Said]:
        """Give half frames up, ask (again), look after who is silent."""
        said: list[Said] = []
        for speaker in self._there:
            self._attend(speaker, now, wall)
        self._there = ()
        if now >= self._half:
            self._half = NEVER
            said += self._said(self._frames.drop(), now, wall)
        for attention in list(self._here.values()):
            if attention.speaker.home is not self:  # it calls from elsewhere now
                del self._here[attention.speaker.id]
                continue
            attention.check(self._asking, now)
            if now >= attention.speaker.duty:
                told = Told(attention.speaker, b"", now, wall)
                duty_over(told)
                said.append(Said(decoded=told.decoded, device=attention.speaker.id))
        return [*said, *self._ask(now, wall)]

    def due(self) -> int:
        """Return when `tick` wants to be called (ns)."""
        cares = min((attention.due for attention in self._here.values()), default=NEVER)
        return 0 if self._there else min(self._half, self._asking.due, cares)

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> Question | None:  # noqa: ARG002 - the port names it
        """Return how to set an output of a device."""
        speaker = self._directory.speakers.get(device)
        decode = None if speaker is None else speaker.outputs.get(point)
        return None if speaker is None or decode is None else self._asking.question(speaker, decode, value, wall)

    def _ask(self, now: int, wall: int) -> list[Said]:
        data, failed = self._asking.work(now, wall)
        said = [Said(decoded=Decoded(problems=[reason]), device=speaker.id) for speaker, reason in failed]
        return [*said, Said(at_once=data)] if data else said

    def _attend(self, speaker: Speaker, now: int, wall: int) -> None:
        if not speaker.registered:
            return
        attention = self._here.get(speaker.id)
        if attention is None:
            attention = self._here[speaker.id] = Attention(speaker, now)
        speaker.home = self
        attention.greet(self._asking, now, wall)

    # -- frames

    def _said(self, found: Iterable[Frame | Garbage], now: int, wall: int) -> list[Said]:
        return [self._frame(one, now, wall) if isinstance(one, Frame) else self._refused(one, wall) for one in found]

    def _refused(self, garbage: Garbage, wall: int) -> Said:
        """Count what is no frame; deny what came with a wrong checksum or end."""
        ours = [name for name, attention in self._here.items() if attention.speaker.home is self]
        only = ours[0] if len(ours) == 1 else ""
        said = Said(decoded=Decoded(problems=[garbage.reason.value]), frame=garbage.data, device=only)
        head = head_of(garbage.data) if deniable(garbage) else None
        if head is not None and (head.command == Command.SEND or head.command in USER_COMMANDS):
            said.at_once = _reply(head, Command.DENY, wall, self._directory.offset)
        return said

    def _frame(self, frame: Frame, now: int, wall: int) -> Said:
        speaker = self._directory.find(frame)
        speaker.met(frame, now)
        told = Told(speaker, encode_frame(frame), now, wall, asked=frame.command in _ANSWERS)
        if told.asked:
            said = self._answer(frame, told, now)
            _read(frame, told)  # a confirmation has no unit, but for makers who answer with one
        elif frame.command == Command.SEND or frame.command in USER_COMMANDS:
            said = _sent(frame, told)
        else:
            down = frame.command in (Command.CONTROL, Command.REQUEST)
            told.decoded.problems.append("wrong_direction" if down else "unknown_command")
            said = _made(told)
            said.at_once = _reply(frame, Command.DENY, wall, speaker.offset)
        decoded = told.decoded
        if not decoded.rows and not decoded.events and speaker.any_point >= 0:
            decoded.heard.append(speaker.any_point)
        self._attend(speaker, now, wall)
        if speaker.options.ask_state:
            for key in told.reset:
                self._asking.ask_state(speaker, key)
        return said

    def _answer(self, frame: Frame, told: Told, now: int) -> Said:
        """Take a frame that ends an exchange of ours."""
        said = _made(told)
        exchange = self._asking.answered(frame, now)
        denied = frame.command == Command.DENY
        if denied:
            told.decoded.problems.append("denied")
        if exchange is not None and exchange.question is not None:
            said.settles, said.refusal = exchange.question, "denied" if denied else ""
        return said


def _made(told: Told) -> Said:
    return Said(decoded=told.decoded, frame=told.frame, device=told.speaker.id)


def _read(frame: Frame, told: Told) -> None:
    """Read the unit of a frame."""
    unit = decode_unit(frame.unit)
    if unit is not None:
        tell(unit, told)
    elif frame.unit:
        raw(Unit(frame.unit[0], 0), told)


def _sent(frame: Frame, told: Told) -> Said:
    """Read what a device sends by itself; it is confirmed once it is stored, at once when there is nothing to store."""
    said = _made(told)
    offset = told.speaker.offset
    if not frame.unit or (frame.command in USER_COMMANDS and len(frame.unit) == 2 and not frame.unit[1]):
        said.at_once = _reply(frame, Command.CONFIRM, told.wall, offset)  # a heartbeat
        return said
    if frame.unit == _SHAKE:
        said.at_once = _reply(frame, Command.CONFIRM, told.wall, offset, _SHAKEN)
        return said
    _read(frame, told)
    said.after = _reply(frame, Command.CONFIRM, told.wall, offset)
    said.late = _reply(frame, Command.DENY, told.wall, offset)
    said.limit = LIMIT
    said.digest = _digest(frame, told)
    if told.right and not told.untimed:
        said.proof, said.within = Proof.TIME, LASTING / SECOND
    else:
        said.proof, said.within = Proof.NOTHING, UNTIMED_WITHIN if told.untimed else said.within
    return said


def _digest(frame: Frame, told: Told) -> bytes:
    parts = (frame.source, *told.stamps)
    return blake2b(frame.unit + b"".join(part.to_bytes(8, "little") for part in parts), digest_size=8).digest()


def _reply(frame: Frame, command: Command, wall: int, offset: int, unit: bytes = b"") -> bytes:
    """Return an answer with our own time; while that is not to be trusted, with the device's."""
    return encode_frame(reply_to(frame, command, time_tag(wall, offset) if wall else frame.sent, unit))
