"""Harvest Zarr stores under the keys of CMIP6 on AWS.

Keys are ``<root><activity>/<institution>/<source>/<experiment>/<member>/<table>/<variable>/<grid>/
v<date>/``, see https://pangeo-data.github.io/pangeo-cmip6-cloud. The dataset's prefix is the root, or that
of a part of the archive, such as ``CMIP6/ScenarioMIP/MOHC/``, whose root ends with ``CMIP6/``. A store has
consolidated metadata: ``.zmetadata`` (Zarr 2) or inside ``zarr.json`` (Zarr 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from dask_regions.harvest.base import Harvester, Reading, Source
from dask_regions.harvest.coordinates import describe, require_time
from dask_regions.harvest.extents import Interval
from dask_regions.harvest.item import ZARR, asset, item, item_id
from dask_regions.harvest.listing import stores
from dask_regions.harvest.manifest import archive_root
from dask_regions.harvest.stores import ZarrCube

__all__ = ["Cmip6Harvester"]

_FACETS = (
    "activity_id",
    "institution_id",
    "source_id",
    "experiment_id",
    "variant_label",
    "table_id",
    "variable_id",
    "grid_label",
)
_STORE = re.compile(r"(?:[^/]+/){8}v\d+/")
# Down to the experiment there are few prefixes; below it a flat listing needs fewer requests.
_EXPERIMENT_DEPTH = 4
# Fixed fields (orography, land fraction) have no time: they hold at all times.
_ALL_TIMES = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")


class Cmip6Harvester(Harvester):
    """One Item per store."""

    # 355,047 stores in about 2,400 experiments of a model.
    sources_per_cut: ClassVar[int] = 150

    def cuts(self) -> list[str]:
        """Return the prefix of every experiment of every model."""
        prefixes = [self.dataset.prefix]
        for _ in range(_EXPERIMENT_DEPTH - self.dataset.prefix.count("/") + self._root.count("/")):
            prefixes = [child for prefix in prefixes for child in self.prefixes(prefix)]
        return sorted(prefixes)

    def sources(self, after: str = "", last: str | None = None) -> Iterator[Source]:
        """Yield every store; its chunks are jumped over, not listed one by one."""
        return stores(self.objects, self.dataset.prefix, self._store_of, after, last)

    def read(self, key: str) -> Reading:
        """Return the Item of a store."""
        cube = ZarrCube(self.objects, key, consolidated=True)
        description = describe(cube)
        path = key.removeprefix(self._root).rstrip("/")
        facets = dict(zip(_FACETS, path.split("/")[:-1], strict=True))
        fixed = "fx" in facets["table_id"]
        interval: Interval = _ALL_TIMES if fixed else require_time(description)
        properties: dict[str, Any] = {
            "title": "{source_id} {experiment_id} {variable_id} {table_id}".format(**facets),
            "scenario": facets["experiment_id"],
            **{f"cmip6:{name}": value for name, value in facets.items()},
        }
        if frequency := cube.attributes.get("frequency"):
            properties["cmip6:frequency"] = str(frequency)
        assets = {"zarr": asset(self.dataset, key, ZARR, **cube.fields)}
        return Reading(item(self.dataset, item_id("CMIP6", path), description, interval, assets, properties))

    @property
    def _root(self) -> str:
        return archive_root(self.dataset.prefix)

    def _store_of(self, key: str) -> str:
        match = _STORE.match(key, len(self._root))
        return key[: match.end()] if match else ""
