"""The statements the adapter carries out itself, and the sizes and types of its profile."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from dbt.adapters.datafusion.credentials import DataFusionCredentials, parse_bytes
from dbt.adapters.datafusion.sqltypes import sql_name, storable
from dbt.adapters.datafusion.statements import Statement, parse


def test_a_table_statement_is_taken_apart_behind_dbts_comment():
    sql = '/* {"app": "dbt"} */\n-- note\n  create or replace table "marts"."Apps" as\n  select 1 as a;\n'
    assert parse(sql) == Statement("create table", ("marts", "Apps"), query="select 1 as a", replace=True)


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("create table a.b as (select 1)", Statement("create table", ("a", "b"), query="(select 1)")),
        ("CREATE VIEW A.B AS SELECT 1", Statement("create view", ("a", "b"), query="SELECT 1")),
        ('create schema if not exists "x"', Statement("create schema", ("x",), lenient=True)),
        ("drop schema if exists x cascade", Statement("drop schema", ("x",), lenient=True)),
        ('drop table "a"."b c"', Statement("drop relation", ("a", "b c"))),
        ("drop view if exists a.b", Statement("drop relation", ("a", "b"), lenient=True)),
        ("truncate table a.b", Statement("truncate", ("a", "b"))),
        ('alter table a.b rename to a."C"', Statement("rename", ("a", "b"), new_name=("a", "C"))),
        (
            'insert into a.b ("x", y) select 1, 2',
            Statement("insert", ("a", "b"), query="select 1, 2", columns=("x", "y")),
        ),
        ("insert into a.b values (1)", Statement("insert", ("a", "b"), query="values (1)")),
        ("insert into a.b (select x from c)", Statement("insert", ("a", "b"), query="(select x from c)")),
        ('drop table "a"."say ""hi"""', Statement("drop relation", ("a", 'say "hi"'))),
    ],
)
def test_each_statement_of_ours_is_known_by_its_form(sql: str, statement: Statement):
    assert parse(sql) == statement


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "with create_table as (select 1) select * from create_table",
        "select 'create table a as select 1'",
        "create external table x stored as parquet location '/x'",
        "copy (select 1) to '/x'",
        "replace into a.b values (1)",
    ],
)
def test_everything_else_is_left_to_datafusion(sql: str):
    assert parse(f"/* c */ {sql}").kind == "query"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("512MiB", 512 * 2**20), ("2 GB", 2 * 10**9), ("1.5 GiB", 3 * 2**29), ("1000", 1000), (77, 77)],
)
def test_sizes_are_read_as_people_write_them(text: str | int, expected: int):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "much", "2 GG", "GiB"])
def test_a_size_that_is_none_names_itself(text: str):
    with pytest.raises(ValueError, match="is not a size such as"):
        parse_bytes(text)


def test_catalog_properties_are_text_and_are_not_shown_by_debug():
    catalog = {"type": "sql", "echo": False, "port": 5, "s3.secret-access-key": "secret", "none": None}
    credentials = DataFusionCredentials(database="lake", schema="main", catalog=catalog)
    assert credentials.catalog_properties == {
        "type": "sql", "echo": "false", "port": "5", "s3.secret-access-key": "secret",
    }  # fmt: skip
    assert "secret" not in str(list(credentials.connection_info()))


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (pa.uint64(), pa.int64()),
        (pa.uint32(), pa.int64()),
        (pa.uint8(), pa.int32()),
        (pa.string_view(), pa.string()),
        (pa.null(), pa.string()),
        (pa.dictionary(pa.int8(), pa.large_string()), pa.string()),
        (pa.timestamp("ns"), pa.timestamp("us")),
        (pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("us", "UTC")),
        (pa.decimal128(10, 2), pa.decimal128(10, 2)),
        (pa.list_(pa.float16()), pa.list_(pa.field("element", pa.float32()))),
    ],
)
def test_every_type_of_a_query_has_a_type_a_table_can_hold(kind: pa.DataType, stored: pa.DataType):
    assert storable(kind) == stored


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.int32(), "int"),
        (pa.string_view(), "varchar"),
        (pa.decimal128(9, 3), "decimal(9,3)"),
        (pa.timestamp("us"), "timestamp"),
        (pa.date32(), "date"),
    ],
)
def test_types_have_the_names_that_sql_casts_to(kind: pa.DataType, name: str):
    assert sql_name(kind) == name


README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_readme_names_every_field_of_the_profile_and_its_example_is_one():
    text = README.read_text()
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    fields = {field.name for field in dataclasses.fields(DataFusionCredentials)}
    assert fields <= named
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])["my_project"]["outputs"]["here"]
    kind, _ = example.pop("type"), example.pop("threads")
    credentials = DataFusionCredentials.from_dict({"database": "lake", **example})
    assert kind == credentials.type
    assert parse_bytes(str(credentials.memory_limit)) == 2 * 2**30
    assert credentials.catalog_properties["uri"] == "sqlite:///catalog.db"
