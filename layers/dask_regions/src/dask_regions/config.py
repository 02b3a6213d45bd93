"""Load ``datasets.yaml``, and report every mistake in it at once, each with file and line.

:mod:`dask_regions.models` checks single values; the rules here span entries. They work on what was
read rather than on the models, so that one wrong value does not hide the other mistakes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from dask_regions.errors import ConfigurationError
from dask_regions.models import Configuration, Dataset, Layout, Pool, Region, Replica, System

__all__ = ["Document", "Place", "Rule", "load", "parse", "read", "suggest"]

#: Keys and positions that lead to an entry, e.g. ``("regions", 0, "cidr")``.
Place = tuple[str | int, ...]

# Words are shown in place of the pattern that a value has to fit.
_FORMS = {
    "bucket": "write 3 to 63 lower-case letters, digits, hyphens and dots, as S3 has its name",
    "fsx_path": "write an absolute path, /fsx/<bucket>",
    "id": "write letters, digits, dots, hyphens and underscores, without spaces",
    "name": "write 2 to 31 lower-case letters, digits and hyphens, a letter first",
    "period": "write a number of months or years, like P1M or P10Y",
    "prefix": "write it without a slash at its start and with one at its end, like CMIP6/, or leave it empty",
}

_EXAMPLE = (
    "start it with\nregions:\n  - name: eu-west-2\n    client: true\n    cidr: 10.0.0.0/16\ndatasets: []"
)


class _Loader(yaml.SafeLoader):
    """Leaves dates as text: Items are JSON, and some calendars have a 30 February."""


def _as_text(_: _Loader, node: yaml.Node) -> str:
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def load(path: str | Path, rules: Iterable[Rule] = ()) -> Configuration:
    """Read and validate the configuration of a system.

    Parameters
    ----------
    path
        The YAML file, ``datasets.yaml`` at the root of the repository.
    rules
        Further rules: each is called with the document, and rejects what is wrong in it.

    Raises
    ------
    ConfigurationError
        With one line per mistake, ``file:line: what is wrong; how to mend it``, ordered by line.

    Examples
    --------
    >>> load("datasets.yaml").client_region.name  # doctest: +SKIP
    'eu-west-2'
    """
    file = Path(path)
    return parse(read(file), file, rules)


def read(file: Path) -> str:
    """Return the text of a configuration, not validated.

    Raises
    ------
    ConfigurationError
        Where it cannot be read as UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{file}: cannot be read ({error.strerror}); give the path of datasets.yaml"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: is not UTF-8 text; give the path of datasets.yaml") from error


def parse(text: str, file: Path, rules: Iterable[Rule] = ()) -> Configuration:
    """Validate what a configuration says.

    Parameters
    ----------
    text
        YAML.
    file
        Named in messages, and not read.
    rules
        As for :func:`load`.

    Raises
    ------
    ConfigurationError
        As :func:`load` does.
    """
    document = _compose(text, file)
    configuration = _validate(document)
    for rule in (_check_rules, *rules):
        rule(document)
    if document.problems or configuration is None:
        raise ConfigurationError(*document.report())
    return configuration


