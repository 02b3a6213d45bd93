"""What starting costs: the catalog's handler, and the smallest application of FastAPI and Mangum."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.catalog import ours, peer

__all__ = ["SUBJECTS", "Start", "measure"]

_FASTAPI = """
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/")
def root():
    return {}


handler = Mangum(app)
"""
_SIGNED = """
import app
from dask_regions.aws.opensearch import signer
url = "https://catalog.eu-west-2.es.amazonaws.com"
signer(url)("GET", url + "/", {}, b"")
"""
#: Name to what it is.
SUBJECTS = {
    "nothing": "the interpreter alone",
    "ours": "our handler, OpenSearch's address given",
    "ours, signed": "our handler and what its first signed request imports",
    "FastAPI + Mangum": "the least application with one route",
    "peer": "stac-fastapi-opensearch with Mangum",
}


@dataclass(frozen=True)
class Start:
    """Wall time of a process, in seconds, medians: with bytecode beside the sources, and without.

    Lambda finds no bytecode in a layer that was built without.
    """

    cached: float
    bare: float


def measure(datasets: Path, repeats: int) -> dict[str, Start]:
    """Start each subject several times, in turn.

    Parameters
    ----------
    datasets
        A ``datasets.yaml``.
    repeats
        How often.
    """
    environment = peer.install()
    with TemporaryDirectory(prefix="dask-regions-imports-") as temporary:
        starts: dict[bool, dict[str, list[float]]] = {}
        for bare in (False, True):
            with _paths(Path(temporary), peer.packages(environment), bare) as (layer, packages):
                programs = _programs(layer, packages, datasets)
                seconds: dict[str, list[float]] = {name: [] for name in programs}
                for _ in range(repeats + 1):
                    for name, (code, variables) in programs.items():
                        seconds[name].append(_start(code, variables, bare))
                starts[bare] = seconds
    # The first start of each warms up: it writes bytecode, and fills the page cache.
    return {
        name: Start(median(starts[False][name][1:]), median(starts[True][name][1:])) for name in starts[False]
    }


@contextmanager
def _paths(directory: Path, packages: Path, bare: bool) -> Iterator[tuple[Path, Path]]:
    """Yield the layer and the peer's packages; copies without bytecode where that is wanted."""
    if not bare:
        yield ours.layer(), packages
        return
    copies = []
    for name, source in (("layer", ours.layer()), ("peer", packages)):
        shutil.copytree(source, directory / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        copies.append(directory / name)
    yield copies[0], copies[1]


def _programs(layer: Path, packages: Path, datasets: Path) -> Mapping[str, tuple[str, Mapping[str, str]]]:
    url = "https://catalog.eu-west-2.es.amazonaws.com"
    own = {
        **ours.environment(url, datasets),
        "PYTHONPATH": f"{ours.CODE}:{layer}",
        "AWS_REGION": "eu-west-2",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    other = {"PYTHONPATH": str(packages), **peer.SETTINGS}
    return {
        "nothing": ("", {}),
        "ours": ("import app", own),
        "ours, signed": (_SIGNED, own),
        "FastAPI + Mangum": (_FASTAPI, other),
        "peer": ("import stac_fastapi.opensearch.app", other),
    }


def _start(code: str, variables: Mapping[str, str], bare: bool) -> float:
    command = [sys.executable, "-S", *(["-B"] if bare else []), "-c", code]
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
    start = time.perf_counter()
    subprocess.run(command, env={**kept, **variables}, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start
