"""``datasets.yaml``: every mistake at once, each with file, line and fix."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from dask_regions.config import load
from dask_regions.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
VALID = dedent(
    """\
    regions:
      - name: eu-west-2
        client: true
        cidr: 10.0.0.0/16
      - name: us-west-2
        cidr: 10.1.0.0/16
        pool: {minimum_tasks: 1, maximum_tasks: 3}
    datasets:
      - id: a1b
        title: A1B
        description: One scenario.
        region: us-west-2
        bucket: bucket-a1b
        prefix: CMIP6/
        layout: cmip6
        fsx_path: /fsx/a1b
    """
)
SECOND_DATASET = dedent(
    """\
      - id: e1
        title: E1
        description: Another scenario.
        region: us-west-2
        bucket: bucket-e1
        layout: era5
        fsx_path: /fsx/e1
    """
).replace("\n", "\n  ")


def problems(directory: Path, text: str) -> list[str]:
    """Return the mistakes in a text, each without the directory in front."""
    file = directory / "datasets.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    return [problem.removeprefix(f"{directory}/") for problem in caught.value.problems]


def assert_told(directory: Path, valid: str, mistake: tuple[str, str], line: int, words: list[str]) -> None:
    """Check what is said of a line when one part of a valid text is replaced."""
    old, new = mistake
    assert valid.count(old) == 1
    reported = problems(directory, valid.replace(old, new))
    at_line = [problem for problem in reported if problem.startswith(f"datasets.yaml:{line}: ")]
    assert any(all(word in problem for word in words) for problem in at_line), reported


@pytest.mark.parametrize(
    ("file", "pools"),
    [("datasets.yaml", {"us-west-2", "us-east-2"}), ("local/datasets.yaml", {"us-west-2", "us-east-1"})],
)
def test_the_repository_s_own_files_are_valid(file: str, pools: set[str]) -> None:
    configuration = load(ROOT / file)
    assert configuration.client_region.name == "eu-west-2"
    assert set(configuration.pools) == pools
    assert {region for dataset in configuration.datasets for region in dataset.regions} == pools


def test_a_valid_file_gives_regions_pools_and_datasets(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(VALID + "  " + SECOND_DATASET.rstrip(" "), encoding="utf-8")
    configuration = load(tmp_path / "datasets.yaml")
    assert [dataset.id for dataset in configuration.datasets_of("us-west-2")] == ["a1b", "e1"]
    assert configuration.pools["us-west-2"].maximum_tasks == 3


@pytest.mark.parametrize("date", ["2099-12-30", "2099-02-30"])
def test_a_date_in_the_properties_stays_text(tmp_path: Path, date: str) -> None:
    (tmp_path / "datasets.yaml").write_text(f"{VALID}    properties: {{end: {date}}}\n", encoding="utf-8")
    (dataset,) = load(tmp_path / "datasets.yaml").datasets
    assert dataset.properties == {"end": date}


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("10.1.0.0/16", "10.0.128.0/17", 6, ["us-west-2", "overlaps", "eu-west-2", "10.0.0.0/16"]),
        ("10.1.0.0/16", "10.1.0.1/16", 6, ["10.1.0.1/16", "not an IPv4 block"]),
        ("layout: cmip6", "layout: cmip5", 15, ["unknown layout 'cmip5'", "did you mean 'cmip6'", "era5"]),
        ("name: us-west-2", "name: eu-west-2", 5, ["Region 'eu-west-2'", "again, after line 2"]),
        ("    title: A1B\n", "    title: A1B\n    title: B\n", 11, ["'title'", "again, after line 10"]),
        ("region: us-west-2", "region: us-west-1", 12, ["not listed", "did you mean 'us-west-2'"]),
        ("region: us-west-2", "region: eu-west-2", 12, ["'a1b'", "eu-west-2", "no pool", "add 'pool:"]),
        ("    client: true\n", "", 1, ["no Region is the client Region", "client: true"]),
        ("pool: {min", "client: true\n    pool: {min", 7, ["us-west-2 is a second client", "eu-west-2"]),
        ("maximum_tasks", "maximum_task", 7, ["unknown key 'maximum_task'", "did you mean 'maximum_tasks'"]),
        ("bucket: b", "buckets: b", 13, ["unknown key 'buckets'", "did you mean 'bucket'"]),
        ("datasets:", "dataset:", 8, ["unknown key 'dataset'", "did you mean 'datasets'"]),
        ("    title: A1B\n", "", 9, ["'title' is missing"]),
        ("minimum_tasks: 1", "minimum_tasks: many", 7, ["minimum_tasks 'many'", "integer"]),
        ("minimum_tasks: 1", "minimum_tasks: 4", 7, ["minimum_tasks 4 is above maximum_tasks 3"]),
        ("name: us-west-2", "name: Oregon", 5, ["'Oregon' is not the name of an AWS Region"]),
        ("pool: {minimum_tasks: 1, maximum_tasks: 3}", "pool: 3", 7, ["pool must be a mapping", "int 3"]),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_fix(
    tmp_path: Path, old: str, new: str, line: int, words: list[str]
) -> None:
    assert_told(tmp_path, VALID, (old, new), line, words)


def test_a_duplicate_dataset_id_is_reported(tmp_path: Path) -> None:
    text = VALID + "  " + SECOND_DATASET.replace("id: e1", "id: a1b")
    assert problems(tmp_path, text) == [
        "datasets.yaml:17: dataset 'a1b' stands here again, after line 9; rename or remove one, "
        "or list its other Region under 'replicas' of the first"
    ]


REPLICATED = VALID.replace(
    "datasets:",
    """\
  - name: us-east-1
    cidr: 10.2.0.0/16
    pool: {}
