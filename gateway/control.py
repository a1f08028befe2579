"""What a person at the box may ask of the running daemon, over the local control socket.

Acts become `OperatorAct`s on the intake like any other input and are answered when they are durable; questions are
answered from the state in RAM, so that they work while the disk does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.alarms.refusal import place_of
from gateway.clock import SECOND, Clock
from gateway.model.alarm import Alarm, AlarmState, OperatorAct, Suppression, Verb
from gateway.model.verdict import NEVER
from gateway.model.walktest import Subject
from gateway.model.words import nearest
from gateway.pipeline.run import Runner
from gateway.pipeline.supervisor import Health

ANSWER_WITHIN = 10.0  # s


class Control:
    """Answers requests.

    `people`: contacts of the station, id → name; `subjects`: devices of cells, for walk tests; `parts`: what parts
    beside the flow answer themselves, by request.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        *,
        links: Callable[[], list[Health]],
        people: Mapping[str, str],
        subjects: Callable[[Collection[str]], tuple[Subject, ...]] = lambda _: (),
        parts: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = MappingProxyType({}),
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._links = links
        self._people = people
        self._subjects = subjects
        self._requests = itertools.count(1)
        self.parts = parts

    async def answer(self, request: dict[str, Any], user: str) -> dict[str, Any]:
        """Answer one request: `{"do": "act" | "alarms" | "status" | "walktest", …}`."""
        match request.get("do"):
            case "act":
                return await self._act(request, user)
            case "alarms":
                return {"alarms": [msgspec.to_builtins(alarm) for alarm in self._runner.state.book.open_alarms()]}
            case "status":
                return self._status()
            case "walktest":
                return self._walktest()
            case str(other) if other in self.parts:
                return self.parts[other](request)
            case other:
                return {"error": f"unknown request {other!r}: act, alarms, status or walktest"}

    async def _act(self, request: dict[str, Any], user: str) -> dict[str, Any]:
        who, peer = _text(request.get("who") or user), _text(user)
        if request.get("who") and who not in self._people:
            return {"error": self._nobody(who)}
        try:
            act = self._read(request, who, peer)
        except (LookupError, ArithmeticError, ValueError, TypeError, msgspec.ValidationError) as error:
            return {"error": f"the act was not understood: {error}"}
        before = {alarm.id: alarm for alarm in self._runner.state.book.open_alarms()}
        answer = self._runner.ask(act.request)
        self._runner.intake.put(act)
        try:
            async with self._clock.timeout(ANSWER_WITHIN):
                refusals = await answer
        except TimeoutError:
            return {"error": "no answer from the step in time"}
        refused = {refusal.alarm for refusal in refusals}
        return {
            "done": [] if act.subjects or act.verb is Verb.END_WALKTEST else list(self._done(act, before, refused)),
            "refusals": msgspec.to_builtins(refusals),
            "recorded": not self._runner.ledger.volatile,
        }

    def _nobody(self, who: str) -> str:
        """Say that a name is nobody's, with the contact whose id or name is most like it."""
        ids = {name: contact for contact, name in self._people.items()} | {contact: contact for contact in self._people}
        meant = ids.get(nearest(who, ids))
        hint = f"; did you mean {meant!r} ({self._people[meant]})?" if meant else ""
        return f"nobody is called {who!r}: `--as` takes the id of a contact{hint}"

    def _done(
        self, act: OperatorAct, before: Mapping[int, Alarm], refused: Collection[int]
    ) -> Iterator[dict[str, Any]]:
        """Yield how each alarm stands that the act reached: what is so now, also when somebody else acted since."""
        state = self._runner.state
        now = {alarm.id: alarm for alarm in state.book.open_alarms()}
        answered = (alarm.id for alarm in before.values() if alarm.state.unacknowledged)
        for number in dict.fromkeys(act.alarms or (*answered, *now)):
            alarm = now.get(number)
            if number in refused or not (alarm or number in before):
                continue
            if not act.alarms and alarm is not None and alarm.acknowledged_at != act.at:
                continue
            seen = alarm or replace(before[number], state=AlarmState.NORMAL, suppression=Suppression.NONE)
            end = seen.shelved_until if seen.suppression is Suppression.SHELVED else 0
            yield {
                "alarm": number,
                "place": place_of(seen),
                "code": seen.code,
                "verb": act.verb.value,
                "state": seen.state.value,
                "suppression": seen.suppression.value,
                "until": end + state.axis.offset if end and state.axis.trusted else 0,
                "who": act.who,
                "name": self._people.get(act.who) or act.who,
                "told": state.escalation.notices.informed(number, act.at),
            }

    def _read(self, request: dict[str, Any], who: str, peer: str) -> OperatorAct:
        now = self._clock.mono()
        seconds = float(request.get("seconds", 0))
        until = now + round(seconds * SECOND) if seconds else 0
        if not 0 <= until < NEVER:
            raise ValueError(f"no such time: {seconds} s from now")
        alarms = tuple(int(alarm) for alarm in request["alarms"])
        if not all(0 <= alarm <= NEVER for alarm in alarms):
            raise ValueError("an id of an alarm is a number of at most 63 bits")
        verb, cells = Verb(request["verb"]), tuple(_text(cell) for cell in request.get("cells", ()))
        return OperatorAct(
            verb=verb,
            alarms=alarms,
            who=who,
            via="cli",
            at=now,
            until=until,
            reason=_text(request.get("reason", "")),
            request=f"cli-{next(self._requests)}",
            cells=cells,
            subjects=self._subjects(cells) if verb is Verb.WALKTEST else (),
            siren=bool(request.get("siren", False)),
            peer=peer,
        )

    def _walktest(self) -> dict[str, Any]:
        """Return the walk test that runs or the last one, and its alarms; times are ns, `now` among them."""
        state = self._runner.state
        test = state.book.walktests.latest
        if test is not None:  # numbers of points are the house's own
            test = replace(test, subjects=tuple(replace(one, points=()) for one in test.subjects))
        return {
            "walktest": msgspec.to_builtins(test),
            "alarms": [msgspec.to_builtins(alarm) for alarm in state.book.open_alarms() if alarm.test],
            "now": self._clock.mono(),
            "wall_offset": state.axis.offset if state.axis.trusted else None,
        }

    def _status(self) -> dict[str, Any]:
        runner = self._runner
        return {
            "turns": runner.turns,
            "waiting": runner.intake.waiting,
            "volatile": runner.ledger.volatile,
            "unrecorded": runner.ledger.unrecorded,
            "dropped": runner.ledger.dropped,
            "wal_bytes": runner.ledger.upkeep.wal_bytes,
            "refused": runner.refused,
            "overflowed": runner.dropped,
            "trusted_time": runner.state.axis.trusted,
            "links": [
                {
                    "name": link.name,
                    "up": link.up,
                    "reason": link.reason,
                    "counters": link.counters,
                    "findings": link.findings,
                }
                for link in self._links()
            ],
        }


def _text(given: object) -> str:
    """Return it as text that can be recorded: what a terminal in another encoding typed comes as lone surrogates."""
    return str(given).encode(errors="replace").decode()
