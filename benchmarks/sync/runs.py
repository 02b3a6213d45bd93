"""Syncs over the made-up bucket, each kind of step in processes of its own.

They are not in ``__main__``, which processes that are spawned do not import.
"""

from __future__ import annotations

import json
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

__all__ = ["Benchmark"]


class Benchmark:
    """Runs each kind of step in processes of its own, and keeps their largest memory.

    Parameters
    ----------
    directory
        Directory of the catalog and the staging bucket.
    stores
        Number of stores in the bucket.
    read_every
        Of so many stores, one is read.
    """

    def __init__(self, directory: Path, stores: int, read_every: int) -> None:
        self._given = (str(directory), stores, read_every)
        self._runs = 0
        self._rewritten = 0

    def sync(self, name: str, rewritten: int = 0) -> dict[str, Any]:
        """Run a sync and return its row of numbers; of so many stores, one was written anew before."""
        self._runs += 1
        self._rewritten = rewritten
        begun = time.monotonic()
        seconds, memory = dict[str, float](), dict[str, float]()

        def step(kind: str, payloads: list[Any]) -> list[Any]:
            started = time.monotonic()
            results = self._run(kind, payloads)
            seconds[kind] = round(time.monotonic() - started, 1)
            memory[kind] = max(used for _, used in results)
            return [result for result, _ in results]

        [planned] = step("plan", [self._runs])
        planned["shards"] = step("harvest", planned["shards"])
        [outcome] = step("write", [planned])
        [summary] = step("swap", [{"generation": planned["generation"], "regions": [outcome]}])
        region = summary["regions"]["us-west-2"]
        return {
            "sync": name,
            "shards": len(planned["shards"]),
            "LIST": region["lists"],
            "GET": region["gets"],
            "items": region["items"],
            "written": region["added"] + region["changed"] + region["removed"],
            "seconds": round(time.monotonic() - begun, 1),
            "dollars": region["dollars"],
            "MB": round(max(memory.values())),
            "by step": {kind: [seconds[kind], round(memory[kind])] for kind in seconds},
        }

    def _run(self, kind: str, payloads: list[Any]) -> list[tuple[Any, float]]:
        # Processes begin anew for each kind of step, as functions do; a second one uses the second core.
        workers = 2 if kind == "harvest" else 1
        given = (*self._given, self._rewritten)
        with ProcessPoolExecutor(workers, get_context("spawn"), _initialise, given) as pool:
            return list(pool.map(_step, [kind] * len(payloads), payloads))


def _initialise(directory: str, stores: int, read_every: int, rewritten: int) -> None:
    # Imported here: the functions import what they need, and memory is measured.
    from benchmarks.sync import steps

    _state["system"] = steps.System(Path(directory), stores, read_every, rewritten)


_state: dict[str, Any] = {}


def _step(kind: str, payload: Any) -> tuple[Any, float]:
    result = getattr(_state["system"], kind)(payload)
    text = json.dumps(result)
    assert len(text) < 256 << 10, "Step Functions would refuse it"
    return json.loads(text), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
