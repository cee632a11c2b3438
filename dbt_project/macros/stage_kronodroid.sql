{#- One row an app as a device saw it: names, label and dates cleaned, features as they landed. The latest load counts. -#}
{% macro stage_kronodroid(raw, device) %}
{%- set loads, several = new_loads([raw]), has_several_loads(raw) %}
{%- if several %}
with repeated as (
  select sha256 as repeated_sha256, max(load_id) as latest_load_id
  from {{ raw }}
  group by sha256
  having count(*) > 1
)
{% endif %}
select
  cast(sha256 as {{ dbt.type_string() }}) as sha256,
  {{ clean_text('package') }} as package,
  cast('{{ device }}' as {{ dbt.type_string() }}) as device,
  cast(malware as int) as malware,
  {{ clean_text('mal_family') }} as mal_family,
  {{ clean_text('categories') }} as categories,
  cast(highest_date as date) as highest_date,
  cast(year as int) as year,
  cast(scanners as int) as scanners,
  cast(detection_ratio as double) as detection_ratio,
  cast(times_submitted as int) as times_submitted,
  cast(nr_contacted_ips as int) as nr_contacted_ips
  {{ and_feature_columns(raw) }},
  cast(load_id as {{ dbt.type_string() }}) as load_id
{%- if several %}
-- The few repeated apps come first: DataFusion holds the left side of a join in memory.
from repeated
right join {{ raw }} on repeated_sha256 = sha256
where (repeated_sha256 is null or load_id = latest_load_id) and {{ is_of(loads) }}
{%- else %}
from {{ raw }}
where {{ is_of(loads) }}
{%- endif %}
{% endmacro %}
