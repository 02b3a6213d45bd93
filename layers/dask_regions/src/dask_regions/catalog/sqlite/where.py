"""An expression as one SQL condition over the table ``item``; SQL's NULL is the logic's unknown.

What costs much per Item (patterns, arrays, geometries) is asked of the distinct values of a column instead,
which are few, and becomes a list of those that fit: that finds Items through the column's index.
"""

# Columns are named by the declared queryables, and values are bound.
# ruff: noqa: S608

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from dask_regions.catalog.expression import (
    ARRAYS,
    Always,
    And,
    Array,
    CaseFolded,
    Comparison,
    Expression,
    In,
    IsNull,
    Like,
    Not,
    Operand,
    Or,
    Property,
    Spatial,
    SpatialOperator,
    Text,
    Value,
)
from dask_regions.catalog.patterns import characters, regular_expression
from dask_regions.catalog.queryables import Queryable
from dask_regions.catalog.sqlite.schema import CASEI, column, to_sql_value
from dask_regions.words import fold

__all__ = ["Dictionary", "Sql", "conjunction", "where"]

# SQLite binds a limited number of values; a longer list is one value.
_MAXIMUM_BOUND = 100


class Sql(NamedTuple):
    """A piece of SQL and the values of its question marks, in order."""

    text: str
    values: tuple[Any, ...] = ()


class Dictionary(Protocol):
    """The distinct values of a generation."""

    def texts(self, name: str) -> Sequence[str] | None:
        """Return those of a queryable, as its column has them; None where they are many."""

    def with_words(self, phrases: Sequence[Sequence[str]]) -> str:
        """Return the condition that an Item holds any of these phrases; it has no text of theirs."""

    def geometries(self, operator: SpatialOperator, geometry: Mapping[str, Any]) -> tuple[Sequence[int], int]:
        """Return the numbers of the geometries that fit, and how many there are in all."""


def where(expression: Expression, dictionary: Dictionary) -> Sql:
    """Return the condition that an Item matches."""
    match expression:
        case Always(value):
            return Sql("1" if value else "0")
        case And(parts):
            return conjunction([where(part, dictionary) for part in parts])
        case Or(parts):
            return _joined("OR", [where(part, dictionary) for part in parts])
        case Not(part):
            text, values = where(part, dictionary)
            return Sql(f"(NOT {text})", values)
        case Comparison(operator, left, right):
            queryable = _queryable(left, right)
            first, second = _operand(left, queryable), _operand(right, queryable)
            return Sql(f"({first.text} {operator} {second.text})", first.values + second.values)
        case IsNull(operand):
            return Sql(f"({column(operand.queryable)} IS NULL)")
        case Text(phrases):
            return Sql(f"({dictionary.with_words(phrases)})")
        case Spatial(operator, geometry):
            numbers, total = dictionary.geometries(operator, geometry)
            return _one_of("geometry", numbers, total)
        case In() | Like() | Array():
            return _of_values(expression, dictionary)


def conjunction(parts: Sequence[Sql]) -> Sql:
    """Return that all conditions hold; of none, that nothing is asked."""
    return _joined("AND", parts) if parts else Sql("1")


def _joined(operator: str, parts: Sequence[Sql]) -> Sql:
    # In halves: SQLite refuses expressions that are nested 1000 deep, and a chain nests to the left.
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    left, right = _joined(operator, parts[:middle]), _joined(operator, parts[middle:])
    return Sql(f"({left.text} {operator} {right.text})", left.values + right.values)


def _queryable(*operands: Operand) -> Queryable:
    for operand in operands:
        if not isinstance(operand, Value):
            return _property(operand).queryable
    raise AssertionError("a comparison of literals is decided when it is parsed")


def _property(operand: Property | CaseFolded) -> Property:
    return operand.operand if isinstance(operand, CaseFolded) else operand


def _operand(operand: Operand, queryable: Queryable) -> Sql:
    match operand:
        case Property(named):
            return Sql(column(named))
        case CaseFolded(inner):
            return Sql(f"{CASEI}({column(inner.queryable)})")
        case Value(value):
            return Sql("?", (to_sql_value(queryable, value),))


def _of_values(expression: In | Like | Array, dictionary: Dictionary) -> Sql:
    queryable = _property(expression.operand).queryable
    if isinstance(expression, In) and isinstance(expression.operand, Property):
        return _in(column(queryable), [to_sql_value(queryable, value) for value in expression.values])
    texts = dictionary.texts(queryable.name)
    if texts is not None:
        fits = _test(expression)
        return _one_of(column(queryable), [text for text in texts if fits(text)], len(texts))
    subject = _operand(expression.operand, queryable)
    match expression:
        case In(values=values):
            return _in(subject.text, list(values))
        case Like(pattern=pattern):
            return Sql(f"({subject.text} GLOB ?)", (_glob(pattern),))
        case Array(operator, _, wanted):
            return _array(operator, subject.text, wanted)


def _test(expression: In | Like | Array) -> Callable[[str], bool]:
    folded = isinstance(expression.operand, CaseFolded)
    match expression:
        case In(values=values):
            return lambda text: (fold(text) if folded else text) in values
        case Like(pattern=pattern):
            regular = regular_expression(pattern)
            return lambda text: regular.fullmatch(fold(text) if folded else text) is not None
        case Array(operator, _, wanted):
            holds = ARRAYS[operator]
            return lambda text: holds(set(json.loads(text)), set(wanted))


def _one_of(name: str, chosen: Sequence[Any], total: int) -> Sql:
    # Unknown without a value, also where none or all of the values there are were chosen.
    if not chosen:
        return Sql(f"({name} <> {name})")
    if len(chosen) == total:
        return Sql(f"({name} = {name})")
    return _in(name, chosen)


def _in(subject: str, values: Sequence[Any]) -> Sql:
    if len(values) == 1:
        return Sql(f"({subject} = ?)", (values[0],))
    if len(values) <= _MAXIMUM_BOUND:
        return Sql(f"({subject} IN ({', '.join('?' * len(values))}))", tuple(values))
    return Sql(f"({subject} IN (SELECT value FROM json_each(?)))", (json.dumps(values, ensure_ascii=False),))


def _glob(pattern: str) -> str:
    # GLOB and not LIKE, which ignores case and is changed for a whole connection only.
    return "".join(
        {"%": "*", "_": "?"}[character] if wildcard else f"[{character}]" if character in "*?[" else character
        for character, wildcard in characters(pattern)
    )


def _array(operator: str, array: str, wanted: Sequence[str]) -> Sql:
    elements = f"SELECT value FROM json_each({array})"
    contains = f"NOT EXISTS (SELECT 1 FROM json_each(?) w WHERE w.value NOT IN ({elements}))"
    contained = f"NOT EXISTS ({elements} WHERE value NOT IN (SELECT value FROM json_each(?)))"
    overlaps = f"EXISTS ({elements} WHERE value IN (SELECT value FROM json_each(?)))"
    text = {
        "a_contains": contains,
        "a_containedBy": contained,
        "a_overlaps": overlaps,
        "a_equals": f"{contains} AND {contained}",
    }[operator]
    # json_each(NULL) is an empty array: without CASE, unknown would become true or false.
    values = (json.dumps(wanted, ensure_ascii=False),) * text.count("?")
    return Sql(f"(CASE WHEN {array} IS NOT NULL THEN {text} END)", values)
