"""``docs/overrides.md`` shows the tables as they are."""

from __future__ import annotations

from dask_regions.placement.hooks.overrides import OVERRIDES
from dask_regions.placement.hooks.private_names import PRIVATE_NAMES, STATE
from testing.overrides import PAGE, page


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text() == page(), "write it anew: .venv/bin/python -m testing.overrides"


def test_every_row_is_on_the_page() -> None:
    text = PAGE.read_text()
    targets = [*(row.target for row in OVERRIDES), *(row.target for row in (*PRIVATE_NAMES, *STATE))]
    assert not [target for target in targets if f"`{target}`" not in text]
