"""Crossings: what differs between two assessments, and which levels that passes.

Apart from scoring, since whoever announces or starts something needs these and no model.
"""

from __future__ import annotations

from desireline.events import Assessment, Crossing, Tier

LEVELS = {Tier.AT_RISK: 0, Tier.NURTURE: 1, Tier.WARM: 2, Tier.HOT: 3}
BELOW_ALL = -1


def crossings(previous: Assessment | None, current: Assessment) -> tuple[Crossing, ...]:
    """The levels that differ between two assessments, in the order tier, stage, lifecycle."""
    found = []
    for kind in ("tier", "stage", "lifecycle"):
        before = getattr(previous, kind, None)
        after = getattr(current, kind)
        if before != after:
            found.append(Crossing(kind=kind, before=before, after=after))
    return tuple(found)


def reaches(crossing: Crossing, tier: Tier) -> bool:
    """Whether the crossing goes up to that tier: below it before, at or above it after."""
    if crossing.kind != "tier":
        return False
    return _level(crossing.before) < LEVELS[tier] <= _level(crossing.after)


def _level(tier: str | None) -> int:
    return BELOW_ALL if tier is None else LEVELS[Tier(tier)]
