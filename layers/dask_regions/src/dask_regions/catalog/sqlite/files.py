"""The files of a catalog: a small pointer that is replaced atomically, and one SQLite file per generation.

Readers open the generation that the pointer names, which never changes again; nothing a writer does can lock
them or be seen by them. The lock of writers is a SQLite file too: SQLite knows how to lock on network file
systems, between threads, and gives up in time. Journals are SQLite's default and not WAL, which needs memory
shared by all processes and thus cannot live on a network file system.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from dask_regions.catalog.generations import Building, Freshness, Generations, forget, under_way
from dask_regions.errors import RequestError, UnavailableError

__all__ = ["Files", "dump", "load", "outdated", "transaction", "unusable"]

_FORMAT = "dask-regions catalog 2"
# Seconds a writer waits for the others: another's copy of the live generation may take minutes.
_BUSY_SECONDS = 600.0
_GENERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_JOURNAL = "-journal"


def load(content: bytes) -> Generations:
    """Return the state that a pointer file has; raises ValueError where it is of another format."""
    pointer = json.loads(content)
    if pointer["format"] != _FORMAT:
        raise ValueError(pointer["format"])
    return Generations(
        live=pointer["live"],
        previous=pointer["previous"],
        freshness={region: Freshness(**fresh) for region, fresh in pointer["regions"].items()},
        building={
            name: Building(building["base"], tuple(building["regions"]))
            for name, building in pointer["building"].items()
        },
        results=pointer["results"],
        discarded=tuple(pointer["discarded"]),
    )


def dump(state: Generations) -> bytes:
    """Return the content of the pointer file; the inverse of :func:`load`."""
    content = asdict(state)
    content["regions"] = content.pop("freshness")
    return json.dumps({"format": _FORMAT, **content}).encode()


class Files:
    """Names, reads and replaces the files of one catalog.

    Parameters
    ----------
    path
        Of the pointer; the generations lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def generation(self, name: str) -> Path:
        """Return the path of a generation's file.

        Raises
        ------
        RequestError
            Naming ``generation``, where the name is not fit for a file's.
        """
        if not _GENERATION.fullmatch(name):
            raise RequestError(
                "generation", f"{name!r} must be letters, digits, dots, dashes and underscores"
            )
        return self.path.with_name(f"{self.path.stem}-{name}.sqlite")

    def read(self) -> Generations:
        """Return which generations there are; none where there is no catalog yet.

        Raises
        ------
        UnavailableError
            Where the file is no pointer of this version.
        """
        try:
            return load(self.path.read_bytes())
        except FileNotFoundError:
            return Generations()
        except OSError as error:
            raise unusable(self.path, error) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise outdated(self.path) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other writer of the pointer out."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with transaction(self.path.with_name(f"{self.path.name}.lock"), create=True):
            yield

    def update(self, step: Callable[[Generations], Generations]) -> Generations:
        """Replace which generations there are by what a step makes of it, and return that.

        Every other writer is kept out meanwhile. Where the step raises, nothing is replaced.
        """
        with self.locked():
            before = self.read()
            state = step(before)
            if state != before:
                self._replace(state)
        return state

    def _replace(self, state: Generations) -> None:
        new = self.path.with_name(f"{self.path.name}.new")
        with new.open("wb") as file:
            file.write(dump(state))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        _sync(self.path.parent)

    def ensure(self, generation: str, create: Callable[[sqlite3.Connection, bool], None]) -> Path:
        """Return the file of a generation under way, made from the one it is based on where it is not there.

        Parameters
        ----------
        create
            Makes the tables, or (where its second argument is true) prepares a copy for changes.

        Raises
        ------
        NotFoundError
            Where the generation is not under way.
        """
        with self.locked():
            base, path = under_way(self.read(), generation).base, self.generation(generation)
            if not path.exists():
                part = path.with_name(f"{path.name}.part")
                _delete(part)
                if base is not None:
                    shutil.copyfile(self.generation(base), part)
                with transaction(part, create=True) as connection:
                    create(connection, base is not None)
                part.replace(path)
        return path

    def delete_discarded(self) -> None:
        """Delete the files of generations that nobody will ask for again."""
        if not (names := self.read().discarded):
            return
        for name in names:
            path = self.generation(name)
            _delete(path)
            _delete(path.with_name(f"{path.name}.part"))
        gone = [name for name in names if not self.generation(name).exists()]
        self.update(lambda state: forget(state, gone))

    @staticmethod
    def sync(path: Path) -> None:
        """Have a file on the disk before anything points to it."""
        _sync(path)
        _sync(path.parent)


def outdated(path: Path) -> UnavailableError:
    """Return the error of a catalog that this version cannot use."""
    return UnavailableError(
        f"the catalog {path.name} was written by another version of dask-regions; "
        "delete the file and run the state machine sync_catalog"
    )


def unusable(path: Path, error: Exception) -> UnavailableError:
    """Return the error of a file that cannot be read or written."""
    return UnavailableError(f"the catalog {path.name} cannot be used now ({error}); try again")


@contextmanager
def transaction(path: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a file for one transaction that writes.

    A failure rolls back, as does the death of the process.

    Raises
    ------
    UnavailableError
        Where the file is not there, unless it is to be made; is locked for too long, or damaged.
    """
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA cache_size = -131072")  # KiB: indexes are written all over
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise unusable(path, error) from error


def _delete(path: Path) -> None:
    for name in (path.name, path.name + _JOURNAL):
        with suppress(FileNotFoundError):
            path.with_name(name).unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
