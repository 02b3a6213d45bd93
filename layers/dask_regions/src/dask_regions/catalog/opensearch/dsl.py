"""An expression as a query of OpenSearch, all of it in filter context.

Lucene knows two values, an expression three. So each node has two translations, *is true* and *is false*;
what is neither is unknown. ``not`` swaps the two, and only a predicate has to say what *false* is:
the property is there, and does not match.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dask_regions.catalog.expression import (
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
    Or,
    Property,
    Scalar,
    Spatial,
    SpatialOperator,
    Text,
    Value,
)
from dask_regions.catalog.opensearch import scripts
from dask_regions.catalog.opensearch.fields import FOLDED, SIZES, field_of
from dask_regions.catalog.patterns import characters
from dask_regions.catalog.timestamps import microseconds
from dask_regions.errors import RequestError

__all__ = ["Query", "Select", "to_query"]

Query = dict[str, Any]
#: Returns the digests of the geometries for which a spatial operator holds.
Select = Callable[[SpatialOperator, Mapping[str, Any]], Sequence[str]]

_ALL: Query = {"match_all": {}}
_NONE: Query = {"match_none": {}}
_RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_COMPLEMENTS = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# OpenSearch's limits: values of one ``terms``, and clauses of a whole query (ranges count up to three times).
_MAXIMUM_TERMS = 60_000
_MAXIMUM_CLAUSES = 1000
_WEIGHTS = {
    "term": 1, "terms": 1, "exists": 1, "script": 1, "wildcard": 1, "match_phrase": 1, "range": 3,
}  # fmt: skip
# Beyond these the automaton of a pattern may outgrow what Lucene allows.
_MAXIMUM_WILDCARDS = 6
_MAXIMUM_PATTERN = 200
# Any whole number of a catalog is nearer to zero.
_BEYOND_WHOLE_NUMBERS = 1 << 60


def to_query(expression: Expression, select: Select) -> Query:
    """Return the query for the Items for which an expression is true.

    Raises
    ------
    RequestError
        Naming ``filter``, where it has more conditions than OpenSearch takes.
    """
    query = _walk(expression, True, select)
    if _clauses(query) > _MAXIMUM_CLAUSES:
        raise RequestError("filter", "has more conditions than the catalog can test at once; make it shorter")
    return query


def _walk(expression: Expression, wanted: bool, select: Select) -> Query:
    match expression:
        case Always(value):
            return _ALL if value is wanted else _NONE
        case Not(part):
            return _walk(part, not wanted, select)
        case And(parts) | Or(parts):
            queries = [_walk(part, wanted, select) for part in parts]
            return _all(queries) if isinstance(expression, And) is wanted else _any(queries)
        case IsNull(operand):
            exists = _exists(operand)
            return _no(exists) if wanted else exists
        case Comparison():
            return _comparison(expression, wanted)
        case Text(phrases):
            matches = _any({"match_phrase": {"words": " ".join(phrase)}} for phrase in phrases)
            return matches if wanted else _no(matches)
        case Spatial(operator, geometry):
            matches = _terms("geometry", select(operator, geometry))
            return matches if wanted else _without({"exists": {"field": "geometry"}}, matches)
        case In(operand) | Like(operand) | Array(_, operand):
            matches = _matches(expression)
            return matches if wanted else _without(_exists(operand), matches)
    raise AssertionError(f"{expression!r} is no expression")


def _matches(expression: In | Like | Array) -> Query:
    match expression:
        case In(operand, values):
            return _terms(_field(operand), _literals(operand, values))
        case Like(operand, pattern):
            return _like(_field(operand), pattern)
        case Array("a_overlaps", operand, values):
            return _terms(_field(operand), values)
        case Array("a_contains", operand, values):
            return _all([_exists(operand), *_each(operand, values)])
        case Array("a_equals", operand, values):
            return _all([_sized(operand, len(set(values))), *_each(operand, values)])
        case Array(_, operand, values):
            return _contained(operand, values)


def _comparison(comparison: Comparison, wanted: bool) -> Query:
    left, right, operator = comparison.left, comparison.right, str(comparison.operator)
    if not wanted:
        operator = _COMPLEMENTS[operator]
    if isinstance(left, Value):
        left, right, operator = right, left, _MIRRORED[operator]
    assert not isinstance(left, Value), "at least one side is a property"
    if not isinstance(right, Value):
        text = _property(left).queryable.kind == "string"
        return scripts.compare(operator, "text" if text else "number", _field(left), _field(right))
    if _property(left).queryable.kind == "integer":
        return _whole(left, operator, right.value)
    return _compared(left, operator, _literal(left, right.value))


def _compared(operand: Property | CaseFolded, operator: str, value: Scalar) -> Query:
    if operator in _RANGES:
        return {"range": {_field(operand): {_RANGES[operator]: value}}}
    equal = {"term": {_field(operand): {"value": value}}}
    return equal if operator == "=" else _without(_exists(operand), equal)


def _whole(operand: Property | CaseFolded, operator: str, value: Scalar) -> Query:
    """Compare a whole number with any: where that has a fraction, the whole numbers beside it decide."""
    assert not isinstance(value, str), "the query model compares numbers with numbers"
    value = max(-_BEYOND_WHOLE_NUMBERS, min(_BEYOND_WHOLE_NUMBERS, value))
    below = math.floor(value)
    if value == below:
        return _compared(operand, operator, below)
    if operator in ("=", "<>"):
        return _NONE if operator == "=" else _exists(operand)
    return _compared(operand, "<=" if operator in ("<", "<=") else ">", below)


def _like(field: str, pattern: str) -> Query:
    parts = _parsed(pattern)
    if all(part >= 0 for part in parts):
        return {"term": {field: {"value": "".join(map(chr, parts))}}}
    if len(parts) > _MAXIMUM_PATTERN or sum(part < 0 for part in parts) > _MAXIMUM_WILDCARDS:
        return scripts.fits(field, parts)
    special = {-1: "*", -2: "?"}
    text = "".join(special.get(part) or _escaped(chr(part)) for part in parts)
    return {"wildcard": {field: {"value": text}}}


def _parsed(pattern: str) -> list[int]:
    """Return a pattern's code points, with -1 for any characters and -2 for one."""
    wildcards = {"%": -1, "_": -2}
    return [
        wildcards[character] if wildcard else ord(character) for character, wildcard in characters(pattern)
    ]


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "*?\\" else character


