"""The event streams: at once for alarms, nothing twice for equal pages, nothing at all for whom nobody waits."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.clock import SECOND
from gateway.pipeline.ledger import Ledger
from gateway.pipeline.validate import Axis
from gateway.transport.listener import listening
from gateway.web import live as live_module
from gateway.web import server
from gateway.web.live import Page, TooManyPagesError, message
from gateway.web.render import Topic
from gateway.web.server import LivePage
from tests.page_house import Lived, live
from tests.patience import PATIENCE, STRICT, limit, until
from tests.ports import free_port

ALARMS = Topic("alarms", "", "zh", entitled=False)
OVERVIEW = Topic("overview", "", "zh", entitled=False)
AT_ONCE = limit(0.5)  # s


def parsed(raw: bytes) -> list[tuple[str, Any]]:
    """Return (kind, body) of every event in a piece of a stream."""
    found = []
    for block in raw.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def next_with(messages: AsyncIterator[bytes], word: str) -> dict[str, Any]:
    """Return the first fragments in which a word occurs."""
    async for out in messages:
        for kind, body in parsed(out):
            if kind == "p" and word in str(body):
                return dict(body)
    raise AssertionError(f"the stream ended without {word}")


def test_an_alarm_reaches_the_page_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "VALUES_EVERY", 30.0)  # it does not wait for the next look at values

    async def body(lived: Lived) -> None:
        with lived.page.live.joined(ALARMS) as page:
            messages = page.messages()
            first = parsed(await anext(messages))
            assert [kind for kind, _ in first] == ["p", "b"]
            begin = lived.house.clock.mono()
            lived.read(88.0)
            fragments = await next_with(messages, "88 ℃")
            assert (lived.house.clock.mono() - begin) / SECOND < AT_ONCE
            assert fragments["badge"] == "1"

    live(tmp_path, body)


def test_what_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        with lived.page.live.joined(ALARMS) as page:
            messages = page.messages()
            await anext(messages)
            rendered = lived.page.live.rendered
            await until(lambda: lived.page.live.rendered > rendered + 2)
            kinds = [kind for kind, _ in parsed(await anext(messages))]
            assert set(kinds) == {"b"}

    live(tmp_path, body)


def test_equal_pages_are_rendered_once_and_without_pages_nothing_is(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        lived.read(20.0)
        await asyncio.sleep(1)
        assert lived.page.live.rendered == 0
        pages = [lived.page.live.joined(OVERVIEW) for _ in range(200)]
        streams = [page.__enter__().messages() for page in pages]
        for stream in streams:
            await anext(stream)
        before = lived.page.live.rendered
        lived.read(21.5)
        for stream in streams:
            assert "21.5" in str(await next_with(stream, "21.5"))
        assert lived.page.live.rendered - before <= (3 if STRICT else len(pages) // 4), (
            "once per push, not once per page"
        )
        for page in pages:
            page.__exit__(None, None, None)
        assert len(lived.page.live) == 0

    live(tmp_path, body)


def test_what_overtakes_itself_is_sent_once() -> None:
    async def main() -> None:
        page = Page()
        for number in range(1_000):
            changed = {"v-1": str(number), f"v-{number % 3 + 2}": str(number)}
            page.change(changed, message("p", changed))
        (kind, body), *rest = parsed(await anext(page.messages()))
        assert (kind, rest) == ("p", [])
        assert body == {"v-1": "999", "v-2": "999", "v-3": "997", "v-4": "998"}

    asyncio.run(main())


def test_there_is_an_end_to_open_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MOST_PAGES", 2)

    async def body(lived: Lived) -> None:
        with lived.page.live.joined(ALARMS), lived.page.live.joined(OVERVIEW):
            with pytest.raises(TooManyPagesError), lived.page.live.joined(ALARMS):
                pass
            answer = await lived.caller.get("/stream?view=alarms")
            assert answer.status == 503

    live(tmp_path, body)


def test_a_core_that_does_not_turn_is_not_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "STUCK_AFTER", SECOND // 2)
    monkeypatch.setattr(live_module, "BEAT_EVERY", SECOND // 5)

    async def body(lived: Lived) -> None:
        with lived.page.live.joined(ALARMS) as page:
            monkeypatch.setattr(type(lived.house.runner), "turn", lambda _: None)
            async for out in page.messages():
                if any(kind == "b" and beat["stuck"] for kind, beat in parsed(out)):
                    return

    live(tmp_path, body)


def test_state_that_must_not_be_overlooked_is_on_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(lived: Lived) -> None:
        lived.house.state.axis = Axis(offset=0, trusted=False)
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "volatile", property(lambda _: True))
            for path in ("/", "/alarms", "/turnout", "/links", "/walktest", "/point/oven.temperature"):
                text = (await lived.caller.get(path)).text
                assert "未存档" in text, path
                assert "时间未校准" in text, path

    live(tmp_path, body)


@asynccontextmanager
async def served(lived: Lived) -> AsyncIterator[int]:
    """Let the page listen on a real socket; yields the port."""
    port = free_port()
    facts = lived.page.desk.facts
    object.__setattr__(facts, "station", replace(facts.station, page=replace(facts.spec, port=port)))
    page = LivePage(facts)
    up = asyncio.Event()
    task = asyncio.create_task(page.run(up.set))
    try:
        await up.wait()
        lived.page = page
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_who_never_reads_is_left_and_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "NEVER_READ", 1.0)

    async def body(lived: Lived) -> None:
        async with served(lived) as port:
            await until(lambda: _answers(port))
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            writer.write(b"GET /stream?view=overview HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: len(lived.page.live) == 1)
            (page,) = lived.page.live._pages[OVERVIEW]  # noqa: SLF001 - what floods one page floods no other
            changed = {"flood": "x" * 8_000_000}  # more than any socket buffers
            page.change(changed, message("p", changed))
            reader, other = await asyncio.open_connection("127.0.0.1", port)
            other.write(b"GET /stream?view=alarms HTTP/1.1\r\nHost: localhost\r\n\r\n")
            begin = lived.house.clock.mono()
            lived.read(88.0)
            seen = b""
            while "88 ℃".encode() not in seen:
                seen += await reader.read(65_536)
            assert (lived.house.clock.mono() - begin) / SECOND < AT_ONCE
            await until(lambda: len(lived.page.live) == 1)
            for open_end in (writer, other):
                open_end.transport.abort()
            await until(lambda: len(lived.page.live) == 0)

    live(tmp_path, body)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_stopping_says_so_and_frees_the_address(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        async with served(lived) as port:
            await until(lambda: _answers(port))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /stream?view=alarms HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: len(lived.page.live) == 1)
        said = await asyncio.wait_for(reader.read(), PATIENCE)
        assert b"event: bye" in said
        writer.close()
        listening("127.0.0.1", port).close()

    live(tmp_path, body)


def test_the_first_page_is_small(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        size = 0
        for path in ("/", "/static/page.css", "/static/page.js", "/static/icons.svg", "/static/icon.svg"):
            answer = await lived.caller.get(path, **{"accept-encoding": "gzip"})
            assert answer.status == 200, path
            size += len(answer.body)
        assert size < 20_000, f"{size} bytes"

    live(tmp_path, body)
