"""Templates explain themselves, and agree with datasets.yaml, names.py and the state machines."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files as resource_files
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from dask_regions import config, names
from testing.templates import statements

ROOT = Path(__file__).parents[3]
PATHS = [ROOT / "template.yaml", *sorted((ROOT / "regional_stack").glob("*.yaml"))]
TEMPLATES: dict[str, dict[str, Any]] = {
    str(path.relative_to(ROOT)): yaml_parse(path.read_text()) for path in PATHS
}
CLIENT, REGIONAL = TEMPLATES["template.yaml"], TEMPLATES["regional_stack/template.yaml"]
WORKERS, SCHEDULER = TEMPLATES["regional_stack/workers.yaml"], TEMPLATES["regional_stack/scheduler.yaml"]
STATE_MACHINES = {
    path.name: json.loads(path.read_text()) for path in sorted((ROOT / "statemachines").glob("*.json"))
}
AUTHORIZATION = json.loads(
    (resource_files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json").read_text()
)
SYSTEM = "dask-regions"
#: One of these says what a number counts.
UNITS = re.compile(
    r"\b(seconds|days|count|MiB|GiB|MB/s|units|datapoints|number of ECS tasks)\b", re.IGNORECASE
)
#: And these what a text is.
KINDS = re.compile(r"\b(name|id|ids|ARNs?|block|address|tag|level|type)\b", re.IGNORECASE)


def parameters() -> list[Any]:
    return [
        pytest.param(parameter, id=f"{template}:{name}")
        for template, document in TEMPLATES.items()
        for name, parameter in document.get("Parameters", {}).items()
    ]


def resources(kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource.get("Properties", {})
        for document in TEMPLATES.values()
        for name, resource in document["Resources"].items()
        if resource["Type"] == kind
    }


def functions() -> dict[str, dict[str, Any]]:
    return resources("AWS::Serverless::Function")


def with_system_name(value: dict[str, str] | str, **more: str) -> str:
    """Resolve a Fn::Sub or a Ref of SystemName for the default name."""
    if isinstance(value, str):
        return value
    text = value.get("Fn::Sub") or "${" + value["Ref"] + "}"
    for name, replacement in {"SystemName": SYSTEM, **more}.items():
        text = text.replace("${" + name + "}", replacement)
    return text


def overrides(environment: str) -> dict[str, str]:
    samconfig = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return dict(
        pair.split("=", 1) for pair in samconfig[environment]["deploy"]["parameters"]["parameter_overrides"]
    )


@pytest.mark.parametrize("parameter", parameters())
def test_every_parameter_says_what_it_is_and_has_bounds(parameter: dict[str, Any]) -> None:
    unit = UNITS if parameter["Type"] == "Number" else KINDS
    assert unit.search(parameter["Description"])
    if "AWS::" in parameter["Type"]:
        return  # CloudFormation looks it up in the account
    bounds = {"AllowedValues"} & parameter.keys() or {
        "AllowedPattern",
        "MinValue",
        "MaxValue",
    } & parameter.keys()
    assert bounds in ({"AllowedValues"}, {"AllowedPattern"}, {"MinValue", "MaxValue"})


@pytest.mark.parametrize("parameter", parameters())
def test_every_default_is_within_its_bounds(parameter: dict[str, Any]) -> None:
    if "Default" not in parameter:
        return
    default = parameter["Default"]
    assert default in parameter.get("AllowedValues", [default])
    assert re.search(parameter.get("AllowedPattern", ""), str(default))
    assert parameter.get("MinValue", default) <= default <= parameter.get("MaxValue", default)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_output_is_described(template: str) -> None:
    assert [
        name for name, output in TEMPLATES[template]["Outputs"].items() if not output.get("Description")
    ] == []


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_statement_allows_every_action(template: str) -> None:
    wide = [
        action
        for statement in statements(TEMPLATES[template])
        if statement["Effect"] == "Allow"
        for action in actions(statement)
        if "*" in action
    ]
    assert wide == []


def actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def has_resources(action: str) -> bool:
    """Return whether IAM checks an action on a resource, as AWS's service authorization reference says."""
    service, name = action.lower().split(":")
    return bool(AUTHORIZATION[service]["Actions"][name].get("Resources"))


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_statement_for_every_resource_has_a_condition_or_cannot_name_one(template: str) -> None:
    allowed = [statement for statement in statements(TEMPLATES[template]) if statement["Effect"] == "Allow"]
    # A statement with a Principal is a resource's own policy; in a KMS key's, "*" is that key.
    everything = [
        s for s in allowed if s.get("Resource") == "*" and "Condition" not in s and "Principal" not in s
    ]
    assert [
        action for statement in everything for action in actions(statement) if has_resources(action)
    ] == []


