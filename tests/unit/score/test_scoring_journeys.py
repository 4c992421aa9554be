"""ScoreJourneys on in-memory ports: what it writes, and the races that it must survive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Topic
from desireline.errors import ConflictError, TerminalError, ThrottledError
from desireline.events import Lifecycle, ResolvedEvent, Stage, Stamps, Tier
from desireline.journey.state import DAY
from desireline.rows import JourneyRow, Put, SetAsideRow, StateRow, SubjectRow
from desireline.score.assess import assess
from tests.worlds.scoring import (
    MODEL,
    SIGNUP,
    WALL,
    CountedMetrics,
    InterruptedStore,
    ThrottledStore,
    event,
    folded,
    journey,
    merge_subjects,
    merged,
    record,
    resolved,
    use_case,
)

HOUR = 3_600_000
SEEN = ("score", "tier", "stage", "lifecycle")


def seen(assessment):
    return tuple(getattr(assessment, name) for name in SEEN)


def keen():
    daily = [
        event(name, day * DAY + hour * HOUR)
        for day in range(5)
        for hour, name in enumerate(
            ("logged_in", "task_created", "task_completed", "report_viewed")
        )
    ]
    return [
        event("trial_signup"),
        event("integration_connected", 3 * HOUR),
        event("project_created", 4 * HOUR),
        event("team_member_invited", DAY),
        event("invite_accepted", 2 * DAY, who="bob"),
        event("automation_created", 2 * DAY),
        *daily,
    ]


def test_a_visitor_has_a_stage_and_no_score():
    store = MemoryStore()
    visit = event("page_viewed")
    folded(store, visit)

    result = use_case(store)([resolved(visit)])

    row = journey(store)
    assert [record.offset for record in result.done] == [0]
    assert (row.current.score, row.current.stage) == (None, Stage.AWARENESS)
    assert row.reasons == ()


def test_a_signup_is_scored_with_reasons_causes_and_stamps():
    store = MemoryStore()
    signup = event("trial_signup", received=100)
    folded(store, signup)

    use_case(store)([resolved(signup)])

    row = journey(store)
    assert row.version == 1
    assert row.current.lifecycle is Lifecycle.TRIAL
    assert row.current.model_version == MODEL.version
    assert row.causes == (signup.event_id,)
    assert row.stamps == Stamps(received=100, resolved=105, scored=WALL)
    assert row.reasons


def test_the_score_is_as_of_the_latest_event_whatever_record_brings_it():
    store = MemoryStore()
    early, late = event("trial_signup"), event("logged_in", 5 * DAY)
    folded(store, late, early)

    use_case(store)([resolved(early)])

    assert journey(store).current.as_of == SIGNUP + 5 * DAY


def test_a_batch_writes_each_subject_once_and_names_the_causes_of_it_all():
    store = MemoryStore()
    events = [event("trial_signup"), event("logged_in", HOUR), event("task_created", 2 * HOUR)]
    folded(store, *events)
    before = store.writes

    use_case(store)([resolved(one, offset=n) for n, one in enumerate(events)])

    assert store.writes == before + 1
    assert journey(store).causes == tuple(one.event_id for one in events)


def test_the_stamps_are_those_of_the_record_that_waited_longest():
    store = MemoryStore()
    first, second = event("trial_signup", received=900), event("logged_in", HOUR, received=300)
    folded(store, first, second)

    use_case(store)([resolved(first), resolved(second, offset=1)])

    assert journey(store).stamps.received == 300


def test_a_repetition_writes_nothing():
    store = MemoryStore()
    signup = event("trial_signup")
    folded(store, signup)
    score = use_case(store)
    score([resolved(signup)])
    before = store.writes

    result = score([resolved(signup), resolved(signup, offset=1)])

    assert store.writes == before
    assert len(result.done) == 2


def test_reasons_are_those_of_the_last_crossing():
    store = MemoryStore()
    score = use_case(store)
    signup = event("trial_signup")
    folded(store, signup)
    score([resolved(signup)])
    at_signup = journey(store)
    doing = [event("logged_in", HOUR), event("task_created", HOUR + 1)]
    folded(store, *doing)
    score([resolved(doing[-1])])
    unmoved = journey(store)
    folded(store, *keen()[1:])
    score([resolved(keen()[-1])])
    hot = journey(store)

    assert unmoved.current.score != at_signup.current.score
    assert unmoved.current.tier is at_signup.current.tier
    assert unmoved.reasons == at_signup.reasons
    assert hot.current.tier is Tier.HOT
    assert hot.reasons != at_signup.reasons


def test_a_score_made_meanwhile_from_a_newer_state_is_not_overwritten():
    """Another copy reads later, writes earlier: the first must read again, and see all."""
    store = InterruptedStore()
    events = keen()
    folded(store, events[0])

    def another_copy():
        folded(store, *events[1:])
        use_case(store)([resolved(events[-1])])

    store.after_reading(StateRow, another_copy)
    metrics = CountedMetrics()

    result = use_case(store, metrics)([resolved(events[0])])

    expected = assess(
        MODEL, store.get(StateRow.ref_to("ann", "-")).state, SIGNUP + 4 * DAY + 3 * HOUR
    )
    assert metrics.counts["score_conflicts"] == 1
    assert len(result.done) == 1
    assert journey(store).current.tier is Tier.HOT
    assert expected.tier is Tier.HOT


def test_events_counted_between_the_two_reads_are_in_the_score():
    """The row is read before the state: what is folded in between is scored, not lost."""
    store = InterruptedStore()
    events = keen()
    folded(store, events[0])
    store.after_reading(JourneyRow, lambda: folded(store, *events[1:]))

    use_case(store)([resolved(events[0])])

    assert journey(store).current.tier is Tier.HOT


def test_a_subject_merged_before_is_scored_at_its_root():
    store = MemoryStore()
    signup, visit = event("trial_signup", who="ann"), event("logged_in", HOUR, who="home")
    folded(store, signup, visit)
    merge_subjects(store, "ann", "home")

    use_case(store)([resolved(visit, subject="home")])

    assert journey(store, "home") is None
    assert journey(store, "ann").current.as_of == SIGNUP + HOUR
    assert journey(store, "ann").current.lifecycle is Lifecycle.TRIAL


def test_a_subject_merged_while_it_is_read_is_scored_at_its_root():
    store = InterruptedStore()
    signup, visit = event("trial_signup", who="ann"), event("page_viewed", HOUR, who="home")
    folded(store, signup, visit)
    store.after_reading(JourneyRow, lambda: merge_subjects(store, "ann", "home"))

    use_case(store)([resolved(visit, subject="home")])

    assert journey(store, "home") is None
    assert journey(store, "ann").current.as_of == SIGNUP + HOUR


def test_a_merge_after_the_reads_is_made_good_by_its_announcement():
    store = InterruptedStore()
    signup, visit = event("trial_signup", who="ann"), event("logged_in", HOUR, who="home")
    folded(store, signup, visit)
    store.after_reading(StateRow, lambda: merge_subjects(store, "ann", "home"))
    score = use_case(store)

    score([resolved(visit, subject="home")])
    stale = journey(store, "home")
    score([merged("ann", "home")])

    assert stale.current.lifecycle is Lifecycle.VISITOR
    assert journey(store, "home") == stale
    assert journey(store, "ann").current.as_of == SIGNUP + HOUR
    assert journey(store, "ann").causes == ("home-into-ann",)


def test_two_subjects_of_a_batch_that_are_one_by_now_are_scored_once():
    store = MemoryStore()
    signup, visit = event("trial_signup", who="ann"), event("page_viewed", HOUR, who="home")
    folded(store, signup, visit)
    merge_subjects(store, "ann", "home")

    result = use_case(store)(
        [resolved(visit, subject="home"), resolved(signup, subject="ann", offset=1)]
    )

    assert journey(store, "ann").version == 1
    assert set(journey(store, "ann").causes) == {visit.event_id, signup.event_id}
    assert sorted(record.offset for record in result.done) == [0, 1]


def test_conflicts_without_end_leave_the_records_to_be_retried_and_the_others_done():
    class Contended(MemoryStore):
        def write(self, *writes):
            if any(isinstance(w.row, JourneyRow) and w.row.subject == "ann" for w in writes):
                raise ConflictError("always")
            super().write(*writes)

    store = Contended()
    ann, bob = event("trial_signup", who="ann"), event("trial_signup", who="bob")
    folded(store, ann, bob)

    result = use_case(store)([resolved(ann), resolved(bob, subject="bob", offset=1)])

    assert [(record.offset, reason) for record, reason in result.failed] == [(0, "conflict")]
    assert [record.offset for record in result.done] == [1]
    assert journey(store, "bob").version == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ThrottledError("slow down"), "failed"),
        (TerminalError("ValidationException", "item size"), "quarantined"),
    ],
)
def test_a_row_that_cannot_be_written_fails_alone(error, outcome):
    class Refusing(MemoryStore):
        def write(self, *writes):
            if any(isinstance(w.row, JourneyRow) and w.row.subject == "ann" for w in writes):
                raise error
            super().write(*writes)

    store = Refusing()
    ann, bob = event("trial_signup", who="ann"), event("trial_signup", who="bob")
    folded(store, ann, bob)

    result = use_case(store)([resolved(ann), resolved(bob, subject="bob", offset=1)])

    assert [record.offset for record, _ in getattr(result, outcome)] == [0]
    assert [record.offset for record in result.done] == [1]
    assert journey(store, "bob").version == 1


def test_a_throttled_subject_fails_alone():
    store = ThrottledStore(JourneyRow.ref_to("ann"))
    ann, bob = event("trial_signup", who="ann"), event("trial_signup", who="bob")
    folded(store, ann, bob)

    result = use_case(store)([resolved(ann), resolved(bob, subject="bob", offset=1)])

    assert [record.offset for record, _ in result.failed] == [0]
    assert [record.offset for record in result.done] == [1]


def test_an_unreadable_record_goes_to_quarantine_and_stops_nobody():
    store = MemoryStore()
    signup = event("trial_signup")
    folded(store, signup)
    poison = record(Topic.EVENTS_RESOLVED, b'{"event": 1}', offset=7)

    results = [use_case(store)([poison, resolved(signup, offset=8)]) for _ in range(2)]

    row = store.query(SetAsideRow, "R#events.resolved#0#7")[0]
    assert (row.component, row.reason) == ("score", "unreadable_record")
    for result in results:
        assert [(one.offset, why) for one, why in result.quarantined] == [(7, "unreadable_record")]
        assert [one.offset for one in result.done] == [8]


def test_a_record_too_large_for_a_row_is_set_aside_without_its_bytes():
    store = MemoryStore()
    poison = record(Topic.EVENTS_RESOLVED, b'{"event": "' + b"x" * 400_000 + b'"}', offset=7)

    result = use_case(store)([poison])

    row = store.query(SetAsideRow, "R#events.resolved#0#7")[0]
    assert [why for _, why in result.quarantined] == ["unreadable_record"]
    assert row.record == ""
    assert row.expires == row.at // 1000 + 30 * 86_400


def test_a_circle_of_tombstones_goes_to_quarantine():
    store = MemoryStore()
    signup = event("trial_signup")
    folded(store, signup)
    store.write(
        Put(SubjectRow(subject="ann", merged_into="bob")),
        Put(SubjectRow(subject="bob", merged_into="ann")),
    )

    metrics = CountedMetrics()
    result = use_case(store, metrics)([resolved(signup)])

    assert [why for _, why in result.quarantined] == ["subject_circle"]
    assert metrics.counts["records_quarantined"] == 1


def test_a_record_without_a_value_is_skipped():
    result = use_case(MemoryStore())([record(Topic.EVENTS_RESOLVED, None, offset=3)])

    assert [one.offset for one in result.skipped] == [3]


def test_a_subject_without_any_counted_event_gets_no_row():
    store = MemoryStore()

    result = use_case(store)([merged("ann", "home")])

    assert len(result.done) == 1
    assert journey(store) is None


def test_a_newer_writers_fields_do_no_harm():
    store = MemoryStore()
    signup = event("trial_signup")
    folded(store, signup)
    message = ResolvedEvent(event=signup, person="ann", subject="ann").encode()
    newer = message[:-1] + b',"added_later":true}'

    result = use_case(store)([record(Topic.EVENTS_RESOLVED, newer)])

    assert len(result.done) == 1


@given(st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_any_order_batching_and_repetition_end_in_the_same_score(rng):
    events = keen()
    expected = MemoryStore()
    folded(expected, *events)
    use_case(expected)([resolved(events[-1])])

    store = MemoryStore()
    counted = list(events)
    rng.shuffle(counted)
    score = use_case(store)
    while counted:
        size = rng.randrange(1, 6)
        batch, counted = counted[:size], counted[size:]
        folded(store, *batch)
        passed_on = batch + [rng.choice(batch)] * rng.randrange(3)
        rng.shuffle(passed_on)
        score([resolved(one, offset=n) for n, one in enumerate(passed_on)])

    assert seen(journey(store).current) == seen(journey(expected).current)
