{{
  config(
    materialized='incremental',
    incremental_strategy=replaced_by_partition(),
    unique_key='month',
    partition_by='month',
    on_schema_change='append_new_columns',
  )
}}
{#-
  Its first build is whole, whatever months were asked for. A month without apps has rows too: so what is written for a
  month always replaces what was there, even if its last app is gone.
-#}
{%- set chosen = months(asked=is_incremental()) %}

with calendar as (
  select months.month, devices.device, labels.malware
  from {{ calendar(chosen) }} as months
  cross join (values ('real_device'), ('emulator')) as devices(device)
  cross join (values (0), (1)) as labels(malware)
),

counted as (
  select
    {{ month_of('highest_date') }} as month,
    device,
    malware,
    count(*) as apps,
    count(distinct package) as packages,
    count(distinct case when malware = 1 and mal_family <> 'unknown' then mal_family end) as families,
    sum(nr_permissions) as permissions,
    sum(nr_dangerous_permissions) as dangerous_permissions,
    sum(case when nr_dangerous_permissions > 0 then 1 else 0 end) as apps_asking_dangerous,
    sum(nr_syscalls) as syscalls,
    sum(case when nr_syscalls = 0 then 1 else 0 end) as silent_apps,
    sum(compressed_bytes) as compressed_bytes
  from {{ ref('fct_malware_samples') }}
  where {{ month_of('highest_date') }} between cast('{{ chosen | first }}' as date) and cast('{{ chosen | last }}' as date)
  group by {{ month_of('highest_date') }}, device, malware
)

select
  calendar.month,
  calendar.device,
  cast(calendar.malware as int) as malware,
  {%- for name in ['apps', 'packages', 'families', 'permissions', 'dangerous_permissions', 'apps_asking_dangerous',
    'syscalls', 'silent_apps', 'compressed_bytes'] %}
  cast(coalesce(counted.{{ name }}, 0) as bigint) as {{ name }},
  {%- endfor %}
  {{ ratio('counted.dangerous_permissions', 'counted.permissions') }} as dangerous_permission_share
from calendar
left join counted
  on calendar.month = counted.month and calendar.device = counted.device and calendar.malware = counted.malware
