"""Read what a bucket holds from a list that its owner keeps, instead of listing it.

The manifest of CMIP6 on AWS, ``pangeo-cmip6.csv``, has a row per store: its facets, its address (column
``zstore``) and its version. https://pangeo-data.github.io/pangeo-cmip6-cloud
"""

from __future__ import annotations

import csv
import io
import re

from dask_regions.errors import NotFoundError
from dask_regions.harvest.base import ObjectStore, Source, digest
from dask_regions.models import Dataset

__all__ = ["archive_root", "manifest_sources"]

_ADDRESS = "zstore"
_STORE = re.compile(r"(?:[^/]+/){8}v\d+/$")


def archive_root(prefix: str) -> str:
    """Return where the nine parts of a CMIP6 store begin, for a prefix of the archive or of a part of it.

    Examples
    --------
    >>> archive_root("copies/CMIP6/ScenarioMIP/MOHC/"), archive_root("CMIP6/"), archive_root("mine/")
    ('copies/CMIP6/', 'CMIP6/', 'mine/')
    """
    before, name, _ = f"/{prefix}".rpartition("/CMIP6/")
    return (before + name).removeprefix("/") if name else prefix


def manifest_sources(dataset: Dataset, objects: ObjectStore) -> list[Source]:
    """Return the stores that a dataset's manifest names, in the order of their keys.

    A row whose address does not end in the nine parts of a CMIP6 store is passed over, and so is a store that
    is not below the dataset's prefix. What comes before the nine parts is replaced by the dataset's own root,
    so that a replica may keep a copy of the same manifest. The fingerprint is the row's: a store that changes
    without it is not noticed.

    Raises
    ------
    NotFoundError
        Where the manifest cannot be read, or is none.
    """
    assert dataset.manifest is not None
    text = io.TextIOWrapper(io.BytesIO(objects.read(dataset.manifest)), encoding="utf-8", newline="")
    try:
        rows = csv.reader(text)
        address = next(rows, []).index(_ADDRESS)
        root = archive_root(dataset.prefix)
        fingerprints = {
            key: digest(row)
            for row in rows
            if len(row) > address and (store := _STORE.search(_path(row[address])))
            if (key := root + store.group()).startswith(dataset.prefix)
        }
    except (ValueError, csv.Error) as error:  # no such column, or no text
        raise NotFoundError(
            f"s3://{dataset.bucket}/{dataset.manifest} is no manifest: it needs a CSV column {_ADDRESS!r}; "
            f"correct 'manifest' of {dataset.id} in datasets.yaml, or remove it to list the bucket"
        ) from error
    return [Source(key, fingerprints[key]) for key in sorted(fingerprints)]


def _path(address: str) -> str:
    """Return the key in ``s3://bucket/key``, with ``/`` at its end."""
    return address.partition("://")[2].partition("/")[2].rstrip("/") + "/"
