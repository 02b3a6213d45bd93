"""What the API knows of its Collections and Regions: from ``datasets.yaml`` and from the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dask_regions.catalog import stac
from dask_regions.catalog.engines import Store
from dask_regions.errors import NotFoundError

if TYPE_CHECKING:
    from dask_regions.models import Configuration, Dataset

__all__ = ["State"]

# The state of the Regions changes once a day.
_FRESHNESS_SECONDS = 10.0


class State:
    """Collections and the freshness of Regions, read when they are first asked for; threads may share it.

    Parameters
    ----------
    store, configure
        As for :func:`dask_regions.catalog.web.api.create_app`.
    clock
        Seconds, of which the differences count.
    """

    def __init__(
        self, store: Store, configure: Callable[[], Configuration], clock: Callable[[], float]
    ) -> None:
        self._store, self._configure, self._clock = store, configure, clock
        self._freshness: tuple[float, dict[str, dict[str, Any]]] | None = None

    @property
    def configuration(self) -> Configuration:
        """The configuration in force, whose datasets are the Collections."""
        return self._configure()

    @property
    def datasets(self) -> Mapping[str, Dataset]:
        """Datasets by the id of their Collection."""
        return {dataset.id: dataset for dataset in self.configuration.datasets}

    def dataset(self, collection: str) -> Dataset:
        """Return the dataset of a Collection.

        Raises
        ------
        NotFoundError
            Where there is no such Collection.
        """
        dataset = self.datasets.get(unquote(collection))
        if dataset is None:
            raise NotFoundError(f"there is no Collection {collection!r}; /collections lists those there are")
        return dataset

    def stored(self) -> dict[str, dict[str, Any]]:
        """Return what the store says of each Collection that has Items, by id."""
        return {collection["id"]: collection for collection in self._store.collections()}

    def freshness(self) -> dict[str, dict[str, Any]]:
        """Return how fresh each Region's Items are, read anew after some seconds."""
        now = self._clock()
        if self._freshness is None or now - self._freshness[0] > _FRESHNESS_SECONDS:
            self._freshness = now, self._store.freshness()
        return self._freshness[1]

    def collections(self, base: str) -> list[dict[str, Any]]:
        """Return all STAC Collections; `base` is the base URL of the API."""
        stored, freshness = self.stored(), self.freshness()
        return [
            stac.collection(dataset, stored.get(dataset.id), freshness, base)
            for dataset in self.datasets.values()
        ]
