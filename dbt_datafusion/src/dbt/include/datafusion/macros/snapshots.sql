{#-
  A snapshot is one MERGE and one Iceberg snapshot: the query that other adapters put into a staging table stands in that
  statement itself, and new columns come by it too.
-#}
{% materialization snapshot, adapter='datafusion' %}
  {%- set strategy_name = config.get('strategy') -%}
  {%- set target_table = model.get('alias', model.get('name')) -%}
  {%- set target_exists, target_relation = get_or_create_relation(
    database=model.database, schema=model.schema, identifier=target_table, type='table') -%}
  {%- if not target_relation.is_table -%}
    {% do exceptions.relation_wrong_type(target_relation, 'table') %}
  {%- endif -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {% set strategy = strategy_dispatch(strategy_name)(
    model, 'snapshotted_data', 'source_data', model['config'], target_exists) %}
  {% if not target_exists %}
    {% set source_sql = build_snapshot_table(strategy, model['compiled_code']) %}
    {% set final_sql = create_table_as(False, target_relation, source_sql) %}
  {% else %}
    {% set columns = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() %}
    {{ adapter.assert_valid_snapshot_target_given_strategy(target_relation, columns, strategy) }}
    {% set source_sql = snapshot_staging_table(strategy, sql, target_relation) %}
    {% set insert_columns = [] %}
    {% for column in adapter.get_column_schema_from_query(source_sql) %}
      {%- if column.name | lower != 'dbt_change_type' and not (column.name | lower).startswith('dbt_unique_key') -%}
        {%- do insert_columns.append(adapter.quote(column.name)) -%}
      {%- endif -%}
    {% endfor %}
    {% set final_sql = snapshot_merge_sql(target_relation, '(\n' ~ source_sql ~ '\n)', insert_columns) %}
  {% endif %}
  {{ check_time_data_types(source_sql) }}
  {% call statement('main') -%}
    {{ final_sql }}
  {%- endcall %}
  {% do apply_grants(target_relation, config.get('grants')) %}
  {% do persist_docs(target_relation, model) %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{% macro datafusion__snapshot_merge_sql(target, source, insert_cols) -%}
  {{ default__snapshot_merge_sql(target, source, insert_cols) | replace('merge into', 'merge with schema evolution into', 1) }}
{%- endmacro %}


{#- Without a zone, as most `updated_at` are; in UTC. -#}
{% macro datafusion__snapshot_get_time() -%}
  cast(now() as timestamp(6))
{%- endmacro %}


{% macro datafusion__snapshot_string_as_time(timestamp) -%}
  {{ return("cast('" ~ timestamp ~ "' as timestamp(6))") }}
{%- endmacro %}
