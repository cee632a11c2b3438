-- One row if the months of all time and the apps without a date are not as many as there are apps: months wait to be built
-- again (`dfp backfill fct_apps_by_month`), or an app bears a date outside the data set.
{{ config(severity='warn') }}
with counts as (
  select
    (select sum(apps) from {{ ref('fct_apps_by_month') }}) as dated,
    (select count(*) from {{ ref('fct_malware_samples') }} where highest_date is null) as undated,
    (select count(*) from {{ ref('fct_malware_samples') }}) as apps
)

select * from counts where dated + undated <> apps
