"""A made-up box: the files of /proc and /sys that a Raspberry Pi with a UPS board and an eMMC would show."""

from __future__ import annotations

from pathlib import Path

from gateway.care.machine import Machine, Volume
from gateway.model.contact import ChannelSpec, Contact
from gateway.model.station import Station, StoreSpec

FILES = {
    "proc/self/io": "rchar: 1\nwchar: 2\nread_bytes: 5\nwrite_bytes: 1000\ncancelled_write_bytes: 0\n",
    "proc/self/status": "Name:\tpython\nVmPeak:\t  90000 kB\nVmRSS:\t   65536 kB\n",
    "proc/meminfo": "MemTotal:        4000000 kB\nMemFree:          100000 kB\nMemAvailable:    1000000 kB\n",
    "proc/loadavg": "0.52 2.00 0.59 1/389 4242\n",
    "proc/uptime": "86400.25 300000.00\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/type": "wifi\n",
    "sys/class/thermal/thermal_zone1/temp": "91000\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n",
    "sys/class/power_supply/ups/type": "Battery\n",
    "sys/class/power_supply/ups/capacity": "87\n",
    "sys/class/power_supply/mouse/type": "Battery\n",
    "sys/class/power_supply/mouse/scope": "Device\n",
    "sys/class/power_supply/mouse/capacity": "3\n",
    "sys/class/power_supply/ac/type": "Mains\n",
    "sys/class/power_supply/ac/online": "1\n",
    "sys/block/mmcblk0/mmcblk0p2/stat": "7 0 9 0 0 0 4000 0 0 0 0 0 0 0 0 0 0\n",
    "sys/block/mmcblk0/device/life_time": "0x02 0x03\n",
    "sys/block/mmcblk0/device/pre_eol_info": "0x01\n",
}
NUMBER = (179, 2)
STATION = Station(
    id="s1",
    name="s1",
    store=StoreSpec(path="/nowhere/station.db"),
    channels=(ChannelSpec(id="sms", kind="sms_modem"),),
    contacts=(Contact(id="li", name="Li", phone="13800138000"),),
)
FIGURES = {
    "disk_free": 8 << 30,
    "disk_free_share": 50.0,
    "inodes_free_share": 90.0,
    "store_size": 3,
    "wal_size": 5,
    "card_wear": 30.0,
    "card_reserve": 0.0,
    "cpu_temperature": 48.312,
    "load": 0.5,
    "uptime": 86400.25,
    "throttled": 0.0,
    "under_voltage_seen": 1.0,
    "under_voltage": 0.0,
    "memory_available": 25.0,
    "memory_used": 64 << 20,
    "battery_charge": 87.0,
    "mains": 1.0,
}


def build(root: Path) -> Path:
    """Write the box under a folder and return it."""
    for name, text in FILES.items():
        change(root, name, text)
    links = root / "sys/dev/block"
    links.mkdir(parents=True)
    (links / "179:2").symlink_to("../../block/mmcblk0/mmcblk0p2")
    return root


def change(root: Path, name: str, text: str) -> None:
    """Let one file say something else."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def half_full(_: Path) -> Volume:
    """A disk of 16 GiB, half of it free."""
    return Volume(free=8 << 30, free_share=50.0, inodes_share=90.0, number=NUMBER)


def machine(tmp_path: Path) -> Machine:
    """A made-up box with a store."""
    (tmp_path / "station.db").write_bytes(b"123")
    (tmp_path / "station.db-wal").write_bytes(b"12345")
    return Machine(tmp_path / "station.db", root=build(tmp_path / "root"), volume=half_full, cores=4)
