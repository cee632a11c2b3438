"""A data set read by Spark: files cut into slices, each held to the contract where it is read; one table in the end.

What runs on executors is `ingest.slices`, so they need this package. Rows go from them to the table's files; the driver
sees digests, cuts, counts and what is wrong.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dfp_platform.catalog import RowSum
from dfp_platform.errors import InputError
from dfp_platform.ingest import Origin, slices
from dfp_platform.ingest.columns import LOAD_ID, Kind
from dfp_platform.ingest.landing import load_id_of, marked
from dfp_platform.ingest.offences import SHOWN, Offence, repeated
from dfp_platform.ingest.slices import Passed, Slice, Terms

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession  # type: ignore[import-not-found] # in the extra `spark`

Item = TypeVar("Item")
Result = TypeVar("Result")

_KINDS: dict[Kind, str] = {"string": "string", "int32": "int", "int64": "bigint", "float64": "double", "date": "date"}


def ingested(
    session: "SparkSession",
    dataset: str,
    addresses: Sequence[str],
    *,
    terms: Terms,
    beside: Sequence[Origin] = (),
    slice_bytes: int = slices.SLICE_BYTES,
) -> Origin:
    """Write the rows of some files to the table ``raw.<dataset>`` of the session's catalog, by one commit of rows.

    Args:
        addresses: CSV files, or zips of one, under a path or address that every executor sees.
        beside: the loads that the rows are appended to; none: they replace what the table holds.
        slice_bytes: CSV text that one task reads, and one file of the table holds.
    Returns:
        What the rows were made from, and which load they are.
    Raises:
        InputError: something is wrong with a file; file, row, column and next step are named as a landing would. Where
            it is an app that is there twice the table is written already: work on a branch that can be dropped.
    """
    found = [_raised(survey) for survey in _each(session, partial(_survey, terms, slice_bytes), addresses)]
    pieces = [piece for survey in found for piece in survey.slices]
    judged = _each(session, partial(slices.judged, terms=terms), pieces)
    passed = [each for each in judged if isinstance(each, Passed)]
    if len(passed) < len(judged):
        raise _refusal(session, pieces, judged)
    rows = sum((each.rows for each in passed), RowSum())
    load_id = load_id_of(dataset, rows, beside)
    if load_id not in {origin.load_id for origin in beside}:
        _written(session, dataset, pieces, terms, load_id, append=bool(beside))
        [told] = session.sql(
            f"select count(distinct sha256) as apps from raw.{dataset} where {LOAD_ID} = '{load_id}'"
        ).collect()
        if told.apps != rows.rows:
            raise _refusal(session, pieces, judged)
    dropped = sum(each.dates_dropped for each in passed)
    files = tuple(survey.file for survey in found)
    return Origin(
        "file",
        synthetic=False,
        files=files,
        note=f"rows of {', '.join(file.name for file in files)}",
        rows=rows.rows,
        mended={"dates landed as missing": dropped} if dropped else {},
        load_id=load_id,
    )


def _written(
    session: "SparkSession", dataset: str, pieces: Sequence[Slice], terms: Terms, load_id: str, *, append: bool
) -> None:
    from pyspark.sql.functions import lit  # type: ignore[import-not-found] # in the extra `spark`

    table, kinds = f"raw.{dataset}", {**{c.landed: _KINDS[c.kind] for c in terms.columns}, LOAD_ID: "string"}
    rows = _mapped(session, partial(_landed, pieces, terms, load_id), len(pieces), _declared(kinds))
    session.sql("create namespace if not exists raw")
    there = session.table(table).schema if session.catalog.tableExists(table) else None
    if append and there is not None:
        if new := {name: kind for name, kind in kinds.items() if name not in there.names}:
            session.sql(f"alter table {table} add columns ({_declared(new)})")
        known = {field.name: lit(None).cast(field.dataType) for field in there.fields if field.name not in kinds}
        rows.withColumns(known).writeTo(table).append()
    elif there is not None and there.names == list(kinds):
        rows.writeTo(table).overwrite(lit(True))
    else:
        rows.writeTo(table).using("iceberg").createOrReplace()


def _refusal(session: "SparkSession", pieces: Sequence[Slice], judged: Sequence[Passed | InputError]) -> InputError:
    """The error that says all that is wrong with the rows."""
    repeats, count = _repeats(session, pieces)
    return slices.refusal(judged, repeats, repeated=count) or InputError("the files changed while they were read")


def _repeats(session: "SparkSession", pieces: Sequence[Slice]) -> tuple[list[Offence], int]:
    """The first apps that an earlier row holds already, and how many there are."""
    from pyspark.sql import Window  # type: ignore[import-not-found] # in the extra `spark`
    from pyspark.sql.functions import first, row_number, struct  # type: ignore[import-not-found] # as above

    apps = _mapped(session, partial(_digests, pieces), len(pieces), "row bigint, sha256 string, slice bigint")
    earlier = Window.partitionBy("sha256").orderBy("slice", "row")
    numbered = apps.withColumn("first", first(struct("slice", "row")).over(earlier))
    again = numbered.withColumn("time", row_number().over(earlier)).where("time > 1")
    shown = again.orderBy("slice", "row").limit(SHOWN).collect()
    offences = [
        repeated(pieces[row.slice].file, row.row, row.sha256, first=(pieces[row.first.slice].file, row.first.row))
        for row in shown
    ]
    return offences, again.count() if len(offences) == SHOWN else len(offences)


# -- on the executors -------------------------------------------------------------------------------------------


def _each(session: "SparkSession", work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What `work` says of each item, in order; one task each."""
    made = _mapped(session, partial(_worked, work, items), len(items), "number bigint, result binary").collect()
    return [pickle.loads(row.result) for row in sorted(made, key=lambda row: row.number)]


