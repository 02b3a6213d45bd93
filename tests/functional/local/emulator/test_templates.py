"""Templates are read as CloudFormation reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_regions.errors import ConfigurationError
from dask_regions_local.emulator.templates import Resource, Stack, read_template, transform

TEMPLATE = """
Parameters:
  Cidr: {Type: String}
  Size: {Type: Number, Default: 2}
  Names: {Type: CommaDelimitedList, Default: "a,b"}
Conditions:
  Large: !Not [!Equals [!Ref Size, 2]]
Mappings:
  Sizes: {eu-west-2: {small: s}}
Resources:
  User:
    Type: Test::User
    Properties:
      Thing: !Ref Thing
      Arn: !GetAtt Thing.Arn
      Text: !Sub ${Thing}-${AWS::Region}-${Thing.Arn}-${!Literal}
      Second: !Select [1, !Cidr [!Ref Cidr, 2, 8]]
      Joined: !Join ["/", !Ref Names]
      Mapped: !FindInMap [Sizes, !Ref "AWS::Region", small]
      Chosen: !If [Large, large, !Ref "AWS::NoValue"]
      Zone: !Select [0, !GetAZs ""]
      Parts: !Split [",", "x,y"]
  Thing: {Type: Test::Thing}
  Never: {Type: Test::Never, Condition: Large}
Outputs:
  Thing: {Value: !Ref Thing}
"""


def deploy(tmp_path: Path, text: str = TEMPLATE, **parameters: str) -> tuple[list[Any], dict[str, Any]]:
    """Deploy a template; return the resources in the order of their creation, and the outputs."""
    path = tmp_path / "template.yaml"
    path.write_text(text)
    created: list[Any] = []

    def create(_stack: Stack, logical: str, kind: str, properties: dict[str, Any]) -> Resource:
        created.append((kind, properties))
        return Resource(f"id-of-{logical}", {"Arn": f"arn-of-{logical}"})

    stack = Stack("name", "eu-west-2", read_template(path), parameters, create)
    return created, stack.deploy()


def test_intrinsic_functions_are_resolved_and_resources_created_before_their_users(tmp_path: Path) -> None:
    created, outputs = deploy(tmp_path, Cidr="10.1.0.0/16", Unknown="ignored")
    assert [kind for kind, _ in created] == ["Test::Thing", "Test::User"]
    assert created[1][1] == {
        "Thing": "id-of-Thing",
        "Arn": "arn-of-Thing",
        "Text": "id-of-Thing-eu-west-2-arn-of-Thing-${Literal}",
        "Second": "10.1.1.0/24",
        "Joined": "a/b",
        "Mapped": "s",
        "Zone": "eu-west-2a",
        "Parts": ["x", "y"],
    }
    assert outputs == {"Thing": "id-of-Thing"}


def test_parameters_decide_conditions(tmp_path: Path) -> None:
    created, _ = deploy(tmp_path, Cidr="10.1.0.0/16", Size="3")
    assert [kind for kind, _ in created] == ["Test::Thing", "Test::User", "Test::Never"]
    assert created[1][1]["Chosen"] == "large"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEMPLATE, "no value for Cidr"),
        ("Resources: {A: {Type: T, Properties: {B: !Ref C}}}", "C is neither a parameter nor a resource"),
        ("Resources: {A: {Type: T, Properties: {B: !Ref A}}}", "A refers to itself"),
        ("Resources: {A: {Type: T, Properties: {B: {'Fn::Length': []}}}}", "does not know Fn::Length"),
    ],
)
def test_a_mistake_is_named_with_its_stack(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        deploy(tmp_path, text)


def test_sam_is_transformed_and_artefacts_are_found_beside_the_template(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("""
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.13, Handler: app.handler}}
Resources:
  AFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/a
      Events: {Get: {Type: HttpApi, Properties: {Method: GET, Path: /a}}}
""")
    resources = transform(read_template(path), {}, "eu-west-2")["Resources"]
    code = resources["AFunction"]["Properties"]["Code"]
    assert code == {"S3Bucket": "local", "S3Key": str(tmp_path / "functions" / "a")}
    assert "/a" in resources["ServerlessHttpApi"]["Properties"]["Body"]["paths"]


def test_a_sam_mistake_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("""
Transform: AWS::Serverless-2016-10-31
Resources: {A: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.13}}}
""")
    with pytest.raises(ConfigurationError, match="correct it"):
        transform(read_template(path), {}, "eu-west-2")
