"""GB/T 26875.3-2011 as the monitoring centre: user information transmission devices over any wire.

One source serves as many devices as call it, told apart by their address in the frames. Frames are read by
`gateway.protocols.gb26875`, made into events and readings by `drivers._gb26875_talk`; wire, commits and answers are
`drivers._conversation.Talking`'s. Keeps house rule 4: a fire is confirmed once it is committed. See docs/gb26875.md.
"""

from __future__ import annotations

from drivers._conversation import Attend, Talking, WireOptions, read_options
from drivers._gb26875_device import Directory, install, same_address
from drivers._gb26875_keys import DeviceOptions
from drivers._gb26875_talk import Centre
from drivers._installing import read_each, refuse
from gateway.model.ports import DriverSetup
from gateway.transport.wires import attend


class Options(WireOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "gb26875"`: those of its wire."""


OPTIONS = Options
DEVICE_OPTIONS = DeviceOptions


def create(setup: DriverSetup, *, wire: Attend = attend) -> Talking:
    """Build the driver; `wire` is the seam for wires that are none. Raises ConfigError with every problem at once."""
    options = read_options(setup, Options)
    source_events = setup.point_ids[f"@{setup.source.id}.events"]
    found, problems = read_each(setup, lambda device, ids: install(device, ids, source_events))
    speakers = list(found.values())
    refuse([*problems, *same_address(speakers)])
    directory = Directory(speakers, source_events)
    there = [] if options.many else speakers
    return Talking(setup, options, lambda _: Centre(directory, datagrams=options.wire == "udp", there=there), wire=wire)
