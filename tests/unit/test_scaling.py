"""The scaling decision, as a table and as properties of a pool that is simulated round by round."""

from __future__ import annotations

import json
import re
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dask_regions import scaling
from dask_regions.models import Pool
from dask_regions.scaling import (
    Damping,
    Decision,
    PoolDemand,
    PoolState,
    count_to_set,
    decide,
    desired_tasks,
    difference,
)
from dask_regions.settings import Settings

REGION = "us-west-2"
DAMPING = Damping(target_seconds=90.0)
ROOT = Path(__file__).parents[2]


def demand(ecs_tasks: int = 1, *, threads_per_ecs_task: int = 10, **fields: Any) -> PoolDemand:
    return PoolDemand(
        region=REGION,
        ecs_tasks=ecs_tasks,
        workers=ecs_tasks,
        threads=ecs_tasks * threads_per_ecs_task,
        threads_per_ecs_task=threads_per_ecs_task,
        **fields,
    )


def state(desired: int, minimum: int = 1, maximum: int = 8) -> PoolState:
    return PoolState(region=REGION, desired=desired, pool=Pool(minimum_tasks=minimum, maximum_tasks=maximum))


@pytest.mark.parametrize(
    ("measured", "minimum", "maximum", "expected"),
    [
        pytest.param(demand(), 1, 8, 1, id="at rest the minimum"),
        pytest.param(demand(0), 0, 8, 0, id="at rest nothing where the minimum is nothing"),
        pytest.param(
            demand(0, seconds=0.1, runnable=1, unassigned=1), 0, 8, 1, id="any work wants one ECS task"
        ),
        pytest.param(demand(seconds=2700, runnable=500), 1, 8, 3, id="work over threads and target duration"),
        pytest.param(demand(seconds=2701, runnable=500), 1, 8, 4, id="fractions are rounded up"),
        pytest.param(demand(seconds=2700, runnable=11), 1, 8, 2, id="no more threads than Dask tasks"),
        pytest.param(demand(seconds=1e9, runnable=10**6), 1, 8, 8, id="never above the maximum"),
        pytest.param(demand(2, memory_used=150, memory_limit=200), 1, 8, 3, id="results fill the memory"),
        pytest.param(demand(2, memory_used=120, memory_limit=200), 1, 8, 2, id="memory just fits"),
        pytest.param(demand(1, memory_used=10**9), 1, 8, 1, id="no limit of memory is known"),
    ],
)
def test_desired_ecs_tasks(measured: PoolDemand, minimum: int, maximum: int, expected: int) -> None:
    pool = Pool(minimum_tasks=minimum, maximum_tasks=maximum)
    assert desired_tasks(measured, pool, DAMPING) == expected


BUSY: dict[str, Any] = {"seconds": 2700.0, "runnable": 500, "unassigned": 400}


@pytest.mark.parametrize(
    ("measured", "now", "action", "desired"),
    [
        pytest.param(demand(1, **BUSY), state(1), "grow", 3, id="grows at once to what is desired"),
        pytest.param(demand(1, **BUSY), state(2), "grow", 3, id="counts starting ECS tasks as there"),
        pytest.param(demand(1, **BUSY), state(3), "wait", 3, id="waits for starting ECS tasks"),
        pytest.param(demand(3, **BUSY), state(3), "hold", 3, id="is right"),
        pytest.param(demand(5, **BUSY), state(5), "hold", 5, id="does not shrink while work waits"),
        pytest.param(demand(2), state(2), "shrink", 1, id="shrinks by one"),
        pytest.param(demand(8), state(8), "shrink", 5, id="shrinks by half of the surplus"),
        pytest.param(demand(2), state(4), "wait", 4, id="does not shrink while ECS tasks start"),
        pytest.param(demand(0), state(0), "grow", 1, id="returns to the minimum from below"),
        pytest.param(demand(9), state(9), "shrink", 5, id="returns to the maximum from above"),
    ],
)
def test_decision(measured: PoolDemand, now: PoolState, action: str, desired: int) -> None:
    decision = decide(measured, now, DAMPING)
    assert (decision.action, decision.desired) == (action, desired)
    assert decision.tasks_to_retire == (now.desired - desired if action == "shrink" else 0)
    assert decision.current == now.desired


