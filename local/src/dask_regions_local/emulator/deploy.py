"""Create a template's resources: in moto where it has them, here where it has not.

A type that has no entry in ``_CREATE`` (networks, roles, permissions) becomes a name without a thing.
"""

from __future__ import annotations

import json
import secrets as random
import string
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from dask_regions.errors import ConfigurationError
from dask_regions_local.emulator.alarms import COMPARISONS, STATISTICS
from dask_regions_local.emulator.aws import Aws
from dask_regions_local.emulator.functions.lambdas import Function, Functions
from dask_regions_local.emulator.functions.layers import build_layer
from dask_regions_local.emulator.http.front import HttpApi
from dask_regions_local.emulator.templates import ACCOUNT, Resource, Stack, read_template

__all__ = ["Deployment"]

_Properties = dict[str, Any]


class Deployment:
    """Deploys templates.

    Parameters
    ----------
    aws
        The local endpoint.
    functions, api
        Where Lambda functions and HTTP routes go.
    root
        Root of the repository.
    executor
        Builds layers in the background.
    """

    def __init__(self, aws: Aws, functions: Functions, api: HttpApi, root: Path, executor: Executor) -> None:
        self._aws, self._functions, self._api = aws, functions, api
        self._root, self._executor = root, executor
        self._layers: dict[str, Future[Path]] = {}
        #: ARN of every state machine by its logical id.
        self.state_machines: dict[str, str] = {}
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = aws.client("iam", "us-east-1").create_role(RoleName="local", AssumeRolePolicyDocument=trust)
        self._role = role["Role"]["Arn"]

    def deploy(self, name: str, region: str, path: Path, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Deploy a template as a stack and return its outputs."""
        return Stack(name, region, read_template(path), parameters, self._create).deploy()

    def finish(self) -> None:
        """Wait until the layers are built.

        Raises
        ------
        UnavailableError
            Where one could not be.
        """
        for layer in self._layers.values():
            layer.result()

    def _create(self, stack: Stack, logical: str, kind: str, properties: _Properties) -> Resource:
        create = _CREATE.get(kind)
        if create is None:
            return Resource(f"{stack.name}-{logical}")
        return create(self, stack, logical, properties)

    def _stack(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        path = Path(properties["TemplateURL"])
        outputs = self.deploy(f"{stack.name}-{logical}", stack.region, path, properties.get("Parameters", {}))
        return Resource(
            f"{stack.name}-{logical}", {f"Outputs.{name}": value for name, value in outputs.items()}
        )

    def _nothing(self, stack: Stack, logical: str, _properties: _Properties) -> Resource:
        return Resource(f"{stack.name}-{logical}", {"Arn": self._role})

    def _layer(self, stack: Stack, _logical: str, properties: _Properties) -> Resource:
        name, _, source = properties["Content"]["S3Key"].partition("=")
        arn = f"arn:aws:lambda:{stack.region}:{ACCOUNT}:layer:{name}:1"
        self._layers[arn] = self._executor.submit(build_layer, name, Path(source), self._root)
        return Resource(arn)

    def _function(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        name = properties.get("FunctionName", f"{stack.name}-{logical}")
        if "ZipFile" in properties["Code"]:
            return Resource(name)  # it frees what CloudFormation deletes, which local mode does not
        code = Path(properties["Code"]["S3Key"])
        if not code.is_dir():
            raise ValueError(f"its CodeUri {code} is no folder")
        environment = properties.get("Environment", {}).get("Variables", {})
        arn = self._aws.client("lambda", stack.region).create_function(
            FunctionName=name,
            Runtime=properties["Runtime"],
            Role=self._role,
            Handler=properties["Handler"],
            Code={"ZipFile": b"local"},  # the folder itself runs
            Timeout=int(properties.get("Timeout", 3)),
        )["FunctionArn"]
        function = Function(
            name=name,
            region=stack.region,
            arn=arn,
            handler=properties["Handler"],
            code=code,
            layers=[self._layers[layer] for layer in properties.get("Layers", ())],
            environment={key: str(value) for key, value in environment.items()},
            timeout=float(properties.get("Timeout", 3)),
            memory=int(properties.get("MemorySize", 128)),
        )
        self._functions.add(function)
        return Resource(name, {"Arn": arn})

    def _state_machine(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        path = Path(properties["DefinitionS3Location"]["Key"])
        definition = path.read_text()
        for name, value in properties.get("DefinitionSubstitutions", {}).items():
            definition = definition.replace(f"${{{name}}}", str(value))
        try:
            json.loads(definition)
        except ValueError as error:  # moto's words for it are a list of all tokens
            raise ConfigurationError(f"{path}: is not JSON ({error}); correct it") from error
        client = self._aws.client("stepfunctions", stack.region)
        name = properties.get("StateMachineName", f"{stack.name}-{logical}")
        try:
            arn = client.create_state_machine(name=name, definition=definition, roleArn=self._role)[
                "stateMachineArn"
            ]
        except client.exceptions.InvalidDefinition as error:
            raise ConfigurationError(f"{path}: {error.response['Error']['Message']}; correct it") from error
        self.state_machines[logical] = arn
        return Resource(arn, {"Arn": arn, "Name": name})

    def _event_bus(self, stack: Stack, _logical: str, properties: _Properties) -> Resource:
        arn = self._aws.client("events", stack.region).create_event_bus(Name=properties["Name"])[
            "EventBusArn"
        ]
        return Resource(properties["Name"], {"Arn": arn, "Name": properties["Name"]})

    def _rule(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        name = properties.get("Name", f"{stack.name}-{logical}")
        client = self._aws.client("events", stack.region)
        bus = properties.get("EventBusName", "default")
        keys: tuple[str, ...] = ("ScheduleExpression", "State")
        optional = {key: properties[key] for key in keys if key in properties}
        if "EventPattern" in properties:
            optional["EventPattern"] = json.dumps(properties["EventPattern"])
        arn = client.put_rule(Name=name, EventBusName=bus, **optional)["RuleArn"]
        keys = ("Id", "Arn", "Input", "InputTransformer")
        targets = [
            {key: target[key] for key in keys if key in target} for target in properties.get("Targets", ())
        ]
        client.put_targets(Rule=name, EventBusName=bus, Targets=targets)
        return Resource(name, {"Arn": arn})

    def _alarm(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        alarm = {"AlarmName": f"{stack.name}-{logical}"} | properties
        numbers = {"Period": int, "EvaluationPeriods": int, "DatapointsToAlarm": int, "Threshold": float}
        alarm |= {key: number(alarm[key]) for key, number in numbers.items() if key in alarm}
        for key, known in (("ComparisonOperator", COMPARISONS), ("Statistic", STATISTICS)):
            if "MetricName" in alarm and alarm.get(key) not in known:
                raise ValueError(f"its {key} is none of {', '.join(known)}")
        self._aws.client("cloudwatch", stack.region).put_metric_alarm(**alarm)
        name = alarm["AlarmName"]
        return Resource(name, {"Arn": f"arn:aws:cloudwatch:{stack.region}:{ACCOUNT}:alarm:{name}"})

    def _topic(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        name = properties.get("TopicName", f"{stack.name}-{logical}")
        arn = self._aws.client("sns", stack.region).create_topic(Name=name)["TopicArn"]
        return Resource(arn, {"TopicName": name, "TopicArn": arn})

    def _cluster(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        name = properties.get("ClusterName", f"{stack.name}-{logical}")
        cluster = self._aws.client("ecs", stack.region).create_cluster(clusterName=name)["cluster"]
        return Resource(name, {"Arn": cluster["clusterArn"]})

    def _task_definition(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        keys = ("Name", "Image", "Command", "EntryPoint", "Environment", "Secrets")
        containers = [
            {_camel(key): _camel_keys(container[key]) for key in keys if key in container}
            for container in properties["ContainerDefinitions"]
        ]
        if not all(container.get("command") for container in containers):
            raise ValueError("a container has no Command; local mode has no image that would give it one")
        family = properties.get("Family", f"{stack.name}-{logical}")
        client = self._aws.client("ecs", stack.region)
        answer = client.register_task_definition(
            family=family, containerDefinitions=containers, memory=str(properties["Memory"])
        )
        return Resource(answer["taskDefinition"]["taskDefinitionArn"])

    def _service(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        name = properties.get("ServiceName", f"{stack.name}-{logical}")
        service = self._aws.client("ecs", stack.region).create_service(
            cluster=properties["Cluster"],
            serviceName=name,
            taskDefinition=properties["TaskDefinition"],
            desiredCount=int(properties.get("DesiredCount", 1)),
        )["service"]
        return Resource(service["serviceArn"], {"Name": name})

    def _parameter(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        name = properties.get("Name", f"{stack.name}-{logical}")
        value, kind = str(properties["Value"]), properties["Type"]
        self._aws.client("ssm", stack.region).put_parameter(Name=name, Value=value, Type=kind)
        return Resource(name, {"Value": value, "Type": kind})

    def _secret(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        name = properties.get("Name", f"{stack.name}-{logical}")
        value = properties.get("SecretString", "")
        if (wanted := properties.get("GenerateSecretString")) is not None:
            length = int(wanted.get("PasswordLength", 32))
            value = "".join(random.choice(string.ascii_letters + string.digits) for _ in range(length))
            if "GenerateStringKey" in wanted:
                document = json.loads(wanted["SecretStringTemplate"]) | {wanted["GenerateStringKey"]: value}
                value = json.dumps(document)
        client = self._aws.client("secretsmanager", stack.region)
        arn = client.create_secret(Name=name, SecretString=value)["ARN"]
        return Resource(arn, {"Id": arn})

    def _bucket(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        name = properties.get("BucketName", f"{stack.name}-{logical}-{stack.region}").lower()
        location = {"LocationConstraint": stack.region}
        extra = {} if stack.region == "us-east-1" else {"CreateBucketConfiguration": location}
        client = self._aws.client("s3", stack.region)
        client.create_bucket(Bucket=name, **extra)
        if (versioning := properties.get("VersioningConfiguration")) is not None:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
        return Resource(name, {"Arn": f"arn:aws:s3:::{name}"})

    def _file_system(self, stack: Stack, _logical: str, properties: _Properties) -> Resource:
        keys = ("FileSystemType", "StorageCapacity", "StorageType", "SubnetIds")
        wanted = {key: properties[key] for key in keys if key in properties}
        wanted["StorageCapacity"] = int(wanted.get("StorageCapacity", 1200))
        created = self._aws.client("fsx", stack.region).create_file_system(**wanted)["FileSystem"]
        return Resource(created["FileSystemId"], {"DNSName": created["DNSName"], "LustreMountName": "local"})

    def _http_api(self, stack: Stack, logical: str, properties: _Properties) -> Resource:
        self._api.add(properties.get("Body", {}))
        return Resource(f"{stack.name}-{logical}")


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _camel_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel_keys(item) for item in value]
    if isinstance(value, dict):
        return {_camel(key): str(item) for key, item in value.items()}
    return value if isinstance(value, list) else str(value)


_CREATE: dict[str, Callable[[Deployment, Stack, str, _Properties], Resource]] = {
    "AWS::ApiGatewayV2::Api": Deployment._http_api,
    "AWS::CloudFormation::Stack": Deployment._stack,
    "AWS::CloudWatch::Alarm": Deployment._alarm,
    "AWS::ECS::Cluster": Deployment._cluster,
    "AWS::ECS::Service": Deployment._service,
    "AWS::ECS::TaskDefinition": Deployment._task_definition,
    "AWS::Events::EventBus": Deployment._event_bus,
    "AWS::Events::Rule": Deployment._rule,
    "AWS::FSx::FileSystem": Deployment._file_system,
    "AWS::IAM::Role": Deployment._nothing,
    "AWS::Lambda::Function": Deployment._function,
    "AWS::Lambda::LayerVersion": Deployment._layer,
    "AWS::S3::Bucket": Deployment._bucket,
    "AWS::SNS::Topic": Deployment._topic,
    "AWS::SSM::Parameter": Deployment._parameter,
    "AWS::SecretsManager::Secret": Deployment._secret,
    "AWS::StepFunctions::StateMachine": Deployment._state_machine,
}
