"""What the templates would refuse is refused by ``dask-regions check``, with line and cure."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from dask_regions.deploy.checking.rules import MAX_LINKED_BUCKETS, check
from dask_regions.errors import ConfigurationError

ROOT = Path(__file__).parents[4]
VALID = dedent(
    """\
    system: {name: climate, profile: small, network: peering}
    regions:
      - name: eu-west-2
        client: true
        cidr: 10.0.0.0/16
        parameters: {SchedulerCpu: 2048}
      - name: us-west-2
        cidr: 10.1.0.0/16
        pool: {maximum_tasks: 3}
        parameters: {StorageThroughput: 250}
      - name: us-east-2
        cidr: 10.2.0.0/16
        pool: {}
    datasets:
      - id: west
        title: West
        description: West
        region: us-west-2
        bucket: bucket-west
        prefix: CMIP6/
        layout: cmip6
        fsx_path: /fsx/bucket-west/CMIP6
      - id: east
        title: East
        description: East
        region: us-east-2
        bucket: bucket-east
        layout: zarr
        fsx_path: /fsx/bucket-east
    """
)
#: Signs of a regular expression, which no message may show.
PATTERN = ("^", "\\d", "[a-z", "){", "(?:")


def problems(directory: Path, text: str) -> list[str]:
    """Return the mistakes in a text, each without the directory in front."""
    file = directory / "datasets.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        check(file, ROOT)
    return [problem.removeprefix(f"{directory}/") for problem in caught.value.problems]


@pytest.mark.parametrize("file", ["datasets.yaml", "local/datasets.yaml"])
def test_the_repository_s_own_files_can_be_deployed(file: str) -> None:
    assert check(ROOT / file, ROOT).datasets


def test_a_valid_file_is_returned(tmp_path: Path) -> None:
    file = tmp_path / "datasets.yaml"
    file.write_text(VALID, encoding="utf-8")
    assert check(file, ROOT).system.name == "climate"
    assert check(file).system.name == "climate"  # no checkout: parameters are not looked at


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        # Networks (M4 is the second).
        ("10.1.0.0/16", "10.1.0.0/20", 8, ["10.1.0.0/20 is too small", "/16 to /18", "10.1.0.0/16"]),
        ("10.2.0.0/16", "10.1.128.0/17", 12, ["us-east-2", "overlaps", "us-west-2"]),
        ("10.1.0.0/16", "172.16.0.0/16", 8, ["172.16.0.0/16 is not within 10.0.0.0/8"]),
        ("10.1.0.0/16", "10.128.0.0/9", 8, ["too large"]),
        # Regions
        (
            "- name: us-east-2",
            "- name: us-east-7",
            11,
            ["no Region of AWS", "did you mean 'us-east-", "botocore"],
        ),
        # Paths: M15, two associations with one path.
        ("/fsx/bucket-east", "/fsx/bucket-west/CMIP6", 29, ["s3://bucket-east/", "write /fsx/bucket-east"]),
        (
            "/fsx/bucket-west/CMIP6",
            "/data/west",
            22,
            ["not where the file system shows", "/fsx/bucket-west/CMIP6"],
        ),
        ("/fsx/bucket-west/CMIP6", "/fsx/bucket-west", 22, ["write /fsx/bucket-west/CMIP6"]),
        ("/fsx/bucket-east", "bucket-east", 29, ["'bucket-east' is wrong", "absolute path"]),
        ("    fsx_path: /fsx/bucket-east\n", "", 23, ["'fsx_path' is missing", "access: s3"]),
        # Buckets: M14, a bucket in another Region.
        (
            "bucket: bucket-east",
            "bucket: bucket-west",
            27,
            ["in us-east-2", "in us-west-2 by line 19", "one Region"],
        ),
        ("bucket: bucket-east", "bucket: Bucket_East", 27, ["'Bucket_East' is wrong", "3 to 63 lower-case"]),
        ("layout: zarr", "layout: zarr\n    access: s3", 23, ["'access: s3'", "remove 'fsx_path'"]),
        (
            "layout: zarr",
            "layout: zarr\n    requester_pays: true",
            23,
            ["requester pays", "use 'access: s3'"],
        ),
        (
            "layout: zarr",
            "layout: zarr\n    access: ftp",
            29,
            ["access 'ftp' is wrong", "use one of fsx, s3"],
        ),
        ("prefix: CMIP6/", "prefix: /CMIP6", 20, ["prefix '/CMIP6' is wrong", "one at its end"]),
        ("id: east", "id: the east", 23, ["'the east' is wrong", "without spaces"]),
        # System
        ("profile: small", "profile: smal", 1, ["profile 'smal' is wrong", "did you mean 'small'"]),
        ("network: peering", "network: vpn", 1, ["network 'vpn' is wrong", "peering, transit-gateway"]),
        ("name: climate", "name: Climate", 1, ["'Climate' is wrong", "lower-case"]),
        # Parameters
        ("StorageThroughput", "StorageThroughputs", 10, ["no parameter", "did you mean 'StorageThroughput'"]),
        ("StorageThroughput: 250", "StorageThroughput: 300", 10, ["must be one of 125, 250", "MB/s per TiB"]),
        ("SchedulerCpu: 2048", "StagingDays: 400", 6, ["must be from 1 to 365", "Days after which"]),
        ("SchedulerCpu: 2048", "StagingDays: many", 6, ["must be a number"]),
        ("SchedulerCpu: 2048", "ImageTag: a b", 6, ["ImageTag 'a b'", "form", "Tag of the image"]),
        ("SchedulerCpu: 2048", "Notebook: true", 6, ["write 'true' in quotes"]),
        ("SchedulerCpu: 2048", "Cidr: 10.9.0.0/16", 6, ["follows from 'cidr' of the Region"]),
        ("StorageThroughput: 250", "MaximumTasks: 9", 10, ["'maximum_tasks' of the Region's pool"]),
        # The client Region has no file system.
        ("region: us-east-2", "region: eu-west-2", 26, ["the client Region, which has no file system"]),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_cure(
    tmp_path: Path, old: str, new: str, line: int, words: list[str]
) -> None:
    assert VALID.count(old) == 1
    reported = problems(tmp_path, VALID.replace(old, new))
    at_line = [problem for problem in reported if problem.startswith(f"datasets.yaml:{line}: ")]
    assert any(all(word in problem for word in words) for problem in at_line), reported
    assert not [problem for problem in reported for sign in PATTERN if sign in problem]


def with_buckets(number: int, last: str = "") -> str:
    more = "".join(
        f"  - {{id: d{index}, title: t, description: d, region: us-west-2, bucket: more-{index}, "
        f"layout: zarr, fsx_path: /fsx/more-{index}}}\n"
        for index in range(number)
    )
    return VALID + more + last


def test_a_ninth_bucket_of_a_region_is_refused(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, with_buckets(MAX_LINKED_BUCKETS))  # M13
    assert problem.startswith("datasets.yaml:37: us-west-2 would link 9 buckets to its file system")
    assert "'access: s3'" in problem


def test_a_bucket_that_is_read_straight_from_s3_is_not_linked(tmp_path: Path) -> None:
    straight = (
        "  - {id: s, title: t, description: d, region: us-west-2, bucket: ninth, layout: zarr, access: s3}\n"
    )
    file = tmp_path / "datasets.yaml"
    file.write_text(with_buckets(MAX_LINKED_BUCKETS - 1, straight), encoding="utf-8")
    assert len(check(file, ROOT).datasets_of("us-west-2")) == MAX_LINKED_BUCKETS + 1


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = VALID.replace("10.1.0.0/16", "10.1.0.0/24").replace("/fsx/bucket-east", "/fsx/east")
    assert [problem.split(":")[1] for problem in problems(tmp_path, text)] == ["8", "29"]
