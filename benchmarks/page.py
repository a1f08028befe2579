"""What the live page costs: CPU and memory of the daemon with 0, 50 and 200 open pages; prints JSON.

`python -m benchmarks.page [--seconds 20] [--points 50]`: a real broker, a real `firegrid run`, every point read once a
second, every page open on the overview, which shows them all. Pages are raw sockets that read what comes.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import http.client
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests import station_toml as toml
from tests.daemon import Daemon
from tests.ports import free_port
from tests.real_mosquitto import OPEN, running

PAGES = (0, 50, 200)
SETTLE = 3.0  # s


def measure(
    folder: Path, seconds: float, *, points: int = 50, pages: Sequence[int] = PAGES, settle: float = SETTLE
) -> dict[str, Any]:
    """Return bytes of the first page, and by number of open pages: CPU (% of a core), RSS, bytes to each page."""
    with running(folder, OPEN) as broker:
        port = free_port()
        config = folder / "station.toml"
        config.write_text(_station(folder, port, broker.port, points), encoding="utf-8")
        daemon = Daemon(config)
        try:
            daemon.wait_armed()
            with _speaking(broker.port, points):
                found: dict[str, Any] = {"points": points, "first_page_bytes": _first_page(port)}
                for number in pages:
                    found[f"{number}_pages"] = asyncio.run(_measure(daemon, port, number, seconds, settle))
        finally:
            daemon.kill()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--points", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), options.seconds, points=options.points), indent=2))


def _station(folder: Path, port: int, broker: int, points: int) -> str:
    """Return the lines of a station with a page and so many thermometers."""
    point = {"unit": "Cel", "valid_range": [-40, 200], "decode": {"path": "$"}}
    device = {"source": "broker", "profile": "json-generic", "points": {"temperature": point}}
    return "".join(
        [
            toml.table("station", id="bench", clock="trusted"),
            toml.table("store", path=str(folder / "station.db"), commit_interval="1s"),
            toml.table("page", listen=f"127.0.0.1:{port}"),
            toml.broker(broker),
            toml.table("channel", id="screen", kind="console"),
            toml.table("contact", id="li", name="li"),
            *(toml.table("device", id=f"d{number}", topic=f"t/{number}", **device) for number in range(points)),
        ]
    )


@contextmanager
def _speaking(port: int, points: int) -> Iterator[None]:
    """Let every device speak once a second, one after the other."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench")
    client.connect("127.0.0.1", port)
    client.loop_start()
    stop = [False]

    def speak() -> None:
        begin, number = time.monotonic(), 0
        while not stop[0]:
            client.publish(f"t/{number % points}", f"{20 + number % 97 / 10:.1f}", qos=1)
            number += 1
            time.sleep(max(0.0, begin + number / points - time.monotonic()))

    loop = asyncio.new_event_loop()
    speaking = loop.run_in_executor(None, speak)
    try:
        yield
    finally:
        stop[0] = True
        loop.run_until_complete(speaking)
        loop.close()
        client.disconnect()
        client.loop_stop()


async def _measure(daemon: Daemon, port: int, pages: int, seconds: float, settle: float) -> dict[str, float]:
    received = [0]

    async def read() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream?view=overview HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            while part := await reader.read(1 << 16):
                received[0] += len(part)
        finally:
            writer.close()

    tasks = [asyncio.create_task(read()) for _ in range(pages)]
    await asyncio.sleep(settle)
    received[0], cpu, begin = 0, _cpu(daemon.pid), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - begin
    percent = 100 * (_cpu(daemon.pid) - cpu) / took
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    rate = received[0] / took / max(1, pages)
    return {
        "cpu_percent": round(percent, 1),
        "rss_mib": round(daemon.rss() / (1 << 20), 1),
        "bytes_per_page_second": round(rate),
    }


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _first_page(port: int) -> int:
    """Return the bytes of everything that the first page loads, as it goes over the wire."""
    size = 0
    for path in ("/", "/static/page.css", "/static/page.js", "/static/icons.svg", "/static/icon.svg"):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", path, headers={"accept-encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.getheader("content-encoding") == "gzip":
            gzip.decompress(body)
        size += len(body)
        connection.close()
    return size


if __name__ == "__main__":
    main()
