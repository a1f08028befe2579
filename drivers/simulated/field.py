"""The far ends of the field's wires: devices that call us, that we call, or that hang on a line, with real bytes.

For `firegrid simulate`: one file `field_<driver>.py` per kind of far end makes a pure `FarEnd` of a configured device;
here they are hung on the wire that the source names, as seen from their side. Keeps house rule 9 (fakes ship) and
rule 8 (a new kind is a new file).
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol, cast

from drivers.simulated.behaviour import sine
from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.model.point import Device, Kind
from gateway.transport import datagrams
from gateway.transport.serial import PtyPair, open_pty
from gateway.transport.wires import Peer, SerialPeer, WireOptions, attend

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TURN = 1.0  # s between two turns of a far end; what it does every so often is counted in turns
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what the configuration says, nothing is bound
_AGAIN = 1.0  # s before it calls again
_SWING, _PERIOD = 0.01, 600.0  # what is measured moves by one part in a hundred in 600 turns
Told = Callable[[str, bytes], None]  # (device, bytes that it said)


class FarEnd(Protocol):
    """One device: pure, time is an argument."""

    def say(self, turn: int, wall: int) -> bytes:
        """Return what it says by itself at a turn, counted from 0; b"": nothing."""

    def hear(self, data: bytes, wall: int) -> bytes:
        """Take what the gateway sends; return the answer."""

    def show(self, values: Mapping[str, float]) -> None:
        """Let all its points be so from now on, in their units."""

    def burn(self) -> None:
        """Let there be a fire where it can see one."""

    def over(self) -> None:
        """Let the fire be out, and reset what latches."""


def far_end(driver: str, device: Device, calm: Mapping[str, float]) -> FarEnd | None:
    """Return a device's far end; None where nobody plays its driver. `calm`: `device.point` → what it shows at rest."""
    name = f"{__package__}.field_{driver}"
    if importlib.util.find_spec(name) is None:
        return None
    return cast("FarEnd", importlib.import_module(name).far_end(device, at_rest(device, calm)))


def at_rest(device: Device, calm: Mapping[str, float]) -> dict[str, float]:
    """Return what every point that is no text shows while nothing happens. `calm`: `device.point` → value."""
    return {
        spec.name: calm.get(f"{device.id}.{spec.name}", spec.labels.get("normal", 0.0))
        for spec in device.profile.points
        if spec.kind is not Kind.TEXT
    }


def numbers(device: Device) -> dict[str, int]:
    """Return point ids for a driver's own reading of a device that stands for itself."""
    return {f"{device.id}.{spec.name}": place for place, spec in enumerate(device.profile.points)}


def moved(value: float, turn: int) -> float:
    """Return what a sensor shows at a turn: near its rest, never quite still."""
    return sine(value, value * _SWING, _PERIOD)(turn)


def playable(options: WireOptions) -> bool:
    """Whether the far ends of a wire can be played: it is on this box."""
    if options.wire == "tcp_client":
        return options.host in LOOPBACK
    return not options.many or options.listen in (*LOOPBACK, *_EVERYWHERE)


async def hang(options: WireOptions, place: Path | None, ends: Mapping[str, FarEnd], clock: Clock, told: Told) -> None:
    """Hang far ends on a wire of the gateway until cancelled. `place`: where a serial line appears, None: no line."""
    if place is not None:
        await _on_line(place, _Far(ends, clock, told), clock)
    elif options.wire == "tcp_client":
        ours = WireOptions(wire="tcp_server", listen=options.host, port=options.port)
        far = _Far(ends, clock, told)
        await _live(far, lambda: attend(ours, far, clock), clock)
    else:
        each = [_Far({device: end}, clock, told) for device, end in ends.items()]
        async with asyncio.TaskGroup() as tasks:
            for far in each:
                tasks.create_task(_live(far, _calling(options, far, clock), clock))


def _calling(options: WireOptions, far: _Far, clock: Clock) -> Callable[[], Awaitable[None]]:
    host = "::1" if options.listen == "::1" else "127.0.0.1"
    if options.wire == "udp":
        return lambda: datagrams.call(host, options.number, far, clock)
    return lambda: attend(WireOptions(wire="tcp_client", host=host, port=options.port), far, clock)


class _Far:
    """Some devices with whoever has reached them (port `Ears`)."""

    def __init__(self, ends: Mapping[str, FarEnd], clock: Clock, told: Told) -> None:
        self._ends = ends
        self._clock = clock
        self._told = told
        self._peers: list[Peer] = []

    def opened(self, name: str) -> None:
        """Nothing: who has reached us is met."""

    def met(self, peer: Peer) -> None:
        """Begin to speak with it."""
        self._peers.append(peer)

    def heard(self, peer: Peer, data: bytes) -> None:
        """Let every device hear it; whom it concerns answers."""
        for device, end in self._ends.items():
            self._say(device, [peer], end.hear(data, self._clock.wall()))

    def lost(self, peer: Peer, why: str) -> None:
        """Speak no more with it."""
        del why
        with suppress(ValueError):
            self._peers.remove(peer)

    async def speak(self) -> NoReturn:
        """Say what is to be said, turn by turn; a turn that nobody would hear waits."""
        turns = dict.fromkeys(self._ends, 0)
        while True:
            for device, end in self._ends.items() if self._peers else ():
                self._say(device, self._peers, end.say(turns[device], self._clock.wall()))
                turns[device] += 1
            await self._clock.sleep(TURN)

    def _say(self, device: str, peers: Sequence[Peer], data: bytes) -> None:
        if data:
            self._told(device, data)
            for peer in list(peers):
                peer.write(data)


async def _live(far: _Far, reach: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Reach the gateway, again and again, and speak whenever it is there."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(far.speak())
        while True:
            with suppress(LinkDown):
                await reach()
            await clock.sleep(_AGAIN)


async def _on_line(place: Path, far: _Far, clock: Clock) -> None:
    pair = open_pty(place)
    try:
        await _live(far, lambda: _listen(pair, far), clock)
    finally:
        pair.close()


async def _listen(pair: PtyPair, far: _Far) -> None:
    peer = SerialPeer(pair.port)
    far.met(peer)
    try:
        while True:
            far.heard(peer, await pair.port.read())
    finally:
        far.lost(peer, "hung up")
