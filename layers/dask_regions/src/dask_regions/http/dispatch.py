"""From an event of API Gateway to the operation that answers it: route, authorisation, values, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.http.bodies import decode_object
from dask_regions.http.messages import Request, Response
from dask_regions.http.parameters import decode, parse, refuse_others
from dask_regions.http.problems import problem, problem_of
from dask_regions.http.routes import Body, ForbiddenError, MethodError, Route, RouteTable

__all__ = ["Call", "Dispatcher"]


@dataclass(frozen=True)
class Call:
    """A request for one operation.

    Attributes
    ----------
    request
        As API Gateway handed it over.
    route
        The operation.
    path
        Parameters of the path, by name.
    values
        Other parameters, which are among those of the route: texts of the query string, or members of the
        body where the route takes one.
    """

    request: Request
    route: Route
    path: Mapping[str, str]
    values: Mapping[str, Any]

    @property
    def base(self) -> str:
        """Base URL as the caller sees it, without a slash at its end."""
        return self.request.base

    def arguments(self) -> dict[str, Any]:
        """Return the values as the route's parameters read them one by one.

        Raises
        ------
        RequestError
            Naming the parameter.
        """
        values = self.values if self.route.body else decode(self.values, self.route.takes)
        return parse(values, self.route.takes)


_Operation: TypeAlias = Callable[[Call], Response]


class Dispatcher:
    """Answers events; threads may share it where they may share the operations.

    Parameters
    ----------
    routes
        Every operation of the API.
    operations
        Has a method for each operation, which takes a :class:`Call` and returns a
        :class:`~dask_regions.http.messages.Response`. It may raise RequestError, NotFoundError and
        UnavailableError, which become 400, 404 and 503.
    """

    def __init__(self, routes: RouteTable, operations: object) -> None:
        self._routes = routes
        self._operations: dict[str, _Operation] = {
            route.operation: getattr(operations, route.operation) for route in routes
        }

    def resolve(self, event: Mapping[str, Any], _: object) -> dict[str, Any]:
        """Answer an event of payload format 2.0; what a caller does wrong is never a 5xx."""
        request = Request.from_event(event)
        return self._answer(request).to_result(request)

    def _answer(self, request: Request) -> Response:
        try:
            route, path = self._routes.find(request)
            route.authorize(request)
            call = Call(request, route, path, _values(request, route))
            return self._operations[route.operation](call)
        except MethodError as error:
            return self._other_method(request, ", ".join(error.allowed))
        except ForbiddenError as error:
            return problem(HTTPStatus.FORBIDDEN, str(error), self._routes.problems)
        except (RequestError, NotFoundError, UnavailableError) as error:
            return problem_of(error, self._routes.problems)

    def _other_method(self, request: Request, allow: str) -> Response:
        if request.method == "OPTIONS":
            return Response("", status=204, headers={"Allow": f"{allow}, OPTIONS"})
        return problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{request.path} answers {allow} only",
            self._routes.problems,
            headers={"Allow": allow},
        )


def _values(request: Request, route: Route) -> Mapping[str, Any]:
    """Return the parameters of a request, decoded; those that the route does not have are refused."""
    if route.body is not None:
        refuse_others(request.parameters, ())
    values = _members(request, route.body) if route.body is not None else request.parameters
    refuse_others(values, route.takes)
    return values


def _members(request: Request, body: Body) -> dict[str, Any]:
    text = request.text(body.too_long)
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if text and not media_type.endswith("json"):
        raise RequestError("Content-Type", f"is {media_type}; send application/json")
    return decode_object(text, body.example)
