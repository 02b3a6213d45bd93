"""Customer-managed prefix lists, and the security groups that name them.

Not proven here: the seconds that a change takes; lists that are shared with other accounts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import alb, ec2, ecs, lambda_svc
from ministack.services.cloudformation import provisioners as stock

from ..refusals import RefusedError, answer, require

Properties = Mapping[str, Any]
Params = Mapping[str, list[str]]
Created = tuple[str, dict[str, Any]]
Response = tuple[int, Any, bytes]

#: "Inbound or outbound rules per security group", Amazon VPC quotas; a prefix list counts its maximum.
_RULES = 60

_stock_modify, _stock_delete = ec2._modify_managed_prefix_list, ec2._delete_managed_prefix_list


def create_list(_name: str, properties: Properties, _stack: str) -> Created:
    """Create a prefix list."""
    entries = properties.get("Entries", [])
    if len(entries) > int(properties["MaxEntries"]):
        raise RefusedError("PrefixListMaxEntriesExceeded: more entries than the list holds")
    params = {
        "PrefixListName": [properties["PrefixListName"]],
        "AddressFamily": [properties["AddressFamily"]],
        "MaxEntries": [str(properties["MaxEntries"])],
    }
    for number, entry in enumerate(entries, 1):
        params[f"Entry.{number}.Cidr"] = [entry["Cidr"]]
    before = set(ec2._prefix_lists)
    ec2._create_managed_prefix_list(params)
    [identifier] = set(ec2._prefix_lists) - before
    stock._ec2_apply_tags(identifier, properties)
    return identifier, _attributes(identifier)


def _attributes(identifier: str) -> dict[str, Any]:
    arn = ec2._prefix_lists[identifier]["PrefixListArn"]
    return {"PrefixListId": identifier, "Arn": arn, "OwnerId": get_account_id(), "Version": 1}


def update_list(identifier: str, _old: Properties, new: Properties, _stack: str) -> Created:
    """Rename a list, or change how much it holds; entries that a template does not name stay."""
    answer(
        modify_list(
            {
                "PrefixListId": [identifier],
                "PrefixListName": [new["PrefixListName"]],
                "MaxEntries": [str(new["MaxEntries"])],
            }
        )
    )
    return identifier, _attributes(identifier)


def delete_list(identifier: str, _properties: Properties) -> None:
    """Delete a list; refused while a security group names it."""
    if identifier in ec2._prefix_lists:
        answer(remove_list({"PrefixListId": [identifier]}))


def modify_list(params: Params) -> Response:
    """Answer ModifyManagedPrefixList, which wants the current version where entries change."""
    record = ec2._prefix_lists.get(params["PrefixListId"][0])
    if record is None:
        return _refused("InvalidPrefixListID.NotFound", "there is no such prefix list")
    added, removed = set(_cidrs(params, "AddEntry")), set(_cidrs(params, "RemoveEntry"))
    present = {entry["Cidr"] for entry in record["Entries"]}
    if added or removed:
        if params.get("CurrentVersion", [""])[0] != str(record["Version"]):
            return _refused("PrefixListVersionMismatch", f"the current version is {record['Version']}")
        if params.get("MaxEntries"):
            return _refused("InvalidParameterCombination", "entries and maximum change in separate calls")
        if len((present | added) - removed) > record["MaxEntries"]:
            return _refused("PrefixListMaxEntriesExceeded", f"it holds {record['MaxEntries']} entries")
        if added & present or removed - present:
            return _refused("InvalidParameterValue", "an added entry is there, or a removed one is not")
    response: Response = _stock_modify(params)
    return response


def remove_list(params: Params) -> Response:
    """Answer DeleteManagedPrefixList, which is refused while a security group or a route names the list."""
    identifier = params["PrefixListId"][0]
    users = [key for key, group in ec2._security_groups.items() if identifier in str(group)]
    users += [key for key, table in ec2._route_tables.items() if identifier in str(table["Routes"])]
    if users:
        return _refused("DependencyViolation", f"{identifier} is in use by {', '.join(users)}")
    response: Response = _stock_delete(params)
    return response


def _cidrs(params: Params, prefix: str) -> Iterator[str]:
    number = 1
    while f"{prefix}.{number}.Cidr" in params:
        yield params[f"{prefix}.{number}.Cidr"][0]
        number += 1


def _refused(code: str, message: str) -> Response:
    response: Response = ec2._error(code, message, 400)
    return response


def create_group(name: str, properties: Properties, stack: str) -> Created:
    """Create a security group; a rule of a prefix list counts as many rules as the list may have entries."""
    for member in ("SecurityGroupIngress", "SecurityGroupEgress"):
        weight = sum(map(_weight, properties.get(member) or []))
        if weight > _RULES:
            raise RefusedError(
                f"RulesPerSecurityGroupLimitExceeded: {weight} rules, a group has at most {_RULES}"
            )
    created: Created = stock._ec2_sg_create(name, dict(properties), stack)
    return created


def _weight(rule: Properties) -> int:
    identifier = rule.get("SourcePrefixListId") or rule.get("DestinationPrefixListId")
    if not identifier:
        return 1
    if identifier not in ec2._prefix_lists:
        # Lists of AWS's own, whose weight is listed in "AWS-managed prefix list weight": S3's is 1.
        return 1
    record = require(ec2._prefix_lists, identifier, "InvalidPrefixListID.NotFound")
    return int(record["MaxEntries"])


def delete_group(group: str, properties: Properties) -> None:
    """Delete a security group; refused while another group names it, or an interface has it."""
    users = [
        key
        for key, record in ec2._security_groups.items()
        if key != group and group in str(record["IpPermissions"]) + str(record["IpPermissionsEgress"])
    ]
    if users := users + list(_members(group)):
        raise RefusedError(f"DependencyViolation: resource {group} has a dependent object: {users[0]}")
    stock._ec2_sg_delete(group, dict(properties))


def _members(group: str) -> Iterator[str]:
    for store in (ec2._network_interfaces, ec2._instances, alb._lbs, lambda_svc._functions):
        for key, record in store.items():
            if group in str(record) and record.get("State", {}) != {"Code": 48, "Name": "terminated"}:
                yield key
    for key, service in ecs._services.items():
        if service["status"] == "ACTIVE" and group in str(service.get("networkConfiguration")):
            yield key


def delete_vpc(vpc: str, properties: Properties) -> None:
    """Delete a VPC; its peering connections go with it, on both sides."""
    stock._ec2_vpc_delete(vpc, dict(properties))
    for record in list(ec2._vpc_peering.values()):
        ends = (record["RequesterVpcInfo"]["VpcId"], record["AccepterVpcInfo"]["VpcId"])
        if vpc in ends and record["Status"]["Code"] in ("active", "pending-acceptance", "provisioning"):
            ec2._set_vpc_peering_status(record, "deleted", "Deleted by a VPC's owner")


HANDLERS = {
    "AWS::EC2::PrefixList": {"create": create_list, "update": update_list, "delete": delete_list},
}
OVERRIDES = {
    "AWS::EC2::SecurityGroup": {"create": create_group, "delete": delete_group},
    "AWS::EC2::VPC": {"delete": delete_vpc},
}
ACTIONS = {"ModifyManagedPrefixList": modify_list, "DeleteManagedPrefixList": remove_list}
