"""`firegrid` and `python -m gateway`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the return value is the exit code."""
    from gateway.cli.main import run  # noqa: PLC0415 - what a command does not need is not imported

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
