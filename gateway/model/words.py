"""The nearest known word to a mistyped one: what every "did you mean" of configuration, registry and rules asks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALIKE = 0.55  # ratio from which a slip of the fingers is likelier than another word
_LOOKED_THROUGH = 2_000  # comparing is quadratic in length: a grid of thousands is not compared whole


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like `word`, or nothing when none is alike."""
    candidates: dict[str, str] = {}
    for name in known:
        candidates.setdefault(name.casefold(), name)
        if len(candidates) >= _LOOKED_THROUGH:
            break
    found = difflib.get_close_matches(word.casefold(), candidates, n=1, cutoff=_ALIKE)
    return candidates[found[0]] if found else ""
