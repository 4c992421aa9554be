"""Google Analytics 4, as BigQuery exports it: one row per event, with its parameters as a list of
keys and typed values. https://support.google.com/analytics/answer/7029846

Identity. `user_pseudo_id` identifies the browser or the app. The site itself sets `user_id`. An
export contains no email addresses.

Event ids. An export has none, so the id is a hash: of the user, the name, the microsecond, the
position in the batch, and the parameters. JSON (where integers are texts) and Parquet give the same
hash.
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
    """Flatten a row into the form whose paths `tracking_plan/senders/ga4.yaml` names.

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
    """Turn a list of keys and typed values into a dictionary.

    An entry has a value in one of four typed fields. BigQuery writes 64-bit integers as texts in
    JSON."""
    result: dict[str, Any] = {}
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
            continue
        values = as_object(entry.get("value"))
        for kind in _VALUES:
            value = values.get(kind)
            if value is not None:
                result[entry["key"]] = _integer(value) if kind == "int_value" else value
                break
    return result


def _integer(value: Any) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError):
        return value


def _milliseconds(microseconds: Any) -> int | None:
    number = _integer(microseconds)
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return number // 1000 if number // 1000 >= EARLIEST else None


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
