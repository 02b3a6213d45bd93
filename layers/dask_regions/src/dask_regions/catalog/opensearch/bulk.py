"""Many documents at once: read by id, written in requests of bounded size, scanned in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dask_regions.catalog.opensearch.client import Client, OpenSearchError, encode
from dask_regions.catalog.opensearch.documents import Version
from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.names import writing_alias

__all__ = ["Change", "Documents"]

# OpenSearch Service takes requests of 10 MiB on its smallest instances.
_REQUEST_BYTES = 4_000_000
_GET = 200
_SCAN = 2_000
_OVERTAKEN = "the generation was overtaken by another; start a new sync"


@dataclass(frozen=True)
class Change:
    """A document to write, or to delete where `source` is None.

    Attributes
    ----------
    version
        That it must still have.
    create
        Whether it must not exist.
    """

    id: str
    source: Mapping[str, Any] | None
    version: Version | None = None
    create: bool = False

    def lines(self, index: str) -> bytes:
        """Return the lines of a bulk request."""
        # OpenSearch would make an index anew that another sync has deleted; an alias it does not make.
        target: dict[str, Any] = {
            "_index": writing_alias(index),
            "require_alias": True,
            "_id": self.id,
        }
        if self.version is not None:
            target |= {"if_seq_no": self.version.seq_no, "if_primary_term": self.version.primary_term}
        if self.source is None:
            return encode({"delete": target})
        return encode({"create" if self.create else "index": target}, self.source)


class Documents:
    """Documents of any index."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, index: str, ids: Sequence[str]) -> dict[str, tuple[dict[str, Any], Version]]:
        """Return those documents that exist, as last written, by id.

        Raises
        ------
        NotFoundError
            Where the index is gone, because another generation was swapped in.
        """
        documents = {}
        for start in range(0, len(ids), _GET):
            body = {"ids": list(ids[start : start + _GET])}
            for document in self._client.request("POST", [index, "_mget"], body)["docs"]:
                if "error" in document:
                    raise NotFoundError(_OVERTAKEN)
                if document["found"]:
                    documents[document["_id"]] = (
                        document["_source"],
                        Version(document["_seq_no"], document["_primary_term"]),
                    )
        return documents

    def write(self, index: str, changes: Sequence[Change]) -> set[str]:
        """Apply changes; return the ids of those that came too late, to be read and changed again.

        Raises
        ------
        NotFoundError
            Where the index is closed to changes, because its generation is being swapped in, or gone,
            because another was.
        """
        late: set[str] = set()
        for lines in _requests(index, changes):
            for entry in self._client.request("POST", ["_bulk"], lines)["items"]:
                (result,) = entry.values()
                status = result["status"]
                # Deleting what is gone is done; too much at once is tried again as if it came too late.
                if status in (409, 429):
                    late.add(result["_id"])
                elif status == 403:
                    raise NotFoundError("the generation is being swapped in; start a new sync")
                elif status == 404 and "error" in result:
                    raise NotFoundError(_OVERTAKEN)
                elif status >= 300 and not (status == 404 and "delete" in entry):
                    raise OpenSearchError(status, result.get("error"))
        return late

    def scan(
        self, index: str, query: Mapping[str, Any], by: str, start: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the source of each document that matches, in the order of a field that is unique.

        The index must not be refreshed meanwhile.
        """
        after = start
        while True:
            body: dict[str, Any] = {"size": _SCAN, "query": query, "sort": [by], "track_total_hits": False}
            if after is not None:
                body["search_after"] = [after]
            try:
                answer = self._client.search(index, body)
            except OpenSearchError as error:
                if error.status != 404:
                    raise
                raise UnavailableError(
                    f"{index} has been replaced by two later syncs; start this one again"
                ) from error
            hits = answer["hits"]["hits"]
            yield from (hit["_source"] for hit in hits)
            if len(hits) < _SCAN:
                return
            after = hits[-1]["sort"][0]


def _requests(index: str, changes: Sequence[Change]) -> Iterator[bytes]:
    parts, size = list[bytes](), 0
    for change in changes:
        lines = change.lines(index)
        if parts and size + len(lines) > _REQUEST_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(lines)
        size += len(lines)
    if parts:
        yield b"".join(parts)
