"""What starts is stopped: processes, threads, and the lock on a directory."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from dask_regions.errors import UnavailableError
from dask_regions.local_state import LOCK_FILE, STATE_FILE, read_state

__all__ = [
    "Loop",
    "Process",
    "background",
    "exclusive",
    "logging_to",
    "sigterm_exits",
    "writable",
]

logger = logging.getLogger(__name__)
_GUARD = Path(__file__).with_name("guard.py")


class Process:
    """A command in a process group of its own that ends with this process, whatever ends it.

    Parameters
    ----------
    command
        Program and arguments.
    env
        The whole environment of the command.
    cwd
        Its working directory.
    log
        File to which its output is appended.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        with log.open("ab") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the guard, which is also the id of the process group."""
        return self._guard.pid

    @property
    def returncode(self) -> int | None:
        """Exit code of the command (128 + signal where one ended it); None while it runs."""
        return self._guard.poll()

    async def wait(self) -> int:
        """Wait until the command has ended, for its exit code; a thread waits meanwhile."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()

        def watch() -> None:
            code = self._guard.wait()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(ended.set_result, code)

        threading.Thread(target=watch, name=f"watch {self.pid}", daemon=True).start()
        return await ended

    def terminate(self) -> None:
        """Ask the command to end (SIGTERM)."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the command and everything that it started, now."""
        if self._guard.stdin is None or self._guard.stdin.closed:
            return
        self._signal(signal.SIGKILL)
        self._guard.wait()
        self._guard.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, number)


class Loop:
    """Call a function again and again in a thread; an exception is logged and the loop goes on."""

    def __init__(self, function: Callable[[], None], *, interval: float) -> None:
        self._function, self._interval = function, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=function.__qualname__, daemon=True)

    def __enter__(self) -> Loop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._function()
            except Exception:
                logger.exception("%s failed; it is tried again", self._function.__qualname__)


def background(function: Callable[[], object]) -> None:
    """Call a function in a thread; an exception is logged."""

    def run() -> None:
        try:
            function()
        except Exception:
            logger.exception("%s failed", function)

    threading.Thread(target=run, daemon=True).start()


@contextlib.contextmanager
def logging_to(path: Path, *names: str) -> Iterator[None]:
    """Send what some loggers and those below them say to a file, and nowhere else, for a while."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    loggers = [logging.getLogger(name) for name in names]
    for each in loggers:
        each.addHandler(handler)
        each.propagate = False
    try:
        yield
    finally:
        for each in loggers:
            each.removeHandler(handler)
            each.propagate = True
        handler.close()


@contextlib.contextmanager
def sigterm_exits() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that context managers are left in order."""

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def writable(directory: Path) -> None:
    """Make a state directory, unless it is there.

    Raises
    ------
    UnavailableError
        Where nothing can be written into it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise UnavailableError(
            f"the state directory {directory} cannot be written to ({error.strerror}); choose another one "
            "with --directory"
        ) from error


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold a directory for one system, by a lock that the kernel releases however this process ends.

    The state file of a system that was killed is removed, and so is that of this one at the end.

    Raises
    ------
    UnavailableError
        Where another system holds it; the message has its addresses and says how to stop it. Where
        it cannot be written to.
    """
    writable(directory)
    state = directory / STATE_FILE
    with (directory / LOCK_FILE).open("ab") as lock:
        if not _locked(lock):
            raise UnavailableError(_already_running(directory))
        state.unlink(missing_ok=True)
        try:
            yield
        finally:
            state.unlink(missing_ok=True)


def _locked(lock: IO[bytes]) -> bool:
    """Lock a file, and return whether that went; who asks whether a system runs has it for a moment."""
    deadline = time.monotonic() + 0.2
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _already_running(directory: Path) -> str:
    deadline = time.monotonic() + 1.0  # it may be about to write its state
    while (state := read_state(directory)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if state is None:
        return f"a local system is starting in {directory}; wait for it, or choose another directory"
    return (
        f"a local system already runs in {directory} (process {state.pid}, API {state.api_url}, "
        f"dashboard {state.dashboard_url}); use it, or stop it with Ctrl-C where it was started "
        f"or with: kill {state.pid}"
    )
