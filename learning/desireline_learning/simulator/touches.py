"""Events of the simulated company, before a sender formats them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from desireline_learning.simulator.people import Account, Person


class Call(StrEnum):
    """The sender's call for a touch."""

    TRACK = "track"
    PAGE = "page"
    IDENTIFY = "identify"
    GROUP = "group"
    STRIPE = "stripe"


@dataclass(frozen=True, kw_only=True)
class Touch:
    """An action of a person, or an event of an account.

    at: epoch ms. id: the sender's id of the touch. name: of the canonical event; empty for calls
    that become no event. device: the anonymous id in use. identified: whether the sender knows the
    user. account: None if the sender does not know the account. session: touches of one session
    may be batched.
    """

    at: int
    id: str
    call: Call
    name: str
    person: Person
    device: str | None = None
    identified: bool = False
    account: Account | None = None
    session: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, str]:
        """The sort key: time, then id."""
        return (self.at, self.id)
