"""The `sl651` driver: hydrological stations that report by SL 651-2014, HEX/BCD or ASCII, over any wire.

Joins stations (`drivers._sl651_device`) and conversations (`drivers._sl651_talk`); `drivers._conversation` does the
rest. Keeps house rule 4 (a report is confirmed after its commit) and section 13: every problem of the source and its
devices is told at once. A station may hang up after each report: its profile's silence limit says when it is missed.
"""

from __future__ import annotations

from typing import Literal

from drivers._conversation import Talking, WireOptions, read_options
from drivers._installing import install_named
from drivers._sl651_device import DeviceOptions, install
from drivers._sl651_talk import Talk
from gateway.model.ports import DriverSetup
from gateway.protocols.sl651 import Coding


class Options(WireOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "sl651"`, beside those of its wire.

    `coding`: which frames are looked for; a line uses one coding, and `auto` finds out.
    """

    coding: Literal["auto", "hex", "ascii"] = "auto"


OPTIONS = Options
DEVICE_OPTIONS = DeviceOptions


def create(setup: DriverSetup) -> Talking:
    """Build the driver. Raises ConfigError with every problem of the source and its devices."""
    options = read_options(setup, Options)
    stranger = setup.point_ids[f"@{setup.source.id}.events"]
    devices = install_named(
        setup, lambda device, ids: install(device, ids, stranger), "address", lambda made: made.address
    )
    coding = None if options.coding == "auto" else Coding(options.coding)
    datagrams = options.wire == "udp"
    return Talking(
        setup, options, lambda _: Talk(devices, stranger, coding=coding, datagrams=datagrams), lost_after=None
    )
