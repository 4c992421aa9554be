"""The list of the suppressed, read from a real table: what is new, and what when it is away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import boto3
import pytest

from desireline.adapters.aws import config
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.suppressions import FRESH, OVERLAP, RETRY, STALE, DynamoSuppressions
from desireline.contracts import Table
from desireline.errors import UnavailableError
from desireline.events import Alias, AliasType
from desireline.receive.suppress import Objections, lift, suppress
from desireline.rows import AliasRow, PersonRow, Put, SuppressionLogRow
from desireline_local.aws.cloud import REGION
from desireline_local.kafka.broker import free_port

Clients = Callable[..., Any]
START = 1_767_571_200_000


class Scene:
    """A table of its own, a clock, and counted calls."""

    def __init__(self, client: Any, table: str) -> None:
        client.create_table(
            TableName=table,
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.client = client
        self.table = table
        self.store = DynamoStore(client, {Table.ADMISSION: table, Table.IDENTITY: table})
        self.at = START
        self.counts: Counter[str] = Counter()

    def now(self) -> int:
        return self.at

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        self.counts[name] += value

    def query(self, **arguments: Any) -> Any:
        self.counts["queries"] += 1
        answer = self.client.query(**arguments)
        self.counts["rows"] += len(answer["Items"])
        return answer

    def reading(self, client: Any = None) -> DynamoSuppressions:
        return DynamoSuppressions(client or self, self.table, self, self)  # type: ignore[arg-type]


@pytest.fixture
def scene(clients: Clients, unique: str) -> Scene:
    return Scene(clients("dynamodb"), unique)


def test_a_list_is_read_once_and_then_what_is_new_within_a_minute(scene: Scene) -> None:
    suppress(scene.store, ["a", "b"], reason="r", now=scene.at)
    suppressions = scene.reading()
    assert all(suppressions.current() == {"a", "b"} for _ in range(50))
    assert scene.counts["queries"] == 1

    suppress(scene.store, ["c"], reason="r", now=scene.at + 1)
    lift(scene.store, ["a"], now=scene.at + 2)
    scene.at += FRESH - 1
    assert suppressions.current() == {"a", "b"}
    scene.at += 1
    assert suppressions.current() == {"b", "c"}
    assert scene.reading().current() == {"b", "c"}


def test_a_long_list_is_read_whole_over_pages(scene: Scene) -> None:
    for number in range(30):
        writes = [
            Put(SuppressionLogRow(target=f"{number}-{i}-{'x' * 60}", at=i)) for i in range(100)
        ]
        scene.store.write(*writes)

    original = scene.query
    scene.query = lambda **arguments: original(Limit=700, **arguments)  # type: ignore[method-assign]

    assert len(scene.reading().current()) == 3_000
    assert scene.counts["queries"] >= 5


def test_an_entry_of_a_clock_that_is_behind_is_seen(scene: Scene) -> None:
    """Given an entry with a later time that was read before, as clocks differ by some seconds."""
    suppress(scene.store, ["a"], reason="r", now=scene.at)
    suppressions = scene.reading()
    suppressions.current()

    suppress(scene.store, ["b"], reason="r", now=scene.at - 30_000)
    scene.at += FRESH

    assert suppressions.current() == {"a", "b"}


def test_an_entry_and_its_lifting_at_one_moment_is_lifted(scene: Scene) -> None:
    suppress(scene.store, ["a"], reason="r", now=scene.at)
    suppressions = scene.reading()
    suppressions.current()
    lift(scene.store, ["a"], now=scene.at + 1)
    scene.at += FRESH

    assert not suppressions.current()


def test_while_the_table_is_away_the_list_holds_for_a_quarter_of_an_hour(scene: Scene) -> None:
    suppress(scene.store, ["a"], reason="r", now=scene.at)
    suppressions = scene.reading()
    suppressions.current()
    session = boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    )
    away = session.client(
        "dynamodb", endpoint_url=f"http://127.0.0.1:{free_port()}", config=config(attempts=1)
    )
    with closing(away):
        suppressions._client = away
        scene.at += FRESH
        assert suppressions.current() == {"a"}
        assert suppressions.current() == {"a"}, "and it is not asked at once again"
        assert scene.counts["suppressions_stale"] == 1
        scene.at += STALE
        with pytest.raises(UnavailableError):
            suppressions.current()
        with pytest.raises(UnavailableError):
            scene.reading(away).current()
        suppressions._client = scene
        scene.at += RETRY
        assert suppressions.current() == {"a"}


def test_who_is_deleted_by_law_is_on_the_list_with_all_aliases(scene: Scene) -> None:
    """Given a person of two aliases in a real table, when a sender reports the one as deleted by
    law, twice, then both are on the list, once."""
    scene.store.write(
        Put(AliasRow(type="crm", fragment="contact", root="ada")),
        Put(PersonRow(fragment="ada", subject="s", aliases=("user#ada", "crm#contact"))),
    )
    objections = Objections(scene.store, scene)
    for _ in range(2):
        objections(Alias(type=AliasType.CRM, value="123", fragment="contact"), "hubspot")
        scene.at += 1

    assert scene.reading().current() == {"ada", "contact"}
    rows = scene.store.query(SuppressionLogRow, SuppressionLogRow.partition_key())
    assert len(rows) == 2


def test_what_was_seen_is_not_read_every_minute_for_ever(scene: Scene) -> None:
    """Given many who were suppressed at once, and nobody since, then a look costs nothing."""
    suppress(scene.store, [f"who-{number}" for number in range(30)], reason="r", now=scene.at)
    suppressions = scene.reading()
    for _ in range(10):
        scene.at += FRESH
        assert len(suppressions.current()) == 30
    before = scene.counts["rows"]
    scene.at += FRESH
    assert len(suppressions.current()) == 30
    assert scene.counts["rows"] == before

    suppress(scene.store, ["late"], reason="r", now=scene.at - OVERLAP + 1_000)
    scene.at += FRESH
    assert "late" in suppressions.current(), "a clock that AWS still believes"
