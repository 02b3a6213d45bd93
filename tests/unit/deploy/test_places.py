"""Buckets keep their places among FSx's associations, whatever datasets.yaml adds, removes or reorders."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_regions.deploy.samconfig.places import earlier_places, places


@pytest.mark.parametrize(
    ("buckets", "earlier", "now"),
    [
        (["b", "a", "b"], "", "b,a"),
        (["b", "a", "c"], "b,c", "b,c,a"),
        (["b", "c"], "a,b,c", ",b,c"),
        (["b", "c", "z"], ",b,c", "z,b,c"),
        (["a"], "a,b,c", "a"),
        ([], "a,b", ""),
    ],
)
def test_a_bucket_keeps_its_place_and_a_new_one_takes_a_free_one(
    buckets: list[str], earlier: str, now: str
) -> None:
    assert places(buckets, earlier) == now
    assert places(buckets, now) == now, "to write it again changes nothing"


def test_places_are_read_from_what_was_written_before(tmp_path: Path) -> None:
    file = tmp_path / "samconfig.toml"
    assert earlier_places(file, "us-west-2") == ""
    file.write_text(
        '[us-west-2.deploy.parameters]\nparameter_overrides = ["Cidr=10.1.0.0/16", "DatasetBuckets=,b"]\n'
        '[us-east-1.deploy.parameters]\nparameter_overrides = ["DatasetBuckets=\\"\\""]\n'
    )
    assert earlier_places(file, "us-west-2") == ",b"
    assert earlier_places(file, "us-east-1") == ""
    assert earlier_places(file, "eu-west-1") == ""
