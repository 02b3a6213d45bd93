"""Lambda: the real handlers, run by the real runtime client behind a small Runtime API.

One execution environment is one ``awslambdaric`` process. It sees the runtime, the layers that its
function declares and the function's folder, and nothing of this process's environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from .aws import CREDENTIALS
from .lifecycle import Process
from .web import Request, Response, Server

__all__ = ["Function", "Functions"]

#: Invocations of one function that run at once; more wait, where Lambda would start more.
CONCURRENCY = 3
#: Seconds for a cold start; Lambda allows 10, on hardware that does nothing else.
INIT_TIMEOUT = 60.0


@dataclass(frozen=True)
class Function:
    """A Lambda function as its template describes it; ``timeout`` in seconds."""

    name: str
    region: str
    arn: str
    handler: str
    code: Path
    layers: Sequence[Future[Path]]
    environment: Mapping[str, str]
    timeout: float
    memory: int


class Functions:
    """Invoke functions by Region and name.

    Parameters
    ----------
    runtime
        Directory with the Lambda runtime client.
    logs
        Directory for one log file per execution environment.
    localise
        Rewrites the value of an environment variable for this machine.
    endpoint
        The local AWS endpoint.
    """

    def __init__(self, runtime: Path, logs: Path, localise: Callable[[str], str], endpoint: str) -> None:
        self._runtime, self._logs, self._localise, self._endpoint = runtime, logs, localise, endpoint
        self._pools: dict[tuple[str, str], _Pool] = {}

    def add(self, function: Function) -> None:
        """Make a function known; nothing starts before its first invocation."""
        self._pools[function.region, function.name] = _Pool(lambda index: self._start(function, index))

    def invoke(self, region: str, name: str, payload: bytes) -> tuple[bool, bytes]:
        """Run a function; return whether it failed, and its result or error as JSON.

        Raises
        ------
        KeyError
            There is no such function.
        """
        return self._pools[region, name].invoke(payload)

    def close(self) -> None:
        """End every execution environment."""
        for pool in self._pools.values():
            pool.close()

    def _start(self, function: Function, index: int) -> _Environment:
        log = self._logs / f"{function.region}.{function.name}.{index}.log"
        layers = [layer.result() / "python" for layer in function.layers]
        path = [function.code, *reversed(layers), self._runtime]  # a later layer hides an earlier one
        variables = {
            name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ
        }
        variables |= {name: self._localise(value) for name, value in function.environment.items()}
        variables |= CREDENTIALS | {
            "AWS_DEFAULT_REGION": function.region,
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": function.region,
            "LAMBDA_TASK_ROOT": str(function.code),
            "POWERTOOLS_TRACE_DISABLED": "true",
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "_HANDLER": function.handler,
        }
        return _Environment(function, variables, log)


class _Pool:
    """The execution environments of one function."""

    def __init__(self, start: Callable[[int], _Environment]) -> None:
        self._start = start
        self._slots = threading.Semaphore(CONCURRENCY)
        self._lock = threading.Lock()
        self._idle: list[_Environment] = []
        self._all: set[_Environment] = set()
        self._started = 0
        self._closed = False

    def invoke(self, payload: bytes) -> tuple[bool, bytes]:
        with self._slots:
            environment = self._take()
            if environment is None:
                return _error("Runtime.ExitError", "the local system is stopping")
            failed, result = environment.invoke(payload)
            with self._lock:
                if environment.alive and not self._closed:
                    self._idle.append(environment)
                else:
                    environment.close()
                    self._all.discard(environment)
        return failed, result

    def _take(self) -> _Environment | None:
        with self._lock:
            if self._closed:  # a process that started now would not be ended
                return None
            if self._idle:
                return self._idle.pop()  # the one used last, as Lambda does
            environment = self._start(self._started)
            self._started += 1
            self._all.add(environment)
            return environment

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for environment in self._all:
                environment.close()
            self._all.clear()


class _Environment:
    """One ``awslambdaric`` process, and the Runtime API that it polls."""

    def __init__(self, function: Function, variables: Mapping[str, str], log: Path) -> None:
        self._function = function
        self._events: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[bool, bytes]] = queue.SimpleQueue()
        self._initialised = threading.Event()
        self._server = Server(self._serve)
        self._process = Process(
            [sys.executable, "-S", "-m", "awslambdaric", function.handler],
            env={**variables, "AWS_LAMBDA_RUNTIME_API": self._server.address},
            cwd=function.code,
            log=log,
        )

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def invoke(self, payload: bytes) -> tuple[bool, bytes]:
        request = str(uuid.uuid4())
        deadline = time.monotonic() + INIT_TIMEOUT
        while not self._initialised.wait(0.02):
            if (failure := self._failure(request, deadline, INIT_TIMEOUT)) is not None:
                return failure
        deadline = time.monotonic() + self._function.timeout
        self._events.put((request, payload))
        while True:
            with contextlib.suppress(queue.Empty):
                return self._results.get(timeout=0.05)
            if (failure := self._failure(request, deadline, self._function.timeout)) is not None:
                return failure

    def _failure(self, request: str, deadline: float, timeout: float) -> tuple[bool, bytes] | None:
        """Return what Lambda reports where the process is gone or too slow."""
        if (code := self._process.returncode) is not None:
            with contextlib.suppress(queue.Empty):
                return self._results.get_nowait()  # it said why before it left
            message = f"RequestId: {request} Error: Runtime exited with error: exit status {code}"
            return _error("Runtime.ExitError", message)
        if time.monotonic() > deadline:
            self._process.kill()
            message = f"RequestId: {request} Error: Task timed out after {timeout:.2f} seconds"
            return _error("Sandbox.Timedout", message)
        return None

    def close(self) -> None:
        self._process.kill()
        self._events.put(None)
        self._server.close()

    def _serve(self, request: Request) -> Response:
        parts = request.target.strip("/").split("/")  # 2018-06-01/runtime/...
        if parts[-1] == "next":
            return self._next()
        if parts[2:4] == ["init", "error"]:
            self._results.put((True, request.body))
        elif parts[-1] in ("response", "error"):
            self._results.put((parts[-1] == "error", request.body))
        return Response(202, b'{"status":"OK"}')

    def _next(self) -> Response:
        self._initialised.set()
        event = self._events.get()
        if event is None:
            return Response(410)
        request, payload = event
        deadline = int((time.time() + self._function.timeout) * 1000)
        headers = (
            ("content-type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", request),
            ("Lambda-Runtime-Deadline-Ms", str(deadline)),
            ("Lambda-Runtime-Invoked-Function-Arn", self._function.arn),
            ("Lambda-Runtime-Trace-Id", f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"),
        )
        return Response(200, payload, headers)


def _error(kind: str, message: str) -> tuple[bool, bytes]:
    return True, json.dumps({"errorType": kind, "errorMessage": message}).encode()
