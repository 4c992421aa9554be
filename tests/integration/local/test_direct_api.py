"""The API for sites and servers through the running local cloud, by Segment's own library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition
from segment.analytics.client import Client

from desireline.contracts import Topic
from desireline.events import CanonicalEvent
from desireline_local.cloud import Addresses, LocalCloud

SITE = "http://localhost:3000"
KEYS = {
    "keys": [
        {"name": "backend", "key": "backend-key-0001"},
        {"name": "site", "key": "site-key-000001", "kind": "browser", "origins": [SITE]},
    ]
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A cloud of its own, with write keys."""
    with LocalCloud(tmp_path_factory.mktemp("cloud") / "cloud", warehouse=False) as running:
        running.at.client("secretsmanager").put_secret_value(
            SecretId=f"{running.at.deployment}/direct", SecretString=json.dumps(KEYS)
        )
        yield running.at


def received(addresses: Addresses) -> list[CanonicalEvent]:
    """All events that are in Kafka."""
    consumer = Consumer({"bootstrap.servers": addresses.kafka, "group.id": "test"})
    found: list[CanonicalEvent] = []
    try:
        topics = consumer.list_topics(Topic.EVENTS_RECEIVED, timeout=10).topics
        for number in topics[Topic.EVENTS_RECEIVED].partitions:
            place = TopicPartition(Topic.EVENTS_RECEIVED, number)
            low, high = consumer.get_watermark_offsets(place, timeout=10)
            place.offset = low
            consumer.assign([place])
            for message in consumer.consume(high - low, timeout=10) if high > low else []:
                found.append(CanonicalEvent.decode(message.value() or b""))
    finally:
        consumer.close()
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_segments_library_delivers_every_kind_of_call(cloud: Addresses, packed: bool) -> None:
    failures: list[Any] = []
    library = Client(
        "backend-key-0001",
        host=cloud.host,
        gzip=packed,
        on_error=lambda error, batch: failures.append(error),
        max_retries=1,
    )
    who = f"ada-{packed}"
    library.identify(who, {"email": "ada@acme.com"})
    library.group(who, "acme", {"role": "owner"})
    library.track(who, "Project Created", {"project_name": "Reports"})
    library.page(who, "docs", "Start", {"path": "/docs/start"})
    library.screen(who, "mobile", "Home")
    library.alias("browser-1", who)
    library.flush()
    library.join()

    assert not failures
    found = [event for event in received(cloud) if event.aliases[0].value == who]
    assert sorted(event.name for event in found) == [
        *("account_joined", "docs_article_viewed", "identified", "identified"),
        *("page_viewed", "project_created"),
    ]


def test_a_browser_is_told_what_it_may_do(cloud: Addresses) -> None:
    call = orjson.dumps(
        {"messageId": "b1", "anonymousId": "browser-2", "event": "Demo Requested",
         "properties": {}, "writeKey": "site-key-000001"}
    )  # fmt: skip
    ask = {"origin": SITE, "access-control-request-method": "POST"}
    with httpx.Client(base_url=cloud.host) as http:
        preflight = http.options("/v1/t", headers=ask)
        posted = http.post(
            "/v1/t", content=call, headers={"origin": SITE, "content-type": "text/plain"}
        )
        other = http.post(
            "/v1/t",
            content=call,
            headers={"origin": "https://evil.example", "content-type": "text/plain"},
        )

    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == SITE
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert posted.json() == {"accepted": 1, "quarantined": 0}
    assert posted.headers["access-control-allow-origin"] == SITE
    assert (other.status_code, other.json()["reason"]) == (403, "origin")
    assert "access-control-allow-origin" not in other.headers
