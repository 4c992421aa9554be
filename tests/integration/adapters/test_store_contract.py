"""What every Store promises, held against the one in memory and the one on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.memory import MemoryStore
from desireline.contracts import Table
from desireline.errors import ConflictError, DeniedError, ThrottledError, UnavailableError
from desireline.ports import BatchStore, Store
from desireline.rows import ROW_TYPES, AliasRow, Check, PersonRow, Put, SealedIdsRow, SlotRow
from desireline_local.aws.cloud import Control, LocalAws, client
from desireline_local.kafka.broker import free_port
from tests.integration.adapters import sample_rows
from tests.integration.tiny_functions import eventually


@pytest.fixture(scope="module")
def tables(local_aws: LocalAws) -> dict[Table, str]:
    """Deployed tables, by what they are for."""
    names = {table: f"store-{uuid4().hex[:8]}-{table}" for table in Table}
    with closing(local_aws.client("dynamodb")) as dynamodb:
        for name in names.values():
            dynamodb.create_table(
                TableName=name,
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
                BillingMode="PAY_PER_REQUEST",
            )
    return names


@pytest.fixture(scope="module")
def dynamo_of(clients: Callable[..., Any], tables: dict[Table, str]) -> Callable[..., DynamoStore]:
    """A store whose client repeats or waits otherwise: dynamo_of(attempts=1)."""
    return lambda **given: DynamoStore(clients("dynamodb", **given), tables)


@pytest.fixture(scope="module")
def dynamo(dynamo_of: Callable[..., DynamoStore]) -> DynamoStore:
    return dynamo_of(attempts=3)


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> BatchStore:
    if request.param == "memory":
        return MemoryStore()
    found: DynamoStore = request.getfixturevalue("dynamo")
    return found


def alias(fragment: str, root: str = "r") -> AliasRow:
    return AliasRow(type="email", fragment=fragment, root=root)


def test_what_was_never_written_is_absent(store: Store, unique: str) -> None:
    assert store.get(AliasRow.ref_to("email", unique)) is None
    assert store.get_all([AliasRow.ref_to("email", unique)]) == {}
    assert store.query(SlotRow, f"K#{unique}") == []


def test_each_write_raises_the_version_by_one(store: Store, unique: str) -> None:
    ref = AliasRow.ref_to("email", unique)

    store.write(Put(alias(unique)))
    first = store.get(ref)
    assert first == alias(unique).but(version=1)

    store.write(Put(first.but(root="other")))
    assert store.get(ref) == alias(unique, "other").but(version=2)


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_version_that_is_not_stored_conflicts(store: Store, unique: str, version: int) -> None:
    """Given a row at version 2, when it is written as of another, then nothing changes."""
    store.write(Put(alias(unique)))
    store.write(Put(alias(unique).but(version=1, root="kept")))

    with pytest.raises(ConflictError):
        store.write(Put(alias(unique, "lost").but(version=version)))

    kept = store.get(AliasRow.ref_to("email", unique))
    assert kept is not None
    assert (kept.version, kept.root) == (2, "kept")


def test_a_version_of_an_absent_row_conflicts(store: Store, unique: str) -> None:
    with pytest.raises(ConflictError):
        store.write(Put(alias(unique).but(version=1)))
    assert store.get(AliasRow.ref_to("email", unique)) is None


def test_independent_writes_succeed_and_fail_alone(store: BatchStore, unique: str) -> None:
    """Given 40 writes of which every fourth is as of a version that is not stored, then just those
    conflict, in their places."""
    rows = [alias(f"{unique}-{number}") for number in range(40)]
    store.write_each([[Put(row)] for row in rows[::4]])

    failures = store.write_each([[Put(row)] for row in rows])

    assert [isinstance(one, ConflictError) for one in failures] == [n % 4 == 0 for n in range(40)]
    assert [one for one in failures[1::4] if one] == []
    stored = store.get_all([row.ref for row in rows])
    assert {row.version for row in stored.values()} == {1}
    assert len(stored) == 40
    assert store.write_each([]) == []


def test_a_transaction_writes_all_its_rows_over_tables(store: Store, unique: str) -> None:
    rows = sample_rows.full(unique)
    assert len({row.table for row in rows}) == len(Table)

    store.write(*(Put(row) for row in rows))

    assert all(store.get(row.ref) == row.but(version=1) for row in rows)


def test_one_conflict_leaves_a_whole_transaction_unwritten(store: Store, unique: str) -> None:
    store.write(Put(alias(f"{unique}-b")))

    with pytest.raises(ConflictError):
        store.write(*(Put(alias(f"{unique}-{name}")) for name in "abc"))

    found = store.get_all([AliasRow.ref_to("email", f"{unique}-{name}") for name in "abc"])
    assert list(found.values()) == [alias(f"{unique}-b").but(version=1)]


def test_a_check_that_holds_writes_nothing_itself(store: Store, unique: str) -> None:
    store.write(Put(alias(f"{unique}-seen")))
    seen = store.get(AliasRow.ref_to("email", f"{unique}-seen"))
    assert seen is not None

    store.write(Check(seen), Check(alias(f"{unique}-absent")), Put(alias(f"{unique}-new")))

    assert store.get(seen.ref) == seen
    assert store.get(AliasRow.ref_to("email", f"{unique}-absent")) is None
    assert store.get(AliasRow.ref_to("email", f"{unique}-new")) is not None


@pytest.mark.parametrize("version", [0, 2])
def test_a_check_that_fails_stops_the_transaction(store: Store, unique: str, version: int) -> None:
    store.write(Put(alias(f"{unique}-seen")))

    with pytest.raises(ConflictError):
        store.write(
            Put(alias(f"{unique}-new")), Check(alias(f"{unique}-seen").but(version=version))
        )

    assert store.get(AliasRow.ref_to("email", f"{unique}-new")) is None


def test_a_check_alone_is_a_question(store: Store, unique: str) -> None:
    store.write(Check(alias(unique)))
    store.write(Put(alias(unique)))
    with pytest.raises(ConflictError):
        store.write(Check(alias(unique)))


def test_no_writes_are_nothing_to_do(store: Store) -> None:
    store.write()


def test_a_transaction_takes_a_hundred_rows_and_no_more(store: Store, unique: str) -> None:
    rows = [alias(f"{unique}-{number}") for number in range(101)]

    with pytest.raises(ValueError):
        store.write(*(Put(row) for row in rows))
    assert store.get_all([row.ref for row in rows]) == {}

    store.write(*(Put(row) for row in rows[:100]))
    assert len(store.get_all([row.ref for row in rows])) == 100


def test_a_transaction_names_a_row_once(store: Store, unique: str) -> None:
    with pytest.raises(ValueError):
        store.write(Put(alias(unique, "a")), Put(alias(unique, "b")))
    assert store.get(AliasRow.ref_to("email", unique)) is None


def test_any_number_of_rows_is_read_at_once(store: Store, unique: str) -> None:
    """Given 250 rows in two tables, when all and some absent are asked for, some twice."""
    aliases = [alias(f"{unique}-{number:03d}") for number in range(200)]
    slots = [
        SlotRow(subject=unique, playbook="p", slot=f"{number:03d}", enrolment="e")
        for number in range(50)
    ]
    rows = [*aliases, *slots]
    for start in range(0, len(rows), 100):
        store.write(*(Put(row) for row in rows[start : start + 100]))
    refs: list[Any] = [row.ref for row in rows]

    found = store.get_all([*refs, AliasRow.ref_to("email", f"{unique}-absent"), *refs[:30]])

    assert found == {row.ref: row.but(version=1) for row in rows}


def test_a_query_finds_its_type_in_order_of_the_sort_key(store: Store, unique: str) -> None:
    slots = [
        SlotRow(subject=unique, playbook="p", slot=slot, enrolment="e")
        for slot in ("b", "a", "é", "Z", "a#1", "10", "9")
    ]
    store.write(*(Put(row) for row in slots))
    store.write(Put(SlotRow(subject=f"{unique}x", playbook="p", slot="a", enrolment="e")))

    found = store.query(SlotRow, f"K#{unique}")

    assert [row.slot for row in found] == ["10", "9", "Z", "a", "a#1", "b", "é"]
    assert store.query(PersonRow, f"K#{unique}") == []


def test_a_query_takes_every_page(store: Store, unique: str) -> None:
    """Given more than the megabyte that DynamoDB answers at once."""
    rows = [
        SealedIdsRow(fragment=unique, account="-", day=day, ids=bytes([day]) * 350_000)
        for day in range(10, 17)
    ]
    for row in rows:
        store.write(Put(row))

    found = store.query(SealedIdsRow, rows[0].pk)

    assert found == [row.but(version=1) for row in rows]


def test_there_is_a_sample_of_every_row_type() -> None:
    assert {type(row).__name__ for row in sample_rows.full("n")} == set(ROW_TYPES)


@pytest.mark.parametrize("index", range(len(sample_rows.full("n"))))
def test_a_full_row_comes_back_as_it_was(store: Store, unique: str, index: int) -> None:
    row = sample_rows.full(unique)[index]
    store.write(Put(row))
    found = store.get(row.ref)
    assert found == row.but(version=1)
    assert repr(found) == repr(row.but(version=1))


@pytest.mark.parametrize("index", range(len(sample_rows.bare("n"))))
def test_a_bare_row_comes_back_as_it_was(store: Store, unique: str, index: int) -> None:
    row = sample_rows.bare(unique)[index]
    store.write(Put(row))
    assert store.get(row.ref) == row.but(version=1)


def test_a_field_that_becomes_none_is_gone(store: Store, unique: str) -> None:
    store.write(Put(PersonRow(fragment=unique, subject="s", merged_into="w", account="group:1")))
    read = store.get(PersonRow.ref_to(unique))
    assert read is not None

    store.write(Put(read.but(merged_into=None, account=None)))

    assert store.get(PersonRow.ref_to(unique)) == PersonRow(fragment=unique, subject="s", version=2)


def test_a_row_of_another_type_is_not_the_row(store: Store, unique: str) -> None:
    """Given a claim's ledger key is asked for as a slot, then there is none."""
    store.write(Put(alias(unique)))
    other: Any = type(AliasRow.ref_to("email", unique))(PersonRow, f"A#email#{unique}", "-")
    assert store.get(other) is None
    assert store.get_all([other]) == {}


