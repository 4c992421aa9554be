"""What the gates look at, read for the actions of one step."""

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
    """The facts for each of the actions. `view` is to be read before: a claim of an absorbed
    subject can be missed only if that subject was live, and then the view's root has changed."""
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
    places = [
        ClaimRow.ref_to(subject, *key, action.name)
        for action in actions
        for subject in (view.root.subject, *view.root.absorbed)
    ]
    found = store.get_all(places)
    return [found[place] for place in places if place in found]
