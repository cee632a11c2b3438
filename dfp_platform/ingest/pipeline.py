"""dlt carries the rows: one pipeline per landing, alone in a folder of its own, with a destination of ours at its end.

Nothing of dlt outlives a landing: no state, no settings of the user or the working directory, no telemetry.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import DfpError

if TYPE_CHECKING:
    import polars as pl
    from dlt.common.runtime.run_context import RunContext

ROW = "_row"
"""Extra column on the way through dlt: the row's number in the data set. dlt gives its files random names."""

_SETTINGS: Mapping[str, Any] = {
    "restore_from_destination": False,  # it keeps no state in the lake
    "load": {"workers": 1},  # there is one table
}
"""All that dlt is told."""

_one_at_a_time = threading.Lock()
"""dlt keeps what is active in one place per process."""


def carried(rows: Iterator[pl.DataFrame], *, dataset: str, folder: Path) -> list[Path]:
    """Run rows through a dlt pipeline and return the parquet files its destination received, in row order.

    dlt works in a thread of its own: on the main thread it would take signals for itself, and an exception that a
    signal raises within one of its jobs would leave it waiting for ever.

    Args:
        rows: landed rows; an error of ours that they raise is raised unchanged, and then nothing was received.
        dataset: name of the table.
        folder: an empty folder, for dlt's working files and what is received.
    """
    stop = threading.Event()
    with _one_at_a_time, ThreadPoolExecutor(1, thread_name_prefix="dlt") as thread:
        run = thread.submit(_run, _until(stop, rows), dataset, folder)
        try:
            while not run.done():
                wait({run}, timeout=0.1)  # not without end: a signal is only seen between two waits
        except BaseException:
            stop.set()
            raise
    error = run.exception()
    if error is not None:
        raise _ours(error) or error
    return run.result()


def _run(rows: Iterator[pl.DataFrame], dataset: str, folder: Path) -> list[Path]:
    import dlt

    received: dict[int, Path] = {}

    def receive(path: Any, table: Any) -> None:
        first = _first_row(Path(path))
        received[first] = folder / f"received-{first:012d}.parquet"
        received[first].hardlink_to(path)  # dlt tidies its own name away

    with _by_itself(folder):
        destination = dlt.destination(
            receive,
            name="lake",
            batch_size=0,
            loader_file_format="parquet",
            naming_convention="direct",
            skip_dlt_columns_and_tables=True,
            loader_parallelism_strategy="sequential",
        )
        pipeline = dlt.pipeline(
            f"land_{dataset}", destination=destination(), dataset_name="raw", pipelines_dir=str(folder / "dlt")
        )
        try:
            pipeline.run(dlt.resource(_numbered(rows), name=dataset), write_disposition="replace")
        finally:
            pipeline.deactivate()
    return [received[first] for first in sorted(received)]


def _until(stop: threading.Event, rows: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for frame in rows:
        if stop.is_set():
            raise KeyboardInterrupt  # whoever waited has gone
        yield frame


def _numbered(rows: Iterator[pl.DataFrame]) -> Iterator[Any]:
    done = 0
    for frame in rows:
        yield frame.with_row_index(ROW, offset=done).to_arrow()
        done += frame.height


def _first_row(path: Path) -> int:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        return next(file.iter_batches(1, columns=[ROW])).column(0)[0].as_py()


def _ours(error: BaseException | None) -> BaseException | None:
    """What dlt wrapped, if it is an error of ours or Ctrl-C."""
    while error is not None and not isinstance(error, (DfpError, KeyboardInterrupt)):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def _by_itself(folder: Path) -> Iterator[None]:
    """A dlt that knows only `folder`: it would else read ~/.dlt and ./.dlt, and write a user id for its telemetry."""
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.providers import CustomLoaderDocProvider
    from dlt.common.configuration.specs import RuntimeConfiguration
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
    from dlt.common.runtime.run_context import RunContext

    class Alone(RunContext):
        def __init__(self) -> None:
            super().__init__(str(folder))
            self._global_dir = str(folder / "dlt")

        def initial_providers(self) -> list[Any]:
            return [CustomLoaderDocProvider("dfp", lambda: dict(_SETTINGS))]

        def initialize_runtime(self, runtime_config: RuntimeConfiguration | None = None) -> None:
            super().initialize_runtime(RuntimeConfiguration(dlthub_telemetry=False, dlthub_telemetry_endpoint=None))

    context: RunContext = Alone()
    with Container().injectable_context(PluggableRunContext(context)):
        yield