# What only DynamoDB can do to us, injected by the local AWS.


def test_a_throttled_call_is_repeated(dynamo: DynamoStore, control: Control, unique: str) -> None:
    control.faults(planned=[{"kind": "throttle", "calls": 1, "operation": "PutItem"}])
    dynamo.write(Put(alias(unique)))
    assert control.faults()["planned"] == []
    assert dynamo.get(AliasRow.ref_to("email", unique)) is not None


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("GetItem", lambda store, name: store.get(AliasRow.ref_to("email", name))),
        ("BatchGetItem", lambda store, name: store.get_all([AliasRow.ref_to("email", name)])),
        ("Query", lambda store, name: store.query(SlotRow, name)),
        ("PutItem", lambda store, name: store.write(Put(alias(name)))),
        (
            "TransactWriteItems",
            lambda store, name: store.write(Put(alias(name)), Check(alias(f"{name}-absent"))),
        ),
    ],
)
def test_throttling_without_end_is_told(
    dynamo_of: Callable[..., DynamoStore],
    control: Control,
    unique: str,
    operation: str,
    call: Callable[[Store, str], Any],
) -> None:
    store = dynamo_of(attempts=2)
    control.faults(planned=[{"kind": "throttle", "calls": 2, "operation": operation}])

    with pytest.raises(ThrottledError):
        call(store, unique)

    assert control.faults()["planned"] == []
    assert store.get(AliasRow.ref_to("email", unique)) is None


