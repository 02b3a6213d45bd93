"""The entry point of ``dask-regions``, and ``python -m dask_regions.cli`` where it is not on PATH."""

from __future__ import annotations

import sys

__all__ = ["run"]

#: The value of ``ExitCode.WRONG_USE``, whose module cannot be imported without the extra.
_WRONG_USE = 2


def run() -> None:
    """Run the command, or say what to install where only the notebook's side is installed."""
    try:
        from dask_regions.cli.main import main
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "dask_regions":
            raise
        sys.stderr.write(
            f"error: the command dask-regions needs {error.name}; install its extra: "
            "pip install 'dask-regions[cli]'\n"
        )
        sys.exit(_WRONG_USE)
    main(prog_name="dask-regions")


if __name__ == "__main__":
    run()
