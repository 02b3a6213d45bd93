"""Several files or stores as one dataset: along time, and side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise

import pandas as pd
import xarray as xr

from dask_regions.errors import RequestError

__all__ = ["join", "merge"]


def join(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join the parts of a series along time, in the order of time.

    Raises
    ------
    RequestError
        Where they do not form one series: other variables, other coordinates, or the same time twice.
    """
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


def merge(datasets: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Put the variables of an Item's assets side by side; what they share, e.g. bounds, is taken once.

    Raises
    ------
    RequestError
        Where the assets do not fit together, or one has nothing that the others lack.
    """
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
