"""The `modbus_rtu` driver: one serial bus of polled devices, RTU frames or ASCII lines.

What is done with it stands in `drivers._modbus_polling`.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers._modbus_framed import FramedPort
from drivers._modbus_master import Port
from drivers._modbus_polling import Line, Polling
from drivers._modbus_setup import DeviceOptions, SerialOptions, read_setup
from gateway.model.ports import DriverSetup
from gateway.protocols.modbus_framing import Ascii
from gateway.transport.serial import SerialPort

OPTIONS = SerialOptions
DEVICE_OPTIONS = DeviceOptions
SERVES = ("modbus_tcp",)  # the same registers on another wire: profiles are shared
ASCII_SHARE = 2  # an ASCII line has two characters for each byte of the RTU frame


def create(setup: DriverSetup, open_port: Callable[[SerialOptions], Port] | None = None) -> Polling:
    """Build the driver; `open_port` is the seam for lines that are no port.

    Raises:
        ConfigError: every problem of the source and its devices.
    """
    options, units = read_setup(setup, SerialOptions)

    async def opened() -> Port:
        return open_line(options, setup.report.count, open_port)

    return Polling(setup, units, Line(name=options.port, open=opened, baudrate=speed(options), echo=options.echo))


def speed(options: SerialOptions) -> int:
    """Return the baud rate at which RTU frames would take the time that they take here."""
    return options.baudrate if options.framing == "rtu" else options.baudrate // ASCII_SHARE


def open_line(
    options: SerialOptions,
    count: Callable[[str, int], None],
    open_port: Callable[[SerialOptions], Port] | None = None,
) -> Port:
    """Open the port as the master knows it, whatever is spoken on it. Raises LinkDown."""
    port = (open_port or _open_port)(options)
    return port if options.framing == "rtu" else FramedPort(port, Ascii(), count)


def _open_port(options: SerialOptions) -> Port:
    return SerialPort.open(
        options.port,
        baudrate=options.baudrate,
        bytesize=options.bytesize,
        parity=options.parity,
        stopbits=options.stopbits,
    )