def _each(operand: Property, values: Iterable[str]) -> list[Query]:
    return [{"term": {_field(operand): {"value": value}}} for value in sorted(set(values))]


def _sized(operand: Property, size: int) -> Query:
    return {"term": {f"{SIZES}.{operand.queryable.name}": {"value": size}}}


def _contained(operand: Property, values: Sequence[str]) -> Query:
    """Find arrays all of whose values are among these: as many of them match as there are."""
    empty = _sized(operand, 0)
    if not values:
        return empty
    size = f"{SIZES}.{operand.queryable.name}"
    matched = {"terms": sorted(set(values)), "minimum_should_match_field": size}
    return _any([empty, {"terms_set": {_field(operand): matched}}])


def _literals(operand: Property | CaseFolded, values: Sequence[Scalar]) -> list[Scalar]:
    if _property(operand).queryable.kind != "integer":
        return [_literal(operand, value) for value in values]
    return [int(value) for value in values if value == int(value) and abs(int(value)) < _BEYOND_WHOLE_NUMBERS]


def _literal(operand: Property | CaseFolded, value: Scalar) -> Scalar:
    if _property(operand).queryable.kind != "timestamp":
        return value
    assert isinstance(value, str), "the query model writes timestamps as text"
    return microseconds(value)


def _property(operand: Property | CaseFolded) -> Property:
    return operand.operand if isinstance(operand, CaseFolded) else operand


def _field(operand: Property | CaseFolded) -> str:
    if isinstance(operand, CaseFolded):
        return f"{FOLDED}.{operand.operand.queryable.name}"
    return field_of(operand.queryable)


def _exists(operand: Property | CaseFolded) -> Query:
    queryable = _property(operand).queryable
    # To OpenSearch an empty array is none at all; its size is there.
    array = queryable.kind == "strings"
    return {"exists": {"field": f"{SIZES}.{queryable.name}" if array else field_of(queryable)}}


def _terms(field: str, values: Sequence[Scalar]) -> Query:
    ranges = range(0, len(values), _MAXIMUM_TERMS)
    return _any([{"terms": {field: list(values[start : start + _MAXIMUM_TERMS])}} for start in ranges])


def _all(queries: Sequence[Query]) -> Query:
    return queries[0] if len(queries) == 1 else {"bool": {"filter": list(queries)}}


def _any(queries: Iterable[Query]) -> Query:
    queries = list(queries)
    if len(queries) < 2:
        return queries[0] if queries else _NONE
    return {"bool": {"should": queries, "minimum_should_match": 1}}


def _no(query: Query) -> Query:
    return {"bool": {"must_not": [query]}}


def _without(query: Query, excluded: Query) -> Query:
    return {"bool": {"filter": [query], "must_not": [excluded]}}


def _clauses(query: Any) -> int:
    """Return how many clauses Lucene counts in a query, at most."""
    if isinstance(query, list):
        return sum(map(_clauses, query))
    if not isinstance(query, dict):
        return 0
    total = 0
    for name, content in query.items():
        if name == "terms_set":
            total += sum(len(entry["terms"]) for entry in content.values())
        else:
            total += _WEIGHTS.get(name) or _clauses(content)
    return total
