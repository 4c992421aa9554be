"""Compare two plans: list the changes, and mark the breaking ones.

A change is breaking in three cases: the new plan refuses events that the old one accepts, messages
become other events, or readers of events (warehouse, models, playbooks) get less or other data.
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
from desireline_operate.plan.locations import with_article
from desireline_operate.plan.versions import Level

PATCH, MINOR, MAJOR = Level.PATCH, Level.MINOR, Level.MAJOR

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Change:
    """One change. subject: the changed part. text: the change. level: the part of the version that
    it raises."""

    subject: str
    text: str
    level: Level

    @property
    def breaking(self) -> bool:
        return self.level is MAJOR

    def __str__(self) -> str:
        return f"{self.subject} {self.text}"


def changes(old: TrackingPlan, new: TrackingPlan) -> list[Change]:
    """List all changes, breaking ones first. A change of the version is not listed."""
    result = [*_consent(old, new), *_traits(old, new), *_events(old, new), *_senders(old, new)]
    return sorted(result, key=lambda change: -change.level)


def required_level(changes: list[Change]) -> Level | None:
    """Return the level that the changes together require; None without changes."""
    return max((change.level for change in changes), default=None)


def _consent(old: TrackingPlan, new: TrackingPlan) -> Iterator[Change]:
    """Compare the needed consent: a change withholds events that were accepted, or the reverse."""
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
                case None, target:
                    yield Change(subject, f"is stored as {target}", MINOR)
                case target, None:
                    yield Change(subject, f"is no longer stored as {target}", MAJOR)
                case was, now if was != now:
                    yield Change(subject, f"is stored as {now}, no longer as {was}", MAJOR)


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
        yield Change(name, "has another description", PATCH)
    if old.category != new.category:
        yield Change(name, f"moves from {old.category} to {new.category}", MAJOR)
    if old.conversion != new.conversion:
        was, now = old.conversion or "no", new.conversion or "no"
        yield Change(name, f"is {now} conversion, no longer {was} conversion", MAJOR)
    if old.high_intent != new.high_intent:
        marks = "marks" if new.high_intent else "no longer marks"
        yield Change(name, f"{marks} high intent", MAJOR)
    if old.owns_account != new.owns_account:
        makes = "makes" if new.owns_account else "no longer makes"
        yield Change(name, f"{makes} its person the account's owner", MAJOR)
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
        now, was = with_article(new.type), with_article(old.type)
        yield Change(subject, f"is {now}, no longer {was}", MAJOR)
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
    subject: str, limit: str, old: float | None, new: float | None, *, narrower: int
) -> Iterator[Change]:
    """Compare a limit. narrower: the sign of a change that allows fewer values."""
    if old == new:
        return
    if new is None:
        yield Change(subject, f"no longer has a {limit}; it was {old:g}", MINOR)
    elif old is None:
        yield Change(subject, f"has the {limit} {new:g}", MAJOR)
    else:
        level = MAJOR if (new - old) * narrower > 0 else MINOR
        yield Change(subject, f"has the {limit} {new:g}, no longer {old:g}", level)


def _values(
    subject: str, old: tuple[str, ...] | None, new: tuple[str, ...] | None
) -> Iterator[Change]:
    if new is None:
        yield Change(subject, "may be any text", MINOR)
    elif old is None:
        yield Change(subject, f"may only be {', '.join(new)}", MAJOR)
    elif removed := [value for value in old if value not in new]:
        yield Change(subject, f"may no longer be {', '.join(removed)}", MAJOR)
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
                    identify = "identify" if after.verified_email else "no longer identify"
                    yield Change(subject, f"sends email addresses that {identify} a person", MAJOR)
                if _rest(before) != _rest(after):
                    yield Change(subject, "has other paths in its messages", MAJOR)
                yield from _mappings(before, after)
                yield from _ignored(before, after)


def _rest(sender: SenderWords) -> dict[str, object]:
    return sender.model_dump(exclude={"sender", "verified_email", "mappings", "ignored"})


def _mappings(old: SenderWords, new: SenderWords) -> Iterator[Change]:
    for key in _both(old.index, new.index):
        call, event = key
        subject = f"{old.sender} {call}" + (f" “{event}”" if event else "")
        yield from _choices(subject, old.index.get(key, []), new.index.get(key, []))


def _ignored(old: SenderWords, new: SenderWords) -> Iterator[Change]:
    """Compare the ignored reports. A report that is neither mapped nor ignored is quarantined."""
    before, after = (
        {(entry.call, entry.event, entry.where): entry.why for entry in sender.ignored}
        for sender in (old, new)
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
    """Compare the mappings of one call and event, which are tried in order."""
    before = {mapping.where: mapping for mapping in old}
    after = {mapping.where: mapping for mapping in new}
    for where, mapping in before.items():
        if where not in after:
            name = f"{subject}{_if(where)}"
            yield Change(name, f"no longer becomes {mapping.becomes}", MAJOR)
    common = [where for where in after if where in before]
    for position, (where, mapping) in enumerate(after.items()):
        name = f"{subject}{_if(where)}"
        if where in before:
            yield from _mapping(name, before[where], mapping)
        elif later := [it for it in [*after][position + 1 :] if it and it in before]:
            was = before[later[0]].becomes
            yield Change(name, f"becomes {mapping.becomes}, ahead of {was}", MAJOR)
        elif where is not None and None in before:
            was = before[None].becomes
            yield Change(name, f"becomes {mapping.becomes}, no longer {was}", MAJOR)
        else:
            yield Change(name, f"becomes {mapping.becomes}", MINOR)
    if common != [where for where in before if where in after]:
        yield Change(subject, "tries its mappings in another order", MAJOR)


def _mapping(subject: str, old: SenderMapping, new: SenderMapping) -> Iterator[Change]:
    if old.becomes != new.becomes:
        yield Change(subject, f"becomes {new.becomes}, no longer {old.becomes}", MAJOR)
    for name in _both(old.properties, new.properties):
        match old.properties.get(name), new.properties.get(name):
            case None, path:
                yield Change(subject, f"fills {name} from {path}", MINOR)
            case path, None:
                yield Change(subject, f"no longer fills {name} from {path}", MAJOR)
            case was, now if was != now:
                yield Change(subject, f"fills {name} from {now}, no longer from {was}", MAJOR)


def _if(where: str | None) -> str:
    return "" if where is None else f" where {' '.join(where.split())}"


def _both(old: Mapping[Name, object], new: Mapping[Name, object]) -> dict[Name, None]:
    """Return the names of both, the new ones first, each in its order."""
    return dict.fromkeys([*new, *old])
