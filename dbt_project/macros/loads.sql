{#-
  Rows come in loads, and each says which by its `load_id`. A model that is built load by load takes those it does not hold
  yet. If it holds one that is gone, because other rows replaced it, it is built anew.
-#}

{#- The loads to take: those of `relation` that this model lacks. None (not an empty list): it is built anew, take all. -#}
{% macro new_loads(relations) %}
  {%- if not execute or not is_incremental() -%}
    {{ return(none) }}
  {%- endif -%}
  {{ return(loads_only_in(relations, [this])) }}
{% endmacro %}


{#- Whether a row is of the loads of `new_loads`. -#}
{% macro is_of(loads) -%}
  {%- if loads is none -%}
    true
  {%- else -%}
    load_id in ({% for load in loads %}'{{ load }}'{{ ', ' if not loop.last }}{% else %}''{% endfor %})
  {%- endif -%}
{%- endmacro %}


{#- Load ids that some of the left relations have and none of the right ones. -#}
{% macro loads_only_in(left, right) %}
  {%- set question -%}
    select load_id from ({{ _loads(left) }}) as have
    except
    select load_id from ({{ _loads(right) }}) as known
  {%- endset -%}
  {{ return(run_query(question).columns[0].values() | sort | list) }}
{% endmacro %}

{% macro _loads(relations) -%}
  {%- for relation in relations %}
    select distinct load_id from {{ relation }} where load_id is not null
    {{ 'union all' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}


{#- Whether an app may have come more than once. -#}
{% macro has_several_loads(relation) %}
  {%- set question = 'select count(distinct load_id) as loads from ' ~ relation -%}
  {{ return(not execute or run_query(question).columns[0].values()[0] > 1) }}
{% endmacro %}


{#-
  dbt asks this of every incremental model. One that is built by load (`meta: {by_load: true}`) is built anew, too, if it
  holds a load that is gone, or rows that do not say their load.
-#}
{% macro should_full_refresh() %}
  {%- set asked = dbt.should_full_refresh() -%}
  {%- if asked or not execute or not config.get('meta', {}).get('by_load') or not load_cached_relation(this) -%}
    {{ return(asked) }}
  {%- endif -%}
  {%- set sources = [] -%}
  {%- for id in model.depends_on.nodes -%}
    {%- do sources.append(source(*id.split('.')[-2:]) if id.startswith('source.') else ref(id.split('.')[-1])) -%}
  {%- endfor -%}
  {{ return(not has_loads(this) or loads_only_in([this], sources) | length > 0) }}
{% endmacro %}

{% macro has_loads(relation) %}
  {{ return('load_id' in adapter.get_columns_in_relation(relation) | map(attribute='name')) }}
{% endmacro %}
