"""HTTP routes on the scheduler's own web server, for the functions of the scale journey.

``GET /dask-regions/pools`` answers ``{region: PoolDemand}``; ``POST
/dask-regions/pools/<region>/retire`` with ``{"tasks": n}`` empties up to n ECS tasks and answers
``{"tasks": [ids], "workers": [addresses]}``. ``GET /dask-regions/activity`` answers whether anybody uses
the scheduler. All want ``Authorization: Bearer <SCHEDULER_TOKEN>``.
"""

from __future__ import annotations

import hmac
import json

from distributed.http.utils import RequestHandler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dask_regions.names import POOLS_ROUTE, SCHEDULER_ACTIVITY_ROUTE
from dask_regions.placement.pools.activity import activity_of
from dask_regions.placement.pools.demand import measure
from dask_regions.placement.pools.retire import retire
from dask_regions.settings import Settings

__all__ = ["routes"]


class _RetireRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tasks: int = Field(ge=0, le=1000)


class _Guarded(RequestHandler):
    """Answers in JSON, and only to who knows the token."""

    def prepare(self) -> None:
        token = Settings.from_environment().scheduler_token
        given = self.request.headers.get("Authorization", "")
        if not token:
            self._refuse(503, "the scheduler has no token: set SCHEDULER_TOKEN and restart it")
        elif not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            self.set_header("WWW-Authenticate", "Bearer")
            self._refuse(401, "send the scheduler's token: 'Authorization: Bearer <token>'")

    def _refuse(self, status: int, message: str) -> None:
        self.set_status(status)
        self.finish({"message": message})


class _Pools(_Guarded):
    def get(self) -> None:
        self.finish({region: demand.model_dump() for region, demand in measure(self.server).items()})


class _Activity(_Guarded):
    def get(self) -> None:
        self.finish(activity_of(self.server).model_dump())


class _Retire(_Guarded):
    async def post(self, region: str) -> None:
        if region not in measure(self.server):
            self._refuse(404, f"there is no pool {region}; GET {POOLS_ROUTE} lists them")
            return
        try:
            request = _RetireRequest.model_validate(json.loads(self.request.body or b"{}"))
        except (ValidationError, ValueError) as error:
            self._refuse(400, f'send {{"tasks": <number>}}: {error}')
            return
        retired = await retire(self.server, region, request.tasks)
        workers = [ws.address for members in retired.values() for ws in members]
        self.finish(json.dumps({"tasks": sorted(retired), "workers": sorted(workers)}))


#: Dask looks for this name in the modules of ``distributed.scheduler.http.routes``.
routes: list[tuple[str, type[RequestHandler], dict[str, object]]] = [
    (POOLS_ROUTE, _Pools, {}),
    (SCHEDULER_ACTIVITY_ROUTE, _Activity, {}),
    (rf"{POOLS_ROUTE}/([a-z0-9-]+)/retire", _Retire, {}),
]
