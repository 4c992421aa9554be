"""What changed from one plan to the next, and what breaks.

A change is breaking when events that were taken are refused, messages become other events, or
those that read events find less than before or something else: warehouse, models, playbooks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from desireline.plan.tracking_plan import (
    Parameter,
    PlannedEvent,
    SenderMapping,
    SenderWords,
    TrackingPlan,
)
from desireline_operate.plan.locations import an
from desireline_operate.plan.versions import Level

PATCH, MINOR, MAJOR = Level.PATCH, Level.MINOR, Level.MAJOR

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what it is about, what happened to it, and what it asks for."""

    subject: str
    text: str
    level: Level

    @property
    def breaking(self) -> bool:
        return self.level is MAJOR

    def __str__(self) -> str:
        return f"{self.subject} {self.text}"


def changes(old: TrackingPlan, new: TrackingPlan) -> list[Change]:
    """All changes, breaking ones first. The version itself is none."""
    found = [*_consent(old, new), *_traits(old, new), *_events(old, new), *_senders(old, new)]
    return sorted(found, key=lambda change: -change.level)


def asked(found: list[Change]) -> Level | None:
    """The level that all the changes together ask for; None without changes."""
    return max((change.level for change in found), default=None)


def _consent(old: TrackingPlan, new: TrackingPlan) -> Iterator[Change]:
    """Events are withheld that were taken, or taken that were withheld."""
    before, after = old.needed_consent, new.needed_consent
    if before != after:
        text = f"is needed for {after or 'nothing'}, no longer for {before or 'nothing'}"
        yield Change("consent", text, MAJOR)


def _traits(old: TrackingPlan, new: TrackingPlan) -> Iterator[Change]:
    for whose in ("person", "account"):
        before: Mapping[str, str] = getattr(old.traits, whose)
        after: Mapping[str, str] = getattr(new.traits, whose)
        for name in _both(before, after):
            subject = f"{whose} trait {name}"
            match before.get(name), after.get(name):
                case None, kept:
                    yield Change(subject, f"is kept as {kept}", MINOR)
                case kept, None:
                    yield Change(subject, f"is no longer kept as {kept}", MAJOR)
                case was, now if was != now:
                    yield Change(subject, f"is kept as {now}, no longer as {was}", MAJOR)


def _events(old: TrackingPlan, new: TrackingPlan) -> Iterator[Change]:
    for name in _both(old.events, new.events):
        match old.events.get(name), new.events.get(name):
            case None, PlannedEvent():
                yield Change(name, "is a new event", MINOR)
            case PlannedEvent(), None:
                yield Change(name, "is removed", MAJOR)
            case PlannedEvent() as before, PlannedEvent() as after:
                yield from _event(before, after)


def _event(old: PlannedEvent, new: PlannedEvent) -> Iterator[Change]:
    name = old.name
    if old.description != new.description:
        yield Change(name, "is described in other words", PATCH)
    if old.category != new.category:
        yield Change(name, f"moves from {old.category} to {new.category}", MAJOR)
    if old.conversion != new.conversion:
        was, now = old.conversion or "no", new.conversion or "no"
        yield Change(name, f"is {now} conversion, no longer {was} conversion", MAJOR)
    if old.high_intent != new.high_intent:
        shows = "shows" if new.high_intent else "no longer shows"
        yield Change(name, f"{shows} high intent", MAJOR)
    if old.owns_account != new.owns_account:
        owns = "owns" if new.owns_account else "no longer owns"
        yield Change(name, f"means that who does it {owns} the account", MAJOR)
    yield from _parameters(old, new)


def _parameters(old: PlannedEvent, new: PlannedEvent) -> Iterator[Change]:
    for parameter in _both(old.parameters, new.parameters):
        subject = f"{old.name}.{parameter}"
        match old.parameters.get(parameter), new.parameters.get(parameter):
            case None, Parameter(required=True):
                yield Change(subject, "is a new parameter, and required", MAJOR)
            case None, Parameter():
                yield Change(subject, "is a new parameter", MINOR)
            case Parameter(), None:
                yield Change(subject, "is removed", MAJOR)
            case Parameter() as before, Parameter() as after:
                yield from _parameter(subject, before, after)


def _parameter(subject: str, old: Parameter, new: Parameter) -> Iterator[Change]:
    if old.type != new.type:
        yield Change(subject, f"is {an(new.type)}, no longer {an(old.type)}", MAJOR)
    if old.unit != new.unit:
        was, now = old.unit or "no unit", new.unit or "no unit"
        yield Change(subject, f"is in {now}, no longer in {was}", MAJOR)
    if old.required != new.required:
        if new.required:
            yield Change(subject, "is required", MAJOR)
        else:
            yield Change(subject, "is no longer required", MINOR)
    if old.sum != new.sum:
        if new.sum:
            yield Change(subject, "is summed up", MINOR)
        else:
            yield Change(subject, "is no longer summed up", MAJOR)
    yield from _limit(subject, "minimum", old.minimum, new.minimum, narrower=1)
    yield from _limit(subject, "maximum", old.maximum, new.maximum, narrower=-1)
    if old.values != new.values:
        yield from _values(subject, old.values, new.values)


