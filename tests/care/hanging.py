"""A daemon with a disk that fails as planned and a plug-in that can be made to spin.

`python -m tests.care.hanging station.toml plan.json spin`: while the file `spin` exists, the JSON dialect loops
for ever over any message, as a plug-in with a bug does.
"""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path
from typing import Any

from drivers.dialects import json as dialect
from gateway.cli.main import guarded
from tests.faults import faulty


def main(config: Path, plan: Path, spin: Path) -> int:
    """Be a daemon until stopped."""
    right = dialect.JsonDialect.decode

    def decode(*arguments: Any, **named: Any) -> bool:  # noqa: ANN401 - whatever the dialect takes
        while spin.exists():
            pass
        return right(*arguments, **named)

    dialect.JsonDialect.decode = decode  # type: ignore[method-assign] # the bug
    faulthandler.enable(2)  # as `firegrid run` does
    return faulty.main(config, plan)


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(*(Path(argument) for argument in sys.argv[1:]))))
