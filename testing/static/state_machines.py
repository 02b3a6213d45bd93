"""Validate state machines as the templates fill them in: ``python -m testing.static.state_machines``.

``asl-validator`` knows the language; that the template gives every substitution, and no other, is looked
at here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from testing.templates import ROOT, read, resources

__all__ = ["check", "main", "resolved"]

_VALIDATOR = ROOT / ".cache" / "asl-validator"
_SUBSTITUTION = re.compile(r"\$\{(\w+)\}")
_FUNCTION_ARN = "arn:aws:lambda:eu-west-2:123456789012:function:"


def resolved(text: str, substitutions: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return a state machine with every substitution made, and what is wrong with these.

    Parameters
    ----------
    text
        A definition in the Amazon States Language, with ``${Name}`` in its texts.
    substitutions
        ``DefinitionSubstitutions`` of its resource; each becomes the ARN of some function.
    """
    used = set(_SUBSTITUTION.findall(text))
    problems = [f"the template does not give ${{{name}}}" for name in sorted(used - substitutions.keys())]
    problems += [
        f"the template gives {name}, which is not used" for name in sorted(substitutions.keys() - used)
    ]
    return _SUBSTITUTION.sub(lambda match: f"{_FUNCTION_ARN}{match[1]}", text), problems


def check(root: Path = ROOT) -> Iterator[str]:
    """Yield what is wrong with the state machines of a checkout."""
    with tempfile.TemporaryDirectory() as directory:
        files: list[Path] = []
        for template, name, properties in resources(read(root), "AWS::Serverless::StateMachine"):
            definition = root / Path(template).parent / properties["DefinitionUri"]
            text = definition.read_text(encoding="utf-8")
            text, problems = resolved(text, properties.get("DefinitionSubstitutions", {}))
            yield from (f"{template}, {name}: {problem}" for problem in problems)
            files.append(Path(directory, definition.name))
            files[-1].write_text(text, encoding="utf-8")
        program = [str(_VALIDATOR / "node"), str(_VALIDATOR / "node_modules" / ".bin" / "asl-validator")]
        for file in files:
            # One at a time: of several, asl-validator looks at the first.
            command = [*program, "--json-path", str(file)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                yield (done.stdout + done.stderr).replace(f"{directory}/", "statemachines/")


def main() -> int:
    """Print what is wrong; returns the exit code."""
    problems = list(check())
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
