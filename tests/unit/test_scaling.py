"""The scaling decision, as a table and as properties of a pool that is simulated round by round."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_regions.models import Pool
from dask_regions.scaling import PoolDemand, PoolState, decide, desired_tasks, difference

REGION = "us-west-2"
TARGET = 90.0


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
    assert desired_tasks(measured, pool, TARGET) == expected


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
    decision = decide(measured, now, TARGET)
    assert (decision.action, decision.desired) == (action, desired)
    assert decision.tasks_to_retire == (now.desired - desired if action == "shrink" else 0)
    assert decision.current == now.desired


def test_reason_tells_the_operator_demand_bounds_and_verdict() -> None:
    reason = decide(demand(1, **BUSY), state(1), TARGET).reason
    assert reason == (
        "us-west-2: 500 Dask tasks to run (2700 thread-seconds, 400 without a worker), 0% of memory used; "
        "3 wanted between 1 and 8: grow from 1 to 3 ECS tasks"
    )


def test_both_metrics_are_zero_at_rest() -> None:
    numbers = difference(demand(1), Pool(minimum_tasks=1, maximum_tasks=8), TARGET)
    assert (numbers.missing, numbers.surplus) == (0, 0)


def test_nothing_is_surplus_while_work_waits() -> None:
    pool = Pool(minimum_tasks=1, maximum_tasks=8)
    assert difference(demand(5, seconds=1.0, runnable=1, unassigned=1), pool, TARGET).surplus == 0
    assert difference(demand(5, seconds=1.0, runnable=1), pool, TARGET).surplus == 4


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


@given(demands, pools, st.integers(0, 60), st.floats(0.1, 3600))
def test_no_decision_leaves_the_bounds(measured: PoolDemand, pool: Pool, have: int, target: float) -> None:
    assert pool.minimum_tasks <= desired_tasks(measured, pool, target) <= pool.maximum_tasks
    decision = decide(measured, PoolState(region=REGION, desired=have, pool=pool), target)
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
        decision = decide(self.demand(), now, TARGET)
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
