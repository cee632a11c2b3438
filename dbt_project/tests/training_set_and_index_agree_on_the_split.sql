-- One row for each app that the training set and the index have in different splits.
select app.sha256, app.device, app.split as trained_as, place.split as indexed_as
from {{ ref('fct_training_dataset') }} as app
inner join {{ ref('split_index') }} as place
  on app.sha256 = place.sha256 and app.device = place.device
where app.split <> place.split
