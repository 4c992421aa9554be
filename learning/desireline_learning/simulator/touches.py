"""What happens, before any sender puts it into its own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from desireline_learning.simulator.people import Account, Person


class Call(StrEnum):
    """How the sender reports it."""

    TRACK = "track"
    PAGE = "page"
    IDENTIFY = "identify"
    GROUP = "group"
    STRIPE = "stripe"


@dataclass(frozen=True, kw_only=True)
class Touch:
    """One thing that one person did, or that was done for an account.

    at: epoch ms. id: the sender's own id for it. name: the canonical event's name; empty for calls
    that are no event of their own. device: the anonymous id in use. known: whether the sender knew
    the user, in_account: whether it knew the account. session: touches that may be batched.
    """

    at: int
    id: str
    call: Call
    name: str
    person: Person
    device: str | None = None
    known: bool = False
    account: Account | None = None
    session: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, str]:
        """By time; the id decides between equal times."""
        return (self.at, self.id)
