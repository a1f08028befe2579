"""What lives beside the flow and never inside it: each part a supervised task of its own.

Part of the composition root, between `gateway.app` and `gateway.house`. A part is made from a living house and reads
it; what it wants changed it puts on the intake like everybody else (house rule 1). One that fails is started again with
back-off and is a fault alarm while it stays down (house section 11).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from gateway.house import House

Part = Callable[[], Awaitable[None]]


def parts(house: House) -> Mapping[str, Part]:
    """Return what this station keeps beside the flow, by name."""
    del house
    return {}
