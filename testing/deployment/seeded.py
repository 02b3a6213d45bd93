"""The seeded mistakes of ``tests/deployment/README.md``, each an edit, with the check that is to catch it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["MISTAKES", "Mistake"]

_TEMPLATES = "tests/unit/templates"
_WORKERS, _SCHEDULER = "regional_stack/workers.yaml", "regional_stack/scheduler.yaml"
_CHECK = ("dask_regions.cli", "check")
_STATE_MACHINES = ("testing.static.state_machines",)
_LAYERS = ("testing.static.layers",)
_PLANNING = ("pytest", "-q", "-x", "tests/unit/join/test_planning.py")


def _test(node: str) -> tuple[str, ...]:
    return ("pytest", "-q", "-x", f"{_TEMPLATES}/{node}")


def _nothing(root: Path) -> None:
    """Leave a copy as it is."""


@dataclass(frozen=True)
class Mistake:
    """One edit, and what has to catch it.

    Attributes
    ----------
    number, text
        As in ``tests/deployment/README.md``.
    apply
        Makes the edit in a copy of the repository.
    check
        Module and arguments that have to fail then.
    prepare
        What the check needs in a copy that has no mistake.
    """

    number: str
    text: str
    apply: Callable[[Path], None]
    check: tuple[str, ...]
    prepare: Callable[[Path], None] = field(default=_nothing)


def _replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    """Return an edit of a file: the first match of a regular expression becomes another text."""

    def edit(root: Path) -> None:
        path = root / file
        text, count = re.subn(old, lambda _: new, path.read_text(encoding="utf-8"), count=1, flags=re.DOTALL)
        if not count:
            raise LookupError(f"{file} has no {old!r}: write the mistake anew")
        path.write_text(text, encoding="utf-8")

    return edit


def _datasets(count: int, bucket: str, path: str) -> Callable[[Path], None]:
    """Return an edit that adds datasets to ``datasets.yaml``; ``{}`` is their number."""

    def edit(root: Path) -> None:
        with (root / "datasets.yaml").open("a", encoding="utf-8") as file:
            for number in range(count):
                file.write(
                    f"\n  - {{id: seeded-{number}, title: T, description: D, license: other, "
                    f"region: us-west-2, bucket: {bucket.format(number)}, prefix: a/, layout: netcdf, "
                    f"fsx_path: {path.format(number)}}}\n"
                )

    return edit


def _build(harvest_bytes: int) -> Callable[[Path], None]:
    """Return an edit that stands in for ``sam build`` with layers of 100 MB and of a size."""

    def edit(root: Path) -> None:
        built = root / ".aws-sam" / "build"
        sizes = {"DaskRegionsLayer": 100 * 2**20, "HarvestLayer": harvest_bytes}
        for layer, size in sizes.items():
            (built / layer).mkdir(parents=True)
            (built / layer / "library.so").touch()
            os.truncate(built / layer / "library.so", size)
        text = (root / "template.yaml").read_text(encoding="utf-8")
        (built / "template.yaml").write_text(_built_paths(text, dict.fromkeys(sizes, "")), encoding="utf-8")

    return edit


def _built_paths(text: str, layers: dict[str, str]) -> str:
    for layer in layers:
        head, rest = text.split(f"\n  {layer}:\n", 1)
        text = f"{head}\n  {layer}:\n" + rest.replace(
            "ContentUri: layers/dask_regions", f"ContentUri: {layer}", 1
        )
    return text.replace("CodeUri: functions/", "CodeUri: ../../functions/")


MISTAKES = (
    Mistake(
        "M1",
        "a route of the client Region to one worker Region is missing",
        _replace(
            "layers/dask_regions/src/dask_regions/join/routing.py",
            "if region in joined and name != region",
            'if region in joined and name != region and (region, name) != ("eu-west-2", "us-west-2")',
        ),
        _PLANNING,
    ),
    Mistake(
        "M2",
        "the route back is missing",
        _replace(
            "layers/dask_regions/src/dask_regions/join/routing.py",
            "if region in joined and name != region",
            'if region in joined and name != region and region != "us-west-2"',
        ),
        _PLANNING,
    ),
    Mistake(
        "M3",
        "the private zone is associated with all worker Regions but one",
        _replace(
            "layers/dask_regions/src/dask_regions/join/planning.py",
            r"sorted\(workers - zone\.vpcs\)\]",
            "sorted(workers - zone.vpcs)[1:]]",
        ),
        _PLANNING,
    ),
    Mistake(
        "M4",
        "two Regions have overlapping blocks",
        _replace("datasets.yaml", r"cidr: 10\.2\.0\.0/16", "cidr: 10.1.0.0/16"),
        _CHECK,
    ),
    Mistake(
        "M5",
        "a security group opens 8786 to 10.0.0.0/8",
        _replace(_SCHEDULER, "ToPort: 8787, CidrIp: !Ref Cidr", 'ToPort: 8787, CidrIp: "10.0.0.0/8"'),
        _test("test_network.py"),
    ),
    Mistake(
        "M6",
        "a worker's port range leaves out its nanny",
        _replace(_WORKERS, "FromPort: 10100, ToPort: 10163", "FromPort: 10100, ToPort: 10101"),
        _test("test_workers.py"),
    ),
    Mistake(
        "M7",
        "peering is requested and not accepted",
        _replace(
            "layers/dask_regions/src/dask_regions/join/connecting.py",
            r"connections\.requests\.append\(AcceptPeering\(",
            "list().append(AcceptPeering(",
        ),
        _PLANNING,
    ),
    Mistake(
        "M8",
        "the image's tag exists in one Region only",
        _replace("regional_stack/template.yaml", r"Default: 0\.1\.0", "Default: 0.2.0"),
        _test("test_templates.py"),
    ),
    Mistake(
        "M9",
        "no circuit breaker",
        _replace(_WORKERS, r"        DeploymentCircuitBreaker: \{Enable: true, Rollback: true\}\n", ""),
        _test("test_workers.py"),
    ),
    Mistake(
        "M10",
        "`DesiredCount` in the worker service",
        _replace(
            _WORKERS,
            "      AvailabilityZoneRebalancing: DISABLED\n",
            "      AvailabilityZoneRebalancing: DISABLED\n      DesiredCount: 1\n",
        ),
        _test("test_workers.py"),
    ),
    Mistake(
        "M11",
        "scale-in protection without a lifecycle that lifts it",
        _replace(_WORKERS, "    DependsOn: ReleaseHosts\n", ""),
        _test("test_release.py"),
    ),
    Mistake(
        "M12",
        "a task larger than its instance",
        _replace(
            _WORKERS,
            'm6i.2xlarge: {Cpu: "7168", Memory: "29696"',
            'm6i.2xlarge: {Cpu: "7168", Memory: "32768"',
        ),
        _test("test_workers.py"),
    ),
    Mistake("M13", "nine buckets on one file system", _datasets(9, "bucket-{}", "/fsx/bucket-{}/a"), _CHECK),
    Mistake(
        "M14",
        "a bucket in another Region than its file system",
        _replace(
            "datasets.yaml",
            "region: us-east-2\n    bucket: esgf-world",
            "region: us-west-2\n    bucket: esgf-world",
        ),
        _CHECK,
    ),
    Mistake("M15", "two associations with one path", _datasets(2, "bucket-{}", "/fsx/same/a"), _CHECK),
    Mistake(
        "M16",
        'an `Action: "*"`',
        _replace("template.yaml", r"Action: \[ecs:DescribeServices, ecs:UpdateService\]", 'Action: "*"'),
        _test("test_templates.py"),
    ),
    Mistake(
        "M17",
        "a function calls an API that its role does not allow",
        _replace(
            "template.yaml",
            r"Action: \[ecs:DescribeServices, ecs:UpdateService\]",
            "Action: [ecs:DescribeServices]",
        ),
        _test("test_iam.py"),
    ),
    Mistake(
        "M18",
        "a role allows an API that nothing calls",
        _replace(
            "template.yaml",
            "ecs:DescribeServices, ecs:UpdateService",
            "ecs:DescribeServices, ecs:UpdateService, ecs:DeleteService",
        ),
        _test("test_iam.py"),
    ),
    Mistake(
        "M19",
        "an error path of a state machine ends in `Succeed`",
        _replace(
            "statemachines/scale_pool.asl.json",
            r'"ScalingFailed": \{.*?\}',
            '"ScalingFailed": {"Type": "Succeed"}',
        ),
        _test("test_state_machines.py"),
    ),
    Mistake(
        "M20",
        "a state that nothing leads to",
        _replace(
            "statemachines/scale_pool.asl.json", '"States": {', '"States": {"Alone": {"Type": "Succeed"},'
        ),
        _STATE_MACHINES,
    ),
    Mistake(
        "M21",
        "a substitution that the template does not give",
        _replace("template.yaml", "        ReadPoolFunctionArn: !GetAtt ReadPoolFunction.Arn\n", ""),
        _STATE_MACHINES,
    ),
    Mistake(
        "M22",
        "a metric without the system's dimension",
        _replace(_WORKERS, r"\{Name: System, Value: !Ref SystemName\}, ", ""),
        _test("test_templates.py"),
    ),
    Mistake(
        "M23",
        "a persistent name without the system's",
        _replace(
            _WORKERS, r"ServiceName: !Sub \$\{SystemName\}-workers", "ServiceName: dask-regions-workers"
        ),
        _test("test_lives.py"),
    ),
    Mistake(
        "M24",
        "a parameter without bounds",
        _replace("template.yaml", r"    MinValue: 1\n    MaxValue: 64\n", ""),
        _test("test_templates.py"),
    ),
    Mistake(
        "M25",
        "a stack exports what another imports, and is deleted first",
        _replace(
            "template.yaml",
            r"\nOutputs:\n",
            "\nOutputs:\n  Bus: {Description: Name of the bus, Value: !Ref SchedulerBus, "
            'Export: {Name: !Sub "${SystemName}-bus"}}\n',
        ),
        _test("test_lives.py"),
    ),
    Mistake(
        "M26",
        "a schedule that is disabled",
        _replace(
            "template.yaml",
            "            Schedule: cron",
            "            Enabled: false\n            Schedule: cron",
        ),
        _test("test_lives.py"),
    ),
    Mistake(
        "M27",
        "a cross-Region target without a dead-letter queue",
        _replace(_WORKERS, r"          DeadLetterConfig: [^\n]*\n", ""),
        _test("test_runbook.py"),
    ),
    Mistake(
        "M28",
        "layers of one function above 250 MB together",
        _build(160 * 2**20),
        _LAYERS,
        _build(40 * 2**20),
    ),
)
