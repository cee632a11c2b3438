"""The Android lab's two builds say the same: what Gradle reads is held against lab.toml, for Gradle cannot run here."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from dfp_platform.mobile.device import PACKAGE, RUNTIMES
from dfp_platform.mobile.device_row import PROTOCOL_VERSION, DeviceRow
from dfp_platform.settings import PROJECT_ROOT
from tests.android_project import LAB, lab
from tests.device_rows import ROW

SOURCES = LAB / "app" / "src"
JAVA = SOURCES / "protocol" / "java" / "dev" / "dfp" / "lab" / "protocol"
ANDROID = "{http://schemas.android.com/apk/res/android}"


@pytest.fixture(scope="module")
def gradle() -> str:
    return re.sub(r"//.*", "", (LAB / "app" / "build.gradle").read_text())


@pytest.mark.parametrize(
    ("place", "key"),
    [
        (r"applicationId '(.+)'", "package"),
        (r"namespace '(.+)'", "package"),
        (r"minSdk (\d+)", "min_sdk"),
        (r"targetSdk (\d+)", "target_sdk"),
        (r"versionCode (\d+)", "version_code"),
        (r"versionName '(.+)'", "version"),
        (r"JavaVersion\.VERSION_1_(\d+)", "java"),
    ],
)
def test_gradle_says_what_lab_toml_says(gradle, place, key):
    assert set(re.findall(place, gradle)) == {str(lab()["app"][key])}


def test_gradle_has_the_source_sets_of_every_runtime(gradle):
    listed = re.search(r"main\.java\.srcDirs = \[(.+?)\]", gradle, re.DOTALL)
    assert listed is not None
    wanted = [f"src/{name}/java" for name in [*lab()["app"]["sources"], *lab()["runtimes"]]]
    assert re.findall(r"'(.+?)'", listed[1]) == wanted
    for folder in wanted:
        assert list((LAB / "app" / folder).rglob("*.java")), folder


def test_gradle_has_the_libraries_of_every_runtime(gradle):
    libraries = [name.removesuffix("@aar") for runtime in lab()["runtimes"].values() for name in runtime["libraries"]]
    assert re.findall(r"implementation '(.+)'", gradle) == libraries
    assert re.findall(r"abiFilters (.+)", gradle) == [", ".join(f"'{abi}'" for abi in lab()["app"]["abis"])]


def test_neither_build_needs_androidx():
    found = [file.name for file in SOURCES.rglob("*.java") if "androidx" in file.read_text()]
    assert not found


def test_executorch_on_the_phone_is_that_of_the_exporter():
    pinned = re.search(r"^executorch==(.+)$", (PROJECT_ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert any(name.split(":")[-1] == f"{pinned[1]}@aar" for name in lab()["runtimes"]["executorch"]["libraries"])


def test_python_and_java_agree_on_package_protocol_and_runtimes():
    assert lab()["app"]["package"] == PACKAGE
    assert f'VERSION = "{PROTOCOL_VERSION}"' in (JAVA / "Protocol.java").read_text()
    known = dict(
        re.findall(r'BY_SUFFIX\.put\("(\w+)", "dev\.dfp\.lab\.runtimes\.(\w+)"\)', (JAVA / "Runtimes.java").read_text())
    )
    assert set(known) == set(RUNTIMES)
    for suffix, name in RUNTIMES.items():
        assert (SOURCES / name / "java" / "dev" / "dfp" / "lab" / "runtimes" / f"{known[suffix]}.java").is_file()


def test_the_app_writes_the_columns_that_a_row_has():
    text = "".join(
        file.read_text() for file in [*JAVA.glob("*.java"), *SOURCES.glob("main/java/**/AndroidDevice.java")]
    )
    written = set(re.findall(r'(?:row|facts|figures)\.put\(\s*"(\w+)"', text))
    written |= set(re.findall(r'"(p\d+_us|max_us)"', text))
    assert written == set(DeviceRow.model_fields) == set(ROW)


def test_texts_of_the_screens_are_all_there():
    known = {
        element.get("name")
        for element in ElementTree.parse(SOURCES / "main" / "res" / "values" / "strings.xml").getroot()
    }
    used = {
        name
        for file in SOURCES.rglob("main/java/**/*.java")
        for name in re.findall(r"R\.string\.(\w+)", file.read_text())
    }
    assert used == known


def test_every_component_of_the_manifest_is_a_class():
    for element in ElementTree.parse(SOURCES / "main" / "AndroidManifest.xml").iter():
        name = element.get(f"{ANDROID}name", "")
        if name.startswith("dev.dfp.lab."):
            assert (SOURCES / "main" / "java" / f"{name.replace('.', '/')}.java").is_file(), name
