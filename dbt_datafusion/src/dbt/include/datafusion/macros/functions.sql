{#- Functions whose name or form differs from dbt's defaults. -#}

{% macro datafusion__current_timestamp() -%}
  now()
{%- endmacro %}


{% macro datafusion__type_string() -%}
  varchar
{%- endmacro %}


{% macro datafusion__type_float() -%}
  double
{%- endmacro %}


{% macro datafusion__hash(field) -%}
  md5(cast({{ field }} as varchar))
{%- endmacro %}


{% macro datafusion__safe_cast(field, type) -%}
  try_cast({{ field }} as {{ type }})
{%- endmacro %}


{% macro datafusion__any_value(expression) -%}
  first_value({{ expression }})
{%- endmacro %}


{% macro datafusion__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
  {%- set ordered = measure ~ (' ' ~ order_by_clause if order_by_clause else '') -%}
  {%- if limit_num -%}
    array_to_string(array_slice(array_agg({{ ordered }}), 1, {{ limit_num }}), {{ delimiter_text }})
  {%- else -%}
    string_agg({{ measure }}, {{ delimiter_text }}{{ ' ' ~ order_by_clause if order_by_clause }})
  {%- endif -%}
{%- endmacro %}


{% macro datafusion__date(year, month, day) -%}
  make_date({{ year }}, {{ month }}, {{ day }})
{%- endmacro %}


{#- An interval times a number is none in DataFusion, so the interval is read from a text. -#}
{% macro datafusion__dateadd(datepart, interval, from_date_or_timestamp) -%}
  {%- set part = datepart | lower -%}
  {%- if part == 'quarter' -%}
    {%- set part, interval = 'month', '3 * (' ~ interval ~ ')' -%}
  {%- endif -%}
  {{ from_date_or_timestamp }} + cast(cast(({{ interval }}) as varchar) || ' {{ part }}' as interval)
{%- endmacro %}


{#- How many boundaries of a part lie between two points in time, as Snowflake and Redshift count them. -#}
{% macro datafusion__datediff(first_date, second_date, datepart) -%}
  {%- set part = datepart | lower -%}
  {%- set first = 'cast(' ~ first_date ~ ' as timestamp(6))' -%}
  {%- set second = 'cast(' ~ second_date ~ ' as timestamp(6))' -%}
  {%- set months = {'year': 12, 'quarter': 3, 'month': 1} -%}
  {%- set microseconds = {'hour': 3600000000, 'minute': 60000000, 'second': 1000000, 'millisecond': 1000, 'microsecond': 1} -%}
  {%- if part in months -%}
    {%- set first, second = "date_trunc('" ~ part ~ "', " ~ first ~ ')', "date_trunc('" ~ part ~ "', " ~ second ~ ')' -%}
    cast(((date_part('year', {{ second }}) - date_part('year', {{ first }})) * 12
      + date_part('month', {{ second }}) - date_part('month', {{ first }})) / {{ months[part] }} as bigint)
  {%- elif part in ('week', 'day') -%}
    cast(cast(date_trunc('{{ part }}', {{ second }}) as date) - cast(date_trunc('{{ part }}', {{ first }}) as date) as bigint)
      {{- ' / 7' if part == 'week' }}
  {%- elif part in microseconds -%}
    (cast(date_trunc('{{ part }}', {{ second }}) as bigint) - cast(date_trunc('{{ part }}', {{ first }}) as bigint))
      / {{ microseconds[part] }}
  {%- else -%}
    {% do exceptions.raise_compiler_error("datediff of '" ~ datepart ~ "' is not supported by the datafusion adapter") %}
  {%- endif -%}
{%- endmacro %}


{% macro datafusion__array_construct(inputs, data_type) -%}
  {%- if inputs -%}
    make_array({{ inputs | join(', ') }})
  {%- else -%}
    array_resize(make_array(cast(null as {{ data_type }})), 0)
  {%- endif -%}
{%- endmacro %}


{% macro datafusion__cast_array_to_string(array) -%}
  '[' || array_to_string({{ array }}, ',') || ']'
{%- endmacro %}
