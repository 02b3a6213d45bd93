"""For all tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from itertools import count

import dask
import pytest
from hypothesis import HealthCheck, settings

from testing import opensearch

# A shell starts what runs in its background with SIGINT ignored, and so would be all that the tests
# start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Both are about how fast the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_catalogs = count()


@pytest.fixture(autouse=True)
def scheduler_of_a_client() -> None:
    """Begin without a Dask scheduler that has no client any more.

    Clients that close in another order than they were opened, as those that tasks open do, leave
    ``scheduler`` in Dask's configuration (``Client._close``), and nothing computes any more.
    """
    if "distributed" in sys.modules:
        from distributed import default_client

        try:
            default_client()
        except ValueError:
            dask.config.config.pop("scheduler", None)


@pytest.fixture(scope="session")
def opensearch_server() -> Iterator[str]:
    """Address of a real OpenSearch server; tests without one are left out, which CI never does."""
    try:
        # For a few minutes the first compiler is enough; the second would keep a processor busy.
        with opensearch.running("512m", "-XX:TieredStopAtLevel=1") as address:
            yield address
    except opensearch.NoOpenSearchError as error:
        if os.environ.get(opensearch.REQUIRED):
            raise
        pytest.skip(str(error))


@pytest.fixture
def opensearch_url(opensearch_server: str) -> str:
    """URL of a catalog in OpenSearch that is this test's own, and empty."""
    return f"{opensearch_server}/test-{os.getpid()}-{next(_catalogs)}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # All in one process of pytest-xdist: a server takes half a gigabyte, and one is enough.
    for item in items:
        if "opensearch_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("opensearch"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = [
        report.longrepr[2]
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and opensearch.MISSING in report.longrepr[2]
    ]
    if reasons:
        terminalreporter.write_line(f"{len(reasons)} tests were left out: {reasons[0]}")
