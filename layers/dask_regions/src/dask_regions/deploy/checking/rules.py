"""Rules of a ``datasets.yaml`` that is to be deployed, beside those that hold for any.

Local mode and tests run configurations that no template has to take, with other networks and paths: these
rules are for :func:`check` and for deployments alone.
"""

from __future__ import annotations

import difflib
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from dask_regions import config
from dask_regions.aws.regions import known_regions
from dask_regions.config import Document, Place
from dask_regions.deploy.checking.parameters import check_parameters
from dask_regions.deploy.checkout import Checkout
from dask_regions.errors import ConfigurationError
from dask_regions.models import Configuration

__all__ = ["MAX_LINKED_BUCKETS", "check"]

#: Data repository associations of one file system: "FSx for Lustre quotas", Amazon FSx for Lustre user guide.
MAX_LINKED_BUCKETS = 8
# Prefix length of a VPC's block, in bits: the parameter Cidr of the templates.
_SHORTEST_PREFIX, _LONGEST_PREFIX = 16, 18
_PRIVATE = IPv4Network("10.0.0.0/8")


def check(file: Path, start: Path | None = None) -> Configuration:
    """Load a configuration that is to be deployed.

    Parameters
    ----------
    file
        ``datasets.yaml``.
    start
        Directory from which the checkout is looked for, whose templates say which parameters a Region takes;
        by default that of the file. Where there is none, parameters are not checked.

    Raises
    ------
    ConfigurationError
        With one line per mistake, those of :func:`dask_regions.config.load` among them, ordered by line.
    """
    rules = [_check_regions, _check_networks, _check_paths, _check_buckets, _check_linked, _check_client]
    checkout = _checkout(start or file.absolute().parent)
    if checkout is not None:
        rules.append(partial(check_parameters, checkout))
    return config.load(file, rules)


def _checkout(start: Path) -> Checkout | None:
    try:
        return Checkout.find(start)
    except ConfigurationError:
        return None


def _check_regions(document: Document) -> None:
    for place, name, _ in document.texts("regions", "name"):
        if name not in known_regions():
            near = difflib.get_close_matches(name, sorted(known_regions()), n=1)
            advice = f"did you mean {near[0]!r}?" if near else "correct it"
            document.reject(
                place, f"{name!r} is no Region of AWS; {advice} A new Region needs a newer botocore"
            )


def _check_networks(document: Document) -> None:
    for place, text, _ in document.texts("regions", "cidr"):
        try:
            network = IPv4Network(text)
        except ValueError:
            continue  # the model has reported it
        if not network.subnet_of(_PRIVATE):
            document.reject(
                place, f"cidr {network} is not within {_PRIVATE}; choose a block like 10.1.0.0/16"
            )
        elif not _SHORTEST_PREFIX <= network.prefixlen <= _LONGEST_PREFIX:
            size = "large" if network.prefixlen < _SHORTEST_PREFIX else "small"
            document.reject(
                place,
                f"cidr {network} is too {size} for a VPC of the templates; write it with "
                f"/{_SHORTEST_PREFIX} to /{_LONGEST_PREFIX} at its end, like 10.1.0.0/16",
            )


def _check_paths(document: Document) -> None:
    for place, copy in document.copies():
        bucket, path, prefix = copy.get("bucket"), copy.get("fsx_path"), str(copy.get("prefix") or "")
        if not isinstance(bucket, str) or not isinstance(path, str) or not path.startswith("/"):
            continue
        mounted = f"/fsx/{bucket}/{prefix}".rstrip("/")
        if path.rstrip("/") != mounted:
            document.reject(
                (*place, "fsx_path"),
                f"fsx_path {path} is not where the file system shows s3://{bucket}/{prefix}; write {mounted}",
            )


def _check_buckets(document: Document) -> None:
    first: dict[str, tuple[str, int]] = {}
    for place, copy in document.copies():
        bucket, region = copy.get("bucket"), copy.get("region")
        if not isinstance(bucket, str) or not isinstance(region, str):
            continue
        line = document.line((*place, "bucket"))
        known, seen = first.setdefault(bucket, (region, line))
        if known != region:
            document.reject(
                (*place, "bucket"),
                f"bucket {bucket} is said to be in {region}, and in {known} by line {seen}; a bucket is in "
                "one Region: correct one",
            )


def _check_linked(document: Document) -> None:
    linked: dict[str, dict[str, Place]] = {}
    for place, copy in document.copies():
        bucket, region = copy.get("bucket"), copy.get("region")
        if copy.get("access", "fsx") == "fsx" and isinstance(bucket, str) and isinstance(region, str):
            linked.setdefault(region, {}).setdefault(bucket, (*place, "bucket"))
    for region, buckets in linked.items():
        for place in list(buckets.values())[MAX_LINKED_BUCKETS:]:
            document.reject(
                place,
                f"{region} would link {len(buckets)} buckets to its file system, which takes "
                f"{MAX_LINKED_BUCKETS}; read some with 'access: s3', or leave one out",
            )


def _check_client(document: Document) -> None:
    clients = {
        region.get("name") for _, region in document.entries("regions") if region.get("client") is True
    }
    for place, copy in document.copies():
        if copy.get("region") in clients and copy.get("access", "fsx") == "fsx":
            document.reject(
                (*place, "region"),
                f"dataset {copy.get('id')!r} is in the client Region, which has no file system; "
                "use 'access: s3', or make another Region the client",
            )
