"""What an Item has to match: one tree for every way of asking, walked by each engine.

CQL2, the query extension, ``bbox``, ``datetime``, ``intersects`` and free text all become these nodes.
They follow SQL's logic of three values: a comparison with an absent property is unknown, and what is
unknown is not selected, negated or not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dask_regions.catalog.queryables import Queryable

__all__ = [
    "ARRAYS",
    "COMPARISONS",
    "Always",
    "And",
    "Array",
    "ArrayOperator",
    "CaseFolded",
    "Comparison",
    "ComparisonOperator",
    "Expression",
    "In",
    "IsNull",
    "Like",
    "Not",
    "Operand",
    "Or",
    "Property",
    "Scalar",
    "Spatial",
    "SpatialOperator",
    "Text",
    "Value",
]

#: A literal; timestamps are text as :func:`dask_regions.catalog.timestamps.parse_timestamp` returns it.
Scalar: TypeAlias = str | int | float
ComparisonOperator = Literal["=", "<>", "<", "<=", ">", ">="]
ArrayOperator = Literal["a_contains", "a_containedBy", "a_overlaps", "a_equals"]
SpatialOperator = Literal[
    "s_intersects",
    "s_contains",
    "s_crosses",
    "s_disjoint",
    "s_equals",
    "s_overlaps",
    "s_touches",
    "s_within",
]

#: The operators' meanings, for two values, and for two arrays as sets.
COMPARISONS: Mapping[ComparisonOperator, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ARRAYS: Mapping[ArrayOperator, Callable[[AbstractSet[Any], AbstractSet[Any]], bool]] = {
    "a_contains": operator.ge,
    "a_containedBy": operator.le,
    "a_overlaps": lambda values, others: not values.isdisjoint(others),
    "a_equals": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Property:
    """The value of a queryable."""

    queryable: Queryable


@dataclass(frozen=True, slots=True)
class Value:
    """A literal."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class CaseFolded:
    """A text in lower case (CQL2's ``casei`` of a property; of a literal it is lowered when parsed)."""

    operand: Property


Operand: TypeAlias = Property | Value | CaseFolded


@dataclass(frozen=True, slots=True)
class Always:
    """True or false, whatever the Item."""

    value: bool


@dataclass(frozen=True, slots=True)
class And:
    """All of one or more."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of one or more."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """False where the part is true, unknown where it is unknown."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands of one kind; at least one of them is no literal. Texts are in order of code points."""

    operator: ComparisonOperator
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class In:
    """Equality with any of one or more literals."""

    operand: Property | CaseFolded
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """A text that fits a pattern: ``%`` stands for any characters, ``_`` for one, a backslash escapes."""

    operand: Property | CaseFolded
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether an Item lacks the property, or has null there: true or false, never unknown."""

    operand: Property


@dataclass(frozen=True, slots=True)
class Array:
    """A property that is an array of texts against a literal one, as sets."""

    operator: ArrayOperator
    operand: Property
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spatial:
    """The Item's geometry (first operand) against a GeoJSON geometry in CRS84 (second)."""

    operator: SpatialOperator
    geometry: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """Free text: any of the phrases, each of which is words that follow each other."""

    phrases: tuple[tuple[str, ...], ...]


Expression: TypeAlias = And | Or | Not | Always | Comparison | In | Like | IsNull | Array | Spatial | Text
