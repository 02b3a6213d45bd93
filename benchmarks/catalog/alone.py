"""Call the handler in this process: a line of JSON in, a line of JSON out. Run with the layer alone."""

from __future__ import annotations

import json
import sys
import time

from app import handler  # type: ignore[import-not-found]  # of the function's folder


def main() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        event = order["event"]
        start = time.perf_counter()
        result = handler(event, None)
        seconds = time.perf_counter() - start
        sys.stdout.write(json.dumps({"seconds": seconds, "result": result if order["answer"] else None}))
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
