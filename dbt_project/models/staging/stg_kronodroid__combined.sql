{{ union_by_name([ref('stg_kronodroid__real_device'), ref('stg_kronodroid__emulator')]) }}
