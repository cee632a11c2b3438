-- One row for each app that is in different splits on different devices: it would be trained and tested on.
select sha256, count(distinct split) as splits
from {{ ref('split_index') }}
group by sha256
having count(distinct split) > 1
