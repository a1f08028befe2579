"""What came out of reading a configuration: the good part of a station, its problems, and where each key stands.

The end of `load`; `gateway.app` and the commands read it. Keeps house section 11 (every message names file and line).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.config.problems import Kind, Place, Problem
from gateway.model.station import Station, StoreSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a configuration says.

    Attributes:
        station: the good part; None when it has no usable source or reaches nobody.
        judged: what rules and drivers look for further problems in: the good part, usable or not, devices of a source
            that is not, and `half`; None when the file cannot be read.
        half: ids of rules in `judged` that have a mistake already.
        lost: ids of devices that are written down and cannot be used; empty text for one without a name.
        store: where the store is, also when the rest is of no use; None when the file cannot be read.
        problems: everything that is wrong, notes among it.
        positions: key (`device[kitchen-gas].poll`, `rule[gas-leak].when`, `contact[li]`) → where it stands.
        digest: hex SHA-256 over all files and the profiles used.
        files: every file that was read.
    """

    station: Station | None
    judged: Station | None
    half: frozenset[str]
    lost: frozenset[str]
    store: StoreSpec | None
    problems: tuple[Problem, ...]
    positions: dict[str, Place]
    digest: str
    files: tuple[Path, ...]

    @property
    def good(self) -> bool:
        """Whether there is nothing but notes."""
        return self.station is not None and all(problem.note for problem in self.problems)

    @property
    def language(self) -> str:
        """The station's language, also of one that cannot start."""
        return self.judged.language if self.judged is not None else "en"

    def told(self, key: str) -> bool:
        """Whether a problem stands at a key already."""
        return any(problem.key == key and not problem.note for problem in self.problems)

    def report(self, key: str, reason: str, fix: str) -> Problem:
        """Return a problem found by another part, placed at a key or the nearest one above it."""
        above = key
        while above and above not in self.positions:
            above = above[: max(above.rfind("."), above.rfind("["), 0)]
        place = self.positions.get(above, Place(str(self.files[0]) if self.files else ""))
        facts = {"reason": reason, "fix": fix}
        return Problem(file=place.file, line=place.line, key=key, kind=Kind.REPORTED, facts=facts)
