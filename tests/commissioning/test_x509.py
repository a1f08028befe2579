"""When certificates are valid, as openssl says of the same files; anything else is refused, never a crash."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.x509 import validity

CASES = Path(__file__).parent.parent / "cases" / "certificates"
GOOD = ssl.PEM_cert_to_DER_cert((CASES / "good.pem").read_text(encoding="ascii"))


@pytest.mark.parametrize(
    ("name", "first", "last"), [("expired", 2020, 2021), ("early", 2090, 2091), ("good", 2020, 2099)]
)
def test_first_and_last_moment(name: str, first: int, last: int) -> None:
    der = ssl.PEM_cert_to_DER_cert((CASES / f"{name}.pem").read_text(encoding="ascii"))
    assert validity(der) == (datetime(first, 1, 1, tzinfo=UTC), datetime(last, 1, 1, tzinfo=UTC))


@given(st.binary(max_size=80) | st.integers(0, len(GOOD) - 1).map(lambda end: GOOD[:end]))
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        validity(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_damaged_one_is_read_or_refused(place: int, value: int) -> None:
    damaged = bytearray(GOOD)
    damaged[place] = value
    try:
        validity(bytes(damaged))
    except ValueError:
        return
