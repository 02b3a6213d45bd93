"""What a bucket's owner lists need not be listed again."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dask_regions.errors import NotFoundError
from dask_regions.harvest.manifest import manifest_sources
from dask_regions.models import Dataset
from testing.sync.memory_bucket import MemoryObjects

HEAD = (
    "activity_id,institution_id,source_id,experiment_id,member_id,table_id,variable_id,grid_label,"
    "zstore,dcpp_init_year,version"
)
PATH = "CMIP/MOHC/UM/{}/r1i1p1f1/Amon/tas/gn/v20190718/"


def row(experiment: str, bucket: str = "s3://cmip6-pds/CMIP6/", version: str = "20190718") -> str:
    zstore = bucket + PATH.format(experiment)
    return f"CMIP,MOHC,UM,{experiment},r1i1p1f1,Amon,tas,gn,{zstore},,{version}"


def dataset(**more: str) -> Dataset:
    given = {
        "id": "cmip6",
        "title": "t",
        "description": "d",
        "region": "us-west-2",
        "bucket": "copy-of-cmip6",
        "prefix": "copy/",
        "layout": "cmip6",
        "manifest": "pangeo-cmip6.csv",
        "fsx_path": "/fsx",
    }
    return Dataset.model_validate(given | more)


def objects(*lines: str) -> MemoryObjects:
    return MemoryObjects({"pangeo-cmip6.csv": "\n".join([*lines, ""]).encode()})


def test_a_manifest_names_the_stores_in_order_in_the_bucket_of_the_dataset() -> None:
    sources = manifest_sources(dataset(), objects(HEAD, row("ssp585"), row("historical"), row("ssp585")))
    assert [source.key for source in sources] == [
        "copy/" + PATH.format(name) for name in ("historical", "ssp585")
    ]


def test_of_a_part_of_the_archive_a_manifest_names_the_stores_of_that_part_alone() -> None:
    part = dataset(prefix="CMIP6/CMIP/MOHC/")
    other = row("ssp585").replace("CMIP/MOHC", "ScenarioMIP/NCAR")
    (source,) = manifest_sources(part, objects(HEAD, row("historical"), other))
    assert source.key == "CMIP6/" + PATH.format("historical")


def test_one_request_reads_it() -> None:
    bucket = objects(HEAD, row("ssp585"))
    manifest_sources(dataset(), bucket)
    assert bucket.requests == ["GET pangeo-cmip6.csv"]


def test_a_row_that_changes_is_a_store_that_changes() -> None:
    first, second = manifest_sources(dataset(), objects(HEAD, row("a"), row("b")))
    same, other = manifest_sources(dataset(), objects(HEAD, row("a"), row("b", version="20200101")))
    assert first == same
    assert second.key == other.key
    assert second.fingerprint != other.fingerprint


def test_rows_that_name_no_store_are_passed_over() -> None:
    wrong = [row("a").replace("v20190718", "latest"), "CMIP", "", row("b", "s3://x/").replace("/gn/", "/")]
    assert [source.key for source in manifest_sources(dataset(), objects(HEAD, *wrong, row("good")))] == [
        "copy/" + PATH.format("good")
    ]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b'zstore\n"' + b"x" * 200_000])
def test_what_is_no_manifest_is_named(content: bytes) -> None:
    with pytest.raises(NotFoundError, match=r"copy-of-cmip6/pangeo-cmip6\.csv is no manifest"):
        manifest_sources(dataset(), MemoryObjects({"pangeo-cmip6.csv": content}))


def test_a_layout_that_reads_no_manifest_refuses_one() -> None:
    with pytest.raises(ValidationError, match="reads no manifest"):
        dataset(layout="era5")
