"""What a system consists of: Regions, their pools, and the datasets they hold.

These models validate ``datasets.yaml`` (see :mod:`dask_regions.config`) and travel between the
steps of the state machines.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

__all__ = ["Access", "Configuration", "Dataset", "Layout", "Pool", "Region", "Replica", "System"]

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


def _region_name(name: str) -> str:
    if not _REGION.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of an AWS Region; write it like 'us-west-2'")
    return name


RegionName = Annotated[str, AfterValidator(_region_name)]
Access = Literal["fsx", "s3"]
Layout = Literal["cmip6", "era5", "era5-ncar", "netcdf", "zarr"]
_BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_PREFIX = r"^$|^[^/].*/$"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pool(_Model):
    """Bounds of a Region's pool, in ECS tasks (each runs ``workers_per_task`` Dask workers)."""

    minimum_tasks: int = Field(default=1, ge=0, le=1000)
    maximum_tasks: int = Field(default=4, ge=1, le=1000)

    @model_validator(mode="after")
    def _ordered(self) -> Pool:
        if self.minimum_tasks > self.maximum_tasks:
            raise ValueError(
                f"minimum_tasks {self.minimum_tasks} is above maximum_tasks {self.maximum_tasks}; lower it"
            )
        return self


class System(_Model):
    """What holds for all Regions of a system.

    Attributes
    ----------
    name
        Names every stack, cluster, bus and private domain; an account may have several systems.
    profile
        Set of the stacks' parameters to start from: ``standard``, or ``small`` for next to no cost at rest.
    network
        How Regions are joined: by inter-Region VPC ``peering``, or by ``transit-gateway``.
    """

    name: str = Field(default="dask-regions", pattern=r"^[a-z][a-z0-9-]{1,30}$")
    profile: Literal["standard", "small"] = "standard"
    network: Literal["peering", "transit-gateway"] = "peering"


class Region(_Model):
    """A Region with its network, and a pool where it computes.

    ``cidr`` is the VPC's IPv4 block; the blocks of two Regions must not overlap, because their
    networks are routed to each other. ``parameters`` are parameters of the Region's stack by name,
    which go before the profile's.
    """

    name: RegionName
    cidr: IPv4Network
    client: bool = False
    pool: Pool | None = None
    parameters: dict[str, str | int | float] = Field(default_factory=dict)


class _Copy(_Model):
    """How the workers of a Region reach what its bucket holds."""

    access: Access = "fsx"
    fsx_path: str = Field(default="", pattern=r"^$|^/")
    requester_pays: bool = False

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.access == "fsx" and not self.fsx_path:
            raise ValueError(
                "'fsx_path' is missing; add it here, as /fsx/<bucket>, or 'access: s3' to read from S3"
            )
        if self.access == "s3" and self.fsx_path:
            raise ValueError(
                "with 'access: s3' no file system shows the data; remove 'fsx_path', or 'access'"
            )
        if self.access == "fsx" and self.requester_pays:
            raise ValueError(
                "FSx for Lustre reads no bucket for which the requester pays; use 'access: s3', which does"
            )
        return self


class Replica(_Copy):
    """The same objects in another Region's bucket, e.g. by S3 replication; fields as in :class:`Dataset`.

    ``prefix`` is the dataset's own where it is not given.
    """

    region: RegionName
    bucket: str = Field(pattern=_BUCKET)
    prefix: str | None = Field(default=None, pattern=_PREFIX)


class Dataset(_Copy):
    """A bucket's prefix that holds data in a known layout, and where FSx shows it.

    Attributes
    ----------
    id
        Also the id of the STAC Collection.
    region
        Region of the bucket and of the pool that reads it.
    bucket, prefix
        Where S3 holds it; the prefix ends with ``/`` or is empty.
    layout
        How the keys below the prefix are named: ``cmip6`` as on AWS, ``era5`` as in the bucket era5-pds,
        ``era5-ncar`` as in nsf-ncar-era5, ``zarr`` and ``netcdf`` for any stores or files, wherever below
        the prefix they lie.
    manifest
        Key in the bucket of a CSV that names every store, as ``pangeo-cmip6.csv`` does, for layout
        ``cmip6``: it is read instead of listing the bucket. A replica's bucket has it under the same key.
    access
        ``fsx`` (the default): the workers read through the Region's FSx for Lustre file system, which keeps
        what was read; or ``s3``: straight from S3.
    fsx_path
        Absolute path, on the Region's workers, under which FSx shows the prefix; for ``fsx`` alone.
    requester_pays
        Whether requests and transfer are paid by who reads, which S3 wants to be told; for ``s3`` alone.
    period
        ISO 8601 duration that one file or store covers where the layout puts only its start into
        the key, e.g. ``P1M`` (the default) or ``P10Y``.
    properties
        Added to the properties of every Item, e.g. ``scenario``.
    replicas
        The other Regions that hold it. Every Item then lists all Regions where a sync found it.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=100)
    title: str
    description: str
    license: str = "other"
    region: RegionName
    bucket: str = Field(pattern=_BUCKET)
    prefix: str = Field(default="", pattern=_PREFIX)
    layout: Layout
    manifest: str | None = Field(default=None, min_length=1, max_length=1024)
    period: str = Field(default="P1M", pattern=r"^P[1-9]\d*[YM]$")
    properties: dict[str, Any] = Field(default_factory=dict)
    replicas: tuple[Replica, ...] = ()

    @model_validator(mode="after")
    def _listed(self) -> Dataset:
        if self.manifest is not None and self.layout != "cmip6":
            raise ValueError(
                f"dataset {self.id!r} has layout {self.layout}, which reads no manifest; "
                "remove 'manifest', or use layout cmip6"
            )
        return self

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions that hold it, its own first."""
        return (self.region, *(replica.region for replica in self.replicas))

    def copies(self) -> tuple[Dataset, ...]:
        """Return the dataset as each of its Regions holds it, its own first, without replicas."""
        own = self.model_copy(update={"replicas": ()})
        return (
            own,
            *(own.model_copy(update=replica.model_dump(exclude_none=True)) for replica in self.replicas),
        )


class Configuration(_Model):
    """All of ``datasets.yaml``. Rules that span entries are in :func:`dask_regions.config.load`."""

    system: System = Field(default_factory=System)
    regions: tuple[Region, ...] = Field(min_length=1)
    datasets: tuple[Dataset, ...] = ()

    @classmethod
    def unpublished(cls, system: str, client_region: str) -> Configuration:
        """Return what holds for a system before its first publication: no pools and no datasets."""
        # A Region has a block; that of one address overlaps no network.
        region = Region(name=client_region, client=True, cidr=IPv4Network("0.0.0.0/32"))
        return cls(system=System(name=system), regions=(region,))

    @property
    def client_region(self) -> Region:
        """The Region of notebooks, scheduler and catalog."""
        return next(region for region in self.regions if region.client)

    @property
    def pools(self) -> dict[str, Pool]:
        """Region name to pool, for every Region that has one."""
        return {region.name: region.pool for region in self.regions if region.pool is not None}

    @property
    def copies(self) -> tuple[Dataset, ...]:
        """Every dataset once for each Region that holds it, in the order of the file."""
        return tuple(copy for dataset in self.datasets for copy in dataset.copies())

    def datasets_of(self, region: str) -> tuple[Dataset, ...]:
        """Return the datasets that a Region holds, replicas included, as it holds them."""
        return tuple(copy for copy in self.copies if copy.region == region)
