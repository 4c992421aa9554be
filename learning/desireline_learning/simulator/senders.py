"""Turn touches into Segment calls and Stripe events, as dicts ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from desireline_learning.simulator.touches import Call, Touch

SEGMENT_EVENTS: Mapping[str, str] = {
    "signup_started": "Signup Started",
    "trial_signup": "Trial Started",
    "email_verified": "Email Verified",
    "logged_in": "Signed In",
    "session_ended": "Session Ended",
    "onboarding_step_completed": "Onboarding Step Completed",
    "onboarding_completed": "Onboarding Completed",
    "integration_connected": "Integration Connected",
    "integration_failed": "Integration Failed",
    "project_created": "Project Created",
    "task_created": "Task Created",
    "task_completed": "Task Completed",
    "team_member_invited": "Invite Sent",
    "invite_accepted": "Invite Accepted",
    "automation_created": "Automation Created",
    "report_viewed": "Report Viewed",
    "feature_used": "Feature Used",
    "error_encountered": "Error Encountered",
    "conversation_started": "Conversation Started",
    "checkout_started": "Checkout Started",
    "trial_expired": "Trial Expired",
}
"""The company's names of the events in its own code. The tracking plan maps them back."""

STRIPE_PRICE = 49_900


def segment_message(touch: Touch) -> dict[str, Any]:
    """Return a call of Segment's HTTP API, as its webhook destination sends it."""
    person = touch.person
    message: dict[str, Any] = {
        "type": touch.call.value,
        "messageId": f"msg-{touch.id}",
        "timestamp": iso(touch.at),
        "anonymousId": touch.device,
        "context": {
            "ip": person.address,
            "userAgent": person.agent,
            "timezone": person.zone,
            "locale": "en-US",
            "library": {"name": "analytics.js", "version": "next-1.77.0"},
        },
    }
    if touch.identified:
        message["userId"] = person.user
    if touch.account is not None and touch.call is Call.GROUP:
        message["groupId"] = touch.account.group
    elif touch.account is not None:
        message["context"]["groupId"] = touch.account.group
    if touch.call in (Call.IDENTIFY, Call.GROUP):
        message["traits"] = dict(touch.traits)
    else:
        message["properties"] = dict(touch.properties)
    if touch.call is Call.TRACK:
        message["event"] = SEGMENT_EVENTS[touch.name]
    if touch.call is Call.PAGE:
        message["name"] = touch.properties["name"]
        message["context"]["page"] = {"path": touch.properties["path"]}
    return message


def stripe_event(touch: Touch) -> dict[str, Any]:
    """Return an event of Stripe in the form of its webhooks."""
    kind, data = _STRIPE[touch.name](touch)
    return {
        "id": f"evt_{touch.id}",
        "object": "event",
        "api_version": "2025-06-30.basil",
        "created": touch.at // 1000,
        "livemode": True,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": data,
    }


def iso(at: int) -> str:
    """Format epoch ms as the senders do: ISO 8601 in UTC with milliseconds and Z."""
    moment = datetime.fromtimestamp(at / 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


def _owner(touch: Touch) -> dict[str, Any]:
    account = touch.account
    if account is None:
        raise ValueError("a bill belongs to an account")
    return {
        "customer": account.customer,
        "metadata": {"user_id": touch.person.user, "group_id": account.group},
    }


def _card(touch: Touch) -> tuple[str, dict[str, Any]]:
    method = {
        "id": f"pm_{touch.id}",
        "object": "payment_method",
        "type": "card",
        "billing_details": {"email": touch.person.email, "name": touch.person.name},
        **_owner(touch),
    }
    return "payment_method.attached", {"object": method}


def _subscription(touch: Touch, status: str) -> dict[str, Any]:
    account = touch.account
    return {
        "id": account.subscription if account else None,
        "object": "subscription",
        "status": status,
        "items": {"data": [{"price": {"unit_amount": STRIPE_PRICE, "currency": "usd"}}]},
        **_owner(touch),
    }


def _converted(touch: Touch) -> tuple[str, dict[str, Any]]:
    return "customer.subscription.updated", {
        "object": _subscription(touch, "active"),
        "previous_attributes": {"status": "trialing"},
    }


def _cancelled(touch: Touch) -> tuple[str, dict[str, Any]]:
    return "customer.subscription.deleted", {"object": _subscription(touch, "canceled")}


def _invoice(touch: Touch) -> tuple[str, dict[str, Any]]:
    invoice = {
        "id": f"in_{touch.id}",
        "object": "invoice",
        "status": "paid",
        "amount_paid": STRIPE_PRICE,
        "currency": "usd",
        "customer_email": touch.person.email,
        **_owner(touch),
    }
    return "invoice.paid", {"object": invoice}


_STRIPE = {
    "payment_method_added": _card,
    "trial_to_paid_conversion": _converted,
    "subscription_cancelled": _cancelled,
    "invoice_paid": _invoice,
}
