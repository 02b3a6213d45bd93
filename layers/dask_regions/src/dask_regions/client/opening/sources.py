"""From STAC Items to the files and stores to open, and the Regions to open them in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from dask_regions.errors import RequestError

__all__ = ["Source", "sources"]

_ZARR = ("application/vnd+zarr", "application/vnd.zarr")
_NETCDF = ("application/netcdf", "application/x-netcdf")


@dataclass(frozen=True)
class Source:
    """A file or store in the Region where it is to be read.

    Attributes
    ----------
    region
        Region whose workers see it.
    path
        Absolute path on those workers.
    asset
        Key of the STAC Asset; sources of several Items with the same key are one series.
    zarr
        Whether it is a Zarr store; else a NetCDF-4 file.
    consolidated
        STAC ``zarr:consolidated``; None lets Zarr find out.
    options
        Further options of ``xr.open_dataset``.
    """

    region: str
    path: str
    asset: str
    zarr: bool
    consolidated: bool | None = None
    options: tuple[tuple[str, Any], ...] = ()


def sources(items: Iterable[Any], alive: Collection[str]) -> list[tuple[Source, ...]]:
    """Choose what to open: for every asset, each copy of it whose Region has workers.

    Parameters
    ----------
    items
        ``pystac.Item`` objects or their dicts, of one Collection.
    alive
        Regions whose pools have workers. Where none of an asset's Regions has, its first one is chosen.

    Returns
    -------
    list of tuple of Source
        An asset's copies together, in the order of the Item.

    Raises
    ------
    RequestError
        Where there is no Item, something is no Item, an Item cannot be opened, or the Items are of
        several Collections.
    """
    chosen: list[tuple[Source, ...]] = []
    collections: set[str] = set()
    for item in items:
        as_dict = _as_dict(item)
        collections.add(str(as_dict.get("collection")))
        chosen += _of_item(as_dict, alive)
    if not chosen:
        raise RequestError("item", "there is no Item to open; search with wider parameters")
    if len(collections) > 1:
        raise RequestError(
            "item",
            f"the Items are of several Collections ({', '.join(sorted(collections))}); open each alone",
        )
    return chosen


def _as_dict(item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    if not hasattr(item, "to_dict"):
        raise RequestError(
            "item",
            f"{item!r:.100} is no STAC Item; give pystac Items, or their dicts, as a search finds them",
        )
    as_dict: Mapping[str, Any] = item.to_dict(transform_hrefs=False)
    return as_dict


def _of_item(item: Mapping[str, Any], alive: Collection[str]) -> list[tuple[Source, ...]]:
    chosen: list[tuple[Source, ...]] = []
    for key, asset in item.get("assets", {}).items():
        media_type = str(asset.get("type", "")).split(";")[0]
        if "data" not in (asset.get("roles") or ()) or media_type not in (*_ZARR, *_NETCDF):
            continue
        copies = dict(_copies(item, asset))
        if not copies:
            continue
        regions = [region for region in copies if region in alive] or [next(iter(copies))]
        zarr = media_type in _ZARR
        consolidated = asset.get("zarr:consolidated") if zarr else None
        chosen.append(tuple(Source(region, copies[region], key, zarr, consolidated) for region in regions))
    if not chosen and _is_in_s3_alone(item):
        raise RequestError(
            "item",
            f"the data of {item.get('id')} are read straight from S3 ('access: s3' in datasets.yaml), which "
            "open_dataset does not do yet; read its asset's href with another library, or set 'access: fsx' "
            "and sync",
        )
    if not chosen:
        raise RequestError(
            "item",
            f"{item.get('id')} has no Zarr or NetCDF asset with role 'data' and an alternate on FSx "
            "for Lustre; choose an Item of this system's catalog",
        )
    # Where an Item offers the same data in both formats, as x and x.zarr, one is enough.
    twins = {_stem(copies[0]) for copies in chosen if copies[0].zarr}
    return [copies for copies in chosen if copies[0].zarr or _stem(copies[0]) not in twins]


def _is_in_s3_alone(item: Mapping[str, Any]) -> bool:
    """Return whether a system's own Item says that no file system shows its data."""
    kinds = {scheme.get("type") for scheme in _schemes(item).values()}
    return kinds == {"aws-s3"}


def _schemes(item: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return (item.get("properties") or {}).get("storage:schemes") or item.get("storage:schemes") or {}


def _stem(source: Source) -> str:
    return source.asset.removesuffix(".zarr" if source.zarr else ".nc")


def _copies(item: Mapping[str, Any], asset: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield Region and path of each copy of an asset on a worker's file system."""
    schemes = _schemes(item)
    for alternate in (asset.get("alternate") or {}).values():
        address = urlsplit(alternate.get("href", ""))
        if address.scheme != "file":
            continue
        for reference in alternate.get("storage:refs", ()):
            if region := schemes.get(reference, {}).get("region"):
                yield region, unquote(address.path)
