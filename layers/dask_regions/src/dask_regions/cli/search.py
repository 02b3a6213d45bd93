"""``dask-regions search``: ask the catalog from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dask_regions.cli.conventions import console, json_option, show_json, show_notes, table
from dask_regions.cli.system import Options, System
from dask_regions.errors import NotFoundError, RequestError, UnavailableError

if TYPE_CHECKING:
    from pystac import Item

__all__ = ["search"]

_MOUNTED = "fsx"
#: What pystac-client takes: a year, a month, a day, an RFC 3339 timestamp, or an open end.
_MOMENT = re.compile(r"\.\.|\d{4}(-\d\d(-\d\d([Tt].+)?)?)?|")


@click.command()
@click.option("--api", envvar="DASK_REGIONS_API", show_envvar=True, help="Address of the catalog's STAC API.")
@click.option("--variable", help="Name of a variable, e.g. air_temperature.")
@click.option("--scenario", help="Emission scenario, e.g. A1B.")
@click.option("--region", help="Only what this Region holds, e.g. us-west-2.")
@click.option("--collection", "collections", multiple=True, help="Id of a Collection; may be repeated.")
@click.option("--datetime", "period", help="Instant or interval, e.g. 2070-01-01/2099-12-31 or 2070/..")
@click.option("--bbox", help="west,south,east,north in degrees, e.g. -125,25,-65,50.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show at most this many."
)
@json_option
@click.pass_obj
def search(
    options: Options,
    api: str | None,
    variable: str | None,
    scenario: str | None,
    region: str | None,
    collections: tuple[str, ...],
    period: str | None,
    bbox: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Find data in the catalog, and the Regions that hold them.

    All conditions must hold. Without any, everything is listed. With --json, the answer is a GeoJSON
    FeatureCollection. Where nothing matches, the exit code is 3.

    \b
    Examples:
      dask-regions search --variable air_temperature --scenario A1B
      dask-regions search --region us-east-1 --datetime 2070-01-01/2099-12-31
      dask-regions search --collection e1-north-america --json > items.json
    """
    query: dict[str, Any] = {
        "filter": _filter(variable, scenario, region),
        "collections": list(collections) or None,
        "datetime": _interval(period) if period else None,
        "bbox": _bbox(bbox) if bbox else None,
        "max_items": limit,
    }
    items, matched = _ask(_address(options, api), query)
    if as_json:
        show_json({"type": "FeatureCollection", "features": [item.to_dict() for item in items]})
    elif items:
        _show(items, matched)
    if not items:
        raise NotFoundError("nothing found; drop a condition, or fill the catalog with `dask-regions sync`")


def _show(items: list[Item], matched: int | None) -> None:
    console().print(table(["Item", "Collection", "from", "to", "Regions", "path"], list(map(_row, items))))
    if matched is None or matched > len(items):
        total = f" of {matched}" if matched is not None else ""
        show_notes([f"{len(items)}{total} shown; --limit shows more"])


def _address(options: Options, api: str | None) -> str:
    if api:
        return api
    local = System.find(options).local
    if local is None:
        raise UnavailableError(
            "no catalog to ask: no local system runs, and neither --api nor DASK_REGIONS_API is given; "
            "start one with `dask-regions local`, or give the address of the API"
        )
    return local.api_url


def _filter(variable: str | None, scenario: str | None, region: str | None) -> dict[str, Any] | None:
    conditions: list[dict[str, Any]] = [
        {"op": "a_contains", "args": [{"property": name}, [value]]}
        for name, value in (("variables", variable), ("regions", region))
        if value
    ]
    if scenario:
        conditions.append({"op": "=", "args": [{"property": "scenario"}, scenario]})
    if len(conditions) > 1:
        return {"op": "and", "args": conditions}
    return conditions[0] if conditions else None


def _interval(text: str) -> str:
    parts = text.split("/")
    if len(parts) > 2 or not all(_MOMENT.fullmatch(part) for part in parts):
        raise click.BadParameter(
            f"{text!r} is no instant or interval; write 2070-01-01/2099-12-31, 2070/.. or 2070-06",
            param_hint="--datetime",
        )
    return text


def _bbox(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise click.BadParameter(
            f"{text!r} is not four numbers; write west,south,east,north", param_hint="--bbox"
        )
    return numbers


def _ask(api: str, query: dict[str, Any]) -> tuple[list[Item], int | None]:
    import requests
    from pystac_client import Client
    from pystac_client.exceptions import APIError

    try:
        matches = Client.open(api).search(**query)
        items = list(matches.items())
        # One more request, and not every catalog counts.
        return items, matches.matched() if len(items) == query["max_items"] else len(items)
    except requests.RequestException as error:
        raise UnavailableError(f"the catalog at {api} does not answer ({error}); is it running?") from error
    except APIError as error:
        if error.status_code == 400:
            raise RequestError("search", f"the catalog says: {_complaint(error)}") from error
        if error.status_code is None:  # pystac-client's word for a connection that failed
            raise UnavailableError(
                f"the catalog at {api} does not answer ({error}); is it running?"
            ) from error
        raise UnavailableError(
            f"the catalog at {api} answers {error.status_code} ({_complaint(error)}); is it a STAC API?"
        ) from error
    except ValueError as error:  # what pystac-client makes of a datetime it cannot read
        raise RequestError("search", f"{error}; see `dask-regions search --help`") from error


def _complaint(error: Exception) -> str:
    """Return the description inside a STAC API's error, where it is JSON."""
    try:
        answer = json.loads(str(error))
    except ValueError:
        return str(error)
    return str(answer.get("description", error)) if isinstance(answer, dict) else str(error)


def _row(item: Item) -> list[object]:
    properties = item.properties
    start = properties.get("start_datetime") or properties.get("datetime")
    end = properties.get("end_datetime") or properties.get("datetime")
    return [
        item.id,
        item.collection_id,
        _day(start),
        _day(end),
        ", ".join(properties.get("regions", [])) or None,
        _path(item),
    ]


def _day(timestamp: object) -> str | None:
    return str(timestamp)[:10] if timestamp else None


def _path(item: Item) -> str | None:
    """Return where workers read the data: the path on FSx, else the asset's own address."""
    assets: Sequence[Any] = list(item.assets.values())
    data = next((asset for asset in assets if "data" in (asset.roles or [])), assets[0] if assets else None)
    if data is None:
        return None
    alternates = data.extra_fields.get("alternate", {})
    href: str = alternates.get(_MOUNTED, {}).get("href", data.href)
    return href.removeprefix("file://")
