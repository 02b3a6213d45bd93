"""Run the tests of what we use of Dask's insides with the newest releases on PyPI.

The environment is the lock's, but for :data:`RELEASES`: those are upgraded, whatever our own packages or
others pin, and the rest moves only where it must. It is made in ``.cache/upstream`` and leaves ``.venv`` and
``uv.lock`` as they are. ``make test-upstream`` runs it; nothing depends on its outcome.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from xml.etree import ElementTree as ET

__all__ = ["RELEASES", "Result", "Row", "as_markdown", "as_text", "folders", "main", "overrides", "results"]
__all__ += ["table"]

ROOT = Path(__file__).parents[1]
#: Packages of which the newest release is tested.
RELEASES = ("dask", "distributed", "dask-array", "xarray", "zarr", "numpy", "pandas", "flox")
# An override replaces a requirement together with its extras.
_EXTRAS = {"dask": "[array,dataframe]"}
# The packages of dask_regions that import dask, by the folders of their tests.
_ROOMS = ("placement", "data", "client")
_GROUP = re.compile(r"@[\w-]+$")
_OUTCOMES = ("passed", "failed", "xfailed", "skipped")


@dataclass(frozen=True)
class Result:
    """What became of one test.

    Attributes
    ----------
    file
        Path of its module, from the root of the project.
    name
        Of the test, with its parameters; empty where the module could not be imported.
    outcome
        ``passed``, ``failed``, ``xfailed`` (was expected to fail) or ``skipped``. An error in a fixture or an
        import counts as failed.
    message
        First line of the reason; empty where it passed.
    """

    file: str
    name: str
    outcome: str
    message: str = ""

    @property
    def node(self) -> str:
        """What pytest takes to run it alone."""
        return f"{self.file}::{self.name}" if self.name else self.file


@dataclass(frozen=True)
class Row:
    """One line of the table: a package with its versions, or tests with their outcome."""

    what: str
    lock: str
    newest: str


def overrides(lock: Mapping[str, str]) -> list[str]:
    """Return requirements that replace all others of the same package.

    Parameters
    ----------
    lock
        Version by package, of those that the lock has.

    Examples
    --------
    >>> overrides({"dask": "2026.8.0", "zarr": "3.4.2"})
    ['dask[array,dataframe]>=2026.8.0', 'zarr>=3.4.2']
    """
    return [f"{name}{_EXTRAS.get(name, '')}>={lock[name]}" for name in RELEASES if name in lock]


def folders(root: Path = ROOT) -> list[str]:
    """Return the folders of tests to run: the contracts, and what imports Dask at each kind of test."""
    rooms = (path for room in _ROOMS for path in root.glob(f"tests/*/{room}") if path.is_dir())
    return ["tests/contract", *sorted(str(path.relative_to(root)) for path in rooms)]


def results(report: str) -> list[Result]:
    """Read a JUnit report of pytest (``junit_family=xunit1``).

    Raises
    ------
    xml.etree.ElementTree.ParseError
        Where the text is no report.
    """
    return [_result(case) for case in ET.fromstring(report).iter("testcase")]


def _result(case: ET.Element) -> Result:
    # pytest-xdist appends the group in which a test ran.
    file, name = case.get("file"), _GROUP.sub("", case.get("name", ""))
    if file is None:  # a module that could not be imported is named like one, and has no file
        file, name = f"{name.replace('.', '/')}.py", ""
    for tag, outcome in (("error", "failed"), ("failure", "failed"), ("skipped", "skipped")):
        reason = case.find(tag)
        if reason is not None:
            expected = reason.get("type") == "pytest.xfail"
            return Result(file, name, "xfailed" if expected else outcome, _first_line(reason))
    return Result(file, name, "passed")


def _first_line(reason: ET.Element) -> str:
    message = reason.get("message", "").strip()
    if message == "collection failure":  # the reason is the last line of the traceback
        lines = (reason.text or "").strip().splitlines() or [message]
        return lines[-1].removeprefix("E").strip()
    return message.partition("\n")[0]


def table(
    lock: Mapping[str, str], newest: Mapping[str, str], tests: Iterable[Result], run: Sequence[str]
) -> list[Row]:
    """Return the rows to show.

    Parameters
    ----------
    lock, newest
        Version by package.
    tests
        In the order in which failures are listed.
    run
        Folders of tests, a row each.
    """
    tests = list(tests)
    rows = [Row(name, lock.get(name, "-"), newest.get(name, "-")) for name in RELEASES]
    for folder in run:
        counts = Counter(test.outcome for test in tests if test.file.startswith(f"{folder}/"))
        said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES if counts[outcome])
        rows.append(Row(folder, "", said or "none ran"))
    failed = [test for test in tests if test.outcome == "failed"]
    return rows + [Row(f"failed: {test.node}", "", test.message) for test in failed]


def as_text(rows: Sequence[Row], width: int = 110) -> str:
    """Lay rows out for a terminal. Failures stand below the columns, cut to the width, in characters."""
    columns = [Row("", "lock", "newest"), *(row for row in rows if not row.what.startswith("failed: "))]
    first = max(len(row.what) for row in columns)
    second = max(len(row.lock) for row in columns)
    lines = [f"{row.what:{first}}  {row.lock:{second}}  {row.newest}".rstrip() for row in columns]
    for row in rows:
        if row.what.startswith("failed: "):
            lines += [row.what, f"    {row.newest}"[:width].rstrip()]
    return "\n".join(lines)


def as_markdown(rows: Sequence[Row]) -> str:
    """Lay rows out as a table of Markdown."""
    lines = ["| | lock | newest |", "|---|---|---|"]
    for row in rows:
        cells = (cell.replace("|", "\\|") for cell in (row.what, row.lock, row.newest))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _locked() -> dict[str, str]:
    """Return the versions in the environment of this process, which is the lock's."""
    versions = {}
    for name in RELEASES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _make_environment(uv: str, folder: Path, lock: Mapping[str, str]) -> Path:
    """Make or update the environment; return its Python."""
    folder.mkdir(parents=True, exist_ok=True)
    requirements, replaced, added = (
        folder / name for name in ("requirements.txt", "overrides.txt", "added.in")
    )
    replaced.write_text("\n".join(overrides(lock)), encoding="utf-8")
    added.write_text("\n".join(name for name in RELEASES if name not in lock), encoding="utf-8")
    export = [uv, "export", "--quiet", "--frozen", "--group", "test", "--no-hashes", "--no-annotate"]
    # Versions that the output file holds are preferred: what is not upgraded stays as in the lock.
    _run(*export, "--no-header", "--no-emit-workspace", "-o", str(requirements))
    upgraded = [option for name in RELEASES for option in ("--upgrade-package", name)]
    compiled = [uv, "pip", "compile", "--quiet", "--python", sys.executable, "--override", str(replaced)]
    sources = ["--group", "test", "pyproject.toml", str(added)]
    _run(*compiled, *upgraded, "--no-header", "--no-annotate", "-o", str(requirements), *sources)
    _run(uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder / "venv"))
    python = folder / "venv" / "bin" / "python"
    _run(uv, "pip", "sync", "--quiet", "--python", str(python), str(requirements))
    return python


