{{ config(unique_key=['sha256', 'device']) }}
{%- set devices = [ref('stg_kronodroid__real_device'), ref('stg_kronodroid__emulator')] %}
{{ union_by_name(devices, loads=new_loads(devices)) }}
