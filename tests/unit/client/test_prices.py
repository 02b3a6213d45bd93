"""The price table: its default, its replacement, and mistakes in it."""

from __future__ import annotations

from typing import Any

import dask
import pytest

from dask_regions.client.prices import ANY, DEFAULT_PRICE, PRICES, assumed, dollars, prices_in_use
from dask_regions.errors import ConfigurationError, RequestError

WEST, EAST, CLIENT = "us-west-2", "us-east-1", "eu-west-2"


def test_a_price_of_a_pair_beats_that_of_its_sender() -> None:
    prices = {(EAST, ANY): 1.0, (EAST, CLIENT): 3.0}
    assert dollars({(EAST, CLIENT): 10**9, (EAST, WEST): 10**9}, prices) == pytest.approx(4.0)


def test_what_stays_in_a_region_costs_nothing() -> None:
    assert dollars({(WEST, WEST): 10**15}) == 0
    assert not assumed({(WEST, WEST): 10**15}, {})


def test_a_pair_without_price_has_the_default_and_is_named() -> None:
    between = {("ap-south-1", WEST): 10**9, (WEST, "ap-south-1"): 1, ("sa-east-1", WEST): 0}
    assert dollars({("ap-south-1", WEST): 10**9}) == pytest.approx(DEFAULT_PRICE)
    assert assumed(between) == [("ap-south-1", WEST)]


def test_neighbours_are_cheaper() -> None:
    assert PRICES["us-east-1", "us-east-2"] < PRICES["us-east-1", ANY]


def test_the_argument_beats_the_configuration_and_that_the_default() -> None:
    assert prices_in_use() is PRICES
    with dask.config.set({"dask-regions.prices": {EAST: 0.5, WEST: {CLIENT: 0.25, "*": 1}}}):
        assert prices_in_use() == {(EAST, ANY): 0.5, (WEST, CLIENT): 0.25, (WEST, ANY): 1.0}
        explicit = {(WEST, CLIENT): 7.0}
        assert prices_in_use(explicit) == explicit


def test_the_configuration_may_come_from_the_environment() -> None:
    name = "DASK_DASK_REGIONS__PRICES"
    config = dask.config.collect(paths=[], env={name: "{'us-east-1': 0.5}"})
    with dask.config.set(config):
        assert prices_in_use() == {(EAST, ANY): 0.5}


def test_every_wrong_entry_of_the_configuration_is_named() -> None:
    wrong = {EAST: "cheap", WEST: {CLIENT: -1, EAST: True}, "eu-west-1": 0.02}
    with (
        dask.config.set({"dask-regions.prices": wrong}),
        pytest.raises(ConfigurationError) as caught,
    ):
        prices_in_use()
    assert caught.value.problems == (
        "dask-regions.prices.us-east-1: 'cheap' is no price; write US dollars per GB, e.g. 0.04",
        "dask-regions.prices.us-west-2.eu-west-2: -1 is no price; write US dollars per GB, e.g. 0.04",
        "dask-regions.prices.us-west-2.us-east-1: True is no price; write US dollars per GB, e.g. 0.04",
    )


def test_a_configuration_that_is_no_table_names_the_fix() -> None:
    with (
        dask.config.set({"dask-regions.prices": 0.04}),
        pytest.raises(ConfigurationError, match="one line per sending Region"),
    ):
        prices_in_use()


@pytest.mark.parametrize(
    "prices", [0.04, {EAST: 0.04}, {(EAST, CLIENT): "1"}, {(EAST, CLIENT): float("nan")}, {(EAST, 1): 1}]
)
def test_an_argument_that_is_no_table_names_the_fix(prices: Any) -> None:
    with pytest.raises(RequestError, match=r"write \{\('us-west-2', 'eu-west-2'\): 0\.04\}"):
        prices_in_use(prices)