datasets:""",
) + (
    """\
    replicas:
      - region: us-east-1
        bucket: replica-a1b
        fsx_path: /fsx/copy
"""
)


def test_a_dataset_in_two_regions_is_held_by_both(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(REPLICATED, encoding="utf-8")
    configuration = load(tmp_path / "datasets.yaml")
    assert configuration.datasets[0].regions == ("us-west-2", "us-east-1")
    [west], [east] = (configuration.datasets_of(region) for region in ("us-west-2", "us-east-1"))
    assert (west.bucket, west.prefix, west.fsx_path) == ("bucket-a1b", "CMIP6/", "/fsx/a1b")
    assert (east.id, east.region, east.bucket, east.prefix, east.fsx_path) == (
        "a1b",
        "us-east-1",
        "replica-a1b",
        "CMIP6/",
        "/fsx/copy",
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("region: us-east-1", "region: us-west-2", 21, ["'a1b' is in Region us-west-2 already, by line 15"]),
        ("region: us-east-1", "region: us-east-2", 21, ["not listed", "did you mean"]),
        ("region: us-east-1", "region: eu-west-2", 21, ["no pool to read it"]),
        ("bucket: replica-a1b", "bucket: bucket-a1b", 22, ["overlaps s3://bucket-a1b/CMIP6/"]),
        ("bucket: replica-a1b", "buckets: replica-a1b", 22, ["did you mean 'bucket'"]),
    ],
)
def test_a_mistake_in_a_replica_is_reported(
    tmp_path: Path, old: str, new: str, line: int, words: list[str]
) -> None:
    assert_told(tmp_path, REPLICATED, (old, new), line, words)


@pytest.mark.parametrize("prefix", ["CMIP6/", "CMIP6/ScenarioMIP/", '""'])
def test_two_datasets_that_would_hold_the_same_files_are_reported(tmp_path: Path, prefix: str) -> None:
    second = SECOND_DATASET.replace("bucket: bucket-e1", f"bucket: bucket-a1b\n    prefix: {prefix}")
    (problem,) = problems(tmp_path, VALID + "  " + second)
    assert problem.startswith("datasets.yaml:21: s3://bucket-a1b/")
    assert "of dataset 'e1' overlaps s3://bucket-a1b/CMIP6/ of 'a1b'" in problem


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        VALID.replace("10.1.0.0/16", "10.0.0.0/8")
        .replace("layout: cmip6", "layout: grib")
        .replace("region: us-west-2", "region: eu-west-2")
    )
    reported = problems(tmp_path, text)
    assert [problem.split(":")[1] for problem in reported] == ["6", "12", "15"]


def test_a_list_instead_of_a_mapping_is_reported(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "- a\n- b\n")
    assert problem.startswith("datasets.yaml:1: ")
    assert "must be a mapping" in problem


def test_an_entry_that_is_not_a_mapping_is_reported(tmp_path: Path) -> None:
    reported = problems(tmp_path, VALID.replace("datasets:", "datasets:\n  - a1b"))
    assert any(problem.startswith("datasets.yaml:9: ") and "mapping" in problem for problem in reported)


def test_an_empty_file_is_answered_with_an_example(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "# nothing yet\n")
    assert "datasets.yaml:1: the file is empty" in problem
    assert "regions:" in problem


def test_what_is_not_yaml_is_reported_with_its_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, VALID + "  - id: 'unclosed\n")
    assert problem.startswith("datasets.yaml:")
    assert "not YAML" in problem


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read"):
        load(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data.nc").write_bytes(b"\x89HDF\r\n\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(tmp_path / "data.nc")
