"""The protocol of Network UPS Tools, as far as a listener needs it: `LIST VAR` (RFC 9271 section 4.2.7).

Pure: text in, text out. The server is upsd of the same box or of the station's network.
"""

from __future__ import annotations

import re

from gateway.errors import ProtocolViolation

PORT = 3493
LINES = 2_000  # more than any UPS has variables
_VARIABLE = re.compile(r'VAR (\S+) (\S+) "((?:[^"\\]|\\.)*)"')


def address(text: str) -> tuple[str, str, int]:
    """Return UPS, host and port of `ups@host`, `ups@host:port` or `ups@[::1]:port`. Raises ValueError."""
    ups, at, server = text.partition("@")
    host, colon, port = server.rpartition(":") if re.search(r"(?:\]|^[^:]*):\d+$", server) else (server, "", "")
    if not (ups and at and host):
        raise ValueError(f"not ups@host: {text!r}")
    return ups, host.strip("[]"), int(port) if colon else PORT


def ask(ups: str) -> bytes:
    """Return the question for all variables of a UPS."""
    return f"LIST VAR {ups}\n".encode("ascii")


def finished(line: str, ups: str) -> bool:
    """Whether a line ends the answer."""
    return line.startswith("ERR ") or line == f"END LIST VAR {ups}"


def variables(lines: list[str], ups: str) -> dict[str, str]:
    """Return the variables of an answer. Raises ProtocolViolation: refused, cut short, or no answer at all."""
    if lines and lines[-1].startswith("ERR "):
        raise ProtocolViolation(f"NUT refused {ups}: {lines[-1][4:]}")
    if len(lines) < 2 or lines[0] != f"BEGIN LIST VAR {ups}" or lines[-1] != f"END LIST VAR {ups}":
        raise ProtocolViolation(f"no list of variables of {ups}")
    found = [match for line in lines[1:-1] if (match := _VARIABLE.fullmatch(line)) and match[1] == ups]
    return {match[2]: re.sub(r"\\(.)", r"\1", match[3]) for match in found}


def figures(found: dict[str, str]) -> dict[str, float]:
    """Return what the variables mean: `mains`, `battery_low` (0 or 1), `battery_charge` (%), `battery_runtime` (s).

    What a UPS does not tell is left out.

    `ups.status` is a set of words: OL on line, OB on battery, LB low battery, FSD forced shutdown. A status that has
    neither OL nor OB (a driver that lost its UPS) says nothing of the mains.
    """
    status = frozenset(found.get("ups.status", "").split())
    told: dict[str, float] = {}
    if status & {"OL", "OB"}:
        told["mains"] = float("OB" not in status)
        told["battery_low"] = float("OB" in status and bool(status & {"LB", "FSD"}))
    for name, point in (("battery.charge", "battery_charge"), ("battery.runtime", "battery_runtime")):
        if re.fullmatch(r"\d+(\.\d+)?", found.get(name, "")):
            told[point] = float(found[name])
    return told
