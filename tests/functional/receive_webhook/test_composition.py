"""What an environment of receive_webhook is once it is put together."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from desireline.adapters.garbage_collection import OBJECTS
from receive_webhook import handler
from tests.worlds.receiving import World


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "DEPLOYMENT": "d",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "KAFKA_BOOTSTRAP": "127.0.0.1:9",
        "KAFKA_AUTH": "plaintext",
        "SENDERS": '["segment"]',
        "TABLES": '{"identity": "d-identity", "admission": "d-admission"}',
        "LIMITS": "{}",
    }.items():
        monkeypatch.setenv(name, value)
    world, threshold = World(), gc.get_threshold()
    monkeypatch.setattr(handler, "SecretsManager", lambda *_: world)
    monkeypatch.setattr(handler.compose, "producer", lambda _: world)
    handler.use_case.cache_clear()
    handler.use_case()
    yield
    handler.use_case.cache_clear()
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_its_collector_leaves_alone_what_stays(composed: None) -> None:
    assert gc.get_threshold()[0] == OBJECTS
    looked_at = {id(one) for one in gc.get_objects()}
    assert id(handler.use_case()) not in looked_at
