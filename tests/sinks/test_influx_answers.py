"""What a far end can answer to a write, good and bad, and what the `influx` sink makes of it; real HTTP on loopback."""

from __future__ import annotations

import asyncio
import gzip
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.portion import Aside, Portion
from gateway.sinks import influx
from tests.http_far_end import Behave, FarEnd, answer, far_end, hang, say
from tests.patience import PATIENCE
from tests.sinks.portions import readings, setup

TAKEN = answer(204)
TAGS = "station=jc-07,device=kitchen,point=ch4,cell=jc/3/14,unit=%[LEL]"


def send(url: str, portion: Portion, **options: Any) -> Sequence[Aside]:  # noqa: ANN401 - whatever a TOML table holds
    async def main() -> Sequence[Aside]:
        sink = influx.create(setup("influx", url=url, **{"timeout": PATIENCE, "bucket": "b", **options}))
        try:
            return await sink.send(portion)
        finally:
            await sink.close()

    return asyncio.run(main())


def lines(request: bytes) -> list[str]:
    head, _, body = request.partition(b"\r\n\r\n")
    return (gzip.decompress(body) if b"Content-Encoding: gzip" in head else body).decode().splitlines()


def judging(judge: Callable[[list[str]], Behave]) -> Callable[[FarEnd], Behave]:
    """Answer each request by its lines."""

    def behaviour(end: FarEnd) -> Behave:
        def behave(connection: socket.socket) -> None:
            judge(lines(end.requests[-1]))(connection)

        return behave

    return behaviour


def test_a_write_is_one_zipped_request_with_the_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n", encoding="utf-8")
    token.chmod(0o600)
    with far_end(TAKEN) as end:
        assert send(f"http://127.0.0.1:{end.port}", readings(3), token_file=str(token), org="o") == []
    head = end.requests[0].partition(b"\r\n\r\n")[0].decode()
    assert head.startswith("POST /api/v2/write?bucket=b&org=o&precision=ns HTTP/1.1")
    assert "Authorization: Token secret" in head
    assert "Content-Encoding: gzip" in head
    assert lines(end.requests[0])[:1] == [f"firegrid_reading,{TAGS} value=0.0,quality=0i 1790000000000000000"]
    assert lines(end.requests[0])[-1] == "firegrid_gateway,station=jc-07,instance=i1 up=1i"


def test_an_influxdb_before_1_8_is_written_by_its_own_path(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("pass\n", encoding="utf-8")
    password.chmod(0o600)
    with far_end(TAKEN) as end:
        url, extra = f"http://127.0.0.1:{end.port}", {"user": "u", "password_file": str(password)}
        send(url, readings(1), api="v1", bucket="fire/year", gzip=False, **extra)
    head = end.requests[0].decode()
    assert head.startswith("POST /write?db=fire&rp=year&precision=ns")
    assert "Token u:pass" in head


def test_a_shared_token_file_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n", encoding="utf-8")
    token.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        influx.create(setup("influx", url="http://h", token_file=str(token)))


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (answer(401, b'{"code":"unauthorized"}'), "token_file"),
        (answer(403), "token_file"),
        (answer(404, b'{"message":"bucket \\"b\\" not found"}'), "not found.*check url, org and bucket"),
        (answer(307, headers="Location: http://elsewhere/\r\n"), "elsewhere.*final address"),
        (answer(301, headers="Location: https://h/\r\n"), "https://h/"),
        (answer(200, b"<html>Please log in</html>"), "portal"),
        (answer(405), "speaks InfluxDB"),
        (answer(400, b'{"message":"invalid precision"}'), "invalid precision.*not even a line of our own"),
    ],
)
def test_what_a_person_has_to_mend_is_a_fault_with_words_and_nothing_is_set_aside(behave: Behave, words: str) -> None:
    with far_end(behave) as end, pytest.raises(DeliveryError, match=words) as raised:
        send(f"http://127.0.0.1:{end.port}", readings(3))
    assert not raised.value.retryable
    assert len(end.requests) <= 2, "a redirect was followed, or points were looked for where none is to blame"


