-- The reference funnel, by current subject: each step is the earliest event at or after the step
-- before, inside a window of elapsed time from the start. The start happens once for a subject.
-- Only trials whose whole window is over count; the others are open, and no drop-offs.
-- Binds: window (seconds), as_of (timestamp).
with events as (
  select
    resolved.event_id,
    resolved.name,
    resolved.occurred_at,
    coalesce(current_subjects.current_subject, resolved.subject) as subject
  from raw.events_resolved as resolved
  left join raw.current_subjects on resolved.subject = current_subjects.subject
  where
    resolved.name in (
      'trial_signup',
      'integration_connected',
      'project_created',
      'team_member_invited',
      'automation_created',
      'trial_to_paid_conversion'
    )
  qualify
    row_number() over (
      partition by resolved.event_id order by resolved.topic_partition, resolved.topic_offset
    ) = 1
),

started as (
  select
    subject,
    min(occurred_at) as at_1
  from events
  where name = 'trial_signup'
  group by subject
),

spans as (
  select
    subject,
    at_1,
    dateadd('second', %(window)s, at_1) as window_end -- noqa: PRS
  from started
),

connected as (
  select
    s.subject,
    s.at_1,
    s.window_end,
    min(e.occurred_at) as at_2
  from spans as s
  left join events as e
    on
      s.subject = e.subject
      and e.name = 'integration_connected'
      and s.at_1 <= e.occurred_at
      and s.window_end >= e.occurred_at
  group by s.subject, s.at_1, s.window_end
),

created as (
  select
    s.subject,
    s.at_1,
    s.window_end,
    s.at_2,
    min(e.occurred_at) as at_3
  from connected as s
  left join events as e
    on
      s.subject = e.subject
      and e.name = 'project_created'
      and s.at_2 <= e.occurred_at
      and s.window_end >= e.occurred_at
  group by s.subject, s.at_1, s.window_end, s.at_2
),

invited as (
  select
    s.subject,
    s.at_1,
    s.window_end,
    s.at_2,
    s.at_3,
    min(e.occurred_at) as at_4
  from created as s
  left join events as e
    on
      s.subject = e.subject
      and e.name = 'team_member_invited'
      and s.at_3 <= e.occurred_at
      and s.window_end >= e.occurred_at
  group by s.subject, s.at_1, s.window_end, s.at_2, s.at_3
),

automated as (
  select
    s.subject,
    s.at_1,
    s.window_end,
    s.at_2,
    s.at_3,
    s.at_4,
    min(e.occurred_at) as at_5
  from invited as s
  left join events as e
    on
      s.subject = e.subject
      and e.name = 'automation_created'
      and s.at_4 <= e.occurred_at
      and s.window_end >= e.occurred_at
  group by s.subject, s.at_1, s.window_end, s.at_2, s.at_3, s.at_4
),

converted as (
  select
    s.subject,
    s.at_1,
    s.window_end,
    s.at_2,
    s.at_3,
    s.at_4,
    s.at_5,
    min(e.occurred_at) as at_6
  from automated as s
  left join events as e
    on
      s.subject = e.subject
      and e.name = 'trial_to_paid_conversion'
      and s.at_5 <= e.occurred_at
      and s.window_end >= e.occurred_at
  group by s.subject, s.at_1, s.window_end, s.at_2, s.at_3, s.at_4, s.at_5
),

steps as (
  select -- noqa: LT09
    window_end <= %(as_of)s::timestamp_ntz as closed, -- noqa: PRS, LT02
    at_1,
    at_2,
    at_3,
    at_4,
    at_5,
    at_6
  from converted
)

select
  closed,
  count(at_1) as trial_signup,
  count(at_2) as integration_connected,
  count(at_3) as project_created,
  count(at_4) as team_member_invited,
  count(at_5) as automation_created,
  count(at_6) as trial_to_paid_conversion
from steps
group by closed
order by closed desc;
