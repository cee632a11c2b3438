"""Files of predictions: a segment of the spool as parquet, and parquet of the lake as rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dfp_platform.errors import NotFoundError
from dfp_platform.serving.prediction_spool import SUFFIX, records
from dfp_platform.serving.predictions import (
    BRANCH,
    FOLDER,
    PARTS_KEY,
    PredictionId,
    begun_at,
    is_joined,
    lake_path,
    names_key,
    prediction_schema,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from dfp_platform.lake import Lake

LONGEST_FILE = timedelta(days=1)
"""No file is written for longer; it bounds which files a window of time may lie in."""

ROWS_A_GROUP = 1_024
"""Rows of a row group: what has to be read to find one prediction."""

_RECORDS_A_TURN = 64
_PAUSE = 0.0003
"""Seconds to step back after so many records, so that threads that answer do not wait for the interpreter."""


@dataclass(frozen=True, slots=True)
class PredictionFile:
    """A file of predictions, as it is put into the lake."""

    rows: int
    content: bytes


def file_of(name: str, stream: BinaryIO) -> PredictionFile:
    """A segment as zstd parquet. Equal segments are equal bytes."""
    table = segment_table(name, stream)
    return PredictionFile(table.num_rows, written(table))


def written(table: pa.Table, *, parts: Sequence[str] = ()) -> bytes:
    """Rows as the bytes of a file.

    Args:
        parts: names of the files that these rows were in, if they are joined.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if parts:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), PARTS_KEY: json.dumps(list(parts))})
    sink = pa.BufferOutputStream()
    told = {"compression": "zstd", "compression_level": 3, "use_dictionary": _dictionaries(table)}
    parquet.write_table(table, sink, row_group_size=ROWS_A_GROUP, **told)
    return sink.getvalue().to_pybytes()


def segment_table(name: str, stream: BinaryIO) -> pa.Table:
    """The rows of a segment."""
    import pyarrow as pa

    found = _Records()
    for number, (head, body) in enumerate(records(stream), start=1):
        found.take(head, body)
        if not number % _RECORDS_A_TURN:
            time.sleep(_PAUSE)
    columns, schema = found.columns(name), prediction_schema()
    if not found.heads:
        return schema.empty_table()
    arrays = {}
    for field in schema:
        made = columns[field.name]()
        arrays[field.name] = made if isinstance(made, pa.ChunkedArray) else pa.array(made).cast(field.type)
        time.sleep(_PAUSE)
    told = found.answerers.values()
    names = {names_key(each["schema"]): json.dumps(each["features"]) for each in told}
    return pa.table(arrays, schema=schema).replace_schema_metadata(names)


