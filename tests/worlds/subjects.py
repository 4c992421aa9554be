"""Rows of persons and of what was counted for them."""

from __future__ import annotations

from desireline.adapters.memory import MemoryStore
from desireline.journey.state import JourneyState
from desireline.rows import PersonRow, Put, StateRow


def counted(store: MemoryStore, fragment: str, account: str = "-", number: int = 1) -> None:
    store.write(
        Put(
            StateRow(
                fragment=fragment,
                account=account,
                state=JourneyState(counts={"x": number}, latest=number),
            )
        )
    )


def person(
    store: MemoryStore, fragment: str, *aliases: str, subject: str = "", into: str | None = None
) -> None:
    store.write(
        Put(
            PersonRow(
                fragment=fragment,
                subject=subject or fragment,
                aliases=tuple(f"user#{one}" for one in (fragment, *aliases)),
                merged_into=into,
            )
        )
    )
