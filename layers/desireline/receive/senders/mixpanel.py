"""Mixpanel's cohort webhooks: the members of a cohort, its new members, and those who left.

Signature: none. Mixpanel supports Basic authentication, which we require. The user name is
`desireline`, and the password is the secret. No time is signed either.

Set up: in Mixpanel's integrations, Webhooks, choose Add connection. Then export each cohort to it.

Mixpanel syncs a cohort every 30 minutes in pages of 1,000 members. The first sync sends all members
(`members`), and so does the first one after three days of errors. Other syncs send the changes
since the last successful sync (`add_members`, `remove_members`). The answer has to repeat the
`action` and contain the status `success` or `failure`.

After 400, 401, 403 or 404, Mixpanel pauses a cohort until a user resumes it. After other errors it
tries five times in a minute, and again at the next sync. So receive answers 429 in place of these
four, with a `failure` whose message Mixpanel shows. Wrong credentials may be Mixpanel's own with an
old password. Receive quarantines a body that it cannot read, and answers 200.

Event ids: session, page, action and member occur once in a sync. An interrupted sync starts again
with another session, so that a person may enter a cohort twice.

Identity: a `distinct_id` is a user's, unless it has the prefix of devices or looks generated.
`$user_id` and `group_id` count if you export these properties. An email address is a trait.
https://docs.mixpanel.com/docs/cohort-sync/webhooks
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.request import Answer, WebhookRequest
from desireline.receive.senders._basic import credentials, refuse_unless_authenticated
from desireline.receive.senders.mixpanel_export import typed
from desireline.receive.senders.sender import WITHHELD, Sender, SenderReport, as_object, as_text

_ACTION = re.compile(rb'"action"\s*:\s*"((?:add_|remove_)?members)"')


class Mixpanel(Sender):
    """Mixpanel's cohorts. See the module."""

    name = "mixpanel"
    secret = "the connection's Basic authentication: this is the password, the user is desireline"
    deadline = 10.0
    signs_body = False
    signs_time = False
    keeps_unreadable = True
    gives_properties = False
    gives_up_on = frozenset({400, 401, 403, 404})

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        refuse_unless_authenticated(request, secrets)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        action = as_text(as_object(payload).get("action"))
        parameters = as_object(as_object(payload).get("parameters"))
        members, session = parameters.get("members"), parameters.get("mixpanel_session_id")
        page = as_object(parameters.get("page_info")).get("page_count")
        named = isinstance(session, int | str) and isinstance(page, int | float | str | None)
        if not (action and isinstance(members, list) and named):
            raise RefusedError(400, "malformed", "the body must be a page of a Mixpanel cohort")
        shared = {name: value for name, value in parameters.items() if name != "members"}
        return [
            _to_report(action, f"{session}|{page}|{action}", shared, as_object(member))
            for member in members
        ]

    def without(self, payload: Any, positions: Container[int], count: int) -> Any:
        parameters = payload["parameters"]
        left = super().without(parameters["members"], positions, count)
        return {**payload, "parameters": {**parameters, "members": left}}

    def reply(self, payload: Any) -> Mapping[str, Any] | None:
        action = as_object(payload).get("action")
        return {"action": action, "status": "success"} if isinstance(action, str) else None

    def adapt_answer(self, answer: Answer, request: WebhookRequest) -> Answer:
        answer = super().adapt_answer(answer, request)
        action = _ACTION.search(request.body)
        failure = {
            "action": action[1].decode() if action else "",
            "status": "failure",
            "error": {"message": f"{answer.reason}: {answer.detail}", "code": answer.status},
        }
        return replace(answer, reply=failure)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        return credentials(secret)


SENDER = Mixpanel()


def _to_report(
    action: str, page: str, parameters: Mapping[str, Any], member: Mapping[str, Any]
) -> SenderReport:
    distinct_id, user = member.get("mixpanel_distinct_id"), member.get("$user_id")
    return SenderReport(
        id=f"{page}|{_key(distinct_id, member)}",
        call=action,
        event=None,
        message=member
        if member == WITHHELD
        else {"action": action, "parameters": parameters, "member": member},
        occurred_at=None,
        aliases=[(AliasType.USER, user), typed(distinct_id)] if user else [typed(distinct_id)],
        accounts=_accounts(member.get("group_id")),
        person_traits={
            "email": member.get("email"),
            "first_name": member.get("first_name"),
            "last_name": member.get("last_name"),
            "phone": member.get("phone_number"),
        },
    )


def _key(distinct_id: object, member: Mapping[str, Any]) -> str:
    """Return a member's key, which does not depend on its position in the page."""
    if isinstance(distinct_id, (int, str)) and distinct_id:
        return str(distinct_id)
    try:
        written = orjson.dumps(dict(member), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # orjson reads deeper nesting than it writes. Such a member identifies no person anyway.
        written = b""
    return hashlib.sha256(written).hexdigest()


def _accounts(group: object) -> list[tuple[str, AccountRole]]:
    if isinstance(group, bool) or not isinstance(group, (int, str)) or not group:
        return []
    return [(f"group:{group}", AccountRole.MENTION)]
