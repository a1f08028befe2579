"""Topic patterns: MQTT filters in which a wildcard may have a name, `panel/{unit}/{loop}/event`.

Pure, used by dialects. `+` and `#` as in MQTT 5 section 4.7; `{name}` is a `+` whose level can be asked for.
"""

from __future__ import annotations

import re

_NAMED = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Pattern:
    """A compiled pattern.

    Attributes:
        filter: the MQTT filter to subscribe.
        names: the named levels.
        exact: whether it has no wildcard: then it is its own only topic.

    Raises:
        ValueError: a wildcard is not a whole level, `#` is not last, a name is used twice, or the text is empty.
    """

    def __init__(self, text: str) -> None:
        levels = text.split("/")
        self.names = [found[1] for level in levels if (found := _NAMED.fullmatch(level))]
        self.filter = "/".join("+" if _NAMED.fullmatch(level) else level for level in levels)
        self.exact = not ({"+", "#"} & set(self.filter.split("/")))
        stray = any(set("+#{}\0") & set(level) for level in levels if level not in "+#" and not _NAMED.fullmatch(level))
        if not text or stray or "#" in levels[:-1] or len(set(self.names)) < len(self.names):
            raise ValueError(f"topic {text!r}: wildcards are whole levels: +, {{name}} (each once), # at the end")
        body = "/".join(_level(level) for level in levels if level != "#")
        tail = "" if levels[-1] != "#" else "(?:/.*)?" if len(levels) > 1 else ".*"
        self._match = re.compile(body + tail, re.DOTALL).fullmatch

    def parts(self, topic: str) -> dict[str, str] | None:
        """Return the named levels of a topic, or None when it does not fit. `$SYS` fits no wildcard at its start."""
        if topic.startswith("$") and self.filter[0] in "+#":
            return None
        found = self._match(topic)
        return None if found is None else found.groupdict()


def _level(level: str) -> str:
    named = _NAMED.fullmatch(level)
    if named:
        return f"(?P<{named[1]}>[^/]*)"
    return "[^/]*" if level == "+" else re.escape(level)
