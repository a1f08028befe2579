"""What each address of the page answers: views, event streams, acts, the choice of the person, login.

Between the guard and the parts that know (`render`, `live`, `history`, `auth`). An act becomes an `OperatorAct` on the
intake, as from the control socket, and is answered when it is durable (house section 2).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from gateway.alarms.refusal import Refusal
from gateway.clock import SECOND
from gateway.model.alarm import OperatorAct, Verb
from gateway.web import words
from gateway.web.auth import Keeper, Session
from gateway.web.facts import Facts
from gateway.web.live import Live
from gateway.web.render import Renderer, Topic

ANSWER_WITHIN = 10.0  # s
MOST_FORM = 8_192  # bytes
LONGEST_SHELF = 7 * 24 * 60  # minutes
LONGEST_WALK = 12 * 60  # minutes: a test that somebody forgot must not cost a night
_VERBS = (Verb.ACK, Verb.RESET, Verb.SHELVE, Verb.UNSHELVE)
_WALKS = (Verb.WALKTEST, Verb.END_WALKTEST)
COOKIE = "firegrid"


class BadRequestError(Exception):
    """A request that no page of ours makes: status and the key of the words for it."""

    def __init__(self, status: int = 400, words_key: str = "bad_request") -> None:
        super().__init__(words_key)
        self.status = status
        self.words_key = words_key


@dataclass(slots=True)
class Visit:
    """One request and who makes it."""

    request: Request
    session: Session
    fresh: bool  # the session begins with this request
    language: str

    @property
    def back(self) -> str:
        """Return where the visitor came from, a path of ours."""
        given = self.request.query_params.get("back", "/")
        return given if given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable() else "/"


@dataclass(slots=True, kw_only=True)
class Desk:
    """What all addresses share."""

    facts: Facts
    renderer: Renderer
    live: Live
    keeper: Keeper
    remote: bool  # beyond loopback: whoever looks has logged in
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def visit(self, request: Request) -> Visit:
        """Return who asks; somebody new gets a session of their own, which beyond loopback entitles to nothing."""
        session = self.keeper.read(request.cookies.get(COOKIE, ""), self.facts.clock.wall())
        if session is not None and self.remote and not session.until:
            session = None if session.who else session
        asked = request.cookies.get("language", "")
        language = asked if asked in words.LANGUAGES else self.facts.station.language
        return Visit(request, session or self.keeper.begin(), session is None, language)

    def inside(self, visit: Visit) -> bool:
        """Whether this visitor may look."""
        return not self.remote or bool(visit.session.until and visit.session.who in self.facts.people)

    def entitled(self, visit: Visit) -> bool:
        """Whether this visitor sees whole phone numbers: logged in, and a holder of a role that is entitled to them."""
        known = self.facts.people.get(visit.session.who) if self.remote and self.inside(visit) else None
        return known is not None and any(role in self.facts.spec.phones for _, role in known.roles)

    def answer(self, visit: Visit, html: str, status: int = 200) -> Response:
        """Return a page, with the session's cookie if it is new."""
        return self.keep(visit, HTMLResponse(html, status))

    def keep(self, visit: Visit, response: Response) -> Response:
        """Set the session's cookie if it is new."""
        if visit.fresh:
            response.set_cookie(
                COOKIE, self.keeper.sign(visit.session), httponly=True, samesite="strict", secure=self.remote,
                max_age=31_536_000 if not visit.session.until else None,
            )  # fmt: skip
        return response

    def said(self, visit: Visit, key: str, status: int = 400) -> Response:
        """Return a page with one sentence."""
        return self.answer(visit, self.plain(visit, "said", said=words.TEXTS[visit.language][key]), status)

    def plain(self, visit: Visit, name: str, **values: Any) -> str:  # noqa: ANN401 - a template's values
        """Return a page without a stream."""
        token = self.keeper.token(visit.session)
        path = visit.request.url.path
        return self.renderer.plain(
            name, visit.language, csrf=token, back=visit.back, path=path, remote=self.remote, **values
        )


async def form_of(desk: Desk, visit: Visit) -> dict[str, str]:
    """Return the fields of a form that we made for this session. Raises BadRequestError."""
    body = b""
    try:
        async for part in visit.request.stream():
            body += part
            if len(body) > MOST_FORM:
                raise BadRequestError(413)
    except ClientDisconnect as error:
        raise BadRequestError from error
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError as error:
        raise BadRequestError from error
    fields = {key: values[0] for key, values in found.items()}
    if visit.fresh or not desk.keeper.fits(visit.session, fields.get("csrf", "")):
        raise BadRequestError(403)
    return fields


def topic_of(desk: Desk, visit: Visit, view: str, argument: str) -> Topic:
    """Return what a page shows. Raises BadRequestError when there is nothing of the kind."""
    topic = Topic(view, argument, visit.language, desk.entitled(visit) and view in ("turnout", "alarm"))
    if view == "alarm" and not (argument.isdecimal() and argument.isascii() and len(argument) < 16):
        raise BadRequestError(404, "not_found")
    if not desk.renderer.exists(topic):
        raise BadRequestError(404, "not_found")
    return topic


