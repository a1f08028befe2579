"""Values of a point: the quality table of house section 6 for registers, JSON values and words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._values import as_retained, good_as_sent, number_of, number_reader, object_reader
from gateway.model.point import Kind, PointSpec
from gateway.model.quality import GOOD, describe, level_of

GAS = PointSpec(
    name="ch4", unit="%{LEL}", valid_range=(-5, 6000), over_range=(-math.inf, 100), fault_values=(65535.0, 32767.0)
)
DOOR = PointSpec(name="door", kind=Kind.STATE, labels={"closed": 0, "open": 1}, invert=True)
DETECTOR = PointSpec(name="di1", kind=Kind.STATE, labels={"normal": 0, "alarm": 1})


@pytest.mark.parametrize(
    ("raw", "value", "quality"),
    [
        (123, 12.3, "GOOD"),
        (1000, 100.0, "GOOD"),
        (1001, 100.0, "UNCERTAIN:over_range"),
        (-51, -5.1, "BAD:implausible"),
        (-50, -5.0, "GOOD"),
        (65535, 6553.5, "BAD:fault_value"),
        (32767, 3276.7, "BAD:fault_value"),
        (math.nan, math.nan, "BAD:not_a_number"),
        (math.inf, math.nan, "BAD:not_a_number"),
    ],
)
def test_a_number_is_judged_by_its_ranges(raw: float, value: float, quality: str) -> None:
    read, told = number_reader(GAS, scale=0.1)(raw)
    assert read == pytest.approx(value, nan_ok=True)
    assert describe(told) == quality


def test_offset_is_added_after_the_scale() -> None:
    assert number_reader(PointSpec(name="t", unit="Cel"), scale=0.5, offset=-50)(150) == (25.0, GOOD)


@pytest.mark.parametrize(
    ("spec", "raw", "value", "quality"),
    [
        (GAS, "12.5", 12.5, "GOOD"),
        (GAS, " 12,5 ", 12.5, "GOOD"),
        (GAS, 1e999, math.nan, "BAD:not_a_number"),
        (GAS, 10**400, math.nan, "BAD:not_a_number"),
        (GAS, "nan", math.nan, "BAD:not_a_number"),
        (GAS, "-Infinity", math.nan, "BAD:not_a_number"),
        (GAS, "12.5 ppm", math.nan, "BAD:not_a_number"),
        (GAS, "1_000", math.nan, "BAD:not_a_number"),
        (GAS, "1,234,5", math.nan, "BAD:not_a_number"),
        (GAS, "", math.nan, "BAD:not_a_number"),
        (GAS, None, math.nan, "BAD:not_a_number"),
        (GAS, True, math.nan, "BAD:not_a_number"),
        (GAS, [1], math.nan, "BAD:not_a_number"),
        (GAS, "HIGH", 100.0, "UNCERTAIN:over_range"),
        (DETECTOR, True, 1, "GOOD"),
        (DETECTOR, False, 0, "GOOD"),
        (DETECTOR, "ON", 1, "GOOD"),
        (DETECTOR, "off", 0, "GOOD"),
        (DETECTOR, "Alarm", 1, "GOOD"),
        (DETECTOR, "NORMAL", 0, "GOOD"),
        (DETECTOR, "1", 1, "GOOD"),
        (DETECTOR, 0, 0, "GOOD"),
        (DETECTOR, 0.0, 0, "GOOD"),
        (DETECTOR, 2, 2, "BAD:unknown_label"),
        (DETECTOR, "HIGH", 1, "GOOD"),
        (DETECTOR, "muffled", math.nan, "BAD:unknown_label"),
        (DETECTOR, {"a": 1}, math.nan, "BAD:unknown_label"),
        (DETECTOR, None, math.nan, "BAD:not_a_number"),
        (DETECTOR, 10**400, math.nan, "BAD:not_a_number"),
        (DOOR, True, 0, "GOOD"),
        (DOOR, False, 1, "GOOD"),
        (DOOR, "ON", 0, "GOOD"),
        (DOOR, 0, 1, "GOOD"),
        (DOOR, "open", 1, "GOOD"),
        (DOOR, "Closed", 0, "GOOD"),
    ],
)
def test_json_values_are_judged_alike(spec: PointSpec, raw: object, value: float, quality: str) -> None:
    words = {"high": 200.0} if spec is GAS else {"high": 1}
    read, told = object_reader(spec, words=words)(raw)
    assert read == pytest.approx(value, nan_ok=True)
    assert describe(told) == quality


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.lists(st.integers())


@given(raw=ANYTHING, spec=st.sampled_from([GAS, DOOR, DETECTOR]))
def test_whatever_comes_is_a_finite_number_or_bad(raw: object, spec: PointSpec) -> None:
    value, quality = object_reader(spec)(raw)
    assert math.isfinite(value) or level_of(quality) == 2


@given(raw=st.floats(-1e6, 1e6), scale=st.sampled_from([1.0, 0.1, 0.01]))
def test_a_register_and_a_field_are_judged_alike(raw: float, scale: float) -> None:
    assert object_reader(GAS, scale=scale)(raw) == number_reader(GAS, scale=scale)(raw)


PLAIN = PointSpec(name="level", unit="m", valid_range=(-1, 1e300), over_range=(0, 10))
OPEN = PointSpec(name="any", unit="1")


@given(
    raw=st.floats() | st.integers(-(10**310), 10**310) | st.sampled_from([-0.0, 0, 10, 10.0, 2**53 + 1]),
    spec=st.sampled_from([PLAIN, OPEN, GAS, DOOR]),
    scale=st.sampled_from([1.0, 0.1]),
)
def test_what_is_good_as_sent_is_what_the_reader_says(raw: float, spec: PointSpec, scale: float) -> None:
    low, high = good_as_sent(spec, scale, 0.0)
    if low <= raw <= high:
        value, told = object_reader(spec, scale=scale)(raw)
        assert (repr(raw + 0.0), GOOD) == (repr(value), told)


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_as_text(number: float) -> None:
    assert number_of(repr(number)) == number
    assert number_of(repr(number).replace(".", ",")) == number


@pytest.mark.parametrize(
    ("raw", "told"),
    [(5, "UNCERTAIN:retained"), (200, "UNCERTAIN:retained"), (65535, "BAD:fault_value"), (9999, "BAD:implausible")],
)
def test_a_retained_state_raises_and_never_clears(raw: float, told: str) -> None:
    assert describe(as_retained(number_reader(GAS)(raw)[1])) == told
