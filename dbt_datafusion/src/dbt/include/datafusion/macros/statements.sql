{#- The adapter carries these statements out itself, against the catalog: see statements.py. -#}

{% macro datafusion__create_table_as(temporary, relation, sql) -%}
  {%- if config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(sql) }}
    {%- set sql = get_select_subquery(sql) -%}
  {%- endif -%}
  create or replace table {{ relation }} as
  {{ sql }}
{%- endmacro %}


{% macro datafusion__create_view_as(relation, sql) -%}
  {%- if config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(sql) }}
  {%- endif -%}
  create or replace view {{ relation }} as
  {{ sql }}
{%- endmacro %}


{% macro datafusion__drop_relation(relation) -%}
  {% call statement('drop_relation', auto_begin=False) -%}
    drop table if exists {{ relation }}
  {%- endcall %}
{%- endmacro %}


{% macro datafusion__rename_relation(from_relation, to_relation) -%}
  {% call statement('rename_relation', auto_begin=False) -%}
    alter table {{ from_relation }} rename to {{ to_relation }}
  {%- endcall %}
{%- endmacro %}


{% macro datafusion__persist_docs(relation, model, for_relation, for_columns) -%}
  {%- set comment = model.description if for_relation and config.persist_relation_docs() else none -%}
  {%- set columns = {} -%}
  {%- if for_columns and config.persist_column_docs() -%}
    {%- for name, column in model.columns.items() if column.description -%}
      {%- do columns.update({name: column.description}) -%}
    {%- endfor -%}
  {%- endif -%}
  {%- if comment or columns -%}
    {% do adapter.persist_relation_docs(relation, comment, columns) %}
  {%- endif -%}
{%- endmacro %}


{#- Seeds are stored as they are, by one commit, without passing through SQL. -#}
{% macro datafusion__create_csv_table(model, agate_table) -%}
  {% do adapter.store_seed(this, agate_table, model['config'].get('column_types') or {}) %}
  {{ return('-- stored ' ~ agate_table.rows | length ~ ' rows') }}
{%- endmacro %}


{% macro datafusion__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
  {{ return(create_csv_table(model, agate_table)) }}
{%- endmacro %}


{% macro datafusion__load_csv_rows(model, agate_table) -%}
  {{ return('') }}
{%- endmacro %}
