"""CQL2 filters: parsed by the ``cql2`` package, then walked into SQL with bound parameters.

SQL's NULL is CQL2's unknown, so that ``not (scenario = 'A1B')`` leaves out Items without a scenario.
What is not supported is refused by name; nothing from a request becomes SQL text.
"""

# Columns are named by the declared queryables, and values are bound.
# ruff: noqa: S608

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cql2

from dask_regions.catalog.queryables import Kind, find
from dask_regions.catalog.timestamps import parse_timestamp
from dask_regions.errors import RequestError

__all__ = ["CASEI", "Sql", "parse", "to_sql"]

#: Name of the SQL function that a store must offer: its text argument in lower case, NULL for NULL.
CASEI = "casei"
# The parser is recursive and native: without a bound, nesting can overflow the stack of the process.
_MAXIMUM_TERMS = 500
# SQLite's own parser refuses deeper expressions.
_MAXIMUM_DEPTH = 16
# Values of one filter in JSON, enough for 500 comparisons. SQLite's expressions are at most 1000 deep, AND
# nests to the left, and the shortest condition has two values (a bare true or false counts as such).
_MAXIMUM_VALUES = 1600
# SQLite refuses longer patterns than 50,000 bytes, of which UTF-8 and escapes take up to four each.
_MAXIMUM_PATTERN = 10_000

_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})


class Sql(NamedTuple):
    """A piece of SQL and the values of its question marks, in order."""

    text: str
    values: tuple[Any, ...] = ()


class _Value(NamedTuple):
    sql: Sql
    kind: Kind


