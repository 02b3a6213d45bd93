"""Random Items, filters and searches of them; :mod:`testing.catalog.expected_matches` says what they find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import shapely
from hypothesis import strategies as st

from testing.catalog.expected_matches import Item, box_rings

__all__ = ["ITEMS", "filters", "items", "searches"]

_SCENARIOS = ["A1B", "a1b", "E1", "ssp585", "Ü%_*", "ü%_*", "日本 [x]", 'it\'s "quoted"', "back\\slash", ""]
_TABLES = ["Amon", "day", "AMON", "E1"]
_TITLES = [
    "Near-Surface Air Temperature",
    "température de l'air",
    "Air",
    "tas Amon",
    "surface temperature; air",
]
_VARIABLES = ["tas", "pr", "air_temperature", "Ü"]
_MOMENTS = [
    "1850-01-01T00:00:00Z",
    "1949-12-31T23:59:59Z",
    "1950-01-01T00:00:00Z",
    "2014-12-31T00:00:00Z",
    "2015-01-01T00:00:00Z",
    "2100-12-30T12:00:00Z",
]
_YEARS = sorted({int(moment[:4]) for moment in _MOMENTS})


_GLOBE = {"type": "Polygon", "coordinates": box_rings(-180, -90, 180, 90)}
_ANTIMERIDIAN = {
    "type": "MultiPolygon",
    "coordinates": [box_rings(170, -20, 180, 20), box_rings(-180, -20, -170, 20)],
}
_GEOMETRIES: list[Any] = [
    None,
    _GLOBE,
    _GLOBE,
    _ANTIMERIDIAN,
    {"type": "Polygon", "coordinates": box_rings(0, 0, 10, 10)},
    {"type": "Polygon", "coordinates": box_rings(10, 0, 20, 10)},
    {"type": "Polygon", "coordinates": [[[0, 0], [20, 0], [0, 20], [0, 0]]]},
    {"type": "Point", "coordinates": [5, 5]},
    {"type": "Point", "coordinates": [180, 5]},
    {"type": "LineString", "coordinates": [[-5, 5], [5, 5]]},
]
_SEARCHED_AREAS: list[Any] = [
    {"bbox": [0, 0, 10, 10]},
    {"bbox": [4, 4, 6, 6]},
    {"bbox": [12, 12, 19, 19]},
    {"bbox": [175, -5, -175, 5]},
    {"bbox": [30, 30, 40, 40]},
    {"bbox": [20, 20, 20, 20]},
    *(geometry for geometry in _GEOMETRIES if geometry is not None),
    {"type": "Polygon", "coordinates": [[[5, 5], [25, 5], [15, 25], [5, 5]]]},
    {"type": "LineString", "coordinates": [[5, -5], [5, 15]]},
]
_ABSENT = object()


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, values, st.none(), st.just(_ABSENT))


@st.composite
def _properties(draw: st.DrawFn) -> dict[str, Any]:
    start, end = sorted([draw(st.sampled_from(_MOMENTS)), draw(st.sampled_from(_MOMENTS))])
    instant = draw(st.booleans())
    values = {
        "datetime": start if instant else None,
        "start_datetime": _ABSENT if instant else start,
        "end_datetime": _ABSENT if instant else end,
        "title": draw(_maybe(st.sampled_from(_TITLES))),
        "scenario": draw(_maybe(st.sampled_from(_SCENARIOS))),
        "cmip6:table_id": draw(_maybe(st.sampled_from(_TABLES))),
        "variables": draw(_maybe(st.lists(st.sampled_from(_VARIABLES), max_size=3, unique=True))),
    }
    return {name: value for name, value in values.items() if value is not _ABSENT}


@st.composite
def _item(draw: st.DrawFn, key: tuple[str, str]) -> Item:
    geometry = draw(st.sampled_from(_GEOMETRIES))
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "collection": key[0],
        "id": key[1],
        "geometry": geometry,
        "properties": draw(_properties()),
        "links": [],
        "assets": {},
        **({} if geometry is None else {"bbox": _bounds(geometry)}),
    }


def _bounds(geometry: Mapping[str, Any]) -> list[float]:
    if geometry is _ANTIMERIDIAN:
        return [170, -20, -170, 20]
    return list(shapely.geometry.shape(geometry).bounds)


@st.composite
def items(draw: st.DrawFn, minimum: int = 1, maximum: int = 12) -> list[Item]:
    """Items of unique Collection and id."""
    ids = st.one_of(
        st.sampled_from(["a", "B", "ä", "a/b", "a%", "日", "a b"]),
        st.text("abÄß/%_ \U0001f30d", min_size=1, max_size=6),
    )
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from(["cmip6", "era5"]), ids),
            min_size=minimum,
            max_size=maximum,
            unique=True,
        )
    )
    return [draw(_item(key)) for key in keys]


#: A fixed set for whoever wants to store Items once and search them often.
ITEMS: list[Item] = [
    {
        "type": "Feature",
        "stac_version": "1.1.0",
        "collection": "cmip6" if number % 3 else "era5",
        "id": f"i{number:03}",
        "geometry": geometry,
        "properties": {
            **(
                {"datetime": _MOMENTS[number % 6]}
                if number % 4 == 0
                else {
                    "datetime": None,
                    "start_datetime": _MOMENTS[number % 3],
                    "end_datetime": _MOMENTS[3 + number % 3],
                }
            ),
            **{
                name: value
                for name, value in (
                    ("title", [*_TITLES, None, _ABSENT][number % 7]),
                    ("scenario", [*_SCENARIOS, None, _ABSENT][number * 5 % 12]),
                    ("cmip6:table_id", [*_TABLES, None][number * 3 % 5]),
                    (
                        "variables",
                        [["tas"], ["pr", "tas"], [], None, _ABSENT, ["Ü", "air_temperature"]][number * 7 % 6],
                    ),
                )
                if value is not _ABSENT
            },
        },
        "links": [],
        "assets": {},
        **({} if geometry is None else {"bbox": _bounds(geometry)}),
    }
    for number in range(150)
    for geometry in [_GEOMETRIES[number * 7 % len(_GEOMETRIES)]]
]


def _named(*names: str) -> st.SearchStrategy[dict[str, str]]:
    return st.sampled_from([{"property": prefix + name} for name in names for prefix in ("", "properties.")])


def _op(operators: Sequence[str], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda op, args: {"op": op, "args": list(args)}, st.sampled_from(operators), st.tuples(*arguments)
    )


_COMPARISONS = ["=", "<>", "<", "<=", ">", ">="]
_TEXTS = st.sampled_from([*_SCENARIOS, *_TABLES, *_TITLES, "a", "cmip6", "B", "zzz"])
_STRINGS = _named("scenario", "cmip6:table_id", "title")
_KEYS = st.sampled_from([{"property": "id"}, {"property": "collection"}])
_TEXT_PROPERTIES = st.one_of(_STRINGS, _STRINGS, _KEYS)
_PATTERNS = st.sampled_from(
    [
        "A%",
        "%1_",
        "_1b",
        "Ü\\%\\_*",
        "Ü%",
        "a1b",
        "[A]%",
        "%",
        "",
        "_",
        "%e%t%",
        "\\%",
        "back\\\\%",
        "%'%",
        "日本%",
    ]
)
_FOLDED = st.builds(lambda argument: {"op": "casei", "args": [argument]}, _TEXT_PROPERTIES)
_FOLDED_TEXT = st.builds(lambda argument: {"op": "casei", "args": [argument]}, _TEXTS)
_FOLDED_PATTERN = st.builds(lambda argument: {"op": "casei", "args": [argument]}, _PATTERNS)
_TIMES = _named("start_datetime", "end_datetime", "datetime")
_INSTANTS = st.sampled_from(
    [{"timestamp": moment} for moment in (*_MOMENTS, "1950-01-01T01:00:00+01:00", "1999-06-01T00:00:00.5Z")]
)
_ENDS = st.sampled_from(_MOMENTS)
_INTERVALS = st.one_of(
    st.just({"interval": [{"property": "start_datetime"}, {"property": "end_datetime"}]}),
    st.tuples(_ENDS, _ENDS).map(lambda ends: {"interval": sorted(ends)}),
    _ENDS.map(lambda end: {"interval": ["..", end]}),
    _ENDS.map(lambda start: {"interval": [start, ".."]}),
)
_HELD = st.just({"interval": [{"property": "start_datetime"}, {"property": "end_datetime"}]})
_SPATIAL = [
    "s_intersects",
    "s_contains",
    "s_crosses",
    "s_disjoint",
    "s_equals",
    "s_overlaps",
    "s_touches",
    "s_within",
]
_EITHER = ["t_after", "t_before", "t_disjoint", "t_equals", "t_intersects"]
_OF_INTERVALS = [
    "t_contains", "t_during", "t_finishedBy", "t_finishes", "t_meets", "t_metBy", "t_overlappedBy",
    "t_overlaps", "t_startedBy", "t_starts",
]  # fmt: skip
_NUMBERS = st.sampled_from([*_YEARS, 1850.5, 0, -7, 3000])
_CONDITIONS = st.one_of(
    _op(_COMPARISONS, _TEXT_PROPERTIES, _TEXTS),
    _op(_COMPARISONS, _TEXTS, _STRINGS),
    _op(_COMPARISONS, _STRINGS, _STRINGS),
    _op(_COMPARISONS, _TIMES, _INSTANTS),
    _op(_COMPARISONS, _TIMES, _TIMES),
    _op(_COMPARISONS, st.just({"property": "year"}), _NUMBERS),
    _op(["="], _FOLDED, _FOLDED_TEXT),
    _op(["like"], _FOLDED, _FOLDED_PATTERN),
    _op(["like"], _TEXT_PROPERTIES, _PATTERNS),
    _op(["in"], _TEXT_PROPERTIES, st.lists(_TEXTS, min_size=1, max_size=4)),
    _op(["in"], st.just({"property": "year"}), st.lists(_NUMBERS, min_size=1, max_size=3)),
    _op(["between"], _STRINGS, _TEXTS, _TEXTS),
    _op(["isNull"], _named("scenario", "cmip6:table_id", "title", "variables", "datetime", "end_datetime")),
    _op(
        ["a_contains", "a_equals", "a_overlaps", "a_containedBy"],
        _named("variables"),
        st.lists(st.sampled_from(_VARIABLES), min_size=1, max_size=3, unique=True),
    ),
    _op(_SPATIAL, st.just({"property": "geometry"}), st.sampled_from(_SEARCHED_AREAS)),
    _op(_SPATIAL, st.sampled_from(_SEARCHED_AREAS), st.just({"property": "geometry"})),
    _op(_EITHER, st.one_of(_TIMES, _HELD), st.one_of(_INSTANTS, _INTERVALS)),
    _op(_OF_INTERVALS, _HELD, _INTERVALS),
    st.booleans(),
)


def filters() -> st.SearchStrategy[Any]:
    """Filters in CQL2 JSON, of every operator that is supported."""
    return st.recursive(
        _CONDITIONS,
        lambda parts: st.one_of(
            st.builds(lambda part: {"op": "not", "args": [part]}, parts),
            st.builds(
                lambda op, args: {"op": op, "args": args},
                st.sampled_from(["and", "or"]),
                st.lists(parts, min_size=2, max_size=3),
            ),
        ),
        max_leaves=6,
    )


def searches() -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of ``POST /search``, without ``limit`` and ``token``."""
    sortable = ["id", "collection", "properties.datetime", "scenario", "title", "year", "start_datetime"]
    sorting = st.builds(
        lambda field, direction: {"field": field, "direction": direction},
        st.sampled_from(sortable),
        st.sampled_from(["asc", "desc"]),
    )
    boxes = st.sampled_from([area["bbox"] for area in _SEARCHED_AREAS if "bbox" in area])
    shapes = st.sampled_from([area for area in _SEARCHED_AREAS if "type" in area])
    where = st.one_of(
        st.just({}), boxes.map(lambda box: {"bbox": box}), shapes.map(lambda shape: {"intersects": shape})
    )
    intervals = st.one_of(
        _ENDS,
        st.tuples(_ENDS, _ENDS).map(lambda ends: "/".join(sorted(ends))),
        _ENDS.map(lambda end: f"../{end}"),
        _ENDS.map(lambda start: f"{start}/.."),
    )
    words = st.sampled_from(
        ["air", "AIR temperature", "tas", "temperature air", "Température", "amon", "zzz", "ü"]
    )
    rest = st.fixed_dictionaries(
        {},
        optional={
            "collections": st.lists(st.sampled_from(["cmip6", "era5", "none"]), min_size=1, max_size=2),
            "ids": st.lists(st.sampled_from(["a", "B", "i001", "i002", "i003"]), min_size=1, max_size=3),
            "datetime": intervals,
            "q": st.lists(words, min_size=1, max_size=2),
            "filter": filters(),
            "sortby": st.lists(sorting, min_size=1, max_size=3),
        },
    )
    return st.builds(lambda area, others: {**area, **others}, where, rest)
