"""Rows of every format, as the senders' documentation shows them."""

from __future__ import annotations

from typing import Any

import yaml

SEGMENT = {
    "anonymousId": "507f191e810c19729de860ea",
    "context": {
        "groupId": "g1",
        "ip": "8.8.8.8",
        "locale": "en-US",
        "page": {"path": "/academy/", "url": "https://segment.com/academy/"},
        "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_5)",
    },
    "event": "Trial Started",
    "messageId": "022bb90c-bbac-11e4-8dfc-aa07a5b093db",
    "originalTimestamp": "2020-09-13T12:26:40.000Z",
    "properties": {"plan": "trial"},
    "receivedAt": "2020-09-13T12:26:41.387Z",
    "sentAt": "2020-09-13T12:26:41.000Z",
    "timestamp": "2020-09-13T12:26:40.000Z",
    "type": "track",
    "userId": "97980cfea0067",
    "version": "1.1",
}


SEGMENT_ROW = {
    "id": "022bb90c-bbac-11e4-8dfc-aa07a5b093db",
    "anonymous_id": "507f191e810c19729de860ea",
    "user_id": "97980cfea0067",
    "event": "trial_started",
    "event_text": "Trial Started",
    "plan": "trial",
    "context_ip": "8.8.8.8",
    "context_locale": "en-US",
    "context_page_path": "/academy/",
    "context_user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_5)",
    "context_group_id": "g1",
    "original_timestamp": "2020-09-13 12:26:40.000 UTC",
    "sent_at": "2020-09-13 12:26:41.000 UTC",
    "received_at": "2020-09-13 12:26:41.387 UTC",
    "timestamp": "2020-09-13 12:26:40.000 UTC",
    "uuid_ts": "2020-09-13 12:30:00.000 UTC",
}


MIXPANEL = {
    "event": "Signed In",
    "properties": {
        "time": 1600000000,
        "distinct_id": "1d7779f4-1b63-4cdd-9b95-2e7e5b0b1ad8",
        "$browser": "Chrome",
        "$device_id": "1d7779f4-1b63-4cdd-9b95-2e7e5b0b1ad8",
        "$insert_id": "29fc2962-6d9c-455d-95ad-95b84f09b9e4",
        "$user_id": "ada",
        "mp_country_code": "US",
        "company": "acme",
    },
}


def ga4(**changes: Any) -> dict[str, Any]:
    """support.google.com/analytics/answer/7029846, as BigQuery writes JSON: integers are texts."""
    return {
        "event_date": "20200913",
        "event_timestamp": "1600000000123456",
        "event_name": "page_view",
        "event_params": [
            {"key": "page_location", "value": {"string_value": "https://acme.com/pricing?x=1"}},
            {"key": "ga_session_id", "value": {"int_value": "1600000000"}},
            {"key": "visit_number", "value": {"int_value": "3"}},
            {"key": "scroll_depth", "value": {"double_value": 90.5}},
        ],
        "event_bundle_sequence_id": "12",
        "user_pseudo_id": "1234567890.1600000000",
        "user_properties": [
            {"key": "company_id", "value": {"string_value": "acme", "set_timestamp_micros": "1"}}
        ],
        "device": {"category": "desktop", "language": "en-us"},
        "platform": "WEB",
        **changes,
    }


OURS = {
    "event": "feature_used",
    "time": "2020-09-13T12:26:40Z",
    "event_id": "007",
    "user_id": "042",
    "email": "ada@acme.com",
    "account_id": "9",
    "feature_name": "board, kanban",
    "engagement_depth": "3",
}


CRM = """
sender: old_crm
verified_email: true
message:
  call: "'row'"
  event: What
  time: When
  aliases: {email: Mail, crm: Contact}
  account: Company
file: {time_format: "%d.%m.%Y %H:%M", time_zone: Europe/Berlin, delimiter: ";"}
mappings:
  - {call: row, event: Won, as: deal_closed_won, properties: {amount: Amount, currency: "'EUR'"}}
"""


CRM_WORDS = {name: part for name, part in yaml.safe_load(CRM).items() if name != "file"}
