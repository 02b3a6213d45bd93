"""What every engine of the catalog offers, to the API (:class:`Store`) and to a sync (:class:`Writer`).

The engine that a URL names is opened here and nowhere else; the others are not imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from dask_regions.catalog.answers import Bucket, Page
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import Known, Put, Remove
from dask_regions.catalog.generations import Outcomes, SwapResult
from dask_regions.errors import ConfigurationError, RequestError

__all__ = ["Catalog", "Store", "Writer", "open_catalog", "refusal"]

# An Item that is larger is no metadata of a dataset, and an answer of Lambda would not hold it.
_MAX_ITEM_BYTES = 1_000_000


class Store(Protocol):
    """What the API needs: answers, each of one generation of the catalog.

    It is not a snapshot: two calls may be answered of two generations, where a sync was swapped in between.
    Only a token keeps a search in its generation, until two more were swapped in.

    Threads may share an instance. An instance lives as long as its function or process, needs no closing, and
    may be made before there is a catalog, which then reads as empty: nothing is read or connected before the
    first call, and each call looks which generation is live. Answers are complete when they are returned, and
    belong to the caller, except :meth:`collections`, which is not to be changed.
    """

    def search(self, query: SearchQuery) -> Page:
        """Return one page of the Items that match, ended early where it would outgrow Lambda's answer.

        Raises
        ------
        RequestError
            Naming ``token``, where the page it asks for is gone; or the parameter that made the search take
            too long.
        UnavailableError
            Where the engine does not answer, or the catalog is of another version of this package.
        """

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        """Return one Item, copies of several Regions merged, or None."""

    def aggregate(self, query: SearchQuery, names: Sequence[str]) -> tuple[int, dict[str, list[Bucket]]]:
        """Return how many Items match, and per queryable the values that occur among them.

        ``names`` are queryables; an Item counts once for each value of an array. Buckets come by frequency,
        the largest first, then by key; Items without a value are in none.
        """

    def collections(self) -> list[dict[str, Any]]:
        """Return what the catalog has per Collection, by id.

        Each has ``id``, ``items`` (count), ``bbox`` (4 degrees, or None), ``interval`` (RFC 3339) and
        ``summaries`` (queryable to the values that occur, where they are at most 100).
        """

    def freshness(self) -> dict[str, dict[str, Any]]:
        """Return per Region ``synced`` (RFC 3339, or None), ``stale`` and ``error`` (of the last sync)."""


class Writer(Protocol):
    """What a sync needs: the next generation, built beside the live one and shown at once.

    Threads and processes may write one generation at the same time, each for a Region of its own: what they
    do to an Item that several Regions hold is merged. Every method may be repeated with the same arguments,
    also after a crash, by any instance: what was begun is kept in the catalog and not in the instance.
    The states of a generation are in :mod:`dask_regions.catalog.generations`.
    """

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        """Start a generation that readers do not see; it is based on the live one."""

    def known(self, region: str, collection: str, prefix: str = "") -> Iterator[Known]:
        """Yield what the live generation knows of a Region's sources, in the order of their UTF-8 bytes.

        It is read as it is asked for, a batch at a time, of the generation that is live at the first step.
        The iterator may be left unfinished; it fails where that generation is deleted meanwhile, which takes
        two swaps.
        """

    def write(self, generation: str, region: str, collection: str, changes: Iterable[Put | Remove]) -> int:
        """Apply changes to a generation; return how many. With none, nothing is written.

        The changes are taken in batches, each stored before the next is asked for.

        Raises
        ------
        NotFoundError
            Where the generation has not begun, is live already, or was overtaken by another.
        RequestError
            Naming the Item, where one is wrong; changes before it may have been applied.
        """

    def swap(self, generation: str, outcomes: Outcomes, declared: Mapping[str, Sequence[str]]) -> SwapResult:
        """Verify a generation and make it live; a repetition answers as before.

        Where nothing changed no generation is made: the live one is noted to be fresh.

        Parameters
        ----------
        outcomes
            What became of the Regions that were synced; others keep what they have, and how fresh it is.
        declared
            Region to the Collections it holds, of every Region there is; the rest is forgotten.

        Raises
        ------
        NotFoundError
            Where the generation has not begun, or was overtaken by another.
        UnavailableError
            Where the counts do not agree with what is stored, or another sync was swapped in meanwhile;
            the live generation stays.
        """


def refusal(item: Mapping[str, Any], region: str) -> str | None:
    """Return why no catalog takes an Item that a Region made; None where every engine does.

    A sync asks before it writes: one Item that is refused would hold up all others of its Region.
    Metadata may have NaN, half a character, a whole number of more than 64 bits, or a name of 40 kB.
    """
    # OpenSearch is the stricter engine.
    from dask_regions.catalog.opensearch.fields import document_of

    try:
        size = len(json.dumps(item, allow_nan=False, ensure_ascii=False).encode())
        orjson.dumps(item)  # refuses whole numbers of more than 64 bits, which readers would round
        document_of({region: {"source": "", "item": item}})
    except (TypeError, ValueError, RequestError) as error:
        return str(error)
    return f"it would have {size} bytes; shorten its attributes" if size > _MAX_ITEM_BYTES else None


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
