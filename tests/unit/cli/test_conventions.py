"""The conventions of every command, those of other packages included."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import click
import pytest
from botocore.exceptions import NoCredentialsError

from dask_regions.cli.conventions import (
    PIPE_WIDTH_COLUMNS,
    CommandError,
    ExitCode,
    console,
    exit_code,
    table,
)
from dask_regions.cli.main import main
from dask_regions.errors import (
    ConfigurationError,
    DaskRegionsError,
    NotFoundError,
    RequestError,
    UnavailableError,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "command-line.md"
COMMANDS = main.list_commands(click.Context(main))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("datasets.yaml:1: wrong"), 2),
        (RequestError("TASKS", "wrong"), 2),
        (NotFoundError("nowhere"), 3),
        (CommandError("in part", ExitCode.DEGRADED), 4),
        (UnavailableError("silent"), 5),
        (NoCredentialsError(), 5),
        (DaskRegionsError("another"), 1),
    ],
)
def test_an_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_wrong_use_is_what_click_calls_it() -> None:
    assert click.UsageError("").exit_code == ExitCode.WRONG_USE


def test_the_help_and_the_document_tell_every_exit_code(run: Any) -> None:
    shown = dict(re.findall(r"^ +(\d)  (.+)$", run("--help").output, re.MULTILINE))
    written = dict(re.findall(r"^\| (\d) \| (.+?) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    assert shown == written == {str(code.value): code.meaning for code in ExitCode}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_writes_json_on_request_and_is_documented(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert "--json" in {option for parameter in command.params for option in parameter.opts}
    assert f"| `{name}` |" in DOCUMENT.read_text(encoding="utf-8")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a table of one long cell looks like on a stream."""
    monkeypatch.setattr("sys.stdout", stream)
    console().print(table(["Region"], [["x" * 200]]))
    return stream.getvalue()


def test_without_a_terminal_rows_are_whole_and_nothing_is_styled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    text = printed(io.StringIO(), monkeypatch)
    assert "x" * 200 in text
    assert "\x1b" not in text
    assert PIPE_WIDTH_COLUMNS > 200


def test_in_a_terminal_rows_fold_at_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = printed(Terminal(), monkeypatch)
    assert "x" * 200 not in text
    assert "\x1b[1m" in text


def test_no_color_takes_the_colours_away_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    for value, styled in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", value)
        stream.truncate(0)
        console().print("a Region failed", style="red")
        assert ("\x1b[31m" in stream.getvalue()) == styled


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    console(progress=True).print("syncing")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "syncing\n")
