"""From which columns each column of a table is made, read off its SQL."""

import pytest

from dfp_platform.resources.column_lineage import as_metadata, column_lineage

KNOWN = {"raw.apps": ["sha256", "name", "size", "bad"], "raw.more": ["sha256", "size"]}


def made_from(sql: str, engine: str = "datafusion") -> dict[str, list[str]]:
    found = column_lineage(sql, KNOWN, engine=engine)
    return {column: [f"{table}.{name}" for table, name in sources] for column, sources in found.items()}


@pytest.mark.parametrize("engine", ["datafusion", "spark"])
def test_columns_are_followed_through_expressions_joins_and_subqueries(engine: str) -> None:
    sql = """
        with counted as (select sha256, sum(size) as bytes, count(*) as files from raw.more group by sha256)
        select apps.sha256, upper(name) as name, case when bad = 1 then counted.bytes + size end as bytes,
          files, 7 as seven
        from raw.apps as apps left join counted on apps.sha256 = counted.sha256 where bad > 0
    """
    assert made_from(sql, engine) == {
        "sha256": ["raw.apps.sha256"],
        "name": ["raw.apps.name"],
        "bytes": ["raw.apps.bad", "raw.apps.size", "raw.more.size"],
        "files": [],
        "seven": [],
    }


def test_both_sides_of_a_union_count_by_place() -> None:
    sql = "select sha256 as id, size from raw.apps union all select sha256, size * 2 as twice from raw.more"
    assert made_from(sql) == {"id": ["raw.apps.sha256", "raw.more.sha256"], "size": ["raw.apps.size", "raw.more.size"]}


def test_a_star_stands_for_the_columns_of_its_table() -> None:
    assert made_from("select *, size as again from raw.more") == {
        "sha256": ["raw.more.sha256"],
        "size": ["raw.more.size"],
        "again": ["raw.more.size"],
    }


@pytest.mark.parametrize("sql", ["select from where", "", "drop table raw.apps"])
def test_what_cannot_be_read_has_no_lineage(sql: str) -> None:
    assert made_from(sql) == {}


def test_dagster_is_told_the_assets_of_the_tables() -> None:
    told = as_metadata(column_lineage("select size as bytes from raw.more", KNOWN))
    (dep,) = told.deps_by_column["bytes"]
    assert (dep.asset_key.path, dep.column_name) == (["tables", "raw", "more"], "size")
