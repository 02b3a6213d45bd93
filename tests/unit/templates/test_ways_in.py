"""How people reach scheduler, dashboard and catalog, and how a deployment that cannot work ends."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dask_regions import names
from testing.templates import ROOT, template

SYSTEM = "dask-regions"
CLIENT, SCHEDULER = template("template.yaml"), template("regional_stack/scheduler.yaml")


def with_system_name(value: dict[str, str], **more: str) -> str:
    text = value["Fn::Sub"]
    for name, replacement in {"SystemName": SYSTEM, **more}.items():
        text = text.replace("${" + name + "}", replacement)
    return text


def properties(document: dict[str, Any], logical: str) -> dict[str, Any]:
    values: dict[str, Any] = document["Resources"][logical]["Properties"]
    return values


def test_the_scheduler_is_published_where_the_package_looks_for_it() -> None:
    parameter = properties(SCHEDULER, "SchedulerParameter")
    assert with_system_name(parameter["Name"]) == names.scheduler_parameter(SYSTEM)
    value = json.loads(with_system_name(parameter["Value"], **{"Namespace.HostedZoneId": "Z1"}))
    assert value.keys() == {"address", "dashboard_url", "hosted_zone_id"}
    host = names.scheduler_name(SYSTEM)
    assert value["address"] == f"tcp://{host}:{names.SCHEDULER_PORTS[0]}"
    assert value["dashboard_url"] == f"http://{host}:{names.SCHEDULER_PORTS[1]}/status"
    assert value["hosted_zone_id"] == "Z1"


def test_the_api_is_published_where_the_package_looks_for_it() -> None:
    parameter = properties(CLIENT, "ApiParameter")
    assert with_system_name(parameter["Name"]) == names.api_parameter(SYSTEM)
    assert parameter["Value"] == CLIENT["Outputs"]["ApiUrl"]["Value"]


def test_a_scheduler_that_cannot_start_is_given_up_and_rolled_back() -> None:
    deployment = properties(SCHEDULER, "Service")["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def test_sessions_reach_the_scheduler_s_task() -> None:
    assert properties(SCHEDULER, "Service")["EnableExecuteCommand"] is True
    allowed = {
        action
        for policy in properties(SCHEDULER, "TaskRole")["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in (statement["Action"] if isinstance(statement["Action"], list) else [])
    }
    channels = {
        f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")
    }
    assert channels <= allowed


@pytest.mark.parametrize("path", ["regional_stack/scheduler.yaml", "regional_stack/workers.yaml"])
def test_the_log_group_of_container_insights_is_deleted_with_the_stack(path: str) -> None:
    document = template(path)
    group = properties(document, "InsightsLogGroup")["LogGroupName"]
    assert with_system_name(group) == f"/aws/ecs/containerinsights/{names.cluster_name(SYSTEM)}/performance"
    assert document["Resources"]["Cluster"]["DependsOn"] == "InsightsLogGroup"


def test_a_public_api_says_that_it_is_open_to_everybody() -> None:
    condition, signed, otherwise = CLIENT["Outputs"]["ApiAccess"]["Value"]["Fn::If"]
    assert (condition, "signed" in signed) == ("IamAccess", True)
    condition, token, public = otherwise["Fn::If"]
    assert (condition, "JwtIssuer" in token["Fn::Sub"]) == ("JwtAccess", True)
    assert "EVERYBODY" in public


def test_tokens_without_an_issuer_or_an_audience_are_refused() -> None:
    (rule,) = CLIENT["Rules"].values()
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "ApiAccess"}, "jwt"]}
    required = [each["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"] for each in rule["Assertions"]]
    assert required == ["JwtIssuer", "JwtAudience"]


def test_the_function_is_told_whom_the_gateway_lets_in() -> None:
    variables = properties(CLIENT, "ServeCatalogFunction")["Environment"]["Variables"]
    assert variables["API_ACCESS"] == {"Ref": "ApiAccess"}


def test_the_dashboard_s_balancer_is_internal_answers_the_client_vpc_only_and_logs() -> None:
    dashboard = template("regional_stack/dashboard.yaml")
    balancer = properties(dashboard, "LoadBalancer")
    attributes = {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}
    assert balancer["Scheme"] == "internal"
    assert attributes["access_logs.s3.enabled"] == "true"
    assert attributes["access_logs.s3.bucket"] == {"Ref": "AccessLogsBucket"}
    (ingress,) = properties(dashboard, "SecurityGroup")["SecurityGroupIngress"]
    (egress,) = properties(dashboard, "SecurityGroup")["SecurityGroupEgress"]
    assert ingress["CidrIp"] == egress["CidrIp"] == {"Ref": "Cidr"}
    assert egress["FromPort"] == egress["ToPort"] == names.SCHEDULER_PORTS[1]


def test_a_busy_scheduler_is_not_replaced_sooner_by_its_balancer_than_by_its_task() -> None:
    group = properties(template("regional_stack/dashboard.yaml"), "TargetGroup")
    (container,) = properties(SCHEDULER, "TaskDefinition")["ContainerDefinitions"]
    check = container["HealthCheck"]
    patience = group["HealthCheckIntervalSeconds"] * group["UnhealthyThresholdCount"]
    assert patience >= check["Interval"] * check["Retries"]
    assert check["Command"][-2:] == ["dask_regions.placement.processes.health", "scheduler"]
    assert (group["Port"], group["HealthCheckPath"]) == (names.SCHEDULER_PORTS[1], "/health")


def test_the_scheduler_registers_with_the_balancer_where_there_is_one() -> None:
    condition, (target,), otherwise = properties(SCHEDULER, "Service")["LoadBalancers"]["Fn::If"]
    assert (condition, otherwise) == ("Balanced", {"Ref": "AWS::NoValue"})
    assert target["TargetGroupArn"] == {"Ref": "DashboardTargetGroupArn"}
    given = properties(CLIENT, "Scheduler")["Parameters"]["DashboardTargetGroupArn"]
    assert given == {"Fn::If": ["Balanced", {"Fn::GetAtt": ["Dashboard", "Outputs.TargetGroupArn"]}, ""]}


def test_the_laptop_s_page_signs_requests_as_they_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/laptop.md").read_text(), re.DOTALL)
    definitions, *_ = code.partition("\ncatalog = ")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "key",
        "CLIENT": "eu-west-2",
    }.items():
        monkeypatch.setenv(name, value)
    page: dict[str, Any] = {}
    exec(definitions, page)
    request = requests.Request("POST", "https://a1.execute-api.example.org/search", json={"q": ["air"]})
    page["sign"](request)
    sent = requests.Session().prepare_request(request)
    resigned = AWSRequest(
        sent.method, sent.url, data=sent.body, headers={"X-Amz-Date": sent.headers["X-Amz-Date"]}
    )
    resigned.context["timestamp"] = sent.headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials("AKID", "key"), "execute-api", "eu-west-2")
    expected = signer.signature(signer.string_to_sign(resigned, signer.canonical_request(resigned)), resigned)
    assert str(sent.headers["Authorization"]).endswith(f"Signature={expected}")


def test_the_laptop_s_target_is_the_container_of_the_task_definition() -> None:
    page = (ROOT / "docs/laptop.md").read_text()
    (container,) = properties(SCHEDULER, "TaskDefinition")["ContainerDefinitions"]
    assert f"containers[?name=='{container['Name']}']" in page
    assert "--service-name $SYSTEM-scheduler" in page
    assert properties(SCHEDULER, "Service")["ServiceName"] == {"Fn::Sub": "${SystemName}-scheduler"}
