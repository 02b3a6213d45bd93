"""The operations of an API, as a table: they are dispatched, described and tested from it.

``template.yaml`` declares the same routes in the body of the API; a test of each API compares them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, TypeAlias

from dask_regions.errors import NotFoundError
from dask_regions.http.messages import DEFAULT_ROUTE, Request
from dask_regions.http.parameters import Parameter
from dask_regions.http.problems import CODE_AND_DESCRIPTION, Shape

__all__ = ["Authorization", "Body", "ForbiddenError", "MethodError", "Route", "RouteTable"]

#: Who may call a route: everyone, whoever signs as an IAM principal that may, or whoever brings a token.
Authorization: TypeAlias = Literal["public", "iam", "jwt"]
_CREDENTIALS = {
    "iam": "requests that are signed with AWS Signature Version 4",
    "jwt": "requests with a token",
}


class MethodError(Exception):
    """A path is asked with a method that it does not answer.

    Parameters
    ----------
    allowed
        Those that it does answer.
    """

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(allowed)
        self.allowed = allowed


class ForbiddenError(Exception):
    """A route that is not public was reached without API Gateway having authorised the caller."""


@dataclass(frozen=True)
class Body:
    """What a route says of its JSON body to those who send another.

    Attributes
    ----------
    example
        JSON of a body that is right.
    too_long
        How to make one shorter that is too long, e.g. ``simplify its geometry``.
    """

    example: str
    too_long: str


@dataclass(frozen=True)
class Route:
    """One operation.

    Attributes
    ----------
    key
        Method and path, as in the template and as API Gateway names the route.
    authorization
        Who may call it. API Gateway checks it, by the authorizer in the template.
    operation
        ``operationId``, and name of the method of the API that answers.
    answer
        Name of the answer's schema in the OpenAPI document.
    media_type
        Of the answer.
    summary
        One line for people.
    parameters
        Of the query string; of the body's object where there is a body. Others are refused, and so are those
        that do not occur there.
    body
        None where the route takes none.
    also
        Other media types of the answer, for those who prefer them, with their schemas' names.
    may_have_slashes
        The parameter that ends the path and may have slashes, which API Gateway decodes before it looks for
        a route, and so does not find it.
    status
        Of the answer where all is well.
    """

    key: str
    authorization: Authorization
    operation: str
    answer: str
    media_type: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    also: Mapping[str, str] = field(default_factory=dict)
    may_have_slashes: str = ""
    status: int = 200

    @property
    def method(self) -> str:
        return self.key.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.key.partition(" ")[2]

    @property
    def takes(self) -> tuple[Parameter, ...]:
        """The parameters that may occur where this route looks for them: in its query string or its body."""
        return tuple(
            parameter
            for parameter in self.parameters
            if (parameter.query if self.body is None else parameter.body) is not None
        )

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters of a decoded path, or None where it belongs to another route."""
        match = _pattern(self.path, self.may_have_slashes).fullmatch(path)
        return match and match.groupdict()

    def authorize(self, request: Request) -> None:
        """Refuse a request that API Gateway has not authorised as the route declares.

        A request that came by ``$default`` has passed that route's authorizer and not this one's.

        Raises
        ------
        ForbiddenError
        """
        if self.authorization != "public" and self.authorization not in request.authorizer:
            raise ForbiddenError(f"{self.key} takes {_CREDENTIALS[self.authorization]}")


class RouteTable:
    """The routes of one API.

    Parameters
    ----------
    *routes
        Each with a key and an operation of its own.
    problems
        The shape of the API's errors.
    """

    def __init__(self, *routes: Route, problems: Shape = CODE_AND_DESCRIPTION) -> None:
        names = Counter(name for route in routes for name in (route.key, route.operation))
        if repeated := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"declared more than once: {', '.join(repeated)}")
        self._by_key = {route.key: route for route in routes}
        self.problems = problems

    def __iter__(self) -> Iterator[Route]:
        return iter(self._by_key.values())

    def restricted(self, authorization: Authorization) -> RouteTable:
        """Return the table with an authorization on each route that is public."""
        routes = (
            replace(route, authorization=authorization) if route.authorization == "public" else route
            for route in self
        )
        return RouteTable(*routes, problems=self.problems)

    def find(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        """Return the route of a request and the parameters of its path.

        API Gateway has chosen it, except for what comes by ``$default``: the method HEAD, which is answered
        like GET, and paths in whose last parameter API Gateway has decoded a slash.

        Raises
        ------
        NotFoundError
            There is no such path.
        MethodError
            There is, for other methods.
        """
        route = self._by_key.get(request.route)
        if route is not None:
            return route, request.path_parameters or route.match(request.path) or {}
        matches = {
            route.method: (route, match) for route in self if (match := route.match(request.path)) is not None
        }
        method = "GET" if request.method == "HEAD" else request.method
        if matches and method not in matches:
            raise MethodError(sorted({*matches, "HEAD"} if "GET" in matches else matches))
        if request.route != DEFAULT_ROUTE or not matches or not _by_default(request, *matches[method]):
            raise NotFoundError(f"there is no {request.path}; the links of / lead to all there is")
        return matches[method]


def _by_default(request: Request, route: Route, match: Mapping[str, str]) -> bool:
    """Whether a request comes by ``$default`` although its route is in the template."""
    # Without a slash it would have come by its own route, had the template one.
    return request.method == "HEAD" or "/" in match.get(route.may_have_slashes, "")


@cache
def _pattern(path: str, may_have_slashes: str) -> re.Pattern[str]:
    text = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)
    return re.compile(text.replace(f"<{may_have_slashes}>[^/]+", f"<{may_have_slashes}>.+"), re.DOTALL)
