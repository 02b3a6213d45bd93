"""Start the scheduler: ``python -m dask_regions.placement.processes.scheduler``.

It is ``dask scheduler`` in the same process, with our HTTP routes and preload module, so that
signals reach Dask's own handlers. Environment: ``SCHEDULER_PORT`` (8786), ``DASHBOARD_PORT``
(8787), ``HOST`` (every interface), and what :mod:`dask_regions.placement.pools.publish` and
:mod:`dask_regions.placement.pools.routes` read.
"""

from __future__ import annotations

from collections.abc import Mapping

import dask.config

from dask_regions.settings import Settings, process_environment

__all__ = ["add_routes", "arguments", "main"]

_ROUTES = "distributed.scheduler.http.routes"
_ROUTES_MODULE = "dask_regions.placement.pools.routes"
_PRELOAD_MODULE = "dask_regions.placement.processes.scheduler_preload"


def arguments(environ: Mapping[str, str]) -> list[str]:
    """Return the arguments of ``dask scheduler`` that the environment asks for.

    Examples
    --------
    >>> arguments({"HOST": "127.0.0.1", "SCHEDULER_PORT": "9000"})[:6]
    ['--port', '9000', '--dashboard-address', '127.0.0.1:8787', '--host', '127.0.0.1']
    """
    settings = Settings.from_environment(environ)
    options = ["--port", str(settings.scheduler_port)]
    options += ["--dashboard-address", f"{settings.host}:{settings.dashboard_port}"]
    if settings.host:
        options += ["--host", settings.host]
    return [*options, "--preload", _PRELOAD_MODULE]


def add_routes() -> None:
    """Add our routes to those of Dask, in the configuration that a new scheduler reads.

    A scheduler collects its routes when it is constructed, which is before any preload module.
    """
    routes = list(dask.config.get(_ROUTES))
    if _ROUTES_MODULE not in routes:
        dask.config.set({_ROUTES: [*routes, _ROUTES_MODULE]})


def main() -> None:
    """Run the scheduler until SIGINT or SIGTERM."""
    import distributed  # noqa: F401  its defaults have to be there before routes are added
    from distributed.cli.dask_scheduler import main as dask_scheduler

    add_routes()
    dask_scheduler(args=arguments(process_environment()), prog_name="dask scheduler")


if __name__ == "__main__":
    main()
