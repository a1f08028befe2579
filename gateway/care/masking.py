"""Takes people out of texts: names, ids, phone numbers and secrets of a configuration, wherever they turn up.

Pure. Used by `firegrid support-bundle`: what leaves the station to be looked at by strangers names nobody. Structure is
masked by key, then every text by what is known of the people; what is left out cannot be guessed back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gateway.model.contact import Contact

GONE = "***"
_KEYS = re.compile(r".*(pin|password|secret|token|phone|number|username|user|service_centre|contacts?_file|comment)")
_PEOPLE = ("contact", "contacts")
_KEPT = ("cell", "role", "language")  # of a contact
_MOBILE = re.compile(r"(?<!\d)(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)")
_URL = re.compile(r"(\w+://)(?:[^\s/\"'@]*@)?([^\s/\"'@?#]+)[^\s\"']*")
_HOME = re.compile(r"(/(?:home|Users)/)[^/\s\"']+")


class Mask:
    """Knows the people of one station; each is `contact-<n>` in every text."""

    def __init__(self, people: Iterable[Contact]) -> None:
        self._numbers: dict[str, int] = {}
        words: dict[str, str] = {}
        written: set[str] = set()
        for contact in people:
            number = self._numbers.setdefault(contact.id, len(self._numbers) + 1)
            for word in (contact.id, contact.name, contact.phone, contact.phone.removeprefix("+86")):
                if word.strip():
                    words[word.strip().casefold()] = f"contact-{number}"
                    written.add(word.strip())
        ordered = sorted(written, key=lambda word: (-len(word), word))
        self._words = words
        self._known = re.compile("|".join(map(_pattern, ordered)), re.IGNORECASE) if ordered else None

    def text(self, text: str) -> str:
        """Return a text without people, numbers of mobile phones, and what stands in addresses beside the host."""
        text = _URL.sub(rf"\1\2/{GONE}", _HOME.sub(rf"\1{GONE}", text))
        if self._known is not None:
            text = self._known.sub(lambda found: self._words.get(found[0].casefold(), GONE), text)
        return _MOBILE.sub(GONE, text)

    def data(self, data: Any, key: str = "") -> Any:  # noqa: ANN401 - anything JSON can say
        """Return plain data likewise; values under keys of secrets and numbers go whole."""
        if isinstance(data, dict):
            return {self.text(str(name)): self.data(value, str(name)) for name, value in data.items()}
        if isinstance(data, list | tuple):
            return [self._person(one) if key in _PEOPLE else self.data(one, key) for one in data]
        if data and isinstance(data, str | int) and not isinstance(data, bool) and _KEYS.fullmatch(key):
            return GONE
        return self.text(data) if isinstance(data, str) else data

    def _person(self, row: Any) -> Any:  # noqa: ANN401 - as above
        if not isinstance(row, dict):
            return GONE
        number = self._numbers.get(str(row.get("id", "")).strip(), 0)
        return {"id": f"contact-{number}", **{key: self.data(row[key], key) for key in _KEPT if key in row}}


def _pattern(word: str) -> str:
    """Return what finds a word: Latin letters and digits as a whole word, so that an id `in` spares every `in…`."""
    pattern = r"[ -]?".join(word.replace(" ", "").replace("-", "")) if re.fullmatch(r"\+?[\d -]+", word) else None
    pattern = pattern or re.escape(word)
    return rf"(?<![0-9A-Za-z_]){pattern}(?![0-9A-Za-z_])" if word.isascii() else pattern
