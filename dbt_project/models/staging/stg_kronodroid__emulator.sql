{{ stage_kronodroid(source('raw', 'kronodroid_emulator'), 'emulator') }}