def test_a_slower_target_asks_for_fewer_ecs_tasks() -> None:
    pool = state(1).pool
    work = demand(seconds=2700, runnable=500)
    assert [desired_tasks(work, pool, Damping(target_seconds=seconds)) for seconds in (45, 90, 270)] == [
        6,
        3,
        1,
    ]


def test_a_greater_share_of_memory_may_fill_before_the_pool_grows() -> None:
    pool = state(1).pool
    work = demand(2, memory_used=150, memory_limit=200)
    assert [desired_tasks(work, pool, Damping(memory_target=share)) for share in (0.5, 0.6, 0.75)] == [
        3,
        3,
        2,
    ]


@pytest.mark.parametrize(("fraction", "desired"), [(0.01, 7), (0.5, 5), (0.75, 3), (1.0, 1)])
def test_a_fraction_of_the_surplus_goes_at_a_time_and_one_ecs_task_at_least(
    fraction: float, desired: int
) -> None:
    assert decide(demand(8), state(8), Damping(shrink_fraction=fraction)).desired == desired


@pytest.mark.parametrize(
    "numbers",
    [{"target_seconds": 0}, {"target_seconds": float("inf")}, {"memory_target": 1.1}, {"shrink_fraction": 0}],
)
def test_damping_has_bounds(numbers: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Damping(**numbers)


def test_damping_takes_its_target_from_the_settings() -> None:
    assert Damping.from_settings(Settings()) == Damping()
    assert Damping.from_settings(Settings(target_duration=30.0)) == Damping(target_seconds=30.0)


def test_the_damping_that_templates_hold_is_where_the_docstring_says() -> None:
    text = scaling.__doc__ or ""
    alarms = yaml.load((ROOT / "regional_stack" / "workers.yaml").read_text(), yaml.BaseLoader)
    named = set(re.findall(r"``([A-Z]\w+)``", text))
    states = json.loads((ROOT / "statemachines" / "scale_pool.asl.json").read_text())["States"]
    scheduler = (ROOT / "regional_stack" / "scheduler.yaml").read_text()
    known = named & (alarms["Parameters"].keys() | states.keys()) | {
        name for name in named if f"Name: {name}," in scheduler
    }
    assert named >= {"MissingThreshold", "ScaleInPeriods", "LetItSettle", "TooManyRounds"}
    assert known == named
    assert states["LetItSettle"]["Seconds"] == 10
    limits = [choice for choice in states["WhatToDo"]["Choices"] if choice["Next"] == "TooManyRounds"]
    assert [choice["NumericGreaterThan"] for choice in limits] == [360]


SHRINK = Decision(
    region=REGION, action="shrink", desired=1, current=3, tasks_to_retire=2, reason="", tasks=("a", "b")
)


@pytest.mark.parametrize(
    ("decision", "now", "running", "count"),
    [
        pytest.param(SHRINK, state(3), ["a", "b", "c"], 1, id="what was retired goes"),
        pytest.param(SHRINK, state(3), ["b", "c"], 2, id="one that stopped by itself is being replaced"),
        pytest.param(SHRINK, state(3), [], 1, id="nothing is known of what runs"),
        pytest.param(SHRINK, state(1), ["c"], 1, id="it was done already"),
        pytest.param(SHRINK, state(4), ["a", "b", "c"], 4, id="another execution was faster"),
        pytest.param(SHRINK, state(3, minimum=2), ["a", "b", "c"], 2, id="never below the minimum"),
        pytest.param(
            decide(demand(1, **BUSY), state(1), DAMPING),
            state(1, maximum=2),
            [],
            2,
            id="never above the maximum",
        ),
    ],
)
def test_the_count_that_is_set(decision: Decision, now: PoolState, running: list[str], count: int) -> None:
    assert count_to_set(decision, now, running) == count


def test_reason_tells_the_operator_demand_bounds_and_verdict() -> None:
    reason = decide(demand(1, **BUSY), state(1), DAMPING).reason
    assert reason == (
        "us-west-2: 500 Dask tasks to run (2700 thread-seconds, 400 without a worker), 0% of memory used; "
        "3 wanted between 1 and 8: grow from 1 to 3 ECS tasks"
    )


def test_both_metrics_are_zero_at_rest() -> None:
    numbers = difference(demand(1), Pool(minimum_tasks=1, maximum_tasks=8), DAMPING)
    assert (numbers.missing, numbers.surplus) == (0, 0)


def test_nothing_is_surplus_while_work_waits() -> None:
    pool = Pool(minimum_tasks=1, maximum_tasks=8)
    assert difference(demand(5, seconds=1.0, runnable=1, unassigned=1), pool, DAMPING).surplus == 0
    assert difference(demand(5, seconds=1.0, runnable=1), pool, DAMPING).surplus == 4


demands = st.builds(
    demand,
    st.integers(0, 50),
    threads_per_ecs_task=st.integers(1, 64),
    seconds=st.floats(0, 1e12),
    runnable=st.integers(0, 10**7),
    unassigned=st.integers(0, 10**7),
    memory_used=st.integers(0, 2**50),
    memory_limit=st.integers(0, 2**50),
)
pools = st.tuples(st.integers(0, 40), st.integers(1, 40)).map(
    lambda pair: Pool(minimum_tasks=min(pair), maximum_tasks=max(pair))
)

dampings = st.builds(
    Damping,
    target_seconds=st.floats(0.1, 3600),
    memory_target=st.floats(0.01, 1),
    shrink_fraction=st.floats(0.01, 1),
)


@given(demands, pools, st.integers(0, 60), dampings)
def test_no_decision_leaves_the_bounds(measured: PoolDemand, pool: Pool, have: int, damping: Damping) -> None:
    assert pool.minimum_tasks <= desired_tasks(measured, pool, damping) <= pool.maximum_tasks
    decision = decide(measured, PoolState(region=REGION, desired=have, pool=pool), damping)
    if decision.action == "grow":
        assert have < decision.desired <= pool.maximum_tasks
    if decision.action == "shrink":
        assert pool.minimum_tasks <= decision.desired < have
        assert measured.unassigned == 0
    if decision.action in {"hold", "wait"}:
        assert decision.desired == have


class SimulatedPool:
    """A pool whose ECS tasks take rounds to start, and whose threads each work one second a second."""

    def __init__(self, pool: Pool, *, start_rounds: int = 6, threads: int = 4, seconds: float = 10.0) -> None:
        self.pool, self.threads, self.seconds = pool, threads, seconds
        self.desired = self.connected = pool.minimum_tasks
        self.starting: deque[int] = deque([0] * start_rounds)
        self.work: deque[float] = deque()

    def submit(self, number: int, duration: float) -> None:
        self.work.extend([duration] * number)

    def round(self) -> str:
        """Let ten seconds pass, decide, and do what was decided."""
        self.connected += self.starting.popleft()
        self._run()
        now = PoolState(region=REGION, desired=self.desired, pool=self.pool)
        decision = decide(self.demand(), now, DAMPING)
        self.starting.append(max(0, decision.desired - self.desired))
        if decision.action == "shrink":
            self.connected -= decision.tasks_to_retire
        self.desired = decision.desired
        return decision.action

    def demand(self) -> PoolDemand:
        running = min(len(self.work), self.connected * self.threads)
        return demand(
            self.connected,
            threads_per_ecs_task=self.threads,
            seconds=sum(self.work),
            runnable=len(self.work),
            unassigned=len(self.work) - running,
        )

    def _run(self) -> None:
        unfinished = []
        for _ in range(self.connected * self.threads):
            left = self.seconds
            while self.work and left > 0:
                first = self.work.popleft()
                if first > left:
                    unfinished.append(first - left)
                left -= first
        self.work.extendleft(unfinished)


@settings(deadline=None)
@given(pools, st.integers(0, 300), st.floats(0.1, 30))
def test_after_a_burst_the_pool_returns_to_its_minimum(pool: Pool, number: int, duration: float) -> None:
    simulated = SimulatedPool(pool)
    simulated.submit(number, duration)
    for _ in range(400):
        simulated.round()
        assert pool.minimum_tasks <= simulated.desired <= pool.maximum_tasks
    assert not simulated.work
    assert simulated.desired == simulated.connected == pool.minimum_tasks


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(1, 40))
def test_under_a_constant_load_the_pool_grows_once_and_then_holds(minimum: int, number: int) -> None:
    simulated = SimulatedPool(Pool(minimum_tasks=minimum, maximum_tasks=max(minimum, 12)))
    actions = []
    for _ in range(60):
        simulated.work = deque([30.0] * number)  # as much is submitted as is finished
        actions.append(simulated.round())
    assert actions[-1] == "hold"
    directions = [action for action in actions if action in {"grow", "shrink"}]
    assert len(directions) <= 1, actions
