"""A fire panel on its serial output as `simulate` plays it: it idles, answers polls, and tells of a fire once.

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
    "fs5101w": lambda panel, key: fs5101w.encode(panel, fs5101w.EVENT, fs5101w.event_data(0xC3, 5, key)),
    "gst5000": lambda _, key: gst5000.encode(gst5000.FIRE, key, 3, "锅炉房"),
    "gst9000_printer": lambda _, key: gst9000_printer.encode("首次火警", key),
    "gst_crt": lambda _, key: gst_crt.encode(gst_crt.FIRE, key, 3),
    "jb3208": lambda panel, key: jb3208.encode(panel, jb3208.FIRE, [_item(key)]),
    "jbf11sf": lambda _, key: jbf11sf.encode(jbf11sf.FIRE, key),
    "jbf193k": lambda _, key: jbf193k.encode(jbf193k.FIRE, key),
    "ld128e": lambda _, key: ld128e.encode(ld128e.FIRE, key),
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
        self._fire = b""
        self._number = number
        self._places = (*addresses, _PLACES[dialect].format(number))

    def say(self, turn: int, wall: int) -> bytes:
        del turn, wall
        fire, self._fire = self._fire, b""
        told = self._box.tell(fire) if fire else b""  # first: the answer to a poll would be taken for its own
        return told + self._box.idle()

    def hear(self, data: bytes, wall: int) -> bytes:
        del wall
        return self._box.hear(data)

    def burn(self) -> None:
        for key in self._places:  # the first that a detector can have: some stand for a loop or the panel
            with suppress(ValueError, TypeError, struct.error):
                self._fire = FIRES[self._box.dialect](self._number, key)
                return
