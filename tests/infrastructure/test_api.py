"""The way in: one route, throttled, logged without what does not belong into a log."""

from __future__ import annotations

import json

from tests.infrastructure.assembly import Assembly

ROUTES = ("POST /webhooks/{source}", "HEAD /webhooks/{source}")


def test_there_is_one_path_and_it_leads_to_the_function(dev: Assembly) -> None:
    routes = dev.of_type("AWS::ApiGatewayV2::Route")
    assert {route.properties["RouteKey"] for route in routes} == set(ROUTES)
    assert len({route.properties["Target"] for route in routes}) == 1
    (integration,) = dev.of_type("AWS::ApiGatewayV2::Integration")
    assert integration.properties["PayloadFormatVersion"] == "2.0"
    function = dev.functions()["receive_webhook"]
    assert integration.properties["IntegrationUri"] == f"<{function.name}.Arn>"


def test_it_is_throttled_by_route(dev: Assembly, prod: Assembly) -> None:
    for assembly, rate, burst in ((dev, 50, 100), (prod, 1000, 2000)):
        (stage,) = assembly.of_type("AWS::ApiGatewayV2::Stage")
        settings = stage.properties["RouteSettings"]
        assert set(settings) == set(ROUTES)
        for one in settings.values():
            assert one["ThrottlingRateLimit"] == rate
            assert one["ThrottlingBurstLimit"] == burst
        assert stage.properties["StageName"] == "$default"


def test_its_log_tells_no_path_and_no_address(dev: Assembly) -> None:
    (stage,) = dev.of_type("AWS::ApiGatewayV2::Stage")
    log = json.loads(stage.properties["AccessLogSettings"]["Format"])
    told = set(log.values())
    assert "$context.routeKey" in told
    assert not told & {"$context.path", "$context.identity.sourceIp", "$context.identity.userAgent"}
