{#-
  What DataFusion, Spark and DuckDB write differently, or might one day. Every macro is dispatched; the default serves all
  three unless one of them has its own.
-#}

{#- Text without the white space and line breaks around it; NULL if nothing is left. -#}
{% macro clean_text(expression) -%}
  {{ return(adapter.dispatch('clean_text')(expression)) }}
{%- endmacro %}

{% macro default__clean_text(expression) -%}
  nullif(trim(replace(replace(cast({{ expression }} as {{ dbt.type_string() }}), chr(13), ''), chr(10), '')), '')
{%- endmacro %}


{#- A quotient as a double; NULL for a zero divisor. -#}
{% macro ratio(dividend, divisor) -%}
  {{ return(adapter.dispatch('ratio')(dividend, divisor)) }}
{%- endmacro %}

{% macro default__ratio(dividend, divisor) -%}
  cast({{ dividend }} as double) / nullif(cast({{ divisor }} as double), 0e0)
{%- endmacro %}


{#- Hexadecimal md5 of a text, in lower case. -#}
{% macro md5_hex(expression) -%}
  {{ return(adapter.dispatch('md5_hex')(expression)) }}
{%- endmacro %}

{% macro default__md5_hex(expression) -%}
  md5({{ expression }})
{%- endmacro %}


{#-
  The order of a table's files, for an engine that takes it only of a table that is there: a hook of every model. DataFusion
  is told as it makes the table, DuckDB has no such thing.
-#}
{% macro write_order() -%}
  {{ return(adapter.dispatch('write_order')()) }}
{%- endmacro %}

{% macro default__write_order() -%}
{%- endmacro %}

{% macro spark__write_order() -%}
  {%- set sorted_by = config.get('sorted_by') -%}
  {%- if sorted_by -%}
    alter table {{ this }} write ordered by {{ sorted_by if sorted_by is string else sorted_by | join(', ') }}
  {%- endif -%}
{%- endmacro %}
