"""`firegrid listen`: what comes over a serial line, a port or a broker, as it comes, raw and with its meaning.

For commissioning, beside a daemon that does not hold the same port. It never sends a byte and confirms nothing: nothing
is stored here, and a device keeps what was not confirmed for the daemon (house rule 4). What was heard can be recorded
and played again through the decoder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from drivers import _profiles as profiles
from drivers._decode import protocols
from drivers._decode_live import Ears
from drivers._decode_said import Said
from gateway.cli import recording
from gateway.cli.heard import Heard, broker, wire_of
from gateway.cli.holders import holders, listeners
from gateway.cli.main import GOOD
from gateway.cli.tongue import add_language, is_chinese
from gateway.clock import SystemClock
from gateway.config.quantities import duration
from gateway.errors import ConfigError, LinkDown
from gateway.model.point import Profile
from gateway.transport.wires import attend


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `listen` takes."""
    own.add_argument(
        "what", nargs="?", default="", metavar="PORT|TOPIC", help="/dev/ttyUSB0, tcp:PORT, udp:ADDRESS:PORT, or a topic"
    )
    known = f"a profile's id, or one of {', '.join(protocols())}"
    own.add_argument("--as", dest="protocol", default="", metavar="PROTOCOL", help=known)
    own.add_argument("--profile", default="", metavar="P", help="what the device is: a profile's id, or its file")
    add_wire(own)
    own.add_argument("--for", dest="time", default="", metavar="TIME", help="stop after so long, e.g. 60s")
    own.add_argument("--record", type=Path, metavar="FILE", help="keep what comes, to be played again")
    own.add_argument("--replay", type=Path, metavar="FILE", help="play a recording instead of listening")
    own.add_argument("--json", action="store_true", help="one JSON object a line")
    add_language(own)


def add_wire(own: argparse.ArgumentParser) -> None:
    """Add how a serial line or a broker is reached."""
    own.add_argument("--baudrate", type=int, help="of the serial line (default: the profile's, else 9600)")
    own.add_argument("--bytesize", type=int, choices=(7, 8), default=8)
    own.add_argument("--parity", choices=("N", "E", "O"), default="N")
    own.add_argument("--stopbits", type=int, choices=(1, 2), default=1)
    own.add_argument("--host", default="127.0.0.1", help="the broker of a topic")
    own.add_argument("--port", type=int, default=1883, help="its port")
    own.add_argument("--username")
    own.add_argument("--password-file", type=Path)


def run(options: argparse.Namespace) -> int:
    """Listen until Ctrl-C, the end of the time or of the recording; 1 when the wire was lost or is taken."""
    protocol, profile = meant(options.protocol, options.profile)
    if options.replay is not None:
        return _replay(options, protocol, profile)
    if not options.what:
        raise ConfigError("what is to be heard? a serial port, tcp:PORT, udp:PORT or a topic; or --replay FILE")
    try:
        seconds = duration(options.time) if options.time else None
    except ValueError as error:
        raise ConfigError(str(error)) from error
    wire = wire_of(options.what, options, profile)
    datagrams = wire is not None and wire.wire == "udp"
    ears = Ears(protocol, profile, datagrams=datagrams)
    named = profile.id if profile is not None else ""
    head = recording.Head(what=options.what, protocol=protocol, profile=named, datagrams=datagrams)
    recorder = recording.Recorder(options.record, head) if options.record else None
    clock = SystemClock()
    heard = Heard(ears, clock, lambda one, said: _print(one, said, as_json=options.json), recorder)
    zh = is_chinese(options)
    try:
        listening = broker(options, heard, clock) if wire is None else attend(wire, heard, clock)
        asyncio.run(heard.until(listening, seconds))
    except LinkDown as error:
        raise taken(options.what, error, zh=zh) from error
    finally:
        if recorder is not None:
            recorder.close()
        _count(ears, as_json=options.json, zh=zh)
    return GOOD


def meant(protocol: str, name: str) -> tuple[str, Profile | None]:
    """Return protocol and profile as told; `--as` takes a profile too. Raises ConfigError: unknown."""
    path = Path(name)
    own = path.parent if path.suffix == ".toml" else None
    profile = profiles.profile(path.stem if own else name, own=own) if name else None
    if protocol and protocol not in protocols():
        if profile is not None or protocol not in profiles.names():
            raise ConfigError(f"unknown protocol {protocol}; known: {', '.join(protocols())}, and every profile")
        return "", profiles.profile(protocol)
    return protocol, profile