class _Records:
    """The records of a segment, gathered column by column; what rows share is repeated only at the end, by NumPy."""

    def __init__(self) -> None:
        self.answerers: dict[int, dict[str, Any]] = {}
        self.heads: list[dict[str, Any]] = []
        self.scores: list[bytes] = []
        self.errors: list[bytes] = []
        self.labels: list[bytes] = []
        self.values: list[bytes] = []

    def take(self, head: dict[str, Any], body: bytes) -> None:
        """One more record."""
        if "answerer" in head:
            self.answerers[head["answerer"]] = head
            return
        count = head["rows"]
        self.heads.append(head)
        self.scores.append(body[: 4 * count])
        self.errors.append(body[4 * count : 8 * count])
        self.labels.append(body[8 * count : 9 * count])
        self.values.append(body[9 * count :])

    def columns(self, name: str) -> dict[str, Callable[[], Any]]:
        """How each column is made."""
        heads, counts = self.heads, [head["rows"] for head in self.heads]

        def told(key: str) -> Callable[[], Any]:
            return lambda: np.repeat(np.array([head[key] for head in heads]), counts)

        def answerer(key: str) -> Callable[[], Any]:
            return lambda: self._by_answerer(key, counts)

        def origin(part: int) -> Callable[[], Any]:
            return lambda: [each[part] for head in heads for each in _each_row(head)]

        return {
            "prediction_id": lambda: [str(PredictionId(name, row)) for row in range(sum(counts))],
            "time": told("time"),
            "request_id": lambda: [head["request"] for head in heads for _ in range(head["rows"])],
            "sha256": lambda: [app for head in heads for app in head["sha256"]],
            "features_from": origin(0),
            "features_commit": origin(1),
            "score": lambda: np.frombuffer(b"".join(self.scores), np.float32),
            "label": lambda: np.frombuffer(b"".join(self.labels), np.int8),
            "reconstruction_error": lambda: np.frombuffer(b"".join(self.errors), np.float32),
            "threshold": answerer("threshold"),
            "artifact": answerer("artifact"),
            "model": answerer("model"),
            "model_version": answerer("version"),
            "model_content": answerer("content"),
            "lake_commit": answerer("commit"),
            "role": answerer("role"),
            "latency_ms": told("latency"),
            "schema": answerer("schema"),
            "vector": self._vectors,
        }

    def _by_answerer(self, key: str, counts: list[int]) -> Any:
        import pyarrow as pa

        numbers = np.repeat(np.array([head["by"] for head in self.heads], np.int32), counts)
        return pa.DictionaryArray.from_arrays(numbers, [self.answerers[at][key] for at in range(len(self.answerers))])

    def _vectors(self) -> pa.ChunkedArray:
        import pyarrow as pa

        chunks = []
        for at in range(0, len(self.heads), _RECORDS_A_TURN):
            heads = self.heads[at : at + _RECORDS_A_TURN]
            values = np.frombuffer(b"".join(self.values[at : at + _RECORDS_A_TURN]), np.float32)
            widths = np.repeat(
                [len(self.answerers[head["by"]]["features"]) for head in heads], [h["rows"] for h in heads]
            )
            offsets = pa.array(np.concatenate([[0], np.cumsum(widths)]), pa.int32())
            chunks.append(pa.ListArray.from_arrays(offsets, pa.array(values)))
            time.sleep(_PAUSE)
        return pa.chunked_array(chunks, pa.list_(pa.float32()))


def _each_row(head: dict[str, Any]) -> list[list[str]]:
    """Where the features of each row of a record came from."""
    origins = head["origins"]
    return origins * head["rows"] if len(origins) == 1 else origins


def _dictionaries(table: pa.Table) -> list[str]:
    """Columns that repeat few values; ids and floats do not."""
    import pyarrow as pa

    return [field.name for field in table.schema if pa.types.is_dictionary(field.type)]


def files_in(lake: Lake, ref: str, *, since: datetime | None = None, until: datetime | None = None) -> list[str]:
    """Paths of the files that may hold predictions of a window of time, oldest first; none without such a branch."""
    found = [stat.path for stat in lake.list(ref, f"{FOLDER}/") if stat.path.endswith(".parquet")]
    begun = {path: begun_at(Path(path).stem) for path in found}
    held = {path: 2 * LONGEST_FILE if is_joined(Path(path).stem) else LONGEST_FILE for path in found}
    return [
        path
        for path in files_in_order(found)
        if (until is None or begun[path] <= until) and (since is None or begun[path] >= since - held[path])
    ]


def files_in_order(paths: Iterable[str]) -> list[str]:
    """Paths of files of predictions, the first begun first."""
    return sorted(paths, key=lambda path: (begun_at(Path(path).stem), path))


def read_predictions(
    lake: Lake, ref: str = BRANCH, *, since: datetime | None = None, until: datetime | None = None
) -> pa.Table:
    """The predictions of a window of time, in the order of their ids; columns as `prediction_schema` says.

    Args:
        ref: branch or commit; of a lake without any prediction the branch is not there.
        since: the first moment; `until` is the first one after the window.
    Raises:
        NotFoundError: no such ref.
    """
    commit = lake.resolve(ref)
    paths = files_in(lake, commit, since=since, until=until)
    found = in_window(together(list(tables_of(lake, commit, paths))), since, until)
    return found.sort_by("prediction_id") if any(is_joined(Path(path).stem) for path in paths) else found


