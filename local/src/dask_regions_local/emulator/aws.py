"""The AWS endpoint of local mode: moto in this process, and clients for it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

import boto3
from moto.core.config import default_user_config
from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer

from dask_regions.settings import environment

__all__ = ["CREDENTIALS", "Aws", "serve"]

#: These are nobody's: a process that has them cannot reach a real account.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


class Aws:
    """Clients for the local endpoint, one per service and Region; safe to call from any thread."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = boto3.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str) -> Any:
        """Return the client of a service in a Region."""
        with self._lock:  # boto3 sessions are not safe to share while clients are made
            if (service, region) not in self._clients:
                self._clients[service, region] = self._session.client(
                    service,  # type: ignore[call-overload]
                    region_name=region,
                    endpoint_url=self.endpoint,
                )
            return self._clients[service, region]


@contextlib.contextmanager
def serve(region: str) -> Iterator[Aws]:
    """Run moto's server on a free port; boto3 in this process reaches it, too, while it runs.

    Parameters
    ----------
    region
        Default Region of this process for the time.
    """
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else it logs every request
    default_user_config["lambda"]["use_docker"] = False
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    moto_api_backend.reset()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    endpoint = f"http://127.0.0.1:{port}"
    variables = CREDENTIALS | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": region,
        "MOTO_PORT": str(port),  # where the state machines' tasks find Lambda
    }
    with environment(**variables):
        # moto's state machines make clients in threads; the session's parts are made only once.
        boto3.client("lambda")
        try:
            yield Aws(endpoint)
        finally:
            server.stop()
            moto_api_backend.reset()
