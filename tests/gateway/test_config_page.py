"""`[page]`: which addresses are this box's own, and what is refused."""

from __future__ import annotations

import pytest

from gateway.config.page import address, loopback


@pytest.mark.parametrize(
    ("given", "host", "port", "own"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("localhost:80", "localhost", 80, True),
        ("127.9.9.9:1", "127.9.9.9", 1, True),
        ("[::1]:8080", "::1", 8080, True),
        ("0.0.0.0:8443", "0.0.0.0", 8443, False),  # noqa: S104 - what others can reach
        ("[::]:8443", "::", 8443, False),
        ("192.168.1.20:8443", "192.168.1.20", 8443, False),
    ],
)
def test_addresses(given: str, host: str, port: int, own: bool) -> None:  # noqa: FBT001 - a column of the table
    assert address(given) == (host, port)
    assert loopback(host) is own


@pytest.mark.parametrize(
    "given",
    ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:8080", "host.example:80", "[x]:1"],
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        address(given)
