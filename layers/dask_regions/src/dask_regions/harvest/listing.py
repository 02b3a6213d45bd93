"""Find stores and files in a bucket with few LIST requests.

A page of a listing has up to 1000 keys, and a Zarr store is a key per chunk. Two ways avoid listing
them: where the layout tells a store from its key, :func:`stores` lists flat and jumps over the rest of
a store; where it does not, :func:`walk` looks at one level after the other and does not enter stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dask_regions.harvest.base import ObjectStore, Source, StoredObject, digest

__all__ = ["CONSOLIDATED", "ROOTS", "VERSION_3", "files", "state", "stores", "walk"]

CONSOLIDATED, VERSION_3 = ".zmetadata", "zarr.json"
#: Objects that make a prefix a Zarr store.
ROOTS = frozenset({".zgroup", ".zarray", CONSOLIDATED, VERSION_3})
_IN_STORE = ".zarr/"
# The last key before zarr.json: Zarr 3 keeps its document behind the chunks of most variables.
_BEFORE_VERSION_3 = "zarr.jsom"


def files(
    objects: ObjectStore, prefix: str, fits: Callable[[str], object], after: str = "", last: str | None = None
) -> Iterator[StoredObject]:
    """Yield the objects below a prefix with ``after < key <= last`` whose key fits.

    What lies in a Zarr store (``….zarr/``) is no file of its own: it is passed over, and not listed further.
    """
    more = True
    while more:
        page, more = objects.page(prefix, after)
        for entry in page:
            if last is not None and entry.key > last:
                return
            if _IN_STORE not in entry.key[len(prefix) :] and fits(entry.key):
                yield entry
        after = _behind_store(page[-1].key, len(prefix)) if page else after
        more = more and bool(page)


def _behind_store(key: str, start: int) -> str:
    """Return where to list on after a key: behind the store that it lies in, if it does."""
    store = key.find(_IN_STORE, start)
    return key if store < 0 else key[: store + len(_IN_STORE) - 1] + "0"


@dataclass
class _Store:
    """A store on the way through a listing, and the objects that tell its state."""

    key: str
    consolidated: StoredObject | None = None
    version_3: StoredObject | None = None

    def see(self, entry: StoredObject) -> None:
        if entry.key == self.key + CONSOLIDATED:
            self.consolidated = entry
        elif entry.key == self.key + VERSION_3:
            self.version_3 = entry

    def source(self) -> Source:
        metadata = self.consolidated or self.version_3
        # Whether a document of Zarr 3 holds those of its arrays, a listing does not tell.
        fingerprint = metadata.fingerprint if metadata else "no metadata"
        return Source(self.key, fingerprint, self.consolidated is not None)

    def behind(self, key: str) -> str:
        """Return where to list on after a page that ends with a key of this store."""
        if key < self.key + CONSOLIDATED:
            return key
        if self.consolidated or self.version_3 or key >= self.key + _BEFORE_VERSION_3:
            # '0' follows '/' in ASCII: the first key that is not below the store.
            return self.key[:-1] + "0"
        return self.key + _BEFORE_VERSION_3


def stores(
    objects: ObjectStore,
    prefix: str,
    store_of: Callable[[str], str],
    after: str = "",
    last: str | None = None,
) -> Iterator[Source]:
    """Yield the Zarr stores below a prefix with ``after < key <= last``, by a flat listing.

    Parameters
    ----------
    store_of
        Returns the key of the store that an object belongs to, ending with ``/``, or an empty text.
    """
    position, more, current = after, True, _Store("")
    while more:
        page, more = objects.page(prefix, position)
        for entry in page:
            store = store_of(entry.key)
            if store != current.key:
                if current.key > after:
                    yield current.source()
                current = _Store(store)
            if last is not None and (store or entry.key) > last:
                return
            current.see(entry)
        if not page:
            break
        position = current.behind(page[-1].key) if current.key else page[-1].key
    if current.key > after:
        yield current.source()


def walk(objects: ObjectStore, prefix: str, after: str = "", last: str | None = None) -> Iterator[Source]:
    """Yield the Zarr stores at or below a prefix with ``after < key <= last``, level by level.

    A consolidated store of Zarr 2 costs one request. Any other costs one more for each of its arrays,
    because its root does not change when an array grows.
    """
    if (last is not None and prefix > last) or (prefix and prefix[:-1] + "0" <= after):
        return
    children: list[str] = []
    roots: dict[str, StoredObject] = {}
    for prefixes, stored in objects.level(prefix):
        children += prefixes
        roots |= {entry.key[len(prefix) :]: entry for entry in stored if entry.key[len(prefix) :] in ROOTS}
        if CONSOLIDATED in roots:
            break
    if not roots:
        for child in children:
            yield from walk(objects, child, after, last)
    elif prefix > after:
        yield Source(prefix, _state(objects, roots, children))


def state(objects: ObjectStore, store: str) -> str:
    """Return what tells the state of a store that may not be consolidated: a request for each array."""
    return next((source.fingerprint for source in walk(objects, store) if source.key == store), "no metadata")


def _state(objects: ObjectStore, roots: dict[str, StoredObject], children: list[str]) -> str:
    if CONSOLIDATED in roots:
        return roots[CONSOLIDATED].fingerprint
    documents = sorted(roots.values(), key=lambda document: document.key)
    for child in children:
        documents += objects.page(child + (VERSION_3 if VERSION_3 in roots else ".z"))[0]
    return digest(part for document in documents for part in (document.key, document.fingerprint))
