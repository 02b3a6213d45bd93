"""Templates are deployed into moto, and what moto lacks works."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dask_regions.config import load
from dask_regions_local.emulator.alarms import Alarms
from dask_regions_local.emulator.aws import Aws, serve
from dask_regions_local.emulator.deploy import Deployment
from dask_regions_local.emulator.functions.lambdas import Functions
from dask_regions_local.emulator.functions.layers import build_runtime
from dask_regions_local.emulator.http.front import HttpApi
from dask_regions_local.emulator.moto_patches import Hooks, applied
from dask_regions_local.emulator.pools import Pools, Task
from dask_regions_local.emulator.storage import FileSystems, Storage, localise_datasets
from dask_regions_local.emulator.system import deliver, invoke
from testing.waiting import wait_until

CLIENT, WORKER = "eu-west-2", "us-west-2"
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.13, Handler: app.handler, Timeout: 20}}
Resources:
  EchoFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: echo
      Environment: {Variables: {GREETING: hello}}
      Events: {Get: {Type: HttpApi, Properties: {Method: GET, Path: /first}}}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine.asl.json
      DefinitionSubstitutions: {EchoFunctionArn: !GetAtt EchoFunction.Arn}
      Events:
        Alarm:
          Type: EventBridgeRule
          Properties:
            EventBusName: !Ref Bus
            Pattern: {source: [aws.cloudwatch], detail: {state: {value: [ALARM]}}}
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: bus}}
  Secret:
    Type: AWS::SecretsManager::Secret
    Properties: {Name: /a/token, GenerateSecretString: {PasswordLength: 20}}
  Nested:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: nested.yaml, Parameters: {Value: nested}}
"""
NESTED = """
Parameters: {Value: {Type: String}}
Resources: {P: {Type: AWS::SSM::Parameter, Properties: {Name: /a/b, Type: String, Value: !Ref Value}}}
"""
ECHO = """
import os

def handler(event, context):
    return {"greeting": os.environ["GREETING"], "event": event}
"""
MACHINE = {
    "StartAt": "Echo",
    "States": {
        "Echo": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${EchoFunctionArn}", "Payload.$": "$"},
            "OutputPath": "$.Payload",
            "End": True,
        }
    },
}
WORKERS = """
Resources:
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: missing
      Namespace: DaskRegions
      MetricName: TasksMissing
      Dimensions: [{Name: Region, Value: !Ref "AWS::Region"}]
      Statistic: Maximum
      Period: 10
      EvaluationPeriods: 1
      Threshold: 2
      ComparisonOperator: GreaterThanOrEqualToThreshold
      TreatMissingData: notBreaching
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.cloudwatch], detail: {alarmName: [!Ref Alarm]}}
      Targets: [{Id: bus, Arn: "arn:aws:events:eu-west-2:123456789012:event-bus/bus"}]
  Cluster: {Type: AWS::ECS::Cluster, Properties: {ClusterName: c}}
  Definition:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Memory: "512"
      ContainerDefinitions:
        - Name: worker
          Image: none
          Command: [python, -c, "import os, time; print(dict(os.environ), flush=True); time.sleep(600)"]
          Environment: [{Name: FROM_TEMPLATE, Value: /opt/file}]
  Service:
    Type: AWS::ECS::Service
    Properties:
      ServiceName: workers
      Cluster: !Ref Cluster
      TaskDefinition: !Ref Definition
      DesiredCount: 1
  FileSystem:
    Type: AWS::FSx::FileSystem
    Properties: {FileSystemType: LUSTRE, SubnetIds: [subnet-00000000000000001]}
Outputs: {FileSystem: {Value: !Ref FileSystem}}
"""
DATASETS = """
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {minimum_tasks: 1, maximum_tasks: 3}}
datasets:
  - id: d
    title: t
    description: d
    region: us-west-2
    bucket: the-bucket
    prefix: p/
    layout: cmip6
    fsx_path: /fsx/the-bucket/p
"""


@dataclass
class Parts:
    """What a test needs of the system, without Dask."""

    aws: Aws
    api: HttpApi
    pools: Pools
    storage: Storage
    directory: Path
    deployment: Deployment
    outputs: dict[str, Any] = field(default_factory=dict)

    def deploy(self, name: str = "client", template: str = TEMPLATE) -> None:
        (self.directory / "template.yaml").write_text(template)
        region = CLIENT if name == "client" else WORKER
        self.outputs = self.deployment.deploy(name, region, self.directory / "template.yaml", {})


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    for name in ("logs", "echo"):
        (tmp_path / name).mkdir()
    (tmp_path / "echo" / "app.py").write_text(ECHO)
    (tmp_path / "machine.asl.json").write_text(json.dumps(MACHINE))
    (tmp_path / "nested.yaml").write_text(NESTED)
    (tmp_path / "source.yaml").write_text(DATASETS)
    localise_datasets(tmp_path / "source.yaml", tmp_path / "datasets.yaml", tmp_path / "fsx")
    configuration = load(tmp_path / "datasets.yaml")
    with serve(CLIENT) as aws, ThreadPoolExecutor(1) as executor:
        runtime = build_runtime(tmp_path / "runtime")
        functions = Functions(runtime, tmp_path / "logs", str, aws.endpoint)
        pools = Pools(aws, [CLIENT, WORKER], tmp_path, lambda value: value.replace("/opt", "/here"), {})
        files = FileSystems(aws, configuration)
        hooks = Hooks(
            invoke=lambda *request: invoke(functions, *request),
            deliver=lambda arn, event: deliver(aws, arn, event),
            create_task=files.create_task,
            describe_tasks=files.describe_tasks,
            list_tasks=pools.list_tasks,
            protect=pools.protect,
        )
        api = HttpApi()
        deployment = Deployment(aws, functions, api, tmp_path, executor)
        storage = Storage(aws, tmp_path / "s3", configuration)
        with applied(hooks):
            try:
                yield Parts(aws, api, pools, storage, tmp_path, deployment)
            finally:
                pools.close()
                functions.close()


