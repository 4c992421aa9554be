"""HubSpot: what it signs, which changes are one, and whose they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType, CanonicalEvent
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.hubspot import SENDER, decoded
from desireline_local.sender_side.samples import CALLED
from tests.worlds.receiving import NOW, SECRET, World, request

# Published with HubSpot's own library, in its tests.
CLIENT_SECRET = b"yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
PUBLISHED = WebhookRequest(
    "hubspot",
    {
        "x-hubspot-signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
        "x-hubspot-request-timestamp": "15000000",
    },
    b"{'example_field':'example_value'}",
    url="https://www.example.com/webhook_uri",
)


def event(kind: str = "contact.creation", **fields: Any) -> dict[str, Any]:
    return {
        "eventId": 1,
        "subscriptionId": 12345,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": NOW - 5_000,
        "subscriptionType": kind,
        "attemptNumber": 0,
        "objectId": 123,
        "changeSource": "CRM",
        **fields,
    }


def received(*events: dict[str, Any]) -> World:
    world = World()
    assert world.receive(request("hubspot", json.dumps(events).encode())).status == 200
    return world


def one(**fields: Any) -> CanonicalEvent:
    (found,) = received(event(**fields)).events()
    return found


def test_the_published_vector_verifies() -> None:
    SENDER.verify(PUBLISHED, PUBLISHED.body, [b"another", CLIENT_SECRET], now=15_000_000)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"url": "http://www.example.com/webhook_uri"},
        {"url": "https://www.example.com/webhook_uri?x=1"},
        {"headers": {**PUBLISHED.headers, "x-hubspot-request-timestamp": "15000001"}},
    ],
)
def test_method_address_and_time_are_signed_with_the_body(changed: dict[str, Any]) -> None:
    fields = {
        "headers": PUBLISHED.headers,
        "url": PUBLISHED.url,
        "method": "POST",
        **changed,
    }
    with pytest.raises(RefusedError, match="forged"):
        SENDER.verify(
            WebhookRequest("hubspot", body=PUBLISHED.body, **fields),
            PUBLISHED.body,
            [CLIENT_SECRET],
            now=15_000_000,
        )


def test_a_day_in_the_future_is_as_stale_as_a_day_in_the_past() -> None:
    """HubSpot's own library takes it."""
    for now in (15_000_000 - 86_400_000, 15_000_000 + 86_400_000):
        with pytest.raises(RefusedError) as refused:
            SENDER.verify(PUBLISHED, PUBLISHED.body, [CLIENT_SECRET], now=now)
        assert (refused.value.status, refused.value.reason) == (400, "stale")


def test_older_versions_of_the_signature_which_sign_no_time_are_not_taken() -> None:
    headers = {
        "x-hubspot-signature": "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383",
        "x-hubspot-signature-version": "v2",
    }
    with pytest.raises(RefusedError, match="unsigned"):
        SENDER.verify(
            WebhookRequest("hubspot", headers, PUBLISHED.body, url=PUBLISHED.url),
            PUBLISHED.body,
            [CLIENT_SECRET],
            now=15_000_000,
        )


def test_the_address_is_decoded_as_hubspot_decodes_it() -> None:
    """Only these escapes, in either case; a space stays as it was written."""
    url = "https://a.example/hooks?u=https%3A%2f%2Fb&m=x%40y%2C%3b%21%24%27%28%29%2A%3F&s=a%20b%26"
    assert decoded(url) == "https://a.example/hooks?u=https://b&m=x@y,;!$'()*?&s=a%20b%26"

    signed = request("hubspot", b"[]")
    for query, taken in (("?q=a%2Fb", True), ("?q=a/b", True), ("?q=a%2Bb", False)):
        headers = SENDER.sign(
            WebhookRequest("hubspot", {}, b"[]", url=f"{CALLED}hubspot?q=a/b"), SECRET, NOW
        )
        called = WebhookRequest(
            "hubspot", {**signed.headers, **headers}, b"[]", url=f"{CALLED}hubspot{query}"
        )
        assert (World().receive(called).status == 200) is taken


def test_a_plus_that_became_a_space_is_a_plus() -> None:
    for number in range(200):
        sent = request("hubspot", json.dumps([event(objectId=number)]).encode())
        given = sent.headers["x-hubspot-signature-v3"]
        if "+" in given:
            break
    spaced = {**sent.headers, "x-hubspot-signature-v3": given.replace("+", " ")}

    answer = World().receive(WebhookRequest("hubspot", spaced, sent.body, url=sent.url))

    assert answer.status == 200


