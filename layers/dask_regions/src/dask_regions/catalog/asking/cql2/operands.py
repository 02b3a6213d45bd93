"""Operands of CQL2 comparisons: properties, literals of a property's kind, and ``casei``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dask_regions.catalog.expression import CaseFolded, Operand, Property, Scalar, Value
from dask_regions.catalog.queryables import Kind, find
from dask_regions.catalog.timestamps import parse_timestamp
from dask_regions.errors import RequestError
from dask_regions.words import fold

__all__ = ["arguments_of", "instant", "kind_of", "literal", "operand"]

# This is beyond every year, and well within what engines compare exactly.
_MAXIMUM_INTEGER = 10**9
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def arguments_of(expression: Mapping[str, Any], count: int) -> Sequence[Any]:
    """Return the arguments of an operator that takes `count` of them."""
    arguments = expression.get("args")
    if not isinstance(arguments, list) or len(arguments) != count:
        raise RequestError("filter", f"{expression.get('op')} takes {count} argument(s)")
    return arguments


def kind_of(argument: Any) -> Kind | None:
    """Return the kind of an argument; None for a text, which takes that of what it is compared with."""
    match argument:
        case {"property": str(name)}:
            return find(name, "filter").kind
        case {"op": "casei"}:
            return "string"
        case {"timestamp": _} | {"date": _}:
            return "timestamp"
        case bool():
            return None
        case int() | float():
            return "integer"
    return None


def operand(argument: Any, kind: Kind) -> Operand:
    """Return an argument as an operand of a kind.

    Raises
    ------
    RequestError
        Naming ``filter``, where it is of another kind or no operand at all.
    """
    match argument:
        case {"property": str(name)}:
            queryable = find(name, "filter")
            if queryable.kind != kind:
                raise RequestError(
                    "filter", f"compares values of one kind: {queryable.kind} and {kind} are two"
                )
            return Property(queryable)
        case {"op": "casei"}:
            return _folded(argument, kind)
    return Value(literal(argument, kind, "filter"))


def _folded(argument: Mapping[str, Any], kind: Kind) -> Operand:
    if kind != "string":
        raise RequestError("filter", f"casei takes a text, which is not compared with a value of kind {kind}")
    (inner,) = arguments_of(argument, 1)
    value = operand(inner, "string")
    if isinstance(value, Value):
        return Value(fold(str(value.value)))
    return CaseFolded(value) if isinstance(value, Property) else value


def literal(value: Any, kind: Kind, parameter: str) -> Scalar:
    """Return a literal of a request as one of a kind; timestamps and dates may be plain text.

    Raises
    ------
    RequestError
        Naming `parameter`.
    """
    if kind == "timestamp":
        return instant(value, parameter)
    if kind == "integer" and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isnan(value):
            value = max(-_MAXIMUM_INTEGER, min(_MAXIMUM_INTEGER, value))
            return int(value) if value == int(value) else value
    elif kind == "string" and isinstance(value, str):
        return value
    article = "an" if kind == "integer" else "a"
    raise RequestError(parameter, f"{json.dumps(value)[:200]} is not {article} {kind}")


def instant(value: Any, parameter: str) -> str:
    """Return a timestamp, or a date at its midnight in UTC, as :func:`parse_timestamp` writes it."""
    match value:
        case {"timestamp": str(text)} | str(text) if not _DATE.fullmatch(text):
            return parse_timestamp(text, parameter)
        case {"date": str(text)} | str(text):
            return parse_timestamp(f"{text}T00:00:00Z", parameter)
    raise RequestError(parameter, f"{json.dumps(value)[:200]} is not a timestamp")
