"""Properties that hold whatever happens: of clocks, names, releases and raw bodies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from uuid import NAMESPACE_DNS, NAMESPACE_OID, NAMESPACE_URL, NAMESPACE_X500, uuid5

import orjson

from desireline.contracts import Topic
from desireline.events import AliasType, CanonicalEvent, RawWebhook
from desireline.rows import ClaimRow, DecisionRow, EnrolmentRow, SuppressionRow
from tests.simulation.counting import Violation
from tests.simulation.oracle import Expected
from tests.simulation.releases import PLAYBOOKS, version_of
from tests.simulation.scenario import HOUR, START, Post
from tests.simulation.tables import Written
from tests.simulation.world import World

BEGAN = START - 2 * HOUR
PUBLIC = (NAMESPACE_DNS, NAMESPACE_OID, NAMESPACE_URL, NAMESPACE_X500)
SECRET_TYPES = (AliasType.USER, AliasType.ANONYMOUS)
UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def clocks_are_apart(world: World, _: Expected) -> Iterator[Violation]:
    """Stamps, attempts and suppressions are of the wall clock, decisions of journey time."""
    ahead = world.scenario.ahead
    for written in world.tables.history:
        for name, time in _wall_times(written):
            if not BEGAN <= time - ahead <= written.at:
                yield "not wall time", f"{written.new.pk} {written.new.sk}: {name} {time}"
        for name, time in _journey_times(written):
            if not written.began <= time <= written.at:
                yield "not journey time", f"{written.new.pk} {written.new.sk}: {name} {time}"


def _wall_times(written: Written) -> Iterator[tuple[str, int]]:
    row = written.new
    stamps = getattr(row, "stamps", None)
    if stamps is not None:
        yield from stamps.model_dump(exclude_none=True).items()
    if isinstance(row, ClaimRow) and row.attempted_at is not None:
        yield "attempted_at", row.attempted_at
    if isinstance(row, SuppressionRow) and written.old is None:
        yield "at", row.at


def _journey_times(written: Written) -> Iterator[tuple[str, int]]:
    row = written.new
    if isinstance(row, DecisionRow) and written.old is None:
        yield "at", row.at
    if isinstance(row, ClaimRow) and written.old is None:
        yield "decided_at", row.decided_at


def ids_reveal_nothing(world: World, truth: Expected) -> Iterator[Violation]:
    """No key of a record or of a row, no input of an execution and no message of a queue holds an
    alias; and no fragment can be computed without the deployment's secret."""
    aliases = {
        (alias.type, alias.value)
        for event in truth.events
        for alias in event.aliases
        if alias.type in SECRET_TYPES
    }
    either = "|".join(sorted(re.escape(value) for _, value in aliases)) or "(?!)"
    values = re.compile(rf"(?<![A-Za-z0-9])({either})(?![A-Za-z0-9])")
    for name, text in _exposed(world):
        if values.search(text):
            yield "an alias can be read", f"{name}: {text}"
    computed = {
        str(uuid5(space, name))
        for kind, value in aliases
        for space in PUBLIC
        for name in (value, f"{kind}|{value}", f"{kind}#{value}")
    }
    for event in truth.events:
        for alias in event.aliases:
            if alias.fragment in computed:
                yield "a fragment can be computed", f"{alias.type} {alias.fragment}"
    for _, payload in world.executions.inputs:
        if payload.keys() != {"enrolment"} or not UUID_FORM.fullmatch(payload["enrolment"]):
            yield "an input holds more than an id", f"{payload}"


def _exposed(world: World) -> Iterator[tuple[str, str]]:
    for topic in Topic:
        for record in world.topics.records(topic):
            yield f"key in {topic}", (record.key or b"").decode()
    for row in world.tables.rows.values():
        yield "row", f"{row.pk} {row.sk}"
    for body in world.queue.bodies:
        yield "queue", body
    for name, payload in world.executions.inputs:
        yield "execution", f"{name} {orjson.dumps(payload).decode()}"


def runs_outlive_releases(world: World, _: Expected) -> Iterator[Violation]:
    """A run stays in the version that it began in, and decides that version's steps only; what
    begins after the deployment takes the newest version."""
    newest = {one.name: one.version for one in PLAYBOOKS.current()}
    deployed_at = world.scenario.deployed_at
    for written in world.tables.history:
        row, old = written.new, written.old
        if not isinstance(row, EnrolmentRow):
            continue
        if isinstance(old, EnrolmentRow) and old.playbook_version != row.playbook_version:
            yield "a run changed its version", f"{row.playbook} {row.enrolment}"
        steps = {step.name for step in version_of(row).steps}
        if not row.branches.keys() <= steps:
            yield "steps of another version", f"{row.playbook} {row.enrolment}: {row.branches}"
        begins = old is None and deployed_at is not None and written.began > deployed_at
        if begins and row.playbook_version != newest[row.playbook]:
            yield "begun in an old version", f"{row.playbook} {row.enrolment}"


def raw_bodies_are_there(world: World, truth: Expected) -> Iterator[Violation]:
    """When a webhook is answered its body is durable, under the hash of source and body; and the
    pointer of each event says which body it is from."""
    arrived: dict[str, int] = {}
    for record in world.topics.records(Topic.WEBHOOKS_RAW):
        raw = RawWebhook.decode(record.value or b"")
        arrived[raw.id] = min(arrived.get(raw.id, record.timestamp), record.timestamp)
    posts = world.scenario.posts
    for number, at in world.answered.items():
        if arrived.get(_raw_id(posts[number]), at + 1) > at:
            yield "answered without the raw body", f"webhook {number} at {at}"
    pointers = {
        event.event_id: _raw_id(post) for event, post in zip(truth.events, posts, strict=True)
    }
    for record in world.topics.records(Topic.EVENTS_RECEIVED):
        event = CanonicalEvent.decode(record.value or b"")
        if event.raw is None or event.raw.id != pointers[event.event_id]:
            yield "a pointer to another body", f"{event.event_id}: {event.raw}"


def _raw_id(post: Post) -> str:
    return hashlib.sha256(post.source.encode() + b"\n" + post.body).hexdigest()[:32]


STANDING = (clocks_are_apart, ids_reveal_nothing, runs_outlive_releases, raw_bodies_are_there)
