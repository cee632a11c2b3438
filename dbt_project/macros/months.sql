{#-
  The months of the data set, oldest first, as texts (`2012-01-01`). With `asked`, only those that begin between
  `--event-time-start` and `--event-time-end`, if dbt was given these: flags cost no parse, as `--vars` would.
-#}
{% macro months(asked=false) %}
  {%- set first, end = var('first_month') | string, '9999' -%}
  {%- if asked and invocation_args_dict.get('event_time_start') -%}
    {%- set first = (invocation_args_dict['event_time_start'] | string)[:7] ~ '-01' -%}
    {%- set end = (invocation_args_dict['event_time_end'] | string)[:10] -%}
  {%- endif -%}
  {%- set found = [] -%}
  {%- for year in range((var('first_month') | string)[:4] | int, (var('last_month') | string)[:4] | int + 1) -%}
    {%- for number in range(1, 13) -%}
      {%- set month = '%d-%02d-01' | format(year, number) -%}
      {%- if first <= month < end and month <= var('last_month') | string -%}
        {%- do found.append(month) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endfor -%}
  {{ return(found) }}
{% endmacro %}


{#- The rows of a table with one column, `month`. -#}
{% macro calendar(months) -%}
  (select cast(named.first_day as date) as month from (values
    {%- for month in months %} ('{{ month }}'){{ ',' if not loop.last }}{% endfor %}) as named(first_day))
{%- endmacro %}


{#- The first day of a date's month. -#}
{% macro month_of(expression) -%}
  cast(date_trunc('month', {{ expression }}) as date)
{%- endmacro %}


{#- The strategy by which an increment replaces the partitions it has rows of, and leaves the others. -#}
{% macro replaced_by_partition() -%}
  {{ return('delete+insert' if target.type == 'duckdb' else 'insert_overwrite') }}
{%- endmacro %}
