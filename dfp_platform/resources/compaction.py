"""Who rewrites the data files of tables: this process, or Spark. Expiry is metadata alone, so it needs neither."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from dfp_platform.catalog import LakeCatalog, open_catalog
from dfp_platform.catalog.maintenance import TARGET_BYTES, Maintained, compact, writable
from dfp_platform.catalog.names import Identifier
from dfp_platform.errors import NotFoundError, StaleHeadError
from dfp_platform.lake import Lake
from dfp_platform.resources.spark import CATALOG

if TYPE_CHECKING:
    from pyspark.sql import SparkSession  # type: ignore[import-not-found] # in the extra `spark`


class Compact(Protocol):
    """Rewrites small files of one table on one branch into big ones, as `catalog.maintenance.compact` promises."""

    def __call__(self, identifier: str | Identifier, *, target_bytes: int = TARGET_BYTES) -> Maintained:
        """What was done. Raises StaleHeadError, ReadOnlyError, InputError and NotFoundError as `compact` does."""
        ...


@contextmanager
def _here(lake: Lake, branch: str) -> Iterator[Compact]:
    yield partial(compact, open_catalog(lake, branch))


@contextmanager
def _spark(lake: Lake, branch: str) -> Iterator[Compact]:
    from dfp_platform.resources.spark_session import spark_session

    catalog = open_catalog(lake, branch)
    catalog.refuse_read_only()
    with lake.lease("compact by Spark"), spark_session(lake, branch) as session:
        yield partial(_rewritten, session, catalog)


COMPACTION: Mapping[str, Callable[[Lake, str], AbstractContextManager[Compact]]] = {"pyiceberg": _here, "spark": _spark}
"""By engine: what compacts tables of a branch, for as long as the block."""


def compaction(engine: str, lake: Lake, branch: str) -> AbstractContextManager[Compact]:
    """The named one of `COMPACTION`. Raises NotFoundError: there is none of that name."""
    if engine not in COMPACTION:
        raise NotFoundError(f"no engine {engine} compacts", hint=f"use one of {', '.join(COMPACTION)}", engine=engine)
    return COMPACTION[engine](lake, branch)


def _rewritten(
    session: "SparkSession", catalog: LakeCatalog, identifier: str | Identifier, *, target_bytes: int = TARGET_BYTES
) -> Maintained:
    """Iceberg's `rewrite_data_files`; a table with a sort order gets files sorted by it."""
    table = writable(catalog, identifier)
    name = ".".join(f"`{part}`" for part in table.name())
    options = {
        "target-file-size-bytes": target_bytes,
        "min-file-size-bytes": target_bytes // 2,  # smaller is small, as where this process compacts
        "min-input-files": 2,
        "delete-file-threshold": 1,
        "remove-dangling-deletes": "true",
    }
    told = ", ".join(f"'{option}', '{value}'" for option, value in options.items())
    strategy = "binpack" if table.sort_order().is_unsorted else "sort"
    before = session.table(f"{name}.data_files").count()
    call = (
        f"call {CATALOG}.system.rewrite_data_files(table => '{name}', strategy => '{strategy}', options => map({told}))"
    )
    try:
        [done] = session.sql(call).collect()
    except Exception as error:
        if "CommitFailedException" not in str(error):
            raise
        raise StaleHeadError(
            f"table {'.'.join(table.name())} was changed by another writer meanwhile",
            hint="compact it again",
            table=".".join(table.name()),
        ) from error
    return Maintained(table.name(), before, before - done.rewritten_data_files_count + done.added_data_files_count)
