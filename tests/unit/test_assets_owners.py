"""Every asset has an owner and a description: a page in Dagster that says neither helps nobody."""

from __future__ import annotations

from dfp_platform.definitions import defs
from dfp_platform.resources.dagster_internals import path_of


def test_every_asset_belongs_to_the_team_of_its_room_and_says_what_it_is() -> None:
    graph = defs.resolve_asset_graph()
    nodes = {path_of(key): graph.get(key) for key in graph.materializable_asset_keys}
    assert nodes["models/autoencoder"].owners == ["team:models"]
    assert nodes["tables/marts/fct_training_dataset"].owners == ["team:tables"]
    assert {path: node.owners for path, node in nodes.items() if node.owners != [f"team:{path.split('/')[0]}"]} == {}
    assert [path for path, node in nodes.items() if not node.description or not node.kinds] == []
    checks = [graph.get(key) for key in graph.asset_check_keys]
    assert [check.key for check in checks if not check.description] == []
    told = {check.key.name: check.description for check in checks}
    assert told["not_null_split_index_sha256"] == "No row lacks sha256."
    assert told["unique_dim_malware_families_mal_family"] == "No value of mal_family is there twice."
    assert told["accepted_values_split_index_time_split__past__future"] == "time_split is one of past, future."
    related = "relationships_fct_malware_samples_mal_family__mal_family__ref_dim_malware_families_"
    assert told[related] == "Every mal_family is a mal_family of dim_malware_families, where malware = 1."
    assert told["a_month_has_one_row_per_device_and_label"] == "No two rows agree in month, device, malware."
