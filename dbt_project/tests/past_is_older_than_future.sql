-- One row for each device on which an app of the past is younger than one of the future.
with bounds as (
  select
    device,
    max(case when time_split = 'past' then highest_date end) as youngest_past,
    min(case when time_split = 'future' then highest_date end) as oldest_future
  from {{ ref('fct_training_dataset') }}
  group by device
)

select * from bounds where youngest_past > oldest_future
