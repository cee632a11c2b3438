{#- A model's schema is its Iceberg namespace, exactly: no target's name before it. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
