"""How far ahead a distant worker is sent tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions.placement.hooks.scheduler.ahead import RoundTrips, tasks_ahead

FREE = (0.0, 8e9)


@pytest.mark.parametrize(
    ("round_trip", "duration", "threads", "expected"),
    [
        (0.002, 0.001, 4, 0),  # a loopback, or one network: as Dask has it
        (0.08, 0.5, 1, 1),
        (0.08, 0.02, 2, 8),
        (0.08, 0.0001, 2, 64),  # at most 32 per thread
        (0.08, 0.0, 1, 32),
    ],
)
def test_a_round_trip_is_filled_with_tasks(
    round_trip: float, duration: float, threads: int, expected: int
) -> None:
    assert tasks_ahead(round_trip, duration, threads, FREE, 0) == expected


def test_a_worker_whose_memory_is_half_full_gets_no_more_than_dask_would_send() -> None:
    assert tasks_ahead(0.08, 0.01, 1, (3.9e9, 8e9), 1e6) == 8
    assert tasks_ahead(0.08, 0.01, 1, (4.1e9, 8e9), 1e6) == 0


def test_results_ahead_fill_no_more_than_half_of_the_free_memory() -> None:
    assert tasks_ahead(0.08, 0.01, 1, FREE, 2e9) == 2
    assert tasks_ahead(0.08, 0.01, 1, (0.0, 0.0), 2e9) == 8, "memory without a limit limits nothing"


def worker(latency: float | None) -> Any:
    digests = {} if latency is None else {"latency": latency}
    return SimpleNamespace(address="tcp://w", metrics={"digests_total_since_heartbeat": digests})


def test_the_shortest_of_several_heartbeats_counts() -> None:
    trips = RoundTrips()
    # They stay alive, as a worker's last heartbeat does: a new one is told by its identity.
    heartbeats = [worker(latency) for latency in (0.9, 0.31, None, 0.085, 0.2)]
    assert [trips.of(each) for each in heartbeats] == [0.0, 0.0, 0.0, 0.085, 0.085]
    assert trips.of(heartbeats[-1]) == 0.085, "the same heartbeat counts once"


def test_a_worker_that_left_is_forgotten() -> None:
    trips = RoundTrips()
    heartbeats = [worker(0.08) for _ in range(3)]
    assert [trips.of(each) for each in heartbeats][-1] == 0.08
    trips.forget("tcp://w")
    assert trips.of(heartbeats[0]) == 0.0
