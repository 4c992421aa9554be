"""The way in: two routes, throttled, logged without what does not belong into a log."""

from __future__ import annotations

import json

from tests.infrastructure.assembly import Assembly

ROUTES = {"POST /webhooks/{source}", "HEAD /webhooks/{source}", "POST /v1/{call}"}


def test_all_routes_lead_to_the_function(dev: Assembly) -> None:
    routes = dev.of_type("AWS::ApiGatewayV2::Route", stack="receive")
    assert {route.properties["RouteKey"] for route in routes} == ROUTES
    (integration,) = dev.of_type("AWS::ApiGatewayV2::Integration", stack="receive")
    target = f"integrations/<{integration.name}>"
    assert {route.properties["Target"] for route in routes} == {target}
    assert integration.properties["PayloadFormatVersion"] == "2.0"
    function = dev.functions()["receive_webhook"]
    assert integration.properties["IntegrationUri"] == f"<{function.name}.Arn>"


def test_each_is_throttled_and_any_other_is_shut(dev: Assembly, prod: Assembly) -> None:
    for assembly, rate, burst in ((dev, 50, 100), (prod, 1000, 2000)):
        (stage,) = assembly.of_type("AWS::ApiGatewayV2::Stage", stack="receive")
        settings = stage.properties["RouteSettings"]
        assert set(settings) == ROUTES
        for one in settings.values():
            assert one["ThrottlingRateLimit"] == rate
            assert one["ThrottlingBurstLimit"] == burst
        assert stage.properties["DefaultRouteSettings"]["ThrottlingRateLimit"] == 1
        assert stage.properties["StageName"] == "$default"


def test_only_browsers_of_named_sites_read_its_answers(dev: Assembly, prod: Assembly) -> None:
    (api,) = dev.of_type("AWS::ApiGatewayV2::Api", stack="receive")
    cors = api.properties["CorsConfiguration"]
    assert cors["AllowOrigins"] == ["http://localhost:3000"]
    assert cors["AllowMethods"] == ["POST"]
    assert set(cors["AllowHeaders"]) >= {"authorization", "content-type"}
    assert "AllowCredentials" not in cors
    (api,) = prod.of_type("AWS::ApiGatewayV2::Api", stack="receive")
    assert "CorsConfiguration" not in api.properties


def test_no_log_tells_a_path_or_an_address(dev: Assembly) -> None:
    for stage in dev.of_type("AWS::ApiGatewayV2::Stage"):
        log = json.loads(stage.properties["AccessLogSettings"]["Format"])
        told = set(log.values())
        assert "$context.routeKey" in told
        kept_out = {"$context.path", "$context.identity.sourceIp", "$context.identity.userAgent"}
        assert not told & kept_out


def test_quarantine_is_served_to_whom_iam_lets_in_and_to_nobody_else(dev: Assembly) -> None:
    routes = dev.of_type("AWS::ApiGatewayV2::Route", stack="recover")
    assert {route.properties["RouteKey"] for route in routes} == {
        "GET /quarantine",
        "GET /quarantine/{id}",
        "POST /quarantine/preview",
        "POST /quarantine/replay",
    }
    assert {route.properties["AuthorizationType"] for route in routes} == {"AWS_IAM"}
    (integration,) = dev.of_type("AWS::ApiGatewayV2::Integration", stack="recover")
    parameters = dev.of_type("AWS::SSM::Parameter", stack="recover")
    assert "/desireline/desireline-dev/quarantine/url" in {
        parameter.properties["Name"] for parameter in parameters
    }
    function = dev.functions()["serve_quarantine"]
    assert integration.properties["IntegrationUri"] == f"<{function.name}.Arn>"
    (stage,) = dev.of_type("AWS::ApiGatewayV2::Stage", stack="recover")
    assert stage.properties["DefaultRouteSettings"]["ThrottlingRateLimit"] == 5
