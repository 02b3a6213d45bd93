"""An emulated AWS account for the session; a test that must begin with nothing starts one of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testing.deployment import emulator
from testing.deployment.emulator import Emulator


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator.running(tmp_path_factory.mktemp("account")) as started:
        yield started
