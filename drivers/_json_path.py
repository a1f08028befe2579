"""Paths into decoded JSON: the small part of JSONPath (RFC 9535) that names exactly one place.

Used by the dialects at load; keeps house rule 2 (pure). `$.a.b[0]`, `a.b`, `$['smoke:0'].alarm`, `[-1]`, and `$` for
the whole message. A path is compiled once; following it never raises, whatever the message looks like.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Step = str | int
Find = Callable[[object], object]


class _Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()  # no such place, which is something else than null

_STEP = re.compile(
    r"""\.?(?P<name>[^.\[\]'"\s$][^.\[\]'"]*)|\[(?P<index>-?\d+)\]|\[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]"""
)


def steps(path: str) -> tuple[Step, ...]:
    """Return the steps of a path: text for members, numbers for elements.

    Raises:
        ValueError: not a path; says from where on.
    """
    rest = path.strip()
    place = 1 if rest.startswith("$") else 0
    found: list[Step] = []
    if not rest:
        raise ValueError("an empty path; $ is the whole message")
    while place < len(rest):
        match = _STEP.match(rest, place)
        bare = match is not None and match["name"] is not None and not match[0].startswith(".")
        if match is None or (bare and place > 0):
            raise ValueError(f"path {path!r}: cannot read {rest[place:]!r}; write e.g. $.a.b[0]['key']")
        found.append(int(match["index"]) if match["index"] else match["key"] if match["quote"] else match["name"])
        place = match.end()
    return tuple(found)


def finder(path: str, *, under_null: object = None) -> Find:
    """Return a function from the message to what stands at the path, or `MISSING`. Raises ValueError, see `steps`.

    Where a table on the way is null, so is all that would be in it (`under_null`): that is said, not left out.
    """
    way = steps(path)

    def find(message: object) -> object:
        here = message
        for step in way:
            if isinstance(step, str):
                if not isinstance(here, dict) or step not in here:
                    return under_null if here is None and message is not None else MISSING
                here = here[step]
            else:
                if not isinstance(here, list) or not -len(here) <= step < len(here):
                    return under_null if here is None and message is not None else MISSING
                here = here[step]
        return here

    return find
