"""RFC 3339 timestamps and intervals, in the one form in which text order is time order."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from dask_regions.errors import RequestError

__all__ = ["Interval", "parse_interval", "parse_timestamp"]

_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


class Interval(NamedTuple):
    """Instants between which (inclusively) an Item must lie in part; None is an open end."""

    start: str | None
    end: str | None


def parse_timestamp(text: str, parameter: str = "datetime") -> str:
    """Return an RFC 3339 timestamp in UTC with microseconds.

    Raises
    ------
    RequestError
        Naming `parameter`, where `text` is not such a timestamp.

    Examples
    --------
    >>> parse_timestamp("2015-01-01T00:00:00+01:00")
    '2014-12-31T23:00:00.000000Z'
    """
    match = _TIMESTAMP.fullmatch(text)
    try:
        day, time, fraction, offset = match.groups() if match else ("", "", "", "")
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{offset.upper()}")
        # isoformat pads years to four digits, strftime does not everywhere.
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    except (ValueError, OverflowError) as error:
        raise RequestError(
            parameter, f"{text!r} is not an RFC 3339 timestamp; write it like 2070-01-01T00:00:00Z"
        ) from error


def parse_interval(text: str) -> Interval:
    """Return the interval that a ``datetime`` parameter means.

    Parameters
    ----------
    text
        An instant, ``start/end``, ``start/..`` or ``../end``; an empty end counts as ``..``.

    Raises
    ------
    RequestError
        Naming ``datetime``.
    """
    parts = text.split("/")
    if len(parts) == 1:
        instant = parse_timestamp(text)
        return Interval(instant, instant)
    ends = [None if part in ("", "..") else parse_timestamp(part) for part in parts]
    if len(ends) != 2 or ends == [None, None]:
        raise RequestError("datetime", f"{text!r} must be an instant, start/end, start/.. or ../end")
    start, end = ends
    if start is not None and end is not None and start > end:
        raise RequestError("datetime", f"starts at {start}, after its end {end}; swap them")
    return Interval(start, end)