def _run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _installed(uv: str, python: Path) -> dict[str, str]:
    listed = json.loads(_run(uv, "pip", "list", "--format", "json", "--python", str(python)))
    return {package["name"]: package["version"] for package in listed}


def _run_tests(python: Path, report: Path, arguments: Sequence[str]) -> int:
    report.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-q", "--numprocesses", "2", "--dist", "loadgroup"]
    command += ["-p", "no:cacheprovider", "-o", "junit_family=xunit1", "--junitxml", str(report)]
    return subprocess.run([*command, *arguments], cwd=ROOT, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environment, run the tests, tell the outcome.

    Returns
    -------
    int
        0 where all tests passed, 1 where some failed, 2 where they could not be run.
    """
    parser = argparse.ArgumentParser(prog="make test-upstream", description=__doc__.partition("\n")[0])
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown, too")
    parser.add_argument("pytest", nargs="*", help="arguments of pytest, after --; folders replace ours")
    options = parser.parse_args(arguments)
    uv, folder = os.environ.get("UV", "uv"), ROOT / ".cache" / "upstream"
    lock = _locked()
    try:
        python = _make_environment(uv, folder, lock)
        newest = _installed(uv, python)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the environment could not be made: {error}; see above", file=sys.stderr)  # noqa: T201
        return 2
    chosen = [argument.rstrip("/") for argument in options.pytest if (ROOT / argument).is_dir()]
    run = chosen or folders()
    report = folder / "report.xml"
    status = _run_tests(python, report, [*options.pytest, *([] if chosen else run)])
    if status not in (0, 1) or not report.exists():
        print(f"pytest ended with {status} and told no outcome; see above", file=sys.stderr)  # noqa: T201
        return 2
    rows = table(lock, newest, results(report.read_text(encoding="utf-8")), run)
    print(as_text(rows))  # noqa: T201
    if options.markdown:
        options.markdown.write_text(as_markdown(rows) + "\n", encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
