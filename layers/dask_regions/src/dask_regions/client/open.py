"""Open datasets of the catalog lazily, each in its own Region."""

from __future__ import annotations

import pickle
import warnings
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr
from dask.base import annotate, tokenize
from distributed import wait
from distributed.scheduler import NoValidWorkerError, NoWorkerError

from dask_regions.client.connect import current_client
from dask_regions.client.replicas import unite
from dask_regions.client.sources import Source, sources
from dask_regions.data.array import lazy_array, lazy_token, mark, replace_variables
from dask_regions.data.guard import check_region, process_region
from dask_regions.errors import EmptyPoolError, NotFoundError, RequestError, UnavailableError
from dask_regions.names import REGION_ANNOTATION, region_of_resource, region_resource
from dask_regions.placement.hooks.scheduler.plugin import records

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["open_dataset", "open_source"]

#: Seconds between two looks at whether the pools of replicas still have workers.
_PATIENCE = 2.0
#: Opening goes ahead of what a busy pool has queued: a notebook waits for it.
_PRIORITY = 100


def open_dataset(item: Any, client: Client | None = None) -> xr.Dataset:
    """Open an Item, or several Items of one Collection as one series, lazily.

    Each file or store is opened by a worker in its Region, where the data are; only the coordinates of
    its dimensions, and others of up to 1 MB, travel here. Computations on the result read every value
    in its own Region; what several Regions hold is opened in each whose pool has workers, and read in one
    of these. If its pool is lost during a computation, the reads continue in another.

    Parameters
    ----------
    item
        ``pystac.Item``, its dict, or an iterable of them; several are joined along time.
    client
        From :func:`dask_regions.connect`; the default client where absent.

    Returns
    -------
    xarray.Dataset
        Backed by Dask, chunked as stored (contiguous variables by Dask's ``array.chunk-size``). Opening
        the same data twice gives the same keys.

    Raises
    ------
    RequestError
        Where an Item has no data to open, its assets do not fit together, or the Items do not form one
        series: other variables, other coordinates, or the same time twice.
    ConfigurationError
        Where the scheduler was started without placement.
    EmptyPoolError
        Where a Region's pool stayed empty until the scheduler's timeout (10 minutes). Before that, the
        client says which pool it waits for.
    NotFoundError
        Where the Region's file system does not have the file.
    UnavailableError
        Where there is no client, or the file or store cannot be opened.

    Warns
    -----
    UserWarning
        Where a replica cannot be opened or differs from the first: it is not used.

    Examples
    --------
    >>> dataset = open_dataset(next(catalog.search(...).items()))  # doctest: +SKIP
    >>> dataset.air_temperature.mean("time").compute()  # doctest: +SKIP
    """
    client = current_client(client)
    items = [item] if isinstance(item, Mapping) or not isinstance(item, Iterable) else list(item)
    alive = _regions_with_workers(client)
    if not alive:
        client.run_on_scheduler(records)  # without placement, nobody would say what the tasks wait for
    chosen = sources(items, alive)
    opened = _open_there(client, chosen)
    series: defaultdict[str, list[xr.Dataset]] = defaultdict(list)
    for copies in opened:
        series[copies[0][0].asset].append(_chunk(unite(copies)))
    return _merge({asset: _join(datasets) for asset, datasets in series.items()})


def open_source(source: Source) -> xr.Dataset:
    """Open one file or store in its Region: marked, and without Dask.

    By a worker of the Region, with the default client; or in this process where it is one itself. Raises
    what :func:`open_dataset` does.
    """
    if process_region() == source.region:
        opened: xr.Dataset = pickle.loads(_open_source(source))  # noqa: S301  made in this process
        return opened
    [[(_, opened)]] = _open_there(current_client(None), [(source,)])
    return opened


def _regions_with_workers(client: Client) -> set[str]:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    resources = {resource for worker in workers for resource in worker.get("resources") or ()}
    return {region for region in map(region_of_resource, resources) if region is not None}


