"""The event streams: one renderer per change for all pages that show the same, and never a wait for any of them.

Fed by the runner after each commit. What changed is rendered once per topic and encoded once; a page that reads slowly
misses nothing but what was overtaken meanwhile, because what waits for it is kept per fragment, the newest only. One
that does not read at all is left after some seconds. Alarms go out at once, values twice a second at most, and a beat
every two seconds by which a page knows that it is live (house sections 2 and 7).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import msgspec

from gateway.clock import MILLISECOND, SECOND
from gateway.pipeline.commit import Work
from gateway.web.facts import Facts
from gateway.web.render import Fragments, Renderer, Topic

BEAT_EVERY = 3 * SECOND // 2  # looked at twice a second: a beat comes every 2 s or so
VALUES_EVERY = 0.5  # s between looks at what changed without a record: values, health of links
LEAST_PAUSE = 0.15  # s between two pushes, whatever happens
MOST_PAGES = 300
STUCK_AFTER = 15 * SECOND  # the runner turns every 10 s at least
_encode = msgspec.json.Encoder().encode


class TooManyPagesError(Exception):
    """There are as many open pages as this box serves."""


def message(kind: str, body: object) -> bytes:
    """Return one server-sent event (WHATWG HTML, 9.2.5); JSON has no line breaks of its own."""
    return b"event: " + kind.encode() + b"\ndata: " + _encode(body) + b"\n\n"


class Page:
    """One open page: what waits to be sent to it."""

    def __init__(self) -> None:
        self._changed: Fragments = {}
        self._ready: bytes | None = None  # `_changed` as it was encoded for all
        self._beat: bytes = b""
        self._wake = asyncio.Event()
        self._closed = False

    def change(self, changed: Fragments, encoded: bytes) -> None:
        """Queue fragments; those that still wait are overtaken."""
        self._ready = None if self._changed else encoded
        self._changed = {**self._changed, **changed} if self._changed else changed
        self._wake.set()

    def beat(self, encoded: bytes) -> None:
        """Queue the newest beat."""
        self._beat = encoded
        self._wake.set()

    def close(self) -> None:
        """Send what waits, and end."""
        self._closed = True
        self._wake.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield what is to be sent, until closed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            out = b""
            if self._changed:
                out = self._ready or message("p", self._changed)
                self._changed, self._ready = {}, None
            out, self._beat = out + self._beat, b""
            if out:
                yield out
            if self._closed:
                return


class Live:
    """Keeps every open page up to date."""

    def __init__(self, facts: Facts, renderer: Renderer, build: str) -> None:
        self._facts = facts
        self._renderer = renderer
        self._build = build
        self._pages: dict[Topic, set[Page]] = {}
        self._shown: dict[Topic, Fragments] = {}
        self._urgent = asyncio.Event()
        self._turned = (0, facts.clock.mono())
        self._beat_at = 0
        self.rendered = 0  # how often a topic was rendered

    def __len__(self) -> int:
        return sum(len(pages) for pages in self._pages.values())

    @contextlib.contextmanager
    def joined(self, topic: Topic) -> Iterator[Page]:
        """Give an open page its queue, with everything that it shows first. Raises TooManyPagesError."""
        if len(self) >= MOST_PAGES:
            raise TooManyPagesError
        page = Page()
        if topic not in self._pages:
            self._pages[topic] = set()
            self._shown[topic] = self._renderer.fragments(topic)
        self._pages[topic].add(page)
        page.change(self._shown[topic], message("p", self._shown[topic]))
        page.beat(message("b", {**self._pulse(), "build": self._build}))
        self._urgent.set()  # what it was given may be some moments old
        try:
            yield page
        finally:
            self._pages[topic].discard(page)
            if not self._pages[topic]:
                del self._pages[topic], self._shown[topic]

    async def run(self) -> None:
        """Push what changes until cancelled; then tell every page that it is over."""
        self._facts.runner.listeners.append(self._committed)
        clock = self._facts.clock
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with clock.timeout(VALUES_EVERY if self._pages else None):
                        await self._urgent.wait()
                self._urgent.clear()
                self.push()
                await clock.sleep(LEAST_PAUSE)
        finally:
            self._facts.runner.listeners.remove(self._committed)
            for pages in self._pages.values():
                for page in pages:
                    page.beat(message("bye", {}))
                    page.close()

    def _committed(self, work: Work) -> None:
        if work.records and self._pages:
            self._urgent.set()

    def push(self) -> None:
        """Render what is shown somewhere, and queue what is new."""
        for topic, pages in self._pages.items():
            fresh, shown = self._renderer.fragments(topic), self._shown[topic]
            changed = {key: html for key, html in fresh.items() if shown.get(key) != html}
            self.rendered += 1
            if changed:
                self._shown[topic] = fresh
                encoded = message("p", changed)
                for page in pages:
                    page.change(changed, encoded)
        if self._facts.clock.mono() >= self._beat_at:
            self._beat_at = self._facts.clock.mono() + BEAT_EVERY
            beat = message("b", self._pulse())
            for pages in self._pages.values():
                for page in pages:
                    page.beat(beat)

    def _pulse(self) -> dict[str, object]:
        """Return the page's clock (ms, station axis), and whether the runner still turns."""
        now, turns = self._facts.clock.mono(), self._facts.runner.turns
        if turns != self._turned[0]:
            self._turned = (turns, now)
        return {"now": now // MILLISECOND, "stuck": now - self._turned[1] > STUCK_AFTER}
