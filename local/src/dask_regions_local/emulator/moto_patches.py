"""What moto 5.2.5 lacks and local mode needs, in one table; ``tests/contract`` has a test of each patch.

Everything is undone when the context is left.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.events.models import Rule
from moto.events.utils import EventTemplateParser
from moto.fsx.responses import FSxResponse

__all__ = ["PATCHES", "Hooks", "Patch", "applied"]


@dataclass(frozen=True)
class Hooks:
    """What the patches call.

    Attributes
    ----------
    invoke
        Region, function name, event and whether not to wait: (failed, result).
    deliver
        ARN of a Lambda function or state machine, and the event for it; must not block.
    create_task, describe_tasks
        Region and request of FSx's data repository tasks: response.
    list_tasks, protect
        Request of ECS, with ``region`` added: ARNs of the tasks.
    """

    invoke: Callable[[str, str, bytes, bool], tuple[bool, bytes]]
    deliver: Callable[[str, Any], None]
    create_task: Callable[[str, dict[str, Any]], dict[str, Any]]
    describe_tasks: Callable[[str, dict[str, Any]], dict[str, Any]]
    list_tasks: Callable[[dict[str, Any]], list[str]]
    protect: Callable[[dict[str, Any]], list[str]]


@dataclass(frozen=True)
class Patch:
    """A method of moto that is replaced, or added where moto has none.

    Attributes
    ----------
    owner, name
        Class of moto, and its method.
    replacement
        Makes the method that calls the hooks; takes the hooks.
    """

    owner: type[Any]
    name: str
    replacement: Callable[[Hooks], Callable[..., Any]]


#: Services to which rules deliver by way of :attr:`Hooks.deliver`.
_DELIVERED = ("lambda", "sns", "states")


@contextlib.contextmanager
def applied(hooks: Hooks) -> Iterator[None]:
    """Patch moto for a while."""
    with contextlib.ExitStack() as stack:
        for each in PATCHES:
            stack.enter_context(patch.object(each.owner, each.name, each.replacement(hooks), create=True))
        yield


def _invoke(hooks: Hooks) -> Callable[..., bytes]:
    """Lambda without Docker runs nothing in moto: it echoes the event."""

    def invoke(
        self: Any, function_name: str, qualifier: str | None, body: Any, headers: Any, response_headers: Any
    ) -> bytes:
        name = self.get_function(function_name, qualifier).function_name
        event = body if isinstance(body, bytes) else (body or "{}").encode()
        wait = (headers or {}).get("X-Amz-Invocation-Type") != "Event"
        failed, result = hooks.invoke(self.region_name, name, event, wait)
        if failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return result

    return invoke


def _send_to_targets(hooks: Hooks) -> Callable[..., None]:
    """EventBridge has neither Lambda, Step Functions nor SNS among its targets; moto raises for them."""
    original = Rule.send_to_targets

    def send_to_targets(self: Any, original_event: Any, transform_input: bool = True) -> None:
        # A rule with a schedule alone waits for no event; moto lets it match all.
        if not self.event_pattern.get_pattern() or not self.event_pattern.matches_event(original_event):
            return
        ours = [target for target in self.targets if target["Arn"].split(":")[2] in _DELIVERED]
        for target in ours:
            transformer = target.get("InputTransformer", {})
            event = (
                json.loads(target["Input"])
                if target.get("Input")
                else EventTemplateParser.parse(
                    input_template=transformer.get("InputTemplate"),
                    input_paths_map=transformer.get("InputPathsMap", {}),
                    event=original_event,
                )
            )
            hooks.deliver(target["Arn"], event)
        rest = [target for target in self.targets if target not in ours]
        if rest:
            with patch.object(self, "targets", rest):
                original(self, original_event, transform_input)

    return send_to_targets


def _fsx(answer: Callable[[str, dict[str, Any]], dict[str, Any]]) -> Callable[..., str]:
    """FSx has no data repository tasks."""

    def respond(self: Any) -> str:
        return json.dumps(answer(self.region, json.loads(self.body)))

    return respond


def _list_tasks(hooks: Hooks) -> Callable[..., ActionResult]:
    """ECS services run no tasks in moto."""

    def list_tasks(self: Any) -> ActionResult:
        request = {"serviceName": self._get_param("serviceName"), "region": self.region}
        return ActionResult({"taskArns": hooks.list_tasks(request)})

    return list_tasks


def _update_task_protection(hooks: Hooks) -> Callable[..., ActionResult]:
    """ECS has no scale-in protection of tasks."""

    def update_task_protection(self: Any) -> ActionResult:
        keys = ("tasks", "protectionEnabled", "expiresInMinutes")
        request = {key: self._get_param(key) for key in keys} | {"region": self.region}
        arns = hooks.protect(request)
        missing = [task for task in request["tasks"] if not any(arn.endswith(task) for arn in arns)]
        return ActionResult(
            {
                "protectedTasks": [
                    {"taskArn": arn, "protectionEnabled": request["protectionEnabled"]} for arn in arns
                ],
                "failures": [{"arn": task, "reason": "MISSING"} for task in missing],
            }
        )

    return update_task_protection


#: Every patch of moto, in the order in which they are applied.
PATCHES = (
    Patch(LambdaSimpleBackend, "invoke", _invoke),
    Patch(Rule, "send_to_targets", _send_to_targets),
    Patch(FSxResponse, "create_data_repository_task", lambda hooks: _fsx(hooks.create_task)),
    Patch(FSxResponse, "describe_data_repository_tasks", lambda hooks: _fsx(hooks.describe_tasks)),
    Patch(EC2ContainerServiceResponse, "list_tasks", _list_tasks),
    Patch(EC2ContainerServiceResponse, "update_task_protection", _update_task_protection),
)
