"""The OpenAPI 3.0 description of an API, composed from its routes and the schemas of its answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dask_regions.http.parameters import Parameter, Schema
from dask_regions.http.problems import Shape
from dask_regions.http.routes import Authorization, Route, RouteTable

__all__ = ["TEXT", "array", "document", "members", "reference"]

#: Schema of a text.
TEXT: Schema = {"type": "string"}
# API Gateway describes its IAM authorizer so when it exports an API.
_SCHEMES: dict[Authorization, Schema] = {
    "iam": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}


def reference(name: str) -> dict[str, Any]:
    """Return a schema that is another one by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(name: str) -> dict[str, Any]:
    """Return the schema of an array of what has a name."""
    return {"type": "array", "items": reference(name)}


def members(*required: str, **properties: Schema) -> dict[str, Any]:
    """Return the schema of an object by its members, the required ones first by name."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", **needed, "properties": properties}


def document(
    base: str,
    routes: RouteTable,
    *,
    title: str,
    version: str,
    description: str,
    schemas: Mapping[str, Schema],
) -> dict[str, Any]:
    """Return the description of an API.

    Parameters
    ----------
    base
        Base URL as the caller sees it, without a slash at its end.
    routes
        Every operation. Each shows its authorisation: ``security`` is empty where it is public.
    title, version, description
        Of the API.
    schemas
        Of all answers, by the names that routes give them; that of errors is added as ``Error``.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, routes.problems)
    schemes = {name: scheme for name, scheme in _SCHEMES.items() if name in _authorizations(routes)}
    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": routes.problems.schema},
            **({"securitySchemes": schemes} if schemes else {}),
        },
    }


def _authorizations(routes: RouteTable) -> set[Authorization]:
    return {route.authorization for route in routes}


def _operation(route: Route, problems: Shape) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "security": [] if route.authorization == "public" else [{route.authorization: []}],
        "responses": {
            str(route.status): _content(route.summary, {route.media_type: route.answer, **route.also}),
            "default": _content("What is wrong", {problems.media_type: "Error"}),
        },
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": TEXT}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.body is None:
        parameters += map(_parameter, route.takes)
    else:
        described["requestBody"] = {"required": False, **_body(route)}
    return {**described, **({"parameters": parameters} if parameters else {})}


def _content(description: str, answers: Mapping[str, str]) -> dict[str, Any]:
    content = {media_type: {"schema": reference(name)} for media_type, name in answers.items()}
    return {"description": description, "content": content}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "style": "form",
        "explode": False,
        "schema": parameter.query,
    }


def _body(route: Route) -> dict[str, Any]:
    properties = {
        parameter.name: {"description": parameter.description, **(parameter.body or {})}
        for parameter in route.takes
    }
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"content": {"application/json": {"schema": schema}}}
