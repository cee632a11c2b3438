-- One row for each device on which an app of the past is younger than one of the future.
with bounds as (
  select
    app.device,
    max(case when place.time_split = 'past' then app.highest_date end) as youngest_past,
    min(case when place.time_split = 'future' then app.highest_date end) as oldest_future
  from {{ ref('fct_training_dataset') }} as app
  inner join {{ ref('split_index') }} as place
    on app.sha256 = place.sha256 and app.device = place.device
  group by app.device
)

select * from bounds where youngest_past > oldest_future
