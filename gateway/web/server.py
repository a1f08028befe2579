"""The live page: its application, and the server that runs it in the daemon's loop.

A part beside the flow (`gateway.annex`), imported only when `[page]` is configured. The socket comes from
`gateway.transport`; the state is read in RAM, history by a reader of its own in a thread; nothing here makes the step
wait (house sections 2, 4 and 5).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mimetypes
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config.page import loopback
from gateway.transport.listener import listening
from gateway.transport.piecemeal import piecemeal
from gateway.web import login, routes
from gateway.web.auth import Keeper, code_file, known_code, new_code
from gateway.web.facts import Facts
from gateway.web.guard import Guard
from gateway.web.history import History
from gateway.web.live import Live, Page, TooManyPagesError
from gateway.web.metrics import Metrics
from gateway.web.render import HERE, Renderer
from gateway.web.routes import BadRequestError, Desk, Visit

piecemeal("uvicorn")  # without its command line, which brings click and multiprocessing

from uvicorn.config import Config  # noqa: E402 - see above
from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: E402 - else imported when the page begins to serve
from uvicorn.server import Server  # noqa: E402 - see above

Handler = Callable[[Desk, Visit], Awaitable[Response]]

MOST_CONNECTIONS = 600
NEVER_READ = 10.0  # s after which a page that takes nothing is left
_STATIC = HERE / "static"
# Who follows a link from elsewhere comes without the cookie (SameSite=Strict): asked once more from here, it is sent.
_ONCE_MORE = '<!doctype html><meta http-equiv="refresh" content="0"><title>firegrid</title>'
_OPEN = ("login", "setup", "language")  # what somebody who has not logged in may ask for


class LivePage:
    """The page of one station. `app` is the whole application (ASGI 3)."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        remote = not loopback(facts.spec.host)
        build = f"{version('firegrid')}-{secrets.token_hex(4)}"  # a page of an older life loads itself anew
        self._renderer = Renderer(facts, _fingerprint())
        self.live = Live(facts, self._renderer, build)
        self.desk = Desk(
            facts=facts, renderer=self._renderer, live=self.live, keeper=Keeper(facts.memory), remote=remote
        )
        self._history = History(facts)
        self.metrics = Metrics(facts)
        self.app: ASGIApp = Guard(self._application(), _names(facts), secure=bool(facts.spec.cert_file))

    async def run(self, alive: Callable[[], None]) -> None:
        """Serve until cancelled. Raises LinkDown when the address is taken."""
        spec = self._facts.spec
        made = listening(spec.host, spec.port)
        self._offer_code()
        config = Config(
            self.app,
            http=H11Protocol,
            ws="none",
            loop="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=1,
            ssl_certfile=spec.cert_file or None,
            ssl_keyfile=spec.key_file or None,
        )
        with self.metrics.listening():
            await self._serve(_Server(config), made, alive)

    async def _serve(self, server: _Server, made: socket.socket, alive: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            pushing = tasks.create_task(self.live.run(), name="page-live")
            serving = tasks.create_task(server.serve(sockets=[made]), name="page-server")
            alive()
            try:
                await asyncio.shield(serving)
            finally:
                server.should_exit = True
                pushing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(serving)
                made.close()

    def _offer_code(self) -> None:
        """Beyond loopback the first person sets a password with a code that lies beside the store."""
        path = code_file(self._facts.station.store.path)
        if self.desk.remote and not any(map(self.desk.keeper.kept, self._facts.people)) and not known_code(path):
            new_code(path)

    # -- addresses

    def _application(self) -> ASGIApp:
        door = login.Door(self.desk)
        get, both = ["GET"], ["GET", "POST"]
        return GZipMiddleware(
            Starlette(
                routes=[
                    Route("/", self._at(routes.view), methods=get),
                    Route("/static/{name}", _static, methods=get),
                    Route("/stream", _Stream(self.desk), methods=get),
                    Route("/act", self._at(routes.act), methods=["POST"]),
                    Route("/who", self._at(routes.who), methods=both),
                    Route("/language", self._at(routes.language), methods=get),
                    Route("/login", self._at(door.login), methods=both),
                    Route("/setup", self._at(door.setup), methods=both),
                    Route("/logout", self._at(door.logout), methods=["POST"]),
                    Route("/history/{argument}", self._at(self._history.answer), methods=get),
                    Route("/metrics", self._scraped, methods=get),
                    Route("/{view:str}", self._at(routes.view), methods=get),
                    Route("/{view:str}/{argument:str}", self._at(routes.view), methods=get),
                ],
            ),
            minimum_size=600,
            compresslevel=6,
        )

    async def _scraped(self, request: Request) -> Response:
        """Answer a scrape; beyond loopback only one from this box itself, which has no login."""
        near = request.client is not None and loopback(request.client.host)
        if self.desk.remote and not near and not self.desk.inside(self.desk.visit(request)):
            return Response(status_code=403)
        body, kind = self.metrics.text(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind})

    def _at(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint: nobody from outside gets past the login, and what is wrong is said in words."""

        async def endpoint(request: Request) -> Response:
            visit = self.desk.visit(request)
            if visit.fresh and request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
                return HTMLResponse(_ONCE_MORE)
            if not self.desk.inside(visit) and request.url.path.lstrip("/") not in _OPEN:
                return self.desk.keep(visit, RedirectResponse("/login", 303))
            try:
                return await handler(self.desk, visit)
            except BadRequestError as error:
                return self.desk.said(visit, error.words_key, error.status)

        return endpoint


class _Server(Server):
    """Uvicorn inside a loop that is not its own: signals are the daemon's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


class _Stream:
    """`/stream?view=…&argument=…`: what the topic shows, then what changes (text/event-stream)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        request = Request(scope)
        visit = self._desk.visit(request)
        query = request.query_params
        if not self._desk.inside(visit):
            await JSONResponse({}, 403)(scope, receive, send)
            return
        try:
            topic = routes.topic_of(self._desk, visit, query.get("view", ""), query.get("argument", ""))
            with self._desk.live.joined(topic) as page:
                await self._send(page, receive, send)
        except BadRequestError as error:
            await JSONResponse({}, error.status)(scope, receive, send)
        except TooManyPagesError:
            await JSONResponse({}, 503, {"retry-after": "5"})(scope, receive, send)

    async def _send(self, page: Page, receive: Receive, send: Send) -> None:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            page.close()

        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        leaving = asyncio.create_task(gone())
        body = partial(_body, send)
        try:
            with contextlib.suppress(TimeoutError):
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await body(b"retry: 1000\n\n", more=True)
                async for out in page.messages():
                    async with self._desk.facts.clock.timeout(NEVER_READ):
                        await body(out, more=True)
                async with self._desk.facts.clock.timeout(NEVER_READ):
                    await body(b"", more=False)
        finally:
            leaving.cancel()


async def _body(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _names(facts: Facts) -> list[str]:
    """Return the names by which we are asked."""
    return ["localhost", socket.gethostname(), f"{socket.gethostname()}.local", *facts.spec.names]


def _fingerprint() -> str:
    """Return what changes with the static files: they are kept by browsers for as long as it does not."""
    digest = hashlib.sha256()
    for path in sorted(_STATIC.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


async def _static(request: Request) -> Response:
    """Return a file of the page's own, from RAM."""
    known = _files()
    name = request.path_params["name"]
    if name not in known:
        return Response(status_code=404)
    body, kind = known[name]
    keep = "public, max-age=31536000, immutable" if request.url.query else "no-cache"
    return Response(body, media_type=kind, headers={"cache-control": keep})


_kept: dict[str, tuple[bytes, str]] = {}


def _files() -> dict[str, tuple[bytes, str]]:
    if not _kept:
        for path in _STATIC.iterdir():
            kind = mimetypes.guess_type(path.name)[0] or "text/plain"
            _kept[path.name] = (path.read_bytes(), kind)
    return _kept
