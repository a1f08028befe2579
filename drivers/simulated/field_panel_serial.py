"""A fire panel on its serial output as `simulate` plays it: it idles, answers polls, and tells of a fire once.

Beside `drivers.simulated.field`; the panel itself is `drivers.simulated.panel.SimulatedPanel`. Keeps house rule 9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drivers._installing import options_of
from drivers._panel_device import PanelDeviceOptions
from drivers.simulated.field import FarEnd
from drivers.simulated.panel import SimulatedPanel
from gateway.model.point import Device
from gateway.protocols.panels import fs5101w, gst5000, gst9000_printer, gst_crt, jb3208, jbf11sf, jbf193k, ld128e

FIRES: Mapping[str, Callable[[int], bytes]] = {
    "fs5101w": lambda panel: fs5101w.encode(panel, fs5101w.EVENT, fs5101w.event_data(0xC3, 5, "0/1/2/3")),
    "gst5000": lambda _: gst5000.encode(gst5000.FIRE, "003012", 3, "锅炉房"),
    "gst9000_printer": lambda _: gst9000_printer.encode("首次火警", "3/12"),
    "gst_crt": lambda _: gst_crt.encode(gst_crt.FIRE, "003012", 3),
    "jb3208": lambda panel: jb3208.encode(panel, jb3208.FIRE, [jb3208.Item(2, 3, 4)]),
    "jbf11sf": lambda _: jbf11sf.encode(jbf11sf.FIRE, "1/2/3"),
    "jbf193k": lambda panel: jbf193k.encode(jbf193k.FIRE, f"{panel}/2/3"),
    "ld128e": lambda _: ld128e.encode(ld128e.FIRE, "3/2"),
}


def far_end(device: Device, rest: Mapping[str, float]) -> FarEnd:
    """Return the panel."""
    del rest
    own = options_of(device, PanelDeviceOptions, strict=True)
    usual = 0 if own.dialect == "gst_crt" else 1  # the address by which it is polled
    return _FarEnd(own.dialect, own.panel if own.panel is not None else usual)


class _FarEnd:
    def __init__(self, dialect: str, number: int) -> None:
        self._box = SimulatedPanel(dialect, number)
        self._fire = b""
        self._number = number

    def say(self, turn: int, wall: int) -> bytes:
        del turn, wall
        fire, self._fire = self._fire, b""
        told = self._box.tell(fire) if fire else b""  # first: the answer to a poll would be taken for its own
        return told + self._box.idle()

    def hear(self, data: bytes, wall: int) -> bytes:
        del wall
        return self._box.hear(data)

    def burn(self) -> None:
        self._fire = FIRES[self._box.dialect](self._number)
