-- One row for each column of the training set that tells the label or is known only after the fact.
{% set leaking = ['scanners', 'detection_ratio', 'times_submitted', 'nr_contacted_ips'] %}
{% set found = [] %}
{% for column in adapter.get_columns_in_relation(ref('fct_training_dataset')) if execute %}
  {% for name in leaking if name in column.name | lower %}
    {% do found.append(column.name) %}
  {% endfor %}
{% endfor %}
{% for name in found %}
  select '{{ name }}' as leaking_column {{ 'union all' if not loop.last }}
{% else %}
  select 'none' as leaking_column where 1 = 0
{% endfor %}
