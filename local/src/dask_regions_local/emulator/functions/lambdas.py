"""Lambda: the real handlers, run by the real runtime client behind a small Runtime API.

One execution environment is one ``awslambdaric`` process. It sees the runtime, the layers that its
function declares and the function's folder, and nothing of this process's environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from dask_regions_local.emulator.http.server import Request, Response, Server, spawn
from dask_regions_local.emulator.processes.environment import child_environment
from dask_regions_local.emulator.processes.lifecycle import Process

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
        """Run a function, from any thread but that of the servers' event loop.

        Returns
        -------
        tuple
            Whether it failed, and its result or error as JSON.

        Raises
        ------
        KeyError
            There is no such function.
        """
        return spawn(self.call(region, name, payload)).result()

    async def call(self, region: str, name: str, payload: bytes) -> tuple[bool, bytes]:
        """Do what :meth:`invoke` does, on the servers' event loop."""
        return await self._pools[region, name].call(payload)

    def close(self) -> None:
        """End every execution environment."""
        spawn(self._close()).result()

    async def _close(self) -> None:
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    def _start(self, function: Function, index: int) -> _Environment:
        log = self._logs / f"{function.region}.{function.name}.{index}.log"
        layers = [layer.result() / "python" for layer in function.layers]
        path = [function.code, *reversed(layers), self._runtime]  # a later layer hides an earlier one
        declared = {name: self._localise(value) for name, value in function.environment.items()}
        service = {
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "LAMBDA_TASK_ROOT": str(function.code),
            "POWERTOOLS_TRACE_DISABLED": "true",
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "_HANDLER": function.handler,
        }
        variables = child_environment(function.region, self._endpoint, declared, service)
        return _Environment(function, variables, log)


class _Pool:
    """The execution environments of one function."""

    def __init__(self, start: Callable[[int], _Environment]) -> None:
        self._start = start
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._lock = asyncio.Lock()
        self._idle: list[_Environment] = []
        self._all: list[_Environment] = []
        self._started = 0
        self._closed = False

    async def call(self, payload: bytes) -> tuple[bool, bytes]:
        async with self._slots:
            environment = await self._take()
            if environment is None:
                return _error("Runtime.ExitError", "the local system is stopping")
            answer = await environment.call(payload)
            self._idle.append(environment)
        return answer

    async def _take(self) -> _Environment | None:
        async with self._lock:
            if self._closed:  # a process that started now would not be ended
                return None
            while self._idle:
                environment = self._idle.pop()  # the one used last, as Lambda does
                if environment.alive:
                    return environment
                self._all.remove(environment)
                await asyncio.to_thread(environment.close)
            self._all.append(await asyncio.to_thread(self._start, self._started))
            self._started += 1
            return self._all[-1]

    async def close(self) -> None:
        async with self._lock:
            self._closed = True
            await asyncio.gather(*(asyncio.to_thread(environment.close) for environment in self._all))


@dataclass
class _Call:
    """An invocation under way; ``timeout`` in seconds, of the start until the environment asks for it."""

    payload: bytes
    limit: asyncio.Timeout
    timeout: float
    answer: asyncio.Future[tuple[bool, bytes]]
    request: str = field(default_factory=lambda: str(uuid.uuid4()))

    def tell(self, failed: bool, result: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result((failed, result))

    def failure(self, kind: str, message: str) -> tuple[bool, bytes]:
        return _error(kind, f"RequestId: {self.request} Error: {message}")


class _Environment:
    """One ``awslambdaric`` process, and the Runtime API that it polls.

    Made and closed in a thread, as both block; the rest is for the servers' event loop.
    """

    def __init__(self, function: Function, variables: Mapping[str, str], log: Path) -> None:
        self._function = function
        self._calls: asyncio.Queue[_Call | None] = asyncio.Queue()
        self._call: _Call | None = None
        self._init_error = b""
        self._exit_code: int | None = None
        self._server = Server(self._serve)
        self._process = Process(
            [sys.executable, "-S", "-m", "awslambdaric", function.handler],
            env={**variables, "AWS_LAMBDA_RUNTIME_API": self._server.address},
            cwd=function.code,
            log=log,
        )
        self._end = spawn(self._watch())

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def close(self) -> None:
        self._process.kill()
        self._end.result()
        spawn(self._calls.put(None)).result()
        self._server.close()

    async def call(self, payload: bytes) -> tuple[bool, bytes]:
        answer: asyncio.Future[tuple[bool, bytes]] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(INIT_TIMEOUT) as limit:
                self._call = call = _Call(payload, limit, INIT_TIMEOUT, answer)
                self._calls.put_nowait(call)
                self._tell_of_the_end()  # where it was before this call
                return await answer
        except TimeoutError:
            await asyncio.to_thread(self._process.kill)
            return call.failure("Sandbox.Timedout", f"Task timed out after {call.timeout:.2f} seconds")

    async def _watch(self) -> None:
        self._exit_code = await self._process.wait()
        self._tell_of_the_end()

    def _tell_of_the_end(self) -> None:
        """Answer the call that a process which is gone left without, with what it said before it left."""
        if self._call is None or self._exit_code is None:
            return
        if self._init_error:
            self._call.tell(True, self._init_error)
        message = f"Runtime exited with error: exit status {self._exit_code}"
        self._call.tell(*self._call.failure("Runtime.ExitError", message))

    async def _serve(self, request: Request) -> Response:
        parts = request.target.strip("/").split("/")  # 2018-06-01/runtime/...
        if parts[-1] == "next":
            return await self._next()
        if parts[2:4] == ["init", "error"]:
            self._init_error = request.body
        elif parts[-1] in ("response", "error") and self._call is not None:
            self._call.tell(parts[-1] == "error", request.body)
        return Response(202, b'{"status":"OK"}')

    async def _next(self) -> Response:
        call = await self._calls.get()
        if call is None:
            return Response(410)
        call.timeout = self._function.timeout
        call.limit.reschedule(asyncio.get_running_loop().time() + call.timeout)
        now = time.time()
        headers = (
            ("content-type", "application/json"),
            ("lambda-runtime-aws-request-id", call.request),
            ("lambda-runtime-deadline-ms", str(int((now + call.timeout) * 1000))),
            ("lambda-runtime-invoked-function-arn", self._function.arn),
            ("lambda-runtime-trace-id", f"Root=1-{int(now):08x}-{os.urandom(12).hex()}"),
        )
        return Response(200, call.payload, headers)


def _error(kind: str, message: str) -> tuple[bool, bytes]:
    return True, json.dumps({"errorType": kind, "errorMessage": message}).encode()
