"""Harvest ERA5 on AWS: NetCDF-4 files, and the Zarr stores that hold the same data.

Keys are ``<prefix>YYYY/MM/data/<variable>.nc`` and ``<prefix>zarr/YYYY/MM/data/<variable>.zarr/``. A month
is one Item with an Asset per file and per store. A file may cover more than its month, e.g. a decade:
its time coordinate says so, and where it has none, the dataset's ``period``.
"""

from __future__ import annotations

import calendar
import heapq
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any, ClassVar

from dask_regions.harvest.base import Harvester, Reading, Source, StoredObject, Unreadable, digest
from dask_regions.harvest.coordinates import Description, describe, merge
from dask_regions.harvest.files import describe_file
from dask_regions.harvest.item import NETCDF, ZARR, asset, item
from dask_regions.harvest.listing import files, state, stores
from dask_regions.harvest.stores import ZarrCube

__all__ = ["Era5Harvester", "Part", "period_interval"]

_YEAR = re.compile(r"\d{4}/$")
_MONTH = r"(\d{4}/(?:0[1-9]|1[0-2])/)data/"
_FILE = re.compile(_MONTH + r"(.+)\.nc$", re.DOTALL)
_STORE = re.compile(_MONTH + r"([^/]+)\.zarr/", re.DOTALL)
# ':' follows '9' in ASCII, so this is the first key beyond all years.
_BEYOND_YEARS = ":"


@dataclass(frozen=True, slots=True)
class Part:
    """A file or store of a month."""

    description: Description
    asset: dict[str, Any]


class Era5Harvester(Harvester):
    """One Item per ``YYYY/MM``; its source is ``<prefix>YYYY/MM/``."""

    # Twelve months, each with some 20 files and as many stores, cost what a hundred stores do.
    sources_per_cut: ClassVar[int] = 100

    def cuts(self) -> list[str]:
        """Return the prefix of every year."""
        years = {
            prefix.removeprefix(root)
            for root in (self.dataset.prefix, self._twins)
            for prefix in self.prefixes(root)
        }
        return sorted(self.dataset.prefix + year for year in years if _YEAR.fullmatch(year))

    def sources(self, after: str = "", last: str | None = None) -> Iterator[Source]:
        """Yield every month that has a file or a store."""
        first, end = self._path(after), None if last is None else self._path(last)
        parts_of_all = heapq.merge(self._files(first, end), self._stores(first, end))
        for month, parts in groupby(parts_of_all, key=lambda part: part[0]):
            if end is not None and month > end:
                return
            if month > first:
                yield Source(self.dataset.prefix + month, digest(text for part in parts for text in part[1:]))

    def read(self, key: str) -> Reading:
        """Return the Item of a month, and what had to be left out of it."""
        month = self._path(key)
        readers = dict(self._readers(month))
        results = {name: self.attempt(reader) for name, reader in readers.items()}
        parts = {name: result for name, result in results.items() if isinstance(result, Part)}
        failures = {name: result for name, result in results.items() if isinstance(result, Unreadable)}
        reasons = tuple(f"{name}: {failure.reason}" for name, failure in failures.items())
        retry = any(failure.retry for failure in failures.values())
        return Reading(self._item(month, parts) if parts else None, reasons, retry)

    @property
    def _twins(self) -> str:
        return self.dataset.prefix + "zarr/"

    def _path(self, key: str) -> str:
        return key.removeprefix(self.dataset.prefix)

    def _files(self, first: str, end: str | None) -> Iterator[tuple[str, str, str]]:
        """Yield month, path and fingerprint of every file from a month on."""
        root = self.dataset.prefix
        beyond = root + (_BEYOND_YEARS if end is None else _behind(end))
        for file in files(self.objects, root, lambda key: _FILE.match(key, len(root)), root + first, beyond):
            path = self._path(file.key)
            yield path[:8], path, file.fingerprint

    def _stores(self, first: str, end: str | None) -> Iterator[tuple[str, str, str]]:
        """Yield month, path and fingerprint of every store from a month on."""
        root = self._twins

        def store_of(key: str) -> str:
            match = _STORE.match(key, len(root))
            return key[: match.end()] if match else ""

        beyond = root + (_BEYOND_YEARS if end is None else _behind(end))
        for store in stores(self.objects, root, store_of, root + first, beyond):
            path = store.key.removeprefix(root)
            # A listing that jumps over chunks does not see the documents of arrays.
            fingerprint = store.fingerprint if store.consolidated else state(self.objects, store.key)
            yield path[:8], "zarr/" + path, fingerprint

    def _month(self, path: str) -> str:
        """Return a month's path below the prefix as ``YYYY-MM``."""
        return "-".join(path.strip("/").split("/"))

    def _readers(self, month: str) -> Iterator[tuple[str, Callable[[], Part]]]:
        """Yield the Asset's key and a function that reads it, of every file and store of a month."""
        root = self.dataset.prefix
        below = f"{root}{month}data/"
        for file in files(self.objects, below, lambda key: _FILE.match(key, len(root))):
            yield file.key.removeprefix(below).removesuffix(".nc"), partial(self.read_file, file)
        below = f"{self._twins}{month}data/"
        for store in self.prefixes(below):
            if store.endswith(".zarr/"):
                yield store.removeprefix(below).rstrip("/"), partial(self._read_store, store)

    def read_file(self, file: StoredObject) -> Part:
        description = describe_file(self.objects, file)
        return Part(description, asset(self.dataset, file.key, NETCDF, **{"file:size": file.size}))

    def _read_store(self, key: str) -> Part:
        cube = ZarrCube(self.objects, key)
        return Part(describe(cube), asset(self.dataset, key, ZARR, **cube.fields))

    def _item(self, path: str, parts: Mapping[str, Part]) -> dict[str, Any]:
        month = self._month(path)
        description = merge([part.description for part in parts.values()])
        interval = description.interval or period_interval(month, self.dataset.period)
        assets = {name: part.asset for name, part in parts.items()}
        properties = {"title": f"{self.dataset.title}, {month}"}
        return item(self.dataset, f"{self.dataset.id}.{month}", description, interval, assets, properties)


def _behind(path: str) -> str:
    """Return the last key that may lie below a path with ``/`` at its end."""
    return path[:-1] + "0"


def period_interval(month: str, period: str) -> tuple[str, str]:
    """Return start and end, RFC 3339, of a period that starts with a month.

    Parameters
    ----------
    month
        ``YYYY-MM``.
    period
        ISO 8601 duration in whole months or years, e.g. ``P1M`` or ``P10Y``.

    Examples
    --------
    >>> period_interval("2018-01", "P1M")
    ('2018-01-01T00:00:00Z', '2018-01-31T23:59:59Z')
    """
    start = datetime.fromisoformat(f"{month}-01")
    months = int(period[1:-1]) * (12 if period.endswith("Y") else 1)
    year, index = divmod(start.year * 12 + start.month - 1 + months - 1, 12)
    last = start.replace(year=year, month=index + 1, day=calendar.monthrange(year, index + 1)[1])
    end = last + timedelta(hours=23, minutes=59, seconds=59)
    return f"{start.isoformat()}Z", f"{end.isoformat()}Z"
