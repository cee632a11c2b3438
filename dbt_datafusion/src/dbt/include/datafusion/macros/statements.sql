{#- The adapter carries these statements out itself, against the catalog: see statements.py. -#}

{% macro datafusion__create_table_as(temporary, relation, sql) -%}
  {%- set definition = '' -%}
  {%- if config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(sql) }}
    {%- set sql = get_select_subquery(sql) -%}
    {%- set definition = ' ' ~ get_table_columns_and_constraints() | trim -%}
  {%- endif -%}
  create or replace table {{ relation.render() }}{{ definition }}{{ datafusion__layout() }} as
  {{ sql }}
{%- endmacro %}


{#- What the model says of partitioning and order; where it says nothing, an existing table keeps what it has. -#}
{% macro datafusion__layout() -%}
  {%- set partition_by = config.get('partition_by', none) -%}
  {%- set sorted_by = config.get('sorted_by', none) -%}
  {%- if partition_by is not none %} partitioned by ({{ partition_by if partition_by is string else partition_by | join(', ') }}){% endif -%}
  {%- if sorted_by is not none %} sorted by ({{ sorted_by if sorted_by is string else sorted_by | join(', ') }}){% endif -%}
{%- endmacro %}


{% macro datafusion__create_view_as(relation, sql) -%}
  {%- if config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(sql) }}
  {%- endif -%}
  create or replace view {{ relation.render() }} as
  {{ sql }}
{%- endmacro %}


{% macro datafusion__drop_relation(relation) -%}
  {% call statement('drop_relation', auto_begin=False) -%}
    drop table if exists {{ relation.render() }}
  {%- endcall %}
{%- endmacro %}


{% macro datafusion__rename_relation(from_relation, to_relation) -%}
  {% call statement('rename_relation', auto_begin=False) -%}
    alter table {{ from_relation.render() }} rename to {{ to_relation.render() }}
  {%- endcall %}
{%- endmacro %}


{% macro datafusion__alter_column_type(relation, column_name, new_column_type) -%}
  {% call statement('alter_column_type') -%}
    alter table {{ relation.render() }} alter column {{ adapter.quote(column_name) }} type {{ new_column_type }}
  {%- endcall %}
{%- endmacro %}


{% macro datafusion__get_columns_in_relation(relation) -%}
  {{ return(adapter.get_columns_in_relation(relation)) }}
{%- endmacro %}


{#- Iceberg has no users: who may read is decided where the files lie. -#}
{% macro datafusion__apply_grants(relation, grant_config, should_revoke=True) -%}
  {%- if grant_config -%}
    {% do exceptions.warn('grants on ' ~ relation ~ ' are ignored: an Iceberg catalog opened by pyiceberg has none') %}
  {%- endif -%}
{%- endmacro %}


{#- Comments of the table and of its columns come by one commit. -#}
{% macro datafusion__persist_docs(relation, model, for_relation, for_columns) -%}
  {%- set comment = model.description if for_relation and config.persist_relation_docs() else none -%}
  {%- set columns = {} -%}
  {%- if for_columns and config.persist_column_docs() and model.columns -%}
    {%- set existing = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {%- set columns = datafusion__column_comments(validate_doc_columns(relation, model.columns, existing), existing) -%}
  {%- endif -%}
  {%- if comment or columns -%}
    {% do adapter.persist_relation_docs(relation, comment, columns) %}
  {%- endif -%}
{%- endmacro %}


{#- Descriptions by the columns' own names: a name that is not quoted means a column whatever its case. -#}
{% macro datafusion__column_comments(documented, existing) -%}
  {%- set columns = {} -%}
  {%- for name, column in documented.items() if column['description'] -%}
    {%- for known in existing if known == name or (known | lower == name | lower and not column['quote']) -%}
      {%- do columns.update({known: column['description']}) -%}
    {%- endfor -%}
  {%- endfor -%}
  {{ return(columns) }}
{%- endmacro %}


{% macro datafusion__alter_relation_comment(relation, relation_comment) -%}
  {% do adapter.persist_relation_docs(relation, relation_comment, {}) %}
{%- endmacro %}


{% macro datafusion__alter_column_comment(relation, column_dict) -%}
  {%- set existing = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
  {% do adapter.persist_relation_docs(relation, none, datafusion__column_comments(column_dict, existing)) %}
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
