"""What is stored is encrypted with the Region's own key, whose policy opens it to this account only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testing.templates import resources_of, template

KEY = template("regional_stack/keys.yaml")["Resources"]["Key"]["Properties"]
STATEMENTS = {statement["Sid"]: statement for statement in KEY["KeyPolicy"]["Statement"]}
ACCOUNT = {"Ref": "AWS::AccountId"}
#: Path of the property that names the key, by type of resource.
ENCRYPTED = {
    "AWS::EFS::FileSystem": ("KmsKeyId",),
    "AWS::FSx::FileSystem": ("KmsKeyId",),
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::OpenSearchService::Domain": ("EncryptionAtRestOptions", "KmsKeyId"),
    "AWS::SNS::Topic": ("KmsMasterKeyId",),
    "AWS::SQS::Queue": ("KmsMasterKeyId",),
    "AWS::SageMaker::NotebookInstance": ("KmsKeyId",),
    "AWS::SecretsManager::Secret": ("KmsKeyId",),
}
#: A load balancer writes its access logs into a bucket that S3's own key encrypts, and into no other.
ACCESS_LOGS = "AccessLogsBucket"
#: The command `remove` empties this one, which exists before the function that empties the others.
PURGED = {"regional_stack/builder.yaml"}


def names_the_key(value: Any) -> bool:
    condition, key, otherwise = value["Fn::If"]
    from_nested, from_parameter = {"Fn::GetAtt": ["Keys", "Outputs.KeyArn"]}, {"Ref": "KeyArn"}
    return (
        condition == "CustomerKey"
        and key in (from_nested, from_parameter)
        and otherwise == {"Ref": "AWS::NoValue"}
    )


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_what_is_stored_names_the_customer_s_key(kind: str) -> None:
    for path, logical, properties in resources_of(kind):
        value: Any = properties
        for step in ENCRYPTED[kind]:
            assert step in value, f"{path}: {logical} has no {step}"
            value = value[step]
        assert names_the_key(value), f"{path}: {logical}"


def test_volumes_of_hosts_name_the_customer_s_key() -> None:
    volumes = [
        mapping["Ebs"]
        for _, _, properties in resources_of("AWS::EC2::LaunchTemplate")
        for mapping in properties["LaunchTemplateData"].get("BlockDeviceMappings", [])
    ]
    assert volumes
    for volume in volumes:
        assert volume["Encrypted"] is True
        assert names_the_key(volume["KmsKeyId"])


def test_buckets_are_encrypted_with_the_customer_s_key_and_a_bucket_key_but_for_access_logs() -> None:
    buckets = {logical: properties for _, logical, properties in resources_of("AWS::S3::Bucket")}
    assert "StagingBucket" in buckets
    for logical, properties in buckets.items():
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        if logical == ACCESS_LOGS:
            assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            continue
        condition, ours, _ = rule["Fn::If"]
        assert (condition, ours["BucketKeyEnabled"]) == ("CustomerKey", True), logical
        assert ours["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms", logical


def test_the_key_rotates_and_its_deletion_can_be_called_off_for_a_month() -> None:
    assert KEY["EnableKeyRotation"] is True
    assert KEY["PendingWindowInDays"] == 30


def test_data_are_decrypted_for_this_account_and_through_services_of_this_region_only() -> None:
    for sid in ("UseThroughServices", "GrantsForServices"):
        condition = STATEMENTS[sid]["Condition"]["StringEquals"]
        assert condition["kms:CallerAccount"] == ACCOUNT
        services = [service["Fn::Sub"] for service in condition["kms:ViaService"]]
        assert all(service.endswith(".${AWS::Region}.${AWS::URLSuffix}") for service in services)
    through, grants = (STATEMENTS[sid]["Condition"] for sid in ("UseThroughServices", "GrantsForServices"))
    assert through["StringEquals"] == grants["StringEquals"]
    assert grants["Bool"] == {"kms:GrantIsForAWSResource": True}


@pytest.mark.parametrize("sid", [sid for sid, each in STATEMENTS.items() if "Service" in each["Principal"]])
def test_a_service_uses_the_key_for_resources_of_this_account_only(sid: str) -> None:
    assert "${AWS::AccountId}" in json.dumps(condition := STATEMENTS[sid]["Condition"]) or (
        condition == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    )


def test_nobody_is_given_cryptographic_operations_by_the_account_alone() -> None:
    cryptographic = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"}
    assert not cryptographic & set(STATEMENTS["Administration"]["Action"])


def test_every_log_group_has_a_name_for_which_the_key_may_be_used() -> None:
    patterns = STATEMENTS["Logs"]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    prefixes = tuple(each["Fn::Sub"].rsplit("log-group:", 1)[1].rstrip("*") for each in patterns)
    for path, logical, properties in resources_of("AWS::Logs::LogGroup"):
        assert properties["LogGroupName"]["Fn::Sub"].startswith(prefixes), f"{path}: {logical}"


def test_every_bucket_is_emptied_before_it_is_deleted() -> None:
    emptied = [each["Id"] for _, _, each in resources_of("Custom::Release") if each["Kind"] == "bucket"]
    for path, logical, _ in resources_of("AWS::S3::Bucket"):
        if path not in PURGED:
            # A nested stack's bucket may be named by an output.
            nested = {"Fn::GetAtt": [Path(path).stem.title(), "Outputs.BucketName"]}
            assert {"Ref": logical} in emptied or nested in emptied, f"{path}: {logical}"
