-- One row if the training set has not as many apps as staging.
with counts as (
  select
    (select count(*) from {{ ref('stg_kronodroid__combined') }}) as staged,
    (select count(*) from {{ ref('fct_training_dataset') }}) as trained
)

select * from counts where staged <> trained
