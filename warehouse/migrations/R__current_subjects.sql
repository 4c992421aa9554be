-- The subject that each merged subject belongs to by now: tombstones followed to their end.
create or replace view {{ database }}.raw.current_subjects as
with recursive merges as (
  select distinct
    loser,
    winner
  from {{ database }}.raw.identity_changed
  where kind = 'subject_merged'
),

chain as (
  select
    loser as subject,
    winner as current_subject,
    1 as depth
  from merges
  union all
  select
    chain.subject,
    merges.winner as current_subject,
    chain.depth + 1 as depth
  from chain
  inner join merges on chain.current_subject = merges.loser
  where chain.depth < 1000
)

select
  subject,
  current_subject
from chain
qualify row_number() over (partition by subject order by depth desc) = 1;
