"""Rules broken once more: each gate left open, and the rules of clocks, names, releases and raw
bodies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from desireline.contracts import Topic
from desireline.errors import InvalidPlaybookError
from desireline.identity.aliases import Fragments, Named, normalise
from desireline.intervene import check_playbook as check
from desireline.intervene import deliver_action as deliver
from desireline.intervene import gate, gate_facts
from desireline.intervene import start_interventions as start
from desireline.intervene.playbook.playbooks import Library
from desireline.journey.state import EMPTY
from desireline.receive import receive_webhook as webhook
from desireline.receive.mapping import event_mapper as mapping
from desireline.receive.receive_webhook import ReceiveWebhook
from desireline.rows import SuppressionRow
from tests.simulation.faults import Faults
from tests.simulation.history import Case
from tests.simulation.mutations import Mutation, Patch


def _without(name: str) -> Callable[[Patch], None]:
    left = tuple(one for one in gate.GATES if one.__name__ != name)
    assert len(left) == len(gate.GATES) - 1
    return lambda patch: patch.setattr(gate, "GATES", left)


def _last_gate_decides(patch: Patch) -> None:
    """The ledger then shows that a channel is missing where somebody had refused it."""
    patch.setattr(gate, "GATES", tuple(reversed(gate.GATES)))


def _lifted_still_holds(patch: Patch) -> None:
    def ever(store: Any, targets: Any, channels: Any) -> Any:
        scopes = ("*", *channels)
        places = [SuppressionRow.ref_to(one, scope) for one in targets for scope in scopes]
        return list(store.get_all(places).values())

    patch.setattr(gate_facts, "suppressions_of", ever)


def _first_person_decides(patch: Patch) -> None:
    """Not the strictest of all persons' consents."""
    every = gate_facts.suppressions_of

    def first(store: Any, targets: Any, channels: Any) -> Any:
        return every(store, targets[:1], channels)

    patch.setattr(gate_facts, "suppressions_of", first)


def _no_suppression_at_delivery(patch: Patch) -> None:
    patch.setattr(deliver, "suppressions_of", lambda store, targets, channels: [])


def _opt_outs_ignored(patch: Patch) -> None:
    patch.setattr(gate_facts, "opt_out", lambda known, channel: gate.opt_out(EMPTY, channel))


def _customers_of_any_kind(patch: Patch) -> None:
    """Also a playbook for everyone refuses those who pay."""
    facts = gate_facts.gate_facts

    def for_prospects(*ports: Any, **facts_of: Any) -> Any:
        point = facts_of["point"]
        playbook = point.playbook.model_copy(update={"audience": gate.Audience.PROSPECTS})
        object.__setattr__(point, "playbook", playbook)
        return facts(*ports, **facts_of)

    patch.setattr(check, "gate_facts", for_prospects)


def _by_the_wrong_clock(owner: Any, name: str, other: str) -> Callable[[Patch], None]:
    """The use case takes one of its clocks for the other."""

    def apply(patch: Patch) -> None:
        made = owner.__init__

        def confused(self: Any, **ports: Any) -> None:
            made(self, **{**ports, name: ports[other]})

        patch.setattr(owner, "__init__", confused)

    return apply


def _readable_fragments(patch: Patch) -> None:
    def plain(self: Any, alias_type: Any, value: object) -> Named | None:
        text = normalise(alias_type, str(value)) if value is not None else None
        name = f"{alias_type}-{text}"
        return None if text is None else Named(alias_type, text, name, alias_type.strength)

    patch.setattr(Fragments, "named", plain)


def _fragments_of_a_public_namespace(patch: Patch) -> None:
    def looked_up(self: Any, alias_type: Any, value: object) -> Named | None:
        text = normalise(alias_type, str(value)) if value is not None else None
        name = str(uuid5(NAMESPACE_URL, f"{alias_type}|{text}"))
        return None if text is None else Named(alias_type, text, name, alias_type.strength)

    patch.setattr(Fragments, "named", looked_up)


def _inputs_hold_the_trigger(patch: Patch) -> None:
    enrol = start.StartInterventions._enrol

    def tell(self: Any, entry: Any) -> bool:
        workflow = self._workflow

        class Telling:
            def start(self, *, name: str, payload: Any) -> None:
                workflow.start(name=name, payload={**payload, "entry": entry.id})

        self._workflow = workflow if type(workflow).__name__ == "Telling" else Telling()
        return enrol(self, entry)

    patch.setattr(start.StartInterventions, "_enrol", tell)


