"""What `firegrid decode` makes of any bytes: objects that can be printed as JSON, or a reason.

First byte: which protocol (0: that is to be found out), second: which profile (0: none) or topic; then the bytes.
"""

from __future__ import annotations

import json

from drivers import _decode
from tests.fuzz.feeding import Decoder
from tests.fuzz.streams import GB_FRAMES, HJ_PACKETS, PANEL_FRAMES, SL_FRAMES, UART_FRAMES
from tests.fuzz.talks import PROFILES

PROTOCOLS = ["", *_decode.protocols()]
TOPICS = ["", "zigbee2mqtt/a", "homeassistant/sensor/n/o/config", "spBv1.0/g/NBIRTH/n", "a/status", "tele/a/SENSOR"]


def decode(data: bytes) -> None:
    """Lines of JSON, at least one."""
    head = data[:2].ljust(2, b"\0")
    protocol = PROTOCOLS[head[0] % len(PROTOCOLS)]
    number = head[1] % (len(PROFILES) + len(TOPICS))
    profile = PROFILES[number] if number < len(PROFILES) else None
    topic = "" if profile is not None else TOPICS[number - len(PROFILES)]
    if profile is not None and protocol and not _decode.speaks(profile, protocol):
        profile = None
    said = _decode.decode(data[2:], protocol=protocol, profile=profile, topic=topic)
    assert said
    for line in said:
        assert line["kind"] in ("reading", "event", "message", "error")
        assert json.dumps(line, allow_nan=False, ensure_ascii=False).encode()


def _seeds() -> list[bytes]:
    frames = [GB_FRAMES[0], HJ_PACKETS[0], SL_FRAMES[0], *(found[0] for found in PANEL_FRAMES.values())]
    frames += [found[0] for found in UART_FRAMES.values()]
    frames += [bytes.fromhex("01030402920101" + "5a92"), b'{"smoke":true,"linkquality":3}', b"1,2"]
    none = bytes((0, len(PROFILES)))
    found = [b"\0\0\x10\x04", b"\0\0\x10\x04\x01\x00"]  # replies cut short or with no word: raised once
    found += [none + one for one in [*frames, frames[0].hex().encode()]]
    for number, profile in enumerate(PROFILES[:256:4]):
        if profile.driver in PROTOCOLS:
            found.append(bytes((PROTOCOLS.index(profile.driver), number)) + frames[number % len(frames)])
    return found


DECODERS: dict[str, Decoder] = {"decode": Decoder(decode, _seeds(), cost=10)}
