"""The page over TLS, on a real socket: a certificate of one's own, a login with the one-time code, nothing in clear."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlencode

from msgspec.structs import replace

from gateway.cli.main import run
from gateway.web.auth import code_file, known_code
from gateway.web.server import LivePage
from tests.page_house import REMOTE, TOKEN, Lived, live
from tests.patience import PATIENCE, until
from tests.ports import free_port


def certificate(folder: Path) -> tuple[str, str]:
    """Make a certificate as docs/page.md says."""
    cert, key = str(folder / "page.crt"), str(folder / "page.key")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-days",
        "2",
        "-nodes",
    ]
    command += ["-subj", "/CN=firegrid", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    Path(key).chmod(0o600)
    return cert, key


def test_a_login_over_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    port = free_port()
    spec = replace(REMOTE, port=port, cert_file=cert, key_file=key)

    async def body(lived: Lived) -> None:
        page = LivePage(lived.page.desk.facts)
        up = asyncio.Event()
        task = asyncio.create_task(page.run(up.set))
        try:
            await up.wait()
            await until(lambda: _open(port))
            code = known_code(code_file(lived.house.station.store.path))
            assert code, "the first start beyond loopback offers one"
            await asyncio.to_thread(_log_in, port, cert, code)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    live(tmp_path, body, spec)


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _log_in(port: int, cert: str, code: str) -> None:
    context = ssl.create_default_context(cafile=cert)

    def ask(method: str, path: str, body: str = "", cookie: str = "") -> tuple[int, str, str]:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=PATIENCE)
        connection.request(method, path, body.encode(), {"cookie": cookie})
        answer = connection.getresponse()
        text, set_cookie = answer.read().decode(), answer.getheader("set-cookie") or ""
        assert answer.getheader("strict-transport-security")
        connection.close()
        return answer.status, text, set_cookie.partition(";")[0]

    status, _, cookie = ask("GET", "/")
    assert status == 303
    _, form, _ = ask("GET", "/setup", cookie=cookie)
    token = TOKEN.search(form)
    assert token is not None
    fields = urlencode({"csrf": token[1], "code": code, "who": "li", "password": "a good password"})
    status, _, cookie = ask("POST", "/setup", fields, cookie)
    assert status == 303
    status, text, _ = ask("GET", "/", cookie=cookie)
    assert status == 200
    assert "data-view" in text


def test_the_code_is_printed_to_who_may_read_it(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    cert, key = certificate(tmp_path)
    station = '[station]\nid = "s"\n[store]\npath = "s.db"\n[[source]]\nid = "b"\ndriver = "mqtt"\nhost = "127.0.0.1"\n'
    station += '[[channel]]\nid = "screen"\nkind = "console"\n[page]\n'
    config.write_text(f'{station}listen = "127.0.0.1:8080"\n', encoding="utf-8")
    assert run(["page-code", "-c", str(config)]) == 3
    config.write_text(f'{station}listen = "0.0.0.0:8443"\ncert_file = "{cert}"\nkey_file = "{key}"\n', encoding="utf-8")
    assert run(["page-code", "-c", str(config)]) == 2
    (tmp_path / "s.db").touch()
    assert run(["page-code", "-c", str(config)]) == 0
    made = known_code(code_file(str(tmp_path / "s.db")))
    assert made
    assert run(["page-code", "-c", str(config)]) == 0
    assert known_code(code_file(str(tmp_path / "s.db"))) == made