@pytest.mark.parametrize(
    "behave",
    [
        answer(500, b"panic"),
        answer(502, b"<html>Bad Gateway</html>"),
        answer(503, headers="Retry-After: 1\r\n"),
        answer(429),
        say(b""),
        say(b"HTTP/1.1 20"),
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"),
        say(b"\x00\xff\xfe nonsense\r\n\r\n"),
        answer(400, b"\xff\xfe\xfd"),
    ],
)
def test_what_may_be_over_soon_is_tried_again(behave: Behave) -> None:
    with far_end(behave) as end, pytest.raises(LinkDown):
        send(f"http://127.0.0.1:{end.port}", readings(3))


def test_a_server_that_hangs_or_drips_is_given_up_in_time() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 X\r\nContent-Length: 1000\r\n\r\n")
        while not end.released.wait(0.1):
            connection.sendall(b"x")

    with far_end(TAKEN) as end:
        end.behave = hang(end)
        with pytest.raises(LinkDown):
            send(f"http://127.0.0.1:{end.port}", readings(1), timeout=0.3)
        end.behave = drip
        with pytest.raises(LinkDown, match=r"within 0\.5 s"):
            send(f"http://127.0.0.1:{end.port}", readings(1), timeout=0.5)


def test_nobody_there() -> None:
    with far_end(TAKEN) as end:
        port = end.port
    with pytest.raises(LinkDown):
        send(f"http://127.0.0.1:{port}", readings(1))


def test_bad_points_are_found_and_set_aside_with_the_servers_words_and_all_others_are_taken() -> None:
    taken: set[str] = set()

    def judge(given: list[str]) -> Behave:
        bad = [line for line in given if "value=7.0" in line or "value=130.0" in line]
        if bad:  # as InfluxDB 2: the whole batch is refused
            return answer(400, f'{{"code":"invalid","message":"unable to parse {len(bad)}"}}'.encode())
        taken.update(given)
        return TAKEN

    with far_end(TAKEN) as end:
        end.behave = judging(judge)(end)
        asides = send(f"http://127.0.0.1:{end.port}", readings(200))
    assert sorted("value=7.0" in aside.what for aside in asides) == [False, True]
    assert all("unable to parse" in aside.why for aside in asides)
    assert len([line for line in taken if "firegrid_reading" in line]) == 198
    assert len(end.requests) < 60


def test_points_beyond_the_retention_of_the_server_are_counted_without_asking_for_each() -> None:
    """InfluxDB 1 keeps what it can of a partial write and says how many it dropped."""

    def judge(given: list[str]) -> Behave:
        old = [line for line in given if "firegrid_reading" in line]
        words = f'{{"error":"partial write: points beyond retention policy dropped={len(old)}"}}'
        return answer(400, words.encode()) if old else TAKEN

    with far_end(TAKEN) as end:
        end.behave = judging(judge)(end)
        asides = send(f"http://127.0.0.1:{end.port}", readings(5_000))
    assert len(asides) == 5_000
    assert len(end.requests) < 200


def test_a_batch_that_is_too_large_is_halved_without_blame() -> None:
    taken: set[str] = set()

    def judge(given: list[str]) -> Behave:
        if len(given) > 50:
            return answer(413)
        taken.update(given)
        return TAKEN

    with far_end(TAKEN) as end:
        end.behave = judging(judge)(end)
        assert send(f"http://127.0.0.1:{end.port}", readings(300)) == []
    assert len(taken) == 301


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ftp://h"}, "url"),
        ({"url": "http://u:p@h"}, "user in it"),
        ({"url": "http://h", "api": "v1"}, "bucket"),
        ({"url": "http://h", "user": "u"}, "password_file"),
        ({"url": "http://h", "timeout": 0.0}, "timeout"),
        ({"url": "http://h", "verify": False}, "verify"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        influx.create(setup("influx", **options))


def test_the_daemon_reads_the_options_without_the_library() -> None:
    """House rule: what weighs is imported by the process that uses it."""
    code = "import sys; from gateway import registry; registry.options('sink', 'influx'); print(sorted(sys.modules))"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "'gateway.sinks.influx'" in loaded
    assert "influxdb_client" not in loaded
    assert "urllib3" not in loaded
