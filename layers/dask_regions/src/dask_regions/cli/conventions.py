"""Conventions of every command: exit codes, JSON, width, and colours.

``docs/command-line.md`` tells them to users. A command writes its answer, and nothing else, to standard
output; errors and progress go to standard error. A command of another package (entry point
``dask_regions.commands``) takes its options, its console and its exit codes from here, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Self

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dask_regions.errors import (
    ConfigurationError,
    DaskRegionsError,
    NotFoundError,
    RequestError,
    UnavailableError,
)

__all__ = [
    "CommandError",
    "ExitCode",
    "console",
    "exit_code",
    "json_option",
    "show_json",
    "show_notes",
    "table",
]

#: Columns that a table may take where no terminal shows it: enough that no row is folded.
PIPE_WIDTH_COLUMNS = 1000


class ExitCode(IntEnum):
    """How a command ended; scripts may rely on the numbers."""

    meaning: str

    OK = 0, "it is done; what was asked for was found"
    FAILED = 1, "it was tried and failed; the error says at what"
    WRONG_USE = 2, "an option, an argument or the configuration is wrong; trying again does not help"
    NOTHING_FOUND = 3, "nothing matches, or what was named does not exist"
    DEGRADED = 4, "there is an answer, but a part of it is missing or out of date"
    DOWN = 5, "what the command needs does not answer, or AWS refuses; try again later"

    def __new__(cls, value: int, meaning: str) -> Self:
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class CommandError(DaskRegionsError):
    """A command ends with an exit code of its own choice, after it has shown what it has.

    Parameters
    ----------
    message
        What is wrong and how to mend it, in one line.
    code
        See :class:`ExitCode`.
    """

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


_CODES: tuple[tuple[type[DaskRegionsError], ExitCode], ...] = (
    (ConfigurationError, ExitCode.WRONG_USE),
    (RequestError, ExitCode.WRONG_USE),
    (NotFoundError, ExitCode.NOTHING_FOUND),
    (UnavailableError, ExitCode.DOWN),
)


def exit_code(error: Exception) -> ExitCode:
    """Return the exit code of an error; one that is not ours comes from AWS's client."""
    if isinstance(error, CommandError):
        return error.code
    if not isinstance(error, DaskRegionsError):
        return ExitCode.DOWN
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


#: The option ``--json`` of every command, handed on as `as_json`.
json_option = click.option("--json", "as_json", is_flag=True, help="Write the answer as one JSON document.")


def show_json(document: Any) -> None:
    """Write the answer as JSON; what JSON does not know, such as paths, becomes text."""
    click.echo(json.dumps(document, indent=2, default=str))


def console(*, progress: bool = False) -> Console:
    """Return a console on standard output as it is now.

    Parameters
    ----------
    progress
        Write to standard error instead, for what is no part of the answer.

    Notes
    -----
    In a terminal, tables fold at its width. Elsewhere rows are never cut, and nothing is coloured.
    ``NO_COLOR`` takes the colours away in a terminal, too; Rich reads that and ``COLUMNS`` itself.
    """
    terminal = Console(highlight=False, stderr=progress)
    if terminal.is_terminal:
        return terminal
    return Console(highlight=False, stderr=progress, width=PIPE_WIDTH_COLUMNS)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], right: frozenset[str] = frozenset()
) -> Table:
    """Return a table of texts.

    Parameters
    ----------
    columns
        Their headings.
    rows
        Cells of each row; None is shown as ``-``.
    right
        Headings of the columns that hold numbers.
    """
    layout = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        layout.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        layout.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    return layout


def show_notes(notes: Sequence[str]) -> None:
    """Show sentences below a table, each once."""
    for note in dict.fromkeys(notes):
        console().print(Text(note, style="dim"))
