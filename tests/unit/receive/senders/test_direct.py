"""The API that Segment's libraries speak: calls, short forms, keys, and what is kept."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import orjson
import pytest

from desireline.contracts import Topic
from desireline.events import AliasType, CanonicalEvent, RawWebhook
from desireline.receive.mapping.canonical import Canonical
from desireline.receive.mapping.event_mapper import Arrival, EventMapper, Mapped, reports_of
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline.receive.senders.direct import basic
from desireline.receive.write_keys import write_keys
from tests.worlds.receiving import NOW, PLAN, World

KEYS = orjson.dumps(
    {
        "keys": [
            {"name": "backend", "key": "backend-secret-key"},
            {
                "name": "site",
                "key": "site-public-key",
                "kind": "browser",
                "origins": ["https://www.acme.com"],
                "calls": ["page", "identify", "track"],
            },
        ]
    }
)
SERVER = {"authorization": basic(write_keys(KEYS)[0])}
BROWSER = {"origin": "https://www.acme.com", "content-type": "text/plain", "user-agent": "Firefox"}
WHEN = "2026-01-05T00:00:00Z"


def world() -> World:
    made = World()
    made.values = made.stored = (KEYS,)
    return made


def post(call: str, payload: Any, headers: dict[str, str] = SERVER, **more: Any) -> WebhookRequest:
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return WebhookRequest("direct", headers, body, "203.0.113.9", call=call, **more)


def message(**fields: Any) -> dict[str, Any]:
    return {"messageId": "m1", "timestamp": WHEN, "userId": "ada", **fields}


@pytest.mark.parametrize(
    ("call", "fields", "name"),
    [
        ("identify", {"traits": {"name": "Ada"}}, "identified"),
        ("i", {}, "identified"),
        ("track", {"event": "Report Viewed"}, "report_viewed"),
        ("t", {"event": "Report Viewed"}, "report_viewed"),
        ("page", {"properties": {"path": "/pricing"}}, "pricing_page_viewed"),
        ("p", {"context": {"page": {"path": "/x"}}}, "page_viewed"),
        ("screen", {"name": "Home"}, "page_viewed"),
        ("s", {"name": "Home"}, "page_viewed"),
        ("group", {"groupId": "acme", "traits": {"role": "owner"}}, "account_joined"),
        ("g", {"groupId": "acme"}, "account_joined"),
        ("alias", {"previousId": "browser-1"}, "identified"),
        ("a", {"previousId": "browser-1"}, "identified"),
    ],
)
def test_the_path_says_which_call_it_is(call: str, fields: dict[str, Any], name: str) -> None:
    receive = world()

    answer = receive.receive(post(call, message(**fields)))

    assert (answer.status, answer.accepted) == (200, 1), receive.quarantined()
    assert [event.name for event in receive.events()] == [name]
    assert receive.events()[0].source == "direct"


@pytest.mark.parametrize("call", ["batch", "b", "import", ""])
def test_a_batch_is_taken_with_what_it_shares(call: str) -> None:
    receive = world()
    batch = [message(type="track", event="Report Viewed"), message(type="page", messageId="m2")]

    answer = receive.receive(post(call, {"batch": batch, "context": {"groupId": "acme"}}))

    assert answer.accepted == 2
    assert {event.accounts[0].key for event in receive.events()} == {"group:acme"}


def test_alias_links_an_anonymous_id_and_never_two_users() -> None:
    receive = world()

    receive.receive(post("alias", message(previousId="bob")))

    (event,) = receive.events()
    assert [(one.type, one.value) for one in event.aliases] == [
        (AliasType.USER, "ada"),
        (AliasType.ANONYMOUS, "bob"),
    ]


def test_a_repeat_without_an_id_is_the_same_whenever_it_was_sent() -> None:
    receive = world()
    for sent in ("2026-01-05T00:00:01Z", "2026-01-05T00:00:09Z"):
        call = {"userId": "ada", "event": "Report Viewed", "timestamp": WHEN, "sentAt": sent}
        receive.receive(post("track", call))

    one, two = receive.events()
    assert one.event_id == two.event_id


def test_a_browser_tells_its_key_in_the_body_and_its_address_by_its_connection() -> None:
    receive = world()
    call = message(type="page", writeKey="site-public-key", properties={"path": "/"})

    answer = receive.receive(post("p", call, BROWSER))

    assert answer.accepted == 1
    (event,) = receive.events()
    assert event.context.ip_hash
    assert event.context.user_agent_hash
    other = world()
    other.receive(post("page", message()))
    assert other.events()[0].context.ip_hash is None


@pytest.mark.parametrize(
    ("call", "payload", "headers", "status", "reason"),
    [
        ("m", message(), SERVER, 404, "unknown_call"),
        ("track", message(), {}, 401, "unsigned"),
        ("track", message(writeKey=7), {}, 401, "unsigned"),
        ("track", message(), {"authorization": "Bearer abc"}, 401, "unsigned"),
        ("track", message(), {"authorization": "Basic !"}, 401, "unsigned"),
        ("track", message(writeKey="guess"), {}, 401, "forged"),
        ("track", b"{", {}, 400, "malformed"),
        ("track", b"[]", SERVER, 400, "malformed"),
        ("batch", {"batch": {}}, SERVER, 400, "malformed"),
        ("batch", {"batch": [{}] * 4001}, SERVER, 413, "too_many"),
        ("page", message(), {**SERVER, **BROWSER}, 403, "server_key"),
        ("page", message(writeKey="site-public-key"), {"origin": "https://x"}, 403, "origin"),
        ("group", message(writeKey="site-public-key"), BROWSER, 403, "not_allowed"),
        (
            "batch",
            {"batch": [message(type="alias")], "writeKey": "site-public-key"},
            BROWSER,
            403,
            "not_allowed",
        ),
    ],
)
def test_what_is_wrong_is_said(
    call: str, payload: Any, headers: dict[str, str], status: int, reason: str
) -> None:
    receive = world()

    answer = receive.receive(post(call, payload, headers))

    assert (answer.status, answer.reason) == (status, reason)
    assert not receive.durable


def test_keys_that_cannot_be_read_are_a_503_so_that_nothing_is_lost() -> None:
    receive = world()
    receive.values = (b"{",)

    assert receive.receive(post("track", message(event="Report Viewed"))).status == 503


@pytest.mark.parametrize("packed", [False, True])
def test_no_write_key_is_kept_and_what_is_kept_maps_the_same(packed: bool) -> None:
    receive = world()
    batch = {
        "batch": [message(type="track", event="Report Viewed")],
        "writeKey": "backend-secret-key",
    }
    body = orjson.dumps(batch)
    headers = {**SERVER, "content-encoding": "gzip"} if packed else SERVER

    receive.receive(post("batch", gzip.compress(body) if packed else body, headers))

    (record,) = receive.of(Topic.WEBHOOKS_RAW)
    raw = RawWebhook.decode(record.value)
    kept = base64.b64decode(raw.body)
    assert b"backend-secret-key" not in kept
    assert b"authorization" not in record.value
    (again,) = reports_of(load_senders(["direct"])["direct"], raw)
    assert again.event == "Report Viewed"


@pytest.mark.parametrize("given", [{}, {"messageId": 7}, {"messageId": None}])
def test_what_is_left_of_a_batch_without_ids_is_counted_where_it_was(
    given: dict[str, Any],
) -> None:
    """Given a batch without identifiers of a suppressed person and another, when what is kept of it
    is mapped again, then the other's event is counted where it was counted before."""
    made = world()
    ada = made.fragments.alias(AliasType.USER, "ada")
    assert ada is not None
    made.suppressed = frozenset([ada.fragment])
    call = {"type": "track", "event": "Report Viewed", "timestamp": WHEN, "sentAt": WHEN, **given}
    batch = [{**call, "userId": who} for who in ("ada", "bob")]

    shared = {"groupId": "acme", "traits": {"email": "ada@acme.com"}}
    answer = made.receive(post("batch", {"batch": batch, "context": shared}))

    assert (answer.accepted, answer.withheld) == (1, 1)
    (event,) = made.events()
    raw = RawWebhook.decode(made.of(Topic.WEBHOOKS_RAW)[0].value)
    mapping = EventMapper(Canonical(PLAN, made.fragments), PLAN.version)
    sender = load_senders(["direct"])["direct"]
    _, left = mapping(sender, reports_of(sender, raw), Arrival(raw.id, NOW, NOW))
    assert isinstance(left, Mapped)
    again = CanonicalEvent.decode(left.event)
    assert (again.event_id, again.fragment) == (event.event_id, event.fragment)
    assert [one.key for one in again.accounts] == ["group:acme"]
    assert b"ada" not in base64.b64decode(raw.body)
