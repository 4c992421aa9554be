"""The local API with a function that does nothing: what the emulator takes for itself."""

from __future__ import annotations

import io
import sys
import threading
import time
import zipfile
from collections.abc import Callable

import httpx

from desireline_local.cloud import LocalCloud

CLIENTS = 8
HANDLER = "def handle(event, context):\n    return {'statusCode': 200}\n"


def empty_api(cloud: LocalCloud) -> str:
    """Its address."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", HANDLER)
    function = cloud.at.client("lambda").create_function(
        FunctionName="empty",
        Runtime=f"python{sys.version_info[0]}.{sys.version_info[1]}",
        Role="arn:aws:iam::000000000000:role/empty",
        Handler="index.handle",
        Code={"ZipFile": buffer.getvalue()},
    )
    api = cloud.at.client("apigatewayv2")
    made = api.create_api(Name="empty", ProtocolType="HTTP")["ApiId"]
    integration = api.create_integration(
        ApiId=made,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    api.create_route(ApiId=made, RouteKey="POST /", Target=f"integrations/{integration}")
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    return f"{cloud.at.aws}/_aws/execute-api/{made}/$default/"


def rate(call: Callable[[httpx.Client], None], seconds: float) -> float:
    """Calls a second, by eight clients that each wait for their answer."""
    end = time.monotonic() + seconds
    counts = [0] * CLIENTS

    def work(place: int) -> None:
        with httpx.Client(timeout=30) as http:
            while time.monotonic() < end:
                call(http)
                counts[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds
