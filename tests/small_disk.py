"""A file system of a few megabytes in RAM, and how to fill it: for tests of disks that are full or read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MB = 1 << 20


def mount(folder: Path, size: int) -> bool:
    """Make a folder a file system of `size` bytes; False where nobody lets us."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return os.geteuid() == 0 and not subprocess.run(command, check=False).returncode


def unmount(folder: Path) -> None:
    """Let go of it, also while somebody looks into it."""
    subprocess.run(["umount", "-l", str(folder)], check=False)


def mount_again(folder: Path, rights: str) -> None:
    """Make it read-only (`ro`) or not (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{rights}", str(folder)], check=True)


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Path]:
    """Have such a folder; the test is skipped where nobody lets us."""
    if not mount(folder, size):
        pytest.skip("mounting needs root, on a machine that lets it")
    try:
        yield folder
    finally:
        unmount(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB in RAM."""
    with mounted(tmp_path / "disk", 2 * MB) as disk:
        yield disk


def fill(disk: Path) -> Path:
    """Fill a file system to its last byte; returns the file that does."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast
