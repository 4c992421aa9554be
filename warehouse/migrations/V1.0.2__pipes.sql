-- Snowpipe remembers the files it loaded by pipe: recreating a pipe would load them again, so pipes
-- are made once, in a versioned script, and never replaced.

create pipe if not exists {{ database }}.raw.webhooks_raw_pipe
auto_ingest = true
error_integration = {{ error_integration }}
aws_sns_topic = '{{ arrivals_topic }}'
as copy into {{ database }}.raw.webhooks_raw (
  raw_id, source, received_at, topic_partition, topic_offset, record_at, payload,
  source_file, source_row, loaded_at
)
from (
  select
    $1:payload.id::varchar,
    $1:payload.source::varchar,
    to_timestamp_ntz($1:payload.received_at::number, 3),
    $1:partition::number,
    $1:offset::number,
    to_timestamp_ntz($1:timestamp::number, 3),
    $1:payload,
    metadata$filename,
    metadata$file_row_number,
    metadata$start_scan_time
  from @{{ database }}.raw.webhooks_raw_stage
)
file_format = (format_name = '{{ database }}.raw.ndjson_gz')
on_error = skip_file;

create pipe if not exists {{ database }}.raw.events_received_pipe
auto_ingest = true
error_integration = {{ error_integration }}
aws_sns_topic = '{{ arrivals_topic }}'
as copy into {{ database }}.raw.events_received (
  event_id, name, source, fragment, occurred_at, received_at, schema_version,
  topic_partition, topic_offset, record_at, payload, source_file, source_row, loaded_at
)
from (
  select
    $1:payload.event_id::varchar,
    $1:payload.name::varchar,
    $1:payload.source::varchar,
    $1:payload.aliases[0].fragment::varchar,
    to_timestamp_ntz($1:payload.occurred_at::number, 3),
    to_timestamp_ntz($1:payload.received_at::number, 3),
    $1:payload.schema_version::number,
    $1:partition::number,
    $1:offset::number,
    to_timestamp_ntz($1:timestamp::number, 3),
    $1:payload,
    metadata$filename,
    metadata$file_row_number,
    metadata$start_scan_time
  from @{{ database }}.raw.events_received_stage
)
file_format = (format_name = '{{ database }}.raw.ndjson_gz')
on_error = skip_file;

create pipe if not exists {{ database }}.raw.events_resolved_pipe
auto_ingest = true
error_integration = {{ error_integration }}
aws_sns_topic = '{{ arrivals_topic }}'
as copy into {{ database }}.raw.events_resolved (
  event_id, name, fragment, person, subject, occurred_at, received_at, repeated,
  schema_version, topic_partition, topic_offset, record_at, payload, source_file,
  source_row, loaded_at
)
from (
  select
    $1:payload.event.event_id::varchar,
    $1:payload.event.name::varchar,
    $1:payload.event.aliases[0].fragment::varchar,
    $1:payload.person::varchar,
    $1:payload.subject::varchar,
    to_timestamp_ntz($1:payload.event.occurred_at::number, 3),
    to_timestamp_ntz($1:payload.event.received_at::number, 3),
    $1:payload.repeated::boolean,
    $1:payload.event.schema_version::number,
    $1:partition::number,
    $1:offset::number,
    to_timestamp_ntz($1:timestamp::number, 3),
    $1:payload,
    metadata$filename,
    metadata$file_row_number,
    metadata$start_scan_time
  from @{{ database }}.raw.events_resolved_stage
)
file_format = (format_name = '{{ database }}.raw.ndjson_gz')
on_error = skip_file;

create pipe if not exists {{ database }}.raw.identity_changed_pipe
auto_ingest = true
error_integration = {{ error_integration }}
aws_sns_topic = '{{ arrivals_topic }}'
as copy into {{ database }}.raw.identity_changed (
  change_id, kind, subject, winner, loser, changed_at, topic_partition, topic_offset,
  record_at, payload, source_file, source_row, loaded_at
)
from (
  select
    $1:payload.id::varchar,
    $1:payload.kind::varchar,
    $1:payload.subject::varchar,
    $1:payload.winner::varchar,
    $1:payload.loser::varchar,
    to_timestamp_ntz($1:payload.at::number, 3),
    $1:partition::number,
    $1:offset::number,
    to_timestamp_ntz($1:timestamp::number, 3),
    $1:payload,
    metadata$filename,
    metadata$file_row_number,
    metadata$start_scan_time
  from @{{ database }}.raw.identity_changed_stage
)
file_format = (format_name = '{{ database }}.raw.ndjson_gz')
on_error = skip_file;

create pipe if not exists {{ database }}.raw.journeys_scored_pipe
auto_ingest = true
error_integration = {{ error_integration }}
aws_sns_topic = '{{ arrivals_topic }}'
as copy into {{ database }}.raw.journeys_scored (
  subject, version, score, tier, stage, lifecycle, as_of, model_version, topic_partition,
  topic_offset, record_at, payload, source_file, source_row, loaded_at
)
from (
  select
    $1:payload.subject::varchar,
    $1:payload.version::number,
    $1:payload.current.score::number,
    $1:payload.current.tier::varchar,
    $1:payload.current.stage::varchar,
    $1:payload.current.lifecycle::varchar,
    to_timestamp_ntz($1:payload.current.as_of::number, 3),
    $1:payload.current.model_version::varchar,
    $1:partition::number,
    $1:offset::number,
    to_timestamp_ntz($1:timestamp::number, 3),
    $1:payload,
    metadata$filename,
    metadata$file_row_number,
    metadata$start_scan_time
  from @{{ database }}.raw.journeys_scored_stage
)
file_format = (format_name = '{{ database }}.raw.ndjson_gz')
on_error = skip_file;

create pipe if not exists {{ database }}.raw.decisions_made_pipe
auto_ingest = true
error_integration = {{ error_integration }}
aws_sns_topic = '{{ arrivals_topic }}'
as copy into {{ database }}.raw.decisions_made (
  subject, playbook, enrolment, step, action, outcome, reason, decided_at,
  topic_partition, topic_offset, record_at, payload, source_file, source_row, loaded_at
)
from (
  select
    $1:payload.subject::varchar,
    $1:payload.playbook::varchar,
    $1:payload.enrolment::varchar,
    $1:payload.step::varchar,
    $1:payload.action::varchar,
    $1:payload.outcome::varchar,
    $1:payload.reason::varchar,
    to_timestamp_ntz($1:payload.at::number, 3),
    $1:partition::number,
    $1:offset::number,
    to_timestamp_ntz($1:timestamp::number, 3),
    $1:payload,
    metadata$filename,
    metadata$file_row_number,
    metadata$start_scan_time
  from @{{ database }}.raw.decisions_made_stage
)
file_format = (format_name = '{{ database }}.raw.ndjson_gz')
on_error = skip_file;

create pipe if not exists {{ database }}.raw.events_quarantined_pipe
auto_ingest = true
error_integration = {{ error_integration }}
aws_sns_topic = '{{ arrivals_topic }}'
as copy into {{ database }}.raw.events_quarantined (
  quarantine_id, source, component, reason, event_name, quarantined_at, topic_partition,
  topic_offset, record_at, payload, source_file, source_row, loaded_at
)
from (
  select
    $1:payload.id::varchar,
    $1:payload.source::varchar,
    $1:payload.component::varchar,
    $1:payload.reason::varchar,
    $1:payload.event_name::varchar,
    to_timestamp_ntz($1:payload.at::number, 3),
    $1:partition::number,
    $1:offset::number,
    to_timestamp_ntz($1:timestamp::number, 3),
    $1:payload,
    metadata$filename,
    metadata$file_row_number,
    metadata$start_scan_time
  from @{{ database }}.raw.events_quarantined_stage
)
file_format = (format_name = '{{ database }}.raw.ndjson_gz')
on_error = skip_file;
