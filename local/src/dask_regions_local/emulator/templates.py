"""Read the deployed templates: SAM transformed, and CloudFormation's intrinsic functions resolved."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boto3 import Session
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.parser.parser import Parser
from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.public.translator import Translator
from samtranslator.yaml_helper import yaml_parse
from yaml import YAMLError

from dask_regions.errors import ConfigurationError

__all__ = ["ACCOUNT", "Resource", "Stack", "read_template"]

ACCOUNT = "123456789012"
_NO_VALUE = object()
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")
#: Errors in which a property that is missing or of the wrong kind ends, here or in the emulation of AWS.
_REFUSALS = (
    AttributeError,
    BotoCoreError,
    ClientError,
    IndexError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
)
#: SAM wants artefacts in S3, where `sam package` puts them; here the key is the path itself.
_ARTEFACTS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}


def read_template(path: Path) -> dict[str, Any]:
    """Read a template; artefacts get absolute paths, as S3 keys below the bucket ``local``.

    Raises
    ------
    ConfigurationError
        Where there is none, or it is no template.
    """
    template = _parse(path)
    common = template.get("Globals", {}).get("Function", {})
    for name, resource in template.get("Resources", {}).items():
        artefact = _ARTEFACTS.get(resource["Type"])
        properties = resource.setdefault("Properties", {})
        if artefact == "CodeUri":
            properties.setdefault("CodeUri", common.get("CodeUri"))
        if artefact and isinstance(properties.get(artefact), str):
            key = str((path.parent / properties[artefact]).resolve())
            key = f"{name}={key}" if artefact == "ContentUri" else key
            properties[artefact] = {"Bucket": "local", "Key": key}
        location = {"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}
        where = location.get(resource["Type"])
        if where is not None and isinstance(properties.get(where), str):
            properties[where] = str((path.parent / properties[where]).resolve())
    return template


def _parse(path: Path) -> dict[str, Any]:
    try:
        template: Any = yaml_parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); restore it") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not YAML ({error}); correct it") from error
    resources = template.get("Resources") if isinstance(template, dict) else None
    if not isinstance(resources, dict):
        raise ConfigurationError(f"{path}: has no Resources; restore it")
    wrong = [name for name, resource in resources.items() if not _is_resource(resource)]
    if wrong:
        raise ConfigurationError(
            *(f"{path}: {name} is no resource; give it a Type, and Properties by name" for name in wrong)
        )
    return dict(template)


def _is_resource(node: Any) -> bool:
    return isinstance(node, dict) and "Type" in node and isinstance(node.get("Properties", {}), dict)


def transform(template: dict[str, Any], parameters: Mapping[str, str], region: str) -> dict[str, Any]:
    """Apply the SAM transform where the template asks for it."""
    if "Serverless" not in str(template.get("Transform")):
        return template
    translator = Translator({}, Parser(), boto_session=Session(region_name=region))
    try:
        result: dict[str, Any] = translator.translate(template, parameter_values=dict(parameters))
    except InvalidDocumentException as error:
        causes = (cause.message for cause in error.causes)
        raise ConfigurationError(*(f"template: {cause}; correct it" for cause in causes)) from error
    return result


@dataclass(frozen=True)
class Resource:
    """What a resource is known as: ``Ref``, and ``Fn::GetAtt`` by attribute."""

    ref: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Stack:
    """One stack of one Region: a transformed template with its parameters.

    Resources are created on first reference, which is the order that CloudFormation finds too.

    Parameters
    ----------
    name, region
        Name of the stack and where it is deployed.
    template
        As :func:`read_template` returns it.
    parameters
        Values by name; those that the template does not declare are ignored.
    create
        Makes a resource: called with this stack, logical id, type and resolved properties.
    """

    def __init__(
        self,
        name: str,
        region: str,
        template: dict[str, Any],
        parameters: Mapping[str, str],
        create: Callable[[Stack, str, str, dict[str, Any]], Resource],
    ) -> None:
        declared = template.get("Parameters", {})
        self.name, self.region, self._create = name, region, create
        values = {key: str(spec["Default"]) for key, spec in declared.items() if "Default" in spec}
        values |= {key: str(value) for key, value in parameters.items() if key in declared}
        if missing := declared.keys() - values.keys():
            raise ConfigurationError(
                f"stack {name} in {region}: no value for {', '.join(sorted(missing))}; "
                "give the parameter a Default, or pass it in dask_regions_local.emulator.system"
            )
        self._template = transform(template, values, region)
        self._lists = {key for key, spec in declared.items() if "List" in spec["Type"]}
        self._known: dict[str, Any] = values | {
            "AWS::Region": region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": name,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{name}/local",
            "AWS::NoValue": _NO_VALUE,
        }
        self._resources: dict[str, Resource | None] = {}

    def deploy(self) -> dict[str, Any]:
        """Create every resource whose condition holds; return the outputs."""
        for logical in self._template.get("Resources", {}):
            self._resource(logical)
        outputs = self._template.get("Outputs", {})
        return {
            name: self.resolve(output["Value"])
            for name, output in outputs.items()
            if self._holds(output.get("Condition"))
        }

    def _holds(self, condition: str | None) -> bool:
        return condition is None or bool(self.resolve(self._template["Conditions"][condition]))

    def _resource(self, logical: str) -> Resource:
        if logical not in self._resources:
            try:
                spec = self._template["Resources"][logical]
            except KeyError:
                raise self._mistake(f"{logical} is neither a parameter nor a resource") from None
            self._resources[logical] = None
            try:
                self._resources[logical] = self._made(logical, spec)
            except _REFUSALS as error:
                raise self._mistake(f"{logical} cannot be made ({type(error).__name__}: {error})") from error
        resource = self._resources[logical]
        if resource is None:
            raise self._mistake(f"{logical} refers to itself")
        return resource

    def _made(self, logical: str, spec: Mapping[str, Any]) -> Resource:
        if not self._holds(spec.get("Condition")):
            return Resource(logical)
        return self._create(self, logical, spec["Type"], self.resolve(spec.get("Properties", {})))

    def resolve(self, value: Any) -> Any:
        """Replace intrinsic functions by their values, all the way down."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if (
                name == "Ref"
                or name.startswith("Fn::")
                or (name == "Condition" and isinstance(argument, str))
            ):
                function = _FUNCTIONS.get(name)
                if function is None:
                    raise self._mistake(f"local mode does not know {name}; add it to templates.py")
                return function(self, argument)
        items = ((key, self.resolve(item)) for key, item in value.items())
        return {key: item for key, item in items if item is not _NO_VALUE}

    def _mistake(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"stack {self.name} in {self.region}: {what}; correct the template")

    def _ref(self, name: str) -> Any:
        if name in self._known:
            value = self._known[name]
            return [part.strip() for part in value.split(",")] if name in self._lists else value
        return self._resource(name).ref

    def _get_att(self, argument: str | list[str]) -> Any:
        logical, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        resource = self._resource(logical)
        if attribute in resource.attributes:
            return resource.attributes[attribute]
        if attribute.endswith("Arn"):
            return f"arn:aws:local:{self.region}:{ACCOUNT}:{resource.ref}"
        return f"{resource.ref}.{attribute}.local"

    def _sub(self, argument: str | list[Any]) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return str(self.resolve(variables[name]))
            known = "." not in name or name in self._known
            return str(self._ref(name) if known else self._get_att(name))

        return _PLACEHOLDER.sub(value, text)

    def _cidr(self, argument: list[Any]) -> list[str]:
        block, count, bits = self.resolve(argument)
        subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
        return [str(subnet) for subnet, _ in zip(subnets, range(int(count)), strict=False)]

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = self.resolve(argument)
        try:
            return self._template["Mappings"][name][first][second]
        except KeyError:
            raise self._mistake(f"no {name}.{first}.{second} in Mappings") from None

    def _if(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self.resolve(yes if self._holds(condition) else no)


_FUNCTIONS: dict[str, Callable[[Stack, Any], Any]] = {
    "Ref": Stack._ref,
    "Condition": Stack._holds,
    "Fn::GetAtt": Stack._get_att,
    "Fn::Sub": Stack._sub,
    "Fn::If": Stack._if,
    "Fn::Cidr": Stack._cidr,
    "Fn::FindInMap": Stack._find_in_map,
    "Fn::Join": lambda stack, arg: str(arg[0]).join(map(str, stack.resolve(arg[1]))),
    "Fn::Split": lambda stack, arg: str(stack.resolve(arg[1])).split(arg[0]),
    "Fn::Select": lambda stack, arg: stack.resolve(arg[1])[int(stack.resolve(arg[0]))],
    "Fn::GetAZs": lambda stack, _: [f"{stack.region}{letter}" for letter in "abc"],
    "Fn::Base64": lambda stack, arg: base64.b64encode(str(stack.resolve(arg)).encode()).decode(),
    "Fn::Equals": lambda stack, arg: str(stack.resolve(arg[0])) == str(stack.resolve(arg[1])),
    "Fn::Not": lambda stack, arg: not stack.resolve(arg[0]),
    "Fn::And": lambda stack, arg: all(map(stack.resolve, arg)),
    "Fn::Or": lambda stack, arg: any(map(stack.resolve, arg)),
}
