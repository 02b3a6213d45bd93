"""EventBridge: start what the templates' rules start by the clock, which moto never does.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.events.models import events_backends

from dask_regions.errors import ConfigurationError
from dask_regions_local.emulator.templates import ACCOUNT

__all__ = ["Schedules", "due_after"]

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
#: AWS's six fields: minute, hour, day of month, month, day of week, year.
_DAILY = re.compile(r"cron\((\d+) (\d+) [*?] \* [*?] \*\)")
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


def due_after(expression: str, last: float) -> float:
    """Return when a schedule is due next, as Unix time in seconds.

    Parameters
    ----------
    expression
        ``rate(5 minutes)``, or ``cron(30 0 * * ? *)`` with one minute and one hour of every day, UTC.
    last
        Unix time in seconds at which it was due before, or at which its rule was made.

    Raises
    ------
    ConfigurationError
        For any other expression.

    Examples
    --------
    >>> due_after("rate(5 minutes)", 1000.0)
    1300.0
    >>> due_after("cron(0 0 * * ? *)", 86399.0)
    86400.0
    """
    if rate := _RATE.fullmatch(expression):
        return last + int(rate[1]) * _UNIT_SECONDS[rate[2]]
    if daily := _DAILY.fullmatch(expression):
        before = datetime.fromtimestamp(last, UTC)
        due = before.replace(hour=int(daily[2]), minute=int(daily[1]), second=0, microsecond=0)
        return (due if due > before else due + timedelta(days=1)).timestamp()
    raise ConfigurationError(
        f"the schedule {expression!r} is not emulated; "
        "use rate(N minutes|hours|days) or a daily cron(M H * * ? *)"
    )


class Schedules:
    """Start the targets of every enabled rule that has a schedule, when it is due.

    A rule that was due more than once since the last look, on a machine that slept, starts its targets once.

    Parameters
    ----------
    regions
        Regions whose default buses are looked at; other buses take no schedules.
    deliver
        Takes the ARN of a target and the event for it; must not block.
    clock
        Unix time in seconds.
    """

    def __init__(
        self,
        regions: Sequence[str],
        deliver: Callable[[str, Any], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._regions, self._deliver, self._clock = regions, deliver, clock
        self._ahead_seconds = 0.0
        self._last: dict[str, float] = {}
        # A look and `advance` come from two threads, and a rule must not be due for both.
        self._lock = threading.Lock()

    def advance(self, seconds: float) -> None:
        """Set the clock of schedules ahead, and start what is due by then."""
        self.run()
        self._ahead_seconds += seconds
        self.run()

    def run(self) -> None:
        """Look once, and start what is due."""
        with self._lock:
            now = self._clock() + self._ahead_seconds
            for region in self._regions:
                for rule in list(events_backends[ACCOUNT][region].event_buses["default"].rules.values()):
                    if rule.scheduled_expression and rule.state == "ENABLED":
                        self._run_rule(rule, region, now)

    def _run_rule(self, rule: Any, region: str, now: float) -> None:
        last = self._last.setdefault(rule.arn, now)
        if due_after(rule.scheduled_expression, last) > now:
            return
        self._last[rule.arn] = now
        for target in list(rule.targets):
            self._deliver(target["Arn"], _event(rule, region, target, now))


def _event(rule: Any, region: str, target: Any, now: float) -> Any:
    if target.get("Input"):
        return json.loads(target["Input"])
    return {
        "version": "0",
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "account": ACCOUNT,
        "region": region,
        "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resources": [rule.arn],
        "detail": {},
    }
