"""A fake of the scheduler's HTTP routes, and how tests call a handler."""

from __future__ import annotations

import importlib.util
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

__all__ = ["REGION", "FakeScheduler", "call", "demand"]

_ROOT = Path(__file__).parents[2]
REGION = "us-west-2"
_CONTEXT = SimpleNamespace(
    function_name="scale", memory_limit_in_mb=128, invoked_function_arn="arn:aws:lambda:x", aws_request_id="1"
)


class FakeScheduler(ThreadingHTTPServer):
    """Answers the scheduler's routes with what a test wants."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = "first"
        self.pools: dict[str, dict[str, Any]] = {}
        self.activity = {"clients": 0, "tasks": 0, "idle_seconds": 0.0}
        self.retirable: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeScheduler

    def do_GET(self) -> None:
        self._answer(self.server.activity if self.path.endswith("/activity") else self.server.pools)

    def do_POST(self) -> None:
        tasks = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["tasks"]
        self._answer({"tasks": self.server.retirable[:tasks], "workers": []})

    def _answer(self, body: dict[str, Any]) -> None:
        allowed = self.headers["Authorization"] == f"Bearer {self.server.token}"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body if allowed else {}).encode())

    def log_message(self, *args: Any) -> None:
        pass


def call(function: str, event: dict[str, Any]) -> dict[str, Any]:
    """Import a handler afresh and call it; its answer must survive JSON, as Lambda's does."""
    spec = importlib.util.spec_from_file_location(
        f"functions_{function}", _ROOT / "functions" / function / "app.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    answer: dict[str, Any] = json.loads(json.dumps(module.handler(event, _CONTEXT)))
    return answer


def demand(ecs_tasks: int, **fields: Any) -> dict[str, Any]:
    """Return what the scheduler says of a pool."""
    return {"region": REGION, "ecs_tasks": ecs_tasks, "threads_per_ecs_task": 10, **fields}
