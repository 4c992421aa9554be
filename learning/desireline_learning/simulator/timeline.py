"""Turn a trial's plan into touches: every page, call and bill, with its person and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from desireline_learning.simulator.conduct import Plan, Session
from desireline_learning.simulator.people import Account, Person, Staff
from desireline_learning.simulator.scenario import DAY, HOUR, TRIAL_DAYS
from desireline_learning.simulator.touches import Call, Touch

PAGES: Mapping[str, tuple[str, str]] = {
    "page_viewed": ("Home", "/"),
    "pricing_page_viewed": ("Pricing", "/pricing"),
    "feature_page_viewed": ("Features", "/features/automations"),
    "integration_page_viewed": ("Integrations", "/integrations/salesforce"),
    "docs_article_viewed": ("Docs", "/docs/getting-started"),
    "case_study_viewed": ("Customers", "/customers/northpath"),
}
_BROWSED = ("page_viewed",) * 4 + ("feature_page_viewed",) * 3 + tuple(PAGES)
_INTEGRATIONS = ("salesforce", "hubspot", "slack", "github", "jira")
_STEPS = ("profile", "workspace", "import", "tour", "notifications")
_WORK: Mapping[str, Mapping[str, Any]] = {
    "task_created": {},
    "task_completed": {},
    "report_viewed": {"report": "weekly-overview"},
    "feature_used": {"feature_name": "board", "engagement_depth": 2},
}
_WORK_NAMES = ("task_created", "task_created", "task_completed", "report_viewed", "feature_used")


@dataclass
class Timeline:
    """Collects one account's touches. `namespace` makes ids unique over the company."""

    namespace: str
    rng: Random
    touches: list[Touch] = field(default_factory=list)
    linked_at: int = 0
    """Epoch ms from which the sender names the account in every call."""

    def add(
        self,
        at: float,
        name: str,
        person: Person,
        *,
        call: Call = Call.TRACK,
        identified: bool = True,
        device: int | None = 0,
        account: Account | None = None,
        session: str | None = None,
        properties: Mapping[str, Any] | None = None,
        traits: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a touch. Stripe's times are whole seconds."""
        time = int(at) // 1000 * 1000 if call is Call.STRIPE else int(at)
        self.touches.append(
            Touch(
                at=time,
                id=f"{self.namespace}-{len(self.touches):04d}",
                call=call,
                name=name,
                person=person,
                device=None if device is None else person.devices[device],
                identified=identified,
                account=account,
                session=session,
                properties=properties or {},
                traits=traits or {},
            )
        )

    def do(
        self, at: float, name: str, person: Person, *, session: str | None = None, **properties: Any
    ) -> None:
        """Add a tracked action in the product."""
        account = person.account if at >= self.linked_at else None
        self.add(at, name, person, account=account, session=session, properties=properties)


def add_visits(
    timeline: Timeline, person: Person, *, before: int, earliest: int, count: int
) -> None:
    """Add anonymous page views between two times, on any of the person's devices."""
    rng = timeline.rng
    for _ in range(count):
        at = rng.uniform(earliest, before - 120_000)
        _page(timeline, at, rng.choice(_BROWSED), person, device=rng.randrange(len(person.devices)))


def add_trial(timeline: Timeline, team: Staff, plan: Plan, *, earliest: int) -> None:
    """Add all touches of an account, from the first anonymous visit to the last invoice."""
    rng, owner = timeline.rng, team.people[0]
    first_visit = max(earliest, plan.signup - int(rng.uniform(0.2, 6) * DAY))
    count = 2 + rng.randrange(5)
    add_visits(timeline, owner, before=plan.signup, earliest=first_visit, count=count)
    _signup(timeline, team.account, owner, plan)
    _milestones(timeline, team, plan)
    for number, session in enumerate(plan.sessions):
        _session(timeline, team, plan, session, number)
    _billing(timeline, team, plan)


def _page(timeline: Timeline, at: float, name: str, person: Person, *, device: int) -> None:
    title, path = PAGES[name]
    timeline.add(
        at,
        name,
        person,
        call=Call.PAGE,
        identified=False,
        device=device,
        properties={"name": title, "path": path},
    )


def _signup(timeline: Timeline, account: Account, owner: Person, plan: Plan) -> None:
    at, rng = plan.signup, timeline.rng
    delay = rng.uniform(8, 60) * HOUR if account.late else 0.0
    timeline.linked_at = int(at + delay)
    _page(timeline, at - 90_000, "pricing_page_viewed", owner, device=0)
    timeline.add(at - 60_000, "signup_started", owner, identified=False)
    named = None if account.late else account
    _identify(timeline, at - 500, owner, named)
    timeline.add(at, "trial_signup", owner, account=named, properties={"plan": "trial"})
    _group(timeline, at + delay + 700, owner, account, role="owner")
    timeline.do(at + rng.uniform(60_000, HOUR), "email_verified", owner)
    # The owner's login links the second device to the owner.
    if len(owner.devices) > 1:
        later = at + rng.uniform(0.5, 3) * DAY
        named = account if later >= timeline.linked_at else None
        timeline.add(later, "logged_in", owner, device=1, account=named)


def _identify(timeline: Timeline, at: float, person: Person, account: Account | None) -> None:
    timeline.add(
        at,
        "",
        person,
        call=Call.IDENTIFY,
        account=account,
        traits={"email": person.email, "name": person.name},
    )


def _group(timeline: Timeline, at: float, person: Person, account: Account, *, role: str) -> None:
    timeline.add(
        at,
        "",
        person,
        call=Call.GROUP,
        account=account,
        traits={"name": account.name, "domain": account.domain, "role": role, "csm": account.csm},
    )


def _milestones(timeline: Timeline, team: Staff, plan: Plan) -> None:
    rng, owner = timeline.rng, team.people[0]
    tool = rng.choice(_INTEGRATIONS)
    if plan.integration_failed is not None:
        at = plan.when(plan.integration_failed)
        timeline.do(at, "integration_failed", owner, integration_name=tool, error_code="auth")
    for name, day, properties in (
        ("integration_connected", plan.integration, {"integration_name": tool}),
        ("project_created", plan.project, {"project_name": "first project"}),
        ("automation_created", plan.automation, {"automation_type": "rule"}),
    ):
        if day is not None:
            timeline.do(plan.when(day), name, owner, **properties)
    for step, day in enumerate(plan.onboarding_steps):
        timeline.do(plan.when(day), "onboarding_step_completed", owner, step_name=_STEPS[step])
    if len(plan.onboarding_steps) == len(_STEPS):
        timeline.do(plan.when(plan.onboarding_steps[-1]) + 1000, "onboarding_completed", owner)
    for day in plan.pricing:
        _page(timeline, plan.when(day), "pricing_page_viewed", owner, device=0)
    for day, helped in plan.errors:
        at = plan.when(day)
        timeline.do(at, "error_encountered", owner, error_code=rng.choice(["E101", "E204", "E500"]))
        if helped:
            timeline.do(at + 600_000, "conversation_started", owner, topic="error")
    _teammates(timeline, team, plan)


def _teammates(timeline: Timeline, team: Staff, plan: Plan) -> None:
    owner = team.people[0]
    for number, (invited, joined) in enumerate(zip(plan.invites, plan.joined, strict=True), 1):
        member = team.people[number]
        timeline.do(plan.when(invited), "team_member_invited", owner, role="member")
        if joined is None:
            continue
        at = plan.when(joined)
        if timeline.rng.random() < 0.4:
            _page(timeline, at - HOUR / 4, "feature_page_viewed", member, device=0)
        account = team.account if at >= timeline.linked_at else None
        _identify(timeline, at - 500, member, account)
        timeline.do(at, "invite_accepted", member)
        _group(timeline, max(at, timeline.linked_at) + 900, member, team.account, role="member")


def _session(timeline: Timeline, team: Staff, plan: Plan, session: Session, number: int) -> None:
    rng, person = timeline.rng, team.people[session.person]
    key = f"{timeline.namespace}-s{number}"
    at = float(session.at)
    timeline.do(at, "logged_in", person, session=key)
    for _ in range(session.actions):
        at += rng.uniform(20_000, 240_000)
        name = rng.choice(_WORK_NAMES)
        timeline.do(at, name, person, session=key, **_WORK[name])
    minutes = round((at - session.at) / 60_000) + 1
    timeline.do(at + 60_000, "session_ended", person, session=key, duration=minutes * 60)


def _billing(timeline: Timeline, team: Staff, plan: Plan) -> None:
    owner, account = team.people[0], team.account
    if plan.paid_day is None:
        timeline.do(plan.when(TRIAL_DAYS), "trial_expired", owner)
        return
    paid = max(plan.when(plan.paid_day), timeline.linked_at + HOUR)
    timeline.do(paid - 600_000, "checkout_started", owner)
    bills = ("payment_method_added", 0), ("trial_to_paid_conversion", 5000), ("invoice_paid", 6000)
    for name, delay in bills:
        timeline.add(
            paid + delay,
            name,
            owner,
            call=Call.STRIPE,
            identified=False,
            device=None,
            account=account,
        )
    if timeline.rng.random() < 0.03:
        cancelled = paid + timeline.rng.uniform(5, 25) * DAY
        timeline.add(
            cancelled,
            "subscription_cancelled",
            owner,
            call=Call.STRIPE,
            identified=False,
            device=None,
            account=account,
        )


def in_order(timeline: Timeline) -> Iterator[Touch]:
    """Return the touches by time."""
    return iter(sorted(timeline.touches, key=lambda touch: touch.order))
