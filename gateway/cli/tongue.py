"""Which language a command without a station speaks: as told, else as the terminal does."""

from __future__ import annotations

import argparse
import os


def add_language(own: argparse.ArgumentParser) -> None:
    """Add `--language`."""
    own.add_argument("--language", choices=("zh", "en"), help="language of the messages (default: the terminal's)")


def is_chinese(options: argparse.Namespace) -> bool:
    """Whether to speak Chinese: a terminal that names no language belongs to a station (as in `init`)."""
    told = options.language or os.environ.get("LANG", "zh")
    return bool(told.startswith(("zh", "C", "POSIX")))
