"""The package on this machine: install, run, upgrade, roll back, remove, purge. `make test-deb`; needs root.

Installs the package that `make deb` built and leaves nothing behind. Where the first process is no systemd, maintainer
scripts meet `tests/packaging/systemctl`, in a mount namespace in which /run says that systemd runs.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.migrate import scripts

pytestmark = [pytest.mark.deb, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
LIB = Path("/usr/lib/firegrid")
ETC = Path("/etc/firegrid")
STATE = Path("/var/lib/firegrid")
SITE = "usr/lib/firegrid/env/lib/python3.11/site-packages"
ROLLED_BACK_WITHIN = 120.0  # s

CONFIG = """
[station]
id = "deb"
name = "安装测试"
clock = "trusted"
[store]
path = "/var/lib/firegrid/station.db"
commit_interval = "1s"
[[cell]]
id = "a"
name = "一号楼"
[[contact]]
id = "li"
name = "李伟"
phone = "13800138000"
cell = "a"
role = "squad"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = 1
[[device]]
id = "g"
source = "broker"
profile = "json-generic"
topic = "t/g"
cell = "a"
silence = "1d"
points = { v = { unit = "1", decode = { path = "$.v" } } }
[[channel]]
id = "screen"
kind = "console"
[[default_policy]]
class = "fault"
policy = "p"
[[policy]]
id = "p"
repeat = "600s"
steps = [{ after = "0s", notify = ["everyone"], by = ["screen"] }]
"""

# A program that migrates the store and then does not come up.
SPOIL = """


async def _spoil(path, **_):
    from gateway.app import open_house
    from gateway.clock import SystemClock

    await open_house(path, SystemClock())
    raise SystemExit(1)
"""

_IN_NAMESPACE = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec "$@"'


class Box:
    """This machine, with what stands for its service manager."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.folder = folder
        self.built = built
        self._bin = folder / "bin"
        self._bin.mkdir()
        shutil.copy(ROOT / "tests" / "packaging" / "systemctl", self._bin / "systemctl")
        self._environment = {
            **os.environ,
            "PATH": f"{self._bin}:/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
            "FIREGRID_TEST_MANAGER": str(folder),
        }

    def __call__(self, *command: str, within: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command as root, where systemd seems to run."""
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", _IN_NAMESPACE, "sh", *command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def install(self, package: Path) -> subprocess.CompletedProcess[str]:
        """Install or upgrade; conffiles are kept without a question."""
        return self("dpkg", "-i", str(package))

    def good(self, *command: str) -> str:
        """Run a command that must not fail; returns what it printed."""
        done = self(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def configure(self) -> None:
        """Write a station, as an administrator does."""
        (ETC / "station.toml").write_text(CONFIG, encoding="utf-8")

    def pid(self) -> int:
        """Return the daemon's process, 0 when none runs."""
        running = self("systemctl", "is-active", "firegrid.service").returncode == 0
        return int((self.folder / "pid").read_text(encoding="ascii")) if running else 0

    def records(self) -> int:
        """Return how many rows the record has, all of them unchanged."""
        found = re.match(r"(\d+) record rows, unchanged", self.good("firegrid", "verify"))
        assert found is not None
        return int(found[1])

    def variant(self, version: str, change: Callable[[Path], None]) -> Path:
        """Return the package with another version and a changed program."""
        tree, package = self.folder / f"tree-{version}", self.folder / f"firegrid_{version}.deb"
        subprocess.run(["dpkg-deb", "-R", str(self.built), str(tree)], check=True)
        control = tree / "DEBIAN" / "control"
        text = control.read_text(encoding="utf-8")
        control.write_text(re.sub(r"(?m)^Version: .*", f"Version: {version}", text), encoding="utf-8")
        (metadata,) = (tree / SITE).glob("firegrid-*.dist-info/METADATA")
        text = metadata.read_text(encoding="utf-8")
        metadata.write_text(re.sub(r"(?m)^Version: .*", f"Version: {version}", text), encoding="utf-8")
        change(tree / SITE)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(package)], check=True)
        shutil.rmtree(tree)
        return package


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    if os.geteuid() != 0:
        pytest.skip("installing needs root")
    built = sorted((ROOT / "dist").glob("firegrid_*.deb"))
    assert built, "make deb builds it"
    known = subprocess.run(["dpkg-query", "-W", "firegrid"], capture_output=True, check=False).returncode == 0
    if known or ETC.exists() or STATE.exists():
        pytest.skip("firegrid is installed here; this test would remove it")
    made = Box(tmp_path, built[-1])
    if made("true").returncode:
        pytest.skip("this machine does not let root mount")
    yield made
    made("systemctl", "stop", "firegrid.service")
    made("dpkg", "-P", "firegrid")


def edit(site: Path, module: str, old: str, new: str) -> None:
    """Change a module of the program; its compiled form is not looked at for changes and goes."""
    path = site / module
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def add_schema(site: Path, script: str) -> None:
    """Let the program have one more migration."""
    folder = site / "gateway" / "store" / "schema"
    (folder / f"{len(list(folder.glob('*.sql'))) + 1:04d}.sql").write_text(script, encoding="utf-8")


def version() -> str:
    """Return the version of the program that is current."""
    return subprocess.check_output(["/usr/bin/firegrid", "--version"], text=True).split()[1]


