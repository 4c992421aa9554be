"""`python -m desireline_local.poller ENDPOINT BOOTSTRAP PORT`: poll for every Kafka mapping of the
local AWS, and serve the progress at http://127.0.0.1:PORT/status."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from desireline_local.aws.cloud import client
from desireline_local.kafka.broker import LOOPBACK
from desireline_local.kafka.offsets import Offsets
from desireline_local.poller.consume import MappingConsumer
from desireline_local.poller.event_source import kafka_event_sources


def main() -> None:
    """Poll until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    endpoint, bootstrap, port = sys.argv[1:4]
    lambdas, s3 = client(endpoint, "lambda"), client(endpoint, "s3")
    pages = lambdas.get_paginator("list_event_source_mappings").paginate()
    mappings = kafka_event_sources(one for page in pages for one in page["EventSourceMappings"])
    consumers = [
        MappingConsumer(mapping, bootstrap=bootstrap, lambdas=lambdas, s3=s3)
        for mapping in mappings
    ]
    offsets = Offsets(bootstrap, sorted({mapping.topic for mapping in mappings}))
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGINT, lambda *_: ending.set())
    for consumer in consumers:
        consumer.start()
    _serve(int(port), lambda: _status(consumers, offsets))
    while not ending.wait(0.5):
        for consumer in consumers:
            if not consumer.is_alive():
                raise SystemExit(f"the consumer {consumer.name} ended")
    for consumer in consumers:
        consumer.end()
    for consumer in consumers:
        consumer.join(60)


def _status(consumers: list[MappingConsumer], offsets: Offsets) -> dict[str, Any]:
    ends = offsets.ends()
    return {
        "mappings": [
            {
                "function": consumer.mapping.function,
                "topic": consumer.mapping.topic,
                "group": consumer.mapping.group,
                "lag": sum(
                    max(0, end - consumer.done.get(partition, 0))
                    for partition, end in ends[consumer.mapping.topic].items()
                ),
                **asdict(consumer.counts),
            }
            for consumer in consumers
        ],
        "produced": sum(sum(partitions.values()) for partitions in ends.values()),
    }


def _serve(port: int, status: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or each answer waits 40 ms
        disable_nagle_algorithm = True

        def do_GET(self) -> None:  # noqa: N802 — the base class' name
            body = json.dumps(status()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == "__main__":
    main()
