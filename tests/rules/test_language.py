"""The language of conditions: what it means, what it refuses and how it says so; garbage never crashes."""

from __future__ import annotations

import math
import operator
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.point import Kind, PointSpec
from rules import check
from rules.expression import Condition, closure, names, negated
from rules.intervals import complement, solve, union
from rules.language import ExpressionError, Scope, parse

CASES: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[1] / "cases" / "rules" / "language.toml").read_text(encoding="utf-8")
)
SCOPE = Scope({"value": "%[LEL]", "rate": "%[LEL]/s"}, {"open": 1.0, "closed": 0.0, "开": 1.0})
GAS = PointSpec(name="ch4", unit="%[LEL]", valid_range=(0.0, 100.0))
DOOR = PointSpec(name="door", kind=Kind.STATE, labels={"open": 1.0, "closed": 0.0})


def _holds(text: str, value: float, rate: float = 0.0) -> bool:
    return bool(closure(parse(text, SCOPE))({"value": np.array([value]), "rate": np.array([rate])}).all())


@pytest.mark.parametrize("case", CASES["means"], ids=lambda case: str(case["text"]))
def test_means(case: dict[str, Any]) -> None:
    assert [x for x in case["tried"] if _holds(case["text"], x)] == case["true"]


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: str(case["text"]))
def test_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(case["text"], SCOPE)
    assert case["reason"] in caught.value.reason
    assert case["fix"] in caught.value.fix
    assert caught.value.position == case["position"]


@pytest.mark.parametrize("case", CASES["contradiction"], ids=lambda case: f"{case['when']} / {case.get('clear')}")
def test_contradictions(case: dict[str, Any]) -> None:
    spec = DOOR if case.get("state") else GAS
    scope = Scope({"value": spec.unit, "rate": "x"}, spec.labels)
    when = parse(case["when"], scope)
    clear = parse(case["clear"], scope) if "clear" in case else negated(when)
    found = [(key, reason) for key, reason, _ in check.conditions(when, clear, spec)]
    if "key" not in case:
        assert found == []
    else:
        assert [key for key, _ in found] == [case["key"]]
        assert case["reason"] in found[0][1]


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("value rate<>=!()andornot+-*/.0123456789eE\"'open,[]{}:\\\n\x00é%"), max_size=60)
)
def test_garbage_is_refused_not_fatal(text: str) -> None:
    try:
        condition = parse(text, SCOPE)
    except ExpressionError:
        return
    columns = {"value": np.array([0.0, 1.0, math.nan]), "rate": np.array([1.0, 0.0, math.nan])}
    assert closure(condition)(columns).dtype == np.bool_


@pytest.mark.parametrize(
    "text", ["(" * 400 + "value > 1" + ")" * 50, "not " * 100 + "value > 1", "-" * 300 + "1 < value"]
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, SCOPE)


OPS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
_atoms = st.builds(
    lambda op, x, swap: f"{x} {op} value" if swap else f"value {op} {x}",
    st.sampled_from(sorted(OPS)),
    st.integers(-3, 3),
    st.booleans(),
)
_texts = st.recursive(
    _atoms,
    lambda inner: (
        st.builds(lambda a, op, b: f"({a} {op} {b})", inner, st.sampled_from(["and", "or"]), inner)
        | st.builds(lambda a: f"not ({a})", inner)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(_texts)
def test_means_what_python_means_and_regions_agree(text: str) -> None:
    condition = parse(text, SCOPE)
    region = solve(condition)
    assert region is not None
    for x in [*np.arange(-4.0, 4.25, 0.5).tolist(), math.nextafter(1.0, 2.0), math.inf, -math.inf]:
        expected = eval(text, {"value": x})  # noqa: S307 - the text was drawn from our own grammar
        assert _holds(text, x) == expected
        assert any(low <= x <= high for low, high in region) == expected
        assert any(low <= x <= high for low, high in complement(region)) != expected
    assert union(region, complement(region)) == ((-math.inf, math.inf),)


@settings(max_examples=60, deadline=None)
@given(_texts)
def test_the_unknown_neither_raises_nor_clears(text: str) -> None:
    condition = parse(text, SCOPE)
    assert not _holds_column(condition, math.nan)
    assert not _holds_column(negated(condition), math.nan)


def _holds_column(condition: Condition, x: float) -> bool:
    assert names(condition) == {"value"}
    return bool(closure(condition)({"value": np.array([x])})[0])


def test_kleene_logic_knows_what_does_not_depend_on_the_unknown() -> None:
    condition = parse("value > 57 or rate > 8", SCOPE)
    unknown = {"value": np.array([60.0, 20.0]), "rate": np.array([math.nan, math.nan])}
    assert closure(condition)(unknown).tolist() == [True, False]
    assert closure(negated(condition))(unknown).tolist() == [False, False]
