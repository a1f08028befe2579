"""How many files a test process has open: what is cancelled or made leaves none behind."""

from __future__ import annotations

import gc
from pathlib import Path


def opened(most: int = 0) -> int:
    """Return how many files are open; of more than `most` those that nobody holds any more are closed first."""
    files = Path("/proc/self/fd")
    if (found := len(list(files.iterdir()))) > most:
        gc.collect()
        found = len(list(files.iterdir()))
    return found
