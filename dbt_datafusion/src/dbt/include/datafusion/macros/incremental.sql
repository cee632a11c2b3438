{#-
  An increment is one statement and one Iceberg snapshot. The model's query stands in that statement itself, in the place
  where other adapters have a temporary table, and so do changes of the columns: a model that fails leaves all as it was.
-#}
{% materialization incremental, adapter='datafusion' %}
  {%- set existing_relation = load_cached_relation(this) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set on_schema_change = incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore') -%}
  {%- set strategy = config.get('incremental_strategy') or 'default' -%}
  {%- set strategy_macro = adapter.get_incremental_strategy_macro(context, strategy) -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {% if existing_relation is none or existing_relation.is_view or should_full_refresh() %}
    {% set build_sql = get_create_table_as_sql(False, target_relation, sql) %}
  {% else %}
    {% if config.get('contract').enforced %}
      {{ get_assert_columns_equivalent(sql) }}
    {% endif %}
    {% set change = datafusion__column_change(target_relation, sql, on_schema_change) %}
    {% set build_sql = strategy_macro({
      'target_relation': target_relation,
      'temp_relation': '(\n' ~ sql ~ '\n)',
      'unique_key': config.get('unique_key'),
      'dest_columns': change.columns,
      'incremental_predicates': config.get('predicates') or config.get('incremental_predicates'),
      'evolution': change.evolution,
    }) %}
  {% endif %}
  {% call statement('main') -%}
    {{ build_sql }}
  {%- endcall %}
  {% do apply_grants(target_relation, config.get('grants')) %}
  {% do persist_docs(target_relation, model) %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- The columns an increment fills, and what its statement says of the table's columns. Tables may have hundreds. -#}
{% macro datafusion__column_change(target, sql, on_schema_change) %}
  {%- set new = adapter.get_column_schema_from_query(sql) -%}
  {%- set have, wanted = {}, {} -%}
  {%- for column in adapter.get_columns_in_relation(target) -%}
    {%- do have.update({column.name: column.data_type}) -%}
  {%- endfor -%}
  {%- set added, kept, retyped = [], [], [] -%}
  {%- for column in new -%}
    {%- do wanted.update({column.name: column}) -%}
    {%- if column.name not in have -%}
      {%- do added.append(column.name) -%}
    {%- else -%}
      {%- do kept.append(column) -%}
      {%- if column.data_type != have[column.name] -%}
        {%- do retyped.append(column.name) -%}
      {%- endif -%}
    {%- endif -%}
  {%- endfor -%}
  {%- set removed = have.keys() | reject('in', wanted) | list -%}
  {%- if on_schema_change == 'fail' and (added or removed or retyped) -%}
    {% do exceptions.raise_compiler_error(
      'The source and target schemas on this incremental model are out of sync: the columns of ' ~ target
      ~ ' changed (added: ' ~ added | join(', ') ~ '; removed: ' ~ removed | join(', ') ~ '; of another type: '
      ~ retyped | join(', ') ~ '); run it with --full-refresh or set on_schema_change') %}
  {%- endif -%}
  {%- if on_schema_change == 'sync_all_columns' and (added or removed or retyped) -%}
    {{ return({'columns': new, 'evolution': ' with schema replacement'}) }}
  {%- elif on_schema_change == 'append_new_columns' and added -%}
    {{ return({'columns': new, 'evolution': ' with schema evolution'}) }}
  {%- endif -%}
  {{ return({'columns': kept, 'evolution': ''}) }}
{% endmacro %}


{% macro datafusion__get_incremental_default_sql(arg_dict) %}
  {%- if arg_dict['unique_key'] -%}
    {{ return(get_incremental_delete_insert_sql(arg_dict)) }}
  {%- endif -%}
  {{ return(get_incremental_append_sql(arg_dict)) }}
{% endmacro %}


{% macro datafusion__get_incremental_append_sql(arg_dict) %}
  {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
  insert{{ arg_dict['evolution'] }} into {{ arg_dict['target_relation'] }} ({{ columns }})
  select {{ columns }} from {{ arg_dict['temp_relation'] }} as dbt_internal_source
{% endmacro %}


{% macro datafusion__get_incremental_delete_insert_sql(arg_dict) %}
  {%- set unique_key = arg_dict['unique_key'] -%}
  {%- if not unique_key -%}
    {{ return(get_incremental_append_sql(arg_dict)) }}
  {%- endif -%}
  {%- set keys = [unique_key] if unique_key is string else unique_key -%}
  {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
  {%- set predicates = arg_dict['incremental_predicates'] or [] -%}
  insert{{ arg_dict['evolution'] }} into {{ arg_dict['target_relation'] }} ({{ columns }})
  replace using ({{ keys | join(', ') }})
  {%- if predicates %} where (({{ predicates | join(') and (') }})) {%- endif %}
  select {{ columns }} from {{ arg_dict['temp_relation'] }} as dbt_internal_source
{% endmacro %}


{#- The partitions that new rows fall in are replaced whole; of an unpartitioned table, all rows are. -#}
{% macro datafusion__get_incremental_insert_overwrite_sql(arg_dict) %}
  {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
  insert{{ arg_dict['evolution'] }} overwrite {{ arg_dict['target_relation'] }} ({{ columns }})
  select {{ columns }} from {{ arg_dict['temp_relation'] }} as dbt_internal_source
{% endmacro %}


{#- The rows of a batch's span of time are replaced, whatever became of them. -#}
{% macro datafusion__get_incremental_microbatch_sql(arg_dict) %}
  {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
  {%- set event_time = 'DBT_INTERNAL_DEST.' ~ config.get('event_time') -%}
  {%- set predicates = [] + (arg_dict['incremental_predicates'] or []) -%}
  {%- if model.batch and model.batch.event_time_start -%}
    {%- do predicates.append(event_time ~ " >= '" ~ model.batch.event_time_start ~ "'") -%}
  {%- endif -%}
  {%- if model.batch and model.batch.event_time_end -%}
    {%- do predicates.append(event_time ~ " < '" ~ model.batch.event_time_end ~ "'") -%}
  {%- endif -%}
  insert{{ arg_dict['evolution'] }} into {{ arg_dict['target_relation'] }} ({{ columns }})
  replace where (({{ predicates | join(') and (') }}))
  select {{ columns }} from {{ arg_dict['temp_relation'] }} as dbt_internal_source
{% endmacro %}


{% macro datafusion__get_incremental_merge_sql(arg_dict) %}
  {%- set unique_key = arg_dict['unique_key'] -%}
  {%- set keys = [unique_key] if unique_key is string and unique_key else (unique_key or []) -%}
  {%- set dest_columns = arg_dict['dest_columns'] -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- set update_columns = get_merge_update_columns(
    config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
  {%- set predicates = [] + (arg_dict['incremental_predicates'] or []) -%}
  {%- for key in keys -%}
    {%- do predicates.append(get_merge_unique_key_match('DBT_INTERNAL_SOURCE.' ~ key, 'DBT_INTERNAL_DEST.' ~ key)) -%}
  {%- endfor -%}
  merge{{ arg_dict['evolution'] }} into {{ arg_dict['target_relation'] }} as DBT_INTERNAL_DEST
  using {{ arg_dict['temp_relation'] }} as DBT_INTERNAL_SOURCE
  on {{ '(' ~ predicates | join(') and (') ~ ')' if keys else 'false' }}
  {% if keys and update_columns -%}
  when matched then update set
    {% for name in update_columns -%}
    {{ name }} = DBT_INTERNAL_SOURCE.{{ name }}{{ ', ' if not loop.last }}
    {%- endfor %}
  {%- endif %}
  when not matched then insert ({{ columns }}) values ({{ columns }})
{% endmacro %}
