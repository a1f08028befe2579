"""The `mqtt` driver at a real Mosquitto, with the configuration that is shipped: kills, dead links, secrets, giants."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.model.station import Limits
from gateway.transport.mqtt import Message, MqttSession, Refused, connect
from gateway.transport.mqtt_options import MqttOptions, Tls
from tests.mqtt_clients import ours
from tests.mqtt_driver_setup import Notebook, Store, driver, plain, supervised, up
from tests.patience import until
from tests.ports import free_port
from tests.real_mosquitto import OPEN, PASSWORD, USER, Mosquitto, running, running_shipped
from tests.recording_proxy import Proxy

KILLS = 10


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch)


def secret(folder: Path, text: str = PASSWORD) -> dict[str, Any]:
    """Return the driver's options for user and password."""
    file = folder / f"secret-{len(text)}"
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    return {"username": USER, "password_file": str(file)}


async def sending(port: int) -> MqttSession:
    return await ours(port, "sender", [], username=USER, password=PASSWORD.encode())


async def prepared(notebook: Notebook, times: int = 1) -> None:
    """Wait until both sessions stand."""
    await until(lambda: notebook.counts["alive"] >= 2 * times)


def test_what_is_sent_while_the_daemon_is_down_waits_in_order_also_at_qos_0_and_beyond_the_stock_limits(
    tmp_path: Path,
) -> None:
    async def script(broker: Mosquitto) -> None:
        notebook, store = Notebook(), Store()
        options = secret(tmp_path)
        async with up(driver(broker.port, notebook, **options), store):
            await prepared(notebook)
        sender = await sending(broker.port)
        sends = [sender.publish("level/state", b"%d" % number, qos=1) for number in range(3_000)]
        await asyncio.gather(*sends)  # a stock Mosquitto drops what exceeds 1 000
        await sender.publish("smoke/state", b"fire", qos=0)
        await sender.publish("level/state", b"-1", qos=0)
        async with up(driver(broker.port, notebook, **options), store):
            await until(lambda: len(store.values) == 3_001 and len(store.events) == 1)
        assert store.values == [*range(3_000), -1]
        assert notebook.counts["new_session"] == 2
        await sender.close()

    with running_shipped(tmp_path) as broker:
        asyncio.run(script(broker))


def test_a_wrong_password_is_link_down_with_the_brokers_reason(tmp_path: Path) -> None:
    async def script(broker: Mosquitto) -> None:
        with pytest.raises(Refused, match="NOT_AUTHORIZED") as caught:
            await driver(broker.port, Notebook(), **secret(tmp_path, "wrong!")).run(lambda _batch: None)
        assert caught.value.reason == 135

    with running_shipped(tmp_path) as broker:
        asyncio.run(script(broker))


def test_broker_killed_and_restarted_every_message_the_daemon_acknowledged_is_committed(tmp_path: Path) -> None:
    """Ledger B: the proxy, not the daemon, sees what was acknowledged, and looks at that moment."""

    async def script(broker: Mosquitto) -> None:
        proxy, notebook, store = Proxy(broker.port), Notebook(), Store(instant=False)
        violations: list[bytes] = []
        proxy.puback = lambda _topic, payload: None if payload in store.safe else violations.append(payload)
        sent = 0
        async with proxy.serving():
            options = secret(tmp_path)
            daemon = asyncio.create_task(supervised(driver(proxy.port, notebook, keepalive=2, **options), store))
            for kill in range(1, KILLS + 1):
                await prepared(notebook, kill)
                sender = await sending(broker.port)
                for _ in range(10):
                    sent += 20
                    sends = [sender.publish("level/state", b"%d" % number) for number in range(sent - 20, sent)]
                    await asyncio.gather(*sends)
                    await asyncio.sleep(0.03)  # telemetry waits 0.1 s for company: some commits find none of it yet
                    store.commit()
                while len(proxy.acknowledged) <= kill * 100:
                    await asyncio.sleep(0.01)
                    store.commit()
                await asyncio.to_thread(broker.kill)
                store.commit()
                await asyncio.to_thread(broker.start)
            await prepared(notebook, KILLS + 1)
            daemon.cancel()
            await asyncio.wait([daemon])
        assert violations == []
        assert len(proxy.acknowledged) > KILLS * 100
        assert {payload for _topic, payload in proxy.acknowledged} <= store.safe
        assert notebook.counts["new_session"] >= 2 * KILLS  # nothing was saved yet: the subscriptions were made anew

    with running_shipped(tmp_path) as broker:
        asyncio.run(script(broker))


def test_a_broker_that_saved_finds_session_and_queue_again(tmp_path: Path) -> None:
    async def script(broker: Mosquitto) -> None:
        notebook, store = Notebook(), Store()
        options = secret(tmp_path)
        async with up(driver(broker.port, notebook, **options), store):
            await prepared(notebook)
        sender = await sending(broker.port)
        await sender.publish("smoke/state", b"1")
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        async with up(driver(broker.port, notebook, **options), store):
            await until(lambda: store.values == [1.0])
        assert notebook.counts["new_session"] == 2

    with running_shipped(tmp_path) as broker:
        asyncio.run(script(broker))


