"""Turn rows into reports, for each known format and for formats that a mapping file describes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from desireline.plan.tracking_plan import SenderWords, TrackingPlan
from desireline.receive.mapping.by_paths import report_by_paths
from desireline.receive.mapping.times import epoch_any
from desireline.receive.senders import mixpanel_export, segment
from desireline.receive.senders.sender import SenderReport
from desireline_operate.import_history import ga4, segment_tables
from desireline_operate.import_history.files import Format
from desireline_operate.import_history.rows import TEXT

Report = Callable[[Any], SenderReport]


class MappingError(Exception):
    """The mapping file cannot be used; the message says why and what to do."""


class FileOptions(BaseModel):
    """The part `file` of a mapping file. time_format: the format of times (strptime). time_zone:
    of times without a zone. delimiter: between cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    time_format: str | None = None
    time_zone: str = "UTC"
    delimiter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """The description of a source that is sent to the worker processes.

    mapping: the content of a mapping file, else None. zone: of the Mixpanel project.
    account_property: the property of Mixpanel or GA4 that holds an account's key. left_out: events
    to skip, by the source's names. table: the name of a table in Segment's warehouse.
    """

    format: Format
    mapping: Mapping[str, Any] | None = None
    file: FileOptions = FileOptions()
    zone: str = "UTC"
    account_property: str = ""
    left_out: frozenset[str] = frozenset()
    table: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of rows. name: the sender of the events. mapped_as: the sender whose mappings
    apply. report: turns a row into a report. left_out: events to skip."""

    name: str
    mapped_as: str
    report: Report
    left_out: frozenset[str]


def read_mapping(path: Path, plan: TrackingPlan) -> tuple[Mapping[str, Any], FileOptions]:
    """Read a mapping file: a sender of the plan with `message`, and the part `file`.

    Raises MappingError."""
    try:
        content = yaml.safe_load(path.read_text())
        if not isinstance(content, dict):
            raise MappingError(f"{path} must be a YAML mapping with `sender` and `message`")
        file = FileOptions(**content.pop("file", {}))
        sender = SenderWords(**content)
        time_zone(file.time_zone)
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, ValidationError, TypeError) as error:
        raise MappingError(f"{path}: {error}") from error
    if sender.message is None:
        raise MappingError(f"{path} has no `message`: add it with the paths of the row's fields")
    unknown = sorted({mapping.becomes for mapping in sender.mappings} - plan.events.keys())
    if unknown:
        raise MappingError(
            f"{path} maps to {', '.join(unknown)}, which the plan does not have: "
            "correct the names, or add the events to the plan"
        )
    return content, file


def plan_with_mapping(plan: TrackingPlan, spec: SourceSpec) -> TrackingPlan:
    """Return the plan with the mapping file's sender added."""
    if spec.mapping is None:
        return plan
    sender = SenderWords(**spec.mapping)
    fields = {name: getattr(plan, name) for name in TrackingPlan.model_fields}
    return TrackingPlan(**{**fields, "senders": {**plan.senders, sender.sender: sender}})


def source_of(spec: SourceSpec, plan: TrackingPlan) -> Source:
    """Build the source that a spec describes."""
    match spec.format:
        case Format.SEGMENT:
            return Source("segment", "segment", segment.to_report, spec.left_out)
        case Format.SEGMENT_WAREHOUSE:
            call = partial(segment_tables.call, table=spec.table)
            return Source(
                "segment", "segment", lambda row: segment.to_report(call(row)), spec.left_out
            )
        case Format.MIXPANEL:
            export = partial(
                mixpanel_export.to_report,
                zone=time_zone(spec.zone),
                account_property=spec.account_property,
            )
            return Source("mixpanel_export", "mixpanel_export", export, spec.left_out)
        case Format.GA4:
            report = _by_paths(plan.senders[ga4.NAME], FileOptions())
            flat = partial(ga4.message, account_property=spec.account_property)
            return Source(ga4.NAME, ga4.NAME, lambda row: report(flat(row)), spec.left_out)
        case Format.MAPPED:
            sender = SenderWords(**(spec.mapping or {}))
            return Source(sender.sender, sender.sender, _by_paths(sender, spec.file), spec.left_out)


def _by_paths(sender: SenderWords, file: FileOptions) -> Report:
    """Return a function that reports rows by the paths of a sender.

    It reads identifiers as text if the file has text. A row without an identifier gets a hash of
    its content."""
    assert sender.message is not None
    paths, times = sender.message, _times(file)

    def report(row: Mapping[str, Any]) -> SenderReport:
        texts = row.get(TEXT, row)
        result = report_by_paths(paths, row, texts=texts, times=times)
        return result if result.id else result._replace(id=_content_hash(texts))

    return report


def _content_hash(row: Mapping[str, Any]) -> str:
    """Hash a row; the order of its columns does not matter."""
    filled = {name: value for name, value in row.items() if value not in (None, "")}
    written = orjson.dumps(filled, default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()


def _times(file: FileOptions) -> Callable[[Any], int | None]:
    """Return a function that parses this file's times into epoch ms, or None for other values."""
    zone, form = time_zone(file.time_zone), file.time_format
    if form is None and file.time_zone == "UTC":
        return epoch_any

    def read(value: Any) -> int | None:
        if not isinstance(value, str):
            return epoch_any(value) if form is None else None
        try:
            time = datetime.strptime(value, form) if form else datetime.fromisoformat(value)
        except ValueError:
            return None
        return epoch_any((time if time.tzinfo else time.replace(tzinfo=zone)).isoformat())

    return read


def time_zone(name: str) -> ZoneInfo:
    """Return the time zone of that name. Raises MappingError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise MappingError(
            f"unknown time zone '{name}': write a name such as Europe/Berlin"
        ) from error
