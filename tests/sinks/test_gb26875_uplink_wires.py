"""The sink `gb26875_uplink` over real sockets, from a journal, and a duty check through a whole daemon."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from drivers.gb26875 import create as create_driver
from gateway.cli.main import run
from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.model.alarm import Alarm, AlarmState, Verb
from gateway.model.batch import Batch, Event, EventCode
from gateway.model.point import AlarmClass
from gateway.model.portion import Portion
from gateway.protocols.gb26875 import Command, Frame, Frames, encode_frame, reply_to
from gateway.protocols.gb26875_objects import DutyCheck
from gateway.protocols.gb26875_units import encode_unit
from gateway.sinks import gb26875_uplink
from gateway.store.read import Reader
from tests.channel_rigs import Notes
from tests.daemon import Daemon
from tests.drivers.gb26875_centre import setup_of
from tests.patience import until
from tests.sinks.gb26875_station import move, setup
from tests.sinks.living_station import Living
from tests.sinks.watched_station import write

GENEROUS = 60.0  # s of real time
PANEL = "1/1/39283/52977"  # made of the id of its event point and the key of its fire


class Centre:
    """Our driver on a real socket; commits at once. `events`: everything stored."""

    def __init__(self, port: int, wire: str) -> None:
        self.notes = Notes()
        self.events: list[Event] = []
        setup_ = setup_of(1, clock=SystemClock(), notes=self.notes, wire=wire, port=port)
        self.driver = create_driver(setup_)

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Listen."""
        before = self.notes.counts["alive"]
        running = asyncio.create_task(self.driver.run(self._take))
        try:
            await until(lambda: self.notes.counts["alive"] > before)
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def codes(self) -> list[str]:
        """Return the codes of the events."""
        return [one.code.name for one in self.events]

    def _take(self, batch: Batch) -> None:
        self.events += batch.events
        asyncio.get_running_loop().call_soon(batch.ack)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(("wire", "theirs"), [("tcp", "tcp_server"), ("udp", "udp")])
def test_an_alarm_over_a_real_socket_and_over_a_centre_that_was_away(wire: str, theirs: str) -> None:
    async def main() -> None:
        port = free_port(socket.SOCK_DGRAM if wire == "udp" else socket.SOCK_STREAM)
        sink = gb26875_uplink.create(setup(SystemClock(), port=port, wire=wire, timeout=5.0, address=1))
        with pytest.raises(LinkDown):
            await sink.send(Portion(notes=(move(1),)))
        centre = Centre(port, theirs)
        async with centre.living():
            assert await sink.send(Portion(notes=(move(1),))) == []
            assert centre.codes() == ["FIRE"]
        with pytest.raises(LinkDown):
            await sink.send(Portion(notes=(move(2, point=2, second=1),)))
        async with centre.living():
            await sink.send(Portion(notes=(move(2, point=2, second=1),)))
            assert centre.codes() == ["FIRE", "SUPERVISORY"]
        await sink.close()

    asyncio.run(main())


def test_from_the_journal_of_a_living_station_with_a_centre_that_comes_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        port = free_port()
        living = Living(tmp_path, "gb26875_uplink", host="127.0.0.1", port=port, timeout=5.0)
        centre = Centre(port, "tcp_server")
        async with living.sending(monkeypatch):
            living.read(1.0, 50.0)
            await until(lambda: bool(living.error) and living.error != "not a word yet")
            async with centre.living():
                await until(lambda: living.at_rest)
                assert [event.key for event in centre.events] == ["1/1/0/3", PANEL]  # the newest fire first
                await centre.driver.write("d0", "duty_check", 3)
                await until(lambda: any(report.told for report in living.reports))
            [told] = [told for report in living.reports for told in report.told]
            assert (told.key, told.code) == ("duty", EventCode.SUPERVISORY)
            living.second += 1
            living.scenario.event(living.second, "@gateway", told.code, f"{told.key} far", told.text)
            [alarm] = [one for one in living.scenario.alarms() if one.key == "duty far"]
            living.second += 1
            living.scenario.act(living.second, Verb.ACK, [alarm.id])
            await until(lambda: bool(living.error))
            async with centre.living():
                await until(lambda: living.at_rest)
                await until(lambda: any("查岗应答" in event.text for event in centre.events))
                assert centre.codes().count("FIRE") == 2

    asyncio.run(main())


class ByHand:
    """A centre in a thread: confirms everything, and asks for a duty check at the first frame."""

    def __init__(self) -> None:
        self.units: list[bytes] = []
        self.confirmed = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(GENEROUS)
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            link, _ = self._server.accept()
            with link:
                frames = Frames()
                check = Frame(serial=9, command=Command.CONTROL, unit=encode_unit(91, [DutyCheck(5)]))
                link.sendall(encode_frame(check))
                while data := link.recv(4096):
                    for frame in frames.feed(data):
                        assert isinstance(frame, Frame)
                        self.confirmed |= frame.command == Command.CONFIRM and frame.serial == 9
                        if frame.command == Command.SEND:
                            self.units.append(frame.unit)
                            link.sendall(encode_frame(reply_to(frame, Command.CONFIRM, bytes(6))))

    def close(self) -> None:
        """Go."""
        self._server.close()


def test_a_duty_check_through_a_whole_daemon_is_an_alarm_and_its_answer_goes_up(tmp_path: Path) -> None:
    centre = ByHand()
    table = f'[[sink]]\nid = "city"\nkind = "gb26875_uplink"\nhost = "127.0.0.1"\nport = {centre.port}\n'
    config = write(tmp_path, free_port(), table + "operators = { li = 3 }\n")  # and its broker is nowhere
    life = Daemon(config)
    try:
        life.wait_armed()
        wait(lambda: duty(tmp_path))
        [alarm] = duty(tmp_path)
        assert (alarm.alarm_class, alarm.state) == (AlarmClass.SUPERVISORY, AlarmState.UNACK)
        assert centre.confirmed
        assert run(["ack", str(alarm.id), "-c", str(config), "--as", "li"]) == 0
        wait(lambda: any(unit[:4] == b"\x18\x01\x20\x03" for unit in centre.units))  # type 24, bit 5, operator 3
        wait(lambda: not duty(tmp_path))  # it has returned to normal by itself
        wait(lambda: any(unit[:3] == b"\x15\x01\x40" for unit in centre.units))  # type 21, bit 6: the broker is gone
    finally:
        assert life.stop() == 0
        centre.close()


def duty(folder: Path) -> list[Alarm]:
    """Return the open alarms of duty checks."""
    with Reader(folder / "station.db") as reader:
        return [entry.body for entry in reader.alarms() if entry.body.key == "duty city"]


def wait(condition: Callable[[], object]) -> None:
    """Wait in real time."""
    end = time.monotonic() + GENEROUS
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