def run(parts: Parts, payload: object) -> dict[str, Any]:
    machines = parts.aws.client("stepfunctions", CLIENT)
    arn = parts.deployment.state_machines["Machine"]
    execution = machines.start_execution(stateMachineArn=arn, name="a", input=json.dumps(payload))[
        "executionArn"
    ]
    wait_until(lambda: machines.describe_execution(executionArn=execution)["status"] != "RUNNING")
    return dict(machines.describe_execution(executionArn=execution))


def test_a_state_machine_runs_the_function_with_the_environment_of_the_template(parts: Parts) -> None:
    parts.deploy(template=TEMPLATE.replace("GREETING: hello", "GREETING: good day"))
    execution = run(parts, {"n": 1})
    assert execution["status"] == "SUCCEEDED", execution
    assert json.loads(execution["output"]) == {"greeting": "good day", "event": {"n": 1}}


def test_a_broken_state_breaks_the_execution(parts: Parts) -> None:
    machine = {**MACHINE, "StartAt": "Stop", "States": {"Stop": {"Type": "Fail", "Error": "Broken"}}}
    (parts.directory / "machine.asl.json").write_text(json.dumps(machine))
    parts.deploy()
    execution = run(parts, {})
    assert (execution["status"], execution["error"]) == ("FAILED", "Broken")


@pytest.mark.parametrize("path", ["/first", "/second"])
def test_the_path_of_a_route_is_the_template_s(parts: Parts, path: str) -> None:
    parts.deploy(template=TEMPLATE.replace("/first", path))
    assert [route.key for route in parts.api.routes] == [f"GET {path}"]
    assert parts.api.routes[0].function == "client-EchoFunction"


def test_secrets_parameters_and_nested_stacks_are_there(parts: Parts) -> None:
    parts.deploy()
    secret = parts.aws.client("secretsmanager", CLIENT).get_secret_value(SecretId="/a/token")
    assert len(secret["SecretString"]) == 20
    parameter = parts.aws.client("ssm", CLIENT).get_parameter(Name="/a/b")["Parameter"]
    assert parameter["Value"] == "nested"


def put_metric(parts: Parts, value: float) -> None:
    datum = {
        "MetricName": "TasksMissing",
        "Value": value,
        "Dimensions": [{"Name": "Region", "Value": WORKER}],
    }
    parts.aws.client("cloudwatch", WORKER).put_metric_data(Namespace="DaskRegions", MetricData=[datum])


def executions(parts: Parts) -> list[dict[str, Any]]:
    machines = parts.aws.client("stepfunctions", CLIENT)
    machine = parts.deployment.state_machines["Machine"]
    executions = machines.list_executions(stateMachineArn=machine)["executions"]
    return [machines.describe_execution(executionArn=execution["executionArn"]) for execution in executions]


