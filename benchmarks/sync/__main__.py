"""What a sync of 100,000 CMIP6-shaped datasets lists, reads, writes and needs of memory.

``python -m benchmarks.sync`` runs the steps of the state machine on a made-up bucket
(:mod:`testing.sync.synthetic_bucket` says how it is shaped and why), first with an empty catalog, then
unchanged, then with one store in a thousand written anew. Requests are counted, not timed: there is no S3.

Reading the metadata of a store takes some milliseconds of CPU, so that 100,000 of them would take longer
than all else. By default one in twenty is read for good, and the Item of that one is given to the next
nineteen under their own ids; ``--read-all`` reads each.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.sync.runs import Benchmark
from testing.sync.synthetic_bucket import SyntheticBucket, delimiter_walk

__all__ = ["main"]


def main() -> None:
    """Run the benchmark and print its numbers."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-sync-") as directory:
        bench = Benchmark(Path(directory), options.stores, 1 if options.read_all else options.read_every)
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


if __name__ == "__main__":
    main()
