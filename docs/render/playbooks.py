"""Render docs/playbooks.md: the shipped playbooks, and a guide to writing one."""

from __future__ import annotations

from collections.abc import Iterator

from desireline.intervene.channels import CHANNELS
from desireline.intervene.gate import GATES
from desireline.intervene.playbook.conditions import describe
from desireline.intervene.playbook.durations import format_duration
from desireline.intervene.playbook.playbooks import (
    Action,
    AlertAction,
    Branch,
    CrmAction,
    Playbook,
    Step,
    load,
)
from desireline.intervene.playbook.templates import PLACEHOLDERS, TITLE_LIMIT
from docs.render.markdown import table

WRITING = f"""## Writing a playbook
A playbook is a YAML file in `playbooks/`. The current version is `name.yaml`. An older version with
running enrolments is `name.v3.yaml`, because an enrolment keeps its version. The fields:

- `trigger`: one of `event`, `tier` (the score crosses into that tier or a higher one) or `stage`
  (the stage changes to it).
- `entry_age_limit`: an older trigger starts nothing. A replayed event starts nothing either.
- `reentry`: `never`, or the length of fixed windows, say `7d`. Each window admits a subject once.
- `goal`: a condition. If a check finds that it holds, the run ends and unsent messages are
  cancelled.
- `steps`: each step has an offset `after` the entry, which gives an absolute due time. A step has
  `actions` or `branches`. The first branch whose `when` holds is taken; the last branch has no
  `when`. `only_if` tests the branch of an earlier step. `leave: true` ends the run after the
  branch.
- conditions: `happened: event` (with `by: 4h` from the entry), `score_at_least`, `score_below`,
  `all`, `any`, `not`.
- actions: `channel`, `not_after` (from the step's due time), and the fields of the channel. A title
  is one line of at most {TITLE_LIMIT} characters; a longer one is cut.

A check evaluates `happened` on all events of the subject's persons that are counted by then."""

PROMISES = """## Guarantees and limits
- A message is claimed before it is sent, once for each subject, playbook, slot, step and action. It
  is sent at most once. If the provider does not answer, the outcome is `unknown` and the message is
  not repeated. A message that was only recorded is never sent later.
- Two fragments may both get the same message until the pipeline merges them into one subject.
- If a tier changes and changes back within one batch of events, no crossing is recorded.
- A subject in the holdout is enrolled and held back at the gate, so the ledger shows the withheld
  messages. The assignment never changes.
- A run ends at its goal when its next check finds the goal, not at the moment of the event.

Three parts are not built yet. Without watermarks of the pipeline, "has not happened" means "is not
counted yet". Without task tokens, no event shortens a wait. Without `reconcile_claims`, a claim
that was never delivered stays open, and its message is among the channel's dead letters."""


def playbooks_page() -> str:
    """Render the page from the shipped playbooks."""
    playbooks = load().current()
    return "\n\n".join(
        [
            "# Playbooks",
            "Rendered from `playbooks/` by `make docs`. A playbook is data, and one state machine "
            "runs all of them. Offsets count from the entry, which is the trigger's own time.",
            *(_playbook(playbook) for playbook in playbooks),
            "## The gate",
            "Every action passes these gates in this order. The first gate that objects decides, "
            "and the ledger records gate and reason. A switch, which is read at delivery, decides "
            "whether messages are sent: `record` (the default), `allowlist` or `live`.",
            table(("gate", "rule"), ((f"`{g.__name__}`", _first_line(g)) for g in GATES)),
            PROMISES,
            WRITING,
            "## Placeholders",
            table(
                ("placeholder", "value"),
                ((f"`${name}`", meaning) for name, meaning in PLACEHOLDERS.items()),
            ),
        ]
    )


def _playbook(playbook: Playbook) -> str:
    reentry = (
        "never" if playbook.reentry == "never" else f"once in {format_duration(playbook.reentry)}"
    )
    facts = (
        f"`{playbook.name}`, version {playbook.version}. Starts at {_trigger(playbook)}, unless "
        f"that is older than {format_duration(playbook.entry_age_limit)}. Re-entry of the same "
        f"subject: {reentry}. Ends at once when: {describe(playbook.goal)}."
    )
    rows = (row for step in playbook.steps for row in _step(step))
    return f"## {playbook.title}\n\n{facts}\n\n" + table(("when", "condition", "actions"), rows)


def _trigger(playbook: Playbook) -> str:
    trigger = playbook.trigger
    if trigger.event is not None:
        return f"`{trigger.event}`"
    if trigger.tier is not None:
        return f"a crossing up to tier {trigger.tier}"
    return f"a change to stage {trigger.stage}"


def _step(step: Step) -> Iterator[tuple[str, str, str]]:
    when = "at once" if step.after == 0 else format_duration(step.after)
    if step.only_if is not None:
        took = " or ".join(f"`{branch}`" for branch in step.only_if.took)
        when += f" (only if `{step.only_if.step}` took {took})"
    if not step.branches:
        yield when, "", _actions(step.all_branches()[0])
        return
    for branch in step.branches:
        condition = "otherwise" if branch.when is None else describe(branch.when)
        yield when, f"{condition}: `{branch.name}`", _actions(branch)
        when = ""


def _actions(branch: Branch) -> str:
    actions = [_action(action) for action in branch.actions]
    if branch.leave:
        actions.append("leave the playbook")
    return "; ".join(actions) or "continue"


def _action(action: Action) -> str:
    later = "" if action.channel in CHANNELS else " (channel not built yet)"
    name = f"{action.channel}{later}, `{action.name}`"
    match action:
        case AlertAction():
            return f"{name}: {action.title} [{action.severity}]"
        case CrmAction():
            value = f" = {action.value}" if action.value else ""
            return f"{name}: {action.operation.replace('_', ' ')} {action.target}{value}"
        case _:
            return f"{name}: {action.title}"


def _first_line(function: object) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
