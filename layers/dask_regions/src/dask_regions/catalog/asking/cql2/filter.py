"""CQL2 filters: parsed by the ``cql2`` package, then made :mod:`~dask_regions.catalog.expression` trees.

The logic is SQL's, with three values: what is unknown, because a property is missing or null, is not
selected. ``cql2``'s own ``matches()`` agrees wherever it answers, except that it raises where the outcome is
unknown; compares timestamps that are plain text as text, whatever their offset and precision; and takes a
``BBOX`` across the antimeridian for the box around the other side of the globe. What is not supported is
refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, cast

import cql2

from dask_regions.catalog import geometry
from dask_regions.catalog.asking.cql2.operands import arguments_of, kind_of, literal, operand
from dask_regions.catalog.asking.cql2.temporal import TEMPORAL, temporal
from dask_regions.catalog.expression import (
    COMPARISONS,
    Always,
    And,
    Array,
    ArrayOperator,
    Comparison,
    ComparisonOperator,
    Expression,
    In,
    IsNull,
    Like,
    Not,
    Operand,
    Or,
    Property,
    Scalar,
    Spatial,
    SpatialOperator,
    Value,
)
from dask_regions.catalog.queryables import GEOMETRY, find
from dask_regions.errors import RequestError
from dask_regions.words import fold

__all__ = ["CONFORMANCE", "Filter", "checked", "parse", "parse_filter"]

#: Conformance classes of CQL2 that are supported: the last part of their URI.
CONFORMANCE = (
    "cql2-text",
    "cql2-json",
    "basic-cql2",
    "advanced-comparison-operators",
    "case-insensitive-comparison",
    "basic-spatial-functions",
    "basic-spatial-functions-plus",
    "spatial-functions",
    "temporal-functions",
    "array-functions",
    "property-property",
)

# The parser is recursive and native: without a bound, nesting can overflow the stack of the process.
_MAXIMUM_TERMS = 500
_MAXIMUM_NESTING_LEVELS = 16
# Each parenthesis may double the time that the parser takes to find out that its inside makes no sense.
_MAXIMUM_PARENTHESES = 10
# One filter in JSON may have so many: enough for 500 comparisons (a bare true or false counts as two).
_MAXIMUM_VALUES = 1600
# OpenSearch refuses longer patterns.
_PATTERN_CHARACTERS = 1_000
# Each spatial function is compared with every distinct geometry there is.
_MAXIMUM_SPATIAL_FUNCTIONS = 20
_NUMBER = r"[+-]?\d+(?:\.\d*)?"
# Coordinates of WKT nest no deeper, however many they are.
_COORDINATES = re.compile(rf"\(\s*{_NUMBER}(?:[\s,]+{_NUMBER})*\s*\)", re.ASCII)

_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
# The operators that mean something else when their operands are swapped.
_CONVERSE = {
    "s_contains": "s_within", "s_within": "s_contains",
    "a_contains": "a_containedBy", "a_containedBy": "a_contains",
}  # fmt: skip


class Filter(NamedTuple):
    """A filter that is not parsed yet: text for ``cql2-text``, decoded JSON for ``cql2-json``."""

    value: Any
    language: str


def parse_filter(given: Filter) -> Expression:
    """Parse a filter; see :func:`parse`."""
    return parse(given.value, given.language)


def checked(language: Any) -> str:
    """Return the language of a filter.

    Raises
    ------
    RequestError
        Naming ``filter-lang``.
    """
    if language not in ("cql2-text", "cql2-json"):
        raise RequestError("filter-lang", f"{language!r} is not supported; use cql2-text or cql2-json")
    return str(language)


def parse(value: Any, language: str) -> Expression:
    """Parse a filter and check that it can be answered.

    Parameters
    ----------
    value
        Text for ``cql2-text``; decoded JSON for ``cql2-json``.
    language
        ``cql2-text`` or ``cql2-json``.

    Raises
    ------
    RequestError
        Naming ``filter`` or ``filter-lang``.

    Examples
    --------
    >>> parse("1900 < year", "cql2-text").operator
    '<'
    """
    try:
        if checked(language) == "cql2-text":
            parsed = cql2.parse_text(_bounded(value))
        else:
            parsed = cql2.parse_json(json.dumps(_object(value)))
        tree: Any = parsed.to_json()
    except cql2.ParseError as error:
        raise RequestError("filter", f"is not valid {language}: {error}") from error
    if _spatial_functions(tree) > _MAXIMUM_SPATIAL_FUNCTIONS:
        raise RequestError(
            "filter", f"has more than {_MAXIMUM_SPATIAL_FUNCTIONS} spatial functions; make it shorter"
        )
    return _condition(tree)


def _bounded(value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError("filter", "must be text; set filter-lang to cql2-json for an object")
    # Both kinds of quotes are taken at once: an apostrophe in a quoted name opens no literal.
    unquoted = _COORDINATES.sub("()", re.sub(r"'[^']*'|\"[^\"]*\"", "", value))
    if len(re.findall(r"[\w.]+|[^\w\s,]", unquoted)) > _MAXIMUM_TERMS:
        raise RequestError("filter", f"has more than {_MAXIMUM_TERMS} terms; make it shorter")
    open_ones = accumulate(1 if character == "(" else -1 for character in unquoted if character in "()")
    if max(open_ones, default=0) > _MAXIMUM_PARENTHESES:
        raise RequestError(
            "filter",
            f"has more than {_MAXIMUM_PARENTHESES} nested parentheses; leave some out, or use cql2-json",
        )
    return value


def _object(value: Any) -> Any:
    if not isinstance(value, (dict, bool)):
        raise RequestError("filter", "must be an object; set filter-lang to cql2-text for text")
    if _count(value) > _MAXIMUM_VALUES:
        raise RequestError("filter", f"has more than {_MAXIMUM_VALUES} values; make it shorter")
    return value


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_count(child) for name, child in value.items() if name != "coordinates") or 1
    children = value if isinstance(value, list) else ()
    return sum(map(_count, children)) or (2 if isinstance(value, bool) else 1)


def _spatial_functions(tree: Any) -> int:
    if not isinstance(tree, dict):
        return 0
    arguments = tree.get("args")
    children = arguments if isinstance(arguments, list) else ()
    return str(tree.get("op")).startswith("s_") + sum(map(_spatial_functions, children))


def _condition(expression: Any, depth: int = 0) -> Expression:
    if isinstance(expression, bool):
        return Always(expression)
    if not isinstance(expression, dict) or "op" not in expression:
        raise _unsupported(f"{json.dumps(expression)[:200]} as a condition")
    if depth > _MAXIMUM_NESTING_LEVELS:
        raise RequestError("filter", f"is nested deeper than {_MAXIMUM_NESTING_LEVELS}; make it flatter")
    operator, arguments = expression["op"], expression.get("args")
    if not isinstance(arguments, list):
        raise RequestError("filter", f"{operator} takes a list of arguments")
    if operator in ("and", "or"):
        return _combination(operator, arguments, depth)
    if operator == "not":
        (negated,) = arguments_of(expression, 1)
        return Not(_condition(negated, depth + 1))
    if operator not in _PREDICATES:
        raise _unsupported(f"the operator {operator}")
    return _PREDICATES[operator](expression)


def _combination(operator: str, arguments: Sequence[Any], depth: int) -> Expression:
    if not 1 <= len(arguments) <= _MAXIMUM_TERMS:
        raise RequestError("filter", f"{operator} takes 1 to {_MAXIMUM_TERMS} arguments")
    parts = tuple(_condition(argument, depth + 1) for argument in arguments)
    return And(parts) if operator == "and" else Or(parts)


def _comparison(expression: Mapping[str, Any]) -> Expression:
    left, right = _alike(expression["op"], arguments_of(expression, 2))
    return _compared(expression["op"], left, right)


def _between(expression: Mapping[str, Any]) -> Expression:
    match expression.get("args"):
        # Drafts of CQL2 nested the bounds, and clients still do.
        case [value, [low, high]]:
            expression = {**expression, "args": [value, low, high]}
    value, low, high = _alike("between", arguments_of(expression, 3))
    return And((_compared(">=", value, low), _compared("<=", value, high)))


def _compared(operator: ComparisonOperator, left: Operand, right: Operand) -> Expression:
    if isinstance(left, Value) and isinstance(right, Value):
        return Always(COMPARISONS[operator](left.value, right.value))
    return Comparison(operator, left, right)


def _in(expression: Mapping[str, Any]) -> Expression:
    value, options = arguments_of(expression, 2)
    if not isinstance(options, list) or not 1 <= len(options) <= _MAXIMUM_TERMS:
        raise RequestError("filter", f"in takes a list of 1 to {_MAXIMUM_TERMS} values")
    left, *rest = _alike("in", [value, *options])
    literals = tuple(option.value for option in rest if isinstance(option, Value))
    if isinstance(left, Value) or len(literals) < len(rest):
        return Or(tuple(_compared("=", left, option) for option in rest))
    return In(left, literals)


def _like(expression: Mapping[str, Any]) -> Expression:
    value, pattern = arguments_of(expression, 2)
    casei = isinstance(pattern, dict) and pattern.get("op") == "casei"
    if casei:
        (pattern,) = arguments_of(pattern, 1)
    if not isinstance(pattern, str):
        raise _unsupported("like with anything but a text as its pattern")
    if kind_of(value) != "string":
        raise RequestError("filter", "like takes a property that is a string")
    if len(pattern) > _PATTERN_CHARACTERS:
        raise RequestError("filter", f"like takes a pattern of up to {_PATTERN_CHARACTERS} characters")
    subject = operand(value, "string")
    if isinstance(subject, Value):
        raise RequestError("filter", "like takes a property that is a string")
    return Like(subject, fold(pattern) if casei else pattern)


def _is_null(expression: Mapping[str, Any]) -> Expression:
    (argument,) = arguments_of(expression, 1)
    match argument:
        case {"property": str(name)}:
            return IsNull(Property(find(name, "filter")))
    raise RequestError("filter", f"isNull takes a property, not {json.dumps(argument)[:200]}")


def _array(expression: Mapping[str, Any]) -> Expression:
    operator, (named, wanted) = expression["op"], arguments_of(expression, 2)
    if isinstance(wanted, dict):
        named, wanted, operator = wanted, named, _CONVERSE.get(operator, operator)
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if kind_of(named) != "strings" or not isinstance(wanted, list):
        raise RequestError("filter", f"{operator} takes an array property and a list of texts")
    values: list[Scalar] = [literal(entry, "string", "filter") for entry in wanted]
    return Array(
        cast("ArrayOperator", operator),
        Property(find(named["property"], "filter")),
        tuple(dict.fromkeys(map(str, values))),
    )


def _spatial(expression: Mapping[str, Any]) -> Expression:
    operator, (named, wanted) = expression["op"], arguments_of(expression, 2)
    if wanted == {"property": GEOMETRY}:
        named, wanted, operator = wanted, named, _CONVERSE.get(operator, operator)
    if named != {"property": GEOMETRY} or not isinstance(wanted, dict) or "property" in wanted:
        raise RequestError("filter", f"{operator} takes the property {GEOMETRY} and a geometry")
    return Spatial(cast("SpatialOperator", operator), geometry.parse(wanted, "filter"))


_PREDICATES: dict[str, Callable[[Mapping[str, Any]], Expression]] = {
    **dict.fromkeys(("=", "<>", "<", "<=", ">", ">="), _comparison),
    "between": _between,
    "in": _in,
    "like": _like,
    "isNull": _is_null,
    **dict.fromkeys(("a_contains", "a_containedBy", "a_equals", "a_overlaps"), _array),
    **dict.fromkeys(
        (
            "s_intersects", "s_contains", "s_crosses", "s_disjoint",
            "s_equals", "s_overlaps", "s_touches", "s_within",
        ),
        _spatial,
    ),
    **dict.fromkeys(sorted(TEMPORAL), temporal),
}  # fmt: skip


def _alike(operator: str, arguments: Sequence[Any]) -> list[Operand]:
    """Return operands of one kind; literals take the kind of what they are compared with."""
    kinds = [kind for argument in arguments if (kind := kind_of(argument)) is not None]
    if "strings" in kinds:
        raise RequestError("filter", f"{operator} compares no arrays; use a_contains")
    properties = [
        kind
        for argument in arguments
        if isinstance(argument, dict) and (kind := kind_of(argument)) is not None
    ]
    common = (properties or kinds or ["string"])[0]
    return [operand(argument, common) for argument in arguments]


def _unsupported(what: str) -> RequestError:
    return RequestError(
        "filter", f"{what} is not supported; there are and, or, not, {', '.join(_PREDICATES)} and casei"
    )
