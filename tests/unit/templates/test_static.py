"""What the static proofs of ``make check`` find, on definitions and builds that are wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testing.static import layers
from testing.static.state_machines import resolved
from testing.templates import read


def test_a_substitution_becomes_the_arn_of_a_function() -> None:
    text, problems = resolved('"${ReadArn}"', {"ReadArn": {}})
    assert text == '"arn:aws:lambda:eu-west-2:123456789012:function:ReadArn"'
    assert problems == []


def test_substitutions_that_are_missing_or_not_used_are_named() -> None:
    _, problems = resolved('"${ReadArn}"', {"WriteArn": {}})
    assert problems == [
        "the template does not give ${ReadArn}",
        "the template gives WriteArn, which is not used",
    ]


def built(directory: Path, layer_bytes: int) -> Path:
    (directory / "template.yaml").write_text("""
Globals: {Function: {Layers: [!Ref Core]}}
Resources:
  Core: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Core}}
  Readers: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Readers}}
  Read: {Type: AWS::Serverless::Function, Properties: {CodeUri: read, Layers: [!Ref Readers]}}
  Write: {Type: AWS::Serverless::Function, Properties: {CodeUri: write}}
""")
    for name, size in {"Core": layer_bytes, "Readers": 20, "read": 3, "write": 1}.items():
        (directory / name).mkdir()
        (directory / name / "file").write_bytes(bytes(size))
    return directory


def test_a_function_weighs_what_it_and_all_its_layers_do(tmp_path: Path) -> None:
    assert layers.weights(built(tmp_path, 100)) == {"Read": 123, "Write": 101}


def test_a_function_that_weighs_too_much_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = built(tmp_path, 100)
    monkeypatch.setattr(layers, "weights", lambda: dict.fromkeys(["Read"], layers.MAX_BYTES))
    assert layers.main() == 1
    assert capsys.readouterr().err == "Read and its layers have 250 MB unzipped; Lambda takes 250\n"
    (directory / "Readers" / "file").unlink()
    (directory / "Readers").rmdir()
    with pytest.raises(FileNotFoundError, match="run sam build first"):
        layers._bytes_of(directory / "Readers")


def test_every_check_that_a_template_skips_has_a_reason() -> None:
    skips = [
        (f"{path}:{name}", skip)
        for path, template in read().items()
        for name, resource in template["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert len(skips) >= 50
    assert [place for place, skip in skips if not re.fullmatch(r"[A-Z`].{20,}\.", skip["comment"])] == []
