"""A worker waits for its scheduler, and says once a minute what is missing."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import pytest

from dask_regions.placement.processes import waiting

ADDRESS = "tcp://scheduler.tides.internal:8786"


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds


def raising(error: OSError) -> Callable[..., socket.socket]:
    def connect(*_: object) -> socket.socket:
        raise error

    return connect


def test_one_line_a_minute_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with caplog.at_level(logging.INFO, waiting.__name__):
        waiting.wait_for_scheduler(
            ADDRESS,
            look=lambda _: "nobody is there" if clock.seconds < 700 else "",
            clock=clock,
            sleep=clock.sleep,
        )
    assert len(caplog.messages) == 10
    assert set(caplog.messages) == {"This worker waits for the scheduler: nobody is there"}
    assert clock.pauses == sorted(clock.pauses), "it backs off"
    assert max(clock.pauses) <= 10, "it starts soon after the scheduler does"


def test_a_scheduler_that_is_there_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    waiting.wait_for_scheduler(ADDRESS, look=lambda _: "", clock=clock, sleep=clock.sleep)
    assert clock.pauses == []
    assert caplog.messages == []


def test_a_name_that_does_not_resolve_and_a_scheduler_that_is_silent_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unknown = socket.gaierror(-2, "Name or service not known")
    monkeypatch.setattr(socket, "create_connection", raising(unknown))
    assert "scheduler.tides.internal does not resolve" in waiting.obstacle(ADDRESS)
    assert "deploy the client Region" in waiting.obstacle(ADDRESS)
    monkeypatch.setattr(socket, "create_connection", raising(TimeoutError("timed out")))
    assert "does not answer on port 8786 (timed out)" in waiting.obstacle(ADDRESS)
