"""Columns under the names DataFusion's SQL gives their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dbt.adapters.base import Column


@dataclass
class DataFusionColumn(Column):
    """A column whose `dtype` can stand in a `cast`."""

    TYPE_LABELS: ClassVar[dict[str, str]] = {
        "STRING": "varchar",
        "TEXT": "varchar",
        "INTEGER": "int",
        "FLOAT8": "double",
    }

    @property
    def data_type(self) -> str:
        """Strings carry no length here."""
        return "varchar" if self.is_string() else super().data_type

    def is_integer(self) -> bool:
        return self.dtype.lower() in {"tinyint", "smallint", "int", "integer", "bigint"}

    def is_float(self) -> bool:
        return self.dtype.lower() in {"real", "double"}

    def is_numeric(self) -> bool:
        return self.dtype.lower().startswith("decimal")

    def string_size(self) -> int:
        """Unlimited, so no column ever needs to be widened."""
        return 2**31 - 1

    @classmethod
    def string_type(cls, size: int) -> str:
        return "varchar"