def together(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of predictions as one, with the names of the features of each."""
    import pyarrow as pa

    told = [item for table in tables for item in (table.schema.metadata or {}).items()]
    names = {key: value for key, value in told if key != PARTS_KEY}
    schema = prediction_schema()
    whole = pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in tables)])
    return whole.unify_dictionaries().replace_schema_metadata(names)


def not_of(table: pa.Table, files: frozenset[str]) -> pa.Table:
    """The rows of a table of predictions that were in none of the files of these names."""
    import pyarrow as pa

    if not files:
        return table
    kept = [PredictionId.parse(each).file not in files for each in table["prediction_id"].to_pylist()]
    return table.filter(pa.array(kept, pa.bool_()))


def in_window(table: pa.Table, since: datetime | None, until: datetime | None) -> pa.Table:
    """The rows of a table of predictions within a window of time."""
    import pyarrow.compute as pc

    if since is not None:
        table = table.filter(pc.field("time") >= since)
    return table if until is None else table.filter(pc.field("time") < until)


def feature_names(table: pa.Table, schema: str) -> tuple[str, ...]:
    """Names of the elements of vectors of one schema. Raises NotFoundError: the table has none of that schema."""
    told = (table.schema.metadata or {}).get(names_key(schema))
    if told is None:
        raise NotFoundError(f"no features of schema {schema} are named", hint="read the file whole", schema=schema)
    return tuple(json.loads(told))


def tables_of(lake: Lake, commit: str, paths: Sequence[str]) -> Iterator[pa.Table]:
    """The files of these paths, one table each."""
    from pyarrow import parquet

    for path in paths:
        with lake.open(commit, path) as stream:
            yield parquet.read_table(stream)


def find_prediction(lake: Lake, named: PredictionId, *, spool: Path) -> tuple[dict[str, Any], str]:
    """One prediction, and where it is: the commit of the lake that holds it, or empty: still in this machine's spool.

    Returns:
        The columns of its row; of ``vector``, the values by the name of the feature. What is not known is None.
    Raises:
        NotFoundError: neither holds it.
    """
    with suppress(NotFoundError):
        commit = lake.resolve(BRANCH)
        with suppress(NotFoundError), lake.open(commit, named.path) as stream:
            return _row(_group_of(named.row, stream), named, named.row % ROWS_A_GROUP), commit
        return _joined_row(lake, commit, named), commit
    with suppress(FileNotFoundError), (spool / f"{named.file}{SUFFIX}").open("rb") as stream:
        return _row(segment_table(named.file, stream), named, named.row), ""
    raise NotFoundError(
        f"no prediction {named} is in the lake ({lake_path(named.file)} on {BRANCH}) nor in {spool}",
        hint="it comes into the lake DFP_PREDICTION_LOG_SECONDS after it was answered; until then ask the machine that "
        "answered. Rows that a full disk dropped are counted in the API's /metrics",
        prediction=str(named),
    )


def _group_of(row: int, stream: BinaryIO) -> pa.Table:
    """The row group that holds a row; without rows if the file ends before."""
    from pyarrow import parquet

    file = parquet.ParquetFile(stream)
    group = row // ROWS_A_GROUP
    return file.read_row_groups([group] if group < file.num_row_groups else [])


def _joined_row(lake: Lake, commit: str, named: PredictionId) -> dict[str, Any]:
    """The row from where its file was joined with others. Raises NotFoundError: it was not."""
    from pyarrow import parquet

    day = named.path.rpartition("/")[0]
    for path in [each.path for each in lake.list(commit, f"{day}/") if is_joined(Path(each.path).stem)]:
        if named.file in joined_parts(lake, commit, path):
            with lake.open(commit, path) as stream:
                return _row(parquet.read_table(stream, filters=[("prediction_id", "==", str(named))]), named, 0)
    raise NotFoundError(f"no joined file of {day} holds {named.file}", hint="is the id whole?", prediction=str(named))


def joined_parts(lake: Lake, commit: str, path: str) -> frozenset[str]:
    """Names of the files that a joined one holds."""
    from pyarrow import parquet

    with lake.open(commit, path) as stream:
        told = parquet.read_schema(stream).metadata or {}
    return frozenset(json.loads(told[PARTS_KEY]))


def _row(table: pa.Table, named: PredictionId, at: int) -> dict[str, Any]:
    at_place = table.slice(at, 1)
    found = at_place.drop_columns(["time"]).to_pylist()
    if not found:
        raise NotFoundError(
            f"{named.file} ends before its row {named.row}", hint="is the id whole?", prediction=str(named)
        )
    microseconds = at_place["time"].cast("int64")[0].as_py()  # as a time it would import pandas, 0.2 s
    row = {column: _known(value) for column, value in found[0].items()}
    row["time"] = datetime.fromtimestamp(microseconds / 1e6, UTC)
    vector = zip(feature_names(table, row["schema"]), map(_known, row["vector"]), strict=True)
    return {**row, "vector": dict(vector)}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value
