"""The local API with a function that only produces and flushes what it is sent: what the emulator
and the broker take for themselves."""

from __future__ import annotations

import io
import sys
import threading
import time
import zipfile
from collections.abc import Callable

import httpx

from desireline_local.cloud import LocalCloud
from desireline_local.kafka.broker import create_topics

CLIENTS = 8
TOPICS = {"bench.received": 4, "bench.raw": 4}
"""Of its own, with their partitions: nobody consumes them."""
HANDLER = """
import base64, os
from desireline.adapters.kafka import KafkaProducer
from desireline.records import Outgoing

producer = KafkaProducer(os.environ["KAFKA_BOOTSTRAP"], "plaintext", probe="bench.raw")

def handle(event, context):
    body = event["body"]
    body = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    for topic in ("bench.received", "bench.raw"):
        producer.produce(Outgoing(topic, "bare", body))
    producer.flush(10)
    return {"statusCode": 200}
"""


def producing_api(cloud: LocalCloud) -> str:
    """Its address. The function has the layers, the memory and the broker of ours."""
    create_topics(cloud.bootstrap, TOPICS)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", HANDLER)
    functions = cloud.at.client("lambda")
    ours = functions.get_function_configuration(
        FunctionName=f"{cloud.at.deployment}-receive-webhook"
    )
    function = functions.create_function(
        FunctionName="empty",
        Layers=[layer["Arn"] for layer in ours["Layers"]],
        MemorySize=ours["MemorySize"],
        Environment={"Variables": {"KAFKA_BOOTSTRAP": cloud.bootstrap}},
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

    def work(client: int) -> None:
        with httpx.Client(timeout=30) as http:
            while time.monotonic() < end:
                call(http)
                counts[client] += 1

    threads = [threading.Thread(target=work, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds
