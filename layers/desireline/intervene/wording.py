"""Write an action's message from a subject's state and assessment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from desireline.events import Assessment, Reason
from desireline.intervene.playbook.playbooks import Action, AlertAction, CrmAction
from desireline.intervene.playbook.templates import printable, render, render_title
from desireline.journey.state import DAY, JourneyState
from desireline.plan.event_names import EventName

NAMES = ("name",)
FIRST_NAMES = ("first_name",)
LAST_NAMES = ("last_name",)
EMAIL = "email"
ACCOUNT_NAMES = ("account_name",)
OWNERS = ("csm",)
SEGMENTS = ("segment", "account_plan")
LINKS = ("contact_url",)
UNASSIGNED = "unassigned"
TRAITS = (
    *NAMES,
    *FIRST_NAMES,
    *LAST_NAMES,
    EMAIL,
    *ACCOUNT_NAMES,
    *OWNERS,
    *SEGMENTS,
    *LINKS,
)
"""The traits that messages use. The tracking plan must store them."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message for a channel. attributes: the values that subscribers filter by."""

    title: str
    body: str
    recipient: str = ""
    attributes: Mapping[str, str | int] = field(default_factory=dict)


def values(
    subject: str,
    accounts: Sequence[str],
    state: JourneyState,
    assessment: Assessment,
    reasons: Sequence[Reason],
) -> dict[str, str]:
    """Return the text of every placeholder, as of the assessment."""
    email = _trait(state, (EMAIL,))
    return {
        "name": _trait(state, NAMES) or _full_name(state) or email or "Somebody",
        "account": _trait(state, ACCOUNT_NAMES) or _first(accounts) or "no account yet",
        "email": email or "unknown",
        "score": "none" if assessment.score is None else str(assessment.score),
        "tier": assessment.tier.replace("_", " ") if assessment.tier else "none",
        "stage": assessment.stage.replace("_", " "),
        "days_in_trial": _days_in_trial(state, assessment.as_of),
        "reasons": "\n".join(f"- {reason.text}" for reason in reasons) or "- too little is known",
        "integration": "yes" if state.happened(EventName.INTEGRATION_CONNECTED) else "no",
        "projects": str(state.counts.get(EventName.PROJECT_CREATED, 0)),
        "teammates": str(state.counts.get(EventName.TEAM_MEMBER_INVITED, 0)),
        "last_active": _utc(state.latest) if state.latest else "never",
        "link": _trait(state, LINKS) or (f"mailto:{quote(email, safe='@+')}" if email else "none"),
        "owner": _trait(state, OWNERS) or UNASSIGNED,
        "segment": _trait(state, SEGMENTS) or "unknown",
        "subject": subject,
    }


def message(action: Action, playbook: str, texts: Mapping[str, str]) -> Message:
    """Write the action's message. texts: the text of each placeholder, from `values`."""
    match action:
        case AlertAction():
            return Message(
                title=render_title(action.title, texts),
                body=render(action.body, texts),
                recipient=texts["owner"],
                attributes={
                    "severity": str(action.severity),
                    "owner": texts["owner"],
                    "segment": texts["segment"],
                    "playbook": playbook,
                    "tier": texts["tier"].replace(" ", "_"),
                },
            )
        case CrmAction():
            return Message(
                title=render_title(action.target, texts),
                body=render(action.value, texts),
                recipient=texts["email"],
                attributes={"operation": str(action.operation)},
            )
        case _:
            return Message(
                title=render_title(action.title, texts),
                body=render(action.body, texts),
                recipient=texts["email"],
            )


def _trait(state: JourneyState, names: Sequence[str]) -> str:
    for name in names:
        fact = state.traits.get(name)
        if fact is not None and fact.value is not None:
            text = printable(str(fact.value)).strip()
            if text:
                return text
    return ""


def _full_name(state: JourneyState) -> str:
    return f"{_trait(state, FIRST_NAMES)} {_trait(state, LAST_NAMES)}".strip()


def _first(accounts: Sequence[str]) -> str:
    return accounts[0] if accounts else ""


def _days_in_trial(state: JourneyState, now: int) -> str:
    mark = state.first.get(EventName.TRIAL_SIGNUP)
    return "none" if mark is None else str(max(0, now - mark[0]) // DAY)


def _utc(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