def taken(what: str, error: LinkDown, *, zh: bool) -> LinkDown:
    """Return why a wire cannot be had, with who holds it and what to do."""
    text = str(error)
    kind, number = what.partition(":")[0], what.rpartition(":")[2]
    called = kind in ("tcp", "udp") and number.isdigit()
    if called and "in use" not in text:
        return error  # not the port is taken: the address is not of this box, or the port not for this user
    holder = next(listeners(kind, int(number)) if called else holders(what) if what.startswith("/") else iter(()), "")
    if holder:
        mend = f"被 {holder} 占用，请先停止它" if zh else f"is held by {holder}: stop that first"
        return LinkDown(f"{what} {mend} (systemctl stop firegrid)")
    if called:
        mend = "已被占用，查看占用者" if zh else "is taken, see by whom"
        return LinkDown(f"{what} {mend}: sudo ss -lnp{kind[0]} 'sport = :{number}' (systemctl stop firegrid)")
    if "lock" in text or "in use" in text or "busy" in text:
        mend = "已被占用：若守护进程正在运行请先停止" if zh else "is taken: if the daemon runs, stop it first"
        return LinkDown(f"{what} {mend} (systemctl stop firegrid): {text}")
    return error


def _replay(options: argparse.Namespace, protocol: str, profile: Profile | None) -> int:
    head, pieces = recording.read(options.replay)
    if not protocol and profile is None:
        protocol, profile = meant(head.protocol, head.profile)
    ears = Ears(protocol, profile, datagrams=head.datagrams)
    peers: dict[str, None] = {}
    for one in pieces:
        if one.topic:
            said = ears.message(one.topic, one.data, retained=one.retained)
        else:
            peers[one.peer] = None
            said = ears.hear(one.peer, one.data)
        _print(one, said, as_json=options.json)
    for peer in peers:
        _print(None, ears.quiet(peer), as_json=options.json)
    _count(ears, as_json=options.json, zh=is_chinese(options))
    return GOOD


def _print(one: recording.Piece | None, said: list[Said], *, as_json: bool) -> None:
    """Print a piece as it came, then what it means."""
    if as_json:
        if one is not None:
            where = {"topic": one.topic, "retained": one.retained} if one.topic else {"from": one.peer}
            print(
                json.dumps({"kind": "bytes", "time": one.time, **where, "hex": one.hex}, ensure_ascii=False), flush=True
            )
        for line in said:
            print(json.dumps(line, ensure_ascii=False, allow_nan=False), flush=True)
        return
    if one is not None:
        data = one.data
        shown = _text(data) if one.topic else data.hex(" ").upper()
        kept = " (retained)" if one.retained else ""
        print(f"{one.time[11:23]}  {one.topic or one.peer}{kept}  {shown}", flush=True)
    for line in said:
        print(f"    {meaning(line)}", flush=True)


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return text if text.isprintable() else data.hex(" ").upper()


def meaning(line: Said) -> str:
    """Return a decoded line as people read it."""
    who, address = line.get("device", ""), line.get("address")
    who = f"{who}[{address}]" if address else who
    time = f" @ {line['time']}" if line.get("time") else ""
    match line["kind"]:
        case "reading":
            value = "–" if line["value"] is None else f"{line['value']:g}"
            return f"{who}.{line['point']} = {value} {line['unit']} {line['quality']}{time}".replace("  ", " ")
        case "event":
            return f"{who} {line['code']} {line['key']} {line['text']}{time}"
        case "error":
            return f"! {who} {line['reason']}".replace("  ", " ")
    fields = {key: value for key, value in line.items() if key not in ("kind", "protocol", "what")}
    return f"{line.get('protocol', '')} {line.get('what', '')} {json.dumps(fields, ensure_ascii=False)}".strip()


def _count(ears: Ears, *, as_json: bool, zh: bool) -> None:
    """Print the counters, and what the bytes could be where nothing was told."""
    guesses = ears.could_be()
    if as_json:
        print(json.dumps({"kind": "message", "what": "counters", **ears.counts}))
        for peer, found in guesses.items():
            print(json.dumps({"kind": "message", "what": "guess", "from": peer, "fits": found}, ensure_ascii=False))
        return
    words = ", ".join(f"{name} {number}" for name, number in ears.counts.items()) or (
        "没有数据" if zh else "nothing came"
    )
    print(f"{'计数' if zh else 'counted'}: {words}")
    for peer, found in guesses.items():
        could = "; ".join(f"{one['protocol']} ({one['why']})" for one in found)
        print(f"{peer}: {'可能是' if zh else 'could be'} {could or ('未知协议' if zh else 'nothing known')}; --as …")
