"""Random computations, as a few lines of Python that run on Dask and on NumPy alike.

Two dialects: named dimensions (xarray), and arrays of three axes (``dask.array``), where reductions keep the
axis and everything broadcasts. A :class:`Program` prints as the code that it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

import dask.array as da
import numpy as np
import xarray as xr
from hypothesis import strategies as st

__all__ = ["Program", "array_programs", "names_for", "xarray_programs"]

#: No value of a program has more elements: broadcasts multiply.
_MAXIMUM = 200_000
_T = TypeVar("_T")
_Draw = Callable[[st.SearchStrategy[Any]], Any]
#: Sizes by dimension; axes are the dimensions "0", "1" and "2".
_Shape = dict[str, int]
_Expression = tuple[str, _Shape]


@dataclass(frozen=True)
class Program:
    """Assignments, and the variables to compute together."""

    lines: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        steps = [f"{name} = {code}" for name, code in self.lines]
        return "\n".join([*steps, f"compute({', '.join(self.outputs)})"])

    def run(self, names: Mapping[str, Any]) -> list[Any]:
        """Return the outputs; lazy where the names are."""
        scope = dict(names)
        for name, code in self.lines:
            scope[name] = eval(code, scope)
        return [scope[name] for name in self.outputs]


def names_for(dialect: str, persist: Callable[[Any], Any], *, lazy: bool) -> dict[str, Any]:
    """Return the functions that programs call, for Dask (lazy) or for NumPy."""
    if dialect == "xarray":
        names = {"concat": _concat, "months": _months, "where": xr.where, "persist": persist}
        return {**names, "rechunk": lambda x, **chunks: x.chunk(chunks) if lazy else x}
    functions = {name: getattr(da if lazy else np, name) for name in ("concatenate", "where", "einsum")}
    return {
        **functions,
        "persist": persist,
        "rechunk": lambda x, chunks: x.rechunk(chunks) if lazy else x,
        "root": lambda x: x.map_blocks(np.sqrt) if lazy else np.sqrt(x),
    }


def _concat(arrays: Sequence[xr.DataArray], dimension: str) -> xr.DataArray:
    joined: xr.DataArray = xr.concat(arrays, dimension, coords="minimal", compat="override")
    return joined


def _months(array: xr.DataArray) -> xr.DataArray:
    """Mean of every third time step, in three groups, by flox."""
    month = xr.DataArray(np.arange(array.sizes["time"]) % 3, dims="time", name="month")
    means: xr.DataArray = array.groupby(month).mean()
    return means.drop_vars("month")


class _Dialect:
    """How a program is written; draws one expression at a time."""

    unary: tuple[str, ...]

    def __init__(self, draw: _Draw, values: dict[str, _Shape]) -> None:
        self._draw = draw
        self._values = values

    def expression(self) -> _Expression:
        steps = [self.elementwise, self.combine, self.combine, self.combine, self.reduce, self.concat]
        steps += [self.slice, self.pick, self.rechunk, self.persist, self.special, self.special]
        code, shape = self._draw(st.sampled_from(steps))()
        return (code, shape) if prod(shape.values()) <= _MAXIMUM else self.elementwise()

    def operand(self, need: str | None = None) -> tuple[str, _Shape]:
        names = [name for name, shape in self._values.items() if need is None or shape.get(need, 0) >= 3]
        # The last one thrice: programs are to be deep.
        name = self._choose([*names, names[-1], names[-1]])
        return name, dict(self._values[name])

    def _other(self, need: str | None = None) -> tuple[str, _Shape]:
        """Return a second operand: any, stored data first."""
        name = self._choose([name for name, shape in self._values.items() if not need or need in shape])
        return name, dict(self._values[name])

    def elementwise(self) -> _Expression:
        name, shape = self.operand()
        return self._choose(self.unary).format(x=name), shape

    def persist(self) -> _Expression:
        name, shape = self.operand()
        return f"persist({name})", shape

    def combine(self) -> _Expression:
        left, first = self.operand()
        right, second = self._other()
        left, right, shape = self._fit(left, first, right, second)
        template = self._choose(("{x} - {y}", "{x} + 2 * {y}", "{x} * {y}", "where({x} > {y}, {x}, {y})"))
        return template.format(x=left, y=right), shape

    def reduce(self) -> _Expression:
        raise NotImplementedError

    def slice(self) -> _Expression:
        name, shape, dimension = self._along()
        size = shape[dimension]
        start = self._draw(st.integers(0, size // 3))
        stop = self._draw(st.integers(start + 1 + size // 3, size))
        step = self._draw(st.integers(1, 2))
        shape[dimension] = len(range(start, stop, step))
        return self._indexed(name, shape, dimension, f"slice({start}, {stop}, {step})"), shape

    def pick(self) -> _Expression:
        name, shape, dimension = self._along()
        chosen = self._draw(st.lists(st.integers(0, shape[dimension] - 1), min_size=1, max_size=6))
        shape[dimension] = len(chosen)
        return self._indexed(name, shape, dimension, str(chosen)), shape

    def concat(self) -> _Expression:
        raise NotImplementedError

    def rechunk(self) -> _Expression:
        raise NotImplementedError

    def special(self) -> _Expression:
        raise NotImplementedError

    def _along(self, need: str | None = None) -> tuple[str, _Shape, str]:
        name, shape = self.operand(need)
        if not shape:  # a scalar
            name, shape = next((name, dict(shape)) for name, shape in self._values.items() if shape)
        return name, shape, need or self._choose(sorted(shape))

    def _choose(self, options: Sequence[_T]) -> _T:
        chosen: _T = self._draw(st.sampled_from(options))
        return chosen

    def _indexed(self, name: str, shape: _Shape, dimension: str, index: str) -> str:
        raise NotImplementedError

    def _fit(self, left: str, first: _Shape, right: str, second: _Shape) -> tuple[str, str, _Shape]:
        """Cut two operands to the same size where they have a dimension in common."""
        for dimension in sorted(first.keys() & second.keys()):
            least = min(first[dimension], second[dimension])
            if first[dimension] > least and self._must_fit(least):
                left = self._indexed(left, first, dimension, f"slice({least})")
                first[dimension] = least
            if second[dimension] > least and self._must_fit(least):
                right = self._indexed(right, second, dimension, f"slice({least})")
                second[dimension] = least
        sizes = {name: max(first.get(name, 1), second.get(name, 1)) for name in {**first, **second}}
        return left, right, sizes

    def _must_fit(self, least: int) -> bool:
        return True


class _Xarray(_Dialect):
    unary = ("{x} * 2", "abs({x})", "{x}.clip(280)", "{x}.transpose()", "{x}.fillna(0)")

    def reduce(self) -> _Expression:
        name, shape, dimension = self._along()
        how = self._choose(("mean", "std", "max", "sum"))
        if self._draw(st.booleans()):
            return f"{name}.{how}()", {}
        del shape[dimension]
        return f"{name}.{how}({dimension!r})", shape

    def concat(self) -> _Expression:
        left, first, dimension = self._along("time")
        right, second = self._other("time")
        if first.keys() != second.keys():
            return self.elementwise()
        length = first.pop(dimension) + second.pop(dimension)
        left, right, shape = self._fit(left, first, right, second)
        return f"concat([{left}, {right}], 'time')", {**shape, "time": length}

    def rechunk(self) -> _Expression:
        name, shape, dimension = self._along()
        size = self._draw(st.integers(max(1, shape[dimension] // 4), shape[dimension]))
        return f"rechunk({name}, {dimension}={size})", shape

    def special(self) -> _Expression:
        name, shape, _ = self._along("time")
        form = self._choose(
            (
                "months({x})",
                "{x}.rolling(time=3, min_periods=1).mean()",
                "{x}.cumsum('time')",
                "{x}.diff('time')",
                "({x} - {x}.mean('time'))",
            )
        )
        if form.startswith("months"):
            if "month" in shape:
                return self.elementwise()
            del shape["time"]
            shape["month"] = 3
        elif ".diff" in form:
            shape["time"] -= 1
        return form.format(x=name), shape

    def _indexed(self, name: str, shape: _Shape, dimension: str, index: str) -> str:
        return f"{name}.isel({dimension}={index})"


class _Array(_Dialect):
    unary = ("{x} * 2", "abs({x})", "{x}.clip(280, None)", "root(abs({x}))", "-{x}")

    def reduce(self) -> _Expression:
        name, shape, axis = self._along()
        how = self._choose(("mean", "std", "max", "sum"))
        if self._draw(st.booleans()):
            return f"{name}.{how}(keepdims=True)", dict.fromkeys(shape, 1)
        return f"{name}.{how}(axis={axis}, keepdims=True)", {**shape, axis: 1}

    def concat(self) -> _Expression:
        left, first, axis = self._along()
        right, second = self._other()
        length = first.pop(axis) + second.pop(axis)
        if any(min(first[name], second[name]) == 1 and first[name] != second[name] for name in first):
            return self.elementwise()
        left, right, shape = self._fit(left, first, right, second)
        return f"concatenate([{left}, {right}], axis={axis})", {**shape, axis: length}

    def rechunk(self) -> _Expression:
        name, shape, axis = self._along()
        size = self._draw(st.integers(max(1, shape[axis] // 4), shape[axis]))
        return f"rechunk({name}, {{{axis}: {size}}})", shape

    def special(self) -> _Expression:
        name, shape, axis = self._along()
        form = self._choose(("cumsum", "transpose", "anomaly", "einsum"))
        if form == "cumsum":
            return f"{name}.cumsum(axis={axis})", shape
        if form == "transpose":
            return f"{name}.transpose(0, 2, 1)", {"0": shape["0"], "1": shape["2"], "2": shape["1"]}
        if form == "anomaly":
            return f"{name} - {name}.mean(axis={axis}, keepdims=True)", shape
        return self._einsum(name, shape)

    def _einsum(self, left: str, first: _Shape) -> _Expression:
        right, second = self._other()
        columns = first.pop("2"), second.pop("2")
        if any(min(first[name], second[name]) == 1 and first[name] != second[name] for name in first):
            return self.elementwise()
        left, right, shape = self._fit(left, first, right, second)
        result = {"0": shape["0"], "1": columns[0], "2": columns[1]}
        return f"einsum('tij,tik->tjk', {left}, {right}) / 1000", result

    def _indexed(self, name: str, shape: _Shape, dimension: str, index: str) -> str:
        if match := re.fullmatch(r"slice\((.*)\)", index):
            start, stop, step = (
                ["0", *match[1].split(", "), "1"] if ", " not in match[1] else match[1].split(", ")
            )
            index = f"{start}:{stop}:{step}" if step != "1" else f"{start}:{stop}"
        return f"{name}[{', '.join([':'] * int(dimension) + [index])}]"

    def _must_fit(self, least: int) -> bool:
        return least > 1  # an axis of one broadcasts


def _programs(dialect: type[_Dialect], shapes: Mapping[str, _Shape]) -> st.SearchStrategy[Program]:
    @st.composite
    def programs(draw: _Draw) -> Program:
        values = {name: dict(shape) for name, shape in shapes.items()}
        writer = dialect(draw, values)
        lines = []
        for number in range(draw(st.integers(1, 6))):
            code, shape = writer.expression()
            lines.append((f"v{number}", code))
            values[f"v{number}"] = shape
        names = [name for name, _ in lines]
        more = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        outputs = tuple(dict.fromkeys([names[-1], *more]))
        return Program(tuple(_needed(lines, outputs)), outputs)

    return programs()


def _needed(lines: Sequence[tuple[str, str]], outputs: Sequence[str]) -> list[tuple[str, str]]:
    """Return the lines that the outputs need."""
    needed = set(outputs)
    kept = []
    for name, code in reversed(lines):
        if name in needed:
            kept.append((name, code))
            needed.update(re.findall(r"\bv\d+\b", code))
    return kept[::-1]


def xarray_programs(shapes: Mapping[str, Mapping[str, int]]) -> st.SearchStrategy[Program]:
    """Return programs over named arrays, given their sizes by dimension (one of them ``time``)."""
    return _programs(_Xarray, {name: dict(shape) for name, shape in shapes.items()})


def array_programs(shapes: Mapping[str, Sequence[int]]) -> st.SearchStrategy[Program]:
    """Return programs over named arrays of three axes, given their shapes."""
    return _programs(_Array, {name: dict(zip("012", shape, strict=True)) for name, shape in shapes.items()})
