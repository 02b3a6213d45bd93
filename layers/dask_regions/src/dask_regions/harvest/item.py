"""Build STAC 1.1 Items that say where data are: in S3, and on a Region's FSx for Lustre.

Extensions: storage 2.0, alternate-assets 1.2, datacube 2.3, and zarr 1.1 or file 2.1 as needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dask_regions import boxes
from dask_regions.harvest.base import digest
from dask_regions.harvest.coordinates import Description
from dask_regions.models import Dataset

__all__ = ["NETCDF", "ZARR", "asset", "item", "item_id"]

#: Media types that readers of STAC look for.
ZARR = "application/vnd+zarr"
NETCDF = "application/netcdf"

_ODD = re.compile(r"[^A-Za-z0-9_/-]")

_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
_ALWAYS = tuple(map(_EXTENSION.format, ("storage/v2.0.0", "alternate-assets/v1.2.0", "datacube/v2.3.0")))
_BY_PREFIX = {"zarr:": _EXTENSION.format("zarr/v1.1.0"), "file:": _EXTENSION.format("file/v2.1.0")}


def asset(dataset: Dataset, key: str, media_type: str, **fields: Any) -> dict[str, Any]:
    """Return an Asset in S3; its alternate is the same data on the Region's file system, if that shows them.

    Parameters
    ----------
    dataset
        Whose bucket and FSx path these are.
    key
        Key in the bucket, below the dataset's prefix; a store's ends with ``/``.
    media_type
        :data:`ZARR` or :data:`NETCDF`.
    **fields
        Further fields, e.g. ``**{"file:size": 1024}``.
    """
    return {
        "href": f"s3://{dataset.bucket}/{key}",
        "type": media_type,
        "roles": ["data"],
        "alternate:name": f"S3 in {dataset.region}",
        "storage:refs": [f"s3-{dataset.region}"],
        **_alternate(dataset, key),
        **fields,
    }


def _alternate(dataset: Dataset, key: str) -> dict[str, Any]:
    if dataset.access == "s3":
        return {}
    path = f"{dataset.fsx_path.rstrip('/')}/{key.removeprefix(dataset.prefix)}"
    fsx = {
        "href": f"file://{quote(path)}",
        "alternate:name": f"FSx for Lustre in {dataset.region}",
        "storage:refs": [f"fsx-{dataset.region}"],
    }
    return {"alternate": {"fsx": fsx}}


def item_id(start: str, path: str, ending: str = "") -> str:
    """Return an id that no other path has: its parts joined by dots.

    Where a part has a character besides letters, digits, ``-`` and ``_``, a digest of the path follows.

    Parameters
    ----------
    start
        The first part.
    path
        Below the dataset's prefix, without the ending that is usual in the layout.
    ending
        Another ending, or what stands for none: it tells ``a.nc4`` from ``a.nc``.

    Examples
    --------
    >>> item_id("CMIP6", "CMIP/MOHC/tas/v1")
    'CMIP6.CMIP.MOHC.tas.v1'
    >>> item_id("sea", "level/2.5 km")
    'sea.level.2_5_km-e0c4400fd0d4724b'
    """
    plain = _ODD.sub("_", path)
    name = ".".join([start, *plain.split("/")])
    parts = [path, ending] if ending else [path]
    return name if plain == path and not ending else f"{name}-{digest(parts)}"


def item(
    dataset: Dataset,
    item_id: str,
    description: Description,
    interval: tuple[str, str],
    assets: Mapping[str, Mapping[str, Any]],
    properties: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a STAC Item.

    Parameters
    ----------
    dataset
        Names Collection and Region, and adds its ``properties``, which win over the layout's.
    item_id
        Unique in the Collection, and the same in every Region that holds these data.
    description
        What the coordinates say.
    interval
        Start and end, RFC 3339. ``datetime`` is null, as STAC has it for intervals.
    assets
        From :func:`asset`, by name.
    properties
        What the layout says, e.g. ``title`` and ``cmip6:*``.
    """
    prefixes = {name.split(":")[0] + ":" for asset in assets.values() for name in asset}
    box = {"bbox": list(description.bbox)} if description.bbox else {}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [*_ALWAYS, *(url for start, url in _BY_PREFIX.items() if start in prefixes)],
        "id": item_id,
        "collection": dataset.id,
        "geometry": boxes.geometry(description.bbox) if description.bbox else None,
        **box,
        "properties": {
            **properties,
            **dataset.properties,
            "datetime": None,
            "start_datetime": interval[0],
            "end_datetime": interval[1],
            "variables": list(description.names),
            "regions": [dataset.region],
            "cube:dimensions": description.dimensions,
            "cube:variables": description.variables,
            "storage:schemes": _schemes(dataset),
        },
        "assets": {name: dict(asset) for name, asset in assets.items()},
        # STAC wants it wherever a Collection is named; the API puts its own address there.
        "links": [{"rel": "collection", "href": f"../../{dataset.id}", "type": "application/json"}],
    }


def _schemes(dataset: Dataset) -> dict[str, dict[str, Any]]:
    region = dataset.region
    s3 = {
        "type": "aws-s3",
        "platform": "https://{bucket}.s3.{region}.amazonaws.com",
        "bucket": dataset.bucket,
        "region": region,
    }
    schemes = {f"s3-{region}": s3 | ({"requester_pays": True} if dataset.requester_pays else {})}
    if dataset.access == "fsx":
        schemes[f"fsx-{region}"] = {
            "type": "aws-fsx-lustre",
            "platform": f"https://fsx.{region}.amazonaws.com",
            "region": region,
            "mount_point": dataset.fsx_path,
        }
    return schemes
