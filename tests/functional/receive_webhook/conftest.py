"""The handler with its use case on in-memory ports."""

from __future__ import annotations

import pytest
from aws_lambda_powertools.metrics import MetricUnit

from desireline.receive.request import Answer, WebhookRequest
from receive_webhook import handler
from tests.worlds.receiving import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    def take(request: WebhookRequest) -> Answer:
        handler.metrics.add_metric("webhooks", MetricUnit.Count, 1)
        return world.receive(request)

    monkeypatch.setattr(handler, "use_case", lambda: take)
    return world
