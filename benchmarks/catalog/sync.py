"""What a sync of 100,000 CMIP6-shaped datasets lists, reads, writes and needs of memory.

``python -m benchmarks.catalog.sync`` runs the steps of the state machine on a made-up bucket
(:mod:`testing.sync.synthetic_bucket` says how it is shaped and why), first with an empty catalog, then
unchanged, then with one store in a thousand written anew. Requests are counted, not timed: there is no S3.

Reading the metadata of a store takes some milliseconds of CPU, so that 100,000 of them would take longer
than all else. By default one in twenty is read for good, and the Item of that one is given to the next
nineteen under their own ids; ``--read-all`` reads each.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from testing.sync.synthetic_bucket import SyntheticBucket, delimiter_walk

__all__ = ["main"]


def main() -> None:
    """Run the benchmark and print its numbers."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-sync-") as directory:
        bench = _Benchmark(Path(directory), options.stores, 1 if options.read_all else options.read_every)
        rows = [bench.sync("first"), bench.sync("unchanged"), bench.sync("0.1 % changed", rewritten=1000)]
    walk, objects = _walked(options.stores)
    bars = {
        "LIST of the first sync, of a Delimiter walk's": rows[0]["LIST"] / walk,
        "LIST of an unchanged sync, of a Delimiter walk's": rows[1]["LIST"] / walk,
        "metadata read by an unchanged sync": rows[1]["GET"],
        "changes written by an unchanged sync": rows[1]["written"],
        "most memory of a step, MB": max(row["MB"] for row in rows),
    }
    print(f"{options.stores} stores, {objects} objects; a Delimiter walk needs {walk} LIST")  # noqa: T201
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))  # noqa: T201
    for name, value in bars.items():
        print(f"{name}: {value:.4g}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps({"syncs": rows, "walk": walk, "objects": objects, "bars": bars}))
    limits = (0.05, 0.05, 0, 0, 512)
    sys.exit(int(any(value > limit for value, limit in zip(bars.values(), limits, strict=True))))


def _options() -> Any:
    parser = argparse.ArgumentParser(description="Count what a sync of a synthetic CMIP6 bucket does.")
    parser.add_argument("--stores", type=int, default=100_000, help="stores in the bucket")
    parser.add_argument("--read-every", type=int, default=20, help="of so many stores, one is read")
    parser.add_argument("--read-all", action="store_true", help="read each store's metadata")
    parser.add_argument("--json", type=Path, help="write the numbers here, too")
    return parser.parse_args()


def _walked(stores: int) -> tuple[int, int]:
    bucket = SyntheticBucket(stores)
    delimiter_walk(bucket)
    return bucket.lists, bucket.objects


class _Benchmark:
    """Runs each kind of step in processes of its own, and keeps their largest memory."""

    def __init__(self, directory: Path, stores: int, read_every: int) -> None:
        self._given = (str(directory), stores, read_every)
        self._runs = 0
        self._rewritten = 0

    def sync(self, name: str, rewritten: int = 0) -> dict[str, Any]:
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
    from benchmarks.catalog import syncing

    _state["system"] = syncing.System(Path(directory), stores, read_every, rewritten)


_state: dict[str, Any] = {}


def _step(kind: str, payload: Any) -> tuple[Any, float]:
    result = getattr(_state["system"], kind)(payload)
    text = json.dumps(result)
    assert len(text) < 256 << 10, "Step Functions would refuse it"
    return json.loads(text), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
