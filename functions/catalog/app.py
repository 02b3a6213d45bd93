"""Serve the STAC API of the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dask_regions.aws.opensearch import signer
from dask_regions.catalog.engines import open_catalog
from dask_regions.catalog.web.api import create_app
from dask_regions.settings import Settings

if TYPE_CHECKING:
    from dask_regions.models import Configuration

settings = Settings.from_environment()
url = settings.require("catalog_url")


def configure() -> Configuration:
    """Return the configuration in force. A search does without it, and so without what reads it."""
    from dask_regions.aws.configuration import load_configuration

    return load_configuration(settings)


app = create_app(open_catalog(url, signer(url)), configure, access=settings.api_access)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one request of API Gateway's HTTP API (payload format 2.0)."""
    return app.resolve(event, context)
