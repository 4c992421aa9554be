"""One running local cloud for all that is tested at its door."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from bench.read_topic import read_topic
from desireline.contracts import Topic
from desireline.events import CanonicalEvent
from desireline_local.cloud import Addresses, LocalCloud

SITE = "http://localhost:3000"
SERVER_KEY, SITE_KEY = "backend-key-0001", "site-key-000001"
KEYS = {
    "keys": [
        {"name": "backend", "key": SERVER_KEY},
        {"name": "site", "key": SITE_KEY, "kind": "browser", "origins": [SITE]},
    ]
}

Answer = TypeVar("Answer")


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A cloud with write keys and without a warehouse."""
    with LocalCloud(tmp_path_factory.mktemp("cloud") / "cloud", warehouse=False) as running:
        running.at.client("secretsmanager").put_secret_value(
            SecretId=f"{running.at.deployment}/direct", SecretString=json.dumps(KEYS)
        )
        yield running.at


def patient(send: Callable[[], Answer], busy: Callable[[Answer], bool]) -> Answer:
    """The first answer that is no 503. Where a machine is slower than a sender's patience the door
    says 503, and the sender comes again."""
    end = time.monotonic() + 300
    while busy(answer := send()) and time.monotonic() < end:
        time.sleep(0.5)
    return answer


def busy(answer: Any) -> bool:
    """Of httpx or requests."""
    return bool(answer.status_code == 503)


def post(url: str, **given: Any) -> httpx.Response:
    """httpx.post, again and again until the answer is no 503."""
    return patient(lambda: httpx.post(url, timeout=60, **given), busy)


def events(cloud: Addresses) -> list[CanonicalEvent]:
    """Of events.received, each once."""
    found = read_topic(cloud.kafka, Topic.EVENTS_RECEIVED)
    decoded = (CanonicalEvent.decode(one.value() or b"") for one in found)
    return list({event.event_id: event for event in decoded}.values())
