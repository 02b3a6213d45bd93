"""A plan tells what would cross, a budget refuses it, and nothing runs meanwhile."""

from __future__ import annotations

import pickle
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask.delayed import delayed
from dask.local import get_sync
from distributed.protocol.serialize import deserialize

from dask_regions.client import plan as plan_module
from dask_regions.client.compute import compute
from dask_regions.client.plan import Plan, plan
from dask_regions.client.prices import PRICES_DATE
from dask_regions.errors import BudgetError, ConfigurationError, RequestError, UnavailableError
from dask_regions.placement.hooks.scheduler.forecast import Crossing, Forecast

ROOT = Path(__file__).parents[3]

WEST, EAST, CLIENT = "us-west-2", "us-east-1", "eu-west-2"


def make_forecast(**more: Any) -> Forecast:
    values: dict[str, Any] = {
        "client_region": CLIENT,
        "tasks": {WEST: 85, EAST: 1200, "": 3},
        "read": {WEST: 200_000_000, EAST: 205_000_000},
        "between": {(WEST, EAST): 60_000_000, (EAST, CLIENT): 1_000_000, (WEST, WEST): 7},
        "largest": (
            Crossing(WEST, EAST, "mean_chunk-0123456789abcdef0123456789abcdef", 24, 60_000_000),
            Crossing(EAST, CLIENT, "sub-0123456789abcdef0123456789abcdef", 1, 1_000_000),
        ),
        "empty": (),
    }
    return Forecast(**(values | more))


class FakeClient:
    """Forecasts what it was told to, and computes in this process."""

    asynchronous = False

    def __init__(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self.asked: list[Any] = []
        self.computed: list[Any] = []
        self.options: dict[str, Any] = {}

    def run_on_scheduler(self, function: Any, packed: Any) -> Forecast:
        assert function.__name__ == "forecast"
        header, frames = pickle.loads(pickle.dumps(packed))  # it travels
        self.asked.append(deserialize(header, frames))
        return self.forecast

    def get(self, expression: Any, keys: Any, **options: Any) -> Any:
        self.computed.append(expression)
        self.options = options
        return get_sync(expression, keys)


@pytest.fixture
def client() -> Any:
    return FakeClient(make_forecast())


@pytest.fixture
def lazy() -> xr.DataArray:
    return xr.DataArray(da.arange(8, chunks=2), dims="time", name="x").mean()


def test_a_plan_runs_nothing(client: Any) -> None:
    ran: list[int] = []
    plan(delayed(ran.append)(1), client=client)
    assert not ran
    assert not client.computed


def test_the_graph_that_is_planned_is_the_one_that_is_computed(client: Any, lazy: xr.DataArray) -> None:
    compute(lazy, budget="1 GB", client=client)
    [asked], [computed] = client.asked, client.computed
    assert asked.__dask_keys__() == computed.__dask_keys__()
    assert set(asked.__dask_graph__()) == set(computed.__dask_graph__())


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: [x], lambda x: {"a": (x, 1)}, xr.DataArray.to_dataset]
)
def test_collections_may_be_nested(client: Any, lazy: xr.DataArray, wrap: Any) -> None:
    assert plan(wrap(lazy), client=client).crossed == 61_000_000


def test_what_is_not_lazy_cannot_be_planned(client: Any) -> None:
    with pytest.raises(RequestError, match="nothing is lazy"):
        plan(1, [2], client=client)
    with pytest.raises(RequestError, match="nothing is lazy"):
        plan(client=client)


def test_numbers_of_a_plan(client: Any, lazy: xr.DataArray) -> None:
    planned = plan(lazy, client=client, prices={(WEST, EAST): 1.0, (EAST, "*"): 2.0})
    assert planned.crossed == 61_000_000
    assert planned.dollars == pytest.approx(0.062)
    assert (planned.tasks[""], planned.read[WEST], planned.empty) == (3, 200_000_000, ())


def test_a_plan_reads_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "ESTIMATE_ERROR", None)
    assert str(Plan(make_forecast(empty=(EAST,)))) == (
        "Estimate, nothing has run; its error has not been measured yet.\n"
        "\n"
        "Region     tasks   reads\n"
        "us-east-1  1,200  205 MB\n"
        "us-west-2     85  200 MB\n"
        "any            3\n"
        "\n"
        "from       to           bytes           cost\n"
        "us-east-1  eu-west-2  1.00 MB  under $0.0001\n"
        "us-west-2  us-east-1  60.0 MB        $0.0024\n"
        "\n"
        "largest crossings  from       to         tasks    bytes\n"
        "mean_chunk         us-west-2  us-east-1     24  60.0 MB\n"
        "sub                us-east-1  eu-west-2      1  1.00 MB\n"
        "\n"
        f"61.0 MB would leave a Region; cost: $0.0024 (estimate at prices assumed on {PRICES_DATE}).\n"
        "Reduce first: mean_chunk, 60.0 MB from us-west-2 to us-east-1 (98% of what crosses). Select, "
        "average or coarsen it in us-west-2 before us-east-1 needs it.\n"
        "Pool us-east-1 has no workers; its tasks would wait. Scale it with: dask-regions scale us-east-1 1"
    )


def test_the_error_that_is_told_is_the_largest_of_the_benchmark() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    table = text.split("| `dask_regions.plan` | expected MB | metered MB |")[1].split("\n\n")[0]
    cells = [row.split("|") for row in table.splitlines()[2:]]
    numbers = [(float(expected), float(metered)) for _, _, expected, metered, _ in cells]
    # Two numbers that cross are rounded to nothing.
    ratios = [max(pair) / min(pair) for pair in numbers if min(pair)]
    assert len(ratios) == 8
    assert round(max(ratios), 1) == plan_module.ESTIMATE_ERROR


