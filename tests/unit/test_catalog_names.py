"""Names of Iceberg as paths of a lake."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfp_platform.catalog.names import (
    folder_name,
    identifier_of,
    is_pointer,
    namespace_of,
    namespace_path,
    namespace_prefix,
    nested_prefix,
    pointer_path,
)
from dfp_platform.errors import InvalidNameError
from dfp_platform.lake import checked_path

BUSY = settings(suppress_health_check=[HealthCheck.too_slow])  # machines that run tests are busy
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(lambda name: name.strip())
IDENTIFIER = st.lists(NAME, min_size=2, max_size=4).map(tuple)


@given(identifier=IDENTIFIER)
@BUSY
def test_any_name_becomes_a_path_the_lake_can_hold_and_comes_back(identifier):
    path = pointer_path(identifier)
    assert checked_path(path) == path
    assert is_pointer(path)
    assert identifier_of(path) == identifier


@given(left=IDENTIFIER, right=IDENTIFIER)
@BUSY
def test_different_names_have_different_paths(left, right):
    assert (pointer_path(left) == pointer_path(right)) == (left == right)


@given(identifier=IDENTIFIER)
@BUSY
def test_a_namespace_object_is_no_table_and_lies_in_its_namespace_only(identifier):
    path = namespace_path(identifier)
    assert checked_path(path) == path
    assert not is_pointer(path)
    assert namespace_of(path) == identifier
    assert path.startswith(namespace_prefix(identifier))
    assert path.startswith(nested_prefix(identifier[:-1]))
    assert not pointer_path(identifier).startswith(nested_prefix(identifier))


def test_a_plain_table_lies_where_asset_keys_say():
    assert pointer_path(("marts", "fct_training_dataset")) == "tables/marts/fct_training_dataset"


def test_a_table_named_like_the_namespace_object_or_with_dots_collides_with_nothing():
    assert pointer_path(("a", "=namespace")) != namespace_path(("a",))
    assert pointer_path(("a.b", "t")) != pointer_path(("a", "b", "t"))
    assert pointer_path(("a", "b", "t")).rpartition("/")[0] != pointer_path(("a", "b"))


@pytest.mark.parametrize("identifier", [("table",), ("", "t"), ("a", " "), ()])
def test_a_name_without_namespace_or_letters_is_refused(identifier):
    with pytest.raises(InvalidNameError):
        pointer_path(identifier)


def test_folders_of_the_warehouse_need_no_encoding():
    assert folder_name("a b.c/ü%") == "a_b_c___"
    assert len(folder_name("x" * 500)) <= 100
