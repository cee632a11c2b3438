select
  app.sha256,
  app.package,
  app.device,
  app.malware,
  app.mal_family,
  app.highest_date,
  place.split,
  place.time_rank,
  place.time_split
  {{ and_feature_columns(ref('stg_kronodroid__combined'), alias='app') }}
from {{ ref('stg_kronodroid__combined') }} as app
inner join {{ ref('split_index') }} as place
  on app.sha256 = place.sha256 and app.device = place.device
