"""A person with a clone of the repository, who types ``dask-regions`` against an emulated account."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testing.deployment.emulator import Emulator

__all__ = ["Operator"]

_ROOT = Path(__file__).parents[2]
_COMMAND = Path(sys.executable).with_name("dask-regions")
_COMMAND_SECONDS = 600


@dataclass(frozen=True)
class Operator:
    """Types commands in a clone.

    Attributes
    ----------
    clone
        Directory of the clone; its ``datasets.yaml`` is the operator's.
    """

    account: Emulator
    clone: Path

    @classmethod
    def with_clone(cls, account: Emulator, clone: Path) -> Operator:
        """Copy the files of this clone that git knows, and link the ``uv`` that ``make setup`` installs."""
        listing = subprocess.run(
            ["git", "-C", str(_ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
        )
        for name in filter(None, listing.stdout.split("\0")):
            if (_ROOT / name).is_file():
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(_ROOT / name, clone / name)
        (clone / ".uv").symlink_to(_ROOT / ".uv")
        return cls(account, clone)

    def configure(
        self, system: Mapping[str, str], regions: Iterable[Mapping[str, Any]], datasets: Iterable[Any]
    ) -> None:
        """Write ``datasets.yaml``."""
        document = {"system": dict(system), "regions": list(regions), "datasets": list(datasets)}
        (self.clone / "datasets.yaml").write_text(yaml.safe_dump(document))

    def type(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``dask-regions``; what it writes is in ``stdout``."""
        return subprocess.run(
            [str(_COMMAND), *arguments],
            cwd=self.clone,
            env=self.account.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )

    def push(self, region: str, system: str, *tags: str) -> None:
        """Put images into a Region's repositories, as ``docker push`` does without their layers."""
        registry = self.account.client("ecr", region)
        for name in (f"{system}-scheduler", f"{system}-worker"):
            for tag in tags:
                manifest = json.dumps({"schemaVersion": 2, "layers": [], "tag": tag})
                registry.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)
