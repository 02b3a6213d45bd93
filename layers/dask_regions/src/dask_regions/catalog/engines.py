"""The engine that a URL names; the others are not imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from dask_regions.catalog.store import Store, Writer
from dask_regions.errors import ConfigurationError

__all__ = ["Catalog", "open_catalog"]


class Catalog(Store, Writer, Protocol):
    """What every engine offers: to the API and to a sync."""


def open_catalog(
    url: str, sign: Callable[[str, str, Mapping[str, str], bytes], Mapping[str, str]] | None = None
) -> Catalog:
    """Return the catalog at a URL; nothing is read or connected yet.

    Parameters
    ----------
    url
        ``sqlite:////mnt/catalog/catalog.sqlite``, or ``https://`` (``http://``) and the host of OpenSearch.
    sign
        Signs requests to OpenSearch; see :func:`dask_regions.aws.opensearch.signer`.

    Raises
    ------
    ConfigurationError
        Where it is neither.

    Examples
    --------
    >>> open_catalog("sqlite:////no/such/catalog.sqlite").collections()
    []
    """
    if url.startswith(("https://", "http://")):
        from dask_regions.catalog.opensearch import OpenSearchCatalog

        return OpenSearchCatalog(url, sign)
    if url.startswith("sqlite:///"):
        from dask_regions.catalog.sqlite import SqliteCatalog

        return SqliteCatalog(url)
    raise ConfigurationError(
        f"CATALOG_URL={url.partition('://')[0]!r}... is not supported; "
        "write it like sqlite:////mnt/catalog/catalog.sqlite or https://search.example.com"
    )
