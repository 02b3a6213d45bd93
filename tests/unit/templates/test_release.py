"""The function that frees what would keep a stack from being deleted, imported from its template."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.session import get_session

from testing.templates import resources_of, template

SCRATCH = template("regional_stack/scratch.yaml")
WORKERS = template("regional_stack/workers.yaml")["Resources"]
STORAGE = template("regional_stack/storage.yaml")["Resources"]
CODE = SCRATCH["Resources"]["ReleaseFunction"]["Properties"]["Code"]["ZipFile"]
#: "Lambda quotas": CloudFormation takes no more of inline code.
MAX_CHARACTERS = 4096


class FakeService:
    """Answers each operation by a function, keeps the calls, and checks them against botocore's model."""

    def __init__(self, name: str, **operations: Callable[..., Any]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._operations = operations
        session = get_session()
        self._model: Any = session.get_service_model(name)
        client: Any = session.create_client(name, region_name="us-west-2")
        self.exceptions: Any = client.exceptions
        self._python_names = client.meta.method_to_api_mapping

    def refusing(self, operation: str, code: str) -> FakeService:
        """Have an operation fail with an error code."""

        def refuse(**_: Any) -> Any:
            raise self.exceptions.from_code(code)({"Error": {"Code": code, "Message": "no"}}, operation)

        self._operations[operation] = refuse
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        shape = self._model.operation_model(self._python_names[name]).input_shape

        def call(**arguments: Any) -> Any:
            unknown = arguments.keys() - shape.members.keys()
            missing = set(shape.required_members) - arguments.keys()
            assert not unknown | missing, name
            self.calls.append((name, arguments))
            return self._operations[name](**arguments) if name in self._operations else {}

        return call

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


class Answers:
    """Runs the function with fake services, and keeps what it answers CloudFormation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.module = types.ModuleType("index")
        self.seconds_left = 600.0
        self.sent: list[dict[str, Any]] = []

    def handle(
        self, request: str, properties: dict[str, str], old: Any = None, **services: FakeService
    ) -> Any:
        self._monkeypatch.setattr(boto3, "client", lambda name: services[name])
        exec(compile(CODE, "index.py", "exec"), self.module.__dict__)
        self._monkeypatch.setattr(self.module.urllib.request, "urlopen", self._receive)
        self._monkeypatch.setattr(self.module.time, "sleep", self._sleep)
        context = types.SimpleNamespace(get_remaining_time_in_millis=lambda: self.seconds_left * 1000)
        event = {
            "RequestType": request,
            "ResponseURL": "https://cloudformation.example/answer",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Release",
            "ResourceProperties": properties,
            "OldResourceProperties": old or {},
        }
        self.module.handler(event, context)
        return self.sent[-1]

    def _receive(self, request: Any) -> None:
        assert request.get_method() == "PUT"
        self.sent.append(json.loads(request.data))

    def _sleep(self, seconds: float) -> None:
        self.seconds_left -= seconds


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Answers:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return Answers(monkeypatch)


HOSTS = {"Kind": "hosts", "Id": "group", "Cluster": "tides", "Version": "1"}
SERVICE = {"Kind": "service", "Id": "tides-workers", "Cluster": "tides"}
FILES = {"Kind": "files", "Id": "fs-1"}
BUCKET = {"Kind": "bucket", "Id": "scratch"}
ALL = [HOSTS, SERVICE, FILES, BUCKET]


def test_the_code_fits_into_a_template() -> None:
    assert len(CODE) <= MAX_CHARACTERS


@pytest.mark.parametrize("properties", ALL, ids=lambda each: str(each["Kind"]))
def test_creating_calls_nothing_and_names_what_it_frees(release: Answers, properties: dict[str, str]) -> None:
    answer = release.handle("Create", properties)
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == f"{properties['Kind']}/{properties['Id']}"


def test_a_service_is_set_to_nothing_and_its_tasks_lose_their_protection(release: Answers) -> None:
    lists = iter([[f"arn:{number}" for number in range(12)], []])
    ecs = FakeService("ecs", list_tasks=lambda **_: {"taskArns": next(lists)})
    assert release.handle("Delete", SERVICE, ecs=ecs)["Status"] == "SUCCESS"
    assert ecs.calls[0] == (
        "update_service",
        {"cluster": "tides", "service": "tides-workers", "desiredCount": 0},
    )
    lifted = [call["tasks"] for name, call in ecs.calls if name == "update_task_protection"]
    assert [len(batch) for batch in lifted] == [10, 2], "ECS takes ten at a time"


def test_hosts_are_unprotected_as_they_come_into_service_and_awaited(release: Answers) -> None:
    def instance(state: str, protected: bool) -> dict[str, Any]:
        return {"InstanceId": f"i-{state}", "LifecycleState": state, "ProtectedFromScaleIn": protected}

    looks = iter(
        [
            [],
            [instance("Pending", True)],
            [instance("InService", True)],
            [instance("Terminating", True)],
            [],
        ]
    )
    scaling = FakeService(
        "autoscaling",
        describe_auto_scaling_groups=lambda **_: {"AutoScalingGroups": [{"Instances": next(looks)}]},
    )
    ecs = FakeService("ecs", list_container_instances=lambda **_: {"containerInstanceArns": ["arn"]})
    assert release.handle("Delete", HOSTS, autoscaling=scaling, ecs=ecs)["Status"] == "SUCCESS"
    (change,) = (call for name, call in scaling.calls if name == "update_auto_scaling_group")
    assert (change["MaxSize"], change["DesiredCapacity"]) == (0, 0)
    assert change["NewInstancesProtectedFromScaleIn"] is False
    (lifted,) = (call for name, call in scaling.calls if name == "set_instance_protection")
    assert (lifted["InstanceIds"], lifted["ProtectedFromScaleIn"]) == (["i-InService"], False)
    assert ecs.calls[-1][1]["force"] is True


def test_imports_are_cancelled_once_and_awaited(release: Answers) -> None:
    states = iter(["EXECUTING", "CANCELING", ""])

    def describe(**_: Any) -> Any:
        state = next(states)
        return {"DataRepositoryTasks": [{"TaskId": "task-1", "Lifecycle": state}] if state else []}

    fsx = FakeService("fsx", describe_data_repository_tasks=describe)
    fsx.refusing("cancel_data_repository_task", "DataRepositoryTaskEnded")
    assert release.handle("Delete", FILES, fsx=fsx)["Status"] == "SUCCESS"
    assert fsx.names().count("cancel_data_repository_task") == 1


def test_a_bucket_is_emptied_of_every_version(release: Answers) -> None:
    pages = iter(
        [
            {"Versions": [{"Key": "a", "VersionId": "1"}], "DeleteMarkers": [{"Key": "b", "VersionId": "2"}]},
            {},
        ]
    )
    s3 = FakeService("s3", list_object_versions=lambda **_: next(pages))
    assert release.handle("Delete", BUCKET, s3=s3)["Status"] == "SUCCESS"
    (deleted,) = (call for name, call in s3.calls if name == "delete_objects")
    assert [each["Key"] for each in deleted["Delete"]["Objects"]] == ["a", "b"]


def test_an_object_that_cannot_be_deleted_fails_and_says_which(release: Answers) -> None:
    s3 = FakeService(
        "s3",
        list_object_versions=lambda **_: {"Versions": [{"Key": "locked", "VersionId": "1"}]},
        delete_objects=lambda **_: {"Errors": [{"Key": "locked", "Message": "Access Denied"}]},
    )
    answer = release.handle("Delete", BUCKET, s3=s3)
    assert answer["Status"] == "FAILED"
    assert "locked" in answer["Reason"]
    assert "Access Denied" in answer["Reason"]


@pytest.mark.parametrize(
    ("properties", "service", "operation", "code"),
    [
        (SERVICE, "ecs", "update_service", "ClusterNotFoundException"),
        (SERVICE, "ecs", "update_service", "ServiceNotFoundException"),
        (SERVICE, "ecs", "update_service", "ServiceNotActiveException"),
        (BUCKET, "s3", "list_object_versions", "NoSuchBucket"),
    ],
)
def test_what_a_half_made_stack_lacks_is_free(
    release: Answers, properties: dict[str, str], service: str, operation: str, code: str
) -> None:
    fake = FakeService(service).refusing(operation, code)
    assert release.handle("Delete", properties, **{service: fake})["Status"] == "SUCCESS"


def test_a_group_and_a_cluster_that_were_never_made_are_free(release: Answers) -> None:
    scaling = FakeService("autoscaling", describe_auto_scaling_groups=lambda **_: {"AutoScalingGroups": []})
    ecs = FakeService("ecs").refusing("list_container_instances", "ClusterNotFoundException")
    assert release.handle("Delete", HOSTS, autoscaling=scaling, ecs=ecs)["Status"] == "SUCCESS"
    assert scaling.names() == ["describe_auto_scaling_groups"] * 2


def test_what_takes_too_long_is_answered_before_the_function_ends(release: Answers) -> None:
    ecs = FakeService("ecs", list_tasks=lambda **_: {"taskArns": ["arn:1"]})
    answer = release.handle("Delete", SERVICE, ecs=ecs)
    assert answer["Status"] == "FAILED"
    assert "1 ECS tasks to stop; delete the stack again" in answer["Reason"]
    assert release.seconds_left > 30, "time to answer is left"


def test_a_missing_permission_is_the_reason(release: Answers) -> None:
    fsx = FakeService("fsx").refusing("describe_data_repository_tasks", "AccessDeniedException")
    answer = release.handle("Delete", FILES, fsx=fsx)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("fs-1: ")
    assert "AccessDenied" in answer["Reason"]


def test_hosts_are_replaced_when_their_settings_change_and_not_otherwise(release: Answers) -> None:
    scaling = FakeService("autoscaling")
    assert release.handle("Update", HOSTS, old=HOSTS, autoscaling=scaling)["Status"] == "SUCCESS"
    assert scaling.calls == []
    release.handle("Update", HOSTS | {"Version": "2"}, old=HOSTS, autoscaling=scaling)
    assert scaling.names() == ["start_instance_refresh"]
    assert scaling.calls[0][1]["Preferences"]["ScaleInProtectedInstances"] == "Refresh"
    busy = FakeService("autoscaling").refusing("start_instance_refresh", "InstanceRefreshInProgress")
    answer = release.handle("Update", HOSTS | {"Version": "3"}, old=HOSTS, autoscaling=busy)
    assert answer["Status"] == "SUCCESS"


def depends(resources: dict[str, Any], logical: str) -> set[str]:
    """Return what a resource is created after, and so deleted before."""
    text = json.dumps(resources[logical].get("Properties", {}))
    named = {name for name in resources if f'"Ref": "{name}"' in text or f'["{name}"' in text}
    after = resources[logical].get("DependsOn", [])
    named |= {after} if isinstance(after, str) else set(after)
    direct = named - {logical}
    return direct.union(*(depends(resources, name) for name in direct))


def test_what_is_freed_goes_right_after() -> None:
    assert {"Service", "Cluster"} <= depends(WORKERS, "ReleaseService")
    assert "HostGroup" in depends(WORKERS, "ReleaseHosts")
    # What would protect the hosts again, or fail while they are there, is deleted before.
    for user in ("CapacityProvider", "CapacityProviderAssociation", "Service"):
        assert "ReleaseHosts" in depends(WORKERS, user)
    assert "Cluster" in depends(WORKERS, "HostGroup")
    associations = {name for name in STORAGE if name.endswith("DatasetAssociation")}
    assert len(associations) == 8
    assert associations | {"FileSystem"} <= depends(STORAGE, "ReleaseFiles")
    assert "ReleaseFiles" in depends(STORAGE, "FileSystemParameter")
    assert "ScratchBucket" in depends(SCRATCH["Resources"], "ReleaseScratch")


def test_every_release_ends_before_cloudformation_gives_up() -> None:
    timeout = SCRATCH["Resources"]["ReleaseFunction"]["Properties"]["Timeout"]
    releases = [
        resource["Properties"]
        for resources in (WORKERS, STORAGE, SCRATCH["Resources"])
        for resource in resources.values()
        if resource["Type"] == "Custom::Release"
    ]
    assert sorted(each["Kind"] for each in releases) == ["bucket", "files", "hosts", "service"]
    assert all(timeout < each["ServiceTimeout"] <= 3600 for each in releases)


def test_every_bucket_of_a_system_is_emptied_before_it_is_deleted() -> None:
    # `dask-regions remove` empties the one of the image builder, whose stack has no such function.
    buckets = {
        (path, logical)
        for path, logical, _ in resources_of("AWS::S3::Bucket")
        if path != "regional_stack/builder.yaml"
    }
    outputs = {
        f"{nested}.Outputs.{name}": (f"regional_stack/{path}", output["Value"]["Ref"])
        for nested, path in (("Configuration", "configuration.yaml"),)
        for name, output in template(f"regional_stack/{path}")["Outputs"].items()
        if name == "BucketName"
    }
    released = {
        (path, each["Id"]["Ref"]) if "Ref" in each["Id"] else outputs[".".join(each["Id"]["Fn::GetAtt"])]
        for path, _, each in resources_of("Custom::Release")
        if each["Kind"] == "bucket"
    }
    assert released == buckets
