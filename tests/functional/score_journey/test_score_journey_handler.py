"""The shell of score_journey: an MSK event in, a partial batch response out."""

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Table
from desireline.rows import JourneyRow
from score_journey import handler
from score_journey.settings import Settings
from tests.functional.lambda_side import Context, kafka_event
from tests.worlds.scoring import ThrottledStore, event, folded, journey, resolved, use_case


@pytest.fixture
def composed(monkeypatch):
    def compose(store):
        monkeypatch.setattr(handler, "use_case", lambda: use_case(store))

    return compose


def test_a_batch_is_scored(composed):
    store = MemoryStore()
    signup = event("trial_signup")
    folded(store, signup)
    composed(store)

    answer = handler.handle(kafka_event(resolved(signup)), Context())

    assert answer == {"batchItemFailures": []}
    assert journey(store).version == 1


def test_what_failed_is_named_for_another_try(composed):
    store = ThrottledStore(JourneyRow.ref_to("ann"))
    ann, bob = event("trial_signup", who="ann"), event("trial_signup", who="bob")
    folded(store, ann, bob)
    composed(store)

    answer = handler.handle(
        kafka_event(resolved(ann, offset=4), resolved(bob, subject="bob", offset=5)), Context()
    )

    failed = {"itemIdentifier": {"partition": "events.resolved-0", "offset": 4}}
    assert answer == {"batchItemFailures": [failed]}
    assert journey(store, "bob").version == 1


def test_the_environment_names_the_tables(monkeypatch):
    monkeypatch.setenv("DEPLOYMENT", "dev")
    monkeypatch.setenv("TABLES", '{"identity": "dev-identity", "journeys": "dev-journeys"}')

    assert Settings().tables == {
        Table.IDENTITY: "dev-identity",
        Table.JOURNEYS: "dev-journeys",
    }
