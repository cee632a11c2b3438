"""Names that strangers choose stay in their folders: objects, refs, tables, locations, zip members, pages, models."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyiceberg.io.pyarrow import PyArrowFileIO
from starlette.testclient import TestClient

from dfp_platform.catalog.names import folder_name, pointer_path
from dfp_platform.catalog.rest.access import Access
from dfp_platform.catalog.rest.app import Server
from dfp_platform.errors import DfpError, InputError, InvalidNameError
from dfp_platform.ingest.zips import tables
from dfp_platform.lake import Lake, checked_path, checked_ref_name, open_lake
from dfp_platform.models.presets import resolve
from dfp_platform.serving.pages import create_pages
from dfp_platform.serving.published import published

FEW = settings(max_examples=60, suppress_health_check=[*HealthCheck])
TRICKS = [
    "..",
    ".",
    "",
    "/",
    "\\",
    "~",
    "%2e%2e",
    "%2F",
    "\0",
    "C:",
    "file:",
    "..%00",
    "．．",
    "a",
    "etc",
    "passwd",
    " ",
    "\n",
]
HOSTILE = st.lists(st.sampled_from(TRICKS) | st.text(max_size=3), min_size=1, max_size=6).map("/".join)
SECRET = b"what lies beside the lake"


def inside(root: str, path: str) -> bool:
    return os.path.normpath(path).startswith(os.path.normpath(root) + os.sep)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret.html").write_bytes(SECRET)
    made = open_lake(folder / "lake", create=True)
    made.commit("main", {"reports/a.html": b"<p>a</p>"}, message="a page")
    return made


@given(name=HOSTILE)
@example(name="a/../../b")
@FEW
def test_an_object_lies_in_its_lake_or_has_no_name(name: str) -> None:
    try:
        path = checked_path(name)
    except InvalidNameError:
        return
    assert inside("/lake", f"/lake/{path}")
    assert "\\" not in path


@given(name=HOSTILE)
@FEW
def test_a_ref_is_one_plain_word_or_none(name: str) -> None:
    try:
        ref = checked_ref_name(name)
    except InvalidNameError:
        return
    assert os.path.basename(ref) == ref
    assert not ref.startswith((".", "-"))


@given(namespace=HOSTILE, table=HOSTILE)
@FEW
def test_a_table_has_a_pointer_in_the_lake_and_a_folder_in_the_warehouse(namespace: str, table: str) -> None:
    try:
        pointer = pointer_path((namespace, table))
    except InvalidNameError:
        return
    assert inside("/lake/tables", f"/lake/{checked_path(pointer)}")
    for name in (namespace, table):
        folder = folder_name(name)
        assert "/" not in folder
        assert inside("/warehouse", f"/warehouse/{folder}/")


@given(
    tail=HOSTILE,
    base=st.sampled_from(["{warehouse}/", "{warehouse}", "file://{warehouse}/", "file://host/", "", "/", "s3://b/"]),
)
@example(tail="../../../etc", base="{warehouse}/")
@example(tail="-elsewhere/a", base="{warehouse}")
@example(tail="C:", base="")
@FEW
def test_a_location_that_a_client_names_is_in_the_warehouse_or_refused(lake: Lake, tail: str, base: str) -> None:
    catalog: Any = Server(lake, Access(None)).catalog("main")
    location = base.format(warehouse=lake.warehouse) + tail
    try:
        catalog.refuse_location(location)
    except (DfpError, ValueError):  # pyiceberg knows no such scheme
        return
    scheme, _, path = PyArrowFileIO.parse_location(location)
    assert scheme == "file"
    assert inside(lake.warehouse, f"{path}/x")


@given(names=st.lists(HOSTILE.filter(str.strip), min_size=1, max_size=4, unique=True))
@FEW
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_members_of_a_zip_are_read_and_never_laid_down(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    around = tmp_path_factory.mktemp("zip")
    archive = around / "in" / "here" / "apps.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as written:
        for name in names:
            written.writestr(zipfile.ZipInfo(f"{name}.csv".encode("utf-8", "replace").decode()), "a,b\n1,2\n")
    before = sorted(around.rglob("*"))
    try:
        found = tables(archive)
        assert {table.name.startswith("apps.zip/") for table in found} <= {True}
    except InputError:
        pass
    assert sorted(around.rglob("*")) == before


@given(path=HOSTILE)
@example(path="main/../../secret.html")
@example(path="main/%2e%2e/%2e%2e/secret.html")
@example(path="..%2f..%2fsecret.html")
@FEW
def test_a_page_shows_the_lake_and_nothing_beside_it(lake: Lake, path: str) -> None:
    browser = TestClient(create_pages(lake, "main"), base_url="http://127.0.0.1:8020", follow_redirects=False)
    answer = browser.get(f"/{quote(path.lstrip('/'), safe='/%.~')}")
    assert answer.status_code in (200, 307, 400, 404)
    assert SECRET not in answer.content


@given(name=HOSTILE)
@example(name="../../secret")
@FEW
def test_a_model_or_a_preset_of_a_strange_name_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(DfpError):
        published(lake, "main", name)
    with pytest.raises(DfpError):
        resolve({"model": name})


def test_a_lake_beside_the_secret_is_what_these_tests_had(lake: Lake) -> None:
    assert (Path(lake.uri).parent / "secret.html").read_bytes() == SECRET
