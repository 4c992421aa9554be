"""The simulator: deterministic, honest about its truth, and as unruly as senders are."""

import hashlib
import subprocess
import sys
from collections import Counter

import orjson
import pytest

from desireline_learning.simulator import Company, Conduct, Effects, Scenario

DAY = 86_400_000
HOUR = 3_600_000


@pytest.fixture(scope="module")
def demo():
    return Company(Scenario(trials=30, days=14.0, seed=7))


@pytest.fixture(scope="module")
def many():
    return Company(Scenario(trials=1200, days=40.0, signup_days=26.0, seed=3, visitors=0.2))


def messages(delivery):
    body = orjson.loads(delivery.body)
    return body.get("batch", [body])


def ids(delivery):
    return [message.get("messageId") or message["id"] for message in messages(delivery)]


def test_the_same_seed_gives_the_same_bytes_under_another_hash_seed(tmp_path):
    digests = set()
    for hash_seed in ("1", "2"):
        out = tmp_path / f"{hash_seed}.ndjson"
        subprocess.run(
            [
                *(sys.executable, "-m", "desireline_learning.simulator"),
                *("--trials", "6", "--days", "14", "--seed", "5", "--out", str(out)),
            ],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": hash_seed},
        )
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())

    assert len(digests) == 1


def test_another_seed_gives_another_company():
    first, second = (Company(Scenario(trials=5, seed=seed)) for seed in (1, 2))

    assert first.deliveries != second.deliveries
    assert not set().union(*first.truth.persons) & set().union(*second.truth.persons)


def test_one_more_trial_changes_none_of_the_others():
    small, large = (Company(Scenario(trials=n, visitors=0.0)) for n in (5, 6))

    assert large.truth.trials[:5] == small.truth.trials


def test_deliveries_come_in_order_and_within_the_stream(demo):
    times = [delivery.at_ms for delivery in demo.deliveries]

    assert times == sorted(times)
    assert demo.scenario.start < times[0]
    assert times[-1] <= demo.scenario.end


def test_every_touch_is_delivered_after_it_happened(demo):
    first_seen = {}
    for delivery in demo.deliveries:
        for one in ids(delivery):
            first_seen.setdefault(one, delivery.at_ms)

    for touch in demo.touches:
        prefix = "evt_" if touch.call.value == "stripe" else "msg-"
        assert first_seen[prefix + touch.id] >= touch.at


def test_some_deliveries_are_exact_repeats_some_late_some_batches(demo):
    bodies = Counter(delivery.body for delivery in demo.deliveries)
    repeats = sum(count - 1 for count in bodies.values())
    at = {f"msg-{touch.id}": touch.at for touch in demo.touches}
    waits = [
        delivery.at_ms - max(at[one] for one in ids(delivery) if one in at)
        for delivery in demo.deliveries
        if any(one in at for one in ids(delivery))
    ]

    assert 0.02 < repeats / len(demo.deliveries) < 0.07
    assert sum(wait > HOUR for wait in waits) > 10
    assert sum(len(messages(delivery)) > 1 for delivery in demo.deliveries) > 50
    assert max(bodies.values()) == 2


def test_two_deliveries_are_bad_one_forged_and_one_that_breaks_the_plan(demo):
    forged = [delivery for delivery in demo.deliveries if delivery.forged]
    broken = [delivery for delivery in demo.deliveries if "broken" in delivery.subject_hint]

    assert len(forged) == len(broken) == 1
    assert orjson.loads(broken[0].body)["properties"] == {}
    assert not any("forged" in alias[1] for person in demo.truth.persons for alias in person)


def test_visitors_come_before_they_sign_up_and_some_never_do(demo):
    signups = {trial.account: trial.signup_at for trial in demo.truth.trials}
    before = {
        touch.person.hint
        for touch in demo.touches
        if touch.person.hint in signups and touch.at < signups[touch.person.hint] - 120_000
    }

    assert len(before) > 25
    assert all(
        not touch.identified for touch in demo.touches if touch.person.hint.startswith("visitor")
    )
    assert sum(touch.person.hint.startswith("visitor") for touch in demo.touches) > 30


def test_some_accounts_become_known_after_their_signup(demo):
    named = {}
    for touch in demo.touches:
        if touch.account is not None:
            named.setdefault(touch.account.group, touch.at)
    signups = {trial.account: trial.signup_at for trial in demo.truth.trials}
    late = [account for account, at in signups.items() if named.get(account, at) > at + HOUR]

    assert 2 <= len(late) <= 12


def test_members_join_and_act(demo):
    users = {touch.person.key for touch in demo.touches if touch.identified}

    assert len(users) > len(demo.truth.trials) + 8


def test_the_true_persons_are_a_partition(demo):
    aliases = [alias for person in demo.truth.persons for alias in person]

    assert len(aliases) == len(set(aliases))
    assert max(len(person) for person in demo.truth.persons) >= 3


def test_conversion_follows_the_stated_chance(many):
    trials = many.truth.trials
    for low, high in ((0.0, 0.2), (0.2, 0.6), (0.6, 0.9), (0.9, 1.0)):
        group = [trial for trial in trials if low <= trial.chance < high]
        expected = sum(trial.chance for trial in group) / len(group)
        actual = sum(trial.converts for trial in group) / len(group)
        spread = (expected * (1 - expected) / len(group)) ** 0.5
        assert abs(actual - expected) < 4 * spread, (low, high)


def test_the_stated_shares_hold(many):
    trials = many.truth.trials

    assert sum(trial.converts for trial in trials) / len(trials) == pytest.approx(0.37, abs=0.05)
    hot = sum(trial.chance > 0.9 for trial in trials) / len(trials)
    assert hot == pytest.approx(0.15, abs=0.03)


def test_paying_comes_within_the_trial_and_shows_in_the_stream(many):
    paid = {
        touch.person.hint: touch.at
        for touch in many.touches
        if touch.name == "trial_to_paid_conversion"
    }

    for trial in many.truth.trials:
        if trial.paid_at is not None:
            assert trial.signup_at < trial.paid_at < trial.signup_at + 14 * DAY
        assert (trial.account in paid) == trial.converts


@pytest.mark.parametrize(
    ("conduct", "log_odds"),
    [
        (Conduct(), 0.0),
        (Conduct(integration_day=1.0), 2.9),
        (Conduct(integration_day=1.1), 1.4),
        (Conduct(integration_day=7.1), 0.5),
        (Conduct(invite_day=7.0), 2.5),
        (Conduct(invite_day=7.1), 0.0),
        (Conduct(automation=True, project=True), 2.8),
        (Conduct(active_days=5), 0.0),
        (Conduct(active_days=6), 1.2),
        (Conduct(faded=True, errors_alone=5), -1.2 - 3 * 0.4),
    ],
)
def test_planted_effects_are_the_stated_ones(conduct, log_odds):
    odds = [Effects().chance(one) / (1 - Effects().chance(one)) for one in (conduct, Conduct())]

    assert odds[0] / odds[1] == pytest.approx(2.718281828459045**log_odds)