def _mapped(session: "SparkSession", work: Callable[..., Any], tasks: int, columns: str) -> "DataFrame":
    """The batches that `work` makes of each of the numbers 0 … `tasks` - 1, in a task of its own."""
    return session.range(0, tasks, 1, tasks).mapInArrow(work, columns)


def _numbers(batches: "Iterable[pa.RecordBatch]") -> Iterator[int]:
    return (number for batch in batches for number in batch.column(0).to_pylist())


def _worked(
    work: Callable[[Any], Any], items: Sequence[Any], batches: "Iterable[pa.RecordBatch]"
) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    for number in _numbers(batches):
        result = pickle.dumps(work(items[number]))
        yield pa.RecordBatch.from_pydict({"number": [number], "result": [result]})


def _survey(terms: Terms, slice_bytes: int, address: str) -> slices.Survey | InputError:
    try:
        return slices.survey(address, terms=terms, least=slice_bytes)
    except InputError as error:
        return error


def _raised(result: slices.Survey | InputError) -> slices.Survey:
    if isinstance(result, InputError):
        raise result
    return result


def _landed(
    pieces: Sequence[Slice], terms: Terms, load_id: str, batches: "Iterable[pa.RecordBatch]"
) -> "Iterator[pa.RecordBatch]":
    for number in _numbers(batches):
        for rows in marked(slices.landed(pieces[number], terms=terms), load_id):
            yield from rows.to_batches()


def _digests(pieces: Sequence[Slice], batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    import polars as pl
    import pyarrow as pa

    columns = pa.schema([("row", pa.int64()), ("sha256", pa.string()), ("slice", pa.int64())])
    for number in _numbers(batches):
        for rows in slices.digests(pieces[number]):
            placed = rows.select("row", "sha256", pl.lit(number, pl.Int64).alias("slice"))
            yield from placed.to_arrow().cast(columns).to_batches()


def _declared(kinds: Mapping[str, str]) -> str:
    """Columns, as Spark declares them."""
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items())
