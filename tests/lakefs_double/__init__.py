"""A small lakeFS server for tests: the part of its HTTP interface that the lake uses, with its refusals and oddities.

Written from lakeFS's public API description and from what a real server was seen to do (docs/decisions/0011). State is
in memory, bytes in a folder. `DFP_TEST_LAKEFS` runs the same tests against a real server.
"""

from tests.lakefs_double.server import Double, Fault

__all__ = ["Double", "Fault"]
