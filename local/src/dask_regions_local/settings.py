"""The checkout that runs, and the environment variables that local mode reads: here, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DATASETS", "ROOT", "Settings"]

#: The checkout that holds ``template.yaml`` and ``local/datasets.yaml``.
ROOT = Path(__file__).parents[3]
#: Path below a checkout of the configuration that local mode runs.
DATASETS = Path("local", "datasets.yaml")

#: Variables of this process that every child needs: they tell where the machine keeps programs and files.
_OF_THE_MACHINE = ("HOME", "LANG", "PATH", "TMPDIR")


@dataclass(frozen=True)
class Settings:
    """What the environment says to local mode.

    Not what deployed functions and tasks are told: templates do that, and
    :mod:`dask_regions_local.emulator.processes.environment` puts it together.

    Attributes
    ----------
    uv
        Program that installs packages into layers, from ``UV``; by default that of the checkout.
    machine
        Variables that describe this machine, and are therefore passed on to every child process.
    """

    uv: str | None
    machine: Mapping[str, str]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment: the process's own by default. An empty ``UV`` counts as absent."""
        variables = os.environ if environ is None else environ
        machine = {name: variables[name] for name in _OF_THE_MACHINE if name in variables}
        return cls(uv=variables.get("UV") or None, machine=machine)
