"""The language of `when` and `clear`: text of the configuration → checked tree (`rules.expression`).

A closed grammar: Python's parser gives the nodes, a closed list says which of them exist; nothing is ever evaluated
as Python. Comparisons (also chained), `and`, `or`, `not`, + - * /, numbers, the names of the rule's kind, and quoted
text, which is a label of a state point (`value == "open"`) or a number with its unit (`value > "25 %[LEL]"`). Every
refusal says where, what is wrong and how to mend it.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.errors import ConfigError
from gateway.model.words import nearest
from rules.expression import Arithmetic, Compare, Condition, Every, Name, Number, Some, Term, arithmetic, negated

LONGEST = 500  # characters
DEEPEST = 30  # nested nodes
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S+)\s*")
_GRAMMAR = "write comparisons such as `value > 10`, joined by and, or, not"
# What people write → UCUM.
_SPELLINGS = {"%LEL": "%[LEL]", "ppm": "[ppm]", "°C": "Cel", "℃": "Cel", "K/s": "Cel/s", "K/min": "Cel/min"}


class ExpressionError(ConfigError):
    """A condition that is no condition. `position` counts characters from 1."""

    def __init__(self, position: int, reason: str, fix: str) -> None:
        super().__init__(f"at character {position}: {reason}; {fix}")
        self.position = position
        self.reason = reason
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Scope:
    """What a condition may name at one point: columns with their UCUM units, labels with their numbers."""

    units: Mapping[str, str]
    labels: Mapping[str, float] = field(default_factory=dict)


def parse(text: str, scope: Scope) -> Condition:
    """Return the checked tree of a condition; ExpressionError with place, reason and fix otherwise."""
    if len(text) > LONGEST:
        raise ExpressionError(LONGEST, "the condition is too long", f"keep it below {LONGEST} characters")
    body = text.strip()
    lead = len(text) - len(text.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes and `1if`: refused below by their nodes
            tree = ast.parse(body, mode="eval")
    except SyntaxError as error:
        raise ExpressionError(
            lead + (error.offset or len(body) + 1), f"not a condition ({error.msg})", _GRAMMAR
        ) from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise ExpressionError(1, f"not a condition ({error})", _GRAMMAR) from None
    try:
        return _Reader(scope).condition(tree.body, 0)
    except ExpressionError as error:  # the parser counts bytes, people count characters
        before = body.encode()[: error.position - 1].decode(errors="ignore")
        raise ExpressionError(lead + len(before) + 1, error.reason, error.fix) from None


def canonical(unit: str) -> str:
    """Return the UCUM spelling of a unit."""
    return _SPELLINGS.get(unit, unit)


def suggest(word: str, known: Sequence[str]) -> str:
    """Return `did you mean "…"?` or the list of what is known."""
    close = nearest(word, known)
    if close:
        return f'did you mean "{close}"?'
    return "known: " + (", ".join(sorted(known)[:12]) or "none")


def _place(node: ast.AST) -> int:
    return int(getattr(node, "col_offset", 0)) + 1


@dataclass(frozen=True, slots=True)
class _Reader:
    scope: Scope

    def condition(self, node: ast.expr, depth: int) -> Condition:
        if depth > DEEPEST:
            raise ExpressionError(_place(node), "nested too deeply", "split the rule in two")
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.condition(part, depth + 1) for part in node.values)
            return Every(parts) if isinstance(node.op, ast.And) else Some(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return negated(self.condition(node.operand, depth + 1))
        if isinstance(node, ast.Compare):
            return self._chain(node, depth + 1)
        raise ExpressionError(_place(node), f"{_what(node)} is no condition", _GRAMMAR)

    def _chain(self, node: ast.Compare, depth: int) -> Condition:
        sides = [node.left, *node.comparators]
        parts: list[Condition] = []
        for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
            word = _COMPARE.get(type(op))
            if word is None:
                raise ExpressionError(_place(right), "not a comparison", "use < <= > >= == !=")
            parts.append(Compare(word, self._side(left, right, word, depth), self._side(right, left, word, depth)))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _side(self, node: ast.expr, other: ast.expr, op: str, depth: int) -> Term:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._text(node, node.value, other, op)
        return self._term(node, depth)

    def _text(self, node: ast.expr, text: str, other: ast.expr, op: str) -> Term:
        if text in self.scope.labels:
            if op not in ("==", "!="):
                raise ExpressionError(_place(node), f'label "{text}" has no order', "use == or !=")
            return Number(self.scope.labels[text])
        found = _QUANTITY.fullmatch(text)
        if found is None:
            fix = suggest(text, list(self.scope.labels)) if self.scope.labels else "write a number, or one with a unit"
            raise ExpressionError(_place(node), f'unknown label "{text}"', fix)
        if not isinstance(other, ast.Name) or other.id not in self.scope.units:
            raise ExpressionError(_place(node), f'"{text}" is compared with no name', "compare a name with a quantity")
        unit = self.scope.units[other.id]
        if canonical(found[2]) != canonical(unit):
            fix = f'write it in "{unit}"' if unit else "leave the unit out"
            raise ExpressionError(_place(node), f'wrong unit "{found[2]}": {other.id} is in "{unit}"', fix)
        return Number(float(found[1]))

    def _term(self, node: ast.expr, depth: int) -> Term:
        if depth > DEEPEST:
            raise ExpressionError(_place(node), "nested too deeply", "split the rule in two")
        if isinstance(node, ast.Constant):
            return _number(node)
        if isinstance(node, ast.Name):
            if node.id not in self.scope.units:
                raise ExpressionError(
                    _place(node), f'unknown name "{node.id}"', suggest(node.id, list(self.scope.units))
                )
            return Name(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            inner = self._term(node.operand, depth + 1)
            return inner if isinstance(node.op, ast.UAdd) else _fold(Arithmetic("-", Number(0.0), inner), node)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            left, right = self._term(node.left, depth + 1), self._term(node.right, depth + 1)
            return _fold(Arithmetic(_ARITHMETIC[type(node.op)], left, right), node)
        raise ExpressionError(_place(node), f"{_what(node)} has no place here", "use numbers, names and + - * /")


def _number(node: ast.Constant) -> Number:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise ExpressionError(_place(node), f"{node.value!r} is no number", "write a number")
    try:
        number = float(node.value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ExpressionError(_place(node), "the number is too large", "write a number a device can send")
    return Number(number)


def _fold(term: Arithmetic, node: ast.expr) -> Term:
    """Compute what is constant, so that the analysis sees `value > 2 * 5` as `value > 10`."""
    if not (isinstance(term.left, Number) and isinstance(term.right, Number)):
        return term
    result = float(arithmetic(term.op, term.left.value, term.right.value))
    if not math.isfinite(result):
        raise ExpressionError(_place(node), "the result is no number", "do not divide by zero")
    return Number(result)


def _what(node: ast.expr) -> str:
    words: dict[type[ast.expr], str] = {
        ast.Call: "a call",
        ast.Attribute: "an attribute",
        ast.Constant: "a constant",
        ast.Name: "a bare name",
        ast.BinOp: "this arithmetic",
        ast.IfExp: "if … else",
        ast.Lambda: "a lambda",
    }
    return words.get(type(node), f"{type(node).__name__}")
