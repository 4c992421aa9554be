"""The training table knows no future, and holds what the live system would have computed."""

import random

import numpy as np
import pytest

from desireline.journey.state import DAY, EMPTY, fold, merge
from desireline.score.features import CONVERSION, TRIAL_START, vector
from desireline_learning.simulator import Company, Scenario
from desireline_learning.simulator.canonical import canonical
from desireline_learning.training.fit import split_by_time
from desireline_learning.training.replay import DECISION_DAYS, replay

SCENARIO = Scenario(trials=25, days=20.0, signup_days=5.0, seed=11)


@pytest.fixture(scope="module")
def history():
    return list(canonical(Company(SCENARIO)))


@pytest.fixture(scope="module")
def table(history):
    return replay(history, end=SCENARIO.end)


def events_of(history, subject):
    return [event for event, of in history if of == subject]


def test_rows_are_of_the_decision_days(table):
    assert set(table.day.tolist()) == set(DECISION_DAYS)
    assert table.trials() == 25


def test_what_happens_after_a_decision_time_changes_no_row_before_it(history, table):
    cut = SCENARIO.start + 6 * DAY
    known = [(event, subject) for event, subject in history if event.occurred_at <= cut]
    past = replay(known, end=SCENARIO.end)
    due, past_due = table.due, past.due

    assert (due <= cut).sum() > 20
    for row in np.flatnonzero(due <= cut):
        same = (past.subject == table.subject[row]) & (past_due == due[row])
        assert past.rows[same].tobytes() == table.rows[row].tobytes()


def test_offline_equals_online_to_the_bit_in_shuffled_order_and_split_rows(history, table):
    rng = random.Random(4)
    for row in range(0, len(table), 3):
        due = int(table.due[row])
        events = [
            event for event in events_of(history, table.subject[row]) if event.occurred_at <= due
        ]
        rng.shuffle(events)
        rows = {}
        for event in events:
            key = (event.fragment, event.account_key)
            rows[key] = fold(rows.get(key, EMPTY), [event])
        online = vector(merge(rows.values()), due)

        assert np.array(online).tobytes() == table.rows[row].tobytes()


def test_who_has_paid_has_no_later_rows(history, table):
    seen = 0
    for subject in np.unique(table.subject):
        paid = [e.occurred_at for e in events_of(history, subject) if e.name == CONVERSION]
        mine = table.subject == subject
        if paid:
            assert (table.due[mine] < paid[0]).all()
            assert table.paid[mine].all()
            seen += 1
        else:
            assert not table.paid[mine].any()
    assert seen > 3


def test_trials_whose_window_is_open_are_left_out(history):
    end = SCENARIO.start + 16 * DAY
    closed = {
        subject
        for event, subject in history
        if event.name == TRIAL_START and event.occurred_at + 14 * DAY <= end
    }

    assert set(replay(history, end=end).subject.tolist()) == closed
    assert 0 < len(closed) < 25


def test_the_table_does_not_depend_on_the_order_of_the_history(history, table):
    shuffled = list(history)
    random.Random(9).shuffle(shuffled)

    assert replay(shuffled, end=SCENARIO.end).sha256 == table.sha256


def test_the_hash_is_of_every_column(table):
    other = table.where(np.ones(len(table), dtype=bool))
    assert other.sha256 == table.sha256

    other.rows[3, 4] += 1e-12

    assert other.sha256 != table.sha256


def test_the_split_is_by_time_and_keeps_a_trial_on_one_side(table):
    earlier, later = split_by_time(table)

    assert earlier.signup.max() < later.signup.min()
    assert not set(earlier.subject.tolist()) & set(later.subject.tolist())
    assert len(earlier) + len(later) == len(table)
