"""Harvest ERA5 as NSF NCAR keeps it on AWS: NetCDF-4 files in a directory for each month.

Keys are ``<prefix>YYYYMM/<group>.<table>_<number>_<variable>.<grid>.<start>_<end>.nc`` with hours as
``YYYYMMDDHH``, e.g. ``e5.oper.an.sfc/202401/e5.oper.an.sfc.128_167_2t.ll025sc.2024010100_2024013123.nc``;
the prefix is that of one group, ``e5.oper.an.sfc/``. https://registry.opendata.aws/nsf-ncar-era5/ and
https://gdex.ucar.edu/datasets/d633000/. A month is one Item with an Asset per file.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import ClassVar

from dask_regions.harvest.base import Source, digest
from dask_regions.harvest.layouts.era5 import Era5Harvester, Part
from dask_regions.harvest.listing import files

__all__ = ["NcarEra5Harvester"]

_MONTH = r"((?:19|20)\d{2}(?:0[1-9]|1[0-2])/)"
_PREFIX_OF_MONTH = re.compile(_MONTH + "$")
_FILE = re.compile(_MONTH + r"[^/]+\.\d+_\d+_([^./]+)\.[^./]+\.(\d{10})_(\d{10})\.nc$")


class NcarEra5Harvester(Era5Harvester):
    """One Item per ``YYYYMM``; its source is ``<prefix>YYYYMM/``."""

    # A month has some fifty files, each of which costs what a source of another layout does.
    sources_per_cut: ClassVar[int] = 50

    def cuts(self) -> list[str]:
        """Return the prefix of every month."""
        root = self.dataset.prefix
        return sorted(
            prefix for prefix in self.prefixes(root) if _PREFIX_OF_MONTH.fullmatch(prefix, len(root))
        )

    def sources(self, after: str = "", last: str | None = None) -> Iterator[Source]:
        """Yield every month that has a file."""
        root = self.dataset.prefix
        listed = files(self.objects, root, lambda key: _FILE.match(key, len(root)), after, _behind(last))
        for month, entries in groupby(listed, key=lambda entry: entry.key[: len(root) + len("YYYYMM/")]):
            # The files of the month at either end lie behind its own key.
            if month > after and (last is None or month <= last):
                yield Source(
                    month, digest(text for entry in entries for text in (entry.key, entry.fingerprint))
                )

    def _month(self, path: str) -> str:
        return f"{path[:4]}-{path[4:6]}"

    def _readers(self, month: str) -> Iterator[tuple[str, Callable[[], Part]]]:
        """Yield the Asset's key, the variable's short name, and a function that reads it, of every file."""
        root = self.dataset.prefix
        for file in files(self.objects, root + month, lambda key: _FILE.match(key, len(root))):
            match = _FILE.match(file.key, len(root))
            assert match is not None
            _, variable, start, end = match.groups()
            whole = (start, end) == _hours(month)
            yield variable if whole else f"{variable}-{start}", partial(self.read_file, file)


def _behind(last: str | None) -> str | None:
    """Return a key behind all files of a month."""
    return None if last is None else last.removesuffix("/") + "0"


def _hours(month: str) -> tuple[str, str]:
    """Return first and last hour of a month, ``YYYYMM/``, as they stand in keys."""
    days = calendar.monthrange(int(month[:4]), int(month[4:6]))[1]
    return f"{month[:6]}0100", f"{month[:6]}{days:02d}23"
