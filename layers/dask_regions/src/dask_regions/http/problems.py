"""Answers to what went wrong, in the shape that the standard of an API asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.http.messages import Response
from dask_regions.http.parameters import Schema

__all__ = ["CODE_AND_DESCRIPTION", "PROBLEM_DETAILS", "Shape", "problem", "problem_of"]

# A body that is repeated in a description can be longer than what Lambda may answer with.
_MAXIMUM_DESCRIPTION_CHARACTERS = 4_000
_STATUS = {
    RequestError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
_TEXT: Schema = {"type": "string"}
_DESCRIPTION: Schema = {
    "type": "string",
    "description": "Begins with the parameter that is wrong, where it is one.",
}


@dataclass(frozen=True)
class Shape:
    """The body of every error of an API.

    Attributes
    ----------
    media_type
        Of the body.
    schema
        Of the body, for the OpenAPI document.
    members
        Makes the body of status, description and, where one was raised, the error.
    """

    media_type: str
    schema: Schema
    members: Callable[[HTTPStatus, str, Exception | None], Mapping[str, Any]]


#: The shape of STAC API and of OGC API - Features.
CODE_AND_DESCRIPTION = Shape(
    "application/json",
    {
        "type": "object",
        "required": ["code", "description"],
        "properties": {"code": _TEXT, "description": _DESCRIPTION},
    },
    lambda status, description, _: {"code": status.phrase.replace(" ", ""), "description": description},
)
#: The shape of OGC API - Processes: RFC 9457. An error may have an attribute ``type``, the URI of its kind,
#: e.g. ``http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/no-such-job``.
PROBLEM_DETAILS = Shape(
    "application/problem+json",
    {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _DESCRIPTION},
    },
    lambda status, description, error: {
        "type": getattr(error, "type", "about:blank"),
        "title": status.phrase,
        "status": int(status),
        "detail": description,
    },
)


def problem_of(error: RequestError | NotFoundError | UnavailableError, shape: Shape) -> Response:
    """Return the answer to an error that the caller, or time, can mend."""
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    return problem(status, str(error), shape, error=error)


def problem(
    status: HTTPStatus,
    description: str,
    shape: Shape,
    *,
    error: Exception | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error's answer; the middle of a description that is too long is left out."""
    if len(description) > _MAXIMUM_DESCRIPTION_CHARACTERS:
        # Its start names the parameter and its end the fix; what the caller sent is in between.
        half = _MAXIMUM_DESCRIPTION_CHARACTERS // 2
        description = f"{description[:half]} … {description[-half:]}"
    content = json.dumps(shape.members(status, description, error))
    return Response(content, shape.media_type, status=int(status), headers=headers or {})
