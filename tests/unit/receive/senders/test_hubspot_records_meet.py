"""What HubSpot reports of a deal counts for the company's account, in any order of arrival."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import orjson

from desireline.adapters.memory import MemoryStore
from desireline.events import CanonicalEvent
from tests.worlds.receiving import NOW, World, request
from tests.worlds.resolving import resolve, view_of


def hubspot(kind: str, **fields: Any) -> CanonicalEvent:
    told = {"portalId": 1, "occurredAt": NOW - 5_000, "subscriptionType": kind, **fields}
    return taken("hubspot", json.dumps([told]).encode())


def segment(event: str, user: str, group: str) -> CanonicalEvent:
    call = {
        "type": "track",
        "messageId": f"{event} {user}",
        "timestamp": "2026-01-05T00:00:00Z",
        "userId": user,
        "event": event,
        "context": {"groupId": group},
    }
    return taken("segment", orjson.dumps(call))


def taken(source: str, body: bytes) -> CanonicalEvent:
    world = World()
    world.receive(request(source, body))
    (event,) = world.events()
    return event


def belongs(deal: int, company: int, *, primary: bool = True) -> CanonicalEvent:
    return hubspot(
        "deal.associationChange",
        associationType="DEAL_TO_COMPANY",
        fromObjectId=deal,
        toObjectId=company,
        associationRemoved=False,
        isPrimaryAssociation=primary,
    )


WON = hubspot(
    "deal.propertyChange", objectId=9, propertyName="dealstage", propertyValue="closedwon"
)
CREATED = hubspot("deal.creation", objectId=9)
IS_ACME = hubspot(
    "company.propertyChange", objectId=77, propertyName="group_id", propertyValue="acme"
)
TRIAL = segment("Trial Started", "ada", "acme")


def test_a_deal_counts_for_the_trial_of_its_company_whatever_arrives_first() -> None:
    for order in permutations([CREATED, WON, belongs(9, 77), IS_ACME, TRIAL]):
        store = MemoryStore()

        for event in order:
            resolve(store, event)

        counts = view_of(store, "group:acme").state.counts
        assert counts["trial_signup"] == counts["deal_created"] == counts["deal_closed_won"] == 1
        assert view_of(store, "crm:77").root == view_of(store, "group:acme").root


def test_a_contact_that_changes_companies_makes_no_one_account_of_two() -> None:
    store = MemoryStore()
    for company in (77, 78):
        resolve(store, belongs(company, company))
        resolve(
            store,
            hubspot(
                "contact.associationChange",
                associationType="CONTACT_TO_COMPANY",
                fromObjectId=123,
                toObjectId=company,
                associationRemoved=False,
                isPrimaryAssociation=True,
            ),
        )

    assert view_of(store, "crm:77").root != view_of(store, "crm:78").root
