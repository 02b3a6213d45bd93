"""Pages for people: what the catalog holds, and how to ask it. They load nothing and run no script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from string import Template
from typing import Any

from dask_regions.catalog.web.places import PLACES
from dask_regions.models import Configuration

__all__ = ["HEADERS", "api_page", "landing_page"]

#: They let a browser load nothing from elsewhere and run no script, whatever a title says.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
}
_BROWSER = "https://radiantearth.github.io/stac-browser/#/external/"


def landing_page(
    base: str,
    configuration: Configuration,
    collections: Iterable[Mapping[str, Any]],
    stored: Mapping[str, Mapping[str, Any]],
    freshness: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the page that answers ``GET /`` in a browser.

    Parameters
    ----------
    base
        Base URL of the API, without a slash at its end.
    configuration
        Its Regions are on the map.
    collections
        STAC Collections.
    stored, freshness
        As the store has them, by Collection and by Region.
    """
    shown = list(collections)
    titles = {
        region.name: [
            collection["title"] for collection in shown if region.name in collection["summaries"]["regions"]
        ]
        for region in configuration.regions
    }
    items = sum(collection.get("items", 0) for collection in stored.values())
    return _filled(
        "page.html",
        base=escape(base),
        summary=escape(_summary(len(shown), items, sum(map(bool, titles.values())))),
        land=_read("land.svg"),
        points="".join(_point(region, titles[region], freshness) for region in titles),
        collections="".join(
            _collection(collection, stored.get(collection["id"], {}), base) for collection in shown
        ),
        regions="".join(_region(region.name, region.client, freshness) for region in configuration.regions),
        browser=escape(_BROWSER + base.removeprefix("https://")),
        title=escape(configuration.client_region.name),
    )


def _summary(collections: int, items: int, regions: int) -> str:
    return (
        f"{items:,} dataset{'s' * (items != 1)} in {collections} Collection{'s' * (collections != 1)}, "
        f"held by {regions} AWS Region{'s' * (regions != 1)}"
    )


def _point(region: str, titles: list[str], freshness: Mapping[str, Mapping[str, Any]]) -> str:
    if region not in PLACES:
        return ""
    city, longitude, latitude = PLACES[region]
    stale = freshness.get(region, {}).get("stale", False)
    kind = "stale" if stale else "holds" if titles else "client"
    # A label is to the left where it would leave the map to the right.
    side, anchor = (-5, "end") if longitude > 130 else (5, "start")
    return (
        f'<g class="{kind}"><title>{escape(", ".join(titles) or "holds no data")}</title>'
        f'<circle cx="{longitude}" cy="{-latitude}" r="3"/>'
        f'<text x="{longitude + side}" y="{-latitude + 2}" text-anchor="{anchor}">'
        f"{escape(region)} {escape(city)}</text></g>"
    )


def _collection(collection: Mapping[str, Any], stored: Mapping[str, Any], base: str) -> str:
    url = f"{base}/collections/{collection['id']}"
    start, end = collection["extent"]["temporal"]["interval"][0]
    period = f"{(start or '…')[:10]} to {(end or '…')[:10]}" if start or end else "—"
    regions = ", ".join(collection["summaries"]["regions"])
    return (
        f'<tr><td><a href="{escape(url)}">{escape(collection["title"])}</a>'
        f"<p>{escape(collection['description'])}</p></td>"
        f'<td class="number"><a href="{escape(url)}/items">{stored.get("items", 0):,}</a></td>'
        f"<td>{escape(period)}</td><td>{escape(regions)}</td></tr>"
    )


def _region(region: str, client: bool, freshness: Mapping[str, Mapping[str, Any]]) -> str:
    state = freshness.get(region)
    if state is None:
        state_of_sync = "client Region: notebooks, scheduler, catalog" if client else "never synced"
    elif state["stale"]:
        state_of_sync = f"stale: the last sync failed; last good sync {state['synced'] or 'never'}"
    else:
        state_of_sync = f"last sync {state['synced']}"
    name = PLACES.get(region, ("",))[0]
    return f"<tr><td>{escape(region)}</td><td>{escape(name)}</td><td>{escape(state_of_sync)}</td></tr>"


def api_page(description: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as a page."""
    operations = [
        _operation(method, path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return _filled(
        "api.html",
        base=escape(description["servers"][0]["url"]),
        title=escape(description["info"]["title"]),
        description=escape(description["info"]["description"]),
        operations="".join(operations),
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    named = {
        parameter["name"]: (parameter["description"], parameter["schema"])
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        named |= {name: (member["description"], member) for name, member in schema["properties"].items()}
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(schema))}</td><td>{escape(text)}</td></tr>"
        for name, (text, schema) in named.items()
    )
    table = f"<table>{rows}</table>" if rows else ""
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>{table}"
    )


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(json.dumps, schema["enum"]))
    return str(schema.get("type", "text or JSON"))


def _filled(name: str, **values: str) -> str:
    return Template(_read(name)).substitute(values)


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