@pytest.mark.parametrize("template", TEMPLATES)
def test_an_action_that_iam_checks_on_no_resource_is_not_denied_by_naming_one(template: str) -> None:
    named = [
        action
        for statement in statements(TEMPLATES[template])
        if statement["Effect"] == "Allow" and statement.get("Resource", "*") != "*"
        for action in actions(statement)
    ]
    assert [action for action in named if not has_resources(action)] == []


@pytest.mark.parametrize("outer", ["template.yaml", "regional_stack/template.yaml"])
def test_nested_stacks_get_exactly_the_parameters_they_declare(outer: str) -> None:
    for name, resource in TEMPLATES[outer]["Resources"].items():
        if resource["Type"] != "AWS::CloudFormation::Stack":
            continue
        path = (ROOT / outer).parent / resource["Properties"]["TemplateURL"]
        declared = TEMPLATES[str(path.relative_to(ROOT))]["Parameters"]
        assert resource["Properties"]["Parameters"].keys() == declared.keys(), name


def test_a_parameter_has_the_same_bounds_in_every_template() -> None:
    bounds: dict[str, set[str]] = {}
    for document in TEMPLATES.values():
        for name, parameter in document["Parameters"].items():
            limits = {key: value for key, value in parameter.items() if key not in ("Default", "Description")}
            bounds.setdefault(name, set()).add(json.dumps(limits, sort_keys=True))
    assert [name for name, different in bounds.items() if len(different) > 1] == []


def test_client_and_regional_stacks_default_to_the_same_values() -> None:
    shared = CLIENT["Parameters"].keys() & REGIONAL["Parameters"].keys()
    assert {"SystemName", "WorkersPerTask", "ThreadsPerWorker", "ImageTag"} <= shared
    for name in shared:
        assert CLIENT["Parameters"][name].get("Default") == REGIONAL["Parameters"][name].get("Default"), name


