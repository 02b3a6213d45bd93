"""What docs/upstream.md shows of Dask is still so.

A failure after an upgrade is good news: look at the proposal, and at what it would replace here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dask_regions.placement.hooks.overrides import OVERRIDES

pytestmark = pytest.mark.xdist_group("placement")

DOCUMENT = Path(__file__).parents[2] / "docs" / "upstream.md"
_SHOWN = re.compile(r"```python\n(.*?)```\n```text\n(.*?)```", re.DOTALL)
_SHARE = re.compile(r"(\d+) of (\d+)")

_SECTIONS = dict(
    section.split("\n", 1) for section in DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]
)
PROPOSALS = {title: shown[0] for title, text in _SECTIONS.items() if (shown := _SHOWN.findall(text))}


def test_every_proposal_has_a_script() -> None:
    assert list(PROPOSALS) == [title for title, text in _SECTIONS.items() if "| Override |" in text]
    assert len(PROPOSALS) == 3


@pytest.mark.parametrize("title", PROPOSALS)
def test_a_table_lists_every_override_that_its_proposal_would_delete(title: str) -> None:
    listed = set(re.findall(r"^\| `(\S+)` \|", _SECTIONS[title], re.MULTILINE))
    changes = {override.upstream for override in OVERRIDES if override.target in listed}
    assert len(changes) == 1, f"{title}: the table of overrides names other changes of Dask: {changes}"
    assert listed == {override.target for override in OVERRIDES if override.upstream in changes}


@pytest.mark.parametrize("title", PROPOSALS)
def test_a_script_shows_on_stock_dask_what_is_below_it(title: str, tmp_path: Path) -> None:
    script, expected = PROPOSALS[title]
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "-W", "ignore", "script.py"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=240)
    assert _SHARE.sub("some", shown.stdout) == _SHARE.sub("some", expected)
    assert all(int(part) > 0 for part, _ in _SHARE.findall(shown.stdout)), shown.stdout
