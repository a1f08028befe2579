"""What is known of a modem: its health, and the time its network told it. Whoever has one shows both by `OverModem`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ModemStatus:
    """Supervised facts of a modem and its SIM. `up`: a notice handed over now has a fair chance."""

    up: bool = False
    reason: str = "not started"
    model: str = ""
    serial_number: str = ""
    sim: str = ""  # READY, SIM PIN, …, or the error
    registration: str = "unknown"  # home, roaming, searching, denied, idle, unknown
    operator: str = ""
    signal: int | None = None  # dBm
    service_centre: str = ""
    storage_used: int = 0
    storage_total: int = 0
    pin_refused: bool = False


@dataclass(frozen=True, slots=True)
class NetworkTime:
    """Wall time `wall` (ns since 1970) as the modem's clock showed it at `mono` (ns), wrong by `error` ns at most."""

    mono: int
    wall: int
    error: int


@runtime_checkable
class OverModem(Protocol):
    """A channel with a modem of its own: clock and supervision share its one AT session (house section 5)."""

    def modem(self) -> ModemStatus:
        """Return how the modem is."""

    def network_time(self) -> NetworkTime | None:
        """Return the newest word of its clock, whatever it is worth; None when it has not said one that can be read."""
