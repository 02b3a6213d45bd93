"""In a real Chromium: the page for people, and STAC Browser as npm has it."""

from __future__ import annotations

import json
import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions_local.emulator.http.server import Request, Response, Server
from testing.catalog.chromium import CHROMIUM, Browser
from testing.catalog.stac_api import ROOT, fill, load_configuration, make_item, served

pytestmark = pytest.mark.xdist_group("clients")
#: Made by `make test-browser`, which also sets BROWSER_REQUIRED.
STAC_BROWSER = ROOT / ".cache" / "stac-browser"


def need(present: object, what: str) -> None:
    if not present:
        if os.environ.get("BROWSER_REQUIRED"):
            pytest.fail(f"{what} is missing")
        pytest.skip(f"{what} is missing; `make test-browser` installs it")


@pytest.fixture
def browser() -> Iterator[Browser]:
    need(CHROMIUM, "Chromium")
    with Browser() as started:
        yield started


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    catalog = SqliteCatalog(f"sqlite:///{tmp_path}/catalog.sqlite")
    items = [make_item(f"dataset-{number:02}", title=f"Dataset {number}") for number in range(30)]
    fill(catalog, items)
    with served(catalog, load_configuration(tmp_path)) as url:
        yield url


@pytest.fixture
def stac_browser(address: str) -> Iterator[str]:
    """Serve STAC Browser, configured for the catalog."""
    need((STAC_BROWSER / "index.html").exists(), "STAC Browser")

    def answer(request: Request) -> Response:
        name = urlsplit(request.target).path.strip("/") or "index.html"
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if name == "config.js":
            configured = json.dumps({"catalogUrl": f"{address}/", "allowExternalAccess": False})
            return Response(
                200, f"window.STAC_BROWSER_CONFIG = {configured}".encode(), [("content-type", kind)]
            )
        path = (STAC_BROWSER / name).resolve()
        if not path.is_file() or not path.is_relative_to(STAC_BROWSER):
            return Response(204 if name == "favicon.ico" else 404)
        # Who deploys it turns its configuration on, as its documentation says.
        content = path.read_bytes().replace(b"<head>", b'<head><script src="/config.js"></script>', 1)
        return Response(200, content if name == "index.html" else path.read_bytes(), [("content-type", kind)])

    with Server(answer) as server:
        yield server.url


def test_a_person_sees_what_the_catalog_holds(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.wait_for_text("30 datasets in 2 Collections, held by 2 AWS Regions")
    browser.wait_for_text("Air temperature, A1B")
    circles = browser.evaluate(
        "[...document.querySelectorAll('svg circle')].map(c => c.getBoundingClientRect().width)"
    )
    assert len(circles) == 3
    assert all(width > 5 for width in circles)
    loaded = browser.evaluate("performance.getEntriesByType('resource').map(r => r.name)")
    assert [url for url in loaded if not url.endswith("/favicon.ico")] == []
    browser.evaluate("document.querySelector('#collections a').click()")
    browser.wait("location.pathname == '/collections/a1b'")
    browser.wait_for_text('"dask_regions:regions"')


def test_the_parameters_are_shown_to_people(browser: Browser, address: str) -> None:
    browser.open(f"{address}/api.html")
    browser.wait_for_text("GET /collections/{collectionId}/items")
    browser.wait_for_text("filter-crs")


def click(browser: Browser, selector: str, text: str, until: str) -> None:
    """Click the shown element that has a text until an expression is true: what still loads drops clicks."""
    link = (
        f"[...document.querySelectorAll({json.dumps(selector)})]"
        f".find(e => e.offsetParent !== null && e.innerText.trim().startsWith({json.dumps(text)}))"
    )
    clicked = f"(e => {{ if (e) e.click() }})({link})"
    # At most once a second, so that what a click has started can end.
    at_times = f"(Date.now() - (window.clicked || 0) > 1000) && (window.clicked = Date.now(), {clicked})"
    browser.wait(f"({until}) || ({at_times}, false)")


def test_stac_browser_shows_collections_items_and_a_search(browser: Browser, stac_browser: str) -> None:
    browser.open(f"{stac_browser}/")
    browser.wait_for_text("Air temperature, A1B")
    browser.wait_for_text("Another scenario")

    click(browser, "a", "Air temperature, A1B", "location.hash.startsWith('#/collections/a1b')")
    browser.wait_for_text("Dataset 9")
    click(browser, "a", "Dataset 9", "location.hash.startsWith('#/collections/a1b/items/dataset-09')")
    browser.wait_for_text("/fsx/a1b/dataset-09")

    # From elsewhere: it then loads anew, whatever it was still about to do.
    browser.open("about:blank")
    browser.open(f"{stac_browser}/#/search")
    field = "[...document.querySelectorAll('.filter-freetext input')].find(e => e.offsetParent !== null)"
    click(browser, "a", "Search for Items", "document.body.innerText.includes('Item IDs')")
    browser.evaluate(f"{field}.focus()")
    browser.type("dataset 27")
    browser.wait(f"{field}.closest('.filter-freetext').innerText.includes('dataset 27')")
    shown = "document.body.innerText.includes('Dataset 27')"
    click(browser, "button[type=submit]", "Submit", shown)
    assert not browser.evaluate("document.body.innerText.includes('Dataset 26')")
    # Its map wants tiles from elsewhere.
    assert [error for error in browser.errors if "ERR_NAME_NOT_RESOLVED" not in error] == []
