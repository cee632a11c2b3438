{{
  config(
    materialized='incremental',
    unique_key=['sha256', 'device'],
    partition_by=var('training_partitions'),
    meta={'by_load': true},
  )
}}
{%- set apps = ref('stg_kronodroid__combined') %}
select
  sha256,
  package,
  device,
  malware,
  mal_family,
  highest_date,
  {{ split_of('sha256') }} as split
  {{ and_feature_columns(apps) }},
  load_id
from {{ apps }}
where {{ is_of(new_loads([apps])) }}
