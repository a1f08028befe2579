"""Live traffic for `firegrid listen`: which reader hears which peer or topic, and what the bytes could be meanwhile.

Pure; bytes and messages in, printable objects out, with counters. Keeps house rule 2 (what waits is in
`gateway.cli.listen`) and section 12 (nothing is guessed silently: without a protocol bytes are shown as they are, and
at the end it is said what they could be).
"""

from __future__ import annotations

from collections import Counter
from itertools import islice

from drivers._decode import Reader, reader_of, speaks
from drivers._decode_broker import Broker
from drivers._decode_fits import fits
from drivers._decode_said import Said, error
from gateway import registry
from gateway.errors import ConfigError
from gateway.model.point import Profile
from gateway.registry import Group

_KEPT = 2048  # bytes of a peer by which it is guessed what it speaks
_PEERS = 2000
_GUESSED = 20  # peers: a guess takes a tenth of a second


class Ears:
    """Everything that is heard on one wire or broker.

    Raises:
        ConfigError: protocol and profile do not fit each other, or the protocol needs a profile.
    """

    def __init__(self, protocol: str = "", profile: Profile | None = None, *, datagrams: bool = False) -> None:
        if profile is not None and protocol and not speaks(profile, protocol):
            raise ConfigError(f"profile {profile.id} speaks {profile.driver}, not {protocol}")
        self.counts: Counter[str] = Counter()
        self._protocol = protocol
        self._profile = profile
        self._datagrams = datagrams
        self._readers: dict[str, Reader] = {}
        self._kept: dict[str, bytes] = {}
        self._brokers: dict[str, Broker] = {}
        self._speaks: dict[str, str] = {}  # topic → dialect
        self._dialect = protocol or (profile.driver if profile is not None else "")
        self.streams = self._dialect not in registry.names(Group.DIALECT)  # bytes, not messages of a broker
        if self._dialect and self.streams:
            reader_of(protocol, profile, datagrams=datagrams)

    def hear(self, peer: str, data: bytes) -> list[Said]:
        """Return what bytes of a peer complete."""
        self.counts["bytes"] += len(data)
        if not self._dialect:
            if peer in self._kept or len(self._kept) < _PEERS:
                self._kept[peer] = (self._kept.get(peer, b"") + data)[:_KEPT]
            return []
        reader = self._readers.get(peer)
        if reader is None:
            if len(self._readers) >= _PEERS:
                self._readers.pop(next(iter(self._readers)))
            reader = self._readers[peer] = reader_of(self._protocol, self._profile, datagrams=self._datagrams)
        said = reader.hear(data)
        return self._counted([*said, *reader.flush()] if self._datagrams else said)

    def quiet(self, peer: str) -> list[Said]:
        """Give up half a frame of a peer that has said nothing for a while, or has gone."""
        reader = self._readers.get(peer)
        return [] if reader is None else self._counted(reader.flush())

    def message(self, topic: str, payload: bytes, *, retained: bool) -> list[Said]:
        """Return what a message of a broker says, by the dialect told or the likeliest one."""
        self.counts["messages"] += 1
        dialect = self._guessed(topic, payload) if self.streams else self._dialect
        if not dialect:
            return []
        broker = self._brokers.get(dialect)
        if broker is None:
            broker = self._brokers[dialect] = Broker(dialect, self._profile)
        try:
            said = broker.hear(topic, payload, retained=retained)
        except ConfigError as why:
            said = [error(str(why))]
        return self._counted(said if not self.streams else [{**line, "dialect": dialect} for line in said])

    def could_be(self) -> dict[str, list[Said]]:
        """Return what the bytes of each peer could be, where no protocol was told."""
        return {peer: [fit.said() for fit in fits(data)] for peer, data in islice(self._kept.items(), _GUESSED)}

    def _guessed(self, topic: str, payload: bytes) -> str:
        known = self._speaks.get(topic)
        if known is None:
            found = [fit.protocol for fit in fits(payload, topic=topic) if fit.protocol != "homeassistant"]
            known = found[0] if found else ""
            if len(self._speaks) < _PEERS:
                self._speaks[topic] = known
        return known

    def _counted(self, said: list[Said]) -> list[Said]:
        for line in said:
            self.counts[str(line["kind"])] += 1
            if line["kind"] == "error":
                self.counts[f"error {line['reason']}"] += 1
        return said
