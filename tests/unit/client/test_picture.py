"""Pictures, tables and figures as a reader sees them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import permutations

import pytest

from dask_regions.client.picture import picture
from dask_regions.client.text import html_table, money, size, table

WEST, EAST, CLIENT = "us-west-2", "us-east-1", "eu-west-2"
SVG = "{http://www.w3.org/2000/svg}"


def draw(
    between: dict[tuple[str, str], int], beneath: dict[str, str] | None = None, *, estimate: bool = False
) -> ET.Element:
    text = picture(
        between,
        beneath=beneath or {},
        label=lambda pair, nbytes: f"{size(nbytes)}\ncost",
        title="What crossed",
        estimate=estimate,
    )
    return ET.fromstring(text)


def widths(root: ET.Element) -> list[float]:
    return [float(path.attrib["stroke-width"]) for path in root.iter(f"{SVG}path")]


def texts(root: ET.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def test_an_arrow_for_every_pair_that_crosses_grows_with_its_bytes() -> None:
    between = {
        (EAST, CLIENT): 1,
        (EAST, WEST): 10**6,
        (WEST, EAST): 10**7,
        (WEST, WEST): 5,
        (CLIENT, EAST): 0,
    }
    drawn = draw(between)
    assert len(widths(drawn)) == 3
    assert widths(drawn) == sorted(widths(drawn))
    assert widths(drawn)[0] < widths(drawn)[-1]


def test_both_directions_are_told_apart() -> None:
    paths = [path.attrib["d"] for path in draw({(EAST, WEST): 1, (WEST, EAST): 1}).iter(f"{SVG}path")]
    heights = [[float(y) for y in re.findall(r",(-?[\d.]+)", path)] for path in paths]
    assert max(heights[0]) < min(heights[1]) or max(heights[1]) < min(heights[0])


def test_who_does_not_see_the_picture_hears_the_numbers() -> None:
    drawn = draw({(EAST, CLIENT): 17_060, (WEST, WEST): 5})
    assert (drawn.attrib["role"], drawn.attrib["aria-label"]) == (
        "img",
        "What crossed. us-east-1 to eu-west-2: 17.1 kB, cost.",
    )
    assert draw({(WEST, WEST): 5}).attrib["aria-label"] == "What crossed. Nothing crosses."


def test_an_estimate_is_dashed() -> None:
    assert "stroke-dasharray" in ET.tostring(draw({(EAST, WEST): 1}, estimate=True), encoding="unicode")
    assert "stroke-dasharray" not in ET.tostring(draw({(EAST, WEST): 1}), encoding="unicode")


def test_names_are_escaped_and_pictures_do_not_disturb_each_other() -> None:
    text = picture(
        {('"><script>', WEST): 1},
        beneath={WEST: "<b>"},
        label=lambda pair, nbytes: "<i>",
        title="<u>",
    )
    assert not re.search(r"<(script|b|i|u)>", text)
    # The namespace is no asset, and an id would belong to the whole page.
    assert not re.search(r"\bid=|href|url\(|https?:(?!//www\.w3\.org/2000/svg)", text)


def test_text_has_the_colour_of_the_page() -> None:
    drawn = draw({(EAST, WEST): 1}, {EAST: "reads 1 MB"})
    assert drawn.attrib["fill"] == "currentColor"
    assert all("fill" not in text.attrib for text in drawn.iter(f"{SVG}text"))


@pytest.mark.parametrize("number", [2, 3, 4, 7])
def test_everything_is_inside_the_picture(number: int) -> None:
    names = [f"ap-southeast-{index}" for index in range(number)]
    drawn = draw(dict.fromkeys(permutations(names, 2), 10**6), dict.fromkeys(names, "reads 205 MB"))
    _, _, width, height = map(float, drawn.attrib["viewBox"].split())
    for path in drawn.iter(f"{SVG}path"):
        points = [
            tuple(map(float, point.split(","))) for point in re.findall(r"[\d.-]+,[\d.-]+", path.attrib["d"])
        ]
        assert all(0 <= x <= width and -1 <= y <= height + 1 for x, y in (points[0], points[-1]))
    for text in drawn.iter(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 < float(text.attrib["y"]) < height
    for box in drawn.iter(f"{SVG}rect"):
        assert float(box.attrib["x"]) >= 0
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= width


def test_regions_are_drawn_where_nothing_moves() -> None:
    assert texts(draw({}, {WEST: "12 tasks"})) == [WEST, "12 tasks"]
    assert picture({}, beneath={}, label=lambda pair, nbytes: "", title="") == ""


def test_among_many_regions_an_arrow_has_one_line_and_tells_the_rest() -> None:
    names = [WEST, EAST, CLIENT, "ap-south-1"]
    drawn = draw(dict.fromkeys(permutations(names, 2), 10**6))
    assert "cost" not in texts(drawn)
    assert {title.text for title in drawn.iter(f"{SVG}title")} == {"1.00 MB, cost"}


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (99_960, "100 kB"),
        (999_600, "1.00 MB"),
        (5e18, "5000 PB"),
    ],
)
def test_sizes_are_decimal(nbytes: float, text: str) -> None:
    assert size(nbytes) == text


@pytest.mark.parametrize(
    ("dollars", "text"), [(0, "$0"), (1e-9, "under $0.0001"), (0.0999, "$0.10"), (1234.5, "$1,234.50")]
)
def test_money_has_cents(dollars: float, text: str) -> None:
    assert money(dollars) == text


def test_columns_of_figures_end_aligned() -> None:
    rows = [("from", "bytes"), ("a", "1 B"), ("bc", "10 kB")]
    assert table(rows) == ["from  bytes", "a       1 B", "bc    10 kB"]
    assert html_table([("<a>",), ("<b>",)]).count("&lt;") == 2
