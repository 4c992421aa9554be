"""Mixpanel's cohort webhooks: who is in a cohort, who entered it, who left it.

Nothing is signed: Mixpanel knows Basic authentication, which is optional there and required here;
the user name is `desireline`, the password is the secret. There is no time either.

Set up in Mixpanel's integrations, Webhooks, Add connection; then each cohort is exported to it.

A cohort is synced every 30 minutes in pages of 1,000 members: first and after three days of errors
all of them (`members`), else who came and went since the last sync that went well (`add_members`,
`remove_members`). The answer has to repeat the `action` and say `success` or `failure`.

Mixpanel pauses a cohort after 400, 401, 403 or 404, until somebody turns it on again. After other
errors it tries five times in a minute and then at the next sync, from the last state that went
well. So wrong credentials, which may be its own with the password of yesterday, and whatever else
would be one of those, are refused with 429 and a `failure` whose message Mixpanel shows; a body
that cannot be read is set aside and answered with 200.

Identifiers of events. One page of one sync says a thing once: session, page, action and member. A
sync that broke off begins again under another session, so that somebody may enter a cohort twice.

Who it is. A `distinct_id` is a user's, unless it says that it is a device's or looks made up;
`$user_id` and `group_id` count, if they are among the properties to export. An address is a trait.
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
from desireline.receive.senders._basic import credentials, refuse_unless_known
from desireline.receive.senders.mixpanel_export import typed
from desireline.receive.senders.sender import WITHHELD, Sender, SenderReport, as_object, as_text

_ACTION = re.compile(rb'"action"\s*:\s*"((?:add_|remove_)?members)"')


class Mixpanel(Sender):
    """See the module."""

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
        refuse_unless_known(request, secrets)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        action = as_text(as_object(payload).get("action"))
        parameters = as_object(as_object(payload).get("parameters"))
        members, session = parameters.get("members"), parameters.get("mixpanel_session_id")
        page = as_object(parameters.get("page_info")).get("page_count")
        named = isinstance(session, int | str) and isinstance(page, int | float | str | None)
        if not (action and isinstance(members, list) and named):
            raise RefusedError(400, "malformed", "not a page of a cohort of Mixpanel")
        told = {name: value for name, value in parameters.items() if name != "members"}
        return [
            _reported(action, f"{session}|{page}|{action}", told, as_object(member))
            for member in members
        ]

    def without(self, payload: Any, places: Container[int], count: int) -> Any:
        parameters = payload["parameters"]
        left = super().without(parameters["members"], places, count)
        return {**payload, "parameters": {**parameters, "members": left}}

    def reply(self, payload: Any) -> Mapping[str, Any] | None:
        action = as_object(payload).get("action")
        return {"action": action, "status": "success"} if isinstance(action, str) else None

    def told(self, answer: Answer, request: WebhookRequest) -> Answer:
        answer = super().told(answer, request)
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


def _reported(
    action: str, page: str, parameters: Mapping[str, Any], member: Mapping[str, Any]
) -> SenderReport:
    who, user = member.get("mixpanel_distinct_id"), member.get("$user_id")
    return SenderReport(
        id=f"{page}|{_key(who, member)}",
        call=action,
        event=None,
        message=member
        if member == WITHHELD
        else {"action": action, "parameters": parameters, "member": member},
        occurred_at=None,
        aliases=[(AliasType.USER, user), typed(who)] if user else [typed(who)],
        accounts=_accounts(member.get("group_id")),
        person_traits={
            "email": member.get("email"),
            "first_name": member.get("first_name"),
            "last_name": member.get("last_name"),
            "phone": member.get("phone_number"),
        },
    )


def _key(who: object, member: Mapping[str, Any]) -> str:
    """Which member of a page it is, wherever in it."""
    if isinstance(who, (int, str)) and who:
        return str(who)
    try:
        written = orjson.dumps(dict(member), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # What orjson reads it does not always write. It is nobody all the same.
        written = b""
    return hashlib.sha256(written).hexdigest()


def _accounts(group: object) -> list[tuple[str, AccountRole]]:
    if isinstance(group, bool) or not isinstance(group, (int, str)) or not group:
        return []
    return [(f"group:{group}", AccountRole.MENTION)]
