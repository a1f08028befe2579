"""What is shipped for systemd: hardened, restarted for ever, able to do what the daemon needs."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.care.watchdog import EVERY
from gateway.model.station import Limits, StoreSpec
from gateway.transport.wires_options import PEERS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MOST_EXPOSED = 2.0

# What a unit with MemoryDenyWriteExecute= lets a process do, by the kernel's own switch (prctl 65, Linux 6.3).
_DENIED = """
import ctypes, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):
    sys.exit(77)
import gateway.app, numpy
from gateway.clock import SystemClock
clock = SystemClock()
clock.synchronised()
assert numpy.arange(5.0).sum() == 10.0
print(len(clock.boot()))
"""


def unit(name: str) -> configparser.ConfigParser:
    """Read a unit file; of a key that is there several times the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys have capitals
    parser.read(DEPLOY / name, encoding="utf-8")
    return parser


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; `make test` installs it."""
    found = shutil.which("systemd-analyze")
    assert found, "systemd-analyze is not installed: make test installs it"
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False)


def test_the_service_is_exposed_no_more_than_it_must_be() -> None:
    limit = f"--threshold={round(MOST_EXPOSED * 10)}"
    done = analyze("security", "--offline=true", limit, "--no-pager", str(DEPLOY / "firegrid.service"))
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    loose = analyze("security", "--offline=true", "--threshold=1", "--no-pager", str(DEPLOY / "firegrid.service"))
    assert loose.returncode != 0, "the tool does judge"


def test_systemd_understands_every_line() -> None:
    done = analyze("verify", "--man=no", str(DEPLOY / "firegrid.service"))
    told = [line for line in done.stderr.splitlines() if "is not executable" not in line]  # the package brings it
    assert [line for line in told if "firegrid" in line] == []


def test_it_is_started_again_for_ever_and_watched_with_room_for_a_disk_that_hangs() -> None:
    service = unit("firegrid.service")
    assert service["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["Service"]["Type"] == "notify"
    assert service["Service"]["Restart"] == "always"
    assert service["Service"]["MemoryMax"]
    watched = float(service["Service"]["WatchdogSec"])
    limits, store = Limits(), StoreSpec(path="")
    slowest = min(EVERY, watched / 3) + store.commit_interval + max(limits.open_deadline, limits.commit_deadline)
    assert slowest <= watched - 5, "a commit that hangs must be given up before the watchdog bites"
    assert watched * 2 <= 60, "noticed and cured within a minute"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("ProtectClock", "forbids to ask the kernel whether wall time is synchronised"),
        ("ProcSubset", "hides the id of the boot"),
        ("PrivateDevices", "hides serial ports"),
        ("PrivateUsers", "hides who acts over the control socket"),
    ],
)
def test_what_the_daemon_needs_is_not_taken_from_it(key: str, reason: str) -> None:
    assert key not in unit("firegrid.service")["Service"], reason


def test_it_reaches_serial_lines_and_pins() -> None:
    lines = (DEPLOY / "firegrid.service").read_text(encoding="utf-8").splitlines()
    allowed = {line.partition("=")[2] for line in lines if line.startswith("DeviceAllow=")}
    assert {f"char-{name} rw" for name in ("ttyUSB", "ttyACM", "ttyAMA", "ttyS", "ttySC", "gpiochip")} <= allowed
    groups = unit("firegrid.service")["Service"]["SupplementaryGroups"].split()
    assert groups == ["dialout"], "a group that is not everywhere would keep the service from starting"
    postinst = (DEPLOY / "debian" / "postinst").read_text(encoding="utf-8")
    assert "for group in dialout gpio; do" in postinst
    assert "addgroup --quiet --system gpio" in postinst
    assert 'GROUP="gpio"' in (DEPLOY / "60-firegrid-gpio.rules").read_text(encoding="utf-8")
    assert "60-firegrid-gpio.rules" in (DEPLOY / "debian" / "build").read_text(encoding="utf-8")


def test_it_may_have_as_many_callers_as_two_wires_take() -> None:
    assert int(unit("firegrid.service")["Service"]["LimitNOFILE"]) >= 2 * PEERS + 512


def test_what_it_needs_works_without_writable_code() -> None:
    done = subprocess.run([sys.executable, "-c", _DENIED], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert done.stdout == "36\n", done.stderr


def test_the_broker_is_started_with_the_shipped_configuration_and_for_ever() -> None:
    broker = unit("mosquitto.service.conf")
    assert broker["Service"]["ExecStart"].endswith("-c /etc/mosquitto/firegrid.conf")
    assert broker["Service"]["Restart"] == "always"
    assert unit("hardware-watchdog.conf")["Manager"]["RuntimeWatchdogSec"] == "14"


def test_the_service_and_nobody_else_may_switch_the_machine_off() -> None:
    rule = (DEPLOY / "firegrid.rules").read_text(encoding="utf-8")
    assert re.findall(r'subject\.user == "(\w+)"', rule) == [unit("firegrid.service")["Service"]["User"]]
    actions = set(re.findall(r'action\.id == "([\w.-]+)"', rule))
    assert actions == {f"org.freedesktop.login1.power-off{more}" for more in ("", "-multiple-sessions")}
    known = Path("/usr/share/polkit-1/actions/org.freedesktop.login1.policy")
    if known.exists():
        text = known.read_text(encoding="utf-8")
        assert all(f'<action id="{action}">' in text for action in actions)
    assert 'firegrid.rules "$ROOT/usr/share/polkit-1/rules.d/' in (DEPLOY / "debian/build").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", ["build", "preinst", "postinst", "prerm", "postrm", "firegrid"])
def test_scripts_are_plain_shell(script: str) -> None:
    path = DEPLOY / "debian" / script
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0
