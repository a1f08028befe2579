"""How a station is looked after: who hears its heartbeat, and what becomes of it when the mains fail."""

from __future__ import annotations

from typing import Literal

import msgspec

AtLow = Literal["stay", "stop", "poweroff"]


class HeartbeatSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Ways of the heartbeat; each is used when its first key is given. `every` in seconds."""

    every: float = 30.0
    source: str = ""  # id of an mqtt source: retained message and last will at its broker
    topic: str = ""  # empty: firegrid/<station>/heartbeat
    url: str = ""  # webhook, signed as the channel of that kind signs
    secret_file: str = ""
    ca_file: str = ""
    device: str = ""  # output of a device, written at each beat; hardware lets it fall when that stops
    point: str = ""
    toggle: bool = False  # the output changes at each beat, in place of being set to 1 again


class PowerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of mains and battery. Times in seconds."""

    mains_lost: str = ""  # `device.point` that is not 0 while the mains are lost
    nut: str = ""  # `ups@host:port` of a NUT server
    low: float = 20.0  # %: a battery below it, without mains, is low
    lasts: float = 0.0  # without mains this long a battery that tells nothing counts as low; 0: never
    at_low: AtLow = "stay"
