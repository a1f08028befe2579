"""`firegrid decode`: what the station would make of a frame or payload, one JSON object a line (house section 12).

Opens nothing but standard input; the bytes go through the dialects and register maps of the daemon (`drivers._decode`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from drivers import _profiles as profiles
from drivers._decode import decode, protocols
from gateway.cli.main import GOOD, REFUSED


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `decode` takes."""
    own.add_argument("data", nargs="*", metavar="DATA", help="hex or text; - or nothing: standard input, one a line")
    known = f"a profile's id, or one of {', '.join(protocols())}"
    own.add_argument("--as", dest="protocol", default="", metavar="PROTOCOL", help=known)
    own.add_argument("--profile", default="", metavar="P", help="what the device is: a profile's id, or its file")
    own.add_argument("--topic", default="", metavar="T", help="the MQTT topic it came on")


def run(options: argparse.Namespace) -> int:
    """Print what is in it; 3 when there is a payload of which nothing could be read."""
    path = Path(options.profile)
    own = path.parent if path.suffix == ".toml" else None
    profile = profiles.profile(path.stem if own else options.profile, own=own) if options.profile else None
    code = GOOD
    for data in payloads(options.data):
        lines = decode(data, protocol=options.protocol, profile=profile, topic=options.topic)
        for said in lines:
            print(json.dumps(said, ensure_ascii=False, allow_nan=False))
        if all(said["kind"] == "error" or said.get("what") == "fits" for said in lines):
            code = REFUSED
    return code


def payloads(given: Sequence[str]) -> list[bytes]:
    """Return what is to be decoded: the arguments as one payload, else the lines of standard input.

    Input that is no text, or is one JSON document over several lines, is one payload.
    """
    if given and list(given) != ["-"]:
        return [" ".join(given).encode("utf-8", errors="surrogateescape")]
    data = sys.stdin.buffer.read()
    try:
        text = data.decode("utf-8")
    except ValueError:
        return [data]
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and _is_document(text):
        return [data]
    return [line.encode() for line in lines] or [b""]


def _is_document(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
