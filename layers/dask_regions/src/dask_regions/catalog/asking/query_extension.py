"""The query extension: ``{"scenario": {"eq": "A1B"}}``, all of which has to hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dask_regions.catalog.asking.cql2.operands import literal
from dask_regions.catalog.expression import (
    Always,
    And,
    Array,
    Comparison,
    ComparisonOperator,
    Expression,
    In,
    IsNull,
    Like,
    Not,
    Property,
    Value,
)
from dask_regions.catalog.patterns import escape
from dask_regions.catalog.queryables import Queryable, find
from dask_regions.errors import RequestError

__all__ = ["parse_query"]

_COMPARISONS: dict[str, ComparisonOperator] = {
    "eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">=",
}  # fmt: skip
_PATTERNS = {"startsWith": "{}%", "endsWith": "%{}", "contains": "%{}%"}
_OPERATORS = (*_COMPARISONS, *_PATTERNS, "in")
_MAXIMUM_CONDITIONS = 100
_MAXIMUM_VALUES = 1000
_MAXIMUM_TEXT_CHARACTERS = 450


def parse_query(value: Any) -> Expression:
    """Parse the parameter ``query``.

    Of arrays, ``contains`` and ``in`` ask for one of the elements; ``eq`` and ``neq`` of null ask whether
    there is a value.

    Raises
    ------
    RequestError
        Naming ``query``.
    """
    if not isinstance(value, dict):
        raise RequestError("query", 'must be an object, e.g. {"scenario": {"eq": "A1B"}}')
    conditions = tuple(_conditions(value))
    if len(conditions) > _MAXIMUM_CONDITIONS:
        raise RequestError("query", f"has more than {_MAXIMUM_CONDITIONS} conditions; make it shorter")
    return And(conditions) if conditions else Always(value=True)


def _conditions(value: Mapping[str, Any]) -> Iterator[Expression]:
    for name, operators in value.items():
        queryable = find(name, "query")
        if not isinstance(operators, dict) or not operators:
            raise RequestError("query", f'{name} takes an object of operators, e.g. {{"eq": "A1B"}}')
        for operator, wanted in operators.items():
            if operator not in _OPERATORS:
                raise RequestError("query", f"{operator!r} is no operator; there are {', '.join(_OPERATORS)}")
            yield _condition(queryable, operator, wanted)


def _condition(queryable: Queryable, operator: str, wanted: Any) -> Expression:
    named = Property(queryable)
    if wanted is None and operator in ("eq", "neq"):
        return IsNull(named) if operator == "eq" else Not(IsNull(named))
    if operator == "in":
        return _in(named, wanted)
    if queryable.kind == "strings":
        if operator != "contains":
            raise RequestError(
                "query", f"{queryable.name} is an array; it takes contains, in, eq and neq null"
            )
        return Array("a_contains", named, (str(literal(wanted, "string", "query")),))
    if operator in _COMPARISONS:
        return Comparison(_COMPARISONS[operator], named, Value(literal(wanted, queryable.kind, "query")))
    if queryable.kind != "string":
        raise RequestError("query", f"{operator} takes a property that is a string")
    text = str(literal(wanted, "string", "query"))
    if len(text) > _MAXIMUM_TEXT_CHARACTERS:
        raise RequestError("query", f"{operator} takes a text of up to {_MAXIMUM_TEXT_CHARACTERS} characters")
    return Like(named, _PATTERNS[operator].format(escape(text)))


def _in(named: Property, wanted: Any) -> Expression:
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= _MAXIMUM_VALUES:
        raise RequestError("query", f"in takes a list of 1 to {_MAXIMUM_VALUES} values")
    kind = named.queryable.kind
    if kind == "strings":
        return Array("a_overlaps", named, tuple(str(literal(entry, "string", "query")) for entry in wanted))
    return In(named, tuple(literal(entry, kind, "query") for entry in wanted))
