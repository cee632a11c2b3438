"""The offline store on Spark, through the lake's REST catalog at a ref: the same answers as ours (`make engines`)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.lake import open_lake
from tests.conformance.spark_session import LEAVES_SOCKETS, spark_on
from tests.integration import test_point_in_time as plain

pytestmark = [
    pytest.mark.timeout(600),
    *(pytest.mark.filterwarnings(warning) for warning in LEAVES_SOCKETS),
]


def versions(seed: int) -> list[Any]:
    """Histories with ties, nulls, unknown values and another device's rows."""
    drawn = random.Random(seed)
    return [
        (
            drawn.choice([*plain.APPS[:3], None]),
            drawn.choice([None, *range(0, 120, 12)]),
            drawn.choice([None, 0, 1]),
            drawn.choice([0.0, 1.0, 2.0, float("nan")]),
            drawn.choice([-1.0, 5.0, float("nan")]),
            drawn.choice(["real_device", "real_device", "emulator"]),
        )
        for _ in range(60)
    ]


def on_spark(store: Any) -> Any:
    """A store of the same registry that reads by Spark, configured as a person would."""
    from feast import FeatureStore, RepoConfig

    from dfp_platform.features.registry import canonical

    kept = store.config.registry.model_dump() | {"content": canonical(store.registry.proto())}
    kind = {"type": "dfp_platform.features.spark_offline.LakeSparkOfflineStore"}
    config = RepoConfig(
        project="dfp", registry=kept, offline_store=kind, online_store=None, entity_key_serialization_version=3
    )
    return FeatureStore(config=config)


@pytest.mark.parametrize("kind", plain.KINDS)
def test_spark_knows_at_a_moment_what_we_know(kind: str, tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    lake.create_branch("mine", "main")
    overwrite(open_catalog(lake, "mine"), plain.TABLE, plain.as_table(versions(3), kind))
    asked = [(key, hour) for key in plain.APPS for hour in range(0, 130, 7)]
    rows = plain.frame(asked, "Asia/Tokyo")
    ours = plain.store_of(lake, "mine").get_historical_features(rows, plain.REFS, full_feature_names=True).to_arrow()
    with spark_on(lake, ["mine"]):
        store = on_spark(plain.store_of(lake, "mine"))
        answer = store.get_historical_features(rows, plain.REFS, full_feature_names=True).to_arrow()
    by_question = {row["question"]: row for row in answer.to_pylist()}
    assert len(by_question) == answer.num_rows == len(asked)
    for row in ours.to_pylist():
        other = by_question[row["question"]]
        for name in ours.column_names:
            assert (
                plain.same(row[name], other[name])
                if "__" in name
                else name == "event_timestamp" or row[name] == other[name]
            )
            assert "__" not in name or row[name] is not None or other[name] is None
    told = {name: ours[name].null_count for name in ours.column_names if "__" in name}
    assert 0 < told["app_all__vector"] <= told["app_dynamic__vector"] < len(asked)


def test_spark_reads_the_latest_versions_that_we_read(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    overwrite(open_catalog(lake, "main"), plain.TABLE, plain.as_table(versions(4), "zoned"))

    def latest(store: Any) -> list[Any]:
        source = store.get_feature_view("app_all").batch_source
        job = store._get_provider().offline_store.pull_latest_from_table_or_query(
            config=store.config,
            data_source=source,
            join_key_columns=[plain.KEY],
            feature_name_columns=["sys_read", "perm_reboot"],
            timestamp_field=source.timestamp_field,
            created_timestamp_column=source.created_timestamp_column,
            start_date=plain.DAY,
            end_date=plain.hours(100),
        )
        frame: pd.DataFrame = job.to_arrow().select([plain.KEY, "sys_read", "perm_reboot"]).to_pandas()
        return pa.Table.from_pandas(frame.fillna(-9.0).sort_values(plain.KEY), preserve_index=False).to_pylist()

    ours = latest(plain.store_of(lake, "main"))
    with spark_on(lake, ["main"]):
        assert latest(on_spark(plain.store_of(lake, "main"))) == ours
    assert len(ours) == 3
