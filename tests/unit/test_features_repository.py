"""The definitions: which column is in which view, which element of the stored vector it is, and bytes that stay."""

from __future__ import annotations

import json

import pytest

from dfp_platform.errors import InputError
from dfp_platform.features.registry import canonical, store_from
from dfp_platform.features.repository import ALL, VECTOR, VIEWS, columns_of, definitions, positions
from dfp_platform.models.data import feature_schema_hash

NAMES = ("sys_read", "perm_reboot", "sys_reboot", "app_file_size")


def test_a_views_vector_is_elements_of_the_stored_one_in_the_tables_order() -> None:
    assert positions(ALL, VECTOR, NAMES) == (0, 1, 2, 3)
    assert positions("app_dynamic", VECTOR, NAMES) == (0, 2)
    assert positions("app_static", VECTOR, NAMES) == (1, 3)


def test_a_column_is_one_element_of_the_stored_vector() -> None:
    assert positions("app_dynamic", "sys_reboot", NAMES) == positions(ALL, "sys_reboot", NAMES) == (2,)


def test_every_column_is_in_the_view_of_all_and_in_one_other() -> None:
    others = [name for view in VIEWS if view != ALL for name in columns_of(view, NAMES)]
    assert sorted(others) == sorted(columns_of(ALL, NAMES))


def test_a_feature_of_another_view_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="app_static:sys_read"):
        positions("app_static", "sys_read", NAMES)
    with pytest.raises(InputError, match="no feature view 'app_vector'"):
        columns_of("app_vector", NAMES)
    with pytest.raises(InputError) as caught:
        positions(ALL, "sys_rebot", NAMES)
    assert "app_all:sys_reboot" in str(caught.value.hint)


def test_definitions_tell_what_each_element_means_and_who_owns_them() -> None:
    store = store_from(b"", lake_uri="", ref="main", online=None)
    store.apply(definitions(NAMES))
    for view in store.list_feature_views():
        held = columns_of(view.name, NAMES)
        assert [field.name for field in view.features] == [VECTOR, *held]
        assert json.loads(view.tags["feature_names"]) == list(held)
        assert view.tags["schema_hash"] == feature_schema_hash(held)
    services = store.list_feature_services()
    assert {"autoencoder", "vae", "detector", "xgboost", "malware_model"} == {service.name for service in services}
    assert all(service.tags["schema_hash"] == feature_schema_hash(NAMES) for service in services)
    told = [*store.list_entities(), *store.list_feature_views(), *store.list_data_sources(), *services]
    assert all(one.owner and one.description and one.tags for one in told)


def test_a_view_without_a_column_is_left_out() -> None:
    store = store_from(b"", lake_uri="", ref="main", online=None)
    store.apply(definitions(["sys_read"]))
    assert {view.name for view in store.list_feature_views()} == {"app_dynamic", "app_all"}


def test_applying_onto_what_is_applied_changes_no_byte() -> None:
    store = store_from(b"", lake_uri="", ref="main", online=None)
    store.apply(definitions(NAMES))
    first = canonical(store.registry.proto())
    again = store_from(first, lake_uri="", ref="main", online=None)
    again.apply(definitions(NAMES))
    assert canonical(again.registry.proto()) == first
