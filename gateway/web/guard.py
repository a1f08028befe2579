"""What stands before every request: the name it was asked by, and what browsers are told to refuse.

The outermost layer of the page. A page of this box must not be read or operated by another site through a visitor's
browser: so only our own names are answered (against DNS rebinding), nothing may be framed, loaded from elsewhere or
kept, and forms carry a token (`gateway.web.auth`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Wraps the page's application. `names`: host names that are ours; `secure`: it is served over TLS."""

    def __init__(self, app: ASGIApp, names: Iterable[str], *, secure: bool) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._headers = dict(_HEADERS)
        if secure:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return

        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        if not self._ours(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("asked by a name that is not ours", 421)
            await refusal(scope, receive, decorated)
            return
        await self._app(scope, receive, decorated)

    def _ours(self, host: str) -> bool:
        """Whether a Host field names us: an address, which no foreign name server can bend, or a name of ours."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        name = name.lower().rstrip(".")
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True
