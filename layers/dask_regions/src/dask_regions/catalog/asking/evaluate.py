"""Evaluate an expression in memory: for Collections, of which there are few."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from dask_regions.catalog import expression as ast
from dask_regions.catalog.indexing import Indexed
from dask_regions.catalog.patterns import regular_expression
from dask_regions.words import fold

__all__ = ["evaluate"]


def evaluate(condition: ast.Expression, subject: Indexed) -> bool | None:
    """Return whether a condition holds; None where that is unknown."""
    match condition:
        case ast.Always(value):
            return value
        case ast.And(parts):
            return _all(evaluate(part, subject) for part in parts)
        case ast.Or(parts):
            return _not(_all(_not(evaluate(part, subject)) for part in parts))
        case ast.Not(part):
            return _not(evaluate(part, subject))
        case ast.IsNull(ast.Property(queryable)):
            return queryable.name not in subject.values
        case ast.Text(phrases):
            return any(_follow(phrase, subject.words) for phrase in phrases)
        case ast.Spatial(relation, geometry):
            return _relates(relation, geometry, subject)
        case _:
            return _of_values(condition, subject)


def _of_values(condition: ast.Comparison | ast.In | ast.Like | ast.Array, subject: Indexed) -> bool | None:
    operands = (
        [condition.left, condition.right] if isinstance(condition, ast.Comparison) else [condition.operand]
    )
    values = [_value(operand, subject) for operand in operands]
    if None in values:
        return None
    match condition:
        case ast.Comparison(comparison):
            return ast.COMPARISONS[comparison](*values)
        case ast.In(_, literals):
            return values[0] in literals
        case ast.Like(_, pattern):
            return regular_expression(pattern).fullmatch(values[0]) is not None
        case ast.Array(relation, _, literals):
            return ast.ARRAYS[relation](set(values[0]), set(literals))
        case _:
            assert_never(condition)


def _all(parts: Iterable[bool | None]) -> bool | None:
    known: bool | None = True
    for part in parts:
        if part is False:
            return False
        known = None if part is None else known
    return known


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _value(operand: ast.Operand, subject: Indexed) -> Any:
    match operand:
        case ast.Value(value):
            return value
        case ast.Property(queryable):
            return subject.values.get(queryable.name)
        case ast.CaseFolded(ast.Property(queryable)):
            text = subject.values.get(queryable.name)
            return None if text is None else fold(str(text))


def _follow(phrase: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return any(words[start : start + len(phrase)] == phrase for start in range(len(words) - len(phrase) + 1))


def _relates(relation: ast.SpatialOperator, geometry: Any, subject: Indexed) -> bool | None:
    if subject.geometry is None:
        return None
    # Shapely is slow to import, and only spatial searches of Collections need it.
    from dask_regions.catalog.geometry import select

    return bool(select(relation, geometry, {"": subject.geometry}))
