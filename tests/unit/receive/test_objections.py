"""Whose data a sender had to delete by law, of them nothing is taken any more."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from desireline.contracts import Topic
from desireline.errors import ThrottledError
from desireline.events import AliasType, RawWebhook
from desireline.receive.mapping.event_mapper import Arrival, Withheld, reports_of
from desireline.receive.request import Answer
from desireline.receive.senders import load_senders
from desireline.receive.suppress import holding
from desireline.rows import AliasRow, Check, PersonRow, Put, SuppressionLogRow, SuppressionRow
from tests.worlds.receiving import NOW, World, request

SENDER = load_senders(["hubspot"])["hubspot"]
DELETED = {"subscriptionType": "contact.privacyDeletion", "objectId": 123, "occurredAt": NOW}
GENERIC = {**DELETED, "subscriptionType": "object.privacyDeletion", "objectTypeId": "0-1"}


def fragment(world: World, alias_type: AliasType, value: str) -> str:
    alias = world.fragments.alias(alias_type, value)
    assert alias is not None
    return alias.fragment


def with_ada() -> tuple[World, set[str]]:
    """Ada is HubSpot's contact 123 and the user ada."""
    world = World()
    contact, user = (
        fragment(world, AliasType.CRM, "123"),
        fragment(world, AliasType.USER, "ada"),
    )
    world.store.write(
        Put(AliasRow(type="crm", fragment=contact, root=user)),
        Put(PersonRow(fragment=user, subject="s", aliases=(f"user#{user}", f"crm#{contact}"))),
    )
    return world, {contact, user}


def suppressed(world: World) -> set[str]:
    return set(holding(world.store.query(SuppressionLogRow, SuppressionLogRow.partition_key())))


def sent(world: World, *events: dict[str, Any]) -> Answer:
    return world.receive(request("hubspot", json.dumps(events).encode()))


@pytest.mark.parametrize("event", [DELETED, GENERIC])
def test_all_that_is_known_of_a_person_deleted_by_law_is_suppressed(event: dict[str, Any]) -> None:
    """Given a contact that is a user of the product too, when HubSpot says that it had to delete
    the contact, then neither is taken any more, the gate knows it, and nothing of it is kept."""
    world, theirs = with_ada()

    answer = sent(world, event)

    assert (answer.status, answer.withheld, answer.quarantined) == (200, 1, 0)
    assert suppressed(world) == theirs
    assert all(world.store.get(SuppressionRow.ref_to(one)) for one in theirs)
    assert not world.durable
    assert world.counts["events_withheld:deletion"] == 1


def test_a_person_of_whom_nothing_was_known_stays_unknown() -> None:
    world = World()
    assert sent(world, DELETED).withheld == 1
    assert suppressed(world) == {fragment(world, AliasType.CRM, "123")}


def test_a_second_delivery_changes_nothing() -> None:
    world, _ = with_ada()
    sent(world, DELETED)
    written = world.store.writes

    assert sent(world, DELETED).status == 200
    assert world.store.writes == written


@pytest.mark.parametrize(
    "event",
    [
        {"subscriptionType": "contact.deletion"},
        {"subscriptionType": "company.privacyDeletion"},
        {"subscriptionType": "object.privacyDeletion", "objectTypeId": "0-3"},
    ],
)
def test_a_record_that_was_only_tidied_away_suppresses_nobody(event: dict[str, Any]) -> None:
    world, _ = with_ada()
    assert sent(world, {**DELETED, **event}).quarantined == 1
    assert not suppressed(world)


def test_the_others_of_a_batch_are_taken_and_the_deleted_is_not_kept() -> None:
    world, _ = with_ada()
    other = {"subscriptionType": "contact.creation", "objectId": 77, "occurredAt": NOW}

    answer = sent(world, DELETED, other)

    assert (answer.accepted, answer.withheld) == (1, 1)
    (record,) = world.of(Topic.WEBHOOKS_RAW)
    raw = RawWebhook.decode(record.value)
    assert b"123" not in base64.b64decode(raw.body)
    again = world.receive._map
    outcomes = again(SENDER, reports_of(SENDER, raw), Arrival("id", NOW, 0))
    assert next(outcomes) == Withheld(0, "withheld")


def test_what_cannot_be_written_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a table that refuses, then HubSpot is asked to come again, and then it is done."""
    world, theirs = with_ada()

    def refuse(*_: object) -> None:
        raise ThrottledError("write")

    with monkeypatch.context() as table:
        table.setattr(world.store, "write", refuse)
        assert sent(world, DELETED).status == 503
    assert not world.durable

    assert sent(world, DELETED).status == 200
    assert suppressed(world) == theirs


def test_many_deletions_are_done_over_several_deliveries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given more of them than can be written while the sender waits, then it is asked to come
    again before it gives up, and what is done is done."""
    world, _ = with_ada()
    clock, write = [NOW], world.store.write

    def slow(*writes: Put | Check) -> None:
        clock[0] += 400
        write(*writes)

    monkeypatch.setattr(world.store, "write", slow)
    monkeypatch.setattr(World, "now", lambda _: clock[0])
    batch = [{**DELETED, "objectId": number} for number in range(1, 20)]
    statuses = []
    while 200 not in statuses and len(statuses) < 10:
        statuses.append(world.receive(request("hubspot", json.dumps(batch).encode())).status)

    assert statuses == [503, 503, 200]
    assert len(suppressed(world)) == 19
