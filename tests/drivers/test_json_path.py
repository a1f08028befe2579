"""Paths into JSON: what each form finds, what is no path, and that following one never raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._json_path import MISSING, finder, steps

MESSAGE = {"a": {"b": [{"c": 1}, None]}, "smoke:0": {"alarm": True}, "0x2916": {"Temperature": 25.72}, "深度": 3}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", MESSAGE),
        ("a.b[0].c", 1),
        ("$.a.b[0].c", 1),
        ("$['a']['b'][-2][\"c\"]", 1),
        ("$.a.b[1]", None),
        ("$.a.b[1].c[0]", None),
        ("$['smoke:0'].alarm", True),
        ("smoke:0.alarm", True),
        ("0x2916.Temperature", 25.72),
        ("深度", 3),
        ("$.a.b[2]", MISSING),
        ("$.a.b[-3]", MISSING),
        ("$.a.b.c", MISSING),
        ("$.a[0]", MISSING),
        ("$.x", MISSING),
    ],
)
def test_a_path_finds_its_place(path: str, value: object) -> None:
    found = finder(path)(MESSAGE)
    assert found is value or found == value


@pytest.mark.parametrize("path", ["", " ", "$.", "$a", "a..b", "a[", "a[x]", "a['b]", "$.a[0]b", "a]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        steps(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(message=JSON, way=st.lists(st.sampled_from("abc") | st.integers(-3, 3), min_size=1, max_size=4))
def test_following_a_path_never_raises(message: object, way: list[Any]) -> None:
    path = "$" + "".join(f"['{step}']" if isinstance(step, str) else f"[{step}]" for step in way)
    assert list(steps(path)) == way
    finder(path)(message)
