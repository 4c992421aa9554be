"""Google Analytics 4, as BigQuery exports it: a row an event, parameters as a list of keys and
typed values. https://support.google.com/analytics/answer/7029846

Identity. `user_pseudo_id` is the browser's or the app's, `user_id` what the site itself told; no
address is in an export.

Identifiers of events. An export has none. What tells two events of one user apart is their
microsecond, their name, the batch they came in and their place in it, and their parameters; all of
it together is the identifier, the same in JSON (where integers are texts) and in Parquet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from desireline.receive.mapping.times import EARLIEST
from desireline.receive.senders.sender import as_object

NAME = "ga4"
_IDENTITY = ("event_bundle_sequence_id", "batch_event_index", "batch_page_id", "batch_ordering_id")
_VALUES = ("string_value", "int_value", "double_value", "float_value")


def message(row: Mapping[str, Any], *, account_property: str = "") -> dict[str, Any]:
    """A row in a form in which `tracking_plan/senders/ga4.yaml` says where things are.

    account_property: the parameter or user property that holds an account's key."""
    params = _named(row.get("event_params"))
    properties = _named(row.get("user_properties"))
    location = params.get("page_location")
    account = None
    if account_property:
        account = params.get(account_property) or properties.get(account_property)
    return {
        **row,
        "event_id": _id(row, params),
        "time": _milliseconds(row.get("event_timestamp")),
        "account": account,
        "params": params,
        "user": properties,
        "path": _path(location) if isinstance(location, str) else None,
    }


def _path(location: str) -> str | None:
    try:
        return urlsplit(location).path
    except ValueError:
        return None


def _named(listed: Any) -> dict[str, Any]:
    """A list of keys and typed values as a dictionary; of the values the one that is there.
    BigQuery writes 64-bit integers as texts in JSON."""
    found: dict[str, Any] = {}
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            continue
        value = as_object(one.get("value"))
        for kind in _VALUES:
            given = value.get(kind)
            if given is not None:
                found[one["key"]] = _integer(given) if kind == "int_value" else given
                break
    return found


def _integer(value: Any) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError):
        return value


def _milliseconds(microseconds: Any) -> int | None:
    found = _integer(microseconds)
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    return found // 1000 if found // 1000 >= EARLIEST else None


def _id(row: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    identity = [
        row.get("user_pseudo_id"),
        row.get("user_id"),
        row.get("event_name"),
        *map(_integer, _values(row, ("event_timestamp", *_IDENTITY))),
        params,
    ]
    written = orjson.dumps(identity, default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(written, digest_size=16).hexdigest()


def _values(row: Mapping[str, Any], names: Iterable[str]) -> list[Any]:
    return [row.get(name) for name in names]
