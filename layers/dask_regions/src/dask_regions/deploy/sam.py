"""The command ``sam``: builds the client Region's stack and deploys every stack, its output shown."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_regions.deploy.checkout import Checkout
from dask_regions.errors import DaskRegionsError
from dask_regions.settings import process_environment

__all__ = ["CommandFailedError", "Sam", "run"]

Say = Callable[[str], None]


class CommandFailedError(DaskRegionsError):
    """A program ended with an error; what it wrote is shown before this."""


def run(
    command: Sequence[str], directory: Path, say: Say, *, prefix: str = "", stdin: bytes | None = None
) -> None:
    """Run a program and say what it writes, line by line.

    Parameters
    ----------
    prefix
        What each line begins with, for programs that run side by side.
    stdin
        What it reads; nothing by default, so that it cannot wait for an answer.

    Raises
    ------
    CommandFailedError
        Where it ends with another code than 0.
    """
    say(f"{prefix}$ {shlex.join(command)}")
    environment = {**process_environment(), "SAM_CLI_TELEMETRY": "0", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        list(command),
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        if stdin and process.stdin:
            process.stdin.write(stdin)
            process.stdin.close()
        for line in process.stdout or ():
            say(prefix + line.decode(errors="replace").rstrip())
    if process.returncode:
        raise CommandFailedError(f"`{shlex.join(command[:3])} ...` ended with code {process.returncode}")


@dataclass(frozen=True)
class Sam:
    """How ``sam`` is called for one checkout.

    Attributes
    ----------
    samconfig
        The file that ``dask-regions config`` writes.
    """

    checkout: Checkout
    samconfig: Path
    say: Say

    def build_command(self) -> list[str]:
        """Return the command that builds functions and layers of the client Region's stack."""
        return ["sam", "build", "--config-file", str(self.samconfig), "--config-env", "client"]

    def deploy_command(self, environment: str, overrides: Sequence[str] = ()) -> list[str]:
        """Return the command that deploys a stack.

        Parameters
        ----------
        overrides
            All parameters of the stack as ``name=value``; by default those of its environment.
        """
        command = ["sam", "deploy", "--config-file", str(self.samconfig), "--config-env", environment]
        extra = ["--parameter-overrides", *overrides] if overrides else []
        return [*command, "--no-confirm-changeset", *extra]

    def build(self) -> None:
        """Build functions and layers."""
        self._run(self.build_command(), "")

    def deploy(self, environment: str, overrides: Sequence[str] = ()) -> None:
        """Deploy a stack, and wait for it."""
        self._run(self.deploy_command(environment, overrides), f"{environment}: ")

    def _run(self, command: list[str], prefix: str) -> None:
        program = self.checkout.program(command[0])
        run([program, *command[1:]], self.checkout.root, self.say, prefix=prefix)
