"""Durable point ids: given once, kept through renames, never reused (house section 4). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def assign(
    known: Mapping[str, int], names: Sequence[str], renames: Mapping[str, str]
) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """Return (name → id after renames and new names, the (id, name) pairs that changed).

    `renames`: new name → old name. A rename holds only while its new name has no id: `was` stays in the configuration
    and must not take a point of another device away at the next start. Chains (c was b, b was a) are followed.
    """
    ids = dict(known)
    waiting = dict(renames)
    moved = True
    while moved:
        moved = False
        for new, old in list(waiting.items()):
            if new not in ids and old in ids:
                ids[new] = ids.pop(old)
                del waiting[new]
                moved = True
    free = max(ids.values(), default=0) + 1
    for name in names:
        if name not in ids:
            ids[name], free = free, free + 1
    return ids, [(number, name) for name, number in ids.items() if known.get(name) != number]
