create schema if not exists {{ database }}.raw;

create file format if not exists {{ database }}.raw.ndjson_gz
  type = json compression = gzip strip_outer_array = false;

-- One raw table for each topic: typed columns of what is looked up, the whole message beside them.
-- Overlapping files load a record twice: whoever reads takes each record or event once.
-- Text is of any length: a pipe skips the whole file for one value that its column does not take.

create table if not exists {{ database }}.raw.webhooks_raw (
  raw_id varchar,
  source varchar,
  received_at timestamp_ntz(3),
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));

create table if not exists {{ database }}.raw.events_received (
  event_id varchar,
  name varchar,
  source varchar,
  fragment varchar,
  occurred_at timestamp_ntz(3),
  received_at timestamp_ntz(3),
  schema_version number(4, 0),
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));

create table if not exists {{ database }}.raw.events_resolved (
  event_id varchar,
  name varchar,
  fragment varchar,
  person varchar,
  subject varchar,
  occurred_at timestamp_ntz(3),
  received_at timestamp_ntz(3),
  repeated boolean,
  schema_version number(4, 0),
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));

create table if not exists {{ database }}.raw.identity_changed (
  change_id varchar,
  kind varchar,
  subject varchar,
  winner varchar,
  loser varchar,
  changed_at timestamp_ntz(3),
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));

create table if not exists {{ database }}.raw.journeys_scored (
  subject varchar,
  version number(18, 0),
  score number(3, 0),
  tier varchar,
  stage varchar,
  lifecycle varchar,
  as_of timestamp_ntz(3),
  model_version varchar,
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));

create table if not exists {{ database }}.raw.decisions_made (
  subject varchar,
  playbook varchar,
  enrolment varchar,
  step varchar,
  action varchar,
  outcome varchar,
  reason varchar,
  decided_at timestamp_ntz(3),
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));

create table if not exists {{ database }}.raw.events_quarantined (
  quarantine_id varchar,
  source varchar,
  component varchar,
  reason varchar,
  event_name varchar,
  quarantined_at timestamp_ntz(3),
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));
