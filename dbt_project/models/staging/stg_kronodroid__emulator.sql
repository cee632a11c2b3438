{{ config(unique_key='sha256') }}
{{ stage_kronodroid(source('raw', 'kronodroid_emulator'), 'emulator') }}
