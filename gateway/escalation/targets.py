"""The grid tree and who is meant: cells and their ancestors, holders of a role, phone numbers in one form.

Flow: plan asks who a target of a policy step is; replies ask whose number it is. Pure, built once per configuration.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from gateway.model.contact import Contact
from gateway.model.station import Station

LEVELS = {"cell": 0, "parent": 1, "community": 2, "street": 3, "district": 4}
"""How many levels above the alarm's cell a word means (mission S1); beyond the top it is the top."""

EVERYONE = "everyone"


def dialable(phone: str) -> str:
    """Return a number as a modem dials it: digits folded to ASCII, a leading + kept, separators gone."""
    folded = unicodedata.normalize("NFKC", phone)
    plus = "+" if folded.strip().startswith("+") else ""
    return plus + re.sub(r"\D", "", folded)


def normal_phone(phone: str) -> str:
    """Return the form in which numbers are compared: ASCII digits without +86, 0086, 86, spaces and dashes."""
    digits = dialable(phone).lstrip("+")
    digits = digits.removeprefix("00") if digits.startswith("0086") else digits
    # 86 alone is the country only before a whole mobile (11) or an area number without its 0 (10): "8612345" is local.
    return digits[2:] if digits.startswith("86") and len(digits) >= 12 else digits


class Grid:
    """Cells and contacts of a station."""

    def __init__(self, station: Station) -> None:
        self._cells = {cell.id: cell for cell in station.cells}
        self._tops = tuple(cell.id for cell in station.cells if not cell.parent)
        self.contacts = {contact.id: contact for contact in station.contacts}
        self._holders: dict[tuple[str, str], list[Contact]] = {}
        self._phones: dict[str, list[Contact]] = {}
        for contact in station.contacts:
            for cell, role in contact.roles:
                self._holders.setdefault((cell, role), []).append(contact)
            if contact.phone:
                self._phones.setdefault(normal_phone(contact.phone), []).append(contact)
        self.resolve = lru_cache(maxsize=4096)(self._resolve)

    def ancestors(self, cell: str) -> tuple[str, ...]:
        """Return the cell and everything above it, nearest first; a place without a cell belongs to the tops."""
        if not cell:
            return self._tops
        chain = [cell]
        while (known := self._cells.get(chain[-1])) is not None and known.parent and known.parent not in chain:
            chain.append(known.parent)
        return tuple(chain)

    def name(self, cell: str) -> str:
        """Return a cell's name for people."""
        known = self._cells.get(cell)
        return known.name if known is not None and known.name else cell

    def by_phone(self, number: str) -> list[Contact]:
        """Return whose number this is; relatives may share one."""
        normal = normal_phone(number)
        return self._phones.get(normal, []) if normal else []

    def _resolve(self, target: str, cell: str) -> tuple[Contact, ...]:
        """Return the contacts a target means for an alarm in `cell`; nobody for words that mean nothing."""
        kind, _, rest = target.partition(":")
        if kind == EVERYONE:
            return tuple(contact for contact in self.contacts.values() if contact.phone)
        if kind == "contact":
            return (self.contacts[rest],) if rest in self.contacts else ()
        role, _, where = rest.partition("@")
        return self._role(role, where or "cell", cell) if kind == "role" else ()

    def _role(self, role: str, where: str, cell: str) -> tuple[Contact, ...]:
        """Return the holders at that ancestor, or at the nearest one above that has any."""
        line = self.ancestors(cell)
        climb = line[min(LEVELS[where], len(line) - 1) :] if where in LEVELS and line else self.ancestors(where)
        for place in climb:
            if holders := self._holders.get((place, role)):
                return tuple(holders)
        return ()
