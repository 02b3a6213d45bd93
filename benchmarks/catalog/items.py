"""The Items: shaped like CMIP6, the same in every run, as many as wanted.

A number becomes a dataset by a fixed permutation of all combinations of facets, so that the first few
already spread over all of them. Collections are activities, as catalogs of CMIP6 are often cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dask_regions.catalog.stac import merge
from dask_regions.config import load
from dask_regions.harvest.coordinates import Description
from dask_regions.harvest.item import ZARR, asset, item
from dask_regions.models import Configuration, Dataset

__all__ = [
    "COLLECTIONS",
    "EXPERIMENTS",
    "MAX_ITEMS",
    "REGIONS",
    "SOURCES",
    "TABLES",
    "Archive",
    "Facets",
    "configure",
    "facets",
]

WEST, EAST = REGIONS = ("us-west-2", "us-east-1")

#: Model to its institution, grid spacing of its atmosphere in degrees, and calendar's last day of the year.
SOURCES = {
    name: (institution, spacing, last)
    for institution, names, spacing, last in (
        ("MOHC", "UKESM1-0-LL HadGEM3-GC31-LL HadGEM3-GC31-MM", 1.25, "12-30"),
        ("NCAR", "CESM2 CESM2-WACCM CESM2-FV2 CESM2-WACCM-FV2", 0.9424, "12-31"),
        ("NOAA-GFDL", "GFDL-CM4 GFDL-ESM4 GFDL-OM4p5B", 1.0, "12-31"),
        ("MPI-M", "MPI-ESM1-2-LR MPI-ESM1-2-HR ICON-ESM-LR", 1.8653, "12-31"),
        ("CCCma", "CanESM5 CanESM5-CanOE CanESM5-1", 2.7906, "12-31"),
        ("CNRM-CERFACS", "CNRM-CM6-1 CNRM-ESM2-1 CNRM-CM6-1-HR", 1.4008, "12-31"),
        ("IPSL", "IPSL-CM6A-LR IPSL-CM5A2-INCA IPSL-CM6A-LR-INCA", 1.2676, "12-31"),
        ("MIROC", "MIROC6 MIROC-ES2L MIROC-ES2H", 1.4008, "12-31"),
        ("MRI", "MRI-ESM2-0 MRI-AGCM3-2-H MRI-AGCM3-2-S", 1.1215, "12-31"),
        ("NASA-GISS", "GISS-E2-1-G GISS-E2-1-H GISS-E2-2-G", 2.0, "12-31"),
        ("CSIRO", "ACCESS-ESM1-5 ACCESS-CM2", 1.25, "12-31"),
        ("BCC", "BCC-CSM2-MR BCC-ESM1", 1.1215, "12-31"),
        ("EC-Earth-Consortium", "EC-Earth3 EC-Earth3-Veg EC-Earth3-AerChem", 0.7018, "12-31"),
        ("NCC", "NorESM2-LM NorESM2-MM NorCPM1", 1.8947, "12-31"),
        ("INM", "INM-CM4-8 INM-CM5-0", 1.5, "12-31"),
        ("KIOST", "KIOST-ESM", 1.8947, "12-31"),
        ("NUIST", "NESM3", 1.8653, "12-31"),
        ("SNU", "SAM0-UNICON", 0.9424, "12-31"),
        ("THU", "CIESM", 0.9424, "12-31"),
        ("UA", "MCM-UA-1-0", 2.2360, "12-31"),
    )
    for name in names.split()
}
#: Experiment to its activity, first and last year.
EXPERIMENTS = {
    "historical": ("CMIP", 1850, 2014),
    "piControl": ("CMIP", 1850, 2349),
    "abrupt-4xCO2": ("CMIP", 1850, 1999),
    "1pctCO2": ("CMIP", 1850, 1989),
    "amip": ("CMIP", 1979, 2014),
    "ssp119": ("ScenarioMIP", 2015, 2100),
    "ssp126": ("ScenarioMIP", 2015, 2100),
    "ssp245": ("ScenarioMIP", 2015, 2100),
    "ssp370": ("ScenarioMIP", 2015, 2100),
    "ssp434": ("ScenarioMIP", 2015, 2100),
    "ssp460": ("ScenarioMIP", 2015, 2100),
    "ssp534-over": ("ScenarioMIP", 2040, 2100),
    "ssp585": ("ScenarioMIP", 2015, 2100),
    "hist-aer": ("DAMIP", 1850, 2020),
    "hist-GHG": ("DAMIP", 1850, 2020),
    "hist-nat": ("DAMIP", 1850, 2020),
    "ssp245-nat": ("DAMIP", 2021, 2100),
}
#: Table to its frequency, dimensions and variables.
TABLES = {
    table: (frequency, tuple(dimensions.split()), tuple(names.split()))
    for table, frequency, dimensions, names in (
        (
            "Amon",
            "mon",
            "time lat lon",
            "clivi clt clwvi evspsbl hfls hfss hurs huss pr prc prsn prw ps psl rlds rlus rlut rlutcs rsds "
            "rsdt rsus rsut rsutcs sfcWind tas tasmax tasmin tauu tauv ts uas vas",
        ),
        ("AERmon", "mon", "time lev lat lon", "cdnc mmraerh2o o3 od550aer toz"),
        ("CFmon", "mon", "time plev lat lon", "hur hus ta ua va wap zg"),
        (
            "day",
            "day",
            "time lat lon",
            "hfls hfss hurs huss pr prc prsn psl rlds rlus rlut rsds rsus sfcWind tas tasmax tasmin uas vas",
        ),
        ("6hrLev", "6hr", "time lev lat lon", "hus ta ua va"),
        ("6hrPlev", "6hr", "time plev lat lon", "psl pr tas uas vas"),
        ("3hr", "3hr", "time lat lon", "clt hfls hfss pr prsn ps rlds rsds tas"),
        ("Lmon", "mon", "time lat lon", "cVeg evspsblsoi evspsblveg gpp lai mrfso mrro mrros mrso mrsos npp"),
        ("LImon", "mon", "time lat lon", "lwsnl snc snd snm snw"),
        (
            "Omon",
            "mon",
            "time j i",
            "hfds mlotst sos sfdsi tauuo tauvo tos umo vmo wfo zos fgco2 intpp no3os phos talkos",
        ),
        ("Oday", "day", "time j i", "omldamax sos tos"),
        ("SImon", "mon", "time j i", "siage siconc sidconcdyn sisnthick sispeed sitemptop sithick siu siv"),
        ("SIday", "day", "time j i", "siconc sithick siu siv"),
    )
}
#: One Collection for each activity, by its id.
COLLECTIONS = {f"cmip6-{name.lower()}": name for name in ("CMIP", "ScenarioMIP", "DAMIP")}

_PAIRS = tuple((table, variable) for table, (_, _, names) in TABLES.items() for variable in names)
_MEMBERS = 5
_RADICES = (len(SOURCES), len(EXPERIMENTS), len(_PAIRS), _MEMBERS)
#: Items at most.
MAX_ITEMS = len(SOURCES) * len(EXPERIMENTS) * len(_PAIRS) * _MEMBERS
# It has no divisor in common with MAX_ITEMS: its multiples visit every combination once.
_STRIDE = 319_993
_OCEAN = ("Omon", "Oday", "SImon", "SIday")


class Facets(NamedTuple):
    """What tells a dataset from all others."""

    source: str
    experiment: str
    table: str
    variable: str
    member: int

    @property
    def activity(self) -> str:
        """The activity that the experiment belongs to."""
        return EXPERIMENTS[self.experiment][0]

    @property
    def collection(self) -> str:
        """Id of the Collection."""
        return f"cmip6-{self.activity.lower()}"


def facets(number: int) -> Facets:
    """Return the facets of a dataset, 0 to ``MAX_ITEMS`` - 1."""
    rest, digits = number * _STRIDE % MAX_ITEMS, []
    for radix in _RADICES:
        rest, digit = divmod(rest, radix)
        digits.append(digit)
    source, experiment, pair, member = digits
    return Facets(tuple(SOURCES)[source], tuple(EXPERIMENTS)[experiment], *_PAIRS[pair], member + 1)


def regions(number: int) -> tuple[str, ...]:
    """Return the Regions that hold a dataset: most are in one of two, a twentieth in both."""
    return (WEST, EAST) if number % 20 == 0 else (WEST,) if number % 5 < 3 else (EAST,)


def configure(path: Path) -> Configuration:
    """Write a ``datasets.yaml`` for these Collections, and read it.

    Parameters
    ----------
    path
        Of the file.
    """
    lines = ["regions:", "  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}"]
    for index, region in enumerate((WEST, EAST), 1):
        lines.append(f"  - {{name: {region}, cidr: 10.{index}.0.0/16, pool: {{}}}}")
    lines.append("datasets:")
    for collection, activity in COLLECTIONS.items():
        where = {
            region: f"region: {region}, bucket: cmip6-{region}, prefix: CMIP6/{activity}/, "
            f"fsx_path: /fsx/cmip6-{region}/{activity}"
            for region in (WEST, EAST)
        }
        lines.append(
            f"  - {{id: {collection}, title: CMIP6 {activity}, description: Synthetic Items, layout: cmip6, "
            f"{where[WEST]}, replicas: [{{{where[EAST]}}}]}}"
        )
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return load(path)


class Archive:
    """All Items of a run.

    Parameters
    ----------
    count
        How many; the first of any count are the same.
    configuration
        From :func:`configure`.
    """

    def __init__(self, count: int, configuration: Configuration) -> None:
        self.count = count
        self._datasets = {(copy.region, copy.id): copy for copy in configuration.copies}

    def items_in(self, region: str, collection: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield source (prefix of the keys) and Item of all that a Region holds of a Collection."""
        dataset = self._datasets[region, collection]
        for number in range(self.count):
            if region in regions(number) and (identity := facets(number)).collection == collection:
                yield _item(identity, dataset)

    def merged(self) -> Iterator[dict[str, Any]]:
        """Yield every Item as the catalog answers with it, Regions' copies merged."""
        for number in range(self.count):
            identity = facets(number)
            copies = [_item(identity, self._datasets[r, identity.collection])[1] for r in regions(number)]
            yield copies[0] if len(copies) == 1 else merge(copies)


