"""The kit serves an API that is not the catalog: here one of two routes, one of them not public."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import validate

from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.http import openapi
from dask_regions.http.dispatch import Call, Dispatcher
from dask_regions.http.messages import Response, json_response
from dask_regions.http.parameters import Parameter
from dask_regions.http.problems import PROBLEM_DETAILS
from dask_regions.http.routes import Body, Route, RouteTable

IAM = {"iam": {"userArn": "arn:aws:iam::123456789012:user/ada"}}


def whole_number(value: Any) -> int:
    if not isinstance(value, int):
        raise RequestError("limit", f"must be a whole number, not {value!r}")
    return value


LIMIT = Parameter(
    name="limit",
    description="Of the page.",
    query={"type": "integer"},
    decode=lambda text: int(text) if text.isdigit() else text,
    parse=whole_number,
)
INPUTS = Parameter(name="inputs", description="Of the process.", body={"type": "object"})
ROUTES = RouteTable(
    Route("GET /jobs", "public", "get_jobs", "Jobs", "application/json", "All jobs", (LIMIT,)),
    Route(
        "POST /processes/{processId}/execution", "iam", "execute", "Job", "application/json", "Run a process",
        (INPUTS,), Body(example='{"inputs": {"year": 2070}}', too_long="name fewer years"), status=201,
    ),
    problems=PROBLEM_DETAILS,
)  # fmt: skip
SCHEMAS = {
    "Jobs": openapi.members("jobs", jobs=openapi.array("Job")),
    "Job": openapi.members(id=openapi.TEXT),
}


NO_SUCH_PROCESS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/no-such-process"


class NoProcessError(NotFoundError):
    type = NO_SUCH_PROCESS


class Jobs:
    def get_jobs(self, call: Call) -> Response:
        limit = call.arguments().get("limit", 10)
        if limit == 0:
            raise UnavailableError("the scheduler does not answer; try again")
        return json_response({"jobs": [{"id": str(number)} for number in range(limit)]})

    def execute(self, call: Call) -> Response:
        if call.path["processId"] != "mean":
            raise NoProcessError("there is no such process")
        return json_response({"id": "mean-1", **call.arguments()}, status=call.route.status)


def send(
    key: str, path: str, method: str = "", body: str | None = None, **context: Any
) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Return status, headers and decoded body of the answer to an event."""
    path, _, query = path.partition("?")
    event = {
        "routeKey": key,
        "rawPath": path,
        "queryStringParameters": dict(part.split("=") for part in query.split("&")) if query else {},
        "headers": {},
        "requestContext": {
            "domainName": "api.example.org", "http": {"method": method or key.split()[0]}, **context,
        },
    }  # fmt: skip
    if body is not None:
        event["body"] = body
    result = Dispatcher(ROUTES, Jobs()).resolve(event, None)
    return result["statusCode"], result["headers"], json.loads(result["body"] or "{}")


def execute(body: str, process: str = "mean", **context: Any) -> tuple[int, dict[str, Any]]:
    key = "POST /processes/{processId}/execution"
    status, _, answer = send(key, f"/processes/{process}/execution", body=body, **context)
    return status, answer


def test_an_operation_gets_its_parameters_read() -> None:
    status, headers, answer = send("GET /jobs", "/jobs?limit=2")
    assert (status, answer) == (200, {"jobs": [{"id": "0"}, {"id": "1"}]})
    assert headers["Content-Type"] == "application/json"
    assert len(send("GET /jobs", "/jobs?limit=")[2]["jobs"]) == 10
    assert execute('{"inputs": {"year": 2070}}', authorizer=IAM) == (
        201,
        {"id": "mean-1", "inputs": {"year": 2070}},
    )


@pytest.mark.parametrize(
    ("path", "status", "description"),
    [
        ("/jobs?limit=x", 400, "limit: must be a whole number, not 'x'"),
        ("/jobs?limt=2", 400, "limt: is not a parameter here; there are limit"),
        ("/jobs?limit=\ud800", 400, "limit: is not valid UTF-8"),
        ("/jobs?limit=0", 503, "the scheduler does not answer; try again"),
    ],
)
def test_what_is_wrong_is_told(path: str, status: int, description: str) -> None:
    answered, headers, answer = send("GET /jobs", path)
    assert (answered, answer["status"], answer["detail"]) == (status, status, description)
    assert headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ("[]", 'body: must be a JSON object, e.g. {"inputs": {"year": 2070}}'),
        ("x" * 1_000_001, "body: is longer than 1000000 characters; name fewer years"),
        ('{"outputs": {}}', "outputs: is not a parameter here; there are inputs"),
    ],
)
def test_a_body_is_refused_in_the_words_of_the_api(body: str, description: str) -> None:
    answer = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": description}
    assert execute(body, authorizer=IAM) == (400, answer)


