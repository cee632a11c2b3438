-- One row for each feature column of staging that the training set lacks, and one if there is no feature at all.
{% set staged = feature_columns(ref('stg_kronodroid__combined')) %}
{% set trained = feature_columns(ref('fct_training_dataset')) %}
{% set missing = staged | reject('in', trained) | list if staged else ['no feature column at all'] %}
{% for name in missing %}
  select '{{ name }}' as missing_column {{ 'union all' if not loop.last }}
{% else %}
  select 'none' as missing_column where 1 = 0
{% endfor %}
