"""`[page]`: where the live page is served, and what it takes to serve it beyond this box.

Part of the configuration (house section 13). Without the table there is no page. An address that others can reach is
refused without TLS: what is sent there acknowledges fire alarms.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

import msgspec

from gateway.config import options
from gateway.config.problems import Kind
from gateway.config.sheet import Sheet
from gateway.model.station import PageSpec

_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[\w.-]+)):(?P<port>\d{1,5})")
_LAST_PORT = 65535
_EXAMPLE = '"127.0.0.1:8080"'


class PageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of `[page]`. `names`: host names by which browsers may ask; `phones`: roles that see whole phone numbers."""

    listen: str = "127.0.0.1:8080"
    cert_file: str = ""
    key_file: str = ""
    names: tuple[str, ...] = ()
    phones: tuple[str, ...] = ("squad", "captain")


def address(given: str) -> tuple[str, int]:
    """Return host and port of `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`. Raises ValueError."""
    found = _ADDRESS.fullmatch(given.strip())
    host = (found["six"] or found["host"]) if found else ""
    if found is None or not (host == "localhost" or _is_address(host)) or not 0 < int(found["port"]) <= _LAST_PORT:
        raise ValueError(f"not an address with a port: {given!r}")
    return host, int(found["port"])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def loopback(host: str) -> bool:
    """Whether only this box itself can reach an address."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def read_page(sheet: Sheet, folder: Path) -> PageSpec | None:
    """Read `[page]`; None when it cannot be used: the station runs without its page then."""
    given: dict[str, Any] = options.check(sheet, PageOptions, folder)
    if sheet.broken:
        return None
    own = msgspec.convert(given, PageOptions)
    try:
        host, port = address(own.listen)
    except ValueError:
        sheet.report(Kind.WRONG_TYPE, "listen", given=f'"{own.listen}"', wanted="an IP address and a port",
                     example=f"listen = {_EXAMPLE}")  # fmt: skip
        return None
    if bool(own.cert_file) != bool(own.key_file):
        missing = "key_file" if own.cert_file else "cert_file"
        sheet.report(Kind.MISSING_KEY, example=f'{missing} = "page.pem"')
        return None
    if not loopback(host) and not own.cert_file:
        sheet.report(Kind.PAGE_OPEN, "listen", given=own.listen)
        return None
    return PageSpec(
        host=host, port=port, cert_file=own.cert_file, key_file=own.key_file, names=own.names, phones=own.phones
    )
