"""History replayed to the decision times: the training table.

The events go through the same `fold` and the same features as online, in the order in which they
occurred. What was delivered late is in the row of its own time, although the live system did not
know it yet; the share is small, and the table cannot know when a score would have been asked for.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desireline.events import CanonicalEvent
from desireline.journey.state import DAY, EMPTY, JourneyState, fold
from desireline.score.features import (
    CONVERSION,
    FEATURE_NAMES,
    TRIAL_DAYS,
    TRIAL_START,
    matrix,
)

DECISION_DAYS = (1, 2, 5, 10, 13)

Moment = tuple[str, int, JourneyState, int]
"""Subject, decision day, state, and now."""


@dataclass(frozen=True, eq=False)
class Table:
    """One row a trial and decision day. rows: (n, features). paid: 0 or 1. subject, signup (epoch
    ms) and day tell which trial and when."""

    rows: NDArray[np.float64]
    paid: NDArray[np.int8]
    subject: NDArray[np.str_]
    signup: NDArray[np.int64]
    day: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paid)

    def where(self, chosen: NDArray[np.bool_]) -> Table:
        """The rows for which `chosen` is true."""
        return Table(
            self.rows[chosen],
            self.paid[chosen],
            self.subject[chosen],
            self.signup[chosen],
            self.day[chosen],
        )

    def trials(self) -> int:
        """How many trials the rows are of."""
        return len(np.unique(self.subject))

    @property
    def due(self) -> NDArray[np.int64]:
        """The decision time of each row, epoch ms."""
        return self.signup + self.day * DAY

    @property
    def sha256(self) -> str:
        """Of everything that training sees."""
        digest = hashlib.sha256("|".join(FEATURE_NAMES).encode())
        for column in (self.rows, self.paid, self.signup, self.day):
            digest.update(np.ascontiguousarray(column).tobytes())
        digest.update("|".join(self.subject.tolist()).encode())
        return digest.hexdigest()


def replay(
    history: Iterable[tuple[CanonicalEvent, str]],
    *,
    end: int,
    now_of: Callable[[JourneyState, int], int] = lambda _state, due: due,
) -> Table:
    """The table of all trials whose 14 days are over by `end` (epoch ms), by subject and day.

    history: events with the subject that each belongs to. A trial that has paid by a decision time
    has no row for it: there is nothing left to decide. now_of: as of when a row's features are
    taken, given its state and the decision time.
    """
    journeys: dict[str, list[CanonicalEvent]] = defaultdict(list)
    for event, subject in history:
        journeys[subject].append(event)
    found: list[tuple[Moment, int, bool]] = []
    for subject in sorted(journeys):
        events = sorted(journeys[subject], key=lambda event: (event.occurred_at, event.event_id))
        signup = _first(events, TRIAL_START)
        if signup is None or signup + TRIAL_DAYS * DAY > end:
            continue
        paid_at = _first(events, CONVERSION)
        paid = paid_at is not None and paid_at <= signup + TRIAL_DAYS * DAY
        for day, state in _states(events, signup):
            due = signup + day * DAY
            if paid_at is None or paid_at > due:
                found.append(((subject, day, state, now_of(state, due)), signup, paid))
    return Table(
        rows=matrix([(state, now) for (_, _, state, now), _, _ in found]),
        paid=np.array([paid for _, _, paid in found], dtype=np.int8),
        subject=np.array([subject for (subject, _, _, _), _, _ in found], dtype=np.str_),
        signup=np.array([signup for _, signup, _ in found], dtype=np.int64),
        day=np.array([day for (_, day, _, _), _, _ in found], dtype=np.int64),
    )


def _first(events: list[CanonicalEvent], name: str) -> int | None:
    return next((event.occurred_at for event in events if event.name == name), None)


def _states(events: list[CanonicalEvent], signup: int) -> list[tuple[int, JourneyState]]:
    """The state at each decision day, each folded on from the one before."""
    found, state, taken = [], EMPTY, 0
    for day in DECISION_DAYS:
        start = taken
        while taken < len(events) and events[taken].occurred_at <= signup + day * DAY:
            taken += 1
        state = fold(state, events[start:taken])
        found.append((day, state))
    return found
