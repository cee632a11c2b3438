{#-
  A table model is one statement and one Iceberg snapshot: no intermediate table, no renaming, nothing to clean up. A model
  that fails leaves the table as it was.
-#}
{% materialization table, adapter='datafusion' %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {% call statement('main') -%}
    {{ get_create_table_as_sql(False, target_relation, sql) }}
  {%- endcall %}
  {% do apply_grants(target_relation, config.get('grants')) %}
  {% do persist_docs(target_relation, model) %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{% materialization view, adapter='datafusion' %}
  {%- set target_relation = this.incorporate(type='view') -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {% call statement('main') -%}
    {{ get_create_view_as_sql(target_relation, sql) }}
  {%- endcall %}
  {% do apply_grants(target_relation, config.get('grants')) %}
  {% do persist_docs(target_relation, model) %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#-
  A clone is a copy: it shares no file with the table it was made of, so either may be dropped. What is a view there is a
  view here.
-#}
{% macro datafusion__can_clone_table() -%}
  {{ return(True) }}
{%- endmacro %}


{% macro datafusion__create_or_replace_clone(this_relation, defer_relation) -%}
  create or replace table {{ this_relation.render() }}{{ datafusion__layout() }} as
  select * from {{ defer_relation.render() }}
{%- endmacro %}


{#- A unit test needs the columns of the model's query, which planning tells: no table is made for it. -#}
{% materialization unit, adapter='datafusion' %}
  {%- set expected_rows = config.get('expected_rows') -%}
  {%- set expected_sql = config.get('expected_sql') -%}
  {%- set types = {} -%}
  {%- set quoted = {} -%}
  {%- for column in adapter.get_column_schema_from_query(sql) -%}
    {%- do types.update({column.name | lower: column.data_type}) -%}
    {%- do quoted.update({column.name | lower: column.quoted}) -%}
  {%- endfor -%}
  {%- set tested = expected_rows[0].keys() if expected_rows | length > 0 else types.keys() -%}
  {%- set columns = [] -%}
  {%- for name in tested -%}
    {%- do columns.append(quoted[name | lower]) -%}
  {%- endfor -%}
  {%- if not expected_sql -%}
    {%- set expected_sql = get_expected_sql(expected_rows, types, quoted) -%}
  {%- endif -%}
  {% call statement('main', fetch_result=True) -%}
    {{ get_unit_test_sql(sql, expected_sql, columns) }}
  {%- endcall %}
  {{ return({'relations': []}) }}
{% endmaterialization %}
