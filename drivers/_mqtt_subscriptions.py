"""What a session is subscribed to, as the store remembers it, and what the broker refused. Beside `_mqtt_lane.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from gateway.model.batch import Event, EventCode
from gateway.model.ports import Memory

REFUSED = 0x80  # SUBACK codes from here on (MQTT 5.0 section 3.9.3)


def subscriptions(memory: Memory, client_id: str) -> list[str]:
    """Return the filters that a client's session at the broker had when last heard of."""
    return msgspec.json.decode(memory.get(f"{client_id} subscriptions") or "[]", type=list[str])


def keep(memory: Memory, client_id: str, patterns: Iterable[str]) -> None:
    """Remember the filters of a client's session."""
    memory.put(f"{client_id} subscriptions", msgspec.json.encode(sorted(patterns)).decode())


def judge(memory: Memory, client_id: str, granted: Mapping[str, int], point: int) -> list[Event]:
    """Turn refused subscriptions into fault events at `point`, and granted ones back: those devices cannot be heard.

    `granted`: filter → SUBACK code. What is refused is remembered, so that a restart still ends the fault.
    """
    key = f"{client_id} refused"
    before: set[str] = set(msgspec.json.decode(memory.get(key) or "[]", type=list[str]))
    refused = {pattern for pattern, code in granted.items() if code >= REFUSED}
    events = [
        Event(point, pattern, EventCode.FAULT, f"broker refuses subscription ({granted[pattern]:#x})")
        for pattern in sorted(refused)
    ]
    events += [
        Event(point, pattern, EventCode.RESTORE, "subscription granted or no longer needed")
        for pattern in sorted(before - refused)
    ]
    if events:
        memory.put(key, msgspec.json.encode(sorted(refused)).decode())
    return events
