"""What every column of KronoDroid counts or says, in one sentence: the docs of all tables come from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dfp_platform.ingest.columns import COLUMNS, LOAD_ID, PERMISSIONS, SYSCALLS, Column

_NAMED: Mapping[str, str] = {
    "package": "Android package name as published, with a line break behind it; several apps (versions) share one.",
    "malware": "The label: 1 for malware, 0 for a benign app.",
    "sha256": "Hash of the package file, 64 hexadecimal digits in lower case; names the app.",
    "times_submitted": "Submissions to VirusTotal. Known only after the fact, never a feature.",
    "nr_contacted_ips": "Addresses the app contacted. Known only after the fact, never a feature.",
    "scanners": "Virus scanners that looked at the app. Tells the label, never a feature.",
    "detection_ratio": "Share of those scanners that found malware [0..1]. Tells the label, never a feature.",
    "mal_family": "Malware family as published; some benign apps name one, too.",
    "categories": "Categories as published; empty for rows of the publishers' archives.",
    "highest_date": "Youngest date inside the package, the time of the app; empty if no app can bear it.",
    "year_month": "First day of the month of that date.",
    "year": "Year of that date.",
    "sys_nr_syscalls": "System calls the app made while it was watched, all kinds together.",
    "perm_nr_permissions": "Permissions of Android that the app asks for.",
    "perm_normal": "Permissions of Android it asks for that are granted without asking anybody.",
    "perm_dangerous": "Permissions of Android it asks for that a person has to grant.",
    "perm_signature": "Permissions of Android it asks for that only apps of the system's own signer get.",
    "perm_custom_yes": "1 if the app asks for a permission that another app defines.",
    "perm_nr_custom": "Permissions it asks for that other apps define.",
    "perm_total_perm": "All permissions it asks for, those of Android and those of other apps.",
    "app_c_file_size": "Size of the package file, bytes.",
    "app_u_file_size": "Size of what is in the package file once it is unpacked, bytes.",
    "app_files_inside_apk": "Files in the package.",
    "app_activities": "Screens (activities) the app declares.",
    "app_nr_services": "Background services the app declares.",
    "app_nr_int_services": "Intent filters of its services.",
    "app_nr_int_services_actions": "Actions in the intent filters of its services.",
    "app_nr_int_activities": "Intent filters of its activities.",
    "app_nr_int_activities_actions": "Actions in the intent filters of its activities.",
    "app_nr_int_receivers": "Intent filters of its broadcast receivers.",
    "app_nr_int_receivers_actions": "Actions in the intent filters of its broadcast receivers.",
    "app_total_intent_filters": "Intent filters the app declares, of all kinds.",
}

_ARM_CACHEFLUSH = "syscall_983042"

_OUTSIDE_ANDROID: Mapping[str, str] = {
    "ADD_VOICEMAIL": "com.android.voicemail.permission",
    "READ_VOICEMAIL": "com.android.voicemail.permission",
    "WRITE_VOICEMAIL": "com.android.voicemail.permission",
    "SET_ALARM": "com.android.alarm.permission",
    "INSTALL_SHORTCUT": "com.android.launcher.permission",
    "UNINSTALL_SHORTCUT": "com.android.launcher.permission",
}
"""Permissions of Android whose full names do not begin with `android.permission`."""


def _described(column: Column) -> str:
    name = column.published
    if column.landed in _NAMED:
        return _NAMED[column.landed]
    if column.landed.startswith("sys_") and name in SYSCALLS:
        return _counted(name)
    assert name in PERMISSIONS, column  # no column is without a description, or this module cannot be imported
    return f"1 if the app asks for {_OUTSIDE_ANDROID.get(name, 'android.permission')}.{name}, else 0."


def _counted(name: str) -> str:
    return f"How often the app made {_call(name)} while it was watched."


def _call(name: str) -> str:
    if name == _ARM_CACHEFLUSH:
        return "the system call 983042 (cacheflush of ARM)"
    number = name.removeprefix("SYS_")
    return f"the system call number {number}" if number != name else f"the system call `{name}`"


DESCRIPTIONS: Mapping[str, str] = {
    **{column.landed: _described(column) for column in COLUMNS},
    LOAD_ID: "The load that brought the row: its number, and the beginning of a digest of its rows.",
}
"""Landed name → what the column counts or says. Every column has one."""


def descriptions(names: Sequence[str]) -> dict[str, str]:
    """`DESCRIPTIONS`, and those of the system calls among `names` that only later archives count."""
    new = (name for name in names if name.startswith("sys_") and name not in DESCRIPTIONS)
    later = {name: f"{_counted(name.removeprefix('sys_'))} Empty for apps of earlier loads." for name in new}
    return {**DESCRIPTIONS, **later}
