"""Temporal functions of CQL2, turned into comparisons of the ends of instants and intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from dask_regions.catalog.asking.cql2.operands import arguments_of, instant
from dask_regions.catalog.expression import (
    COMPARISONS,
    Always,
    And,
    Comparison,
    ComparisonOperator,
    Expression,
    Or,
    Property,
    Value,
)
from dask_regions.catalog.queryables import find
from dask_regions.catalog.timestamps import EARLIEST, LATEST, parse_timestamp
from dask_regions.errors import RequestError

__all__ = ["TEMPORAL", "compare", "temporal"]

#: An open end: minus or plus infinity.
_End: TypeAlias = "Property | Value | float"

# For arguments a and b, each condition is an end of a, the operator, and an end of b; all have to hold.
# The source is OGC 21-065r2 (CQL2), annex "temporal functions".
_CONDITIONS: dict[str, tuple[tuple[str, ComparisonOperator, str], ...]] = {
    "t_after": (("start", ">", "end"),),
    "t_before": (("end", "<", "start"),),
    "t_contains": (("start", "<", "start"), ("end", ">", "end")),
    "t_during": (("start", ">", "start"), ("end", "<", "end")),
    "t_equals": (("start", "=", "start"), ("end", "=", "end")),
    "t_finishedBy": (("start", "<", "start"), ("end", "=", "end")),
    "t_finishes": (("start", ">", "start"), ("end", "=", "end")),
    "t_intersects": (("start", "<=", "end"), ("end", ">=", "start")),
    "t_meets": (("end", "=", "start"),),
    "t_metBy": (("start", "=", "end"),),
    "t_overlappedBy": (("start", ">", "start"), ("start", "<", "end"), ("end", ">", "end")),
    "t_overlaps": (("start", "<", "start"), ("end", ">", "start"), ("end", "<", "end")),
    "t_startedBy": (("start", "=", "start"), ("end", ">", "end")),
    "t_starts": (("start", "=", "start"), ("end", "<", "end")),
}
#: All temporal functions.
TEMPORAL = frozenset({*_CONDITIONS, "t_disjoint"})
_SWAPPED: dict[ComparisonOperator, ComparisonOperator] = {
    "<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>",
}  # fmt: skip


class _Span(NamedTuple):
    start: _End
    end: _End


def temporal(expression: Mapping[str, Any]) -> Expression:
    """Return a temporal function as comparisons; an instant is an interval that ends where it starts.

    Raises
    ------
    RequestError
        Naming ``filter``.
    """
    operator = expression["op"]
    first, second = (_span(argument) for argument in arguments_of(expression, 2))
    if operator == "t_disjoint":
        return Or((compare("<", first.end, second.start), compare(">", first.start, second.end)))
    parts = tuple(
        compare(comparison, getattr(first, mine), getattr(second, other))
        for mine, comparison, other in _CONDITIONS[operator]
    )
    return And(parts) if len(parts) > 1 else parts[0]


def compare(operator: ComparisonOperator, left: _End, right: _End) -> Expression:
    """Compare two values; literals and open ends are decided here and now."""
    if isinstance(left, Property):
        return (
            _bounded(operator, left, right) if isinstance(right, float) else Comparison(operator, left, right)
        )
    if isinstance(right, Property):
        return compare(_SWAPPED[operator], right, left)
    return Always(_holds(operator, _rank(left), _rank(right)))


def _bounded(operator: ComparisonOperator, value: Property, infinity: float) -> Expression:
    # The outcome is no Always: without a value it is unknown.
    holds = _holds(operator, (0, ""), (infinity, ""))
    if infinity > 0:
        return Comparison("<=" if holds else ">", value, Value(LATEST))
    return Comparison(">=" if holds else "<", value, Value(EARLIEST))


def _rank(end: Value | float) -> tuple[float, str]:
    return (0, str(end.value)) if isinstance(end, Value) else (end, "")


def _holds(operator: ComparisonOperator, left: tuple[float, str], right: tuple[float, str]) -> bool:
    return COMPARISONS[operator](left, right)


def _span(argument: Any) -> _Span:
    match argument:
        case {"interval": [start, end]}:
            span = _Span(_end(start, -math.inf), _end(end, math.inf))
            if not isinstance(compare(">", *span), Always) or compare(">", *span) == Always(value=False):
                return span
            raise RequestError(
                "filter", f"the interval {json.dumps(argument['interval'])} ends before it starts"
            )
        case {"interval": _}:
            raise RequestError("filter", "an interval has two ends")
        case {"date": str(day)}:
            # As cql2 has it: a date is all of its day, but as an end of an interval it is midnight.
            midnight = instant(argument, "filter")
            return _Span(Value(midnight), Value(parse_timestamp(f"{day}T23:59:59.999999Z", "filter")))
    end = _end(argument, None)
    return _Span(end, end)


def _end(argument: Any, infinity: float | None) -> _End:
    if infinity is not None and argument == "..":
        return infinity
    match argument:
        case {"property": str(name)}:
            queryable = find(name, "filter")
            if queryable.kind != "timestamp":
                raise RequestError("filter", f"{name} is no timestamp; temporal functions take those only")
            return Property(queryable)
    return Value(instant(argument, "filter"))