def _item(identity: Facets, dataset: Dataset) -> tuple[str, dict[str, Any]]:
    institution, _, last = SOURCES[identity.source]
    _, first_year, last_year = EXPERIMENTS[identity.experiment]
    frequency, dimensions, _ = TABLES[identity.table]
    if frequency.endswith("hr"):
        first_year = max(first_year, 1950)
    member, grid = f"r{identity.member}i1p1f1", "gn"
    interval = (f"{first_year}-01-01T00:00:00Z", f"{last_year}-{last}T23:59:59Z")
    parts = [
        institution,
        identity.source,
        identity.experiment,
        member,
        identity.table,
        identity.variable,
        grid,
        "v20190815",
    ]
    source = f"{dataset.prefix}{'/'.join(parts)}/"
    box = _box(identity)
    description = Description(
        interval=interval,
        bbox=box,
        dimensions=_dimensions(dimensions, interval, box),
        variables={identity.variable: {"type": "data", "dimensions": list(dimensions), "unit": "1"}},
        names=(identity.variable,),
    )
    properties = _properties(identity, institution, member, grid, frequency)
    fields = {"zarr:consolidated": True, "zarr:zarr_format": 2, "zarr:node_type": "group"}
    assets = {"zarr": asset(dataset, source, ZARR, **fields)}
    item_id = ".".join(["CMIP6", identity.activity, *parts])
    return source, item(dataset, item_id, description, interval, assets, properties)