def _open_there(
    client: Client, chosen: Sequence[tuple[Source, ...]]
) -> list[list[tuple[Source, xr.Dataset]]]:
    """Open every copy in its Region; at least one of each asset, or raise what came of its first."""
    futures = {
        # Not pure: the file may have changed since it was last opened.
        source: client.submit(
            _open_source,
            source,
            pure=False,
            priority=_PRIORITY,
            resources={region_resource(source.region): 0},
        )
        for copies in chosen
        for source in copies
    }
    try:
        _wait_for_copies(client, chosen, futures)
        failed = {
            source: future.exception() for source, future in futures.items() if future.status == "error"
        }
        # All at once: every request is a round trip.
        found = client.gather({source: future for source, future in futures.items() if source not in failed})
        return [_opened_copies(copies, found, failed) for copies in chosen]
    finally:
        # By name: a TimeoutError's frames may hold them until the next garbage collection, and until
        # then the scheduler would open them again whenever their worker is lost.
        for future in futures.values():
            future.release()


def _wait_for_copies(
    client: Client, chosen: Sequence[tuple[Source, ...]], futures: dict[Source, Future[bytes]]
) -> None:
    """Wait until every copy is opened or has failed; forget those whose pool is lost, but never the last."""
    while True:
        try:
            wait(list(futures.values()), timeout=_PATIENCE)
        except TimeoutError:
            alive = _regions_with_workers(client)
            for copies in chosen:
                lost = [source for source in copies if source.region not in alive]
                for source in lost if len(lost) < len(copies) else ():
                    if source in futures:
                        futures.pop(source).release()  # no Future, no task
        else:
            return


def _opened_copies(
    copies: Sequence[Source], found: Mapping[Source, bytes], failed: Mapping[Source, BaseException]
) -> list[tuple[Source, xr.Dataset]]:
    opened = [(source, pickle.loads(found[source])) for source in copies if source in found]  # noqa: S301  ours
    errors = [(source, failed[source]) for source in copies if source in failed]
    if opened:
        for source, error in errors:
            warnings.warn(f"the replica in {source.region} is not used: {error}", stacklevel=4)
        return opened
    source, error = errors[0]
    if isinstance(error, (NoValidWorkerError, NoWorkerError)):
        raise EmptyPoolError(
            f"nobody could open {source.path}: no workers in {source.region}. "
            f"Scale it with: dask-regions scale {source.region} 1."
        ) from error
    raise error


def _open_source(source: Source) -> bytes:
    """Open a file or store on a worker; returns a pickled dataset without data.

    Pickled, because Dask would measure a Dataset by reading it all (dask/sizeof.py:272).
    """
    check_region(source.region, source.path)
    path = Path(source.path)
    if not path.exists():
        raise NotFoundError(
            f"{source.path} is not on the file system of {source.region}; synchronise the catalog: "
            "dask-regions sync"
        )
    options: dict[str, Any] = {"engine": "h5netcdf"}
    if source.zarr:
        options = {"engine": "zarr", "consolidated": source.consolidated}
    token = tokenize(_modification(path), source.options) if source.options else _modification(path)
    try:
        dataset = xr.open_dataset(path, chunks=None, cache=False, **options, **dict(source.options))
        marked = mark(dataset, region=source.region, path=source.path, token=token, content=_content(path))
    except (OSError, ValueError, KeyError) as error:
        raise UnavailableError(
            f"{source.path} in {source.region} cannot be opened as {'Zarr' if source.zarr else 'NetCDF-4'}: "
            f"{error}; compare it with the original{source.asset and f' ({source.asset!r} of its Item)'}, "
            "which may be damaged or still being written"
        ) from error
    return pickle.dumps(marked)


def _metadata(path: Path) -> list[Path]:
    """Return the file itself, or what there is of a Zarr store's metadata at its root."""
    names = (".zmetadata", "zarr.json", ".zgroup")
    return [path] if path.is_file() else [path / name for name in names if (path / name).exists()]


