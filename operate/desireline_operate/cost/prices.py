"""The list prices, read from `prices.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

FILE = Path(__file__).with_name("prices.yaml")
MONTH_HOURS = 730


class Price(BaseModel):
    """A list price: usd for `per` units. read: the day on which the source was last read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: float
    per: float
    unit: str
    read: str
    source: str

    def of(self, count: float) -> float:
        """Return the dollars for a number of units."""
        return self.usd * count / self.per


class StandingCost(BaseModel):
    """A cost without any traffic. price: the name of its price. hourly: billed by the hour, else
    by the month."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: str
    price: str
    count: int
    hourly: bool = False


class Prices(BaseModel):
    """All prices of a region by name, and its standing costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    prices: dict[str, Price]
    floor: tuple[StandingCost, ...]

    def of(self, name: str, count: float) -> float:
        """Return the dollars for a number of units. Raises KeyError for an unknown price."""
        return self.prices[name].of(count)

    def monthly(self, standing: StandingCost) -> float:
        """Return a standing cost in dollars per month."""
        return self.of(standing.price, standing.count * (MONTH_HOURS if standing.hourly else 1))


@cache
def list_prices() -> Prices:
    """Read `prices.yaml`."""
    return Prices.model_validate(yaml.safe_load(FILE.read_text()))
