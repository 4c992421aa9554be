"""Slack: events of its Events API, and the buttons of our alerts.

Signature: `X-Slack-Signature: v0=…`, hex HMAC-SHA256 of `v0:timestamp:body`;
`X-Slack-Request-Timestamp` in seconds. This module does not use slack_sdk, which contains a client
of the whole API. Its verifier supports one secret, and raises ValueError for a malformed time.

Slack sends events as JSON. It sends clicks as a form whose field `payload` is JSON. It signs the
raw body. Slack confirms an address with a challenge, which the answer has to repeat. It waits 3
seconds and repeats three times, unless the answer has the header `x-slack-no-retry`, which ours
never has. The answer to a click must have an empty body.

Set up: in the app's settings, enter this address as the request URL of event subscriptions, with
the events `message.channels`, `team_join` and `user_change`, and with the scope `users:read.email`.
Enter it as the request URL of interactivity too. Messages count if a member of another workspace
wrote them, in a channel shared with a customer.

A button of an alert has an `action_id` of `alert_answered:` and the answer. Its `value` is JSON:
the alert's `id`, `who` it is about (`user:ada`) and the `account` (`group:acme`).
https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_fraction, epoch_seconds
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import TimedHeaders, hex_hmac
from desireline.receive.senders.sender import NOTHING, SenderReport, as_object, as_text, content_id

SIGNATURE = "x-slack-signature"
TIMESTAMP = "x-slack-request-timestamp"
FORM = b"payload="
FIELDS_LIMIT = 10
ALERT_ANSWERED = "alert_answered"
CHALLENGE = "url_verification"
EVENT = "event_callback"


class Slack(TimedHeaders):
    """Slack. See the module."""

    name = "slack"
    secret = "the app's signing secret: Basic Information, App Credentials"
    deadline = 3.0
    keeps_unreadable = True
    kept_headers = (SIGNATURE, TIMESTAMP)
    signature_in, time_in = SIGNATURE, TIMESTAMP
    gives_properties = False

    def parse(self, body: bytes) -> Any:
        if not body.startswith(FORM):
            return super().parse(body)
        try:
            form = parse_qs(body.decode(), max_num_fields=FIELDS_LIMIT)
        except ValueError as error:
            raise RefusedError(400, "malformed", "the body must be a form") from error
        return super().parse(form.get("payload", [""])[0].encode())

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not (kind := as_text(payload.get("type"))):
            raise RefusedError(400, "malformed", "the body must be a Slack event or interaction")
        if kind == CHALLENGE:
            return []
        if kind == EVENT:
            return [_event(payload)]
        actions = payload.get("actions")
        if not isinstance(actions, list) or not actions:
            return [_interaction(kind, payload, NOTHING)]
        return [_interaction(kind, payload, as_object(action)) for action in actions]

    def reply(self, payload: Any) -> Mapping[str, Any] | None:
        match as_object(payload).get("type"):
            case "url_verification":
                return {"challenge": as_object(payload).get("challenge")}
            case "event_callback":
                return None
        # Slack would show a body as a message, or as the errors of a dialogue.
        return {}

    def signature(self, secret: bytes, stamp: str, body: bytes) -> str:
        return "v0=" + hex_hmac(secret, b"v0:", stamp.encode(), b":", body)


SENDER = Slack()


def _event(payload: Mapping[str, Any]) -> SenderReport:
    event = as_object(payload.get("event"))
    # Events of a new or changed user contain the whole record, and other events only the id.
    sent = event.get("user")
    user = sent if isinstance(sent, dict) else {"id": sent}
    profile = as_object(user.get("profile"))
    team = user.get("team_id") or event.get("user_team") or event.get("team")
    email = as_text(profile.get("email"))
    exact = epoch_fraction(event.get("event_ts"))
    return SenderReport(
        id=as_text(payload.get("event_id")) or content_id(payload),
        call=as_text(event.get("type")) or "",
        event=None,
        message=payload,
        occurred_at=exact or epoch_seconds(payload.get("event_time")),
        aliases=[
            (AliasType.EMAIL, email),
            (AliasType.ANONYMOUS, _member(team or payload.get("team_id"), user.get("id"))),
        ],
        person_traits={"email": email, "name": profile.get("real_name")} if profile else NOTHING,
    )


def _member(team: object, user: object) -> str | None:
    """Return the anonymous alias of a workspace's member, for events without an email address."""
    return f"slack:{team}:{user}" if isinstance(team, str) and isinstance(user, str) else None


def _interaction(kind: str, payload: Mapping[str, Any], action: Mapping[str, Any]) -> SenderReport:
    name, _, answer = (as_text(action.get("action_id")) or "").partition(":")
    alert = _alert(action) if name == ALERT_ANSWERED else NOTHING
    account = as_text(alert.get("account"))
    return SenderReport(
        id=_click_id(payload, action),
        call=kind,
        event=name or None,
        message={**payload, "action": action, "alert": {**alert, "answer": answer or None}},
        occurred_at=epoch_fraction(action.get("action_ts")),
        aliases=[_alias(alert.get("who"))],
        accounts=[(account, AccountRole.MENTION)] if account else [],
    )


def _click_id(payload: Mapping[str, Any], action: Mapping[str, Any]) -> str:
    """Return an id of user, message, button and time, because Slack's clicks have none."""
    if not action:
        return content_id(payload)
    container = as_object(payload.get("container"))
    return content_id(
        {
            "user": as_object(payload.get("user")).get("id"),
            "message": container.get("message_ts"),
            "channel": container.get("channel_id"),
            "block": action.get("block_id"),
            "action": action.get("action_id"),
            "at": action.get("action_ts"),
        }
    )


def _alert(action: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parse the button's `value`, which the alert's sender wrote."""
    try:
        return as_object(orjson.loads(as_text(action.get("value")) or "null"))
    except orjson.JSONDecodeError:
        return NOTHING


def _alias(named: object) -> tuple[AliasType, object]:
    """Convert 'user:ada' to an alias. An invalid text gives an alias without a value."""
    kind, _, value = (as_text(named) or "").partition(":")
    if kind in set(AliasType):
        return AliasType(kind), value
    return AliasType.USER, None
