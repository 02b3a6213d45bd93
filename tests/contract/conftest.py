"""A scheduler as Distributed starts it, without anything of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from distributed import Scheduler


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with Scheduler(port=0, dashboard_address=":0", host="127.0.0.1") as scheduler:
        yield scheduler
