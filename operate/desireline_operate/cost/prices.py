"""The list prices, as data; `prices.yaml` is the one place that knows them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

FILE = Path(__file__).with_name("prices.yaml")
MONTH_HOURS = 730


class Price(BaseModel):
    """usd for `per` of the unit. read: when the source was read last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: float
    per: float
    unit: str
    read: str
    source: str

    def of(self, count: float) -> float:
        """Dollars for so many."""
        return self.usd * count / self.per


class Standing(BaseModel):
    """Something that is paid all the time. price: its name; hourly: by the hour, else by the
    month."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    price: str
    count: int
    hourly: bool = False


class Prices(BaseModel):
    """All prices of a region, by name, and what stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    prices: dict[str, Price]
    floor: tuple[Standing, ...]

    def of(self, name: str, count: float) -> float:
        """Dollars for so many of this. Raises KeyError for what has no price."""
        return self.prices[name].of(count)

    def monthly(self, standing: Standing) -> float:
        """Dollars a month."""
        return self.of(standing.price, standing.count * (MONTH_HOURS if standing.hourly else 1))


@cache
def list_prices() -> Prices:
    """What `prices.yaml` says."""
    return Prices.model_validate(yaml.safe_load(FILE.read_text()))
