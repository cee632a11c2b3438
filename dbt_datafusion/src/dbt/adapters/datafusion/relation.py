"""Names: `"namespace"."table"`, always quoted, so case is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbt.adapters.base import BaseRelation
from dbt.adapters.contracts.relation import Policy


@dataclass
class DataFusionIncludePolicy(Policy):
    """A query sees one catalog, so its name is left out."""

    database: bool = False
    schema: bool = True
    identifier: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class DataFusionRelation(BaseRelation):
    """A table or a view of the catalog."""

    require_alias: bool = False
    include_policy: Policy = field(default_factory=DataFusionIncludePolicy)
