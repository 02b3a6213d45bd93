"""The price table: ``docs/cost/prices.yaml``."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from dask_regions.errors import ConfigurationError, NotFoundError

__all__ = ["Price", "Prices", "read_prices"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Model):
    """One list price.

    Attributes
    ----------
    usd
        US dollars in us-east-1 and us-west-2, and wherever no other is known.
    europe
        US dollars in European Regions, where they differ.
    per
        Unit.
    source
        AWS's page that has it.
    """

    usd: float = Field(gt=0)
    europe: float | None = Field(default=None, gt=0)
    per: str
    source: HttpUrl

    def of(self, region: str) -> float:
        """Return the price in a Region, in US dollars."""
        return self.europe if self.europe is not None and region.startswith("eu-") else self.usd


class Prices(_Model):
    """All prices, and the date on which they were noted."""

    date: date
    prices: dict[str, Price]

    def of(self, name: str, region: str) -> float:
        """Return a price by its name; raises NotFoundError where the table lacks it."""
        if name not in self.prices:
            raise NotFoundError(f"docs/cost/prices.yaml has no price {name}; add it, with its page")
        return self.prices[name].of(region)


def read_prices(path: Path) -> Prices:
    """Read the table.

    Raises
    ------
    ConfigurationError
        Where it cannot be read, or is wrong.
    """
    try:
        return Prices.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: {error}; correct it") from error
