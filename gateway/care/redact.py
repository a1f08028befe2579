"""Takes secrets out of what a backup holds: passwords, PINs, tokens, and what stands in an address beside the host.

Pure. Used by `gateway.care.archive`. Many receivers of webhooks know who may call by the address alone, so its path and
query are secrets too. What is masked ends in `…`, which no address may have: `check` then says which one to fill in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

GONE = "…"
_INLINE = r"(?:pin|\w*password|\w*secret|\w*token)"  # keys whose value is a secret itself
_WRITTEN = re.compile(
    rf"""^((?:[^#"'\n]|"[^"\n]*"|'[^'\n]*')*?\b{_INLINE}["']?\s*=\s*)(?!""|'')("(?:[^"\\\n]|\\.)*"|'[^'\n]*')""",
    re.MULTILINE,
)
_ADDRESS = re.compile(r"(?P<scheme>\w+://)(?:[^/?#]*@)?(?P<host>[^/?#@]*)(?P<path>[^?#]*)(?P<query>.*)", re.DOTALL)
_SERVERS = ("sink", "sinks")  # a path there is a server's, its token stands in a file of its own


def without_secrets(text: str) -> str:
    """Return a TOML text with passwords and PINs emptied and addresses masked. Raises ValueError: no TOML."""
    addresses = {
        found: masked(found, server=server) for found, server in _addresses(tomllib.loads(text.removeprefix("\ufeff")))
    }
    for found in sorted(addresses, key=len, reverse=True):
        text = text.replace(found, addresses[found])
    while (cleaned := _WRITTEN.sub(lambda found: f'{found[1]}""', text)) != text:  # several in one line
        text = cleaned
    return text


def emptied(data: Any, *, options: bool = False, server: bool = False) -> Any:  # noqa: ANN401 - plain values
    """Return a configuration as plain values likewise; secrets stand only in the options of plug-ins."""
    if isinstance(data, dict):
        return {
            key: _without(key, value, options=options, server=server)
            if isinstance(value, str)
            else emptied(value, options=options or key == "options", server=server or key in _SERVERS)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [emptied(value, options=options, server=server) for value in data]
    return data


def _without(key: str, value: str, *, options: bool, server: bool) -> str:
    if key == "url":
        return masked(value, server=server)
    return "" if options and re.fullmatch(_INLINE, key) else value


def masked(address: str, *, server: bool) -> str:
    """Return an address without user, query and, unless it is a `server`'s, path; one without these as it is."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        return GONE if address else ""
    head = parts["scheme"] + parts["host"]
    if parts["path"] not in ("", "/") and not server:
        return f"{head}/{GONE}"
    return f"{head}{parts['path']}?{GONE}" if parts["query"] else head + parts["path"]


def _addresses(data: Any, *, server: bool = False) -> Iterator[tuple[str, bool]]:  # noqa: ANN401 - as above
    """Yield every address under a key `url`, and whether it is a server's."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "url" and isinstance(value, str):
                yield value, server
            yield from _addresses(value, server=server or key in _SERVERS)
    elif isinstance(data, list):
        for value in data:
            yield from _addresses(value, server=server)
