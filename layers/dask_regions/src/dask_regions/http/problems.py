"""Answers to what went wrong, in the shape that STAC and OGC APIs share: a code and a description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.http.messages import Response

__all__ = ["SCHEMA", "problem", "problem_of"]

#: Every error's body, for the OpenAPI document.
SCHEMA = {
    "type": "object",
    "required": ["code", "description"],
    "properties": {
        "code": {"type": "string"},
        "description": {
            "type": "string",
            "description": "Begins with the parameter that is wrong, where it is one.",
        },
    },
}

# A body that is repeated in a description can be longer than what Lambda may answer with.
_MAXIMUM_DESCRIPTION_CHARACTERS = 4_000
_STATUS = {
    RequestError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def problem_of(error: RequestError | NotFoundError | UnavailableError) -> Response:
    """Return the answer to an error that the caller, or time, can mend."""
    return problem(next(status for kind, status in _STATUS.items() if isinstance(error, kind)), str(error))


def problem(status: HTTPStatus, description: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error's answer; the middle of a description that is too long is left out."""
    if len(description) > _MAXIMUM_DESCRIPTION_CHARACTERS:
        # Its start names the parameter and its end the fix; what the caller sent is in between.
        half = _MAXIMUM_DESCRIPTION_CHARACTERS // 2
        description = f"{description[:half]} … {description[-half:]}"
    content = json.dumps({"code": status.phrase.replace(" ", ""), "description": description})
    return Response(content, status=int(status), headers=headers or {})
