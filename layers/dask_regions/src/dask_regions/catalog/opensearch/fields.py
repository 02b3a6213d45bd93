"""How Items and their sources are kept in OpenSearch: mappings, and documents made of them.

A Collection has two indexes in each generation. In ``items`` a document is an Item: what is searched, as
declared by the queryables, and beside it the Item itself, which OpenSearch stores and does not look into.
In ``sources`` a document is a store or file of a Region's bucket, from which an Item was made or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dask_regions.catalog import stac
from dask_regions.catalog.indexing import indexed
from dask_regions.catalog.queryables import BEGAN, ENDED, QUERYABLES, Kind, Queryable
from dask_regions.catalog.timestamps import microseconds
from dask_regions.errors import RequestError
from dask_regions.words import fold

__all__ = [
    "CONTROL",
    "FOLDED",
    "FORMAT",
    "GEOMETRIES",
    "ITEMS",
    "SIZES",
    "SOURCES",
    "VALUES",
    "document_of",
    "field_of",
    "identifier",
]

#: Objects of a document: values by queryable, texts in lower case, and how many distinct values an array has.
VALUES, FOLDED, SIZES = "values", "folded", "sizes"

_KEYWORD: dict[str, Any] = {"type": "keyword"}
_WHOLE_NUMBER: dict[str, Any] = {"type": "long"}
# Kept, not looked into.
_STORED: dict[str, Any] = {"type": "object", "enabled": False}
# Timestamps are microseconds since 1970: exact from the year 1 to 9999, which OpenSearch's dates are not.
_TYPES: dict[Kind, dict[str, Any]] = {
    "string": _KEYWORD,
    "strings": _KEYWORD,
    "timestamp": _WHOLE_NUMBER,
    "integer": _WHOLE_NUMBER,
}
_SEARCHED = (*QUERYABLES.values(), BEGAN, ENDED)
# Lucene refuses longer terms.
_MAX_TERM_BYTES = 32_766


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"dynamic": "strict", "properties": properties}


ITEMS = _object(
    {
        VALUES: _object({queryable.name: _TYPES[queryable.kind] for queryable in _SEARCHED}),
        FOLDED: _object({q.name: _KEYWORD for q in _SEARCHED if q.kind == "string"}),
        SIZES: _object({q.name: {"type": "integer"} for q in _SEARCHED if q.kind == "strings"}),
        "words": {"type": "text", "analyzer": "whitespace", "norms": False},
        "geometry": _KEYWORD,
        "extent": _object({side: {"type": "double"} for side in ("west", "south", "east", "north")}),
        "regions": _KEYWORD,
        "item": _STORED,
        "parts": _STORED,
    }
)
SOURCES = _object(
    {
        "region": _KEYWORD,
        "source": _KEYWORD,
        "generation": _KEYWORD,
        "removed": {"type": "boolean"},
        "fingerprint": {"type": "keyword", "index": False, "doc_values": False},
        "item": {"type": "keyword", "index": False, "doc_values": False},
        "reason": {"type": "keyword", "index": False, "doc_values": False},
    }
)
GEOMETRIES = _object({"digest": _KEYWORD, "geometry": _STORED})
CONTROL = _object({"kind": _KEYWORD, "generation": _KEYWORD, "content": _STORED})
#: Changes with the mappings: a catalog of another format has to be made anew.
FORMAT = hashlib.sha256(json.dumps([ITEMS, SOURCES, GEOMETRIES], sort_keys=True).encode()).hexdigest()[:16]


def field_of(queryable: Queryable) -> str:
    """Return the field that holds a queryable."""
    return f"{VALUES}.{queryable.name}"


def identifier(*parts: str) -> str:
    """Return the ``_id`` of a document: short and of plain letters, whatever its parts are."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def document_of(parts: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], tuple[str, Any] | None]:
    """Return the document of an Item, and the digest of its geometry with the geometry.

    Parameters
    ----------
    parts
        Region to ``{"source", "item"}``: what each Region that holds the Item made of which source.

    Raises
    ------
    RequestError
        Naming the Item, where it cannot be searched.
    """
    regions = sorted(parts)
    copies = [parts[region]["item"] for region in regions]
    item = stac.merge(copies) if len(copies) > 1 else copies[0]
    index = indexed(item)
    document: dict[str, Any] = {
        VALUES: {},
        FOLDED: {},
        SIZES: {},
        "words": " ".join(index.words),
        "regions": regions,
        "item": item,
        # The copy of a single Region is the Item.
        "parts": {region: dict(parts[region]) for region in regions}
        if len(regions) > 1
        else {regions[0]: {"source": parts[regions[0]]["source"]}},
    }
    for queryable in _SEARCHED:
        value = index.values.get(queryable.name)
        if value is not None:
            _add(document, queryable, value, f"Item {item['id']}")
    if index.bbox is not None:
        west, south, east, north = index.bbox
        across = west > east
        west, east = (-180.0, 180.0) if across else (west, east)
        document["extent"] = {"west": west, "south": south, "east": east, "north": north}
    if index.geometry_digest is None:
        return document, None
    document["geometry"] = index.geometry_digest
    return document, (index.geometry_digest, index.geometry)


def _add(document: dict[str, Any], queryable: Queryable, value: Any, label: str) -> None:
    if queryable.kind == "timestamp":
        value = microseconds(value)
    elif queryable.kind == "strings":
        value = sorted(set(value))
        document[SIZES][queryable.name] = len(value)
    elif queryable.kind == "string":
        document[FOLDED][queryable.name] = fold(value)
    texts = [value, fold(value)] if queryable.kind == "string" else value if isinstance(value, list) else []
    if any(len(text.encode()) > _MAX_TERM_BYTES for text in texts):
        raise RequestError(label, f"{queryable.name} is longer than {_MAX_TERM_BYTES} bytes; shorten it")
    document[VALUES][queryable.name] = value
