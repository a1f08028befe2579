"""Outages of real servers: stopped, hanging, restarted empty; nothing is lost, words say what is wrong."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests import real_tsdb
from tests.http_far_end import answer, far_end
from tests.patience import until
from tests.sinks.living_station import Living


def readings(server: real_tsdb.Influx) -> dict[int, float]:
    return {time: fields["value"] for _, time, fields in server.rows("firegrid_reading") if "value" in fields}


def test_a_server_that_is_stopped_hung_and_emptied_gets_everything_that_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with real_tsdb.influx(tmp_path) as server:
            living = Living(tmp_path, "influx", url=server.url, api="v1", bucket="firegrid", timeout=0.5)
            async with living.sending(monkeypatch):
                living.read(1.0, 2.0, 50.0)
                await until(lambda: living.at_rest and readings(server) == living.stored())

                server.kill()
                living.read(3.0)
                await until(lambda: "refused" in living.error)
                living.read(4.0, 60.0)
                assert living.reports[-1].waits
                await asyncio.to_thread(server.start)
                await until(lambda: living.at_rest)
                assert readings(server) == living.stored()

                server.hang()
                living.read(5.0)
                await until(lambda: "no answer" in living.error or "timed out" in living.error)
                living.read(6.0)
                server.go_on()
                await until(lambda: living.at_rest)
                assert readings(server) == living.stored()
                assert len(server.rows("firegrid_event")) == living.count("event")
                assert len(server.rows("firegrid_transition")) == living.count("transition")

                server.kill()
                for folder in ("meta", "data", "wal"):
                    shutil.rmtree(tmp_path / folder)
                await asyncio.to_thread(server.start)
                before = set(living.stored())
                living.read(7.0)
                await until(lambda: "check url, org and bucket" in living.error)
                server.make()  # as the words say
                await until(lambda: living.at_rest)
                assert readings(server) == {time: v for time, v in living.stored().items() if time not in before}

    asyncio.run(main())


def test_victoria_metrics_goes_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with real_tsdb.victoria(tmp_path) as server:
            living = Living(tmp_path, "influx", url=server.url, timeout=0.5)
            async with living.sending(monkeypatch):
                living.read(1.0)
                await until(lambda: living.at_rest)
                server.hang()
                living.read(*range(2, 40))
                await until(lambda: bool(living.error))
                server.go_on()
                await until(lambda: living.at_rest)
                (series,) = server.rows("firegrid_reading_value")
                assert series[1] == {time // 1_000_000: value for time, value in living.stored().items()}

    asyncio.run(main())


def test_a_portal_that_wants_a_login_passes_nothing_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with far_end(answer(200, b"<html>log in</html>")) as end:
            living = Living(tmp_path, "influx", url=f"http://127.0.0.1:{end.port}", bucket="b")
            async with living.sending(monkeypatch):
                living.read(1.0, 2.0)
                await until(lambda: "portal" in living.error)
                assert living.reports[-1].position.sent == 0
                end.behave = answer(204)
                await until(lambda: living.at_rest)
                assert living.reports[-1].position.sent == 2 + living.count("event") + living.count("transition")

    asyncio.run(main())


def test_a_refused_point_is_set_aside_and_shown_while_the_others_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field of another type at the server, as an older writer left it, refuses ours for good."""

    async def main() -> None:
        with real_tsdb.influx(tmp_path) as server:
            server.post("/write", b'firegrid_reading,station=x quality="text" 1790000000000000000', db="firegrid")
            living = Living(tmp_path, "influx", url=server.url, api="v1", bucket="firegrid")
            async with living.sending(monkeypatch):
                living.read(1.0, 2.0)
                await until(lambda: living.at_rest)
                position = living.reports[-1].position
                assert position.set_aside == 2
                assert "conflict" in position.asides[0].why
                assert len(server.rows("firegrid_event")) == living.count("event")

    asyncio.run(main())