def _limit(
    subject: str, what: str, old: float | None, new: float | None, *, narrower: int
) -> Iterator[Change]:
    """narrower: the sign of a change that lets fewer values through."""
    if old == new:
        return
    if new is None:
        yield Change(subject, f"has no {what} any more; it was {old:g}", MINOR)
    elif old is None:
        yield Change(subject, f"has the {what} {new:g}", MAJOR)
    else:
        level = MAJOR if (new - old) * narrower > 0 else MINOR
        yield Change(subject, f"has the {what} {new:g}, no longer {old:g}", level)


def _values(
    subject: str, old: tuple[str, ...] | None, new: tuple[str, ...] | None
) -> Iterator[Change]:
    if new is None:
        yield Change(subject, "may be any text", MINOR)
    elif old is None:
        yield Change(subject, f"may only be {', '.join(new)}", MAJOR)
    elif gone := [value for value in old if value not in new]:
        yield Change(subject, f"may no longer be {', '.join(gone)}", MAJOR)
    elif added := [value for value in new if value not in old]:
        yield Change(subject, f"may also be {', '.join(added)}", MINOR)
    else:
        yield Change(subject, "lists its values in another order", PATCH)


def _senders(old: TrackingPlan, new: TrackingPlan) -> Iterator[Change]:
    for name in _both(old.senders, new.senders):
        subject = f"sender {name}"
        match old.senders.get(name), new.senders.get(name):
            case None, SenderWords(mappings=mappings):
                yield Change(subject, f"is new, with {len(mappings)} mappings", MINOR)
            case SenderWords(), None:
                yield Change(subject, "is removed", MAJOR)
            case SenderWords() as before, SenderWords() as after:
                if before.verified_email != after.verified_email:
                    told = "identifies" if after.verified_email else "no longer identifies"
                    yield Change(subject, f"sends addresses of which each {told} a person", MAJOR)
                if _rest(before) != _rest(after):
                    yield Change(subject, "has things in other places of its messages", MAJOR)
                yield from _mappings(before, after)
                yield from _ignored(before, after)


def _rest(words: SenderWords) -> dict[str, object]:
    return words.model_dump(exclude={"sender", "verified_email", "mappings", "ignored"})


def _mappings(old: SenderWords, new: SenderWords) -> Iterator[Change]:
    for words in _both(old.index, new.index):
        call, event = words
        said = f"{old.sender} {call}" + (f" “{event}”" if event else "")
        yield from _choices(said, old.index.get(words, []), new.index.get(words, []))


def _ignored(old: SenderWords, new: SenderWords) -> Iterator[Change]:
    """What is ignored from now on was set aside before, and the other way round."""
    before, after = (
        {(one.call, one.event, one.where): one.why for one in words.ignored} for words in (old, new)
    )
    for key in {**before, **after}:
        call, event, where = key
        subject = f"{old.sender} {call}" + (f" “{event}”" if event else "") + _if(where)
        if key not in before:
            yield Change(subject, "is ignored", MINOR)
        elif key not in after:
            yield Change(subject, "is no longer ignored", MINOR)
        elif before[key] != after[key]:
            yield Change(subject, "is ignored for another reason", PATCH)


def _choices(subject: str, old: list[SenderMapping], new: list[SenderMapping]) -> Iterator[Change]:
    """Mappings of the same words, in the order in which they are tried."""
    before = {mapping.where: mapping for mapping in old}
    after = {mapping.where: mapping for mapping in new}
    for where, mapping in before.items():
        if where not in after:
            yield Change(f"{subject}{_if(where)}", f"becomes {mapping.becomes} no longer", MAJOR)
    kept = [where for where in after if where in before]
    for place, (where, mapping) in enumerate(after.items()):
        said = f"{subject}{_if(where)}"
        if where in before:
            yield from _mapping(said, before[where], mapping)
        elif later := [one for one in [*after][place + 1 :] if one and one in before]:
            was = before[later[0]].becomes
            yield Change(said, f"becomes {mapping.becomes}, before it may become {was}", MAJOR)
        elif where is not None and None in before:
            was = before[None].becomes
            yield Change(said, f"becomes {mapping.becomes}, no longer {was}", MAJOR)
        else:
            yield Change(said, f"becomes {mapping.becomes}", MINOR)
    if kept != [where for where in before if where in after]:
        yield Change(subject, "is tried for its mappings in another order", MAJOR)


def _mapping(subject: str, old: SenderMapping, new: SenderMapping) -> Iterator[Change]:
    if old.becomes != new.becomes:
        yield Change(subject, f"becomes {new.becomes}, no longer {old.becomes}", MAJOR)
    for name in _both(old.properties, new.properties):
        match old.properties.get(name), new.properties.get(name):
            case None, path:
                yield Change(subject, f"fills {name} from {path}", MINOR)
            case path, None:
                yield Change(subject, f"fills {name} from {path} no longer", MAJOR)
            case was, now if was != now:
                yield Change(subject, f"fills {name} from {now}, no longer from {was}", MAJOR)


def _if(where: str | None) -> str:
    return "" if where is None else f" where {' '.join(where.split())}"


def _both(old: Mapping[Name, object], new: Mapping[Name, object]) -> dict[Name, None]:
    """Names of either, those of the new plan first, in its order."""
    return dict.fromkeys([*new, *old])
