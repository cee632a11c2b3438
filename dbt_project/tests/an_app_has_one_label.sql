-- One row for each app that is malware on one device and benign on the other.
select sha256, count(distinct malware) as labels
from {{ ref('stg_kronodroid__combined') }}
group by sha256
having count(distinct malware) > 1
