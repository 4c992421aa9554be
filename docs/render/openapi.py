"""docs/openapi.yaml: the HTTP API, out of the senders, the calls, the limits and the answers.

What code knows is taken from it; the schemas of the calls are Segment's specification as far as
Desireline reads it, and leave room for the rest.
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
    400: "Not what the sender sends: `malformed`, `stale`.",
    401: "`unsigned`, `forged`: no signature or write key, or none of ours.",
    403: "What the write key may not be used for: `origin`, `server_key`, `not_allowed`.",
    404: "`unknown_sender`, `unknown_call`; or no such route.",
    413: f"`too_large`: more than {BODY_LIMIT} bytes, unpacked; `too_many`: more than "
    f"{EVENTS_LIMIT} events.",
    415: "`unknown_encoding`: neither plain nor gzip.",
    429: "`throttled`: too many events; or a refusal, for a sender that never comes again after a "
    "400 or 401. Without `Retry-After` and `reason` it is the gateway that answers, for too many "
    "requests.",
    500: "The gateway answers, for the function did not. Come again.",
    503: "`unavailable`: Kafka cannot be reached in time; `internal`: our mistake, counted and "
    "alarmed. Come again.",
}

RETRIED = (429, 503)
BY_GATEWAY = (404, 413, 429, 500, 503)
"""Statuses with which the gateway too may answer, in its own words."""


def openapi_page() -> str:
    """The description, as YAML."""
    return HEADING + yaml.safe_dump(description(), sort_keys=False, width=100, allow_unicode=True)


def description() -> dict[str, Any]:
    """The description, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Desireline",
            "version": version("desireline"),
            "description": "Where SaaS tools send their webhooks, and sites and servers their "
            "events. A 2xx means that the events are in Kafka, acknowledged by all in-sync "
            "replicas. Set-up of each sender: senders.md; the API for sites and servers, its keys "
            "and limits: http_api.md.",
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
                    "description": "The write key is the user name; no password. Browsers give it "
                    "as `writeKey` in the body instead.",
                }
            },
        },
    }


def _webhooks() -> Schema:
    source = {
        "name": "source",
        "in": "path",
        "required": True,
        "description": "The sender. One that this deployment does not take is a 404.",
        "schema": {"type": "string", "enum": sorted(NAMES)},
    }
    return {
        "parameters": [source],
        "post": {
            "operationId": "webhook",
            "summary": "A webhook, signed as its sender signs",
            "description": "Body, signature and age are checked as the sender documents them: see "
            "senders.md. Some senders are answered in words of their own.",
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
            "summary": "Whether there is anybody: some senders ask before they send",
            "responses": {
                "200": {"description": "There is."},
                "404": {"description": "No such sender."},
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
    taken = {"description": "All of it is in Kafka.", "content": _json(_ref(schema))}
    found: Schema = {"200": taken}
    for status, says in REFUSALS.items():
        answer = "AnyAnswer" if schema == "Answer" and status in BY_GATEWAY else schema
        found[str(status)] = {"description": says, "content": _json(_ref(answer))}
        if status in RETRIED:
            found[str(status)]["headers"] = {
                "retry-after": {
                    "description": "Seconds after which to come again.",
                    "schema": {"type": "integer", "minimum": 1},
                }
            }
    return found


def _schemas() -> dict[str, Schema]:
    text, object_ = {"type": "string"}, {"type": "object"}
    count = {"type": "integer", "minimum": 0}
    return {
        "Answer": {
            "type": "object",
            "required": ["accepted", "quarantined"],
            "properties": {
                "accepted": {**count, "description": "events taken"},
                "quarantined": {**count, "description": "events set aside, to be repaired"},
                "withheld": {
                    **count,
                    "description": "events whose persons are suppressed or refuse consent",
                },
                "ignored": {**count, "description": "what is no event, as the plan says"},
                "reason": {**text, "description": "a stable code, where it was refused"},
                "detail": text,
            },
            "additionalProperties": False,
        },
        "Gateway": {
            "type": "object",
            "description": "The gateway's own words.",
            "required": ["message"],
            "properties": {"message": text},
        },
        "AnyAnswer": {"anyOf": [_ref("Answer"), _ref("Gateway")]},
        "AnswerOrOwnWords": {"type": "object"},
        "Call": {
            "type": "object",
            "properties": {
                "type": {**text, "description": "in a batch; else the path says it"},
                "messageId": {**text, "description": "what is sent twice with it counts once"},
                "userId": {"type": ["string", "integer", "null"]},
                "anonymousId": {"type": ["string", "null"]},
                "previousId": {**text, "description": "alias: the anonymous id that was this user"},
                "groupId": {"type": ["string", "integer"]},
                "event": {**text, "description": "track: what happened"},
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
