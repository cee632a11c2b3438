"""`dfp sql` and `dfp predict`: what one asks of published tables and models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.screen import Json, err, out, print_json, print_table
from dfp_platform.schemas import MAIN

if TYPE_CHECKING:
    import pyarrow as pa

AtRef = Annotated[str, typer.Option("--ref", help="Branch, tag or commit to read.")]


def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT over the tables, such as marts.fct_training_dataset.")],
    ref: AtRef = MAIN,
    limit: Annotated[int, typer.Option(min=0, help="Rows to print at most; 0: all.")] = 100,
    as_json: Json = False,
) -> None:
    """Ask the tables a question, at any branch, tag or commit."""
    from dfp_platform.catalog import query

    answer = query(opened(), ref, statement)
    shown = answer.slice(0, limit) if limit else answer
    if as_json:
        return print_json(shown.to_pylist())
    columns = [column.to_pylist() for column in shown.columns]
    print_table(shown.column_names, zip(*columns, strict=True))
    if shown.num_rows < answer.num_rows:
        err().print(f"{answer.num_rows - shown.num_rows:,} more rows: --limit 0 prints all")
    return None


def predict(
    file: Annotated[Path, typer.Argument(help="Raw apps: a KronoDroid CSV, or a zip that holds one.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the scores go: .parquet or .csv.")] = Path(
        "scores.parquet"
    ),
    ref: AtRef = MAIN,
    as_json: Json = False,
) -> None:
    """Score raw apps with the published model: one row an app, its score, and whether it raises an alarm."""
    if output.suffix not in (".parquet", ".csv"):
        raise typer.BadParameter(f"{output} is neither .parquet nor .csv", param_hint="--output")
    from dfp_platform.serving.published import published, score_file

    lake = opened()
    commit = lake.resolve(ref)
    scores = score_file(published(lake, commit).files, file)
    _write(scores, output)
    alarms = sum(scores["label"].to_pylist())
    if as_json:
        return print_json({"output": output, "apps": scores.num_rows, "alarms": alarms, "ref": ref, "commit": commit})
    return out().print(f"{scores.num_rows:,} apps scored, {alarms:,} raise an alarm: {output} (model of {commit[:12]})")


def _write(scores: pa.Table, output: Path) -> None:
    """Write whole or not at all."""
    import pyarrow.csv
    import pyarrow.parquet

    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f".{output.name}.unfinished")
    write = pyarrow.csv.write_csv if output.suffix == ".csv" else pyarrow.parquet.write_table
    try:
        write(scores, unfinished)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)


def register(app: Any) -> None:
    """Add these commands to `dfp`."""
    for command in (sql, predict):
        app.command()(command)
