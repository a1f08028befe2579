"""A fire panel on its serial output as `simulate` plays it: it idles, answers polls, tells of a fire and a reset.

Beside `drivers.simulated.field`; the panel itself is `drivers.simulated.panel.SimulatedPanel`. Keeps house rule 9.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from drivers._installing import options_of
from drivers._panel_device import PanelDeviceOptions
from drivers.simulated.field import FarEnd
from drivers.simulated.panel import SimulatedPanel
from gateway.model.point import Device
from gateway.protocols.panels import fs5101w, gst5000, gst9000_printer, gst_crt, jb3208, jbf11sf, jbf193k, ld128e


def _item(key: str) -> jb3208.Item:
    panel, loop, point = map(int, key.split("/"))
    return jb3208.Item(panel, loop, point)


FIRES: Mapping[str, Callable[[int, str], bytes]] = {  # panel, key of the detector → frame
    "fs5101w": lambda panel, key: fs5101w.encode(panel, fs5101w.EVENT, fs5101w.event_data(fs5101w.FIRE, 5, key)),
    "gst5000": lambda _, key: gst5000.encode(gst5000.FIRE, key, 3, "锅炉房"),
    "gst9000_printer": lambda _, key: gst9000_printer.encode("首次火警", key),
    "gst_crt": lambda _, key: gst_crt.encode(gst_crt.FIRE, key, 3),
    "jb3208": lambda panel, key: jb3208.encode(panel, jb3208.FIRE, [_item(key)]),
    "jbf11sf": lambda _, key: jbf11sf.encode(jbf11sf.FIRE, key),
    "jbf193k": lambda _, key: jbf193k.encode(jbf193k.FIRE, key),
    "ld128e": lambda _, key: ld128e.encode(ld128e.FIRE, key),
}
RESETS: Mapping[str, Callable[[int], bytes]] = {  # panel → frame
    "fs5101w": lambda panel: fs5101w.encode(panel, fs5101w.RESET),
    "gst5000": lambda _: gst5000.encode(gst5000.RESET),
    "gst9000_printer": lambda _: gst9000_printer.encode("系统复位", "0/0"),
    "gst_crt": lambda _: gst_crt.encode(gst_crt.RESET),
    "jb3208": lambda panel: jb3208.encode(panel, jb3208.RESET),
    "jbf11sf": lambda _: jbf11sf.encode(jbf11sf.RESET),
    "jbf193k": lambda panel: jbf193k.encode(jbf193k.RESET, f"{panel}/0/0"),
    "ld128e": lambda _: ld128e.encode(ld128e.RESET),
}
_PLACES: Mapping[str, str] = {  # where it burns when no address is registered; {}: the panel
    "fs5101w": "0/1/2/3",
    "gst5000": "003012",
    "gst9000_printer": "3/12",
    "gst_crt": "003012",
    "jb3208": "2/3/4",
    "jbf11sf": "1/2/3",
    "jbf193k": "{}/2/3",
    "ld128e": "3/2",
}


def far_end(device: Device, rest: Mapping[str, float]) -> FarEnd:
    """Return the panel."""
    del rest
    own = options_of(device, PanelDeviceOptions, strict=True)
    usual = 0 if own.dialect == "gst_crt" else 1  # the address by which it is polled
    return _FarEnd(own.dialect, own.panel if own.panel is not None else usual, own.addresses or ())


class _FarEnd:
    def __init__(self, dialect: str, number: int, addresses: Sequence[str]) -> None:
        self._box = SimulatedPanel(dialect, number)
        self._event = b""
        self._number = number
        self._places = (*addresses, _PLACES[dialect].format(number))

    def say(self, turn: int, wall: int) -> bytes:
        del turn, wall
        event, self._event = self._event, b""
        told = self._box.tell(event) if event else b""  # first: the answer to a poll would be taken for its own
        return told + self._box.idle()

    def hear(self, data: bytes, wall: int) -> bytes:
        del wall
        return self._box.hear(data)

    def show(self, values: Mapping[str, float]) -> None:
        """It measures nothing."""

    def over(self) -> None:
        self._event = RESETS[self._box.dialect](self._number)

    def burn(self) -> None:
        for key in self._places:  # the first that a detector can have: some stand for a loop or the panel
            with suppress(ValueError, TypeError, struct.error):
                self._event = FIRES[self._box.dialect](self._number, key)
                return
