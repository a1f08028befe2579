"""Durable tables in RAM and the delta of a step: touched places with old values, kept until the commit returns.

`Delta.undo` puts everything back, so that a commit that fails leaves no trace; deltas of stacked steps are undone
newest first (house section 3). Only first touches are kept: the cost is that of what changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

V = TypeVar("V")
_ABSENT: Any = object()


class Table(Generic[V]):
    """A named mapping whose every change is known to a delta; the store keeps one row per key."""

    __slots__ = ("name", "rows")

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[str, V] = {}

    def get(self, key: str) -> V | None:
        """Return the row, or None."""
        return self.rows.get(key)

    def __getitem__(self, key: str) -> V:
        return self.rows[key]

    def __contains__(self, key: str) -> bool:
        return key in self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[V]:
        return iter(list(self.rows.values()))

    def put(self, delta: Delta, key: str, value: V) -> None:
        """Write a row."""
        delta.remember(self, key)
        self.rows[key] = value

    def drop(self, delta: Delta, key: str) -> None:
        """Remove a row if it is there."""
        if key in self.rows:
            delta.remember(self, key)
            del self.rows[key]


class Delta:
    """What a step touched, with the values from before."""

    __slots__ = ("_arrays", "_rows", "led")

    def __init__(self) -> None:
        #: What the moment judged last began, in order: (key of the delay's row, since, position of the reading).
        self.led: list[tuple[str, int, int]] = []
        self._rows: dict[tuple[str, str], tuple[Table[Any], Any]] = {}
        self._arrays: list[tuple[NDArray[Any], NDArray[np.intp], NDArray[Any]]] = []

    def remember(self, table: Table[Any], key: str) -> None:
        """Keep a row's old value before it changes; the first touch counts."""
        place = (table.name, key)
        if place not in self._rows:
            self._rows[place] = (table, table.rows.get(key, _ABSENT))

    def save(self, array: NDArray[Any], index: NDArray[np.intp]) -> None:
        """Keep the old values of `array[index]` before they change."""
        self._arrays.append((array, index, array[index]))

    def undo(self) -> None:
        """Put every touched place back."""
        for array, index, old in reversed(self._arrays):
            array[index] = old
        for (_, key), (table, old) in self._rows.items():
            if old is _ABSENT:
                table.rows.pop(key, None)
            else:
                table.rows[key] = old
        self._arrays.clear()
        self._rows.clear()

    def rows(self) -> Iterator[tuple[str, str, Any]]:
        """Yield (table name, key, new value or None when gone) of every touched row, once each."""
        for (name, key), (table, _) in self._rows.items():
            yield name, key, table.rows.get(key)
