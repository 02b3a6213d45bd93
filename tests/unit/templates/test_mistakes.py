"""Every mistake that the list of cases names is seeded, and what looks for it is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testing.deployment.seeded import MISTAKES

ROOT = Path(__file__).parents[3]


def test_every_listed_mistake_is_seeded_once() -> None:
    text = (ROOT / "tests" / "deployment" / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (M\d+) \| (.*?) \| \w+", text, re.MULTILINE))
    assert len(listed) >= 28
    assert {mistake.number: mistake.text for mistake in MISTAKES} == listed
    assert len(MISTAKES) == len(listed)


@pytest.mark.parametrize("file", sorted({m.check[-1] for m in MISTAKES if m.check[0] == "pytest"}))
def test_the_tests_that_are_to_catch_mistakes_are_there(file: str) -> None:
    assert (ROOT / file).is_file()
