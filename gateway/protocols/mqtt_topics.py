"""Which MQTT topics a filter covers (MQTT 5.0 section 4.7). Pure; for the `mqtt` driver and the simulated broker."""

from __future__ import annotations


def covers(pattern: str, topic: str) -> bool:
    """Say whether a topic filter covers a topic: `+` is one level, a last `#` the rest and the level above it.

    Topics that start with `$` are the broker's own and need a filter that starts with the same ([MQTT-4.7.2-1]).
    """
    levels = topic.split("/")
    wanted = pattern.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for index, part in enumerate(wanted):
        if part == "#":
            return True
        if index >= len(levels) or part not in ("+", levels[index]):
            return False
    return len(levels) == len(wanted)


def is_filter(pattern: str) -> bool:
    """Say whether a text is a well-formed topic filter."""
    levels = pattern.split("/")
    return bool(pattern) and all(
        (level in ("+", "#") or not set(level) & set("+#\0")) and (level != "#" or index == len(levels) - 1)
        for index, level in enumerate(levels)
    )
