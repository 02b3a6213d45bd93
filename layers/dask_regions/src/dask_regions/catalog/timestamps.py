"""RFC 3339 timestamps and intervals, in the one form in which text order is time order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from dask_regions.errors import RequestError

__all__ = [
    "EARLIEST",
    "LATEST",
    "Interval",
    "from_microseconds",
    "microseconds",
    "parse_interval",
    "parse_timestamp",
]

#: The first and the last timestamp there can be.
EARLIEST = "0001-01-01T00:00:00.000000Z"
LATEST = "9999-12-31T23:59:59.999999Z"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

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


@lru_cache(maxsize=10_000)
def microseconds(text: str) -> int:
    """Return a timestamp of :func:`parse_timestamp` as microseconds since 1970; exact from year 1 to 9999.

    Examples
    --------
    >>> microseconds("1970-01-01T00:00:01.000000Z")
    1000000
    """
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> str:
    """Return the timestamp, as :func:`parse_timestamp` writes it, of microseconds since 1970.

    Examples
    --------
    >>> from_microseconds(1000000)
    '1970-01-01T00:00:01.000000Z'
    """
    moment = _EPOCH + value * _MICROSECOND
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


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