@dataclass
class Document:
    """What a file says, the line of every entry, and the mistakes seen so far.

    Attributes
    ----------
    data
        As YAML has it: nothing says that it fits the models.
    """

    file: Path
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def line(self, path: Place) -> int:
        """Return the line of an entry, or of the nearest entry around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def reject(self, path: Place, problem: str) -> None:
        """Record a mistake at an entry."""
        self.problems.append((self.line(path), problem))

    def report(self) -> list[str]:
        """Return every mistake in the order of the file."""
        return [f"{self.file}:{line}: {problem}" for line, problem in sorted(self.problems)]

    def entries(self, name: str) -> list[tuple[int, dict[Any, Any]]]:
        """Return the entries of a top-level list that are mappings, with their positions."""
        listed = self.data.get(name) if isinstance(self.data, dict) else None
        if not isinstance(listed, list):
            return []
        return [(index, entry) for index, entry in enumerate(listed) if isinstance(entry, dict)]

    def copies(self) -> Iterator[tuple[Place, dict[Any, Any]]]:
        """Yield path and entry of every dataset, and of every replica with what it takes from its dataset."""
        for index, dataset in self.entries("datasets"):
            yield ("datasets", index), dataset
            replicas = dataset.get("replicas")
            for position, replica in enumerate(replicas if isinstance(replicas, list) else ()):
                if isinstance(replica, dict):
                    shared = {key: dataset.get(key) for key in ("id", "prefix")}
                    yield ("datasets", index, "replicas", position), {**shared, **replica}

    def texts(self, name: str, key: str) -> Iterator[tuple[Place, str, dict[Any, Any]]]:
        """Yield path, value and entry for every entry of a list whose value of a key is a string."""
        for index, entry in self.entries(name):
            if isinstance(value := entry.get(key), str):
                yield (name, index, key), value, entry


#: Rejects what is wrong in a document.
Rule = Callable[[Document], None]


def _compose(text: str, file: Path) -> Document:
    document = Document(file)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise ConfigurationError(f"{file}:1: the file is empty; {_EXAMPLE}")
        _locate(document, node, ())
        document.data = yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigurationError(_not_yaml(file, error)) from error
    return document


def _not_yaml(file: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{file}:{line}: not YAML: {problem}; check quotes, colons and indentation here"


def _locate(document: Document, node: yaml.Node, path: Place) -> None:
    """Note the line of every entry, and reject keys that stand twice in one mapping."""
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _locate(document, item, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*path, str(key.value))
            if child in document.lines:
                line = key.start_mark.line + 1
                problem = f"{key.value!r} stands here again, after line {document.lines[child]}; remove one"
                document.problems.append((line, problem))
            else:
                document.lines[child] = key.start_mark.line + 1
            _locate(document, value, child)


def _validate(document: Document) -> Configuration | None:
    try:
        return Configuration.model_validate(document.data)
    except ValidationError as error:
        for detail in error.errors():
            document.reject(detail["loc"], _explain(detail))
        return None


def _explain(detail: Any) -> str:
    path: Place = detail["loc"]
    name, kind, value = str(path[-1]) if path else "the file", detail["type"], detail["input"]
    if kind == "extra_forbidden":
        known = list(_model_at(path[:-1]).model_fields)
        return f"unknown key {name!r}; {suggest(name, known)}"
    if kind == "missing":
        return f"{name!r} is missing; add it here"
    if kind == "literal_error" and name == "layout":
        return f"unknown layout {value!r}; {suggest(str(value), list(get_args(Layout)))}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{name} must be a mapping of keys and values, not {_kind(value)}; write 'key: value' lines"
    if kind == "tuple_type":
        return f"{name} must be a list, not {_kind(value)}; start each entry with '- '"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "literal_error":
        return f"{name} {value!r} is wrong; {suggest(str(value), _choices(detail))}"
    if kind == "string_pattern_mismatch" and (form := _FORMS.get(name)):
        return f"{name} {value!r} is wrong; {form}"
    if kind == "ip_v4_network":
        return f"{name} {value!r} is not an IPv4 block; write it like 10.1.0.0/16, host bits zero"
    return f"{name} {value!r} is wrong; {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _choices(detail: Any) -> list[str]:
    return re.findall(r"'([^']+)'", detail["ctx"]["expected"])


def _model_at(path: Place) -> type[BaseModel]:
    if path and path[-1] == "pool":
        return Pool
    if "replicas" in path:
        return Replica
    models: dict[str | int, type[BaseModel]] = {"system": System, "regions": Region, "datasets": Dataset}
    return models.get(path[0], Configuration) if path else Configuration


def suggest(word: str, known: list[str]) -> str:
    """Return the advice for a word that is not among the known ones."""
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]!r}? Known: {', '.join(known)}"
    return f"use one of {', '.join(known)}"


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r}"


def _check_rules(document: Document) -> None:
    _check_unique(document, "regions", "name", "Region")
    _check_unique(
        document, "datasets", "id", "dataset", ", or list its other Region under 'replicas' of the first"
    )
    _check_networks(document)
    _check_client(document)
    _check_pools(document)
    _check_replicas(document)
    _check_prefixes(document)


def _check_unique(document: Document, name: str, key: str, what: str, more: str = "") -> None:
    first: dict[str, int] = {}
    for path, value, _ in document.texts(name, key):
        if value in first:
            document.reject(
                path,
                f"{what} {value!r} stands here again, after line {first[value]}; rename or remove one{more}",
            )
        else:
            first[value] = document.line(path)


def _check_networks(document: Document) -> None:
    networks = []
    for path, text, entry in document.texts("regions", "cidr"):
        try:
            networks.append((path, entry.get("name"), IPv4Network(text)))
        except ValueError:
            continue  # the model has reported it
    for (_, region, first), (path, other, second) in combinations(networks, 2):
        if first.overlaps(second):
            document.reject(
                path,
                f"cidr {second} of {other} overlaps {first} of {region}; give each Region a block of its own",
            )


def _check_client(document: Document) -> None:
    regions = document.entries("regions")
    clients = [(index, region.get("name")) for index, region in regions if region.get("client") is True]
    if regions and not clients:
        document.reject(
            ("regions",), "no Region is the client Region; add 'client: true' to the one of the notebooks"
        )
    for index, name in clients[1:]:
        problem = f"{name} is a second client Region beside {clients[0][1]}; leave 'client: true' at one"
        document.reject(("regions", index, "client"), problem)


def _check_pools(document: Document) -> None:
    regions = {str(region.get("name")): region for _, region in document.entries("regions")}
    for path, dataset in document.copies():
        name = dataset.get("region")
        path = (*path, "region")
        if not isinstance(name, str):
            continue
        if name not in regions:
            document.reject(
                path,
                f"dataset {dataset.get('id')!r} is in Region {name!r}, which is not listed under regions; "
                f"{suggest(name, list(regions)) if regions else 'list it there'}",
            )
        elif regions[name].get("pool") is None:
            document.reject(
                path,
                f"dataset {dataset.get('id')!r} is in Region {name}, which has no pool to read it; "
                f"add 'pool: {{minimum_tasks: 1, maximum_tasks: 4}}' to the Region",
            )


def _check_replicas(document: Document) -> None:
    first: dict[tuple[Place, str], int] = {}
    for path, entry in document.copies():
        region, place = entry.get("region"), (*path, "region")
        if not isinstance(region, str):
            continue
        if (path[:2], region) in first:
            document.reject(
                place,
                f"dataset {entry.get('id')!r} is in Region {region} already, by line "
                f"{first[path[:2], region]}; a replica is in another Region: change or remove one",
            )
        else:
            first[path[:2], region] = document.line(place)


def _check_prefixes(document: Document) -> None:
    placed = [
        ((*path, "bucket"), entry["bucket"], str(entry.get("prefix") or ""), entry.get("id"))
        for path, entry in document.copies()
        if isinstance(entry.get("bucket"), str)
    ]
    for (_, bucket, prefix, dataset), (path, other_bucket, other_prefix, other) in combinations(placed, 2):
        nested = prefix.startswith(other_prefix) or other_prefix.startswith(prefix)
        if bucket == other_bucket and nested:
            document.reject(
                path,
                f"s3://{bucket}/{other_prefix} of dataset {other!r} overlaps s3://{bucket}/{prefix} "
                f"of {dataset!r}, so that files would be in both; give each a prefix of its own",
            )
