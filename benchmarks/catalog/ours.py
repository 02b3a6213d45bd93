"""Our side: Items written as a sync writes them, and the deployed function behind local mode's HTTP front.

As a program (``python -m benchmarks.catalog.ours``) it serves, in a process of its own, until its
standard input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.catalog.client import Request
from benchmarks.catalog.items import COLLECTIONS, REGIONS, Archive
from dask_regions.catalog.changes import Put, RegionOutcome
from dask_regions.catalog.engines import open_catalog
from dask_regions.catalog.web.routes import ROUTES
from dask_regions_local.emulator.functions import lambdas
from dask_regions_local.emulator.functions.lambdas import Function, Functions
from dask_regions_local.emulator.functions.layers import build_layer, build_runtime
from dask_regions_local.emulator.http.front import HttpApi, Invocation
from dask_regions_local.emulator.http.server import Request as WebRequest
from dask_regions_local.emulator.http.server import Server

__all__ = ["CODE", "ROOT", "Handler", "environment", "event_of", "layer", "load", "serving"]

ROOT = Path(__file__).parents[2]
_REGION = "eu-west-2"
_GENERATION = "20261121T000000Z-benchmark"
CODE = ROOT / "functions" / "catalog"
#: As template.yaml has it: seconds, and MB.
_TIMEOUT, _MEMORY = 29.0, 1024


def load(url: str, archive: Archive, *, parallel: bool = False) -> None:
    """Write all Items into a catalog, as a sync does, and show them to readers.

    Parameters
    ----------
    url, archive
        Where, and what.
    parallel
        Write the Regions in processes of their own, as a sync's functions do.
    """
    catalog = open_catalog(url)
    catalog.begin(_GENERATION, REGIONS)
    if parallel:
        with ProcessPoolExecutor(len(REGIONS), mp_context=get_context("spawn")) as pool:
            counts = list(pool.map(partial(_write, url, archive), REGIONS))
    else:
        counts = [_write(url, archive, region) for region in REGIONS]
    outcomes = {region: RegionOutcome(items) for region, items in zip(REGIONS, counts, strict=True)}
    catalog.swap(_GENERATION, outcomes, {region: list(COLLECTIONS) for region in REGIONS})


def _write(url: str, archive: Archive, region: str) -> dict[str, int]:
    catalog, counts = open_catalog(url), {}
    for collection in COLLECTIONS:
        changes = (Put(source, "1", item) for source, item in archive.items_in(region, collection))
        counts[collection] = catalog.write(_GENERATION, region, collection, changes)
    return counts


def layer() -> Path:
    """Return the directory that the function's layer adds to its path; it is built unless it has been."""
    return build_layer("DaskRegionsLayer", ROOT / "layers" / "dask_regions", ROOT) / "python"


def environment(url: str, datasets: Path) -> dict[str, str]:
    """Return what template.yaml gives the function."""
    return {"CATALOG_URL": url, "DATASETS_FILE": str(datasets), "SYSTEM_NAME": "dask-regions"}


@contextmanager
def serving(url: str, datasets: Path, environments: int, log: Path) -> Iterator[str]:
    """Run the front and the function's execution environments in a process of their own.

    Parameters
    ----------
    url, datasets
        The catalog, and its ``datasets.yaml``.
    environments
        How many there are at most; more requests wait, where Lambda would start more.
    log
        Of that process.

    Yields
    ------
    str
        Where it answers.
    """
    command = [sys.executable, "-m", "benchmarks.catalog.ours", url, str(datasets), str(environments)]
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError(f"our server did not start; {log} says why")
            yield address
        finally:
            process.stdin.close()  # it leaves by itself
            process.wait(30)


class Handler:
    """The handler alone: no HTTP, no runtime client; a context manager.

    Parameters
    ----------
    url, datasets
        The catalog, and its ``datasets.yaml``.
    """

    def __init__(self, url: str, datasets: Path) -> None:
        path = f"{CODE}:{layer()}"
        variables = {**environment(url, datasets), "PYTHONPATH": path, "AWS_REGION": _REGION}
        self._process = subprocess.Popen(
            [sys.executable, "-S", str(Path(__file__).with_name("alone.py"))],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Handler:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def time(self, requests: Sequence[Request]) -> list[float]:
        """Return the seconds of each call."""
        return [self._call(request, answer=False)["seconds"] for request in requests]

    def ask(self, request: Request) -> Any:
        """Return the answer's document."""
        result = self._call(request, answer=True)["result"]
        if result["statusCode"] != 200:
            raise RuntimeError(f"{request}: {result}")
        return json.loads(result["body"])

    def _call(self, request: Request, *, answer: bool) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"event": event_of(request), "answer": answer}) + "\n")
        self._process.stdin.flush()
        reply: dict[str, Any] = json.loads(self._process.stdout.readline() or "null")
        if reply is None:
            raise RuntimeError(f"{request}: the handler's process ended")
        return reply


def event_of(request: Request) -> dict[str, Any]:
    """Return the event that the front makes of a request."""
    headers = [("Host", "localhost"), ("Content-Type", "application/json")]
    invocation = _api().find(WebRequest("POST", request.path, headers, request.body, "127.0.0.1"))
    assert isinstance(invocation, Invocation)
    event: dict[str, Any] = json.loads(invocation.event)
    return event


def _api() -> HttpApi:
    """Return the front, with the routes of template.yaml."""
    api = HttpApi()
    paths: dict[str, dict[str, Any]] = {}
    uri = f"arn:aws:lambda:{_REGION}:123456789012:function:catalog"
    for route in ROUTES:
        operation = {"x-amazon-apigateway-integration": {"uri": uri}}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    api.add({"paths": paths})
    return api


@contextmanager
def _front(url: str, datasets: Path, environments: int) -> Iterator[str]:
    built: Future[Path] = Future()
    built.set_result(layer().parent)
    function = Function(
        name="catalog",
        region=_REGION,
        arn=f"arn:aws:lambda:{_REGION}:123456789012:function:catalog",
        handler="app.handler",
        code=CODE,
        layers=[built],
        environment=environment(url, datasets),
        timeout=_TIMEOUT,
        memory=_MEMORY,
    )
    lambdas.CONCURRENCY = environments
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dask-regions-catalog-")))
        functions = Functions(build_runtime(directory / "runtime"), directory, str, "http://127.0.0.1:1")
        stack.callback(functions.close)
        functions.add(function)
        yield stack.enter_context(Server(_api().served_by(functions.call))).url


def main(arguments: Sequence[str]) -> None:
    """Serve until standard input ends."""
    url, datasets, environments = arguments
    with _front(url, Path(datasets), int(environments)) as address:
        print(address, flush=True)  # noqa: T201  the parent waits for it
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
