"""Messages of devices behind a broker that no configuration has → what the station would store of them, printable.

Pure; for `firegrid decode`, `listen` and `discover`. The dialect itself is made for each device that a topic or payload
tells of, and fed: a new dialect or profile needs no edit here (house rule 8). Keeps house section 12.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from drivers._decode_device import installed, shipped
from drivers._decode_said import Names, Said, told
from drivers._decode_topics import Place, placed
from gateway import registry
from gateway.errors import ConfigError
from gateway.model.point import Profile
from gateway.model.ports import Decoded, Dialect, DialectSetup
from gateway.model.quality import Level, level_of

_MESSAGES = 256  # remembered, for what a new device's messages stand on (births)
_TRIES = 50  # messages of a device by which its profile is looked for
_DEVICES = 1000  # on one broker


class Broker:
    """The messages of one dialect, each device of them read by a profile: the given one, else the nearest.

    Raises:
        ConfigError: no such dialect.
    """

    def __init__(self, dialect: str, profile: Profile | None = None) -> None:
        self._dialect = dialect
        self._profile = profile
        self._devices: dict[str, _Thing] = {}
        self._before: deque[tuple[str, bytes, bool]] = deque(maxlen=_MESSAGES)
        schema = registry.dialect(dialect).OPTIONS
        self._keys = frozenset(field.name for field in msgspec.structs.fields(schema))

    def hear(self, topic: str, payload: bytes, *, retained: bool = False) -> list[Said]:
        """Return what a message says; nothing when it is not of this dialect."""
        places = placed(self._dialect, topic, payload)
        if not places and topic and self._profile is not None and "topic" in self._keys:
            places = [Place(options={"topic": topic}, topic=topic, why="as told", sure=False)]
        said: list[Said] = []
        for place in places:
            self._meet(place, payload)
        at = places[0].topic if places else topic
        for thing in list(self._devices.values()):
            said += thing.hear(at, payload, retained=retained)
        if places:
            self._before.append((at, payload, retained))
        return said

    @property
    def profiles(self) -> dict[str, str]:
        """Place of each device → the profile by which it is read; "" none fits."""
        return {key: thing.profile.id if thing.profile else "" for key, thing in self._devices.items()}

    def _meet(self, place: Place, payload: bytes) -> None:
        thing = self._devices.get(place.key)
        if thing is None and len(self._devices) < _DEVICES:
            thing = self._devices[place.key] = _Thing(self._dialect, place, self._profile, list(self._before))
        if thing is not None:
            thing.fit(payload)


class _Thing:
    """One device behind a broker. Its profile is looked for until one of its messages has been read with one."""

    def __init__(
        self, dialect: str, place: Place, profile: Profile | None, before: list[tuple[str, bytes, bool]]
    ) -> None:
        self.profile = profile
        self._dialect = dialect
        self._place = place
        self._before = before
        self._tries = _TRIES
        self._reader: Dialect | None = None
        self._names: Names = {}
        if profile is not None:
            self._reader, self._names = self._make(profile)

    def fit(self, payload: bytes) -> None:
        """Take the profile by which most of a message is read, unless an earlier message has told."""
        if self.profile is None and self._tries:
            self._tries -= 1
            self.profile = next(iter(read_by(self._dialect, self._place, payload)), None)
            if self.profile is not None:
                self._reader, self._names = self._make(self.profile)

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> list[Said]:
        """Return what a message says of this device."""
        if self._reader is None:
            return []
        into = Decoded()
        self._reader.decode(topic, payload, retained=retained, into=into)
        said = told(into, self._names)
        name = self._place.name
        return [{**line, "address": name} for line in said] if name and self._place.sure else said

    def _make(self, profile: Profile) -> tuple[Dialect, Names]:
        reader, names = _reader(self._dialect, self._place, profile)
        for topic, payload, retained in self._before:
            reader.decode(topic, payload, retained=retained, into=Decoded())
        return reader, names


def read_by(dialect: str, place: Place, payload: bytes) -> list[Profile]:
    """Return the profiles by which a message can be read, that which reads most of it first."""
    ranked = []
    for profile, into in _readings(dialect, place, payload):
        good = sum(level_of(quality) is not Level.BAD for *_, quality in into.rows)
        if good:
            ranked.append((-good, len(profile.points), profile.id, profile))
    return [profile for *_, profile in sorted(ranked, key=lambda one: one[:3])]


def understood(dialect: str, place: Place, payload: bytes) -> bool:
    """Whether a device of the dialect takes the message without complaint, though it may say nothing of its points."""
    _, into = next(_readings(dialect, place, payload), (None, None))
    return into is not None and not into.problems


def _readings(dialect: str, place: Place, payload: bytes) -> Iterator[tuple[Profile, Decoded]]:
    """Yield each profile that fits the dialect with what a device of it would read of the message."""
    for profile in candidates(dialect):
        try:
            reader, _ = _reader(dialect, place, profile)
        except ConfigError:
            continue
        into = Decoded()
        reader.decode(place.topic, payload, retained=False, into=into)
        yield profile, into


def _reader(dialect: str, place: Place, profile: Profile) -> tuple[Dialect, Names]:
    device, ids, names = installed(profile, place.options)
    made: Dialect = registry.dialect(dialect).create(DialectSetup(devices=[device], point_ids=ids, source_events=0))
    return made, names


def candidates(driver: str) -> list[Profile]:
    """Return the shipped profiles of a driver or dialect that have points."""
    return [profile for profile in shipped() if profile.driver == driver and profile.points]
