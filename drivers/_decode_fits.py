"""Which protocols, dialects and profiles some bytes could be, the likeliest first, and why.

Pure; for `firegrid decode` without `--as`. Everything is tried as it would be decoded: a protocol fits when frames of
it stand in the bytes, a dialect when it knows the topic or the fields, a profile when it reads something. Keeps house
section 12: nothing is guessed silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drivers import _decode_frames
from drivers._decode_broker import read_by
from drivers._decode_device import Polled, Stream, shipped
from drivers._decode_frames import MODBUS
from drivers._decode_said import Said
from drivers._decode_topics import recognise
from drivers.dialects import homeassistant
from gateway import registry
from gateway.errors import ConfigError
from gateway.model.point import Profile
from gateway.protocols.modbus import READS
from gateway.protocols.modbus_line import crc16

SHOWN = 5  # profiles
_MOST = 0.75  # of the bytes must lie in frames

# How much a whole frame proves, and what by. What is not listed has a check of its own that proves a little.
_PROOF: dict[str, tuple[float, str]] = {
    "hj212": (5, "## and &&, length and check"),
    "gb26875": (5, "@@ and ##, length and sum"),
    "sl651": (5, "start marks, length and CRC-16"),
    "modbus_rtu": (4, "CRC-16"),
    "modbus_ascii": (4, "colon and LRC"),
    "megatec": (4, "eight fields behind ("),
    "modbus_tcp": (3, "header and length"),
    "winsen": (3, "FF and sum over 9 bytes"),
    "at-pdu": (2, "fields and length"),
    "gst9000_printer": (2, "ESC 6, date and words; no check in it"),
    "dyp": (1, "FF and sum over 4 bytes"),
    "ld128e": (0.4, "an event of its table; no check in it: any three such bytes look alike"),
}
_NEARLY: dict[str, tuple[str, ...]] = {
    "hj212": ("crc", "length", "no_cp", "no_cn"),
    "gb26875": ("bad_checksum", "bad_end", "too_long", "unfinished"),
    "sl651": ("crc", "end_mark", "start_mark", "cut_short"),
    "winsen": ("checksum",),
}
_LOOKED_AT = 4 * 1024  # bytes: what they are shows at the beginning
_SHORTEST = 5  # bytes of which anything can be said
_FRAMES = (2.0, "start and check")
_LIKE, _SURE, _ANNOUNCED = 2.0, 4.0, 5.0
_ANYTHING = 0.5  # JSON: whatever else is JSON is it too


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A protocol that the bytes could be. `profiles`: what reads them, the fittest first."""

    protocol: str
    score: float
    why: str
    profiles: tuple[str, ...] = ()

    def said(self) -> Said:
        """Return it as a line."""
        said: Said = {"kind": "message", "protocol": self.protocol, "what": "fits", "why": self.why}
        return {**said, "profiles": list(self.profiles)} if self.profiles else said


def fits(data: bytes, *, topic: str = "") -> list[Fit]:
    """Return everything that the bytes, or the message of this topic, could be; the likeliest first."""
    found = list(_dialects(data, topic))
    if not topic:
        found += _frames(data)
    return sorted(found, key=lambda one: (-one.score, one.protocol))


def nearly(data: bytes) -> list[str]:
    """Return what the bytes would be but for one thing, and that thing: a checksum, a length, an end cut off."""
    whole = streamed(data, lines=True)[:_LOOKED_AT]
    found = []
    for name in sorted(_PROOF):
        reader = _decode_frames.frames(name)
        if reader is None or len(whole) < _SHORTEST or name not in _NEARLY:
            continue
        reasons = [line["reason"] for line in [*reader.hear(whole), *reader.flush()] if line["kind"] == "error"]
        telling = next((reason for reason in reasons if reason in _NEARLY[name]), "")
        if telling:
            found.append(f"{name} but for: {telling}")
    if not found and len(whole) >= _SHORTEST and whole[1] in (*READS, 5, 6, 15, 16):
        right = crc16(whole[:-2]).to_bytes(2, "little").hex(" ").upper()
        found.append(f"modbus_rtu but for: CRC is {whole[-2:].hex(' ').upper()}, the bytes before it give {right}")
    return found


def streamed(data: bytes, *, lines: bool = False) -> bytes:
    """Return hexadecimal text as the bytes it means, anything else as it is; `lines`: a line of text gets its end."""
    digits = b"no" if data.startswith(b":") else data  # a line of Modbus ASCII is text
    try:
        return bytes.fromhex(digits.decode("ascii").replace(":", " "))
    except ValueError:
        text = data and min(data) >= ord(" ")
        return data + b"\r\n" if lines and text else data


def _frames(data: bytes) -> Iterable[Fit]:
    whole = streamed(data, lines=True)[:_LOOKED_AT]
    for name in _decode_frames.names():
        reader = _decode_frames.frames(name)
        if reader is None or not whole:
            continue
        said = [*reader.hear(whole), *reader.flush()]
        good = sum(line["kind"] == "message" and not line.get("unknown") for line in said)
        lost = sum(len(line.get("raw", "")) // 2 for line in said if line["kind"] == "error")
        share = 1 - min(lost / len(whole), 1)
        if good and share > _MOST:
            proof, why = _PROOF.get(name, _FRAMES)
            count = f"{good} frame{'' if good == 1 else 's'}"
            part = "" if share == 1 else f", {share:.0%} of the bytes"
            yield Fit(protocol=name, score=proof * share, why=f"{count}: {why}{part}", profiles=_streams(name, whole))


def _streams(protocol: str, data: bytes) -> tuple[str, ...]:
    ranked = []
    for profile in _profiles_of(protocol):
        try:
            reader = Polled(profile, protocol) if protocol in MODBUS else Stream(profile)
        except ConfigError:
            continue
        said = [*reader.hear(data), *reader.flush()]
        good = sum(_tells(line) for line in said)
        if good:
            other = not any(line.get("code") == profile.alarm_class.word for line in said)
            ranked.append((-good, other, len(profile.points), profile.id))
    return tuple(name for *_, name in sorted(ranked)[:SHOWN])


def _profiles_of(protocol: str) -> list[Profile]:
    driver = "modbus_rtu" if protocol in MODBUS else protocol
    return [
        profile
        for profile in shipped()
        if profile.driver == driver or protocol in (profile.options.get("dialect"), profile.options.get("sensor"))
    ]


def _tells(line: Said) -> bool:
    if line["kind"] == "reading":
        return not line["quality"].startswith("BAD")
    return bool(line["kind"] == "event" and line.get("registered", True))


def _dialects(data: bytes, topic: str) -> Iterable[Fit]:
    if topic and homeassistant.learn(topic, data):
        why = "a discovery message by its topic"
        yield Fit(protocol="homeassistant", score=_ANNOUNCED, why=why)
    for name in registry.names(registry.Group.DIALECT):
        payload, places = next(
            ((one, found) for one in dict.fromkeys((data, streamed(data))) if (found := recognise(name, topic, one))),
            (data, []),
        )
        if not places:
            continue
        sure = any(place.sure for place in places)
        score = _SURE if sure else _ANYTHING if name == "json" else _LIKE
        profiles = tuple(one.id for one in read_by(name, places[0], payload)[:SHOWN])
        own = (places[0].profile,) if places[0].profile else ()  # reads it with points of its own
        yield Fit(protocol=name, score=score, why=places[0].why, profiles=profiles or own)
