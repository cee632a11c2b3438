{{ config(unique_key='sha256') }}
{{ stage_kronodroid(source('raw', 'kronodroid_real_device'), 'real_device') }}
