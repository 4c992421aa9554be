create schema if not exists {{ database }}.raw;

create file format if not exists {{ database }}.raw.ndjson_gz
  type = json compression = gzip strip_outer_array = false;

-- One raw table for each topic: typed columns of what is looked up, the whole message beside them.
-- Overlapping files load a record twice: whoever reads takes each record or event once.

create table if not exists {{ database }}.raw.webhooks_raw (
  raw_id varchar(64),
  source varchar(64),
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
  event_id varchar(64),
  name varchar(128),
  source varchar(64),
  fragment varchar(64),
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
  event_id varchar(64),
  name varchar(128),
  fragment varchar(64),
  person varchar(64),
  subject varchar(64),
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
  change_id varchar(64),
  kind varchar(32),
  subject varchar(64),
  winner varchar(256),
  loser varchar(256),
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
  subject varchar(64),
  version number(18, 0),
  score number(3, 0),
  tier varchar(16),
  stage varchar(32),
  lifecycle varchar(16),
  as_of timestamp_ntz(3),
  model_version varchar(64),
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));

create table if not exists {{ database }}.raw.decisions_made (
  subject varchar(64),
  playbook varchar(64),
  enrolment varchar(64),
  step varchar(64),
  action varchar(64),
  outcome varchar(32),
  reason varchar(64),
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
  quarantine_id varchar(128),
  source varchar(64),
  stage varchar(32),
  reason varchar(64),
  event_name varchar(256),
  quarantined_at timestamp_ntz(3),
  topic_partition number(6, 0) not null,
  topic_offset number(19, 0) not null,
  record_at timestamp_ntz(3) not null,
  payload variant not null,
  source_file varchar not null,
  source_row number(12, 0) not null,
  loaded_at timestamp_ntz(6) not null
) cluster by (to_date(loaded_at));
