"""Who is told when: the policy of an alarm and the methods of a step, resolved on the configuration in force.

Flow: chains ask here whenever a step is due, so that a changed configuration counts from the next step on. A class or
cell without policy falls to the parent's, then to everybody who has a phone (house section 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from gateway.escalation.rows import seconds
from gateway.escalation.targets import EVERYONE, Grid, dialable
from gateway.model.alarm import Alarm, AlarmFacts, AlarmState, Suppression
from gateway.model.contact import ChannelKind, Policy, Step
from gateway.model.station import Station

REPEAT_LIFE_SAFETY: Final = 120.0  # s
REPEAT_OTHERS: Final = 86_400.0  # s; once a day: rare enough to be read, and each shift is told of what is still broken

PLACE_KINDS: Final = frozenset({"console", "webhook", "relay", "siren"})
SOUNDER_KINDS: Final = frozenset({"relay", "siren"})


class Method(NamedTuple):
    """One way to tell: a person by a channel, or a place (contact and address empty)."""

    contact: str
    channel: str
    address: str
    language: str


def calls_people(alarm: Alarm) -> bool:
    """Say whether an alarm must be escalated as it stands.

    Fire, gas and flood until a person answers, whatever became of the condition; the others only while it is true.
    """
    if alarm.suppression is not Suppression.NONE or not alarm.state.unacknowledged:
        return False
    return alarm.alarm_class.life_safety or alarm.state is AlarmState.UNACK


class Planner:
    """Policies, targets and channels of one configuration. `kinds` overrides how a kind of channel is addressed."""

    def __init__(self, station: Station, kinds: Mapping[str, ChannelKind] | None = None) -> None:
        places = dict.fromkeys(PLACE_KINDS, ChannelKind.PLACE) | dict(kinds or {})
        self.grid = Grid(station)
        self._language = station.language
        self._policies = {policy.id: policy for policy in station.policies if policy.steps}
        self._choices = {(choice.alarm_class, choice.cell): choice.policy for choice in station.choices}
        self.channels = tuple(channel.id for channel in station.channels)
        self.places = frozenset(c.id for c in station.channels if places.get(c.kind) is ChannelKind.PLACE)
        self.sounders = tuple(c.id for c in station.channels if c.kind in SOUNDER_KINDS)
        quiet = tuple(channel for channel in self.channels if channel not in self.sounders)
        self._everybody = Policy(id="", steps=(Step(after=0.0, notify=(EVERYONE,), by=self.channels),))
        self._everybody_quietly = Policy(id="", steps=(Step(after=0.0, notify=(EVERYONE,), by=quiet),))

    def policy(self, alarm: Alarm | AlarmFacts) -> Policy:
        """Return the alarm's own policy, else its class's at the nearest cell, else everybody by everything.

        Sounders take part in that last resort only for fire, gas and flood. A policy that means persons and finds
        none at this cell, in any of its steps, tells everybody who has a phone.
        """
        chosen = self._chosen(alarm)
        asking = [step for step in chosen.steps if self.asks_persons(step)]
        if not asking or any(self.methods(step, alarm.cell) for step in asking):
            return chosen
        return replace(chosen, steps=tuple(replace(step, notify=(EVERYONE,)) for step in chosen.steps))

    def _chosen(self, alarm: Alarm | AlarmFacts) -> Policy:
        if alarm.policy in self._policies:
            return self._policies[alarm.policy]
        for cell in (*self.grid.ancestors(alarm.cell), ""):
            chosen = self._choices.get((alarm.alarm_class, cell))
            if chosen in self._policies:
                return self._policies[chosen]
        return self._everybody if alarm.alarm_class.life_safety else self._everybody_quietly

    def repeat(self, alarm: Alarm | AlarmFacts) -> int:
        """Return after how many ns the policy starts over; there is always a next time."""
        configured = self.policy(alarm).repeat
        return seconds(configured or (REPEAT_LIFE_SAFETY if alarm.alarm_class.life_safety else REPEAT_OTHERS))

    def timeline(self, place: AlarmFacts) -> list[tuple[float, list[Method]]]:
        """Return who would be told when (s after the alarm) of an alarm at a place, for `check`."""
        steps = self.policy(place).steps
        return [(step.after, [*self.methods(step, place.cell), *self.places_of(step)]) for step in steps]

    def methods(self, step: Step, cell: str) -> list[Method]:
        """Return every contact of the step by every person channel of `by`, in order, each once."""
        found: dict[tuple[str, str], Method] = {}
        persons = [channel for channel in step.by if channel in self.channels and channel not in self.places]
        for target in step.notify:
            for contact in self.grid.resolve(target, cell):
                if not contact.phone:
                    continue
                for channel in persons:
                    method = Method(contact.id, channel, dialable(contact.phone), contact.language)
                    found.setdefault((contact.id, channel), method)
        return list(found.values())

    def places_of(self, step: Step) -> list[Method]:
        """Return the place channels of a step, each once, sounders among them."""
        return [Method("", channel, "", self._language) for channel in dict.fromkeys(step.by) if channel in self.places]

    def asks_persons(self, step: Step) -> bool:
        """Say whether the step has a person channel at all."""
        return any(channel in self.channels and channel not in self.places for channel in step.by)

    def place(self, channel: str) -> Method:
        """Return a place channel as a method."""
        return Method("", channel, "", self._language)

    def language_of(self, contact: str) -> str:
        """Return the language a contact reads."""
        known = self.grid.contacts.get(contact)
        return known.language if known is not None else self._language

    def name_of(self, who: str, language: str) -> str:
        """Return a person's name for people; a user of the box who is no contact is called one."""
        known = self.grid.contacts.get(who)
        if known is not None or not who:
            return known.name if known is not None and known.name else who
        return f"站内用户 {who}" if language == "zh" else f"station user {who}"
