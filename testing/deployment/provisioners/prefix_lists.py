"""EC2: customer-managed prefix lists.

Not proven here: that a list is read where a security group or a route names it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2

Properties = Mapping[str, Any]


def create_list(_name: str, properties: Properties, _stack: str) -> tuple[str, dict[str, Any]]:
    """Create a customer-managed prefix list."""
    identifier = f"pl-{secrets.token_hex(9)[:17]}"
    arn = f"arn:aws:ec2:{get_region()}:{get_account_id()}:prefix-list/{identifier}"
    ec2._prefix_lists[identifier] = {
        "PrefixListId": identifier,
        "PrefixListName": properties["PrefixListName"],
        "State": "create-complete",
        "AddressFamily": properties["AddressFamily"],
        "MaxEntries": int(properties["MaxEntries"]),
        "Version": 1,
        "Entries": [dict(entry) for entry in properties.get("Entries", [])],
        "Tags": [],
        "OwnerId": get_account_id(),
        "PrefixListArn": arn,
    }
    return identifier, {"PrefixListId": identifier, "Arn": arn}


def keep_list(identifier: str, _old: Properties, _new: Properties, _stack: str) -> tuple[str, dict[str, Any]]:
    """Update a list; its entries are those that were written since, as where a template names none."""
    return identifier, {"PrefixListId": identifier, "Arn": ec2._prefix_lists[identifier]["PrefixListArn"]}


def delete_list(identifier: str, _properties: Properties) -> None:
    """Delete a list."""
    ec2._prefix_lists.pop(identifier, None)


HANDLERS = {"AWS::EC2::PrefixList": {"create": create_list, "update": keep_list, "delete": delete_list}}