def test_an_alarm_of_a_worker_region_starts_the_state_machine_of_the_client_region_once(parts: Parts) -> None:
    parts.deploy()
    parts.deploy("workers", WORKERS)
    alarms = Alarms(parts.aws, [CLIENT, WORKER])
    put_metric(parts, 1)
    alarms.evaluate()
    assert not executions(parts), "below the threshold"
    put_metric(parts, 2)
    alarms.evaluate()
    alarms.evaluate()
    wait_until(lambda: [execution["status"] for execution in executions(parts)] == ["SUCCEEDED"])
    [execution] = executions(parts)
    event = json.loads(execution["input"])
    assert (event["source"], event["detail-type"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    detail = event["detail"]
    assert (detail["alarmName"], detail["state"]["value"], detail["previousState"]["value"]) == (
        "missing",
        "ALARM",
        "OK",
    )
    metric = detail["configuration"]["metrics"][0]["metricStat"]["metric"]
    assert metric == {"namespace": "DaskRegions", "name": "TasksMissing", "dimensions": {"Region": WORKER}}


def test_the_threshold_of_an_alarm_is_the_template_s(parts: Parts) -> None:
    parts.deploy("workers", WORKERS.replace("Threshold: 2", "Threshold: 5"))
    put_metric(parts, 2)
    Alarms(parts.aws, [WORKER]).evaluate()
    [alarm] = parts.aws.client("cloudwatch", WORKER).describe_alarms()["MetricAlarms"]
    assert (alarm["Threshold"], alarm["StateValue"]) == (5.0, "OK")


def counts(parts: Parts) -> tuple[int, int]:
    [service] = parts.aws.client("ecs", WORKER).describe_services(cluster="c", services=["workers"])[
        "services"
    ]
    return service["runningCount"], service["pendingCount"]


def reconciled(parts: Parts) -> list[Task]:
    parts.pools.reconcile()
    return parts.pools.tasks()


def scale(parts: Parts, desired: int) -> None:
    parts.aws.client("ecs", WORKER).update_service(cluster="c", service="workers", desiredCount=desired)
    wait_until(lambda: len(reconciled(parts)) == desired)


def test_the_desired_count_of_a_service_starts_and_stops_processes(parts: Parts) -> None:
    parts.deploy("workers", WORKERS)
    parts.pools.reconcile()
    [first] = parts.pools.tasks()
    assert counts(parts) == (1, 0)
    wait_until(
        lambda: (
            "FROM_TEMPLATE" in (parts.directory / "logs" / f"{WORKER}.workers.{first.id[:8]}.log").read_text()
        )
    )
    log = (parts.directory / "logs" / f"{WORKER}.workers.{first.id[:8]}.log").read_text()
    assert "'FROM_TEMPLATE': '/here/file'" in log
    metadata = log.split("'ECS_CONTAINER_METADATA_URI_V4': '")[1].split("'")[0]
    with urllib.request.urlopen(f"{metadata}/task") as answer:
        assert json.load(answer)["TaskARN"] == first.arn
    scale(parts, 3)
    assert counts(parts) == (3, 0)
    listed = parts.aws.client("ecs", WORKER).list_tasks(cluster="c", serviceName="workers")["taskArns"]
    assert set(listed) == {task.arn for task in parts.pools.tasks()}
    scale(parts, 0)
    assert counts(parts) == (0, 0)


def test_a_scale_in_spares_protected_tasks(parts: Parts) -> None:
    parts.deploy("workers", WORKERS)
    scale(parts, 3)
    ecs = parts.aws.client("ecs", WORKER)
    keep, go, stay = (task.id for task in parts.pools.tasks())
    answer = ecs.update_task_protection(cluster="c", tasks=[keep, stay, "gone"], protectionEnabled=True)
    assert [failure["arn"] for failure in answer["failures"]] == ["gone"]
    ecs.update_service(cluster="c", service="workers", desiredCount=1)
    wait_until(lambda: go not in {task.id for task in reconciled(parts)})
    assert {task.id for task in parts.pools.tasks()} == {keep, stay}
    ecs.update_task_protection(cluster="c", tasks=[stay], protectionEnabled=False)
    wait_until(lambda: len(reconciled(parts)) == 1)
    assert [task.id for task in parts.pools.tasks()] == [keep]


def test_a_task_that_died_is_replaced(parts: Parts) -> None:
    parts.deploy("workers", WORKERS)
    parts.pools.reconcile()
    [first] = parts.pools.tasks()
    os.killpg(first.process.pid, signal.SIGKILL)
    wait_until(lambda: {task.id for task in reconciled(parts)} not in ({first.id}, set()))
    assert counts(parts) == (1, 0)


def test_a_metadata_import_shows_on_the_file_system_what_the_bucket_holds(parts: Parts) -> None:
    bucket = parts.directory / "s3" / WORKER / "the-bucket"
    for key, content in (("p/a/b", b"1"), ("other/c", b"2")):
        (bucket / key).parent.mkdir(parents=True)
        (bucket / key).write_bytes(content)
    parts.deploy("workers", WORKERS)
    parts.storage.create()
    assert parts.storage.upload() == 2
    fsx = parts.aws.client("fsx", WORKER)

    def imported() -> None:
        system = parts.outputs["FileSystem"]
        kind = "IMPORT_METADATA_FROM_REPOSITORY"
        task = fsx.create_data_repository_task(Type=kind, FileSystemId=system, Report={"Enabled": False})
        identity = task["DataRepositoryTask"]["TaskId"]
        state = fsx.describe_data_repository_tasks
        wait_until(lambda: state(TaskIds=[identity])["DataRepositoryTasks"][0]["Lifecycle"] == "SUCCEEDED")

    imported()
    mount = parts.directory / "fsx" / WORKER / "fsx" / "the-bucket" / "p"
    assert [path.relative_to(mount).as_posix() for path in mount.rglob("*") if path.is_file()] == ["a/b"]
    before = (mount / "a" / "b").stat().st_ino
    imported()
    assert (mount / "a" / "b").stat().st_ino == before, "what did not change is not copied again"
    parts.aws.client("s3", WORKER).put_object(Bucket="the-bucket", Key="p/a/b", Body=b"3")
    imported()
    assert (mount / "a" / "b").read_bytes() == b"3"
