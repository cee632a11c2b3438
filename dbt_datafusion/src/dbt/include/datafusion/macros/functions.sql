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
  {%- if limit_num -%}
    {% do exceptions.raise_compiler_error('listagg with limit_num is not supported by the datafusion adapter') %}
  {%- endif -%}
  string_agg({{ measure }}, {{ delimiter_text }}{{ ' ' ~ order_by_clause if order_by_clause }})
{%- endmacro %}