def test_attempts_and_subscriptions_do_not_make_another_event_of_a_change() -> None:
    first, second = (
        event("contact.propertyChange", propertyName="lifecyclestage", propertyValue="customer"),
        event(
            "object.propertyChange",
            objectTypeId="0-1",
            propertyName="lifecyclestage",
            propertyValue="customer",
            attemptNumber=3,
            subscriptionId=999,
            eventId=77,
            sourceId="another",
        ),
    )
    ids = {found.event_id for found in received(first, second).events()}
    assert len(ids) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"objectId": 124},
        {"portalId": 1},
        {"occurredAt": NOW - 4_999},
        {"propertyValue": "lead"},
        {"propertyName": "hs_email_optout", "propertyValue": "true"},
    ],
)
def test_one_event_id_of_hubspot_may_be_several_events(other: dict[str, Any]) -> None:
    """`eventId` is not unique."""
    given = {"propertyName": "lifecyclestage", "propertyValue": "customer"}
    change = "contact.propertyChange"
    found = received(event(change, **given), event(change, **{**given, **other})).events()
    assert len({one.event_id for one in found}) == 2


def test_a_contact_is_its_bare_id_and_what_has_several_contacts_is_none_of_them() -> None:
    assert one().aliases[0].value == "123"
    deal = one(kind="deal.creation", objectId=9)
    assert [(alias.type, alias.value) for alias in deal.aliases] == [(AliasType.CRM, "deal:9")]
    assert deal.properties == {"deal_id": "9"}


def test_a_contacts_email_and_user_id_are_its_aliases_and_its_traits() -> None:
    change = "contact.propertyChange"
    email = one(kind=change, propertyName="email", propertyValue="Ada@Example.com")
    user = one(kind=change, propertyName="user_id", propertyValue="ada")

    assert {(alias.type, alias.value) for alias in email.aliases} == {
        (AliasType.CRM, "123"),
        (AliasType.EMAIL, "ada@example.com"),
    }
    assert email.traits == {"email": "Ada@Example.com"}
    assert [alias.type for alias in user.aliases] == [AliasType.USER, AliasType.CRM]


def test_a_form_that_anybody_fills_in_names_no_user() -> None:
    change = {"kind": "contact.propertyChange", "propertyName": "user_id", "propertyValue": "ada"}
    assert [alias.value for alias in one(**change, changeSource="FORM").aliases] == ["123"]


def test_a_deal_belongs_to_its_primary_company_and_a_contact_is_a_member() -> None:
    deal, contact, second = received(
        *(
            event(
                f"{kind}.associationChange",
                associationType=f"{kind.upper()}_TO_COMPANY",
                fromObjectId=9,
                toObjectId=77,
                associationRemoved=False,
                isPrimaryAssociation=primary,
            )
            for kind, primary in (("deal", True), ("contact", True), ("deal", False))
        )
    ).events()

    (of_deal,), (of_contact,), (of_second,) = deal.accounts, contact.accounts, second.accounts
    assert (of_deal.key, of_deal.role) == ("crm:77", AccountRole.OWNER)
    assert (of_contact.key, of_contact.role) == ("crm:77", AccountRole.MEMBER)
    assert of_second.role is AccountRole.MEMBER


def test_a_removed_association_joins_nothing() -> None:
    world = received(
        event(
            "deal.associationChange",
            associationType="DEAL_TO_COMPANY",
            fromObjectId=9,
            toObjectId=77,
            associationRemoved=True,
        )
    )
    assert not world.events()
    assert not world.quarantined()
    assert world.counts["events_ignored:"] == 1


def test_a_company_that_names_the_products_account_is_that_account() -> None:
    joined = one(
        kind="company.propertyChange", objectId=77, propertyName="group_id", propertyValue="acme"
    )
    assert [account.key for account in joined.accounts] == ["group:acme", "crm:77"]
    assert {account.role for account in joined.accounts} == {AccountRole.OWNER}


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("closedwon", "deal_closed_won"),
        ("closedlost", "deal_closed_lost"),
        ("contractsent", "deal_stage_changed"),
    ],
)
def test_a_deals_stage_says_what_became_of_it(stage: str, name: str) -> None:
    found = one(kind="deal.propertyChange", propertyName="dealstage", propertyValue=stage)
    assert (found.name, found.properties["stage"]) == (name, stage)
    assert (found.timed, found.occurred_at) == (True, NOW - 5_000)


@pytest.mark.parametrize(
    ("secret", "at", "reason"),
    [(b"not stored here yet", NOW, "forged"), (SECRET, NOW - 3_600_000, "stale")],
)
def test_hubspot_is_not_told_what_it_never_comes_again_after(
    secret: bytes, at: int, reason: str
) -> None:
    """400, 401, 403, 404 and 405 end its repetitions; after a 429 they go on for a day."""
    answer = World().receive(request("hubspot", json.dumps([event()]).encode(), secret, at))
    assert (answer.status, answer.reason) == (429, reason)
