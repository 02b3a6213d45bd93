"""What is replaced, set and used of Dask's insides is what the tables declare, and can be taken back."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import dask_regions
from dask_regions.placement.hooks.overrides import OVERRIDES, Override
from dask_regions.placement.hooks.private_names import PRIVATE_NAMES, STATE, PrivateName
from testing.dask_uses import PACKAGES, Use, modules, private_bases, uses

PACKAGE = Path(dask_regions.__file__).parent
#: The module that replaces, for all others.
REPLACING = "placement.hooks.replacing"
ROOMS = ("placement", "data", "client")
TABLES = "declare it in placement/hooks/private_names.py or overrides.py, with a contract test"


def declared(use: Use) -> set[str]:
    """Return the targets in the tables that allow a use."""
    last = use.name.rpartition(".")[2]
    rows = [row for row in (*PRIVATE_NAMES, *STATE) if _is_below(use.module, row.users)]
    if use.kind == "import":
        return {row.target for row in rows if row.target == use.name}
    allowed = {row.target for row in rows if row.target.rpartition(".")[2] == last}
    if use.kind == "attribute":
        mine = [row.target for row in OVERRIDES if use.module == f"placement.hooks.{row.module}"]
        allowed |= {target for target in mine if target.partition("[")[0].rpartition(".")[2] == last}
    return allowed


def _is_below(module: str, users: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{user}.") for user in users)


def all_uses() -> list[Use]:
    every = [use for module, source in modules(PACKAGE) for use in uses(module, source)]
    names = [module for module, _ in modules(PACKAGE) if module.startswith(ROOMS)]
    every += [use for module in names for use in private_bases(module)]
    return [use for use in every if not (use.module == REPLACING and use.kind == "indirect")]


def test_every_private_name_and_every_state_that_is_set_is_declared() -> None:
    undeclared = [use for use in all_uses() if not declared(use)]
    assert not undeclared, TABLES


def test_every_declared_name_is_still_used() -> None:
    used = {target for use in all_uses() for target in declared(use)}
    rows = {row.target for row in (*PRIVATE_NAMES, *STATE)}
    assert not rows - used, "nobody uses these any more; take them out of the table"


def test_every_user_of_a_name_uses_it() -> None:
    used = {(target, use.module) for use in all_uses() for target in declared(use)}
    idle = [
        (row.target, user)
        for row in (*PRIVATE_NAMES, *STATE)
        for user in row.users
        if not any(target == row.target and _is_below(module, (user,)) for target, module in used)
    ]
    assert not idle, "these do not use it any more; take them out of its row"


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda override: override.target)
def test_every_override_is_made_by_its_module(override: Override) -> None:
    source = (PACKAGE / "placement/hooks" / f"{override.module.replace('.', '/')}.py").read_text()
    name, _, key = override.target.rstrip("]").rpartition(".")[2].partition("[")
    names = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    assert name in names
    assert not key or key in names
    assert ".replace(" in source


@pytest.mark.parametrize("row", [*OVERRIDES, *PRIVATE_NAMES, *STATE], ids=lambda row: row.target)
def test_the_contract_test_of_every_row_exists(row: Override | PrivateName) -> None:
    file, name = row.contract.split("::")
    assert re.search(rf"^(async )?def {name}\(", (Path(__file__).parent / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("row", [*OVERRIDES, *PRIVATE_NAMES, *STATE], ids=lambda row: row.target)
def test_the_installed_version_has_what_every_row_names(row: Override | PrivateName) -> None:
    target = row.target.partition("[")[0]
    module = target
    while not _is_module(module):
        module = module.rpartition(".")[0]
    owner: Any = importlib.import_module(module)
    attributes = target.removeprefix(f"{module}.").split(".")
    for number, attribute in enumerate(attributes):
        if hasattr(owner, attribute):
            owner = getattr(owner, attribute)
        else:
            # Set by the constructor, or a slot of a class below.
            assert number == len(attributes) - 1
            sources = map(inspect.getsource, owner.__mro__[:-1])
            assert any(re.search(rf"\b{attribute}\b", source) for source in sources)


def _is_module(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True


SEEDS = {
    "from dask._task_spec import Dict": "dask._task_spec.Dict",
    "import distributed.shuffle._disk": "distributed.shuffle._disk",
    "def f(scheduler):\n    return scheduler._ipython_kernel": "_ipython_kernel",
    "from distributed import Scheduler\ndef f(s: Scheduler):\n    s.idle_timeout = 1": "idle_timeout",
    "from distributed import Scheduler\ndef f(s: Scheduler):\n    s.handlers['gather'] = f": "handlers",
    "from distributed import Scheduler\ndef f(s: Scheduler):\n    vars(s)['gather'] = f": "vars(s)['gather']",
    "from distributed import Scheduler\ndef f(s: Scheduler):\n    setattr(s, 'gather', f)": (
        "setattr(s, 'gather', f)"
    ),
    "import distributed\ndef f(s):\n    return getattr(s, '_gather')": "_gather",
}


@pytest.mark.parametrize("source", SEEDS, ids=SEEDS.values())
def test_a_name_that_nobody_declared_is_caught(source: str) -> None:
    [use] = [use for use in uses("placement.hooks.scheduler.queueing", source) if not declared(use)]
    assert use.name == SEEDS[source]


@pytest.mark.parametrize("module", ["placement.pools.demand", "placement.failures.watch", "cli.main"])
def test_a_declared_name_is_caught_in_another_module(module: str) -> None:
    source = "import distributed\ndef f(s):\n    return s._get_prefix_duration"
    assert [use.name for use in uses(module, source) if not declared(use)] == ["_get_prefix_duration"]


def test_the_rooms_above_hooks_use_no_private_name() -> None:
    users = {user for row in (*PRIVATE_NAMES, *STATE) for user in row.users}
    assert all(user.startswith(("placement.hooks", "placement.planning", "data")) for user in users)
    rows: list[Override | PrivateName] = [*OVERRIDES, *PRIVATE_NAMES, *STATE]
    assert all(row.target.startswith(PACKAGES) for row in rows)