def test_installed_configured_run_removed_and_purged(box: Box) -> None:
    out = box.good("dpkg", "-i", str(box.built))
    assert "not configured yet" in out
    assert box.pid() == 0
    assert box("systemctl", "start", "firegrid.service").returncode == 0
    assert box.pid() == 0, "skipped, not failed"
    check_files(box)

    box.configure()
    box.good("systemctl", "restart", "firegrid.service")
    process = Path(f"/proc/{box.pid()}")
    assert process.owner() == "firegrid"
    assert str(LIB / "env") in (process / "maps").read_text(encoding="utf-8")
    assert stat.S_IMODE(STATE.stat().st_mode) == 0o750
    assert stat.S_IMODE((STATE / "station.db").stat().st_mode) == 0o600
    assert box.records() > 0
    assert '"area": "daemon"' in box("firegrid", "doctor", "--json", "--no-probe").stdout
    backups = box.folder / "backups"
    assert box.good("firegrid", "backup", str(backups)).startswith(str(backups))

    box.good("dpkg", "-r", "firegrid")
    assert box.pid() == 0
    assert not LIB.exists()
    assert (ETC / "station.toml").read_text(encoding="utf-8") == CONFIG
    assert (STATE / "station.db").exists()
    box.good("dpkg", "-i", str(box.built))
    assert box.pid() != 0, "a station that was configured goes on"
    records = box.records()
    box.good("dpkg", "-P", "firegrid")
    assert not [path for path in (LIB, ETC, STATE, Path("/usr/bin/firegrid")) if path.exists()]
    assert subprocess.run(["getent", "passwd", "firegrid"], check=False, capture_output=True).returncode != 0
    assert backups.exists(), "backups are nobody's to remove"
    assert records > 0


def check_files(box: Box) -> None:
    """What the package brings is what docs/install.md lists, the environment's inside aside."""
    listed = subprocess.check_output(["dpkg-deb", "--fsys-tarfile", str(box.built)])
    names = subprocess.run(["tar", "-t"], input=listed, capture_output=True, check=True).stdout.decode().splitlines()
    files = {name.removeprefix(".") for name in names if not name.endswith("/")}
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(/(?:usr|etc)[^`*]*)` \|", page, flags=re.MULTILINE))
    folders = {name for name in told if name.endswith("/")}
    assert folders == {"/usr/lib/firegrid/env/", "/usr/share/firegrid/grafana/"}
    assert told - folders == {name for name in files if not name.startswith(tuple(folders))}
    shipped = {str(path.relative_to(ROOT / "dashboards")) for path in (ROOT / "dashboards/grafana").rglob("*.*")}
    assert {name.removeprefix("/usr/share/firegrid/") for name in files if "/grafana/" in name} == shipped
    for path in (Path("/") / name for name in files):
        assert not path.stat().st_mode & stat.S_IWOTH, path
    text = subprocess.run(["grep", "-rIl", str(ROOT), str(LIB / "env")], capture_output=True, text=True, check=False)
    assert text.stdout == "", "no path of the machine that built it"


def test_upgraded_with_a_new_schema_configuration_and_store_are_kept(box: Box) -> None:
    box.good("dpkg", "-i", str(box.built))
    box.configure()
    box.good("systemctl", "restart", "firegrid.service")
    before, first = box.records(), box.pid()
    newer = box.variant("9.1", lambda site: add_schema(site, "CREATE TABLE extra (x INTEGER) STRICT;\n"))
    done = box.install(newer)
    assert done.returncode == 0, done.stdout + done.stderr
    assert version() == "9.1"
    assert box.pid() not in (0, first)
    assert (ETC / "station.toml").read_text(encoding="utf-8") == CONFIG
    assert box.records() > before
    assert [path.name for path in STATE.glob("*.schema-*")] == [f"station.db.schema-{len(scripts())}"]
    assert not list(STATE.glob("trial-*"))


def test_a_program_that_fails_its_trial_never_takes_over(box: Box) -> None:
    box.good("dpkg", "-i", str(box.built))
    old = version()
    box.configure()
    box.good("systemctl", "restart", "firegrid.service")
    broken = "INSERT INTO point (id, name) SELECT 1, 'twice' FROM record;\n"
    begun = time.monotonic()
    done = box.install(box.variant("9.1", lambda site: add_schema(site, broken)))
    assert time.monotonic() - begun < ROLLED_BACK_WITHIN
    assert done.returncode != 0
    assert "failed its trial" in done.stderr
    assert version() == old
    assert box.pid() != 0
    assert not list(STATE.glob("*.schema-*"))
    assert not list(STATE.glob("*.aside-*"))
    before = box.records()

    done = box.install(
        box.variant("9.2", lambda site: edit(site, "gateway/cli/main.py", "GOOD, FAILED", "GOOD, FAILED"))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert version() == "9.2"
    assert box.pid() != 0
    assert box.records() > before


def test_a_program_that_does_not_come_up_is_rolled_back_with_its_schema(box: Box) -> None:
    box.good("dpkg", "-i", str(box.built))
    old = version()
    box.configure()
    box.good("systemctl", "restart", "firegrid.service")
    before = box.records()

    def change(site: Path) -> None:
        add_schema(site, "CREATE TABLE extra (x INTEGER) STRICT;\n")
        edit(site, "gateway/cli/daemon.py", "asyncio.run(serve(", "asyncio.run(_spoil(")
        edit(site, "gateway/cli/daemon.py", "\n\ndef _ready(", SPOIL + "\n\ndef _ready(")

    newer = box.variant("9.1", change)
    begun = time.monotonic()
    done = box.install(newer)
    assert time.monotonic() - begun < ROLLED_BACK_WITHIN
    assert done.returncode != 0
    assert "did not come up" in done.stderr
    assert version() == old
    assert box.pid() != 0
    assert box.records() >= before, "the store as it was before"
    assert len(list(STATE.glob("station.db.aside-*"))) >= 1
