{{ stage_kronodroid(source('raw', 'kronodroid_real_device'), 'real_device') }}
