"""How the run with the newest releases tells its outcome."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from testing.upstream import RELEASES, Result, as_markdown, as_text, folders, overrides, results, table

REPORT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="tests.contract.test_a" name="test_same" file="tests/contract/test_a.py"/>
<testcase classname="tests.contract.test_a" name="test_moved[x-1]@placement" file="tests/contract/test_a.py">
<failure message="AssertionError: look at locality.py&#10;assert 1 == 2">def test_moved</failure></testcase>
<testcase classname="tests.unit.data.test_b" name="test_left" file="tests/unit/data/test_b.py">
<skipped type="pytest.skip" message="no Java">skipped</skipped></testcase>
<testcase classname="tests.unit.data.test_b" name="test_fixture" file="tests/unit/data/test_b.py">
<error message="failed on setup with &quot;OSError&quot;">trace</error></testcase>
<testcase classname="tests.unit.data.test_b" name="test_known" file="tests/unit/data/test_b.py">
<skipped type="pytest.xfail" message="distributed#1">skipped</skipped></testcase>
<testcase classname="" name="tests.unit.placement.test_c">
<error message="collection failure">import dask
E   ImportError: cannot import name '_execute_subgraph'</error></testcase>
</testsuite></testsuites>"""
LOCK = {"dask": "2026.8.0", "zarr": "3.4.2"}
NEWEST = {"dask": "2026.9.1", "zarr": "3.4.2", "dask-array": "0.8.0"}


def test_every_test_of_a_report_has_its_outcome() -> None:
    assert results(REPORT) == [
        Result("tests/contract/test_a.py", "test_same", "passed"),
        Result(
            "tests/contract/test_a.py", "test_moved[x-1]", "failed", "AssertionError: look at locality.py"
        ),
        Result("tests/unit/data/test_b.py", "test_left", "skipped", "no Java"),
        Result("tests/unit/data/test_b.py", "test_fixture", "failed", 'failed on setup with "OSError"'),
        Result("tests/unit/data/test_b.py", "test_known", "xfailed", "distributed#1"),
        Result(
            "tests/unit/placement/test_c.py",
            "",
            "failed",
            "ImportError: cannot import name '_execute_subgraph'",
        ),
    ]


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(ET.ParseError):
        results("pytest died")


def test_the_table_counts_outcomes_by_folder_and_lists_what_failed() -> None:
    rows = table(LOCK, NEWEST, results(REPORT), ["tests/contract", "tests/unit/data", "tests/e2e"])
    shown = {row.what: (row.lock, row.newest) for row in rows}
    assert shown["dask"] == ("2026.8.0", "2026.9.1")
    assert shown["dask-array"] == ("-", "0.8.0")
    assert shown["tests/contract"] == ("", "1 passed, 1 failed")
    assert shown["tests/unit/data"] == ("", "1 failed, 1 xfailed, 1 skipped")
    assert shown["tests/e2e"] == ("", "none ran")
    assert [row.what for row in rows[len(RELEASES) + 3 :]] == [
        "failed: tests/contract/test_a.py::test_moved[x-1]",
        "failed: tests/unit/data/test_b.py::test_fixture",
        "failed: tests/unit/placement/test_c.py",
    ]


def test_a_folder_does_not_count_the_tests_of_one_whose_name_it_begins() -> None:
    tests = [Result("tests/unit/database/test_x.py", "test_y", "passed")]
    assert table({}, {}, tests, ["tests/unit/data"])[-1].newest == "none ran"


def test_the_terminal_shows_columns_and_the_reasons_below() -> None:
    rows = table(LOCK, NEWEST, results(REPORT)[:2], ["tests/contract"])
    lines = as_text(rows, width=30).splitlines()
    assert "dask            2026.8.0  2026.9.1" in lines
    assert "tests/contract            1 passed, 1 failed" in lines
    assert lines[-2:] == [
        "failed: tests/contract/test_a.py::test_moved[x-1]",
        "    AssertionError: look at lo",
    ]


def test_a_bar_in_a_reason_does_not_end_a_cell_of_markdown() -> None:
    rows = table({}, {}, [Result("tests/contract/test_a.py", "test_b", "failed", "a | b")], [])
    assert as_markdown(rows).splitlines()[-1] == "| failed: tests/contract/test_a.py::test_b |  | a \\| b |"


def test_an_override_keeps_the_extras_and_leaves_out_what_the_lock_lacks() -> None:
    assert overrides(LOCK) == ["dask[array,dataframe]>=2026.8.0", "zarr>=3.4.2"]


def test_the_contracts_and_the_tests_of_placement_are_among_what_is_run(tmp_path: Path) -> None:
    run = folders()
    assert {"tests/contract", "tests/unit/placement", "tests/functional/placement", "tests/unit/data"} <= set(
        run
    )
    for folder in run:
        assert list((Path(__file__).parents[2] / folder).rglob("test_*.py")), f"{folder} has no tests"
    assert folders(tmp_path) == ["tests/contract"]
