"""The API for sites and servers through the running local cloud, by Segment's own library."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from segment.analytics.client import Client

from desireline_local.cloud import Addresses
from tests.integration.receive.conftest import (
    SERVER_KEY,
    SITE,
    SITE_KEY,
    busy,
    events,
    patient,
    post,
)


@pytest.mark.parametrize("packed", [False, True])
def test_segments_library_delivers_every_kind_of_call(cloud: Addresses, packed: bool) -> None:
    failures: list[Any] = []
    library = Client(
        SERVER_KEY,
        host=cloud.host,
        gzip=packed,
        on_error=lambda error, batch: failures.append(error),
        timeout=60,
        max_retries=10,
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
    found = [event for event in events(cloud) if event.aliases[0].value == who]
    assert sorted(event.name for event in found) == [
        *("account_joined", "docs_article_viewed", "identified", "identified"),
        *("page_viewed", "project_created"),
    ]


def test_a_person_has_the_same_fragment_in_every_local_cloud(cloud: Addresses) -> None:
    call = {"userId": "grace", "event": "Project Created", "messageId": "same-in-all"}
    answer = post(
        f"{cloud.host}/v1/track",
        json={**call, "properties": {"project_name": "Reports"}},
        auth=(SERVER_KEY, ""),
    )

    assert answer.json() == {"accepted": 1, "quarantined": 0}
    named = [one for event in events(cloud) for one in event.aliases if one.value == "grace"]
    assert [one.fragment for one in named] == ["12bc5b7f-977b-5c9f-8322-8245e01100fd"]


def test_a_browser_is_told_what_it_may_do(cloud: Addresses) -> None:
    call = orjson.dumps(
        {"messageId": "b1", "anonymousId": "browser-2", "event": "Demo Requested",
         "properties": {}, "writeKey": SITE_KEY}
    )  # fmt: skip
    ask = {"origin": SITE, "access-control-request-method": "POST"}
    with httpx.Client(base_url=cloud.host, timeout=60) as http:
        preflight = http.options("/v1/t", headers=ask)

        def post(origin: str) -> httpx.Response:
            headers = {"origin": origin, "content-type": "text/plain"}
            return patient(lambda: http.post("/v1/t", content=call, headers=headers), busy)

        posted, other = post(SITE), post("https://evil.example")

    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == SITE
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert posted.json() == {"accepted": 1, "quarantined": 0}
    assert posted.headers["access-control-allow-origin"] == SITE
    assert (other.status_code, other.json()["reason"]) == (403, "origin")
    assert "access-control-allow-origin" not in other.headers
