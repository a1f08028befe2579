"""Source times and topic patterns as the dialects read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._times import source_time, zone_of
from drivers._topics import Pattern

SHANGHAI = zone_of("+08:00")
S = 10**9


@pytest.mark.parametrize(
    ("raw", "time"),
    [
        ("2026-11-21T17:00:00Z", 1795280400 * S),
        ("2026-11-22T01:00:00", 1795280400 * S),
        ("2026-11-22 01:00:00", 1795280400 * S),
        ("20261121T170000Z", 1795280400 * S),
        ("2026-11-21T17:00:00.123456789Z", 1795280400 * S + 123_456_000),
        (1795280400, 1795280400 * S),
        ("1795280400", 1795280400 * S),
        (1795280400.5, 1795280400 * S + S // 2),
        (1795280400123, 1795280400 * S + 123_000_000),
        (1795280400123456, 1795280400 * S + 123_456_000),
        (1795280400123456789, 1795280400 * S + 123_456_789),
        (5, 5 * S),
        (0, 0),
        ("soon", None),
        ("", None),
        (None, None),
        (True, None),
        ([1], None),
        ("nan", None),
        (float("inf"), None),
        (10**400, None),
        ("9" * 5000, None),
        ("9999-12-31T23:59:59Z", None),
    ],
)
def test_a_time_is_read_as_it_stands(raw: object, time: int | None) -> None:
    assert source_time(raw, SHANGHAI) == time


def test_a_named_unit_is_not_guessed() -> None:
    assert source_time(1_000, SHANGHAI, "ms") == S
    assert source_time(1_000_000_000_000, SHANGHAI, "s") is None
    assert source_time(7, SHANGHAI, "ns") == 7


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)),  # noqa: DTZ001 - zones are put on below
    hours=st.integers(-12, 14),
)
def test_every_zone_means_the_same_moment(moment: datetime, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    local = moment.replace(tzinfo=UTC).astimezone(zone)
    told = source_time(local.isoformat(), SHANGHAI)
    assert told == source_time(local.replace(tzinfo=None).isoformat(), zone)
    assert told == (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize("text", ["Shanghai", "8", "", "+99:00"])
def test_a_zone_is_an_offset(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        zone_of(text)


@pytest.mark.parametrize(
    ("pattern", "topic", "parts"),
    [
        ("a/b", "a/b", {}),
        ("a/b", "a/b/c", None),
        ("a/{x}/c", "a/b/c", {"x": "b"}),
        ("a/{x}/c", "a//c", {"x": ""}),
        ("a/{x}/c", "a/b/d/c", None),
        ("a/+/{y}", "a/b/c", {"y": "c"}),
        ("a/#", "a", {}),
        ("a/#", "a/b/c", {}),
        ("{x}/#", "a/b/c", {"x": "a"}),
        ("#", "a/b", {}),
        ("#", "$SYS/x", None),
        ("{x}/b", "$SYS/b", None),
        ("$SYS/+", "$SYS/b", {}),
        ("a.b/+", "axb/c", None),
        ("微站/{x}", "微站/一层", {"x": "一层"}),
    ],
)
def test_a_pattern_fits_as_a_filter_does(pattern: str, topic: str, parts: dict[str, str] | None) -> None:
    assert Pattern(pattern).parts(topic) == parts


def test_a_named_level_is_subscribed_as_a_wildcard() -> None:
    found = Pattern("a/{x}/#")
    assert (found.filter, found.names, found.exact) == ("a/+/#", ["x"], False)
    assert Pattern("a/b").exact


@pytest.mark.parametrize("text", ["", "a/#/b", "a/b+", "a/{X}", "a/{x}{y}", "a/{x}/{x}", "a/b#", "a\0"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wildcards are whole levels"):
        Pattern(text)