async def view(desk: Desk, visit: Visit) -> Response:
    """Show a view."""
    parameters = visit.request.path_params
    topic = topic_of(desk, visit, parameters.get("view", "overview"), parameters.get("argument", ""))
    who = visit.session.who
    html = desk.renderer.page(
        topic,
        desk.renderer.fragments(topic),
        csrf=desk.keeper.token(visit.session),
        path=visit.request.url.path,
        who=desk.facts.person(who) if who in desk.facts.people else "",
        remote=desk.remote,
        now=desk.facts.clock.mono() // 1_000_000,
    )
    return desk.answer(visit, html)


async def language(desk: Desk, visit: Visit) -> Response:
    """Change the language of this browser."""
    chosen = visit.request.query_params.get("to", "")
    response = RedirectResponse(visit.back, 303)
    if chosen in words.LANGUAGES:
        response.set_cookie("language", chosen, max_age=31_536_000, samesite="lax", httponly=True, secure=desk.remote)
    return desk.keep(visit, response)


async def who(desk: Desk, visit: Visit) -> Response:
    """Show the contacts to choose from; take the choice. On loopback only: elsewhere one is who one logged in as."""
    if desk.remote:
        raise BadRequestError(404, "not_found")
    if visit.request.method == "GET":
        people = sorted(desk.facts.people.values(), key=lambda contact: contact.id)
        return desk.answer(visit, desk.plain(visit, "who", people=people, chosen=visit.session.who))
    fields = await form_of(desk, visit)
    if fields.get("who") not in desk.facts.people:
        raise BadRequestError
    visit.session, visit.fresh = msgspec.structs.replace(visit.session, who=fields["who"]), True
    return desk.keep(visit, RedirectResponse(visit.back, 303))


async def act(desk: Desk, visit: Visit) -> Response:
    """Take an act; the answer is JSON for our script and a page for others."""
    fields = await form_of(desk, visit)
    asks_json = "application/json" in visit.request.headers.get("accept", "")
    if visit.session.who not in desk.facts.people:
        where = f"/who?back={quote(fields.get('back', '/alarms'))}"
        return JSONResponse({"go": where}) if asks_json else RedirectResponse(where, 303)
    wanted = _act_of(desk, visit.session.who, fields)
    refusals, recorded = await _done(desk, wanted)
    if refusals is None:
        said, status = words.TEXTS[visit.language]["no_answer"], 504
    else:
        told = [refusal.zh if visit.language == "zh" else refusal.en for refusal in refusals]
        said = "；".join(told) or words.TEXTS[visit.language]["done" if recorded else "not_recorded"]
        status = 409 if told else 200
    if asks_json:
        return JSONResponse({"said": said, "good": status == 200}, status)
    if status == 200:
        return RedirectResponse(visit.back, 303)
    return desk.answer(visit, desk.plain(visit, "said", said=said), status)


def _act_of(desk: Desk, who: str, fields: dict[str, str]) -> OperatorAct:
    word, _, alarm = fields.get("do", "").partition(":")
    minutes, cell = fields.get("minutes", "0"), fields.get("cell", "")
    numbers = alarm.isdecimal() and len(alarm) < 16 and minutes.isdecimal() and len(minutes) < 7
    if word not in (*_VERBS, *_WALKS) or not numbers:
        raise BadRequestError
    verb, now = Verb(word), desk.facts.clock.mono()
    seconds = 60 * min(int(minutes), LONGEST_WALK if verb is Verb.WALKTEST else LONGEST_SHELF)
    try:
        subjects = desk.facts.subjects(cell) if verb is Verb.WALKTEST else ()
    except LookupError as error:
        raise BadRequestError from error
    return OperatorAct(
        verb=verb,
        alarms=() if verb in _WALKS else (int(alarm),),
        who=who,
        via="page",
        at=now,
        until=now + seconds * SECOND if verb in (Verb.SHELVE, Verb.WALKTEST) and seconds else 0,
        reason=fields.get("reason", "")[:500],
        request=f"page-{next(desk.numbers)}",
        cells=(cell,) if subjects else (),
        subjects=subjects,
        siren=verb is Verb.WALKTEST and fields.get("siren") == "yes",
    )


async def _done(desk: Desk, wanted: OperatorAct) -> tuple[tuple[Refusal, ...] | None, bool]:
    """Put an act on the intake and wait until it is durable; None when nothing came back in time."""
    runner = desk.facts.runner
    answer = runner.ask(wanted.request)
    runner.intake.put(wanted)
    try:
        async with desk.facts.clock.timeout(ANSWER_WITHIN):
            refusals = await answer
    except TimeoutError:
        return None, False
    return refusals, not runner.ledger.volatile
