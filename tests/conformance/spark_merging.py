"""Merged tables that Spark wrote on two branches, against the oracle by row, read by Spark, DuckDB and pyiceberg.

`make engines`; needs Java 17, the `spark` extra and the DuckDB that the Makefile makes. One session writes all cases;
tables that pyiceberg wrote and dfp merged are read by the same engines.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dfp_platform.catalog import open_catalog
from dfp_platform.catalog.durable import write_metadata
from dfp_platform.catalog.merging import merge_branches, merged_tables
from dfp_platform.errors import MergeConflictError
from dfp_platform.lake import Lake, open_lake
from tests.conformance.duckdb_session import asked
from tests.conformance.spark_histories import SparkHistory, rows_of
from tests.conformance.spark_session import LEAVES_SOCKETS, spark_on
from tests.integration.table_histories import Row, part_of, row
from tests.integration.test_merging_histories import merged_rows, merged_state

CASES, GO_ON = 64, 24
"""Tables that Spark writes on two branches, and those of them that go on after a merge and are merged again."""

FOREIGN, FIRST_SEED = 40, 2_000_000
"""Tables that pyiceberg wrote and dfp merged, and the seed of the first."""

KINDS = list(itertools.product((2, 3), ("merge-on-read", "copy-on-write")))
SETTINGS = {
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
    "spark.sql.codegen.wholeStage": "false",  # compiling costs more than these few rows
    "spark.sql.adaptive.enabled": "false",
}

pytestmark = [pytest.mark.timeout(1_800), *(pytest.mark.filterwarnings(warning) for warning in LEAVES_SOCKETS)]


@dataclass
class Case:
    """One table: as both branches had it, and as each has it now."""

    base: SparkHistory
    ours: SparkHistory
    theirs: SparkHistory

    @property
    def name(self) -> str:
        return self.base.name

    def act(self, most: int) -> None:
        for side in (self.ours, self.theirs):
            side.act(side.chance.randint(1, most))

    def due(self) -> str:
        """Why it must not merge; empty: it may."""
        base, ours, theirs = (history.counted() for history in (self.base, self.ours, self.theirs))
        if (base - ours) & (base - theirs):
            return "the same row was removed on both sides"
        if self.base.columns not in (self.ours.columns, self.theirs.columns):
            return "both sides added a column"
        for replacing, added in ((self.ours, theirs - base), (self.theirs, ours - base)):
            if any(part_of(found) in replacing.replaced for found in added):
                return "a partition was replaced here and added to there"
        return ""

    def go_on(self) -> Case:
        """Both sides work on: what was merged is on main, and the other branch is what both came from."""
        after = dict(self.base.rows)
        for side in (self.ours, self.theirs):
            gone = [id_ for id_ in self.base.rows if id_ not in side.rows]
            changed = {id_: cells for id_, cells in side.rows.items() if cells != self.base.rows.get(id_)}
            after = {id_: cells for id_, cells in {**after, **changed}.items() if id_ not in gone}
        young = Case(self.theirs, self.ours.branch("main"), self.theirs.branch("dev"))
        young.ours.rows = after
        young.ours.columns = max(self.ours.columns, self.theirs.columns, key=len)
        return young


@dataclass
class Outcomes:
    """What became of the cases.

    Attributes:
        expected: the rows that must be in each table, by its name.
        counts: of merged tables, conflicts that were due and needless ones.
        needless: kinds of the needless ones.
        row_ids: of merged tables in format 3, the `_row_id` that each row must have, by its `id`.
        missed: merged tables that should have been conflicts.
    """

    expected: dict[str, Counter[Row]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    needless: Counter[str] = field(default_factory=Counter)
    row_ids: dict[str, dict[int, int]] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)


@dataclass
class Written:
    """A lake whose main holds the merged tables, the session that wrote them and what must be in them."""

    lake: Lake
    spark: SparkSession
    outcomes: Outcomes = field(default_factory=Outcomes)

    def merge(self, cases: Sequence[Case]) -> list[Case]:
        """Merge dev into main, tables in conflict left as main has them; return the cases that merged."""
        kinds: dict[str, set[str]] = defaultdict(set)
        try:
            merged_tables(self.lake, "dev", "main")
        except MergeConflictError as error:
            for conflict in error.conflicts:
                kinds[conflict.table.removeprefix("cases.")].add(conflict.kind)
        merge_branches(self.lake, "dev", message="merge", prefer={f"cases.{name}": "ours" for name in kinds})
        for case in cases:
            self._judge(case, kinds.get(case.name, set()))
        return [case for case in cases if case.name not in kinds]

    def row_ids(self, catalog: str, names: Sequence[str]) -> dict[str, dict[int, int]]:
        """What Spark says is the `_row_id` of each row, by table and `id`. Raises AssertionError: a row has none."""
        found: dict[str, dict[int, int]] = {name: {} for name in names}
        for some in in_batches(names):
            selects = (f"select '{name}' t, id, _row_id from {catalog}.{name}" for name in some)
            for name, id_, row_id in self.spark.sql(" union all ".join(selects)).collect():
                assert row_id is not None, (name, id_)
                found[name][id_] = row_id
        return found

    def _judge(self, case: Case, kinds: set[str]) -> None:
        due, found = case.due(), self.outcomes
        story = f"{case.name} v{case.base.version} {case.base.mode}: {case.ours.done} against {case.theirs.done}"
        if due and not kinds:
            found.missed.append(f"{story}: {due}")
        found.counts["merged" if not kinds else "conflict" if due else "needless"] += 1
        if kinds and not due:
            found.needless.update(sorted(kinds))
        states = (case.base.counted(), case.ours.counted(), case.theirs.counted())
        found.expected[f"cases.{case.name}"] = states[1] if kinds else merged_rows(*states)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """All cases written and merged, once and some of them twice, and the merged tables of another writer beside."""
    folder = tmp_path_factory.mktemp("merging")
    lake = open_lake(folder / "lake", create=True)
    with spark_on(lake, ("main", "dev"), SETTINGS) as spark, ThreadPoolExecutor(2) as threads:
        made = Written(lake, spark)
        spark.sql("create namespace main.cases")
        bases = [_base(spark, number) for number in range(CASES)]
        list(threads.map(SparkHistory.create, bases))
        lake.create_branch("dev")
        cases = [Case(base, base.branch("main"), base.branch("dev")) for base in bases]
        list(threads.map(lambda case: case.act(2), cases))
        again = [case.go_on() for case in made.merge(cases)[:GO_ON]]
        list(threads.map(lambda case: case.act(2), again))
        names = [f"cases.{case.name}" for case in again if case.base.version == 3]
        ours, theirs = (made.row_ids(catalog, names) for catalog in ("main", "dev"))
        merged = {f"cases.{case.name}" for case in made.merge(again)}
        made.outcomes.row_ids = {name: {**theirs[name], **ours[name]} for name in names if name in merged}
        _register_foreign(made, folder / "foreign")
        yield made


def _base(spark: SparkSession, number: int) -> SparkHistory:
    version, mode = KINDS[number % len(KINDS)]
    return SparkHistory(spark, "main", f"c{number:03}", version, mode, random.Random(number))


def _register_foreign(made: Written, folder: Path) -> None:
    """Histories that pyiceberg wrote and `merge_table` merged, as tables of the lake."""
    catalog = open_catalog(made.lake)
    catalog.create_namespace("foreign")
    for seed in range(FIRST_SEED, FIRST_SEED + FOREIGN):
        found = merged_state(folder / str(seed), seed)
        if found is None:
            continue
        io, metadata, rows = found
        location = f"{metadata.location}/metadata/00001-{seed}.metadata.json"
        write_metadata(metadata, io, location)
        catalog.register_table(f"foreign.c{seed}", location)
        made.outcomes.expected[f"foreign.c{seed}"] = rows


def in_batches(names: Sequence[str], size: int = 30) -> list[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


def wrong(expected: dict[str, Counter[Row]], found: dict[str, Counter[Row]]) -> list[str]:
    """Tables in which an engine sees other rows than must be there."""
    return [
        f"{name}: too few {dict(rows - found[name])}, too many {dict(found[name] - rows)}"
        for name, rows in expected.items()
        if rows != found[name]
    ]


def test_no_conflict_is_missed_and_few_are_needless(written, capsys):
    found = written.outcomes
    with capsys.disabled():
        print(f"\nwritten by Spark: {dict(found.counts)}; needless: {dict(found.needless)}", end=" ")
    assert not found.missed
    assert found.counts["merged"] >= CASES // 2
    assert found.counts["needless"] <= (CASES + GO_ON) // 4


def test_spark_reads_the_merged_rows(written):
    found: dict[str, Counter[Row]] = {name: Counter() for name in written.outcomes.expected}
    for names in in_batches(list(found)):
        query = " union all ".join(f"select '{name}' t, to_json(struct(*)) r from main.{name}" for name in names)
        for name, text in written.spark.sql(query).collect():
            found[name] += rows_of([text])
    assert not wrong(written.outcomes.expected, found)


def test_duckdb_reads_the_merged_rows(written):
    names = list(written.outcomes.expected)
    answers = asked(written.lake, {"trunk": "main"}, *(f"select to_json(t) from trunk.{name} t" for name in names))
    answered = dict(zip(names, answers, strict=True))
    assert not {name: told for name, told in answered.items() if isinstance(told, str)}
    found = {name: rows_of([text for (text,) in rows]) for name, rows in answered.items()}
    assert not wrong(written.outcomes.expected, found)


def test_pyiceberg_reads_the_merged_rows(written):
    catalog = open_catalog(written.lake)
    found = {
        name: Counter(row(cells) for cells in catalog.load_table(name).scan().to_arrow().to_pylist())
        for name in written.outcomes.expected
    }
    assert not wrong(written.outcomes.expected, found)


def test_rows_of_format_3_keep_their_ids_through_merges(written):
    """Of tables that both branches wrote before and after a merge; Spark carries ids along when it rewrites rows."""
    expected = written.outcomes.row_ids
    assert len(expected) >= GO_ON // 8
    found = written.row_ids("main", list(expected))
    for name, ids in found.items():
        assert len(set(ids.values())) == len(ids), f"{name}: an id is given twice"
        assert ids == {id_: expected[name][id_] for id_ in ids}, name


def test_every_row_of_a_format_3_table_has_an_id_of_its_own(written):
    catalog = open_catalog(written.lake)
    names = [name for name in written.outcomes.expected if catalog.load_table(name).metadata.format_version == 3]
    assert len(names) > CASES // 3
    for name, ids in written.row_ids("main", names).items():
        assert len(set(ids.values())) == len(ids), f"{name}: an id is given twice"
