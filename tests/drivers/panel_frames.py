"""A frame of every dialect of fire panels, for tests that try each; and how it is heard."""

from __future__ import annotations

from collections.abc import Callable

from drivers._panel_device import Dialect, dialect_of
from gateway.model.batch import EventCode
from gateway.protocols.panel_words import Heard, PanelEvent, Refused, Stream
from gateway.protocols.panels import (
    fs5101w,
    gst5000,
    gst9000_printer,
    gst_crt,
    jb3208,
    jbf11sf,
    jbf193k,
    ld128e,
)

SHORT = (24, 2, 29, 13, 14, 15)
BCD = bytes((0x24, 0x02, 0x29, 0x13, 0x14))
Made = tuple[bytes, tuple[tuple[EventCode, str], ...]]


def stream(dialect: Dialect) -> Stream:
    """Return the splitter of a dialect."""
    return Stream(dialect.read, dialect.BEGIN)


def hear(name: str, data: bytes) -> list[Heard | Refused]:
    """Return what a dialect makes of bytes."""
    return stream(dialect_of(name)).feed(data)


def events(name: str, data: bytes) -> list[PanelEvent]:
    """Return the events that a dialect finds in bytes."""
    return [event for found in hear(name, data) if isinstance(found, Heard) for event in found.events]


FRAMES: dict[str, Callable[[int, int], Made]] = {
    "gst5000": lambda a, b: (
        gst5000.encode(gst5000.FIRE, f"{a:03}{b:03}", 3, "3#楼1层"),
        ((EventCode.FIRE, f"{a:03}{b:03}"),),
    ),
    "gst_crt": lambda a, b: (gst_crt.encode(gst_crt.FAULT, f"{a:03}{b:03}", 3), ((EventCode.FAULT, f"{a:03}{b:03}"),)),
    "jbf193k": lambda a, b: (
        jbf193k.encode(jbf193k.FAULT, f"1/{a}/{b}", 3, SHORT),
        ((EventCode.FAULT, f"1/{a}/{b}"),),
    ),
    "jbf11sf": lambda a, b: (
        jbf11sf.encode(jbf11sf.FIRE, f"1/{a}/{b}", 3, SHORT),
        ((EventCode.FIRE, f"1/{a}/{b}"),),
    ),
    "ld128e": lambda a, b: (
        ld128e.encode(ld128e.FIRE, f"{a % 126 + 1}/{b % 250 + 1}"),
        ((EventCode.FIRE, f"{a % 126 + 1}/{b % 250 + 1}"),),
    ),
    "jb3208": lambda a, b: (
        jb3208.encode(1, jb3208.FIRE, [jb3208.Item(1, a, b, date=BCD), jb3208.Item(1, b, a, date=BCD)]),
        ((EventCode.FIRE, f"1/{a}/{b}"), (EventCode.FIRE, f"1/{b}/{a}")),
    ),
    "fs5101w": lambda a, b: (
        fs5101w.encode(1, fs5101w.EVENT, fs5101w.event_data(0xC3, 5, f"0/1/{a}/{b}", date=SHORT)),
        ((EventCode.FIRE, f"0/1/{a}/{b}"),),
    ),
    "gst9000_printer": lambda a, b: (
        gst9000_printer.encode("首次火警", f"{a}/{b}", location="二层", device="感烟探测器"),
        ((EventCode.FIRE, f"{a}/{b}"),),
    ),
}
