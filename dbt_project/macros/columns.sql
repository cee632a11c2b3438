{#- Names of a relation's feature columns, in its order. They are looked up when a model runs, so that 467 names are
    written down in one place only, where the data land. -#}
{% macro feature_columns(relation) %}
  {%- set names = [] -%}
  {%- if execute -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
      {%- for prefix in var('feature_prefixes') if column.name.startswith(prefix) -%}
        {%- do names.append(column.name) -%}
      {%- endfor -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(names) }}
{% endmacro %}


{#- `, "sys_read", "sys_write"`: the feature columns as the tail of a select list, each of them prefixed by `alias`. -#}
{% macro and_feature_columns(relation, alias=none) -%}
  {%- for name in feature_columns(relation) -%}
    , {{ alias ~ '.' if alias }}{{ adapter.quote(name) }}
  {% endfor -%}
{%- endmacro %}


{#- `union all` by name, of all loads or some. A column only some relations have is NULL in the others. -#}
{% macro union_by_name(relations, loads=none) %}
  {%- set types = {} -%}
  {%- set known = [] -%}
  {%- for relation in relations -%}
    {%- set names = [] -%}
    {%- for column in adapter.get_columns_in_relation(relation) if execute -%}
      {%- do names.append(column.name) -%}
      {%- if column.name not in types -%}
        {%- do types.update({column.name: column.data_type}) -%}
      {%- endif -%}
    {%- endfor -%}
    {%- do known.append(names) -%}
  {%- endfor -%}
  {%- for relation in relations %}
    {%- set names = known[loop.index0] %}
    select
    {%- for name, type in types.items() %}
      {% if name in names -%}
        {{ adapter.quote(name) }}
      {%- else -%}
        cast(null as {{ type }}) as {{ adapter.quote(name) }}
      {%- endif -%}
      {{ ',' if not loop.last }}
    {%- else %}
      *
    {%- endfor %}
    from {{ relation }}
    where {{ is_of(loads) }}
    {{ 'union all' if not loop.last }}
  {%- endfor -%}
{% endmacro %}


{#- Whole numbers of several columns, added, NULL as 0; 0 if there are no columns. -#}
{% macro sum_of(names) -%}
  {%- for name in names -%}
    {{ ' + ' if not loop.first }}cast(coalesce({{ adapter.quote(name) }}, 0) as bigint)
  {%- else -%}
    cast(0 as bigint)
  {%- endfor -%}
{%- endmacro %}
