"""The notebook's side: connect to a scheduler, open datasets, meter transfers."""

from __future__ import annotations
