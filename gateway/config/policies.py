"""Policies: who is told, how, when; and that every step of them reaches somebody.

Read last, when channels and people are known. A step loses what is wrong with it and keeps the rest, a policy loses
the steps that reach nobody: an alarm is rather told by half a policy than by none (house section 7). Who exactly is
told at each cell, also tonight at 03:00, is the business of `gateway.escalation` and shown by `check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.config.people import Book
from gateway.config.problems import Kind
from gateway.config.sections import CLASSES, Names
from gateway.config.sheet import Findings, Sheet
from gateway.config.text import Path
from gateway.model.contact import ChannelKind, Contact, Policy, PolicyChoice, Step
from gateway.model.point import AlarmClass

LEVELS = ("cell", "parent", "community", "street", "district")  # as `gateway.escalation.targets` climbs
EVERYONE = "everyone"
_ROLE = re.compile(r"role:([^@\s]+)(?:@(\S+))?")
_CONTACT = re.compile(r"contact:(\S+)")
_EXAMPLE = '["role:squad@cell"]'


def read_policy(sheet: Sheet, names: Names, book: Book) -> Policy | None:
    """Read a `[[policy]]`."""
    policy_id = sheet.name()
    repeat = sheet.duration("repeat", 0.0, example='"120s"')
    if "repeat" in sheet.table and not repeat and not sheet.broken:
        sheet.remark(Kind.NO_REPEAT, "repeat")
    rows = sheet.sheets("steps", example='[ { after = "0s", notify = ["role:squad@cell"], by = ["sms"] } ]')
    steps: list[Step] = []
    for row in rows:
        step = _step(row, names, book, policy_id)
        if step and steps and step.after < steps[-1].after:
            row.remark(Kind.STEP_ORDER, "after")
        if step:
            steps.append(step)
    sheet.finish()
    if not rows and "steps" not in sheet.table:
        sheet.report(
            Kind.MISSING_KEY, "steps", example=f'steps = [ {{ after = "0s", notify = {_EXAMPLE}, by = ["sms"] }} ]'
        )
    elif not rows and not sheet.broken:
        sheet.report(Kind.EMPTY, "steps", example=f'steps = [ {{ after = "0s", notify = {_EXAMPLE}, by = ["sms"] }} ]')
    if sheet.broken or not steps:
        return None
    return Policy(id=policy_id, steps=tuple(sorted(steps, key=lambda step: step.after)), repeat=repeat)


def _step(sheet: Sheet, names: Names, book: Book, policy: str) -> Step | None:
    """Read a step; None when it reaches nobody."""
    if "after" not in sheet.table:
        sheet.report(Kind.MISSING_KEY, "after", example='after = "60s"')
    after = sheet.duration("after", 0.0, example='"60s"')
    by = [
        given
        for index, given in sheet.texts("by", example='["sms"]', required=True)
        if _known(sheet, "by", index, given, names)
    ]
    usable = [channel for channel in by if channel in names.addressed]
    place = any(names.addressed[channel] is ChannelKind.PLACE for channel in usable)
    person = any(names.addressed[channel] is ChannelKind.PERSON for channel in usable)
    notify = []
    called: list[Contact] = []
    told = False  # why somebody is not reached
    for index, given in sheet.texts("notify", example=_EXAMPLE, required=not place):
        found = _target(sheet, index, given, names, book)
        told = told or found is None
        if found is not None:
            notify.append(given)
            called.extend(found)
            if person and given != EVERYONE:
                _want_phones(found, book, policy)
    told = told or any(contact.id in book.without_phone for contact in called)
    sheet.finish()
    if place or (person and any(contact.phone for contact in called)):
        return Step(after=after, notify=tuple(notify), by=tuple(usable))
    if len(usable) == len(by) and notify and usable and not told:
        sheet.report(Kind.NOBODY, "notify")
    return None


def _known(sheet: Sheet, key: str, index: int, given: str, names: Names) -> bool:
    if given in names.declared["channel"]:
        return True
    sheet.findings.unknown((*sheet.path, key, index), "channel", given, names.declared["channel"])
    return False


def _target(sheet: Sheet, index: int, given: str, names: Names, book: Book) -> list[Contact] | None:
    """Return whom a target means anywhere in the grid; None when it means nothing."""
    contacts = book.contacts
    path = (*sheet.path, "notify", index)
    if given == EVERYONE:
        return list(contacts.values())
    if named := _CONTACT.fullmatch(given):
        if named[1] in contacts:
            return [contacts[named[1]]]
        if book.whole:
            sheet.findings.unknown(path, "contact", named[1], contacts)
        return None
    if role := _ROLE.fullmatch(given):
        return _holders(sheet.findings, path, (role[1], role[2] or "cell"), names, book)
    sheet.findings.report(Kind.BAD_TARGET, path, given=given)
    return None


def _holders(findings: Findings, path: Path, target: tuple[str, str], names: Names, book: Book) -> list[Contact] | None:
    role, level = target
    if level not in LEVELS and not names.grid.has(level):
        findings.unknown(path, "level or cell", level, [*LEVELS, *names.grid.cells])
        return None
    contacts = book.contacts.values()
    holders = [contact for contact in contacts if any(held == role for _, held in contact.roles)]
    if not holders:
        if book.whole:
            findings.unknown(path, "role", role, {held for contact in contacts for _, held in contact.roles})
        return None
    return holders


def _want_phones(called: Iterable[Contact], book: Book, policy: str) -> None:
    for contact in called:
        if not contact.phone and contact.id not in book.without_phone:
            book.without_phone.add(contact.id)
            findings, path = book.where[contact.id]
            findings.report(Kind.NO_PHONE, path, policy=policy)


def read_choice(sheet: Sheet, names: Names) -> PolicyChoice | None:
    """Read a `[[default_policy]]`."""
    alarm_class = sheet.word("class", CLASSES, None, required=True)
    policy = sheet.text("policy", example='"turn-out"', required=True)
    cell = names.cell(sheet)
    if policy:
        names.known(sheet, "policy", "policy", policy)
    sheet.finish()
    if sheet.broken or alarm_class is None:
        return None
    return PolicyChoice(alarm_class=alarm_class, policy=policy, cell=cell)


def note_open_classes(findings: Findings, choices: Iterable[PolicyChoice]) -> None:
    """Note the classes that have no policy of their own at the top of the grid."""
    covered = {choice.alarm_class for choice in choices if not choice.cell}
    left = [alarm_class.word for alarm_class in AlarmClass if alarm_class not in covered]
    if len(left) == len(AlarmClass):
        findings.report(Kind.NO_DEFAULT, ("default_policy",))
    elif left:
        findings.report(Kind.CLASS_OPEN, ("default_policy",), given=", ".join(left))
