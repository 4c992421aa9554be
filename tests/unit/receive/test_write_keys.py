"""Write keys: several at once, and what a public one may be used for."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from desireline.errors import RefusedError, UnavailableError
from desireline.receive.request import WebhookRequest
from desireline.receive.write_keys import BROWSER_BODY_LIMIT, WriteKey, matching, write_keys
from desireline.receive.write_keys import without_keys as emptied
from tests.worlds.receiving import World
from tests.worlds.signed_bodies import JSON

SITE = WriteKey(
    name="site", key="site-key-1", kind="browser", origins=frozenset({"https://www.acme.com"})
)
SECRET = orjson.dumps(
    {
        "keys": [
            {"name": "site", "key": "site-key-1", "kind": "browser"},
            {"name": "backend", "key": "backend-key-1"},
        ]
    }
)


def test_several_keys_hold_at_once_and_those_of_the_previous_secret_besides() -> None:
    previous = orjson.dumps({"keys": [{"name": "old", "key": "backend-key-0"}]})

    found = [matching(key, (SECRET, previous)) for key in ("site-key-1", "backend-key-0", "none")]

    assert [key and key.name for key in found] == ["site", "old", None]


def test_a_secret_that_is_no_json_is_one_servers_key() -> None:
    (key,) = write_keys(b"Xyz123")
    assert (key.name, key.key, key.kind) == ("default", "Xyz123", "server")


@pytest.mark.parametrize(
    "secret",
    [
        b"{",
        b'{"keys": [{"name": "Site", "key": "site-key-1"}]}',
        b'{"keys": [{"name": "site", "key": "short"}]}',
        b'{"keys": [{"name": "site", "key": "with:colon"}]}',
        b'{"keys": [], "more": 1}',
    ],
)
def test_a_document_that_cannot_be_read_is_ours_to_mend_not_the_senders(secret: bytes) -> None:
    with pytest.raises(UnavailableError):
        matching("site-key-1", (secret,))


@pytest.mark.parametrize(
    ("key", "origin", "size", "reason"),
    [
        (SITE, "https://www.acme.com", 10, None),
        (SITE, "https://evil.example", 10, "origin"),
        (SITE, None, 10, "origin"),
        (SITE, "https://www.acme.com", BROWSER_BODY_LIMIT + 1, "too_large"),
        (SITE.model_copy(update={"origins": frozenset()}), "https://any.example", 10, None),
        (WriteKey(name="backend", key="backend-key"), None, BROWSER_BODY_LIMIT + 1, None),
        (WriteKey(name="backend", key="backend-key"), "https://www.acme.com", 10, "server_key"),
    ],
)
def test_a_public_key_is_bound_to_its_site_and_a_servers_stays_out_of_browsers(
    key: WriteKey, origin: str | None, size: int, reason: str | None
) -> None:
    if reason is None:
        key.admit(origin, size)
        return
    with pytest.raises(RefusedError) as refused:
        key.admit(origin, size)
    assert refused.value.reason == reason


def test_a_key_says_only_what_it_may_say() -> None:
    key = WriteKey(
        name="site",
        key="site-key-1",
        kind="browser",
        calls=frozenset({"page", "track"}),
        events=frozenset({"Demo Requested"}),
    )

    key.allow([{"type": "page"}, {"type": "track", "event": "Demo Requested"}])
    refused: list[dict[str, object]] = [
        *({"type": "group"}, {"type": "track", "event": "Trial Started"}, {}),
        *({"type": ["page"]}, {"type": {}}, {"type": "track", "event": ["Demo Requested"]}),
    ]
    for message in refused:
        with pytest.raises(RefusedError, match="not_allowed"):
            key.allow([message])


def test_a_body_is_kept_without_its_keys_and_is_otherwise_the_same() -> None:
    body = rb'{ "writeKey" : "se\"cret", "batch": [{"writeKey":"x","a":"\"writeKey\": \"no\""}]}'

    left = emptied(body)

    assert left == rb'{ "writeKey" : "", "batch": [{"writeKey":"","a":"\"writeKey\": \"no\""}]}'
    assert emptied(b'{"a":1}') == b'{"a":1}'


@settings(max_examples=60, deadline=None)
@given(said=JSON, event=JSON, payload=JSON)
@pytest.mark.parametrize("call", ["batch", "track", ""])
def test_nothing_makes_a_5xx_with_a_key_that_everybody_can_read(
    call: str, said: Any, event: Any, payload: Any
) -> None:
    """Given a public key that is bound to calls and events, then whatever is sent with it is
    refused or taken: an alarm that pages must not be anybody's to ring."""
    key = {"name": "site", "key": "site-key-1", "kind": "browser", "calls": ["page", "track"]}
    world = World()
    world.values = world.stored = (orjson.dumps({"keys": [{**key, "events": ["Said"]}]}),)
    calls = [{"type": said}, {"type": "track", "event": event}, payload]
    body = {"writeKey": "site-key-1", **({"batch": calls} if call == "batch" else calls[1])}

    answer = world.receive(
        WebhookRequest("direct", {"origin": "https://a.com"}, json.dumps(body).encode(), call=call)
    )

    assert answer.status < 500
