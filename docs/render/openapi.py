"""Render docs/openapi.yaml: the HTTP API with its senders, calls, limits and answers.

Names and limits come from the code. The schemas of the calls follow the part of Segment's
specification that Desireline reads, and allow other fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import yaml

from desireline.contracts import EVENTS_LIMIT
from desireline.receive.request import BODY_LIMIT
from desireline.receive.senders import NAMES
from desireline.receive.senders.direct import CALLS

Schema = dict[str, Any]

HEADING = "# Rendered from the senders, the calls and the answers of the code by `make docs`.\n"

REFUSALS: Mapping[int, str] = {
    400: "The sender would not send this: `malformed`, `stale`.",
    401: "`unsigned`, `forged`: the signature or write key is missing or wrong.",
    403: "The write key does not allow this: `origin`, `server_key`, `not_allowed`.",
    404: "`unknown_sender`, `unknown_call`; or an unknown route.",
    413: f"`too_large`: more than {BODY_LIMIT} uncompressed bytes; `too_many`: more than "
    f"{EVENTS_LIMIT} events.",
    415: "`unknown_encoding`: neither plain nor gzip.",
    429: "`throttled`: too many events; or a refusal, for a sender that never retries after a 400 "
    "or 401. Without `Retry-After` and `reason` the gateway answered, because of too many "
    "requests.",
    500: "The gateway answered, because the function did not. Retry.",
    503: "`unavailable`: Kafka did not answer in time; `internal`: an error of Desireline, which "
    "raises an alarm. Retry.",
}

RETRIED = (429, 503)
BY_GATEWAY = (404, 413, 429, 500, 503)
"""Statuses that the gateway may answer too, with its own body."""


def openapi_page() -> str:
    """Render the description as YAML."""
    return HEADING + yaml.safe_dump(description(), sort_keys=False, width=100, allow_unicode=True)


def description() -> dict[str, Any]:
    """Build the description, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Desireline",
            "version": version("desireline"),
            "description": "SaaS tools send webhooks here; sites and servers send events. After a "
            "2xx the events are in Kafka, acknowledged by all in-sync replicas. senders.md "
            "describes the set-up of each sender. http_api.md describes the API for sites and "
            "servers, its keys and its limits.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://{host}", "variables": {"host": {"default": "localhost"}}}],
        "paths": {"/webhooks/{source}": _webhooks(), "/v1/{call}": _calls()},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "writeKey": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The write key is the user name; the password is empty. "
                    "Browsers send it as `writeKey` in the body instead.",
                }
            },
        },
    }


def _webhooks() -> Schema:
    source = {
        "name": "source",
        "in": "path",
        "required": True,
        "description": "The sender. If the deployment does not accept it, the answer is 404.",
        "schema": {"type": "string", "enum": sorted(NAMES)},
    }
    return {
        "parameters": [source],
        "post": {
            "operationId": "webhook",
            "summary": "A webhook with its sender's signature",
            "description": "Body, signature and age are checked as the sender documents them: see "
            "senders.md. Some senders get an answer in their own format.",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {}},
                    "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
                },
            },
            "responses": _responses("AnswerOrOwnWords"),
            "security": [{}],
        },
        "head": {
            "operationId": "anybody",
            "summary": "A test of the address, which some senders make before they send",
            "responses": {
                "200": {"description": "The deployment accepts this sender."},
                "404": {"description": "Unknown sender."},
                "429": {"description": "Too many requests at once."},
            },
            "security": [{}],
        },
    }


def _calls() -> Schema:
    call = {
        "name": "call",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": [name for name in CALLS if name]},
    }
    body = {"schema": {"anyOf": [_ref("Call"), _ref("Batch")]}}
    return {
        "parameters": [call],
        "post": {
            "operationId": "call",
            "summary": "A call of Segment's tracking API, or a batch of them",
            "requestBody": {
                "required": True,
                "content": {"application/json": body, "text/plain": {"schema": {"type": "string"}}},
            },
            "responses": _responses("Answer"),
            "security": [{"writeKey": []}, {}],
        },
    }


def _responses(schema: str) -> Schema:
    accepted = {"description": "All events are in Kafka.", "content": _json(_ref(schema))}
    responses: Schema = {"200": accepted}
    for status, meaning in REFUSALS.items():
        answer = "AnyAnswer" if schema == "Answer" and status in BY_GATEWAY else schema
        responses[str(status)] = {"description": meaning, "content": _json(_ref(answer))}
        if status in RETRIED:
            responses[str(status)]["headers"] = {
                "retry-after": {
                    "description": "Seconds to wait before a retry.",
                    "schema": {"type": "integer", "minimum": 1},
                }
            }
    return responses


def _schemas() -> dict[str, Schema]:
    text, object_ = {"type": "string"}, {"type": "object"}
    count = {"type": "integer", "minimum": 0}
    return {
        "Answer": {
            "type": "object",
            "required": ["accepted", "quarantined"],
            "properties": {
                "accepted": {**count, "description": "accepted events"},
                "quarantined": {**count, "description": "events in quarantine, to be repaired"},
                "withheld": {
                    **count,
                    "description": "events whose persons are suppressed or refuse consent",
                },
                "ignored": {**count, "description": "reports that the plan ignores"},
                "reason": {**text, "description": "a stable code of the refusal"},
                "detail": text,
            },
            "additionalProperties": False,
        },
        "Gateway": {
            "type": "object",
            "description": "The gateway's own answer.",
            "required": ["message"],
            "properties": {"message": text},
        },
        "AnyAnswer": {"anyOf": [_ref("Answer"), _ref("Gateway")]},
        "AnswerOrOwnWords": {"type": "object"},
        "Call": {
            "type": "object",
            "properties": {
                "type": {**text, "description": "the call, in a batch; else it is in the path"},
                "messageId": {**text, "description": "two calls with one id count once"},
                "userId": {"type": ["string", "integer", "null"]},
                "anonymousId": {"type": ["string", "null"]},
                "previousId": {**text, "description": "alias: the anonymous id that was this user"},
                "groupId": {"type": ["string", "integer"]},
                "event": {**text, "description": "track: the name of the event"},
                "name": text,
                "properties": object_,
                "traits": object_,
                "context": object_,
                "timestamp": {**text, "format": "date-time"},
                "writeKey": text,
            },
        },
        "Batch": {
            "type": "object",
            "required": ["batch"],
            "properties": {
                "batch": {"type": "array", "maxItems": EVENTS_LIMIT, "items": _ref("Call")},
                "context": object_,
                "writeKey": text,
            },
        },
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
