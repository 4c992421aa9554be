"""The door at its limits: the largest batch, packed bodies, and clients that break off."""

from __future__ import annotations

import gzip
import random
import socket
import time
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import orjson

from desireline.contracts import EVENTS_LIMIT
from desireline.receive.request import BODY_LIMIT
from desireline_local.cloud import Addresses
from desireline_local.sender_side.signing import sign
from tests.integration.receive.conftest import SERVER_KEY, events, patient, post

AUTH = (SERVER_KEY, "")


def batch(name: str, size: int) -> bytes:
    """The largest batch there may be, of just so many bytes; half of it compresses."""
    noise = random.Random(name)
    message: dict[str, Any] = {
        "type": "track", "userId": name, "event": "Report Viewed", "messageId": "",
        "timestamp": "2026-01-05T00:00:00Z", "properties": {}, "context": {"app": {"name": ""}},
    }  # fmt: skip
    bare = len(orjson.dumps({"batch": [message]})) + len(f"{name}-0000") + 1
    room = size // EVENTS_LIMIT - bare
    messages = []
    for number in range(EVENTS_LIMIT):
        filling = noise.randbytes(room // 4).hex() + "x" * (room // 2)
        messages.append(
            {**message, "messageId": f"{name}-{number:04}", "context": {"app": {"name": filling}}}
        )
    body = orjson.dumps({"batch": messages})
    assert len(body) <= size
    return body[:-1] + b" " * (size - len(body)) + b"}"


def count(cloud: Addresses, who: str) -> int:
    return sum(event.aliases[0].value == who for event in events(cloud))


def test_a_batch_of_4000_of_just_4_mb_is_taken_from_segment(cloud: Addresses) -> None:
    body = batch("largest", BODY_LIMIT)
    headers = sign("segment", body, cloud.secret("segment"), 0)

    answer = post(f"{cloud.webhooks}/segment", content=body, headers=headers)

    assert answer.json() == {"accepted": EVENTS_LIMIT, "quarantined": 0}
    assert count(cloud, "largest") == EVENTS_LIMIT


def test_one_byte_more_and_one_event_more_are_refused_with_a_reason(cloud: Addresses) -> None:
    for body in (
        batch("larger", BODY_LIMIT) + b" ",
        b'{"batch":[' + b"{}," * EVENTS_LIMIT + b"{}]}",
    ):
        answer = post(f"{cloud.host}/v1/batch", content=body, auth=AUTH)

        assert answer.status_code == 413
        assert answer.json()["reason"] in ("too_large", "too_many")


def test_a_packed_body_is_held_to_the_same_limits_unpacked(cloud: Addresses) -> None:
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    url = f"{cloud.host}/v1/batch"
    largest = gzip.compress(batch("packed", BODY_LIMIT))
    bomb = gzip.compress(b" " * (BODY_LIMIT + 1))

    taken = post(url, content=largest, headers=headers, auth=AUTH)
    refused = post(url, content=bomb, headers=headers, auth=AUTH)
    torn = post(url, content=largest[:1000], headers=headers, auth=AUTH)

    assert taken.json() == {"accepted": EVENTS_LIMIT, "quarantined": 0}
    assert count(cloud, "packed") == EVENTS_LIMIT
    assert (refused.status_code, refused.json()["reason"]) == (413, "too_large")
    assert (torn.status_code, torn.json()["reason"]) == (400, "malformed")


def call(who: str) -> bytes:
    return orjson.dumps(
        {"messageId": who, "userId": who, "event": "Report Viewed", "writeKey": SERVER_KEY,
         "timestamp": "2026-01-05T00:00:00Z"}
    )  # fmt: skip


def connected(cloud: Addresses, length: int) -> tuple[socket.socket, bytes]:
    """A connection on which a request has begun, and the bytes of its head."""
    url = urlsplit(f"{cloud.host}/v1/t")
    head = (
        f"POST {url.path} HTTP/1.1\r\nhost: {url.netloc}\r\ncontent-type: text/plain\r\n"
        f"content-length: {length}\r\nconnection: close\r\n\r\n"
    ).encode()
    return socket.create_connection((str(url.hostname), int(url.port or 80)), timeout=120), head


def answered(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except (TimeoutError, ConnectionError):
        return b""


def test_half_a_body_is_no_event_and_stops_nobody_else(cloud: Addresses) -> None:
    """Given clients that send half of what they announced and hang up, or fall silent,
    then others are served meanwhile, and of the halves nothing is kept."""
    body = call("half")
    silent, head = connected(cloud, len(body))
    with closing(silent):
        silent.sendall(head + body[: len(body) // 2])
        for _ in range(5):
            broken, head = connected(cloud, len(body))
            broken.sendall(head + body[:-1])
            broken.close()
        whole = post(f"{cloud.host}/v1/t", content=call("whole"))
    assert whole.json() == {"accepted": 1, "quarantined": 0}
    assert count(cloud, "whole") == 1
    assert count(cloud, "half") == 0


def test_a_length_that_lies_is_no_5xx_and_a_slow_body_is_taken(cloud: Addresses) -> None:
    def lying() -> bytes:
        body = call("liar")
        short, head = connected(cloud, len(body) - 10)
        with closing(short):
            short.sendall(head + body)
            return answered(short)

    def dripping() -> bytes:
        body = call("slow")
        slow, head = connected(cloud, len(body))
        with closing(slow):
            slow.sendall(head)
            for part in range(0, len(body), 20):
                slow.sendall(body[part : part + 20])
                time.sleep(0.05)
            return answered(slow)

    def busy(answer: bytes) -> bool:
        return answer.startswith(b"HTTP/1.1 503 ")

    assert b" 5" not in patient(lying, busy).partition(b"\r\n")[0]
    assert count(cloud, "liar") == 0
    assert b" 200 " in patient(dripping, busy).partition(b"\r\n")[0]
    assert count(cloud, "slow") == 1
