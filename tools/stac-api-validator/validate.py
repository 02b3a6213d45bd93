"""Run stac-api-validator against an API of this machine, with JSON schemas that are installed.

    python validate.py URL COLLECTION GEOMETRY QUERY

in an environment made of requirements.txt. The validator fetches schemas from the network; pystac ships the
same. QUERY has the fields of its ``QueryConfig``: its command line would make texts of numbers. What it finds
is printed as JSON: ``{"errors": [...], "warnings": [...]}``.
"""

from __future__ import annotations

import json
import sys
from importlib import resources
from io import BytesIO
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from stac_api_validator.validations import QueryConfig, validate_api

#: Every class that the validator knows and the API advertises.
CLASSES = [
    "core", "collections", "features", "item-search", "filter",
    "item-search#fields", "item-search#sort", "item-search#query", "item-search#filter",
    "features#fields", "features#sort", "features#query", "features#filter",
]  # fmt: skip
_LOCAL = ("127.0.0.1", "localhost")
_SCHEMAS = {"schemas.stacspec.org": "stac-spec/v1.1.0", "geojson.org": "geojson"}


class _Schemas(BaseAdapter):
    """Answers requests for the schemas of STAC and GeoJSON, and refuses those for all else."""

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:
        url = urlsplit(request.url)
        if url.hostname not in _SCHEMAS:
            raise requests.ConnectionError(f"{request.url} is not on this machine")
        directory = resources.files("pystac.validation").joinpath("jsonschemas", _SCHEMAS[url.hostname])
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.raw = BytesIO(directory.joinpath(url.path.rpartition("/")[2]).read_bytes())
        return response

    def close(self) -> None:
        pass


def main() -> None:
    root, collection, geometry, query = sys.argv[1:]
    schemas, network = _Schemas(), HTTPAdapter()
    requests.Session.get_adapter = lambda _, url: network if urlsplit(url).hostname in _LOCAL else schemas
    warnings, errors = validate_api(
        root_url=root,
        ccs_to_validate=CLASSES,
        collection=collection,
        geometry=geometry,
        auth_bearer_token=None,
        auth_query_parameter=None,
        fields_nested_property="properties.scenario",
        validate_pagination=True,
        query_config=QueryConfig(**json.loads(query)),
        transaction_collection=None,
        headers={},
        open_assets_urls=False,
    )
    json.dump({"errors": list(errors), "warnings": list(warnings)}, sys.stdout)


if __name__ == "__main__":
    main()
