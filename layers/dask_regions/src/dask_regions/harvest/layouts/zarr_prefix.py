"""Harvest every Zarr store below a prefix, wherever it lies: Zarr 2 and 3, consolidated or not."""

from __future__ import annotations

from collections.abc import Iterator

from dask_regions.harvest.base import Harvester, Reading, Source
from dask_regions.harvest.coordinates import describe, require_time
from dask_regions.harvest.item import ZARR, asset, item, item_id
from dask_regions.harvest.listing import walk
from dask_regions.harvest.stores import ZarrCube

__all__ = ["ZarrHarvester"]

_USUAL_ENDING = ".zarr"


class ZarrHarvester(Harvester):
    """One Item per store; what lies inside a store is part of it.

    The id is the dataset's, and the path below its prefix without ``.zarr``; where that is missing, a digest
    follows.
    """

    def cuts(self) -> list[str]:
        """Return the prefixes one level down."""
        return sorted(self.prefixes(self.dataset.prefix))

    def sources(self, after: str = "", last: str | None = None) -> Iterator[Source]:
        """Yield every store, found level by level; stores are not entered."""
        return walk(self.objects, self.dataset.prefix, after, last)

    def read(self, key: str) -> Reading:
        """Return the Item of a store."""
        cube = ZarrCube(self.objects, key)
        description = describe(cube)
        whole = key.removeprefix(self.dataset.prefix).removesuffix("/")
        path = whole.removesuffix(_USUAL_ENDING)
        name = item_id(self.dataset.id, path, "/" if whole == path else "") if path else self.dataset.id
        title = ", ".join(filter(None, (self.dataset.title, path)))
        assets = {"zarr": asset(self.dataset, key, ZARR, **cube.fields)}
        interval = require_time(description)
        return Reading(item(self.dataset, name, description, interval, assets, {"title": title}))