def test_a_link_that_dies_without_a_fin_is_noticed_and_the_session_goes_on(tmp_path: Path) -> None:
    async def script(broker: Mosquitto) -> None:
        proxy, notebook, store, clock = Proxy(broker.port), Notebook(), Store(instant=False), SystemClock()
        async with proxy.serving():
            one = driver(proxy.port, notebook, keepalive=2)
            async with up(one, store) as task:
                await prepared(notebook)
                sender = await ours(broker.port, "sender", [])
                await sender.publish("smoke/state", b"1")
                await until(lambda: store.values == [1.0])
                proxy.stall()
                began = clock.mono()
                with pytest.raises(LinkDown, match="silent"):
                    await task
                assert (clock.mono() - began) / 1e9 <= 10  # the exact figure is proved on the driven clock
            await sender.publish("smoke/state", b"2")
            proxy.cut()
            proxy.go_on()
            async with up(one, store):
                await until(lambda: store.values == [1.0, 2.0])
                store.commit()
                await until(lambda: len(proxy.acknowledged) == 2)
            await sender.close()

    with running(tmp_path, OPEN) as broker:
        asyncio.run(script(broker))


def test_a_backlog_is_held_back_though_mosquitto_exceeds_the_receive_maximum(tmp_path: Path) -> None:
    backlog, maximum = 20_000, 100
    payload = b"1" * 200

    async def script(broker: Mosquitto) -> None:
        notebook, store = Notebook(), Store(instant=False)
        limits = Limits(receive_maximum=maximum)
        async with up(driver(broker.port, notebook, limits=limits), store):
            await prepared(notebook)
        sender = await ours(broker.port, "sender", [])
        for _ in range(0, backlog, 2_000):
            await asyncio.gather(*(sender.publish("level/state", payload) for _ in range(2_000)))
        most = got = 0
        async with up(driver(broker.port, notebook, limits=limits), store):
            while got < backlog:
                await until(lambda: bool(store.batches))
                taken = len(store.values)
                assert any(batch.waiting for batch in store.batches) or taken < maximum // 2 or got + taken == backlog
                most, got = max(most, taken), got + taken
                store.batches.clear()
                store.commit()
        await sender.close()
        assert got == backlog
        assert most <= 2 * maximum + 2_000  # and what one read of 256 KiB holds

    with running(tmp_path, OPEN) as broker:
        asyncio.run(script(broker))


def test_a_giant_payload_is_counted_and_acknowledged_and_the_next_message_arrives(tmp_path: Path) -> None:
    async def script(broker: Mosquitto) -> None:
        notebook, store = Notebook(), Store()
        sender = await ours(broker.port, "sender", [])
        async with up(driver(broker.port, notebook), store):
            await prepared(notebook)
            await sender.publish("smoke/state", b"x" * 10_000_000)
            await sender.publish("smoke/state", b"1")
            await until(lambda: store.values == [1.0])
        assert notebook.counts["too_large"] == 1
        async with up(driver(broker.port, notebook), store):
            await prepared(notebook, 2)
        await sender.close()
        assert notebook.counts["too_large"] == 1  # it does not come again

    with running(tmp_path, OPEN) as broker:
        asyncio.run(script(broker))


def test_the_shipped_broker_refuses_a_giant_payload_of_its_sender(tmp_path: Path) -> None:
    async def script(broker: Mosquitto) -> None:
        sender = await sending(broker.port)
        assert await sender.publish("smoke/state", b"x" * 300_000) == 0x80
        assert await sender.publish("smoke/state", b"1") == 0x10  # and the link goes on
        await sender.close()

    with running_shipped(tmp_path) as broker:
        asyncio.run(script(broker))


def ignore(_session: MqttSession, _messages: list[Message]) -> None:
    return


def certificates(folder: Path) -> None:
    """Make an authority, and certificates of broker and gateway signed by it."""
    openssl = shutil.which("openssl") or pytest.fail("openssl is not installed: make test installs it")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], check=True, capture_output=True, cwd=folder)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("req", "-x509", *new, "-days", "2", "-subj", "/CN=station", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "gateway"):
        run("req", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("x509", "-req", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        run(*signed, "-in", f"{name}.csr", "-extfile", "names", "-out", f"{name}.pem")
        (folder / f"{name}.key").chmod(0o600)


def test_tls_with_certificates_of_both_sides(tmp_path: Path) -> None:
    certificates(tmp_path)
    port = free_port()
    config = (
        f"listener {port} 127.0.0.1\nallow_anonymous true\nrequire_certificate true\ncafile {tmp_path}/ca.pem\n"
        f"certfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key\nuser root\n"
    )
    files = {"cafile": "ca.pem", "certfile": "gateway.pem", "keyfile": "gateway.key"}

    async def script() -> None:
        notebook, store = Notebook(), Store()
        options: dict[str, Any] = {key: str(tmp_path / name) for key, name in files.items()}
        async with up(driver(port, notebook, **options), store):
            await prepared(notebook)
            sender = await connect(
                MqttOptions("127.0.0.1", "sender", port=port, tls=Tls(*map(Path, options.values()))),
                SystemClock(),
                ignore,
            )
            await sender.publish("smoke/state", b"1")
            await until(lambda: store.values == [1.0])
            await sender.close()
        plain_text = MqttOptions("127.0.0.1", "plain", port=port, answer_within=2)
        with pytest.raises(LinkDown):
            await connect(plain_text, SystemClock(), ignore)
        with pytest.raises(LinkDown, match="certificate"):
            await driver(port, notebook, tls=True).run(store.emit)  # the system does not know this authority

    broker = Mosquitto(tmp_path, config, port)
    broker.start()
    try:
        asyncio.run(script())
    finally:
        broker.kill()
