"""A registry has one configuration of replication: ours is merged into it, and taken out of it."""

from __future__ import annotations

from typing import Any

from dask_regions.deploy.images.replication import with_system, without_system

OTHER: dict[str, Any] = {
    "destinations": [{"region": "eu-west-1", "registryId": "1"}],
    "repositoryFilters": [{"filter": "theirs", "filterType": "PREFIX_MATCH"}],
}


def test_the_rules_of_others_stay() -> None:
    merged = with_system([OTHER], "climate", "1", ["us-west-2", "us-east-1"])
    assert merged[0] == OTHER
    assert [each["region"] for each in merged[1]["destinations"]] == ["us-east-1", "us-west-2"]
    assert without_system(merged, "climate") == [OTHER]


def test_a_rule_is_replaced_and_not_doubled() -> None:
    once = with_system([OTHER], "climate", "1", ["us-west-2"])
    assert with_system(once, "climate", "1", ["us-west-2"]) == once
    assert len(with_system(once, "climate", "1", ["us-east-1"])) == 2


def test_a_system_whose_name_begins_alike_keeps_its_rule() -> None:
    both = with_system(with_system([], "climate", "1", ["us-west-2"]), "climate-test", "1", ["us-west-2"])
    assert len(both) == 2
    assert without_system(both, "climate") == both[1:]


def test_with_no_region_there_is_no_rule() -> None:
    assert with_system([OTHER], "climate", "1", []) == [OTHER]
