"""Logging in, beyond loopback: with a password that was set once with a code that only root at the box can read.

Beside `gateway.web.routes`. Wrong tries are counted by address and in all, and cost the same time whether the contact
exists or not.
"""

from __future__ import annotations

from functools import partial

from starlette.responses import RedirectResponse, Response

from gateway.transport.offload import offload
from gateway.web import words
from gateway.web.auth import LEAST_PASSWORD, MOST_PASSWORD, SESSION, Tries, code_file, use_code
from gateway.web.routes import COOKIE, BadRequestError, Desk, Visit, form_of


class Door:
    """The login of one station."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tries = Tries()
        self._code = code_file(desk.facts.station.store.path)

    async def login(self, desk: Desk, visit: Visit) -> Response:
        """Show the form; take a password."""
        if visit.request.method == "GET":
            return desk.answer(visit, desk.plain(visit, "login", said=""))
        fields = await form_of(desk, visit)
        who, password = fields.get("who", "").strip(), fields.get("password", "")[:MOST_PASSWORD]
        if not self._may(visit):
            return self._again(visit, "login", "too_many", 429)
        kept = desk.keeper.kept(who) if who in desk.facts.people else ""
        if not await offload(partial(desk.keeper.right, kept, password), "page-password"):
            self._failed(visit)
            return self._again(visit, "login", "login_failed", 403)
        return self._welcome(visit, who)

    async def setup(self, desk: Desk, visit: Visit) -> Response:
        """Show the form; take a one-time code and the password it is for."""
        if visit.request.method == "GET":
            return desk.answer(visit, desk.plain(visit, "setup", said=""))
        fields = await form_of(desk, visit)
        who, password = fields.get("who", "").strip(), fields.get("password", "")
        if not self._may(visit):
            return self._again(visit, "setup", "too_many", 429)
        if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
            return self._again(visit, "setup", "short_password", 400)
        known = who in desk.facts.people
        if not known or not await offload(partial(use_code, self._code, fields.get("code", "")), "page-code"):
            self._failed(visit)
            return self._again(visit, "setup", "code_failed", 403)
        await offload(partial(desk.keeper.set_password, who, password), "page-password")
        return self._welcome(visit, who)

    async def logout(self, desk: Desk, visit: Visit) -> Response:
        """End the session."""
        await form_of(desk, visit)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=desk.remote)
        return response

    def _welcome(self, visit: Visit, who: str) -> Response:
        until = self._desk.facts.clock.wall() + SESSION
        visit.session, visit.fresh = self._desk.keeper.begin(who, until=until), True
        return self._desk.keep(visit, RedirectResponse("/", 303))

    def _again(self, visit: Visit, form: str, key: str, status: int) -> Response:
        html = self._desk.plain(visit, form, said=words.TEXTS[visit.language][key])
        return self._desk.answer(visit, html, status)

    def _may(self, visit: Visit) -> bool:
        if not self._desk.remote:
            raise BadRequestError(404, "not_found")
        return self._tries.allowed(_address(visit), self._desk.facts.clock.mono())

    def _failed(self, visit: Visit) -> None:
        self._tries.failed(_address(visit), self._desk.facts.clock.mono())


def _address(visit: Visit) -> str:
    return visit.request.client.host if visit.request.client else ""
