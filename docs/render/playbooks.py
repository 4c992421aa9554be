"""docs/playbooks.md: what the shipped playbooks do, and how one is written."""

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

WRITING = f"""## How one is written
A playbook is a YAML file in `playbooks/`: `name.yaml`, and `name.v3.yaml` for an older version in
which enrolments still run (a running one keeps its version). The fields:

- `trigger`: one of `event`, `tier` (a crossing up to that tier or past it), `stage` (a change
  to it).
- `entry_age_limit`: an older trigger starts nothing, nor does a replay.
- `reentry`: `never`, or the length of fixed windows, say `7d`, of which each admits a subject
  once.
- `goal`: a condition; when a check finds that it holds, the run ends and unsent messages are
  cancelled.
- `steps`: each `after` an offset from the entry, as an absolute due time; with `actions`, or with
  `branches`, of which the first one whose `when` holds is taken, and the last has no `when`.
  `only_if` asks which branch an earlier step took. `leave: true` ends the run after the branch.
- conditions: `happened: event` (with `by: 4h` from the entry), `score_at_least`, `score_below`,
  `all`, `any`, `not`.
- actions: `channel`, `not_after` (from the step's due time), and what the channel needs. Titles are
  one line of at most {TITLE_LIMIT} characters: longer ones are cut.

Whether something happened is judged on all that is known of these persons when the check reads."""

PROMISES = """## What is promised, and what is not
- A message is claimed before it is sent, once for each subject, playbook, slot, step and action,
  and sent at most once. An outcome that nobody knows (no answer from the provider) is reported as
  `unknown`, and not repeated. What was only recorded is never sent later.
- Two fragments that are not known to be one subject yet may both be sent the same message; from the
  merge on they cannot.
- A tier that comes and goes within one batch of events is no crossing.
- A subject in the holdout is enrolled, and held back at the gate, so that the ledger shows what it
  was not sent. The assignment is made once and kept.
- A run ends at its goal when its next check finds the goal, not at the moment of the event.

To come with the intervention work: the watermarks of the pipeline (until then "has not happened"
means "is not folded yet"), task tokens that shorten a wait, and `reconcile_claims`, which ends
claims that were never delivered (until then such a claim stays open, with its message among the
channel's dead letters)."""


def playbooks_page() -> str:
    """The page, out of the playbooks that ship."""
    playbooks = load().current()
    return "\n\n".join(
        [
            "# Playbooks",
            "Rendered from `playbooks/` by `make docs`. A playbook is data; one state machine runs "
            "them all. Offsets count from the entry: the trigger's own time.",
            *(_playbook(playbook) for playbook in playbooks),
            "## The gate",
            "Every action passes these gates, in this order; the first to object decides, and the "
            "ledger keeps gate and reason. Whether messages go out at all is a switch that is read "
            "at delivery: `record` (the default), `allowlist` or `live`.",
            table(("gate", "objects when"), ((f"`{g.__name__}`", _first_line(g)) for g in GATES)),
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
    again = (
        "never" if playbook.reentry == "never" else f"once in {format_duration(playbook.reentry)}"
    )
    facts = (
        f"`{playbook.name}`, version {playbook.version}. Starts at {_trigger(playbook)}, unless "
        f"that is older than {format_duration(playbook.entry_age_limit)}. Again for the same "
        f"subject: {again}. Ends at once when: {describe(playbook.goal)}."
    )
    rows = (row for step in playbook.steps for row in _step(step))
    return f"## {playbook.title}\n\n{facts}\n\n" + table(
        ("when", "condition", "what happens"), rows
    )


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
        yield when, "", _actions(step.ways()[0])
        return
    for branch in step.branches:
        condition = "otherwise" if branch.when is None else describe(branch.when)
        yield when, f"{condition}: `{branch.name}`", _actions(branch)
        when = ""


def _actions(branch: Branch) -> str:
    said = [_action(action) for action in branch.actions]
    if branch.leave:
        said.append("leave the playbook")
    return "; ".join(said) or "go on"


def _action(action: Action) -> str:
    later = "" if action.channel in CHANNELS else " (channel to come)"
    what = f"{action.channel}{later}, `{action.name}`"
    match action:
        case AlertAction():
            return f"{what}: {action.title} [{action.severity}]"
        case CrmAction():
            value = f" = {action.value}" if action.value else ""
            return f"{what}: {action.operation.replace('_', ' ')} {action.what}{value}"
        case _:
            return f"{what}: {action.title}"


def _first_line(function: object) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
