"""The files that are deployed, and the programs that deploy them."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from dask_regions.errors import ConfigurationError, NotFoundError

__all__ = ["BUILDER_TEMPLATE", "CLIENT_TEMPLATE", "IMAGES_TEMPLATE", "WORKER_TEMPLATE", "Checkout"]

CLIENT_TEMPLATE = "template.yaml"
WORKER_TEMPLATE = "regional_stack/template.yaml"
IMAGES_TEMPLATE = "regional_stack/images.yaml"
BUILDER_TEMPLATE = "regional_stack/builder.yaml"


@dataclass(frozen=True)
class Checkout:
    """A clone of the repository: templates, functions and layers are read from it.

    Attributes
    ----------
    root
        Its directory.
    """

    root: Path

    @classmethod
    def find(cls, start: Path) -> Checkout:
        """Return the checkout that a directory is in.

        Raises
        ------
        ConfigurationError
            Where it is in none.
        """
        for directory in (start, *start.parents):
            if (directory / CLIENT_TEMPLATE).is_file() and (directory / WORKER_TEMPLATE).is_file():
                return cls(directory)
        raise ConfigurationError(
            f"{start} is no checkout of dask-regions: {CLIENT_TEMPLATE} and {WORKER_TEMPLATE} are not there; "
            "clone the repository, and run this in it"
        )

    def program(self, name: str) -> str:
        """Return the path of a program: the one installed beside this Python, else the one on PATH.

        Raises
        ------
        NotFoundError
            Where there is neither.
        """
        beside = Path(sys.executable).parent / name
        path = str(beside) if beside.is_file() else shutil.which(name)
        if path is None:
            raise NotFoundError(
                f"the program {name} is not installed; `make setup` in {self.root} installs what is needed"
            )
        return path
