"""The page that a browser gets at the API's address."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from dask_regions.catalog.web.api import create_app
from dask_regions.catalog.web.places import PLACES
from testing.catalog.stac_api import DATASETS, Gateway, MemoryStore, load_configuration, make_item

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
FRESHNESS = {
    "us-west-2": {"synced": "2026-11-21T00:00:00Z", "stale": False, "error": None},
    "us-east-1": {"synced": "2026-11-20T00:00:00Z", "stale": True, "error": "secret-bucket"},
}


class Page(HTMLParser):
    """What a page has, and whether its tags are closed."""

    VOID = frozenset({"meta", "br", "circle", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def call(tmp_path: Path) -> Gateway:
    store = MemoryStore([make_item("i0"), make_item("i1")], FRESHNESS)
    return Gateway(create_app(store, lambda: load_configuration(tmp_path)).resolve)


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("text/html;q=0.5, application/json", False),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=nonsense", False),
        ("text/html, application/json", False),
    ],
)
def test_only_who_prefers_html_gets_the_page(call: Gateway, accept: str, html: bool) -> None:
    answer = call("/", headers={"Accept": accept})
    assert answer.headers["content-type"] == ("text/html; charset=utf-8" if html else "application/json")
    assert "Accept" in answer.headers["vary"]


def test_the_page_tells_collections_regions_freshness_and_how_to_connect(call: Gateway) -> None:
    answer = call("/", headers={"Accept": BROWSER})
    page = Page(answer.text)
    text = " ".join("".join(page.text).split())
    assert "2 datasets in 2 Collections, held by 2 AWS Regions" in text
    assert 'with <b>tags</b> & "quotes".' in text
    assert "2000-01-01 to 2009-12-31" in text
    assert "last sync 2026-11-21T00:00:00Z" in text
    assert "stale: the last sync failed; last good sync 2026-11-20T00:00:00Z" in text
    assert 'pystac_client.Client.open("http://api.example.org").search(' in text
    assert {"us-west-2 Oregon", "us-east-1 N. Virginia", "eu-west-2 London"} <= set(page.text)
    assert "secret-bucket" not in answer.text
    circles = [attributes for tag, attributes in page.tags if tag == "circle"]
    assert {(circle["cx"], circle["cy"]) for circle in circles} >= {("-119.6", "-45.8"), ("-0.1", "-51.5")}


def test_the_page_loads_nothing_and_runs_no_script(call: Gateway) -> None:
    answer = call("/", headers={"Accept": BROWSER})
    page = Page(answer.text)
    assert not {"script", "img", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") or name == "src" for _, attrs in page.tags for name in attrs)
    assert "url(" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for tag, attributes in page.tags:
        if tag == "a":
            href = attributes["href"] or ""
            assert href.startswith(
                ("http://api.example.org", "https://stacspec.org", "https://radiantearth.github.io/")
            )


def test_nothing_that_is_configured_or_sent_becomes_markup(tmp_path: Path) -> None:
    evil = "'<script>alert(1)</script>\"'"
    text = DATASETS.replace("title: Another scenario", f"title: {evil}")
    call = Gateway(create_app(MemoryStore(), lambda: load_configuration(tmp_path, text)).resolve)
    answer = call("/", headers={"Accept": BROWSER, "Host": '"><script>alert(2)</script>'})
    assert "script" not in {tag for tag, _ in Page(answer.text).tags}


def test_a_region_that_is_on_no_map_is_listed(tmp_path: Path) -> None:
    text = DATASETS.replace("us-east-1", "xx-nowhere-9")
    call = Gateway(create_app(MemoryStore(), lambda: load_configuration(tmp_path, text)).resolve)
    page = Page(call("/", headers={"Accept": BROWSER}).text)
    # It is listed with its Collection, and among the Regions.
    assert page.text.count("xx-nowhere-9") == 2
    assert "never synced" in page.text


def test_places_are_on_the_earth() -> None:
    for city, longitude, latitude in PLACES.values():
        assert city
        assert -180 <= longitude <= 180
        assert -60 <= latitude <= 75