def _newest_version_takes_over(patch: Patch) -> None:
    def newest(self: Library, name: str, version: int) -> Any:
        return next(one for one in self.current() if one.name == name)

    patch.setattr(Library, "at", newest)


def _earlier_version_not_shipped(patch: Patch) -> None:
    at = Library.at

    def current_only(self: Library, name: str, version: int) -> Any:
        found = at(self, name, version)
        if found not in self.current():
            raise InvalidPlaybookError("unknown_playbook_version", name)
        return found

    patch.setattr(check.Library, "at", current_only)


def _raw_body_after_the_answer(patch: Patch) -> None:
    call = ReceiveWebhook.__call__

    class Late:
        def __init__(self, producer: Any) -> None:
            self.producer = producer
            self.flush = producer.flush
            self.raw: list[Any] = []

        def produce(self, record: Any) -> None:
            if record.topic == Topic.WEBHOOKS_RAW:
                self.raw.append(record)
            else:
                self.producer.produce(record)

    def after(self: Any, request: Any) -> Any:
        producer = self._producer.producer if isinstance(self._producer, Late) else self._producer
        self._producer = Late(producer)
        answer = call(self, request)
        for record in self._producer.raw:
            producer.produce(record)
        return answer

    patch.setattr(ReceiveWebhook, "__call__", after)


def _raw_ids_by_attempt(patch: Patch) -> None:
    """A second delivery of a body gets another id."""
    counted: list[int] = []

    def fresh(source: str, body: bytes) -> str:
        counted.append(1)
        return f"{len(counted):032x}"

    patch.setattr(webhook, "raw_id", fresh)
    patch.setattr(mapping, "raw_id", fresh)


def _behind(seed: int) -> Case:
    """Records that wait for a redrive for longer than a check waits for them."""
    case = Case.of(seed)
    scenario = replace(case.scenario, careful=True)
    return replace(case, scenario=scenario, faults=Faults(poison=0.2))


OPENED = (
    ("kill switches are not looked at by checks", "10", "kill_switch"),
    ("those who pay are not left alone", "8", "converted"),
    ("what was sent before is decided again", "8", "already_sent"),
    ("the held out are not held back", "9", "holdout"),
    ("who refused is not left alone", "9", "consent"),
    ("what is too late is decided all the same", "8", "stale"),
    ("people who cannot be told apart are written to", "14", "identity"),
    ("a channel without a sender is claimed", "9", "channel"),
)

GATES_BROKEN = (
    *(Mutation(name, rule, _without(gate_name)) for name, rule, gate_name in OPENED),
    Mutation(
        "absence is claimed while the pipeline is behind",
        "12",
        _without("pipeline"),
        case=_behind,
    ),
    Mutation("the last gate that objects decides", "9", _last_gate_decides),
    Mutation("a suppression that was lifted still holds", "9", _lifted_still_holds),
    Mutation("one person's consent stands for all", "9", _first_person_decides),
    Mutation("opt-outs of email are not looked at", "9", _opt_outs_ignored),
    Mutation("a suppression after the claim is not looked at", "8", _no_suppression_at_delivery),
    Mutation("customers are refused what is for everyone", "9", _customers_of_any_kind),
    Mutation(
        "a check goes by wall time",
        "13",
        _by_the_wrong_clock(check.CheckPlaybook, "clock", "wall"),
    ),
    Mutation(
        "signatures are checked by journey time",
        "13",
        _by_the_wrong_clock(ReceiveWebhook, "wall", "clock"),
    ),
    Mutation(
        "a message expires by wall time",
        "13",
        _by_the_wrong_clock(deliver.DeliverAction, "clock", "wall"),
    ),
    Mutation(
        "triggers age by wall time",
        "13",
        _by_the_wrong_clock(start.StartInterventions, "clock", "wall"),
    ),
    Mutation("an alias can be read in its fragment", "15", _readable_fragments),
    Mutation("fragments can be looked up", "15", _fragments_of_a_public_namespace),
    Mutation("an execution's input holds its trigger", "15", _inputs_hold_the_trigger),
    Mutation("a run takes the newest version", "16", _newest_version_takes_over),
    Mutation("an earlier version is not shipped any more", "16", _earlier_version_not_shipped),
    Mutation("a raw body leaves after the answer", "18", _raw_body_after_the_answer),
    Mutation("a raw body gets an id with each delivery", "18", _raw_ids_by_attempt),
)
