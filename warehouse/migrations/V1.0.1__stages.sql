-- Stages point into the archive bucket, one prefix a topic.

create stage if not exists {{ database }}.raw.webhooks_raw_stage
  url = '{{ archive_url }}/webhooks.raw/v1/'
  storage_integration = {{ storage_integration }};

create stage if not exists {{ database }}.raw.events_received_stage
  url = '{{ archive_url }}/events.received/v1/'
  storage_integration = {{ storage_integration }};

create stage if not exists {{ database }}.raw.events_resolved_stage
  url = '{{ archive_url }}/events.resolved/v1/'
  storage_integration = {{ storage_integration }};

create stage if not exists {{ database }}.raw.identity_changed_stage
  url = '{{ archive_url }}/identity.changed/v1/'
  storage_integration = {{ storage_integration }};

create stage if not exists {{ database }}.raw.journeys_scored_stage
  url = '{{ archive_url }}/journeys.scored/v1/'
  storage_integration = {{ storage_integration }};

create stage if not exists {{ database }}.raw.decisions_made_stage
  url = '{{ archive_url }}/decisions.made/v1/'
  storage_integration = {{ storage_integration }};

create stage if not exists {{ database }}.raw.events_quarantined_stage
  url = '{{ archive_url }}/events.quarantined/v1/'
  storage_integration = {{ storage_integration }};
