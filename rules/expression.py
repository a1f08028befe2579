"""The tree of a checked condition and its closure over arrays; made by `rules.language`, run by the rule kinds.

A condition is kept in negation normal form: `not` is pushed down to the comparisons when the tree is built. A NaN
(something not known yet) makes every comparison false, so what `true` returns is exactly Kleene's TRUE, and the same
tree negated gives Kleene's FALSE: nothing unknown ever raises or clears (house section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.batch import Floats

Columns = Mapping[str, Floats]
Bools = NDArray[np.bool_]
Value = Callable[[Columns], Floats]
Test = Callable[[Columns], Bools]

OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A column, such as `value` or `rate`."""

    name: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left op right` with + - * /."""

    op: str
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`; never true when a side is NaN."""

    op: str
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds."""

    parts: tuple[Condition, ...]


Term = Number | Name | Arithmetic
Condition = Compare | Every | Some


def negated(condition: Condition) -> Condition:
    """Return the condition that is true exactly where this one is known to be false."""
    if isinstance(condition, Compare):
        return Compare(OPPOSITE[condition.op], condition.left, condition.right)
    parts = tuple(negated(part) for part in condition.parts)
    return Some(parts) if isinstance(condition, Every) else Every(parts)


def arithmetic(op: str, left: Floats | float, right: Floats | float) -> Floats:
    """Compute one operation on arrays or numbers; x/0 is infinite or NaN, never an exception."""
    a, b = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    with np.errstate(all="ignore"):
        if op == "+":
            return np.asarray(a + b)
        if op == "-":
            return np.asarray(a - b)
        if op == "*":
            return np.asarray(a * b)
        return np.asarray(a / b)


def _compare(op: str, a: Floats, b: Floats) -> Bools:
    match op:
        case "<":
            return np.asarray(a < b)
        case "<=":
            return np.asarray(a <= b)
        case ">":
            return np.asarray(a > b)
        case ">=":
            return np.asarray(a >= b)
        case "==":
            return np.asarray(a == b)
        case _:
            return np.asarray((a < b) | (a > b))  # NaN differs from nothing


def _term(term: Term) -> Value:
    if isinstance(term, Number):
        constant = np.asarray(term.value, dtype=np.float64)
        return lambda _: constant
    if isinstance(term, Name):
        name = term.name
        return lambda columns: columns[name]
    op, left, right = term.op, _term(term.left), _term(term.right)
    return lambda columns: arithmetic(op, left(columns), right(columns))


def closure(condition: Condition) -> Test:
    """Return a function from columns of length n to a bool array (length n, or one for a constant condition)."""
    if isinstance(condition, Compare):
        op, left, right = condition.op, _term(condition.left), _term(condition.right)
        return lambda columns: _compare(op, left(columns), right(columns))
    tests = [closure(part) for part in condition.parts]
    if isinstance(condition, Every):
        return lambda columns: np.asarray(np.logical_and.reduce(np.broadcast_arrays(*(t(columns) for t in tests))))
    return lambda columns: np.asarray(np.logical_or.reduce(np.broadcast_arrays(*(t(columns) for t in tests))))


def terms(condition: Condition) -> Iterator[Term]:
    """Yield every term of the tree, operands before what is made of them."""
    if isinstance(condition, Compare):
        for side in (condition.left, condition.right):
            yield from _inside(side)
        return
    for part in condition.parts:
        yield from terms(part)


def _inside(term: Term) -> Iterator[Term]:
    if isinstance(term, Arithmetic):
        yield from _inside(term.left)
        yield from _inside(term.right)
    yield term


def names(condition: Condition) -> frozenset[str]:
    """Return the columns a condition reads."""
    return frozenset(term.name for term in terms(condition) if isinstance(term, Name))
