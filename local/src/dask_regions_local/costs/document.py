"""``docs/cost.md``: three Regions, both profiles, both kinds of network, at rest and at load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dask_regions.config import parse
from dask_regions_local.costs.bill import Bill, bills
from dask_regions_local.costs.prices import Prices
from dask_regions_local.costs.rules import Usage

__all__ = ["PRICES_FILE", "document", "example"]

#: The price table, from the root of the checkout.
PRICES_FILE = Path("docs") / "cost" / "prices.yaml"

_EXAMPLE = """
system: {{name: example, profile: {profile}, network: {network}}}
regions:
  - name: eu-west-2
    client: true
    cidr: 10.0.0.0/16
    parameters: {{DatasetBucketArns: "arn:aws:s3:::example"}}
  - {{name: us-west-2, cidr: 10.1.0.0/16, pool: {{minimum_tasks: {least}, maximum_tasks: 4}}}}
  - {{name: us-east-1, cidr: 10.2.0.0/16, pool: {{minimum_tasks: {least}, maximum_tasks: 4}}}}
"""
_CENT = 0.005


def example(profile: str, network: str, root: Path, prices: Prices) -> list[Bill]:
    """Return the bills of the client Region and of a worker Region of the system in the document."""
    least = 1 if profile == "standard" else 0
    text = _EXAMPLE.format(profile=profile, network=network, least=least)
    buckets = {"DatasetBuckets": "example" if profile == "standard" else ""}
    explicit = {"us-west-2": buckets, "us-east-1": buckets}
    return bills(parse(text, root / "example.yaml"), root, prices, explicit=explicit)[:2]


def document(root: Path, prices: Prices) -> str:
    """Return the text of ``docs/cost.md``."""
    return "\n".join(_lines(root, prices)) + "\n"


def _lines(root: Path, prices: Prices) -> Iterator[str]:
    usage = Usage()
    yield "# What a system costs"
    yield (
        "Written by `make cost-doc` from the templates and from [the price table](cost/prices.yaml), in US "
        f"dollars a month without taxes, at list prices noted on {prices.date}. The prices come from AWS's "
        "published lists as they are known, and must be checked there: each has its page in the table. "
        "Nothing of this was compared with a bill. `make cost` prints the same for your own "
        "`datasets.yaml`."
    )
    yield ""
    yield (
        "The system has a client Region, eu-west-2, and two worker Regions, us-west-2 and us-east-1, which "
        "cost the same. **At rest**, nobody computes for a month: pools are at their minimum, 1 ECS task in "
        "`standard` and 0 in `small`, which reads its datasets straight from S3 and has no FSx for Lustre. "
        f"**At load**, pools are at their maximum of 4 ECS tasks for {usage.load_hours:.0f} hours of the "
        f"month, {usage.crossing_gb:.0f} GB leave each Region for others, {usage.way_out_gb[1]:.0f} GB take "
        f"the way out, buckets hold {usage.stored_gb[1]:.0f} GB each, and the API answers "
        f"{usage.requests:,.0f} requests. Logs, stored data and what Container Insights measures are guesses "
        "(`local/src/dask_regions_local/costs/rules.py` has them). Free tiers are not counted. S3's own "
        "requests are in the report of each sync; the datasets' storage is their owner's."
    )
    yield ""
    made = {
        (profile, network): example(profile, network, root, prices)
        for profile in ("standard", "small")
        for network in ("peering", "transit-gateway")
    }
    yield "| profile | network | client Region, rest | load | worker Region, rest | load |"
    yield "|---|---|---:|---:|---:|---:|"
    for (profile, network), regions in made.items():
        sums = [f"{part:,.0f}" for bill in regions for part in (bill.total.rest, bill.total.load)]
        yield f"| {profile} | {network} | {' | '.join(sums)} |"
    for (profile, network), regions in made.items():
        for bill in regions:
            yield ""
            yield f"## `{profile}`, {network}: {bill.role} Region"
            yield from _table(bill)


def _table(bill: Bill) -> Iterator[str]:
    yield "| what | at rest | at load |"
    yield "|---|---:|---:|"
    shown = [line for line in bill.lines if max(line.rest, line.load) >= _CENT]
    for line in sorted(shown, key=lambda each: (-each.rest, -each.load, each.what)):
        yield f"| {line.what} | {line.rest:,.2f} | {line.load:,.2f} |"
    yield f"| **total** | **{bill.total.rest:,.2f}** | **{bill.total.load:,.2f}** |"
