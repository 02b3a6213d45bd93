"""A sync into OpenSearch that dies between any two of its requests, or goes on though it was given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import Put, RegionOutcome, Remove
from dask_regions.catalog.generations import SwapResult
from dask_regions.catalog.opensearch import OpenSearchCatalog
from dask_regions.catalog.opensearch.client import Client
from dask_regions.errors import NotFoundError, UnavailableError
from testing.catalog.generations import left_behind, make_item, put, seen

WEST, EAST = "us-west-2", "us-east-1"
DECLARED = {WEST: ["cmip6"], EAST: ["cmip6"]}
#: Ends of the paths of requests that change anything, besides all that PUT and DELETE do.
CHANGING = ("_bulk", "_reindex", "_aliases", "_cancel")
#: More than a sync of these tests takes.
REQUESTS = 60


class Died(BaseException):
    """The process ended here."""


@contextmanager
def interrupted_at(number: int, interruption: Callable[[], object]) -> Iterator[list[int]]:
    """Call something before the request of this number, of those that change anything; yield the number."""
    reached = list[int]()
    left = number
    request = Client.request

    def counted(self: Client, method: str, path: Sequence[str], *more: Any, **parameters: Any) -> Any:
        nonlocal left
        if method in ("PUT", "DELETE") or path[-1] in CHANGING:
            left -= 1
            if left == 0:
                reached.append(number)
                interruption()
        return request(self, method, path, *more, **parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "request", counted)
        yield reached


def die() -> None:
    raise Died


def sync(url: str, generation: str, region: str, names: Sequence[str]) -> SwapResult:
    """Give a Region these Items, as a process of its own does it: only what differs is written."""
    store = OpenSearchCatalog(url)
    store.begin(generation, [region])
    known = {change.source for change in store.known(region, "cmip6")}
    wanted = {change.source: change for change in put([make_item(name, region) for name in names])}
    changes: list[Put | Remove] = [change for source, change in wanted.items() if source not in known]
    changes += [Remove(source) for source in sorted(known - wanted.keys())]
    if changes:
        store.write(generation, region, "cmip6", changes)
    return store.swap(generation, {region: RegionOutcome({"cmip6": len(names)})}, DECLARED)


def ids(url: str) -> list[str]:
    return [item["id"] for item in OpenSearchCatalog(url).search(SearchQuery(limit=1000)).items]


def copies(url: str) -> list[str]:
    """Return the tasks in which OpenSearch copies indexes of this catalog."""
    action, prefix = "indices:data/write/reindex", url.rpartition("/")[2]
    answer = Client(url).request("GET", ["_tasks"], actions=action, detailed="true", group_by="none")
    copying = [task for task in answer["tasks"] if f"[{prefix}-" in task["description"]]
    return [f"{task['node']}:{task['id']}" for task in copying]


@contextmanager
def slow_copies(count: int, then: Callable[[], object]) -> Iterator[None]:
    """Let the next copies take hours, and call something when each has begun."""
    request, left = Client.request, count

    def slowly(self: Client, method: str, path: Sequence[str], body: Any = None, **parameters: Any) -> Any:
        nonlocal left
        left -= path == ["_reindex"]
        if path != ["_reindex"] or left < 0:
            return request(self, method, path, body, **parameters)
        body["source"]["size"] = 1
        answer = request(self, method, path, body, **parameters, requests_per_second="0.0001")
        then()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "request", slowly)
        yield


@pytest.mark.long
def test_a_sync_that_dies_between_any_two_requests_has_changed_all_or_nothing(opensearch_url: str) -> None:
    sync(opensearch_url, "g000", WEST, ["kept", "n0"])
    sync(opensearch_url, "g001", EAST, ["n0"])
    for number in range(1, REQUESTS):
        before, wanted = seen(opensearch_url), ["kept", f"n{number}"]
        with interrupted_at(number, die) as reached, suppress(Died):
            sync(opensearch_url, f"g{number:03}a", WEST, wanted)
        if not reached:
            break
        assert seen(opensearch_url) == before or ids(opensearch_url) == sorted({*wanted, "n0"}), number
        sync(opensearch_url, f"g{number:03}b", WEST, wanted)
        assert ids(opensearch_url) == sorted({*wanted, "n0"}), number
        assert left_behind(opensearch_url) == set(), number
    assert 10 < number < REQUESTS - 1


@pytest.mark.long
def test_a_sync_that_is_overtaken_between_any_two_requests_changes_nothing_any_more(
    opensearch_url: str,
) -> None:
    """Its function goes on after its execution was stopped, while another sync is run to its end."""
    sync(opensearch_url, "g000", WEST, ["kept", "n0"])
    for number in range(1, REQUESTS):
        other = [f"e{number}"]
        overtake = partial(sync, opensearch_url, f"g{number:03}b", EAST, other)
        with interrupted_at(number, overtake) as reached:
            try:
                sync(opensearch_url, f"g{number:03}a", WEST, ["kept", f"n{number}"])
                west = f"n{number}"
            except (NotFoundError, UnavailableError):
                west = f"n{number - 1}"
        if not reached:
            break
        assert ids(opensearch_url) == sorted([*other, "kept", west]), number
        sync(opensearch_url, f"g{number:03}c", WEST, ["kept", f"n{number}"])
        assert left_behind(opensearch_url) == set(), number
    assert 10 < number < REQUESTS - 1


def test_a_copy_that_goes_on_when_its_sync_is_dead_is_ended_by_the_next(opensearch_url: str) -> None:
    sync(opensearch_url, "g1", WEST, ["a", "b"])
    with slow_copies(1, die), pytest.raises(Died):
        sync(opensearch_url, "g2", WEST, ["b", "c"])
    assert len(copies(opensearch_url)) == 1
    sync(opensearch_url, "g3", WEST, ["b", "c"])
    assert copies(opensearch_url) == []
    assert left_behind(opensearch_url) == set()
    assert ids(opensearch_url) == ["b", "c"]


def test_a_copy_that_somebody_ends_is_made_anew(opensearch_url: str) -> None:
    sync(opensearch_url, "g1", WEST, ["a", "b"])
    client, ended = Client(opensearch_url), list[str]()

    def end() -> None:
        [task] = copies(opensearch_url)
        client.request("POST", ["_tasks", task, "_cancel"], wait_for_completion="true")
        ended.append(task)

    # Items and their sources are copied one after the other.
    with slow_copies(2, end):
        sync(opensearch_url, "g2", WEST, ["a", "b", "c"])
    assert len(ended) == 2
    assert ids(opensearch_url) == ["a", "b", "c"]
    assert left_behind(opensearch_url) == set()


def test_a_control_document_that_arrives_twice_is_the_same_document(
    opensearch_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer that loses an answer has the request repeated, which then is late after itself."""
    request = Client.request

    def twice(self: Client, method: str, path: Sequence[str], *more: Any, **parameters: Any) -> Any:
        if method == "PUT" and path[1:2] in (["_create"], ["_doc"]):
            request(self, method, path, *more, **parameters)
        return request(self, method, path, *more, **parameters)

    monkeypatch.setattr(Client, "request", twice)
    for number in range(3):
        sync(opensearch_url, f"g{number}", WEST, ["kept", f"n{number}"])
        assert ids(opensearch_url) == ["kept", f"n{number}"]
        assert left_behind(opensearch_url) == set()