def _properties(identity: Facets, institution: str, member: str, grid: str, frequency: str) -> dict[str, Any]:
    return {
        "title": f"{identity.source} {identity.experiment} {identity.variable} {identity.table}",
        "scenario": identity.experiment,
        "cmip6:activity_id": identity.activity,
        "cmip6:institution_id": institution,
        "cmip6:source_id": identity.source,
        "cmip6:experiment_id": identity.experiment,
        "cmip6:variant_label": member,
        "cmip6:table_id": identity.table,
        "cmip6:variable_id": identity.variable,
        "cmip6:grid_label": grid,
        "cmip6:frequency": frequency,
    }


def _box(identity: Facets) -> tuple[float, float, float, float]:
    """All round the Earth, between the centres of the outermost cells."""
    spacing = SOURCES[identity.source][1]
    if identity.table in _OCEAN:
        return -180.0, -78.5, 180.0, round(90 - spacing / 4, 4)
    return -180.0, round(spacing / 2 - 90, 4), 180.0, round(90 - spacing / 2, 4)


def _dimensions(
    names: tuple[str, ...], interval: tuple[str, str], box: tuple[float, float, float, float]
) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {
        "time": {"type": "temporal", "extent": list(interval)},
        "lat": {"type": "spatial", "axis": "y", "extent": [box[1], box[3]]},
        "lon": {"type": "spatial", "axis": "x", "extent": [0.0, 359.0]},
    }
    return {name: known.get(name, {"type": "other"}) for name in names}
