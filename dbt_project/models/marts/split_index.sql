{{ config(sorted_by=['device', 'time_rank']) }}
with apps as (
  select
    sha256,
    device,
    -- Apps without a date come last: what cannot be shown to be old is not trained on as the past.
    row_number() over (
      partition by device
      order by highest_date asc nulls last, sha256 asc nulls last
    ) - 1 as time_rank,
    count(*) over (partition by device) as apps_on_device
  from {{ ref('stg_kronodroid__combined') }}
)

select
  sha256,
  device,
  {{ split_of('sha256') }} as split,
  cast('{{ var("split_version") }}' as {{ dbt.type_string() }}) as split_version,
  cast(time_rank as bigint) as time_rank,
  -- The oldest 70 % of a device, in whole numbers, so that every engine draws the line at the same app.
  case when time_rank * 10 < apps_on_device * 7 then 'past' else 'future' end as time_split
from apps