def _modification(path: Path) -> str:
    """Return what changes when a file, or the metadata of a Zarr store, is written anew."""
    statuses = [file.stat() for file in _metadata(path)]
    return tokenize([(status.st_size, status.st_mtime_ns) for status in statuses])


def _content(path: Path) -> str:
    """Return what is equal in replicas: a file's size, or the metadata of a Zarr store."""
    if path.is_file():
        return str(path.stat().st_size)
    return tokenize([(file.name, file.read_bytes()) for file in _metadata(path)])


def _chunk(dataset: xr.Dataset) -> xr.Dataset:
    variables = {}
    for name, variable in dataset.variables.items():
        array, token = lazy_array(variable), lazy_token(variable)
        if array is None or token is None:
            continue
        # Dask fuses neighbours of equal annotations only: without this one, a task would read the data
        # of two Regions. The annotation itself does not reach the scheduler (dask/dask#7036).
        with annotate(**{REGION_ANNOTATION: array.__dask_region__}):
            variables[name] = _chunk_variable(name, variable, token)
    return replace_variables(dataset, variables)


def _chunk_variable(name: Hashable, variable: xr.Variable, token: str) -> xr.Variable:
    stored = variable.encoding.get("preferred_chunks")
    # Dask cannot tell how large an object is.
    other: Any = -1 if variable.dtype.hasobject else "auto"
    chunks = {dimension: (stored or {}).get(dimension, other) for dimension in variable.dims}
    return variable.chunk(
        chunks, name=f"read-{name}-{tokenize(token, chunks)}", lock=False, inline_array=False
    )


def _join(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join the parts of a series along time, in the order of time."""
    if len(datasets) == 1:
        return datasets[0]
    dimension = _time_dimension(datasets)
    try:
        ordered = sorted(datasets, key=lambda dataset: dataset.indexes[dimension].min())
        _check_series(ordered, dimension)
        return xr.concat(
            ordered,
            dim=dimension,
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="exact",
            combine_attrs="override",
        )
    except (TypeError, ValueError) as error:  # a TypeError where the calendars differ
        raise RequestError(
            "item", f"the Items do not form one series ({error}); open them one by one"
        ) from error


def _check_series(ordered: Iterable[xr.Dataset], dimension: Hashable) -> None:
    """Refuse what ``xr.concat`` would join: it repeats times, and fills absent variables with NaN."""
    for before, after in pairwise(ordered):
        differ = _along(before, dimension) ^ _along(after, dimension)
        if differ:
            raise ValueError(f"not all of them have {', '.join(sorted(map(str, differ)))}")
        start = after.indexes[dimension].min()
        if start <= before.indexes[dimension].max():
            raise ValueError(f"more than one of them covers {start}")


def _along(dataset: xr.Dataset, dimension: Hashable) -> set[Hashable]:
    return {name for name, variable in dataset.data_vars.items() if dimension in variable.dims}


def _merge(datasets: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Put the variables of an Item's assets side by side; what they share, e.g. bounds, is taken once."""
    known: set[Hashable] = set()
    for asset, dataset in datasets.items():
        names = set(dataset.data_vars)
        if names and names <= known:
            raise RequestError(
                "item",
                f"asset {asset!r} has no variable that the other assets lack; remove from the Item's assets "
                "those not to open",
            )
        known |= names
    try:
        return xr.merge(datasets.values(), compat="override", join="exact", combine_attrs="override")
    except ValueError as error:
        raise RequestError(
            "item",
            f"the assets {', '.join(datasets)} do not fit together ({error}); remove from the Item's assets "
            "those not to open",
        ) from error


def _time_dimension(datasets: Iterable[xr.Dataset]) -> Hashable:
    shared: set[Hashable] = set.intersection(
        *(
            {
                name
                for name, index in dataset.indexes.items()
                if isinstance(index, (pd.DatetimeIndex, xr.CFTimeIndex)) and len(index)
            }
            for dataset in datasets
        )
    )
    if len(shared) != 1:
        raise RequestError("item", "the Items have no time dimension in common; open them one by one")
    return shared.pop()
