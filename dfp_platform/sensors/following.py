"""Features follow the tables: made anew as soon as tables that changed are published."""

import warnings

import dagster as dg

from dfp_platform.sensors.autostart import sensor_status


def following() -> dg.AutomationConditionSensorDefinition:
    """Asks the assets' automation conditions; the code location answers, because one of them is its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # use_user_code_server; dagster is pinned, and a test uses it
        return dg.AutomationConditionSensorDefinition(
            "follow_tables",
            target=dg.AssetSelection.key_prefixes("features"),
            default_status=sensor_status("follow_tables"),
            minimum_interval_seconds=60,
            use_user_code_server=True,
            description="Registers and serves features anew when the tables they are read from have changed and are "
            "published; a run that was held back starts nothing.",
        )
