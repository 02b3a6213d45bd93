"""The deployed engine of the catalog: OpenSearch, an index per Collection and generation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from dask_regions.catalog.answers import Bucket, Page
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import Known, Put, Remove
from dask_regions.catalog.generations import Outcomes, SwapResult, begin
from dask_regions.catalog.opensearch.client import Client, Sign
from dask_regions.catalog.opensearch.control import Control
from dask_regions.catalog.opensearch.documents import Names
from dask_regions.catalog.opensearch.reading import Reading
from dask_regions.catalog.opensearch.swapping import Swapping
from dask_regions.catalog.opensearch.writing import Writing
from dask_regions.errors import ConfigurationError

__all__ = ["OpenSearchCatalog"]

_PREFIX = re.compile(r"/?|/([a-z0-9][a-z0-9-]{0,39})/?", re.ASCII)


class OpenSearchCatalog:
    """Catalog store in OpenSearch: a :class:`~dask_regions.catalog.engines.Store` and a ``Writer``.

    Instances are used by several threads at once. Without indexes the catalog reads as empty.

    Parameters
    ----------
    url
        ``https://host`` or ``http://host:9200``. A path, as in ``https://host/staging``, is no part of the
        address but begins the names of the indexes, so that several catalogs share a cluster.
    sign
        Signs requests; see :func:`dask_regions.aws.opensearch.signer`.
    seconds
        Time to wait for the answer to a search; six times as long for what a sync asks, whose functions are
        given minutes.
    """

    def __init__(self, url: str, sign: Sign | None = None, seconds: float = 20.0) -> None:
        prefix = _PREFIX.fullmatch(urlsplit(url).path)
        if prefix is None:
            raise ConfigurationError(
                "the path of CATALOG_URL names the indexes; write it of small letters, digits and hyphens, "
                "like https://search.example.com/staging"
            )
        client = Client(url, sign, 6 * seconds)
        self._control = Control(client, Names(f"{prefix[1]}-" if prefix[1] else ""))
        self._reading = Reading(Client(url, sign, seconds), self._control.names)
        self._writing = Writing(client, self._control)
        self._swapping = Swapping(client, self._control, self._writing)

    def search(self, query: SearchQuery) -> Page:
        """Return one page of the Items that match, ended early where it would outgrow Lambda's answer.

        Raises
        ------
        RequestError
            Naming ``token``, where the page it asks for is gone.
        """
        return self._reading.search(query)

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        """Return one Item, copies of several Regions merged, or None."""
        return self._reading.item(collection, item_id)

    def aggregate(self, query: SearchQuery, names: Sequence[str]) -> tuple[int, dict[str, list[Bucket]]]:
        """Return how many Items match, and per queryable the 10,000 most frequent values among them."""
        return self._reading.aggregate(query, names)

    def collections(self) -> list[dict[str, Any]]:
        """Return what is held per Collection, by id."""
        return self._reading.collections()

    def freshness(self) -> dict[str, dict[str, Any]]:
        """Return per Region ``synced``, ``stale`` and ``error``."""
        return self._reading.freshness()

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        """Start a generation that readers do not see, based on the live one; a repetition changes nothing."""
        self._control.create()
        live, _ = self._control.live()
        state = begin(live.state, generation, regions)
        if generation in state.building:
            self._control.begin(generation, state.building[generation])

    def known(self, region: str, collection: str, prefix: str = "") -> Iterator[Known]:
        """Yield what the live generation knows of a Region's sources, in the order of their UTF-8 bytes."""
        live, _ = self._control.live()
        if collection in live.collections:
            yield from self._writing.known(live.collections[collection].sources, region, prefix)

    def write(self, generation: str, region: str, collection: str, changes: Iterable[Put | Remove]) -> int:
        """Apply changes to a generation; return how many. With none, nothing is written.

        Raises
        ------
        NotFoundError
            Where the generation has not begun, is live already, or was overtaken by another.
        RequestError
            Naming the Item, where one is wrong; changes before it may have been applied.
        """
        return self._writing.write(generation, region, collection, changes)

    def swap(self, generation: str, outcomes: Outcomes, declared: Mapping[str, Sequence[str]]) -> SwapResult:
        """Verify a generation and make it live; see :class:`~dask_regions.catalog.engines.Writer`."""
        return self._swapping.swap(generation, outcomes, declared)
