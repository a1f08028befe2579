"""Placeholder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.store.database import Store


def compact(store: Store, limit_ms: int) -> bool:
    """Nothing yet."""
    del store, limit_ms
    return False
