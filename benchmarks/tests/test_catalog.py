"""The parts of the catalog's benchmark that need neither OpenSearch nor the peer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.catalog.client import Client, Load, Request, post
from benchmarks.catalog.document import update
from benchmarks.catalog.imports import Start
from benchmarks.catalog.items import COLLECTIONS, REGIONS, Archive, configure, facets
from benchmarks.catalog.measure import difference, latencies, requests_of, sqlite_pages
from benchmarks.catalog.ours import event_of, load
from benchmarks.catalog.queries import QUERIES, answer_of
from benchmarks.catalog.report import Outcome, as_json, bars, tables
from dask_regions.catalog.engines import open_catalog
from dask_regions.catalog.web.api import create_app
from dask_regions_local.emulator.http.server import Request as WebRequest
from dask_regions_local.emulator.http.server import Response, Server

ITEMS = 2_500


class InProcess:
    """The API over a store, called as a function."""

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def ask(self, requests: Sequence[Request]) -> list[Any]:
        answers = []
        for request in requests:
            result = self.handler(event_of(request), None)
            assert result["statusCode"] == 200, result["body"]
            answers.append(json.loads(result["body"]))
        return answers

    def time(self, requests: Sequence[Request]) -> list[float]:
        self.ask(requests[:1])
        return [0.001] * len(requests)

    def load(self, requests: Sequence[Request], connections: int, seconds: float) -> Load:
        raise NotImplementedError


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(ITEMS, configure(tmp_path_factory.mktemp("archive") / "datasets.yaml"))


@pytest.fixture(scope="module")
def ours(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> InProcess:
    directory = tmp_path_factory.mktemp("catalog")
    url = f"sqlite:///{directory}/catalog.sqlite"
    load(url, archive)
    configuration = configure(directory / "datasets.yaml")
    return InProcess(create_app(open_catalog(url), lambda: configuration).resolve)


def test_every_number_is_another_dataset_and_the_first_ones_spread_over_all_facets(archive: Archive) -> None:
    datasets = [facets(number) for number in range(ITEMS)]
    assert len(set(datasets)) == ITEMS
    assert {dataset.collection for dataset in datasets[:200]} == set(COLLECTIONS)
    assert len({dataset.source for dataset in datasets[:200]}) > 40


def test_the_regions_copies_are_the_merged_items(archive: Archive) -> None:
    copies = sum(1 for region in REGIONS for name in COLLECTIONS for _ in archive.items_in(region, name))
    merged = list(archive.merged())
    assert len(merged) == ITEMS
    assert copies == sum(len(item["properties"]["regions"]) for item in merged)
    assert {tuple(item["properties"]["regions"]) for item in merged} == {
        ("us-east-1",),
        ("us-west-2",),
        ("us-east-1", "us-west-2"),
    }


def test_two_facets_select_what_the_facets_say(ours: InProcess) -> None:
    total = 0
    for body in QUERIES["facets"].bodies(20):
        source, experiment = (wanted["eq"] for wanted in body["query"].values())
        expected = sum(
            1 for n in range(ITEMS) if (f := facets(n)).source == source and f.experiment == experiment
        )
        assert answer_of(ours.ask([post("/search", body)])[0]).matched == expected
        total += expected
    assert total > 0


def test_the_aggregation_counts_what_the_facets_say(ours: InProcess) -> None:
    body = QUERIES["aggregation"].bodies(1)[0]
    table, variable = (part["args"][1] for part in body["filter"]["args"])
    collections = [
        f.collection for n in range(ITEMS) if (f := facets(n)).table == table and f.variable == variable
    ]
    answer = answer_of(ours.ask([post("/aggregate", body)])[0])
    assert answer.matched == len(collections)
    assert answer.first == tuple(sorted((name, collections.count(name)) for name in set(collections)))


@pytest.mark.parametrize("name", ["place and time", "cql2"])
def test_a_query_selects_some_items_and_not_all(ours: InProcess, name: str) -> None:
    answers = ours.ask([post("/search", body) for body in QUERIES[name].bodies(10)])
    matched = [answer["numberMatched"] for answer in answers]
    assert 0 < max(matched) < ITEMS


def test_deep_pages_are_found_by_tokens(ours: InProcess) -> None:
    first, second = requests_of(replace(QUERIES["page 1000"], depth=50), ours, 2)
    ids = [item["id"] for item in ours.ask([post("/search", {"limit": 1000})])[0]["features"]]
    assert [item["id"] for item in ours.ask([first])[0]["features"]] == ids[490:500]
    assert [item["id"] for item in ours.ask([second])[0]["features"]] == ids[500:510]


def test_servers_that_agree_do_not_differ_and_others_are_told(ours: InProcess) -> None:
    class Forgetful(InProcess):
        def ask(self, requests: Sequence[Request]) -> list[Any]:
            answers = super().ask(requests)
            for answer in answers:
                answer["features"] = answer["features"][1:]
            return answers

    for query in QUERIES.values():
        assert difference(replace(query, depth=min(query.depth, 50)), ours, ours) == ""
    assert "the peer's" in difference(QUERIES["facets"], ours, Forgetful(ours.handler))


def test_servers_take_turns(ours: InProcess) -> None:
    order: list[str] = []

    class Noted(InProcess):
        def __init__(self, name: str) -> None:
            super().__init__(ours.handler)
            self.name = name

        def time(self, requests: Sequence[Request]) -> list[float]:
            order.append(self.name)
            return super().time(requests)

    measured = latencies(QUERIES["page 1"], {"ours": Noted("ours"), "peer": Noted("peer")}, 10, 2)
    assert {name: len(seconds) for name, seconds in measured.items()} == {"ours": 10, "peer": 10}
    assert order == ["ours", "peer", "ours", "peer", "peer", "ours"]  # the first two warm up


def test_pages_of_sqlite_are_measured_at_their_depths(ours: InProcess) -> None:
    assert list(sqlite_pages(ours, ITEMS, 2)) == [
        "page 1 of 100, 2,500 Items",
        "the last page of 100, 2,500 Items",
    ]


@pytest.fixture
def server() -> Iterator[str]:
    def answer(request: WebRequest) -> Response:
        wrong = b"wrong" in request.body
        return Response(400 if wrong else 200, request.body)

    with Server(answer) as running:
        yield running.url


def test_the_client_keeps_connections_and_tells_failures(server: str) -> None:
    client = Client(server)
    right, wrong = post("/search", {"right": 1}), post("/search", {"wrong": 1})
    assert client.ask([right, right]) == [{"right": 1}] * 2
    assert len(client.time([right] * 3)) == 3
    with pytest.raises(RuntimeError, match="status 400"):
        client.ask([wrong])
    under_load = client.load([right, wrong], 4, 0.2)
    assert under_load.answers > 0
    assert under_load.failures > 0
    assert len(under_load.latencies) == under_load.answers


def outcome_of(peer: float, differing: Mapping[str, str] | None = None) -> Outcome:
    start = Start(0.1, 0.2)
    return Outcome(
        latencies={"facets": {"ours": [0.01] * 200, "handler": [0.005] * 200, "peer": [peer] * 200}},
        loads={"facets": {"ours": Load(200, 0, 1.0, [0.1]), "peer": Load(100, 0, 1.0, [0.2])}},
        sqlite={"page 1": [0.009] * 100},
        starts={"ours": start, "FastAPI + Mangum": Start(0.3, 0.3)},
        differing=dict(differing or {}),
        setting={"data": "some"},
    )


def test_bars_are_met_and_missed() -> None:
    met = {(verdict.bar, verdict.met) for verdict in bars(outcome_of(0.02))}
    assert met == {
        ("latency", True),
        ("throughput", True),
        ("SQLite", True),
        ("import", True),
        ("import", False),
    }
    assert not bars(outcome_of(0.019))[0].met
    assert not bars(outcome_of(0.1, {"facets": "more"}))[0].met


def test_the_outcome_is_written_between_the_comments_of_a_document(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("before\n<!-- catalog: begin -->\nold\n<!-- catalog: end -->\nafter\n")
    outcome = outcome_of(0.02, {"facets": "more"})
    update(document, outcome, "make bench-catalog")
    text = document.read_text()
    assert text.startswith("before\n<!-- catalog: begin -->\n`make bench-catalog`")
    assert text.endswith("<!-- catalog: end -->\nafter\n")
    assert "old" not in text
    assert tables(outcome) in text
    assert "**answers differ**: more" in text
    assert json.loads(json.dumps(as_json(outcome)))["loads"]["facets"]["peer"]["answers"] == 100
    document.write_text("nothing")
    with pytest.raises(ValueError, match="lacks"):
        update(document, outcome, "make bench-catalog")
