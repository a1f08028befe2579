"""What `firegrid decode` prints: bytes of any protocol of the house → JSON-able objects of house section 12.

Pure. Readings go through the very conversations, dialects and register maps that the daemon uses; a reading's device is
the profile's id, because no configuration is at hand. Nothing is guessed silently: without a protocol it is said which
ones the bytes could be, the likeliest first and with the reason (`drivers._decode_fits`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from drivers import _decode_frames, _profiles
from drivers._decode_broker import Broker, understood
from drivers._decode_bus import passed_beside
from drivers._decode_device import Polled, Stream, installed, speaks_on_wires
from drivers._decode_fits import Fit, fits, nearly, streamed
from drivers._decode_frames import MODBUS
from drivers._decode_modbus import frames_of, rows_of, slave_of
from drivers._decode_said import Said, error, message, plain, reading
from drivers._decode_topics import placed, recognise
from drivers._payload import Plain, Unreadable, message_of
from drivers.dialects import homeassistant
from gateway import registry
from gateway.errors import ConfigError, ProtocolViolation
from gateway.model.point import Profile

DISCOVERY = "homeassistant"


class Reader(Protocol):
    """What turns bytes into lines, whatever the protocol."""

    def hear(self, data: bytes) -> list[Said]:
        """Return what some bytes complete. Never raises."""

    def flush(self) -> list[Said]:
        """Return what is left when nothing more comes."""


def protocols() -> list[str]:
    """Return what `protocol` may be, beside the id of a profile: codecs, drivers on wires, dialects."""
    drivers = [name for name in registry.names(registry.Group.DRIVER) if speaks_on_wires(name)]
    return sorted({*_decode_frames.names(), *drivers, *registry.names(registry.Group.DIALECT)})


def decode(data: bytes, *, protocol: str = "", profile: Profile | None = None, topic: str = "") -> list[Said]:
    """Return one object per reading, event or message, or per reason why there is none (`kind` = `error`).

    Args:
        data: the payload; of a protocol of bytes hexadecimal text (blanks and colons allowed) or the bytes.
        protocol: one of `protocols()`, or a profile's id; empty: the profile's, else the only one that fits.
        profile: what the device is; without it registers and fields are shown as they are.
        topic: the MQTT topic, if any.
    """
    if protocol and profile is None and protocol not in protocols() and protocol in _profiles.names():
        profile, protocol = _profiles.profile(protocol), ""
    chosen = protocol or (profile.driver if profile is not None else "")
    if not chosen:
        return _told(data, fits(data, topic=topic), topic)
    if chosen not in protocols():
        return [error(f"unknown protocol {chosen}; known: {', '.join(protocols())}, and every profile")]
    if profile is not None and not speaks(profile, chosen):
        return [error(f"profile {profile.id} speaks {profile.driver}, not {chosen}")]
    try:
        return _read(data, chosen, profile, topic)
    except (ConfigError, ProtocolViolation) as why:
        return [error(str(why))]


def reader_of(protocol: str, profile: Profile | None, *, datagrams: bool = False) -> Reader:
    """Return what reads a stream, or the datagrams of one peer. Raises ConfigError: it needs a profile."""
    if profile is not None:
        own = protocol or profile.driver
        return Polled(profile, own) if own in MODBUS else Stream(profile, datagrams=datagrams)
    frames = _decode_frames.frames(protocol)
    if frames is None:
        raise ConfigError(f"{protocol} has dialects: say which with --profile, or --as one of its dialects")
    return frames


def speaks(profile: Profile, protocol: str) -> bool:
    """Whether a device of this profile may send this protocol: a driver may serve several kinds of frames."""
    if profile.driver in MODBUS and protocol in MODBUS:
        return True
    return protocol == profile.driver or protocol in (profile.options.get("dialect"), profile.options.get("sensor"))


def _told(data: bytes, found: list[Fit], topic: str) -> list[Said]:
    """Return what could be meant, and the meaning where one is likelier than all others."""
    said: list[Said] = [fit.said() for fit in found]
    if not found:
        return [error("; ".join(["no protocol fits", *([] if topic else nearly(data))]))]
    if len(found) > 1 and found[0].score <= found[1].score:
        return [*said, error(f"fits {', '.join(fit.protocol for fit in found)}: choose one with --as")]
    return [*said, *decode(data, protocol=found[0].protocol, topic=topic)]


def _read(data: bytes, protocol: str, profile: Profile | None, topic: str) -> list[Said]:
    if protocol in registry.names(registry.Group.DIALECT):
        return _discovered(data, topic) if protocol == DISCOVERY else _message(data, protocol, profile, topic)
    if protocol == "modbus_rtu":
        return _modbus(streamed(data), profile)
    reader = reader_of(protocol, profile)
    return [*reader.hear(streamed(data, lines=True)), *reader.flush()] or [error("nothing in it")]


def _modbus(frame: bytes, profile: Profile | None) -> list[Said]:
    """Read a request, a reply, or both, given whole: what is wrong with it is told in full. More is traffic."""
    if passed_beside(frame):
        reader = reader_of("modbus_rtu", profile)
        return [*reader.hear(frame), *reader.flush()]
    if profile is None:
        return frames_of(frame)
    device, ids, names = installed(profile, {})
    slave = slave_of(frame[0] if frame else 1, profile, ids, device)
    return [reading(row, names) for row in rows_of(frame, slave)] or frames_of(frame)


def _message(data: bytes, dialect: str, profile: Profile | None, topic: str) -> list[Said]:
    fixed = profile if profile is not None and profile.points else None
    said: list[Said] = []
    tries = dict.fromkeys((data, streamed(data)))
    for payload in tries:
        try:
            said = Broker(dialect, fixed).hear(topic, payload)
        except ConfigError as why:  # nothing tells its keys: neither topic nor fields
            said = [error(str(why))]
        if any(line["kind"] != "error" for line in said):
            return said
    if said:
        return said
    for payload in tries:
        for value in _as_it_is(dialect, payload, topic):
            return [{"kind": "message", "protocol": dialect, "value": plain(value)}]
    value = message_of(data)
    if isinstance(value, Unreadable):
        return [error(value.value)]
    if not placed(dialect, topic, data):
        return [error(f"neither topic nor fields are of {dialect}{'' if topic else '; give its --topic'}")]
    return [error("not_json" if isinstance(value, Plain) else f"no message of {dialect}")]


def _as_it_is(dialect: str, payload: bytes, topic: str) -> Iterator[object]:
    """Yield what a message of a dialect says where no profile reads it; nothing if it is none.

    A dialect whose payloads are no text may bring `shown(payload)` along. Plain text, and what only was said to be of
    the dialect, is a message where a device of it would take it (Offline, ON, nan): not what is left of broken JSON.
    """
    shown = getattr(registry.dialect(dialect), "shown", None)
    value = message_of(payload) if shown is None else shown(payload)
    places = placed(dialect, topic, payload)
    if not places or isinstance(value, Unreadable) or (shown is not None and value is None):
        return
    sure = not isinstance(value, Plain) and recognise(dialect, topic, payload)
    if sure or understood(dialect, places[0], payload):
        yield value


def _discovered(data: bytes, topic: str) -> list[Said]:
    """Return what a discovery message announces; states of such devices need the points that were learnt."""
    learnt = homeassistant.learn(topic or f"{DISCOVERY}/{homeassistant.component_of(data)}/device/config", data)
    if not learnt:
        return [error(f"no discovery message: those come under {DISCOVERY}/…/config; other topics need the [[device]]")]
    if not topic and not isinstance(message_of(data), dict):
        return [error("not_json")]
    announced = homeassistant.merge(learnt)
    return [
        message(DISCOVERY, "discovery", device=one.id, profile=one.profile, toml=homeassistant.to_toml(one, "broker"))
        for one in announced
    ] or [message(DISCOVERY, "removal", topic=topic)]