@pytest.mark.parametrize("transaction", [True, False])
def test_a_conflict_with_a_transaction_is_a_conflict(
    dynamo: DynamoStore, control: Control, unique: str, transaction: bool
) -> None:
    operation = "TransactWriteItems" if transaction else "PutItem"
    control.faults(planned=[{"kind": "conflict", "calls": 1, "operation": operation}])
    others = [Put(alias(f"{unique}-b"))] if transaction else []

    with pytest.raises(ConflictError):
        dynamo.write(Put(alias(unique)), *others)

    assert dynamo.get(AliasRow.ref_to("email", unique)) is None


def test_a_write_without_an_answer_is_unknown_and_may_have_happened(
    dynamo_of: Callable[..., DynamoStore], dynamo: DynamoStore, control: Control, unique: str
) -> None:
    hasty = dynamo_of(attempts=1, read_timeout=0.5)
    control.faults(planned=[{"kind": "silence", "calls": 1, "operation": "PutItem"}])

    with pytest.raises(UnavailableError):
        hasty.write(Put(alias(unique)))

    eventually(lambda: dynamo.get(AliasRow.ref_to("email", unique)) is not None, seconds=60)


def test_a_write_repeated_unheard_shows_as_a_conflict(
    dynamo_of: Callable[..., DynamoStore], dynamo: DynamoStore, control: Control, unique: str
) -> None:
    """The client repeats it, and finds its own write: use cases read again and see that."""
    # Only one answer of these needs to be in time.
    hasty = dynamo_of(attempts=9, read_timeout=1.0)
    control.faults(planned=[{"kind": "silence", "calls": 1, "operation": "PutItem"}])

    with pytest.raises(ConflictError):
        hasty.write(Put(alias(unique)))

    assert dynamo.get(AliasRow.ref_to("email", unique)) == alias(unique).but(version=1)


def test_a_table_that_is_not_there_is_waited_for(
    clients: Callable[..., Any], tables: dict[Table, str], unique: str
) -> None:
    gone = DynamoStore(clients("dynamodb"), {table: f"{unique}-none" for table in tables})
    with pytest.raises(DeniedError):
        gone.get(AliasRow.ref_to("email", unique))
    with pytest.raises(DeniedError):
        gone.write(Put(alias(unique)), Check(alias(f"{unique}-absent")))


def test_nobody_listening_is_unavailable(tables: dict[Table, str]) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with closing(client(endpoint, "dynamodb")) as nobody, pytest.raises(UnavailableError):
        DynamoStore(nobody, tables).get(AliasRow.ref_to("email", "x"))
