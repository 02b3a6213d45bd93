"""What a request may say, declared once: how it is read, described in OpenAPI, and what else is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dask_regions.errors import RequestError
from dask_regions.http.bodies import encodable

__all__ = ["Parameter", "Schema", "decode", "parse", "refuse_others"]

#: A schema of OpenAPI 3.0.
Schema: TypeAlias = Mapping[str, Any]


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a query string, of a body, or of both.

    It is no parameter of a path, which its route names, and says nothing of how parameters go together.

    Attributes
    ----------
    name
        As callers write it.
    description
        One line for people.
    query, body
        Its schema in a query string and as a member of a JSON body; None where it does not occur.
    decode
        Makes of the text of a query string what a body would say; by default the text itself.
    parse
        Checks that value and returns what the operation works with; by default the value itself. It raises
        :class:`~dask_regions.errors.RequestError`, naming the parameter.
    """

    name: str
    description: str
    query: Schema | None = None
    body: Schema | None = None
    decode: Callable[[str], Any] = _itself
    parse: Callable[[Any], Any] = _itself


def refuse_others(values: Iterable[str], parameters: Sequence[Parameter]) -> None:
    """Refuse names that are not among the parameters: a misspelt one would silently do nothing.

    Raises
    ------
    RequestError
        Naming the first of them.
    """
    names = [parameter.name for parameter in parameters]
    for name in values:
        if name not in names:
            there = f"there are {', '.join(names)}" if names else "this address takes none"
            raise RequestError(name, f"is not a parameter here; {there}")


def decode(texts: Mapping[str, str], parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the values of a query string as a body would say them; an empty text counts as absent.

    Names that are not among the parameters are returned as they are.

    Raises
    ------
    RequestError
        Naming the parameter.
    """
    for name, text in texts.items():
        if not encodable(text):
            raise RequestError(name, "is not valid UTF-8")
    by_name = {parameter.name: parameter for parameter in parameters}
    return {
        name: by_name[name].decode(text) if name in by_name else text
        for name, text in texts.items()
        if text or name not in by_name
    }


def parse(values: Mapping[str, Any], parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return what the operation works with, in the order of the values.

    Raises
    ------
    RequestError
        Naming the parameter.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    return {name: by_name[name].parse(value) for name, value in values.items()}
