"""Build the training table: replay history up to each decision time.

The events go through the same `fold` and features as online, in the order in which they occurred. A
late event is in the row of its own time, although the live system did not have it yet. Few events
are late, and the table cannot know when the live system would have computed a score.
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
    """One row per trial and decision day. rows: (n, features). paid: 0 or 1. subject, signup (epoch
    ms) and day identify the trial and the decision time."""

    rows: NDArray[np.float64]
    paid: NDArray[np.int8]
    subject: NDArray[np.str_]
    signup: NDArray[np.int64]
    day: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paid)

    def where(self, chosen: NDArray[np.bool_]) -> Table:
        """Return the rows for which `chosen` is true."""
        return Table(
            self.rows[chosen],
            self.paid[chosen],
            self.subject[chosen],
            self.signup[chosen],
            self.day[chosen],
        )

    def trials(self) -> int:
        """Count the trials of the rows."""
        return len(np.unique(self.subject))

    @property
    def due(self) -> NDArray[np.int64]:
        """The decision time of each row, epoch ms."""
        return self.signup + self.day * DAY

    @property
    def sha256(self) -> str:
        """The hash of all data that training uses."""
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
    """Build the table of all trials whose 14 days are over by `end` (epoch ms), by subject and day.

    history: events with their subjects. A trial that has paid by a decision time has no row for it,
    because no decision is left. now_of: returns the time of a row's features from its state and
    decision time.
    """
    journeys: dict[str, list[CanonicalEvent]] = defaultdict(list)
    for event, subject in history:
        journeys[subject].append(event)
    moments: list[tuple[Moment, int, bool]] = []
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
                moments.append(((subject, day, state, now_of(state, due)), signup, paid))
    return Table(
        rows=matrix([(state, now) for (_, _, state, now), _, _ in moments]),
        paid=np.array([paid for _, _, paid in moments], dtype=np.int8),
        subject=np.array([subject for (subject, _, _, _), _, _ in moments], dtype=np.str_),
        signup=np.array([signup for _, signup, _ in moments], dtype=np.int64),
        day=np.array([day for (_, day, _, _), _, _ in moments], dtype=np.int64),
    )


def _first(events: list[CanonicalEvent], name: str) -> int | None:
    return next((event.occurred_at for event in events if event.name == name), None)


def _states(events: list[CanonicalEvent], signup: int) -> list[tuple[int, JourneyState]]:
    """Compute the state at each decision day, each from the state of the day before."""
    states, state, position = [], EMPTY, 0
    for day in DECISION_DAYS:
        start = position
        while position < len(events) and events[position].occurred_at <= signup + day * DAY:
            position += 1
        state = fold(state, events[start:position])
        states.append((day, state))
    return states
