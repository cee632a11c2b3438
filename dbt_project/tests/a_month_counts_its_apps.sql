-- One row for each month that was built, device and label, that counts other apps than there are. Looks at the months one
-- by one: those that a build was not asked for may be older than the apps.
{% set chosen = months(asked=true) %}
with there as (
  select {{ month_of('highest_date') }} as month, device, malware, count(*) as apps, sum(nr_permissions) as permissions
  from {{ ref('fct_malware_samples') }}
  where {{ month_of('highest_date') }} between cast('{{ chosen | first }}' as date) and cast('{{ chosen | last }}' as date)
  group by {{ month_of('highest_date') }}, device, malware
),

counted as (
  select month, device, malware, apps, permissions
  from {{ ref('fct_apps_by_month') }}
  where month between cast('{{ chosen | first }}' as date) and cast('{{ chosen | last }}' as date) and apps > 0
)

select there.month, there.apps, counted.apps as counted
from there
full outer join counted
  on there.month = counted.month and there.device = counted.device and there.malware = counted.malware
where
  coalesce(there.apps, 0) <> coalesce(counted.apps, 0)
  or coalesce(there.permissions, 0) <> coalesce(counted.permissions, 0)
