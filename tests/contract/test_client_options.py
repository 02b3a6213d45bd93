"""The options of Dask that connecting sets are options that it has, and its docstring names exactly these."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest
import yaml

from dask_regions.client.connect import connect
from dask_regions.placement import TASK_BASED
from dask_regions.placement.hooks.timeouts import WAN


def flattened(options: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def installed_options() -> set[str]:
    """Return the options that the installed Dask and Distributed declare, from the files they ship."""
    files = [
        Path(dask.__file__).with_name("dask.yaml"),
        Path(distributed.__file__).with_name("distributed.yaml"),
    ]
    return {option for file in files for option in flattened(yaml.safe_load(file.read_text()))}


@pytest.mark.parametrize("option", [*TASK_BASED, *flattened(WAN)])
def test_an_option_that_is_set_is_one_that_dask_has(option: str) -> None:
    assert option in installed_options(), "look at placement/__init__.py and hooks/timeouts.py"


def test_the_docstring_of_connect_names_exactly_the_options_that_are_set() -> None:
    named = set(re.findall(r"``([a-z-]+(?:\.[a-z-]+)+)``", str(connect.__doc__).partition("Notes\n")[2]))
    assert named == {*TASK_BASED, *flattened(WAN)}, "look at client/connect.py"
