"""What `feast apply` registers: the definitions for the training table of the configured branch.

Feast takes every Feast object that is an attribute of this module.
"""

from dfp_platform.features.repository import definitions
from dfp_platform.features.vectors import features_at
from dfp_platform.lake import open_lake
from dfp_platform.settings import settings

_defined = definitions(features_at(open_lake(settings().lake_uri), settings().branch))
globals().update({f"{type(one).__name__}_{one.name}": one for one in _defined})
