"""Schemathesis on the description: whatever it makes of it, the door answers as it is described."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from desireline.adapters import http_api
from desireline.receive.request import Answer
from desireline.receive.senders import NAMES
from desireline.receive.senders.direct import CALLS
from docs.render.openapi import description
from tests.functional.receive_webhook.gateway import SIGN, application
from tests.worlds.receiving import World

pytestmark = pytest.mark.usefixtures("world")

SCHEMA = schemathesis.openapi.from_wsgi("/openapi.json", application)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SCHEMA.parametrize()
@FEW
def test_what_nobody_signed_is_answered_as_described(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)


@SCHEMA.parametrize()
@FEW
def test_what_is_signed_is_answered_as_described(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS, headers={SIGN: "yes"})


def test_signed_calls_do_get_in(world: World) -> None:
    """Else the test above would hold of a door that is shut."""
    case: Any = SCHEMA["/v1/{call}"]["POST"].Case(
        path_parameters={"call": "track"},
        body={"messageId": "m1", "userId": "ada", "event": "Report Viewed",
              "timestamp": "2026-01-05T00:00:00Z"},
        media_type="application/json",
    )  # fmt: skip
    answer = case.call_and_validate(checks=CHECKS, headers={SIGN: "yes"})

    assert answer.status_code == 200
    assert len(world.events()) == 1


def test_it_describes_every_field_of_an_answer() -> None:
    numbers = {name: 1 for name in ("accepted", "quarantined", "withheld", "ignored")}
    full = Answer(503, "reason", "detail", retry_after=1, **numbers)
    assert set(Answer.__slots__) == {"status", "reason", "detail", "retry_after", "reply", *numbers}

    told = json.loads(http_api.webhook_response(full)["body"])

    assert set(told) == set(description()["components"]["schemas"]["Answer"]["properties"])


def test_it_describes_every_sender_and_every_call() -> None:
    paths = description()["paths"]
    (source,) = paths["/webhooks/{source}"]["parameters"]
    (call,) = paths["/v1/{call}"]["parameters"]

    assert set(source["schema"]["enum"]) == set(NAMES)
    assert {*call["schema"]["enum"], ""} == set(CALLS)
