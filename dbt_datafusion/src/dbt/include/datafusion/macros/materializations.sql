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
  {% do persist_docs(target_relation, model) %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#-
  Without `unique_key` rows are added (one append snapshot). With it, the table is replaced by its rows whose keys are not
  among the new ones, followed by the new ones (one overwrite snapshot).
-#}
{% materialization incremental, adapter='datafusion' %}
  {%- set existing_relation = load_cached_relation(this) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set unique_key = config.get('unique_key') -%}
  {%- set strategy = config.get('incremental_strategy') or ('delete+insert' if unique_key else 'append') -%}
  {%- set on_schema_change = incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore') -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {% if existing_relation is none or existing_relation.is_view or should_full_refresh() %}
    {% set build_sql = get_create_table_as_sql(False, target_relation, sql) %}
  {% else %}
    {% set build_sql = datafusion__incremental_sql(target_relation, sql, strategy, unique_key, on_schema_change) %}
  {% endif %}
  {% call statement('main') -%}
    {{ build_sql }}
  {%- endcall %}
  {% do persist_docs(target_relation, model) %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{% macro datafusion__incremental_sql(target, sql, strategy, unique_key, on_schema_change) %}
  {%- set have_columns = adapter.get_columns_in_relation(target) -%}
  {%- set new_columns = adapter.get_column_schema_from_query(sql) -%}
  {%- set have = have_columns | map(attribute='name') | list -%}
  {%- set new = new_columns | map(attribute='name') | list -%}
  {%- set added = new | reject('in', have) | list -%}
  {%- set removed = have | reject('in', new) | list -%}
  {%- if on_schema_change == 'fail' and (added or removed) -%}
    {% do exceptions.raise_compiler_error(
      'the columns of ' ~ target ~ ' changed (added: ' ~ added | join(', ') ~ '; removed: ' ~ removed | join(', ')
      ~ '); run it with --full-refresh or set on_schema_change') %}
  {%- endif -%}
  {%- if on_schema_change == 'ignore' -%}
    {%- set columns = have -%}
  {%- elif on_schema_change == 'sync_all_columns' -%}
    {%- set columns = new -%}
  {%- else -%}
    {%- set columns = have + added -%}
  {%- endif -%}
  {%- if strategy == 'append' and columns == have -%}
    insert into {{ target }} ({{ get_quoted_csv(columns | select('in', new) | list) }})
    select {{ get_quoted_csv(columns | select('in', new) | list) }} from (
      {{ sql }}
    ) as dbt_new
  {%- elif strategy in ('append', 'delete+insert') -%}
    create or replace table {{ target }} as
    with dbt_new as (
      {{ sql }}
    )
    select {{ datafusion__columns_or_null(columns, have, new_columns) }} from {{ target }} as dbt_old
    {%- if strategy == 'delete+insert' %}
    where not exists (
      select 1 from dbt_new where {{ datafusion__same_key(unique_key) }}
    )
    {%- endif %}
    union all
    select {{ datafusion__columns_or_null(columns, new, have_columns) }} from dbt_new
  {%- else -%}
    {% do exceptions.raise_compiler_error(
      "incremental_strategy '" ~ strategy ~ "' is not one of append, delete+insert") %}
  {%- endif -%}
{% endmacro %}


{#- A select list of `columns`: those not in `have` are NULL, of the type they have among `others`. -#}
{% macro datafusion__columns_or_null(columns, have, others) -%}
  {%- set types = {} -%}
  {%- for column in others -%}
    {%- do types.update({column.name: column.data_type}) -%}
  {%- endfor -%}
  {%- for column in columns -%}
    {%- if column in have -%}
      {{ adapter.quote(column) }}
    {%- else -%}
      cast(null as {{ types[column] }}) as {{ adapter.quote(column) }}
    {%- endif -%}
    {{ ', ' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}


{% macro datafusion__same_key(unique_key) -%}
  {%- if not unique_key -%}
    {% do exceptions.raise_compiler_error("incremental_strategy 'delete+insert' needs a unique_key") %}
  {%- endif -%}
  {%- set keys = [unique_key] if unique_key is string else unique_key -%}
  {%- for key in keys -%}
    dbt_new.{{ adapter.quote(key) }} = dbt_old.{{ adapter.quote(key) }}{{ ' and ' if not loop.last }}
  {%- endfor -%}
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