def test_the_measured_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "ESTIMATE_ERROR", 1.6)
    assert "within a factor of 1.6" in str(Plan(make_forecast()))


def test_a_plan_where_nothing_crosses_gives_no_advice() -> None:
    text = str(Plan(make_forecast(between={(WEST, WEST): 5}, largest=())))
    assert "0 B would leave a Region; cost: $0" in text
    assert "Reduce first" not in text
    assert "largest crossings" not in text


def test_a_plan_in_a_notebook_is_a_dashed_picture_and_escapes_names() -> None:
    evil = Crossing(WEST, EAST, "<script>", 1, 60_000_000)
    page = Plan(make_forecast(largest=(evil,)))._repr_html_()
    assert "<script>" not in page
    assert "stroke-dasharray" in page
    ET.fromstring(f"<div>{page}</div>")  # every element is closed


def test_results_keep_their_structure(client: Any, lazy: xr.DataArray) -> None:
    got = compute({"mean": lazy, "one": 1}, lazy + 1, budget="1 GB", client=client)
    assert got[0]["one"] == 1
    assert isinstance(got[0]["mean"], xr.DataArray)
    assert (float(got[0]["mean"]), float(got[1])) == (3.5, 4.5)


def test_without_a_budget_the_scheduler_is_not_asked(client: Any, lazy: xr.DataArray) -> None:
    assert compute(lazy, client=client, priority=3)[0] == 3.5
    assert not client.asked
    assert client.options == {"priority": 3}


@pytest.mark.parametrize("budget", [0, 60_999_999, "60.9 MB", "$0.0024", " $0 "])
def test_a_budget_refuses_before_anything_runs(client: Any, lazy: xr.DataArray, budget: Any) -> None:
    with pytest.raises(BudgetError, match=r"about 61.0 MB \(\$0.0024\) would leave a Region") as caught:
        compute(lazy, budget=budget, client=client)
    assert "Reduce first: mean_chunk, 60.0 MB from us-west-2 to us-east-1 (98% of what crosses)." in str(
        caught.value
    )
    assert isinstance(caught.value.plan, Plan)
    assert not client.computed


@pytest.mark.parametrize("budget", [61_000_000, "61 MB", "$0.003", "1 GiB"])
def test_what_fits_the_budget_is_computed(client: Any, lazy: xr.DataArray, budget: Any) -> None:
    assert compute(lazy, budget=budget, client=client)[0] == 3.5


@pytest.mark.parametrize(
    "budget", ["", "GB", "5 foos", "-1 MB", -1, "$", "$nan", "$1e999", "1e999", 1.5, True]
)
def test_a_budget_that_is_none_names_the_fix(client: Any, lazy: xr.DataArray, budget: Any) -> None:
    with pytest.raises(RequestError, match=r"^budget: .* write '5 GB', 5_000_000_000 or '\$0.10'"):
        compute(lazy, budget=budget, client=client)
    assert not client.computed


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("sum-aggregate-finalize-hlgfinalizecompute-11d1fb4d12c741e7b2fd2e438a0ad09a", "sum-aggregate"),
        ("finalize-hlgfinalizecompute-11d1fb4d12c741e7b2fd2e438a0ad09a", "the result"),
        ("read-tas", "read-tas"),
    ],
)
def test_operations_have_readable_names(name: str, described: str) -> None:
    planned = Plan(make_forecast(largest=(Crossing(WEST, EAST, name, 1, 7),)))
    assert planned.advice()[0].startswith(f"Reduce first: {described}, 7 B ")


def test_a_result_that_is_returned_is_reduced_before(client: Any) -> None:
    returned = Crossing(WEST, CLIENT, "read-tas-0123456789abcdef0123456789abcdef", 80, 200_000_000)
    planned = Plan(make_forecast(between={(WEST, CLIENT): 200_000_000}, largest=(returned,)))
    assert planned.advice() == [
        "Reduce first: read-tas, 200 MB from us-west-2 to eu-west-2 (100% of what crosses). Select, average "
        "or coarsen it in us-west-2 before it is returned to you."
    ]


def test_without_a_client_the_fix_is_named(lazy: xr.DataArray) -> None:
    with pytest.raises(UnavailableError, match=r"connect first: client = dask_regions\.connect"):
        plan(lazy)


def test_an_asynchronous_client_is_refused(client: Any, lazy: xr.DataArray) -> None:
    client.asynchronous = True
    with pytest.raises(RequestError, match="asynchronous"):
        plan(lazy, client=client)


def test_configured_prices_are_used(client: Any, lazy: xr.DataArray) -> None:
    with dask.config.set({"dask-regions.prices": {WEST: 1.0, EAST: {CLIENT: 2.0}}}):
        assert plan(lazy, client=client).dollars == pytest.approx(0.062)
    with dask.config.set({"dask-regions.prices": "free"}), pytest.raises(ConfigurationError):
        compute(lazy, client=client)


def test_values_are_those_of_numpy(client: Any) -> None:
    values = np.arange(12.0).reshape(3, 4)
    got = compute(da.from_array(values, chunks=2).std(axis=0), budget="1 GB", client=client)
    np.testing.assert_allclose(got[0], values.std(axis=0))
