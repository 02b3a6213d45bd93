"""Processes of a test: they end when the process that started them does, whatever ends it.

Ctrl-C and SIGKILL leave pytest no time for what its fixtures do at their end, least of all in the processes
of pytest-xdist. So each process that starts others has a reaper beside it, which is told of them through a
pipe, and which kills what is left of them, and of what they started, when the pipe closes.
"""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import psutil

__all__ = ["main", "start", "stop"]

#: Seconds that a process has to end by itself.
_SECONDS_TO_STOP = 20.0
_lock = threading.Lock()


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process that does not outlive this one.

    Parameters
    ----------
    command
        Program and arguments.
    options
        More for :class:`subprocess.Popen`.

    Examples
    --------
    >>> start([sys.executable, "-c", "print('hello')"], stdout=subprocess.PIPE, text=True).communicate()[0]
    'hello\\n'
    """
    reaper = _reaper()
    process = subprocess.Popen(command, **options)
    assert reaper.stdin is not None
    # Of a process that has ended and was not waited for, the kernel still knows when it began.
    line = f"{process.pid} {psutil.Process(process.pid).create_time()!r}\n"
    with _lock:
        reaper.stdin.write(line)
        reaper.stdin.flush()
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and make it end where it does not."""
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@cache
def _reaper() -> subprocess.Popen[str]:
    # A session of its own: Ctrl-C is for all processes of the terminal's foreground.
    command = [sys.executable, "-I", __file__]
    reaper = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
    atexit.register(reaper.communicate)
    return reaper


def main(lines: Iterable[str]) -> None:
    """Read process ids and when they began, until there are no more; then kill those that still run."""
    started = [line.split() for line in lines]
    doomed: list[psutil.Process] = []
    for pid, created in started:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(int(pid))
            # Another process may have been given its number since.
            if process.create_time() == float(created):
                doomed += [process, *process.children(recursive=True)]
    for process in doomed:
        with contextlib.suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    main(sys.stdin)
