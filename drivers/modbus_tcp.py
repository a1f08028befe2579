"""The `modbus_tcp` driver: devices behind a TCP port, polled one after the other. See `drivers._modbus_polling`.

Three framings meet there: MBAP of Modbus TCP devices and gateways, and RTU frames or ASCII lines that a plain serial
server (串口服务器) passes through.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers._modbus_framed import FramedPort
from drivers._modbus_master import Port
from drivers._modbus_polling import Line, Polling
from drivers._modbus_setup import DeviceOptions, TcpOptions, read_setup
from gateway.clock import Clock
from gateway.model.ports import DriverSetup
from gateway.protocols.modbus_framing import Ascii, Mbap
from gateway.transport.stream import StreamPort

OPTIONS = TcpOptions
DEVICE_OPTIONS = DeviceOptions
SERVES = ("modbus_rtu",)  # the same registers on another wire: profiles are shared
STALE = 0.2  # s in which a serial server hands a new caller what its bus said to the former one


def create(setup: DriverSetup) -> Polling:
    """Build the driver. Raises ConfigError with every problem of the source and its devices."""
    options, units = read_setup(setup, TcpOptions, slack=lambda options: options.delay)
    newest: Mbap | None = None

    async def opened() -> Port:
        nonlocal newest
        newest = Mbap(asks=True, after=newest)
        return await open_line(options, setup.clock, setup.report.count, newest)

    where = f"{options.host}:{options.port}"
    return Polling(
        setup, units, Line(name=where, open=opened, baudrate=options.baudrate, queues=options.framing == "tcp")
    )


async def open_line(
    options: TcpOptions, clock: Clock, count: Callable[[str, int], None], mbap: Mbap | None = None
) -> Port:
    """Call the far end; what comes from it are RTU frames whatever its framing. Raises LinkDown.

    `mbap`: the framing to use where that is "tcp".
    """
    port = await StreamPort.open(options.host, options.port, clock)
    if options.framing == "tcp":
        return FramedPort(port, mbap or Mbap(asks=True), count)
    try:
        await clock.sleep(STALE)  # the master drops what has come before its first question
    except BaseException:
        port.close()
        raise
    return port if options.framing == "rtu" else FramedPort(port, Ascii(), count)
