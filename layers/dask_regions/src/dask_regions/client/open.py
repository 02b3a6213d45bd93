"""Open datasets of the catalog lazily, each in its own Region."""

from __future__ import annotations

import pickle
import warnings
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr
from dask.base import annotate, tokenize
from distributed import wait
from distributed.scheduler import NoValidWorkerError, NoWorkerError

from dask_regions.client.connect import current_client
from dask_regions.client.opening.files import open_file
from dask_regions.client.opening.series import join, merge
from dask_regions.client.opening.sources import Source, sources
from dask_regions.client.replicas import unite
from dask_regions.data.array import lazy_array, lazy_token, replace_variables
from dask_regions.data.guard import process_region
from dask_regions.errors import EmptyPoolError
from dask_regions.names import REGION_ANNOTATION, region_of_resource, region_resource
from dask_regions.placement.hooks.scheduler.plugin import records

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["open_dataset", "open_source"]

#: Seconds between two looks at whether the pools of replicas still have workers.
_LOOK_SECONDS = 2.0
#: Dask priority of opening, which goes ahead of what a busy pool has queued: a notebook waits for it.
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
    return merge({asset: join(datasets) for asset, datasets in series.items()})


def open_source(source: Source) -> xr.Dataset:
    """Open one file or store in its Region: marked, and without Dask.

    By a worker of the Region, with the default client; or in this process where it is one itself. Raises
    what :func:`open_dataset` does.
    """
    if process_region() == source.region:
        opened: xr.Dataset = pickle.loads(open_file(source))  # noqa: S301  made in this process
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
            open_file,
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
        # They are gathered at once, because every request is a round trip.
        pickled = client.gather(
            {source: future for source, future in futures.items() if source not in failed}
        )
        return [_opened_copies(copies, pickled, failed) for copies in chosen]
    finally:
        # They are released by name: a TimeoutError's frames may hold them until the next garbage
        # collection, and until then the scheduler would open them again whenever their worker is lost.
        for future in futures.values():
            future.release()


def _wait_for_copies(
    client: Client, chosen: Sequence[tuple[Source, ...]], futures: dict[Source, Future[bytes]]
) -> None:
    """Wait until every copy is opened or has failed; forget those whose pool is lost, but never the last."""
    while True:
        try:
            wait(list(futures.values()), timeout=_LOOK_SECONDS)
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
    copies: Sequence[Source], pickled: Mapping[Source, bytes], failed: Mapping[Source, BaseException]
) -> list[tuple[Source, xr.Dataset]]:
    opened = [(source, pickle.loads(pickled[source])) for source in copies if source in pickled]  # noqa: S301  ours
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
