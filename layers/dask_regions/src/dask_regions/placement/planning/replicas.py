"""Which replica is read: when a graph is planned, and when the pool that was chosen is lost.

A dataset may be held by several Regions. Which of them a task reads is decided here and nowhere else: the
client only unites the arrays, and a worker reads its own Region's copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from dask.typing import Key

from dask_regions.data.marker import Marker

if TYPE_CHECKING:
    from dask_regions.placement.planning.problem import Region

__all__ = ["preferred_replica", "regions_of_all", "replica_after_loss", "replicas_to_read"]


def preferred_replica(
    regions: Sequence[Region],
    alive: Collection[Region],
    weight: Mapping[Region, float],
    client_region: Region | None = None,
) -> Region:
    """Return the Region to read in, of those that hold the same data.

    One whose pool has workers; of these the one with the most weight, because what is read there is
    combined with what is there; then the client's own; then the first, which is the dataset's own.

    Parameters
    ----------
    regions
        At least one, the preferred first.
    alive
        Regions whose pools have workers.
    weight
        What else is to be done in each Region, in whatever unit.
    client_region
        Region of scheduler and client, if it matters.
    """
    return max(
        regions,
        key=lambda region: (
            region in alive,
            weight.get(region, 0),
            region == client_region,
            -regions.index(region),
        ),
    )


def replicas_to_read(
    markers_of_tasks: Mapping[Key, frozenset[Marker]], alive: Collection[Region], client_region: Region
) -> dict[Key, Region]:
    """Return the Region in which each task of a graph reads.

    The weight of a Region is the bytes of the graph's data that it alone holds. Tasks that read the same
    data read the same replica.

    Parameters
    ----------
    markers_of_tasks
        Key of each task that reads or writes to the markers of the data. Of a task that no Region can run,
        because none has all of its data, the Region is that of one of them.
    alive, client_region
        As for :func:`preferred_replica`.
    """
    sets_of_markers = set(markers_of_tasks.values())
    held_once: Counter[Region] = Counter()
    for marker in set().union(*sets_of_markers):
        if len(marker.regions) == 1:
            held_once[marker.regions[0]] += marker.nbytes or 1
    chosen = {
        markers: preferred_replica(
            regions_of_all(markers) or [min(markers).regions[0]], alive, held_once, client_region
        )
        for markers in sets_of_markers
    }
    return {key: chosen[markers] for key, markers in markers_of_tasks.items()}


def replica_after_loss(
    markers: frozenset[Marker], alive: Collection[Region], load: Mapping[Region, int]
) -> Region | None:
    """Return the Region in which a task goes on to read, or None where no pool that is left can.

    Parameters
    ----------
    markers
        Markers of the data that the task reads or writes.
    alive
        Regions whose pools have workers, without the lost one.
    load
        Unfinished tasks by Region, as the weight of each.
    """
    regions = [region for region in regions_of_all(markers) if region in alive]
    return preferred_replica(regions, alive, load) if regions else None


def regions_of_all(markers: frozenset[Marker]) -> list[Region]:
    """Return the Regions that hold all of the marked data, in the order of the first marker."""
    # A set has no order of its own, and equal graphs are to be planned alike in every process.
    first, *others = sorted(markers)
    return [region for region in first.regions if all(region in other.regions for other in others)]
