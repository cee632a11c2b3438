-- One row for each split whose share is further from 70, 15 and 15 % than chance explains: four standard deviations of a
-- share among as many distinct apps as there are.
{{ config(severity='warn') }}
with apps as (
  select distinct sha256, split from {{ ref('split_index') }}
),

shares as (
  select
    sum(case when split = 'train' then 1e0 else 0e0 end) / count(*) as train,
    sum(case when split = 'validation' then 1e0 else 0e0 end) / count(*) as validation,
    sum(case when split = 'test' then 1e0 else 0e0 end) / count(*) as test,
    cast(count(*) as double) as apps
  from apps
)

select * from shares
where
  abs(train - 0.7e0) > 4e0 * sqrt(0.7e0 * 0.3e0 / apps)
  or abs(validation - 0.15e0) > 4e0 * sqrt(0.15e0 * 0.85e0 / apps)
  or abs(test - 0.15e0) > 4e0 * sqrt(0.15e0 * 0.85e0 / apps)
