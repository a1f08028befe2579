"""That the import of plug-ins opens and starts nothing: all of a group in a process of their own, under watch."""

from __future__ import annotations

import subprocess
import sys

from tests.daemon import ROOT
from tests.patience import PATIENCE

# A module is imported once, so that what one does is seen with the first plug-in that wants it.
_SCRIPT = """
import sys
from gateway import registry

def watch(event, args):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.system", "pty.spawn", "os.posix_spawn"):
        raise SystemExit(f"{event} {args} at import of {kind}")
    if event == "open" and isinstance(args[2], int) and args[2] & 0o3:
        raise SystemExit(f"writes {args[0]} at import of {kind}")

kind = ""
sys.addaudithook(watch)
for kind in sys.argv[2:]:
    getattr(registry, sys.argv[1])(kind)
"""


def check(group: str, kinds: list[str]) -> None:
    """Import these kinds of `driver` or `channel`."""
    command = [sys.executable, "-B", "-c", _SCRIPT, group, *kinds]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
