"""The embedded engine: searches the live generation, and builds the next one beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

from dask_regions.catalog import generations
from dask_regions.catalog.answers import Bucket, Page
from dask_regions.catalog.asking import paging
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import Known, Put, Remove
from dask_regions.catalog.generations import Generations, Outcomes, SwapResult
from dask_regions.catalog.sqlite import building, schema
from dask_regions.catalog.sqlite.files import Files, transaction
from dask_regions.catalog.sqlite.reader import Reader
from dask_regions.catalog.sqlite.sealing import seal
from dask_regions.errors import ConfigurationError, NotFoundError, UnavailableError

__all__ = ["SqliteCatalog"]

_PREFIX = "sqlite:///"
# The other Regions' writers wait for one transaction of so many changes, and no longer.
_CHANGES_PER_TRANSACTION = 1000
# A generation can be deleted between reading the pointer and opening its file; not often in a row.
_ATTEMPTS = 5


class SqliteCatalog:
    """Catalog in SQLite files: a :class:`~dask_regions.catalog.engines.Store` and a ``Writer``.

    Instances may be used by several threads, and made before the files exist, which then read as an empty
    catalog. The files of the live and the previous generation are kept open for reading; as they never
    change, what was once found out about them is kept too.

    Parameters
    ----------
    url
        ``sqlite:///`` and a path; with four slashes the path is absolute. The path is a small file that
        names the live generation, whose own file lies beside it.

    Examples
    --------
    >>> SqliteCatalog("sqlite:////no/such/catalog.sqlite").search(SearchQuery()).items
    []
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(_PREFIX) or url == _PREFIX:
            raise ConfigurationError(
                f"CATALOG_URL={url!r} is not supported; write it like sqlite:////mnt/catalog/catalog.sqlite"
            )
        self._files = Files(Path(url.removeprefix(_PREFIX)))
        self._readers: dict[str, Reader] = {}
        self._lock = Lock()

    def search(self, query: SearchQuery) -> Page:
        """Return one page of the Items that match, ended early where it would outgrow Lambda's answer.

        Raises
        ------
        RequestError
            Naming ``token``, where the page it asks for is gone.
        """
        after = paging.decode(query)
        reader = self._reader(after)
        return Page([], None, 0) if reader is None else reader.search(query, after)

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        """Return one Item, copies of several Regions merged, or None."""
        reader = self._reader()
        return None if reader is None else reader.item(collection, item_id)

    def aggregate(self, query: SearchQuery, names: Sequence[str]) -> tuple[int, dict[str, list[Bucket]]]:
        """Return how many Items match, and per queryable the values that occur among them."""
        reader = self._reader()
        return (0, {name: [] for name in names}) if reader is None else reader.aggregate(query, names)

    def collections(self) -> list[dict[str, Any]]:
        """Return what is held per Collection, by id."""
        reader = self._reader()
        return [] if reader is None else reader.collections

    def freshness(self) -> dict[str, dict[str, Any]]:
        """Return per Region ``synced`` (RFC 3339, or None), ``stale`` and ``error`` (of the last sync)."""
        return generations.describe(self._files.read().freshness)

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        """Start a generation that readers do not see; a repetition changes nothing.

        Raises
        ------
        RequestError
            Naming ``generation``, where its name is not fit for a file's.
        """
        self._files.generation(generation)

        def begun(state: Generations) -> Generations:
            if state.live is not None:
                with closing(self._open(state.live)):
                    pass  # only to find out that this version can
            return generations.begin(state, generation, regions)

        self._files.update(begun)

    def known(self, region: str, collection: str, prefix: str = "") -> Iterator[Known]:
        """Yield what the live generation knows of a Region's sources, in the order of their UTF-8 bytes."""
        generation = self._files.read().live
        if generation is None:
            return
        with closing(self._open(generation)) as live:
            for row in building.known_rows(live, region, collection, prefix):
                yield Known(*row)

    def write(self, generation: str, region: str, collection: str, changes: Iterable[Put | Remove]) -> int:
        """Apply changes to a generation; return how many. With none, nothing is written.

        Raises
        ------
        NotFoundError
            Where the generation has not begun, is live already, or was overtaken by another.
        RequestError
            Naming the Item, where one is wrong; changes before it may have been applied.
        """
        number, remaining = 0, iter(changes)
        while batch := list(islice(remaining, _CHANGES_PER_TRANSACTION)):
            path = self._files.ensure(generation, schema.create)
            with transaction(path) as connection:
                if building.is_sealed(connection):
                    raise NotFoundError(f"generation {generation} is done; start a new sync")
                number += building.apply(connection, region, collection, batch)
        if not number:
            generations.under_way(self._files.read(), generation)
        return number

    def swap(self, generation: str, outcomes: Outcomes, declared: Mapping[str, Sequence[str]]) -> SwapResult:
        """Verify a generation and make it live; a repetition answers as before.

        Raises
        ------
        NotFoundError
            Where the generation has not begun, or was overtaken by another.
        UnavailableError
            Where the counts do not agree with what is stored, or another sync was swapped in meanwhile;
            the live generation stays.
        """
        state = self._files.read()
        if generation in state.results:
            return state.results[generation]
        generations.require_reports(state, generation, outcomes)
        result = self._complete(state.live, generation, outcomes, declared)
        now = datetime.now(UTC)
        state = self._files.update(
            lambda state: generations.finish(state, generation, result, outcomes, declared, now)
        )
        self._files.delete_discarded()
        return state.results[generation]

    def _complete(
        self,
        live_generation: str | None,
        generation: str,
        outcomes: Outcomes,
        declared: Mapping[str, Sequence[str]],
    ) -> SwapResult:
        """Complete a generation's file where there is something to change; return the result of its swap."""
        with closing(self._open(live_generation)) if live_generation else nullcontext() as live:
            result = self._changed(live, generation, outcomes, declared)
            if result is not None:
                self._files.sync(self._files.generation(generation))
                return result
            before = None if live is None else building.sealed_result(live)
        return {
            "generation": live_generation,
            "items": before["items"] if before else 0,
            "regions": before["regions"] if before else {},
            "changed": False,
            "failed": generations.failures(outcomes),
        }

    def _changed(
        self,
        live: sqlite3.Connection | None,
        generation: str,
        outcomes: Outcomes,
        declared: Mapping[str, Sequence[str]],
    ) -> SwapResult | None:
        """Return the result of a generation's swap once its file is sealed; None where nothing changed."""
        if generations.nothing_synced(outcomes):
            return None
        path = self._files.generation(generation)
        if not path.exists() and (live is None or not building.undeclared(live, declared)):
            generations.verify(generation, outcomes, {} if live is None else building.counts(live))
            return None
        self._files.ensure(generation, schema.create)
        with transaction(path) as connection:
            if not building.is_sealed(connection):
                building.restore(connection, live, outcomes)
                building.remove_undeclared(connection, declared)
                building.verify(connection, generation, outcomes)
                if not building.changed(connection):
                    return None
                seal(connection, generation, outcomes)
            return building.sealed_result(connection)

    def _open(self, generation: str) -> sqlite3.Connection:
        try:
            return schema.open_reader(self._files.generation(generation))
        except FileNotFoundError as error:
            raise _missing(self._files.path) from error

    def _reader(self, after: paging.After | None = None) -> Reader | None:
        """Return the reader of the live generation, or of the one that a search goes on in."""
        for _ in range(_ATTEMPTS):
            state = self._files.read()
            if after is not None and after.generation not in state.searchable:
                raise paging.renewed()
            generation = state.live if after is None else after.generation
            if generation is None:
                return None
            with self._lock:
                for name in self._readers.keys() - set(state.searchable):
                    # It is closed when its last user lets go of it.
                    del self._readers[name]
                try:
                    if generation not in self._readers:
                        self._readers[generation] = Reader(self._files.generation(generation), generation)
                    return self._readers[generation]
                except FileNotFoundError:
                    continue
        raise _missing(self._files.path)


def _missing(path: Path) -> UnavailableError:
    return UnavailableError(
        f"the catalog {path.name} names a file that is not there; "
        "delete it and run the state machine sync_catalog"
    )