def test_a_parameter_is_taken_only_where_it_is_declared_to_occur() -> None:
    routes = RouteTable(
        Route("GET /x", "public", "get", "X", "application/json", "", (LIMIT, INPUTS)),
        Route(
            "POST /x",
            "public",
            "post",
            "X",
            "application/json",
            "",
            (LIMIT, INPUTS),
            Body(example="{}", too_long=""),
        ),
    )
    assert [[parameter.name for parameter in route.takes] for route in routes] == [["limit"], ["inputs"]]


def test_a_process_that_is_not_there_is_404_of_its_kind() -> None:
    status, answer = execute("{}", "median", authorizer=IAM)
    assert (status, answer["type"], answer["detail"]) == (404, NO_SUCH_PROCESS, "there is no such process")


def test_a_route_that_is_not_public_is_closed_to_whom_the_gateway_has_not_authorised() -> None:
    unauthorised: list[dict[str, Any]] = [{}, {"authorizer": {}}, {"authorizer": {"jwt": {"claims": {}}}}]
    for context in unauthorised:
        status, answer = execute("{}", **context)
        assert (status, answer["title"]) == (403, "Forbidden")
    # The route $default has an authorizer of its own, or none.
    assert send("$default", "/processes/mean/execution", "POST")[0] == 404
    assert send("$default", "/jobs", "HEAD")[0] == 200


def test_a_head_request_of_a_route_that_is_not_public_is_closed_too() -> None:
    routes = RouteTable(Route("GET /jobs", "iam", "get_jobs", "Jobs", "application/json", "All jobs"))
    context = {"domainName": "api.example.org", "http": {"method": "HEAD"}}
    event = {"routeKey": "$default", "rawPath": "/jobs", "requestContext": context}
    assert Dispatcher(routes, Jobs()).resolve(event, None)["statusCode"] == 403


def test_methods_are_told() -> None:
    status, headers, answer = send("$default", "/jobs", "DELETE")
    assert (status, headers["Allow"], answer["title"]) == (405, "GET, HEAD", "Method Not Allowed")
    assert send("$default", "/jobs", "OPTIONS")[:2][0] == 204


def test_the_description_is_composed_from_the_table() -> None:
    document = openapi.document(
        "https://api.example.org", ROUTES, title="jobs", version="1", description="Jobs.", schemas=SCHEMAS
    )
    validate(document)
    listed, executed = document["paths"]["/jobs"]["get"], document["paths"][ROUTE_OF_EXECUTION]["post"]
    assert [parameter["name"] for parameter in listed["parameters"]] == ["limit"]
    assert executed["requestBody"]["content"]["application/json"]["schema"]["properties"].keys() == {"inputs"}
    assert executed["responses"].keys() == {"201", "default"}
    assert executed["responses"]["default"]["content"].keys() == {"application/problem+json"}
    assert document["components"]["schemas"]["Error"]["required"] == ["type", "title", "status", "detail"]
    assert listed["security"] == []
    assert executed["security"] == [{"iam": []}]
    assert document["components"]["securitySchemes"]["iam"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert document["components"]["schemas"].keys() == {"Jobs", "Job", "Error"}


ROUTE_OF_EXECUTION = "/processes/{processId}/execution"


def test_a_table_that_contradicts_itself_or_its_operations_is_refused_at_once() -> None:
    (jobs, _) = ROUTES
    with pytest.raises(ValueError, match="declared more than once: GET /jobs, get_jobs"):
        RouteTable(jobs, jobs)
    with pytest.raises(AttributeError, match="execute"):
        Dispatcher(ROUTES, object.__new__(type("None", (), {"get_jobs": Jobs.get_jobs})))


def test_a_last_parameter_may_have_slashes_where_the_route_says_so() -> None:
    results = RouteTable(
        Route("GET /results/{key}", "public", "get", "R", "text/plain", "A result", may_have_slashes="key")
    )

    class Results:
        def get(self, call: Call) -> Response:
            return Response(call.path["key"])

    context = {"domainName": "api.example.org", "http": {"method": "GET"}}
    event = {"routeKey": "$default", "rawPath": "/results/a/b", "requestContext": context}
    assert Dispatcher(results, Results()).resolve(event, None)["body"] == "a/b"
    assert (
        Dispatcher(results, Results()).resolve({**event, "rawPath": "/results/a"}, None)["statusCode"] == 404
    )
