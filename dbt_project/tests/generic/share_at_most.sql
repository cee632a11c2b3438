{#- Fails with the rows for which `condition` holds, if they are more than `share` [0..1] of all. -#}
{% test share_at_most(model, condition, share) %}
with judged as (
  select
    sum(case when {{ condition }} then 1 else 0 end) as bad,
    count(*) as rows_in_all
  from {{ model }}
)

select * from judged where cast(bad as double) > {{ share }}e0 * cast(rows_in_all as double)
{% endtest %}
