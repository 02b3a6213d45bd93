"""docs/cost.md: generated from the templates, complete, and within what is promised."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from dask_regions.errors import ConfigurationError, NotFoundError
from dask_regions_local.costs.bill import Bill
from dask_regions_local.costs.document import PRICES_FILE, document, example
from dask_regions_local.costs.inventory import inventory
from dask_regions_local.costs.prices import Prices, read_prices
from dask_regions_local.costs.rules import FREE, RULES

ROOT = Path(__file__).parents[3]
PRICES = read_prices(ROOT / PRICES_FILE)
TEMPLATES: dict[str, dict[str, Any]] = {
    str(path.relative_to(ROOT)): yaml_parse(path.read_text())
    for path in [ROOT / "template.yaml", *sorted((ROOT / "regional_stack").glob("*.yaml"))]
}
#: SAM's own types are looked at as the resources that it makes of them; custom resources are functions.
ELSEWHERE = ("AWS::Serverless::", "Custom::")


@cache
def bills(profile: str, network: str) -> list[Bill]:
    return example(profile, network, ROOT, PRICES)


def test_the_committed_document_is_what_the_templates_cost() -> None:
    written = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    assert written == document(ROOT, PRICES), "run `make cost-doc`, and commit what it writes"


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_type_of_resource_has_a_rule_or_is_known_to_be_free(template: str) -> None:
    types = {resource["Type"] for resource in TEMPLATES[template]["Resources"].values()}
    assert {kind for kind in types if not kind.startswith(ELSEWHERE)} - RULES.keys() - FREE == set()
    assert RULES.keys() & FREE == set()


def test_the_small_profile_costs_little_at_rest() -> None:
    client, worker = bills("small", "peering")
    assert (client.role, worker.role) == ("client", "worker")
    assert 5 < client.total.rest < 60
    assert 5 < worker.total.rest < 40


def test_a_transit_gateway_and_load_cost_more() -> None:
    for profile in ("standard", "small"):
        for peering, gateway in zip(
            bills(profile, "peering"), bills(profile, "transit-gateway"), strict=True
        ):
            # An attachment for the VPC, and one for each of the two other Regions.
            assert gateway.total.rest - peering.total.rest == pytest.approx(3 * 0.05 * 730)
            assert peering.total.load > peering.total.rest


def test_pools_at_their_minimum_are_paid_at_rest() -> None:
    hosts = {
        profile: next(line for line in bills(profile, "peering")[1].lines if line.what.startswith("hosts"))
        for profile in ("standard", "small")
    }
    assert hosts["standard"].rest > 0
    assert hosts["small"].rest == 0 < hosts["small"].load


@pytest.mark.parametrize(
    ("template", "parameter", "price"),
    [
        ("regional_stack/template.yaml", "InstanceType", "ec2-{}-hour"),
        ("regional_stack/template.yaml", "StorageThroughput", "fsx-{}-gb"),
    ],
)
def test_every_size_that_a_template_allows_has_a_price(template: str, parameter: str, price: str) -> None:
    allowed = TEMPLATES[template]["Parameters"][parameter]["AllowedValues"]
    assert [value for value in allowed if price.format(value) not in PRICES.prices] == []


@pytest.mark.parametrize(
    ("parameter", "price"),
    [("NotebookInstanceType", "notebook-{}-hour"), ("CatalogInstanceType", "opensearch-{}-hour")],
)
def test_every_default_size_has_a_price(parameter: str, price: str) -> None:
    default = TEMPLATES["template.yaml"]["Parameters"][parameter]["Default"]
    assert price.format(default) in PRICES.prices


def test_every_type_that_sam_makes_has_a_rule_or_is_known_to_be_free() -> None:
    given = {"Cidr": "10.0.0.0/16", "DatasetBucketArns": "arn:aws:s3:::a"}
    made = inventory(ROOT / "template.yaml", "eu-west-2", given)
    kinds = {resource.kind for resource in made.resources.values()}
    assert "AWS::Lambda::Function" in kinds
    assert {kind for kind in kinds if not kind.startswith(ELSEWHERE)} - RULES.keys() - FREE == set()


def test_every_price_is_in_use() -> None:
    rules = (ROOT / "local/src/dask_regions_local/costs/rules.py").read_text()
    patterns = re.findall(r'f?"([a-z0-9{}._\[\]\'A-Z-]+-(?:hour|gb|month|second|million|thousand))"', rules)
    forms = [re.sub(r"\\\{.*?\\\}", r"[a-z0-9.]+", re.escape(pattern)) for pattern in patterns]
    assert [name for name in PRICES.prices if not any(re.fullmatch(form, name) for form in forms)] == []


def test_a_price_that_the_table_lacks_is_named() -> None:
    with pytest.raises(NotFoundError, match="has no price ec2-m9i"):
        PRICES.of("ec2-m9i", "us-west-2")


def test_a_wrong_table_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("date: 2026-11-24\nprices: {a: {usd: -1, per: hour}}\n")
    with pytest.raises(ConfigurationError, match=r"prices\.yaml"):
        read_prices(tmp_path / "prices.yaml")


def test_european_prices_are_europe_s() -> None:
    table = Prices.model_validate(
        {
            "date": "2026-11-24",
            "prices": {"a": {"usd": 1, "europe": 2, "per": "hour", "source": "https://aws.amazon.com/"}},
        }
    )
    assert (table.of("a", "eu-west-2"), table.of("a", "us-west-2")) == (2, 1)
