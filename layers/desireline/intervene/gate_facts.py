"""Read the facts that the gates need for the actions of a step."""

from __future__ import annotations

from collections.abc import Sequence

from desireline.events import Assessment, Lifecycle
from desireline.identity.view import SubjectView
from desireline.intervene.decide import Checkpoint
from desireline.intervene.gate import GateFacts, opt_out
from desireline.intervene.playbook.playbooks import Action
from desireline.intervene.suppressions import EVERY_CHANNEL, suppressions_of
from desireline.ports import Store, Switches
from desireline.rows import ClaimRow


def gate_facts(
    store: Store,
    switches: Switches,
    *,
    point: Checkpoint,
    view: SubjectView,
    assessment: Assessment,
    actions: Sequence[Action],
    holdout: bool,
    behind: bool,
) -> list[GateFacts]:
    """Return the facts of each action.

    The caller must have read `view` before. A merge after that read may hide claims of an absorbed
    subject, but it also changes the root's version, so the decision's transaction fails."""
    earlier = _earlier_claims(store, point, view, actions)
    channels = dict.fromkeys(action.channel for action in actions)
    suppressions = suppressions_of(store, (*view.fragments, *view.root.accounts), channels)
    return [
        GateFacts(
            subject=view.root.subject,
            channel=action.channel,
            audience=point.playbook.audience,
            killed=switches.killed(playbook=point.playbook.name, channel=action.channel),
            converted=assessment.lifecycle is Lifecycle.CUSTOMER,
            earlier=tuple(claim for claim in earlier if claim.action == action.name),
            holdout=holdout,
            suppressions=tuple(
                row.reason for row in suppressions if row.channel in (EVERY_CHANNEL, action.channel)
            ),
            opted_out=opt_out(view.absence, action.channel),
            now=point.now,
            not_after=point.due + action.not_after,
            ambiguous=view.ambiguous,
            behind=behind,
        )
        for action in actions
    ]


def _earlier_claims(
    store: Store, point: Checkpoint, view: SubjectView, actions: Sequence[Action]
) -> list[ClaimRow]:
    key = (point.playbook.name, point.enrolment.slot, point.step.name)
    refs = [
        ClaimRow.ref_to(subject, *key, action.name)
        for action in actions
        for subject in (view.root.subject, *view.root.absorbed)
    ]
    claims = store.get_all(refs)
    return [claims[ref] for ref in refs if ref in claims]
