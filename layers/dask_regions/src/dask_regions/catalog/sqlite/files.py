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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dask_regions.errors import NotFoundError, RequestError, UnavailableError

__all__ = ["Files", "Pointer", "outdated", "transaction", "unusable"]

_FORMAT = "dask-regions catalog 2"
# Seconds a writer waits for the others: another's copy of the live generation may take minutes.
_BUSY_SECONDS = 600.0
_GENERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Results that a repeated swap is answered with.
_RESULTS = 20
_JOURNAL = "-journal"


@dataclass
class Pointer:
    """What is in the pointer file.

    Attributes
    ----------
    live, previous
        Generations that can be searched.
    regions
        Region to ``synced`` and ``error``, as the store's ``freshness()`` has them.
    building
        Generation to the one that was live when it began (``base``) and the Regions it is to sync.
    results
        Generation to what its swap returned, for the last of them.
    discarded
        Generations whose files are to be deleted.
    """

    live: str | None = None
    previous: str | None = None
    regions: dict[str, dict[str, str | None]] = field(default_factory=dict)
    building: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)

    def base(self, generation: str) -> str | None:
        """Return the generation that one under way is based on.

        Raises
        ------
        NotFoundError
            Where it is not under way.
        """
        if generation in self.results:
            raise NotFoundError(f"generation {generation} is done; start a new sync")
        if generation not in self.building:
            raise NotFoundError(
                f"generation {generation} has not begun, or a later sync has replaced it; start a new one"
            )
        base: str | None = self.building[generation]["base"]
        return base

    def finish(self, generation: str, result: dict[str, Any], *, live: bool) -> None:
        """Note how a generation ended, make it the live one if it is to be, and give up what it overtook."""
        if live:
            self.live, self.previous, old = generation, self.live, self.previous
            overtaken = [name for name in self.building if name != generation]
            self.discarded += [old] if old else []
        else:
            overtaken = [name for name in self.building if name <= generation]
        self.discarded += overtaken
        self.building = {name: entry for name, entry in self.building.items() if name not in overtaken}
        self.building.pop(generation, None)
        self.results[generation] = result
        self.results = dict(list(self.results.items())[-_RESULTS:])


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

    def read(self) -> Pointer:
        """Return the pointer; an empty one where there is no catalog yet.

        Raises
        ------
        UnavailableError
            Where the file is no pointer of this version.
        """
        try:
            content = json.loads(self.path.read_bytes())
            if content.pop("format") == _FORMAT:
                return Pointer(**content)
        except FileNotFoundError:
            return Pointer()
        except OSError as error:
            raise unusable(self.path, error) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise outdated(self.path) from error
        raise outdated(self.path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other writer of the pointer out."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with transaction(self.path.with_name(f"{self.path.name}.lock"), create=True):
            yield

    @contextmanager
    def update(self) -> Iterator[Pointer]:
        """Yield the pointer, and replace it by what has been made of it; not where the block raises."""
        with self.locked():
            pointer = self.read()
            before = asdict(pointer)
            yield pointer
            if asdict(pointer) != before:
                self._replace(pointer)

    def _replace(self, pointer: Pointer) -> None:
        new = self.path.with_name(f"{self.path.name}.new")
        with new.open("w") as file:
            json.dump({"format": _FORMAT, **asdict(pointer)}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        _sync(self.path.parent)

    def ensure(self, generation: str, create: Callable[[sqlite3.Connection, bool], None]) -> Path:
        """Return the file of a generation under way, made from the one it is based on where it is not there.

        Parameters
        ----------
        create
            Makes the tables, or (where its second argument is true) readies a copy for changes.

        Raises
        ------
        NotFoundError
            Where the generation is not under way.
        """
        with self.locked():
            base, path = self.read().base(generation), self.generation(generation)
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
        with self.update() as pointer:
            # Those that were deleted a moment ago, unless they are back.
            pointer.discarded = [name for name in pointer.discarded if self.generation(name).exists()]

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
