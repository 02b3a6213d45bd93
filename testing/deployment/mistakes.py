"""Seed mistakes and see that each is caught: ``python -m testing.deployment.mistakes [M1 M2 ...]``.

Each mistake is one edit of a copy of the repository. The check that has to catch it is run there, and has to
pass on the copy without the edit. The table goes to standard output; ``tests/deployment/README.md`` says what
each mistake is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from testing.deployment.seeded import MISTAKES, Mistake

__all__ = ["MIN_CAUGHT", "copy_of_the_repository", "fails", "main"]

ROOT = Path(__file__).parents[2]
#: Mistakes that have to be caught, of 28.
MIN_CAUGHT = 24
_LAST_LINE_CHARACTERS = 100


@dataclass(frozen=True)
class Outcome:
    """What came of a mistake: whether it was caught, and the line that says so."""

    mistake: Mistake
    caught: bool
    line: str


def copy_of_the_repository(directory: Path) -> Path:
    """Copy what git knows of, and make what was built and installed reachable from there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
    for made in (".venv", ".uv", ".cache"):
        (directory / made).symlink_to(ROOT / made)
    return directory


def fails(root: Path, command: Sequence[str]) -> str | None:
    """Run a check in a copy; returns the line that says why it fails, and None where it passes."""
    sources = [root / "layers" / "dask_regions" / "src", root / "local" / "src"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources)), "COLUMNS": "200"}
    program = [str(root / ".venv" / "bin" / "python"), "-m", *command]
    done = subprocess.run(program, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line[2:] for line in lines if line.startswith("E  ")]
    return (errors or lines or ["it wrote nothing"])[0 if errors else -1].strip()[:_LAST_LINE_CHARACTERS]


def _with_copy(edit: Callable[[Path], None] | None, command: Sequence[str]) -> str | None:
    with tempfile.TemporaryDirectory(prefix="mistake-") as directory:
        root = copy_of_the_repository(Path(directory))
        if edit is not None:
            edit(root)
        return fails(root, command)


def _outcomes(mistakes: Iterable[Mistake]) -> Iterable[Outcome]:
    passing: dict[tuple[str, ...], str | None] = {}
    for mistake in mistakes:
        if mistake.check not in passing:
            passing[mistake.check] = _with_copy(mistake.prepare, mistake.check)
        if passing[mistake.check] is not None:
            yield Outcome(mistake, False, f"the check fails without the mistake: {passing[mistake.check]}")
            continue
        try:
            line = _with_copy(mistake.apply, mistake.check)
        except LookupError as error:
            yield Outcome(mistake, False, str(error))
        else:
            yield Outcome(mistake, line is not None, line or "the check passes")


def main(numbers: Sequence[str]) -> int:
    """Seed all mistakes, or those whose numbers are given, and print the table; returns the exit code."""
    chosen = [mistake for mistake in MISTAKES if not numbers or mistake.number in numbers]
    sys.stdout.write("| # | mistake | caught by | which says |\n|---|---|---|---|\n")
    caught = 0
    for outcome in _outcomes(chosen):
        caught += outcome.caught
        by = " ".join(outcome.mistake.check) if outcome.caught else "**not caught**"
        line = outcome.line.replace("|", "\\|")
        sys.stdout.write(f"| {outcome.mistake.number} | {outcome.mistake.text} | `{by}` | {line} |\n")
        sys.stdout.flush()
    sys.stdout.write(f"\n{caught} of {len(chosen)} caught\n")
    return int(caught < MIN_CAUGHT) if not numbers else int(caught < len(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
