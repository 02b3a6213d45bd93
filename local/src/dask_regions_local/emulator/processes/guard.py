"""Run a command that must not outlive the process which started it.

Started as a script with a pipe as standard input. When the other end closes, however the parent
ended (SIGKILL included), the whole process group is killed: the command and all that it started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

__all__ = ["main"]


def _kill_group_when_parent_ends() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run a command in this process group and return its exit code."""
    # A signal to the group is meant for the command; a handler, unlike SIG_IGN, is not inherited.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        threading.Thread(target=_kill_group_when_parent_ends, daemon=True).start()
        code = child.wait()
    os.killpg(0, signal.SIGTERM)  # what the command left behind, e.g. the workers of a dead nanny
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(sys.argv[1:]))  # a thread still reads standard input
