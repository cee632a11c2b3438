"""dbt on Apache DataFusion over any pyiceberg catalog."""

from __future__ import annotations

from dbt.adapters.base import AdapterPlugin
from dbt.adapters.datafusion.connections import DataFusionConnectionManager
from dbt.adapters.datafusion.credentials import DataFusionCredentials
from dbt.adapters.datafusion.impl import DataFusionAdapter
from dbt.include import datafusion

Plugin = AdapterPlugin(
    adapter=DataFusionAdapter,  # type: ignore[arg-type]  # dbt's protocol does not see class attributes
    credentials=DataFusionCredentials,
    include_path=datafusion.PACKAGE_PATH,
)

__all__ = ["DataFusionAdapter", "DataFusionConnectionManager", "DataFusionCredentials", "Plugin"]
