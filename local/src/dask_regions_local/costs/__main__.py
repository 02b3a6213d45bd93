"""``python -m dask_regions_local.costs``: what the system of ``datasets.yaml`` costs a month, by Region."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.cli.conventions import console, json_option, show_json, show_notes, table
from dask_regions.config import load
from dask_regions_local.costs.bill import bills
from dask_regions_local.costs.document import PRICES_FILE, document
from dask_regions_local.costs.prices import read_prices
from dask_regions_local.settings import ROOT

__all__ = ["main"]

_NOTE = "at list prices noted on {date}, docs/cost/prices.yaml; docs/cost.md says what is assumed"


@click.command()
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), default=ROOT / "datasets.yaml", help="Regions."
)
@click.option("--document", "as_document", is_flag=True, help="Write docs/cost.md instead.")
@json_option
def main(file: Path, as_document: bool, as_json: bool) -> None:
    """Show what each Region costs a month, in US dollars, at rest and at load."""
    prices = read_prices(ROOT / PRICES_FILE)
    if as_document:
        (ROOT / "docs" / "cost.md").write_text(document(ROOT, prices), encoding="utf-8")
        return
    made = bills(load(file), ROOT, prices)
    if as_json:
        show_json({bill.region: [vars(line) for line in (*bill.lines, bill.total)] for bill in made})
        return
    rows = [
        (bill.region, line.what, f"{line.rest:,.2f}", f"{line.load:,.2f}")
        for bill in made
        for line in (*bill.lines, bill.total)
        if max(line.rest, line.load) >= 0.01
    ]
    console().print(
        table(["Region", "what", "at rest", "at load"], rows, right=frozenset({"at rest", "at load"}))
    )
    show_notes([_NOTE.format(date=prices.date)])


if __name__ == "__main__":
    main()
