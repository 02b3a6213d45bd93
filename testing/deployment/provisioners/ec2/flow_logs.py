"""VPC flow logs.

Not proven here: that a log has records.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import ec2

from ..refusals import RefusedError, require

Properties = Mapping[str, Any]
Created = tuple[str, dict[str, Any]]

flow_logs: AccountRegionScopedDict = AccountRegionScopedDict()


def create_flow_log(_logical: str, properties: Properties, _stack: str) -> Created:
    """Log the traffic of a VPC to a log group; a second log to one group is refused."""
    resource, group = properties["ResourceId"], properties.get("LogGroupName")
    require(ec2._vpcs, resource, "InvalidVpcID.NotFound")
    if group and not properties.get("DeliverLogsPermissionArn"):
        raise RefusedError("InvalidParameter: DeliverLogsPermissionArn can't be empty")
    if any(
        (each["ResourceId"], each.get("LogGroupName")) == (resource, group) for each in flow_logs.values()
    ):
        raise RefusedError("FlowLogAlreadyExists: there is an existing Flow Log with the same configuration")
    flow_log = f"fl-{secrets.token_hex(9)[:17]}"
    flow_logs[flow_log] = dict(properties)
    return flow_log, {"Id": flow_log}


def delete_flow_log(flow_log: str, _properties: Properties) -> None:
    """End a flow log."""
    flow_logs.pop(flow_log, None)


HANDLERS = {"AWS::EC2::FlowLog": {"create": create_flow_log, "delete": delete_flow_log}}
