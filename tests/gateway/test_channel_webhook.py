"""The webhook against real servers: signed, bounded, verified, and every failure of the right kind."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.channels.webhook import Webhook, create
from gateway.clock import SECOND, Clock, SystemClock
from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.contact import ChannelSpec
from gateway.model.notification import DeliveryState, Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.ports import ChannelSetup
from gateway.testing import FakeClock
from gateway.transport import http
from tests.channel_rigs import Notes, no_output
from tests.http_far_end import FarEnd, answer, far_end, hang, say
from tests.patience import until

SECRET = b"0123456789abcdef0123456789abcdef"
NOTICE = Notification(
    id=41,
    alarm=7,
    alarm_class=AlarmClass.FIRE,
    contact="",
    channel="hook",
    address="",
    reason=NotifyReason.RAISED,
    text="火警 1号楼",
    attempts=2,
    repeat=True,
)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o600)
    return path


def hook(url: str, secret: Path, clock: Clock | None = None, **options: object) -> Webhook:
    spec = ChannelSpec(id="hook", kind="webhook", options={"url": url, "secret_file": str(secret), **options})
    notes = Notes()
    clock = clock or SystemClock()
    return create(ChannelSetup(spec=spec, clock=clock, memory=notes, report=notes, write=no_output, station="江-07"))


def failure(channel: Webhook) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        asyncio.run(channel.send(NOTICE))
    return caught.value


def calls() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "http"]


def test_a_notice_arrives_signed_and_whole(secret: Path) -> None:
    with far_end(answer(204)) as end:
        clock = FakeClock()
        receipt = asyncio.run(hook(f"http://127.0.0.1:{end.port}/a/b?c=d", secret, clock).send(NOTICE))
    assert (receipt.notice, receipt.state, receipt.at) == (41, DeliveryState.SENT, clock.mono())
    head, _, body = end.requests[0].partition(b"\r\n\r\n")
    lines = head.decode("utf-8").split("\r\n")
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    assert lines[0] == "POST /a/b?c=d HTTP/1.1"
    assert json.loads(body) == {
        "station": "江-07",
        "notice": 41,
        "alarm": 7,
        "class": "fire",
        "reason": "raised",
        "contact": "",
        "text": "火警 1号楼",
        "step": 0,
        "round": 0,
        "attempt": 2,
        "repeat": True,
        "recorded": True,
    }
    stamp = str(clock.wall() // SECOND)
    expected = hmac.new(SECRET, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert fields["x-firegrid-timestamp"] == stamp
    assert fields["x-firegrid-signature"] == f"sha256={expected}"
    assert fields["x-firegrid-notice"] == "江-07/41"
    assert fields["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (410, False),
        (408, True),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
    ],
)
def test_the_status_says_whether_another_try_can_help(secret: Path, status: int, retryable: bool) -> None:  # noqa: FBT001 - a table
    with far_end(answer(status, b"<html>no</html>")) as end:
        error = failure(hook(f"http://127.0.0.1:{end.port}/", secret))
    assert error.retryable is retryable
    assert str(status) in error.reason


def test_a_redirect_is_refused_and_not_followed(secret: Path) -> None:
    with far_end(answer(200)) as other, far_end(answer(200)) as end:
        end.behave = answer(307, headers=f"Location: http://127.0.0.1:{other.port}/\r\n")
        error = failure(hook(f"http://127.0.0.1:{end.port}/", secret))
    assert not error.retryable
    assert "redirect" in error.reason
    assert other.connections == 0


def test_no_proxy_of_the_environment_is_used(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with far_end(answer(200)) as proxy, far_end(answer(200)) as end:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        asyncio.run(hook(f"http://127.0.0.1:{end.port}/", secret).send(NOTICE))
    assert (proxy.connections, end.connections) == (0, 1)


@pytest.mark.parametrize("raw", [b"", b"\x16\x03\x01 not http", b"HTTP/1.1 2", b"HTTP/9"])
def test_half_an_answer_or_nonsense_may_be_tried_again(secret: Path, raw: bytes) -> None:
    with far_end(say(raw)) as end:
        assert failure(hook(f"http://127.0.0.1:{end.port}/", secret)).retryable


def test_nobody_there_may_be_tried_again(secret: Path) -> None:
    with far_end(answer(200)) as end:
        pass
    assert failure(hook(f"http://127.0.0.1:{end.port}/", secret)).retryable
    assert failure(hook("http://nowhere.invalid/", secret)).retryable


def _slow(end: FarEnd, how: str) -> Callable[[Any], None]:
    def drip(connection: Any) -> None:  # noqa: ANN401 - a socket, plain or TLS
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not end.released.wait(0.02):
            connection.sendall(b"x")

    def drip_head(connection: Any) -> None:  # noqa: ANN401 - as above
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Never-Ends: ")
        while not end.released.wait(0.02):
            connection.sendall(b"x")

    return {"hang": hang(end), "drip": drip, "drip head": drip_head}[how]


@pytest.mark.parametrize("how", ["hang", "drip", "drip head"])
def test_one_deadline_over_everything_by_the_clock(secret: Path, how: str) -> None:
    async def scene(end: FarEnd) -> None:
        clock = FakeClock()
        channel = hook(f"http://127.0.0.1:{end.port}/", secret, clock, timeout=20.0)
        sending = asyncio.create_task(channel.send(NOTICE))
        await until(lambda: end.requests)
        await clock.advance(19)
        assert not sending.done()
        await clock.advance(1)
        with pytest.raises(DeliveryError, match="no answer within 20 s") as caught:
            await sending
        assert caught.value.retryable
        assert caught.value.uncertain
        await until(lambda: not calls())  # cut off, not left to its own time-out
        await until(end.cut.is_set)

    with far_end(answer(200)) as end:
        end.behave = _slow(end, how)
        asyncio.run(scene(end))


def test_a_cancelled_call_is_cut_off(secret: Path) -> None:
    async def scene(end: FarEnd) -> None:
        sending = asyncio.create_task(hook(f"http://127.0.0.1:{end.port}/", secret, timeout=60.0).send(NOTICE))
        await until(lambda: end.requests)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await until(lambda: not calls())

    with far_end(answer(200)) as end:
        end.behave = hang(end)
        asyncio.run(scene(end))


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    async def scene(end: FarEnd) -> http.Answer:
        return await http.post(f"http://127.0.0.1:{end.port}/", b"", {}, clock=SystemClock(), deadline=20, limit=1000)

    def endless(connection: Any) -> None:  # noqa: ANN401 - a socket
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with far_end(endless) as end:
        assert len(asyncio.run(scene(end)).body) == 1000


def certificate(folder: Path, name: str) -> Path:
    """Make a self-signed certificate and key in one file."""
    path = folder / f"{name}.pem"
    key = folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={name}"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(path)], check=True, capture_output=True, timeout=60)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def test_tls_is_verified_by_chain_and_by_name(secret: Path, tmp_path: Path) -> None:
    ours, other = certificate(tmp_path, "IP:127.0.0.1"), certificate(tmp_path, "DNS:other.example")
    with far_end(answer(200), certificate=ours) as end:
        url = f"https://127.0.0.1:{end.port}/"
        asyncio.run(hook(url, secret, ca_file=str(ours)).send(NOTICE))
        for wrong in (hook(url, secret), hook(url, secret, ca_file=str(other))):
            assert not failure(wrong).retryable
        assert len(end.requests) == 1  # nothing was said to somebody unproven
        assert not failure(hook(url, secret, ca_file=str(tmp_path / "absent.pem"))).retryable
    with far_end(answer(200), certificate=other) as end:
        url = f"https://127.0.0.1:{end.port}/"
        assert not failure(hook(url, secret, ca_file=str(other))).retryable
        assert not end.requests


def test_a_server_that_hangs_in_the_handshake_is_cut_off() -> None:
    async def scene(end: FarEnd) -> None:
        clock = FakeClock()
        url = f"https://127.0.0.1:{end.port}/"
        calling = asyncio.create_task(http.post(url, b"", {}, clock=clock, deadline=30))
        await until(lambda: end.connections)
        await clock.advance(30)
        with pytest.raises(LinkDown, match="no answer within 30 s"):
            await calling
        await until(lambda: not calls())

    with far_end(answer(200)) as end:  # it speaks no TLS and waits for the end of a request
        asyncio.run(scene(end))


def test_the_secret_is_refused_when_others_can_read_it_or_anybody_can_guess_it(secret: Path, tmp_path: Path) -> None:
    with far_end(answer(200)) as end:
        channel = hook(f"http://127.0.0.1:{end.port}/", secret)
        secret.chmod(0o640)
        assert "chmod 600" in failure(channel).reason
        secret.chmod(0o600)
        secret.write_bytes(b"short\n")
        assert not failure(channel).retryable
        secret.unlink()
        assert not failure(channel).retryable
        assert end.connections == 0
        secret.write_bytes(SECRET)
        secret.chmod(0o600)
        asyncio.run(channel.send(NOTICE))  # mended without a restart
    assert tmp_path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://user:word@example.org/",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://example.org/a b",
        "http://example.org/\r\nX-Evil: 1",
        "http://例子.中国/",
        "http://[::1",
    ],
)
def test_an_address_that_cannot_be_called_is_refused_at_once(url: str, secret: Path) -> None:
    with pytest.raises(ConfigError):
        hook(url, secret)
