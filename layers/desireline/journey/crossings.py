"""Crossings: the levels that differ between two assessments.

They are not in `score`, because `announce` and `intervene` need them and do not need a model.
"""

from __future__ import annotations

from desireline.events import Assessment, Crossing, Tier

LEVELS = {Tier.AT_RISK: 0, Tier.NURTURE: 1, Tier.WARM: 2, Tier.HOT: 3}
BELOW_ALL = -1


def crossings(previous: Assessment | None, current: Assessment) -> tuple[Crossing, ...]:
    """Return the levels that differ between two assessments: first tier, then stage, lifecycle."""
    differing = []
    for kind in ("tier", "stage", "lifecycle"):
        before = getattr(previous, kind, None)
        after = getattr(current, kind)
        if before != after:
            differing.append(Crossing(kind=kind, before=before, after=after))
    return tuple(differing)


def reaches(crossing: Crossing, tier: Tier) -> bool:
    """Tell whether the crossing goes up to the tier: from below it, to it or above it."""
    if crossing.kind != "tier":
        return False
    return _level(crossing.before) < LEVELS[tier] <= _level(crossing.after)


def _level(tier: str | None) -> int:
    return BELOW_ALL if tier is None else LEVELS[Tier(tier)]
