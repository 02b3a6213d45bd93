"""Harvest every NetCDF-4 file below a prefix, wherever it lies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dask_regions.errors import NotFoundError
from dask_regions.harvest.base import Harvester, Reading, Source
from dask_regions.harvest.coordinates import require_time
from dask_regions.harvest.files import describe_file
from dask_regions.harvest.item import NETCDF, asset, item, item_id
from dask_regions.harvest.listing import files

__all__ = ["NetcdfHarvester"]

_USUAL_ENDING = ".nc"
_FILE = re.compile(r"\.(nc|nc4|netcdf)$")


class NetcdfHarvester(Harvester):
    """One Item per file: files that belong together are found together, and opened as one.

    The id is the dataset's, and the path below its prefix without the ending; where that is not ``.nc``, a
    digest follows.
    """

    def cuts(self) -> list[str]:
        """Return the prefixes one level down."""
        return sorted(self.prefixes(self.dataset.prefix))

    def sources(self, after: str = "", last: str | None = None) -> Iterator[Source]:
        """Yield every file."""
        for file in files(self.objects, self.dataset.prefix, _FILE.search, after, last):
            yield Source(file.key, file.fingerprint)

    def read(self, key: str) -> Reading:
        """Return the Item of a file."""
        file = next((entry for entry in self.objects.page(key)[0] if entry.key == key), None)
        if file is None:
            raise NotFoundError("it is gone since it was listed")
        description = describe_file(self.objects, file)
        whole = key.removeprefix(self.dataset.prefix)
        path = _FILE.sub("", whole)
        assets = {"netcdf": asset(self.dataset, key, NETCDF, **{"file:size": file.size})}
        properties = {"title": f"{self.dataset.title}, {path}"}
        name = item_id(
            self.dataset.id, path, "" if whole == path + _USUAL_ENDING else whole.removeprefix(path)
        )
        return Reading(item(self.dataset, name, description, require_time(description), assets, properties))
