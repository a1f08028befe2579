"""A living house with its page, in one process and without a browser: a caller that speaks ASGI and keeps cookies."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from msgspec.structs import replace

from gateway.app import open_house
from gateway.clock import SystemClock
from gateway.house import House
from gateway.model.batch import make_batch
from gateway.model.station import PageSpec
from gateway.web.facts import Facts
from gateway.web.server import LivePage
from tests.patience import PATIENCE, until

HOSTILE = "<script>alert('x')</script>\"&"
STATION = f"""
[station]
id = "page"
name = '''{HOSTILE}'''
clock = "trusted"
[store]
path = "station.db"
commit_interval = "100ms"
[limits]
commit_deadline = "60s"
open_deadline = "60s"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = 9
[[cell]]
id = "jc"
name = '''{HOSTILE}'''
[[device]]
id = "oven"
name = '''{HOSTILE}'''
source = "broker"
profile = "json-generic"
topic = "t/oven"
cell = "jc"
[device.points.temperature]
unit = "Cel"
valid_range = [-40, 200]
decode = {{ path = "$.temperature" }}
[device.points.draught]
unit = "<b>Pa</b>"
valid_range = [0, 10]
decode = {{ path = "$.draught" }}
[[rule]]
id = "heat"
title = '''{HOSTILE}'''
points = "oven.temperature"
when = "value > 60"
clear = "value < 50"
class = "fire"
severity = "critical"
[[contact]]
id = "li"
name = '''{HOSTILE}'''
phone = "13800138000"
cell = "jc"
role = "squad"
[[contact]]
id = "chen"
name = "Chen"
phone = "13700137000"
cell = "jc"
role = "grid"
[[channel]]
id = "sms"
kind = "sms_modem"
port = "nowhere"
"""
REMOTE = PageSpec(host="0.0.0.0", port=8443, cert_file="c", key_file="k", phones=("squad",))  # noqa: S104 - a test of it
TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode()


@dataclass(slots=True)
class Caller:
    """A browser without a window; keeps cookies."""

    page: LivePage
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "192.0.2.1"

    async def get(self, path: str, *, host: str = "localhost:8080", **headers: str) -> Answer:
        """Ask for a page."""
        return await self.call("GET", path, b"", {"host": host, **headers})

    async def post(
        self, path: str, given: Mapping[str, str] | None = None, *, token: bool = True, **more: str
    ) -> Answer:
        """Send a form, with the token of our session unless told otherwise."""
        fields = {**(given or {}), **more}
        if token:
            found = TOKEN.search((await self.get("/login" if self.page.desk.remote else "/")).text)
            fields["csrf"] = found[1] if found else ""
        body = urlencode(fields).encode()
        return await self.call("POST", path, body, {"host": "localhost:8080", "accept": "application/json"})

    async def call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Make one request."""
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        parts = urlsplit(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": (self.address, 1),
            "server": ("127.0.0.1", 8080),
        }
        answer = Answer(0, {}, b"")
        sent = False

        async def receive() -> dict[str, object]:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                answer.status = int(str(message["status"]))
                self._heard(answer, message["headers"])
            else:
                answer.body += bytes(message.get("body", b""))  # type: ignore[call-overload] # ASGI says bytes

        await self.page.app(scope, receive, send)  # type: ignore[arg-type] # plain dicts are what a server sends
        return answer

    def _heard(self, answer: Answer, headers: object) -> None:
        for name, value in headers:  # type: ignore[attr-defined] # pairs of bytes
            answer.headers[name.decode().lower()] = value.decode()
            if name.lower() == b"set-cookie":
                for cookie, morsel in SimpleCookie(value.decode()).items():
                    self.cookies[cookie] = morsel.value


@dataclass(slots=True)
class Lived:
    """The house and its page while a test runs."""

    house: House
    page: LivePage
    caller: Caller

    def read(self, value: float) -> None:
        """Let the oven be measured."""
        house = self.house
        rows = [(house.ids["oven.temperature"], 0, value, 0)]
        house.intake.put(make_batch("broker", house.clock.mono(), rows))

    async def burning(self) -> None:
        """Let there be a fire alarm."""
        self.read(88.0)
        await until(lambda: any(alarm.rule == "heat" for alarm in self.house.state.book.open_alarms()))

    @property
    def fire(self) -> int:
        """Return the id of the fire alarm."""
        return next(alarm.id for alarm in self.house.state.book.open_alarms() if alarm.rule == "heat")


def live(folder: Path, body: Callable[[Lived], Awaitable[None]], spec: PageSpec | None = None) -> None:
    """Run a house and its page around a test; the page does not listen."""

    async def main() -> None:
        path = folder / "station.toml"
        mute.bind(("127.0.0.1", 0))
        mute.listen()  # takes the connection and says nothing: the link is not down, only never up
        path.write_text(STATION.replace("port = 9\n", f"port = {mute.getsockname()[1]}\n"), encoding="utf-8")
        house = await open_house(path, SystemClock())
        facts = Facts(
            station=replace(house.station, page=spec or PageSpec()),
            ids=house.ids,
            runner=house.runner,
            clock=house.clock,
            links=lambda: [link.health for link in house.links.values()],
            memory=house.remembered("page"),
            life=house.life,
        )
        page = LivePage(facts)
        tasks = [asyncio.create_task(house.run()), asyncio.create_task(page.live.run())]
        try:
            await until(lambda: house.runner.turns > 1)
            await body(Lived(house, page, Caller(page)))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    with socket.socket() as mute:
        asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE))