def parse(value: Any, language: str) -> dict[str, Any] | bool:
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
    >>> parse("scenario = 'A1B'", "cql2-text")
    {'op': '=', 'args': [{'property': 'scenario'}, 'A1B']}
    """
    if language not in ("cql2-text", "cql2-json"):
        raise RequestError("filter-lang", f"{language!r} is not supported; use cql2-text or cql2-json")
    try:
        if language == "cql2-text":
            expression = cql2.parse_text(_bounded(value))
        else:
            expression = cql2.parse_json(json.dumps(_object(value)))
        parsed: dict[str, Any] | bool = expression.to_json()
    except cql2.ParseError as error:
        raise RequestError("filter", f"is not valid {language}: {error}") from error
    to_sql(parsed)
    return parsed


def _bounded(value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError("filter", "must be text; set filter-lang to cql2-json for an object")
    # Both kinds at once: an apostrophe in a quoted name opens no literal.
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", value)
    if len(re.findall(r"[\w.]+|[^\w\s,]", unquoted)) > _MAXIMUM_TERMS:
        raise RequestError("filter", f"has more than {_MAXIMUM_TERMS} terms; make it shorter")
    return value


def _object(value: Any) -> Any:
    if not isinstance(value, (dict, bool)):
        raise RequestError("filter", "must be an object; set filter-lang to cql2-text for text")
    if _count(value) > _MAXIMUM_VALUES:
        raise RequestError("filter", f"has more than {_MAXIMUM_VALUES} values; make it shorter")
    return value


def _count(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_count, children)) or (2 if isinstance(value, bool) else 1)


def to_sql(expression: Any, depth: int = 0) -> Sql:
    """Return the SQL condition, over the columns of :mod:`~dask_regions.catalog.queryables`.

    Raises
    ------
    RequestError
        Naming ``filter``: an operator that is not supported, or a property that is no queryable.
    """
    if isinstance(expression, bool):
        return Sql("1" if expression else "0")
    if not isinstance(expression, dict) or "op" not in expression:
        raise _unsupported(f"{json.dumps(expression)} as a condition")
    if depth > _MAXIMUM_DEPTH:
        raise RequestError("filter", f"is nested deeper than {_MAXIMUM_DEPTH}; make it flatter")
    operator, arguments = expression["op"], expression.get("args")
    if not isinstance(arguments, list):
        raise RequestError("filter", f"{operator} takes a list of arguments")
    if operator in ("and", "or"):
        return _combination(operator, arguments, depth)
    if operator == "not":
        (negated,) = _arguments(operator, arguments, 1)
        text, values = to_sql(negated, depth + 1)
        return Sql(f"(NOT {text})", values)
    if operator in _COMPARISONS:
        return _comparison(operator, arguments)
    if operator not in _PREDICATES:
        raise _unsupported(f"the operator {operator}")
    return _PREDICATES[operator](operator, arguments)


def _combination(operator: str, arguments: Sequence[Any], depth: int) -> Sql:
    if not 1 <= len(arguments) <= _MAXIMUM_TERMS:
        raise RequestError("filter", f"{operator} takes 1 to {_MAXIMUM_TERMS} arguments")
    parts = [to_sql(argument, depth + 1) for argument in arguments]
    text = f" {operator.upper()} ".join(part.text for part in parts)
    return Sql(f"({text})", sum((part.values for part in parts), ()))


def _comparison(operator: str, arguments: Sequence[Any]) -> Sql:
    left, right = _alike(operator, _arguments(operator, arguments, 2))
    return Sql(f"({left.text} {operator} {right.text})", left.values + right.values)


def _between(operator: str, arguments: Sequence[Any]) -> Sql:
    value, low, high = _alike(operator, _arguments(operator, arguments, 3))
    return Sql(f"({value.text} BETWEEN {low.text} AND {high.text})", value.values + low.values + high.values)


def _in(operator: str, arguments: Sequence[Any]) -> Sql:
    value, options = _arguments(operator, arguments, 2)
    if not isinstance(options, list) or not 1 <= len(options) <= _MAXIMUM_TERMS:
        raise RequestError("filter", f"in takes a list of 1 to {_MAXIMUM_TERMS} values")
    left, *rest = _alike(operator, [value, *options])
    return Sql(
        f"({left.text} IN ({', '.join(option.text for option in rest)}))",
        left.values + sum((option.values for option in rest), ()),
    )


def _like(operator: str, arguments: Sequence[Any]) -> Sql:
    value, pattern = _arguments(operator, arguments, 2)
    subject = _value(value, "string")
    casei = isinstance(pattern, dict) and pattern.get("op") == "casei"
    if casei:
        (pattern,) = _arguments("casei", pattern["args"], 1)
    if not isinstance(pattern, str):
        raise _unsupported("like with anything but a text as its pattern")
    if subject.kind != "string":
        raise RequestError("filter", "like takes a property that is a string")
    if len(pattern) > _MAXIMUM_PATTERN:
        raise RequestError("filter", f"like takes a pattern of up to {_MAXIMUM_PATTERN} characters")
    return Sql(
        f"({subject.sql.text} GLOB ?)",
        (*subject.sql.values, _glob(pattern.lower() if casei else pattern)),
    )


def _glob(pattern: str) -> str:
    # GLOB and not LIKE, which ignores case and is changed for a whole connection only.
    glob, escaped = [], False
    for character in pattern:
        if escaped or character not in "\\%_":
            glob.append(f"[{character}]" if character in "*?[" else character)
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            glob.append("*" if character == "%" else "?")
    return "".join(glob)


def _is_null(operator: str, arguments: Sequence[Any]) -> Sql:
    (argument,) = _arguments(operator, arguments, 1)
    return Sql(f"({_value(argument, None).sql.text} IS NULL)")


def _array(operator: str, arguments: Sequence[Any]) -> Sql:
    held, wanted = _arguments(operator, arguments, 2)
    column = _value(held, None)
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if column.kind != "strings" or not isinstance(wanted, list):
        raise RequestError("filter", f"{operator} takes an array property and a list of texts")
    if not all(isinstance(entry, str) for entry in wanted):
        raise RequestError("filter", f"{operator} takes a list of texts")
    held_values = f"SELECT value FROM json_each({column.sql.text})"
    contains = f"NOT EXISTS (SELECT 1 FROM json_each(?) w WHERE w.value NOT IN ({held_values}))"
    contained = f"NOT EXISTS ({held_values} WHERE value NOT IN (SELECT value FROM json_each(?)))"
    overlaps = f"EXISTS ({held_values} WHERE value IN (SELECT value FROM json_each(?)))"
    text = {
        "a_contains": contains,
        "a_containedBy": contained,
        "a_overlaps": overlaps,
        "a_equals": f"{contains} AND {contained}",
    }[operator]
    # json_each(NULL) is an empty array: without CASE, unknown would become true or false.
    values = (json.dumps(wanted),) * text.count("?")
    return Sql(f"(CASE WHEN {column.sql.text} IS NOT NULL THEN {text} END)", values)


_PREDICATES: dict[str, Callable[[str, Sequence[Any]], Sql]] = {
    "between": _between,
    "in": _in,
    "like": _like,
    "isNull": _is_null,
    "a_contains": _array,
    "a_containedBy": _array,
    "a_overlaps": _array,
    "a_equals": _array,
}


def _alike(operator: str, arguments: Sequence[Any]) -> list[Sql]:
    """Return values of one kind; literals take the kind of the property they are compared with."""
    kinds = [found for argument in arguments if (found := _kind_of(argument)) is not None]
    if not kinds:
        raise _unsupported(f"{operator} without a property")
    if "strings" in kinds:
        raise RequestError("filter", f"{operator} compares no arrays; use a_contains")
    values = [_value(argument, kinds[0]) for argument in arguments]
    if len({value.kind for value in values}) > 1:
        raise RequestError("filter", f"{operator} compares values of one kind: {' and '.join(kinds)} are two")
    return [value.sql for value in values]


def _kind_of(argument: Any) -> Kind | None:
    if isinstance(argument, dict) and "property" in argument:
        return find(argument["property"], "filter").kind
    if isinstance(argument, dict) and argument.get("op") == "casei":
        return _kind_of(_arguments("casei", argument["args"], 1)[0])
    return None


def _value(argument: Any, kind: Kind | None) -> _Value:
    match argument:
        case {"property": str(name)}:
            queryable = find(name, "filter")
            return _Value(Sql(queryable.column), queryable.kind)
        case {"op": "casei", "args": [inner]}:
            value = _value(inner, "string")
            if value.kind != "string":
                raise RequestError("filter", "casei takes a text")
            return _Value(Sql(f"{CASEI}({value.sql.text})", value.sql.values), "string")
        case {"timestamp": str(text)} if kind == "timestamp":
            return _literal(parse_timestamp(text, "filter"), kind)
        case {"date": str(text)} if kind == "timestamp":
            return _literal(parse_timestamp(f"{text}T00:00:00Z", "filter"), kind)
        case str() if kind == "timestamp":
            return _literal(parse_timestamp(argument, "filter"), kind)
        case str() if kind == "string":
            return _literal(argument, kind)
    raise RequestError("filter", f"{json.dumps(argument)} is not a {kind or 'property'}")


def _literal(text: str, kind: Kind) -> _Value:
    return _Value(Sql("?", (text,)), kind)


def _arguments(operator: str, arguments: Any, count: int) -> Sequence[Any]:
    if not isinstance(arguments, list) or len(arguments) != count:
        raise RequestError("filter", f"{operator} takes {count} argument(s)")
    return arguments


def _unsupported(what: str) -> RequestError:
    return RequestError(
        "filter",
        f"{what} is not supported; there are and, or, not, {', '.join(sorted(_COMPARISONS))}, "
        f"{', '.join(_PREDICATES)} and casei",
    )
