"""What an installation says that an event of its panel means: `fire`, `fault` …, `restore`, or `restore fault`. Pure.

Read at load for the `codes` of panels on a wire and behind a topic. Keeps house rule 5: what ends a fault ends nothing
else at its place, least of all a fire.
"""

from __future__ import annotations

from gateway.model.batch import EventCode

Meaning = tuple[EventCode, EventCode | None]  # the code, and what alone a RESTORE ends


def meaning_of(words: str) -> Meaning:
    """Return what words of a configuration mean. Raises ValueError."""
    name, _, ended = (part.strip().upper() for part in words.strip().partition(" "))
    for one in (name, ended or name):
        if one not in EventCode.__members__:
            raise ValueError(f"event code {one.lower()!r}; known: {', '.join(EventCode.__members__).lower()}")
    code = EventCode[name]
    if ended and code is not EventCode.RESTORE:
        raise ValueError(f'event code {words!r}; only a restore says what ends: "restore {ended.lower()}"')
    return code, EventCode[ended] if ended else None
