"""The shell of resolve_identity: an MSK event in, a partial batch response out."""

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Table, Topic
from desireline.errors import ThrottledError, UnavailableError
from desireline.events import Alias, AliasType, CanonicalEvent, RawPointer, ResolvedEvent
from desireline.records import Record
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.rows import StateRow
from resolve_identity import handler
from resolve_identity.settings import Settings
from tests.functional.lambda_side import Context, kafka_event


class Ports:
    """Clock, producer and metrics; `flushes` false: the brokers do not answer."""

    def __init__(self, *, flushes=True):
        self.produced = []
        self.flushes = flushes

    def now(self):
        return 1_760_000_000_000

    def count(self, name, value=1, **dimensions): ...

    def produce(self, outgoing):
        self.produced.append(outgoing)

    def flush(self, timeout):
        if not self.flushes:
            raise UnavailableError("no broker")


def happened(number, who):
    return CanonicalEvent(
        event_id=str(number),
        name="logged_in",
        category="product",
        source="segment",
        occurred_at=1_760_000_000_000,
        received_at=1_760_000_000_000,
        aliases=(Alias(type=AliasType.USER, value=who, fragment=who),),
        raw=RawPointer(id="raw"),
    )


def entry(offset, value, partition=2):
    return Record("events.received", partition, offset, 1, b"key", value, {"trace-id": b"abc"})


@pytest.fixture
def composed(monkeypatch):
    def compose(store, ports):
        use_case = ResolveIdentity(
            store=store, producer=ports, clock=ports, wall=ports, metrics=ports
        )
        monkeypatch.setattr(handler, "use_case", lambda: use_case)

    return compose


def test_a_batch_is_counted_and_passed_on(composed):
    store, ports = MemoryStore(), Ports()
    composed(store, ports)

    answer = handler.handle(
        kafka_event(
            entry(4, happened(1, "ann").encode()),
            entry(5, happened(2, "bob").encode()),
            entry(6, happened(1, "ann").encode()),
        ),
        Context(),
    )

    assert answer == {"batchItemFailures": []}
    assert store.get(StateRow.ref_to("ann", "-")).state.counts == {"logged_in": 1}
    assert [ResolvedEvent.decode(one.value).subject for one in ports.produced] == [
        "ann",
        "ann",
        "bob",
    ]
    assert all(dict(one.headers) == {"trace-id": b"abc"} for one in ports.produced)


def test_what_failed_is_named_for_another_try_and_poison_is_not(composed):
    class Throttled(MemoryStore):
        def get(self, ref):
            if ref == StateRow.ref_to("ann", "-"):
                raise ThrottledError("slow down")
            return super().get(ref)

        def get_all(self, refs):
            return {ref: row for ref in refs if (row := self.get(ref)) is not None}

    store, ports = Throttled(), Ports()
    composed(store, ports)

    answer = handler.handle(
        kafka_event(
            entry(4, happened(1, "ann").encode()),
            entry(5, b"\xffpoison"),
            entry(6, None),
            entry(7, happened(2, "bob").encode()),
        ),
        Context(),
    )

    failed = {"itemIdentifier": {"partition": "events.received-2", "offset": 4}}
    assert answer == {"batchItemFailures": [failed]}
    assert {one.topic for one in ports.produced} == {
        Topic.EVENTS_QUARANTINED,
        Topic.EVENTS_RESOLVED,
    }


def test_without_brokers_every_record_comes_again(composed):
    composed(MemoryStore(), Ports(flushes=False))

    answer = handler.handle(
        kafka_event(entry(4, happened(1, "ann").encode()), entry(5, b"{}")), Context()
    )

    offsets = [one["itemIdentifier"]["offset"] for one in answer["batchItemFailures"]]
    assert sorted(offsets) == [4, 5]


def test_the_environment_names_what_it_touches_and_no_more(monkeypatch):
    for name, value in {
        "DEPLOYMENT": "dev",
        "AWS_REGION": "eu-central-1",
        "TABLES": '{"identity": "dev-identity", "states": "dev-states"}',
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "KAFKA_AUTH": "plaintext",
    }.items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert settings.tables == {Table.IDENTITY: "dev-identity", Table.STATES: "dev-states"}
    assert settings.clock_url is None
