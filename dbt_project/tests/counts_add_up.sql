-- One row for each app whose published totals are not the sums of what they count: a column was shifted or lost on the way.
{% set staged = ref('stg_kronodroid__combined') %}
{% set totals = ['normal', 'dangerous', 'signature', 'custom_yes', 'nr_custom', 'nr_permissions', 'total_perm'] %}
{% set calls, permissions = [], [] %}
{% for name in feature_columns(staged) %}
  {% if name.startswith('sys_') and name != 'sys_nr_syscalls' %}{% do calls.append(name) %}{% endif %}
  {% if name.startswith('perm_') and name[5:] not in totals %}{% do permissions.append(name) %}{% endif %}
{% endfor %}
with counted as (
  select
    sha256,
    device,
    sys_nr_syscalls as calls,
    {{ sum_of(calls) }} as calls_summed,
    perm_nr_permissions as permissions,
    {{ sum_of(permissions) }} as permissions_summed,
    perm_normal + perm_dangerous + perm_signature as permissions_by_level,
    perm_total_perm - perm_nr_custom as permissions_of_android
  from {{ staged }}
)

select * from counted
where
  calls <> calls_summed
  or permissions <> permissions_summed
  or permissions <> permissions_by_level
  or permissions <> permissions_of_android
