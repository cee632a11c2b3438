-- One row for each app whose label the virus scanners contradict: malware that none of them found, or a benign app that
-- half of them call malware.
{{ config(severity='warn') }}
select sha256, device, malware, scanners, detection_ratio
from {{ ref('stg_kronodroid__combined') }}
where
  (malware = 1 and detection_ratio = 0e0)
  or (malware = 0 and detection_ratio >= 0.5e0)