def test_the_scheduler_is_found_where_the_workers_look_for_it() -> None:
    (container,) = WORKERS["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    variables = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
    address = f"tcp://{names.scheduler_name(SYSTEM)}:{names.SCHEDULER_PORTS[0]}"
    assert with_system_name(variables["DASK_SCHEDULER_ADDRESS"]) == address
    assert with_system_name(CLIENT["Outputs"]["SchedulerAddress"]["Value"]) == address
    assert with_system_name(SCHEDULER["Outputs"]["SchedulerAddress"]["Value"]) == address


def test_alarms_watch_the_metrics_that_the_scheduler_publishes() -> None:
    alarms = {
        name: resource["Properties"]
        for name, resource in WORKERS["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    watched = {name: alarm["MetricName"] for name, alarm in alarms.items()}
    assert watched == {"TasksMissingAlarm": names.MISSING_METRIC, "TasksSurplusAlarm": names.SURPLUS_METRIC}
    for alarm in alarms.values():
        assert alarm["Namespace"] == names.METRIC_NAMESPACE
        assert alarm["Dimensions"] == [
            {"Name": names.SYSTEM_DIMENSION, "Value": {"Ref": "SystemName"}},
            {"Name": names.REGION_DIMENSION, "Value": {"Ref": "AWS::Region"}},
        ]
        assert alarm["Period"] == 10


def test_the_scheduler_may_publish_into_its_namespace_only() -> None:
    publishing = [s for s in statements(SCHEDULER) if s["Action"] == "cloudwatch:PutMetricData"]
    namespaces = [s["Condition"]["StringEquals"]["cloudwatch:namespace"] for s in publishing]
    assert namespaces == [names.METRIC_NAMESPACE]


def test_names_of_resources_are_those_of_the_package() -> None:
    def named(document: dict[str, Any], resource: str, key: str) -> str:
        return with_system_name(document["Resources"][resource]["Properties"][key])

    for document in (WORKERS, SCHEDULER):
        assert named(document, "Cluster", "ClusterName") == names.cluster_name(SYSTEM)
    assert named(WORKERS, "Service", "ServiceName") == names.service_name(SYSTEM)
    assert named(CLIENT, "SchedulerToken", "Name") == names.token_secret(SYSTEM)
    storage = TEMPLATES["regional_stack/storage.yaml"]
    assert named(storage, "FileSystemParameter", "Name") == names.file_system_parameter(SYSTEM)
    for name in ("ReadPoolFunction", "RetireWorkersFunction"):
        secret = functions()[name]["Environment"]["Variables"]["SCHEDULER_SECRET"]
        assert with_system_name(secret) == names.token_secret(SYSTEM)


def test_alarms_reach_the_bus_that_starts_scale_pool() -> None:
    target = WORKERS["Resources"]["AlarmRule"]["Properties"]["Targets"][0]["Arn"]
    bus = CLIENT["Resources"]["SchedulerBus"]["Properties"]["Name"]
    assert with_system_name(target).endswith(":event-bus/" + with_system_name(bus))
    (rule,) = CLIENT["Resources"]["ScalePoolStateMachine"]["Properties"]["Events"].values()
    assert rule["Properties"]["EventBusName"] == {"Ref": "SchedulerBus"}
    detail = rule["Properties"]["Pattern"]["detail"]
    assert detail["state"] == {"value": ["ALARM"]}
    alarms = [WORKERS["Resources"][name] for name in ("TasksMissingAlarm", "TasksSurplusAlarm")]
    assert detail["alarmName"] == [alarm["Properties"]["AlarmName"] for alarm in alarms]


def test_a_stack_that_was_deployed_starts_a_sync() -> None:
    events = CLIENT["Resources"]["SyncCatalogStateMachine"]["Properties"]["Events"]
    own, regional = (events[name]["Properties"] for name in ("Deployed", "RegionDeployed"))
    rule = REGIONAL["Resources"]["DeployedRule"]["Properties"]
    assert own["Pattern"] == rule["EventPattern"]
    assert rule["EventPattern"]["detail"]["stack-id"] == [{"Ref": "AWS::StackId"}]
    assert regional["EventBusName"] == {"Ref": "SchedulerBus"}
    assert regional["Pattern"].items() <= rule["EventPattern"].items()
    assert rule["Targets"][0]["Arn"] == WORKERS["Resources"]["AlarmRule"]["Properties"]["Targets"][0]["Arn"]
    assert {event["Properties"]["Input"] for event in events.values()} == {'{"wait": true}'}


def test_what_is_published_starts_a_sync() -> None:
    events = CLIENT["Resources"]["SyncCatalogStateMachine"]["Properties"]["Events"]
    # "Monitoring Parameter Store changes with EventBridge", AWS Systems Manager user guide.
    pattern = events["Published"]["Properties"]["Pattern"]
    assert (pattern["source"], pattern["detail-type"]) == (["aws.ssm"], ["Parameter Store Change"])
    (name,) = pattern["detail"]["name"]
    assert with_system_name(name) == names.configuration_parameter(SYSTEM)
    assert pattern["detail"]["operation"] == ["Update"]


def test_a_sync_may_look_for_others_of_its_state_machine_only() -> None:
    (listing,) = (each for each in statements(CLIENT) if each["Action"] == "states:ListExecutions")
    assert listing["Resource"]["Fn::Sub"].endswith(":stateMachine:*SyncCatalogStateMachine*")


def test_samconfig_has_an_environment_for_every_region() -> None:
    configuration = config.load(ROOT / "datasets.yaml")
    samconfig = tomllib.loads((ROOT / "samconfig.toml").read_text())
    regions = {
        "client" if region == configuration.client_region.name else region: region
        for region in (region.name for region in configuration.regions)
    }
    regions |= {f"images-{region}": region for region in regions.values()}
    regions |= {f"builder-{regions['client']}": regions["client"]}
    del samconfig["version"], samconfig["default"]  # the latter says how to build, not where to deploy
    deployed = {
        name: environment["deploy"]["parameters"]["region"] for name, environment in samconfig.items()
    }
    assert deployed == regions


def test_samconfig_agrees_with_datasets_yaml() -> None:
    configuration = config.load(ROOT / "datasets.yaml")
    buckets = sorted({dataset.bucket for dataset in configuration.copies})
    for region in configuration.regions:
        given = overrides("client" if region.client else region.name)
        assert given["Cidr"] == str(region.cidr)
        if region.client:
            arns = [f"arn:aws:s3:::{bucket}{end}" for bucket in buckets for end in ("", "/*")]
            assert given["DatasetBucketArns"].split(",") == arns
            continue
        assert region.pool is not None
        assert given["ClientRegion"] == configuration.client_region.name
        assert given["MaximumTasks"] == str(region.pool.maximum_tasks)
        assert given["ClientCidr"] == str(configuration.client_region.cidr)
        buckets_of_region = {dataset.bucket for dataset in configuration.datasets_of(region.name)}
        assert buckets_of_region == set(given["DatasetBuckets"].split(","))
        for dataset in configuration.datasets_of(region.name):
            assert f"{dataset.fsx_path}/".startswith(f"/fsx/{dataset.bucket}/")


@pytest.mark.parametrize(
    ("environment", "document"), [("client", CLIENT), ("us-west-2", REGIONAL), ("us-east-2", REGIONAL)]
)
def test_samconfig_gives_what_a_template_requires_within_its_bounds(
    environment: str, document: dict[str, Any]
) -> None:
    given, declared = overrides(environment), document["Parameters"]
    assert (
        {name for name, parameter in declared.items() if "Default" not in parameter}
        <= given.keys()
        <= declared.keys()
    )
    for name, value in given.items():
        for part in value.split(","):
            assert re.search(declared[name].get("AllowedPattern", ""), part), name


def test_every_function_folder_has_a_resource_and_the_other_way_round() -> None:
    folders = {f"functions/{path.parent.name}" for path in (ROOT / "functions").glob("*/app.py")}
    assert folders == {function["CodeUri"] for function in functions().values()}


def test_functions_that_open_the_catalog_mount_it_where_it_is_in_files() -> None:
    outputs = TEMPLATES["regional_stack/catalog.yaml"]["Outputs"]
    *_, in_files = outputs["Url"]["Value"]["Fn::If"]
    for name, function in functions().items():
        opens = function.get("Environment", {}).get("Variables", {}).get("CATALOG_URL")
        assert (opens is not None) == ("FileSystemConfigs" in function), name
        if opens:
            assert opens == {"Fn::GetAtt": ["Catalog", "Outputs.Url"]}
            condition, (mount,), otherwise = function["FileSystemConfigs"]["Fn::If"]
            assert (condition, otherwise) == ("CatalogInFiles", {"Ref": "AWS::NoValue"})
            assert in_files.startswith(f"sqlite:///{mount['LocalMountPath']}/")


@pytest.mark.parametrize("machine", resources("AWS::Serverless::StateMachine"))
def test_a_state_machine_may_invoke_exactly_the_functions_it_names(machine: str) -> None:
    properties = resources("AWS::Serverless::StateMachine")[machine]
    used = set(re.findall(r"\$\{(\w+)\}", (ROOT / properties["DefinitionUri"]).read_text()))
    given = properties["DefinitionSubstitutions"]
    assert used == given.keys()
    assert all(value == {"Fn::GetAtt": [name.removesuffix("Arn"), "Arn"]} for name, value in given.items())
    (statement,) = statements(properties["Policies"])
    assert statement["Action"] == "lambda:InvokeFunction"
    assert sorted(map(str, statement["Resource"])) == sorted(map(str, given.values()))


def test_every_state_machine_file_is_deployed() -> None:
    deployed = {
        Path(properties["DefinitionUri"]).name
        for properties in resources("AWS::Serverless::StateMachine").values()
    }
    assert deployed == STATE_MACHINES.keys()


def test_the_catalog_answers_every_route_of_a_stac_api() -> None:
    paths = CLIENT["Resources"]["CatalogApi"]["Properties"]["DefinitionBody"]["paths"]
    routes = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    item = "/collections/{collectionId}/items/{featureId}"
    assert {
        "GET /",
        "GET /conformance",
        "GET /collections",
        f"GET {item}",
        "GET /search",
        "POST /search",
    } <= routes


def test_lustre_s_servers_and_clients_reach_each_other() -> None:
    storage = TEMPLATES["regional_stack/storage.yaml"]["Resources"]["SecurityGroup"]["Properties"]
    hosts = WORKERS["Resources"]["HostSecurityGroup"]["Properties"]
    assert storage["SecurityGroupIngress"] == hosts["SecurityGroupIngress"]
