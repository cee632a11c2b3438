"""Iceberg's REST Compatibility Kit against `dfp catalog serve`: `make conformance`.

Maven fetches the kit once (Java 17 and Maven 3.8 or newer are needed) into its own repository; the class path is kept
in `.cache/`. Each suite gets a lake of its own. The last line says how many tests passed, for a script to read; exit
code 1 means that a test failed which should pass, or the reverse (see not_applicable.toml).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ICEBERG = "1.10.1"
SUITES = {"catalog": "RESTCompatibilityKitCatalogTests", "views": "RESTCompatibilityKitViewCatalogTests"}
SWITCHES = {
    "CATALOG_WAREHOUSE": "main",
    "CATALOG_RCK_REQUIRES__NAMESPACE__CREATE": "true",
    "CATALOG_RCK_SUPPORTS__SERVERSIDE__RETRY": "true",
    "CATALOG_RCK_OVERRIDES__REQUESTED__LOCATION": "false",
    "CATALOG_RCK_SUPPORTS__NAMES__WITH__DOT": "true",
}
ARTIFACTS = (
    f"org.apache.iceberg:iceberg-open-api:{ICEBERG}:tests",
    f"org.apache.iceberg:iceberg-open-api:{ICEBERG}:test-fixtures",
    f"org.apache.iceberg:iceberg-core:{ICEBERG}",
    f"org.apache.iceberg:iceberg-core:{ICEBERG}:tests",
    f"org.apache.iceberg:iceberg-api:{ICEBERG}",
    f"org.apache.iceberg:iceberg-api:{ICEBERG}:tests",
    f"org.apache.iceberg:iceberg-data:{ICEBERG}",
    f"org.apache.iceberg:iceberg-common:{ICEBERG}",
    "org.apache.hadoop:hadoop-common:3.4.1",
    "org.junit.jupiter:junit-jupiter:5.13.4",
    "org.junit.platform:junit-platform-suite:1.13.4",
    "org.junit.platform:junit-platform-console-standalone:1.13.4",
    "org.assertj:assertj-core:3.27.4",
    "org.awaitility:awaitility:4.3.0",
    "org.mockito:mockito-core:4.11.0",
    "org.slf4j:slf4j-simple:2.0.17",
    "org.xerial:sqlite-jdbc:3.50.3.0",
    "org.eclipse.jetty:jetty-server:11.0.25",
    "org.eclipse.jetty:jetty-servlet:11.0.25",
)


@dataclass(frozen=True)
class Outcome:
    """One suite: the tests that passed, failed and were skipped by name, the failures with what was said."""

    passed: set[str]
    failed: dict[str, str]
    skipped: set[str]


@dataclass(frozen=True)
class Judged:
    """An outcome held against what is expected."""

    passed: int
    not_applicable: int
    wrong: list[str]


def pom() -> str:
    """The project that has the kit as its only dependencies."""
    places = ("groupId", "artifactId", "version", "classifier")
    dependencies = "\n".join(
        "<dependency>"
        + "".join(f"<{place}>{part}</{place}>" for place, part in zip(places, artifact.split(":"), strict=False))
        + "</dependency>"
        for artifact in ARTIFACTS
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>dfp</groupId><artifactId>conformance</artifactId><version>1</version>\n"
        f"<dependencies>\n{dependencies}\n</dependencies></project>\n"
    )


def class_path(cache: Path) -> str:
    """The kit's jars, fetched by Maven the first time."""
    text = pom()
    folder = cache / f"rck-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    found = folder / "classpath.txt"
    if not found.exists() or not all(Path(jar).exists() for jar in found.read_text().split(os.pathsep)):
        for tool in ("mvn", "java"):
            if shutil.which(tool) is None:
                sys.exit(f"{tool} is not on the path\n  next: install Java 17 and Maven (Debian: openjdk-17-jdk maven)")
        print("fetching the kit with Maven …", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pom.xml").write_text(text)
        young = folder / "young.txt"
        command = ["mvn", "-q", "-B", "dependency:build-classpath", f"-Dmdep.outputFile={young}"]
        subprocess.run(command, cwd=folder, check=True)
        young.replace(found)
    return found.read_text()


@contextmanager
def embedded(folder: Path) -> Iterator[str]:
    """The address of a lake in a folder."""
    yield str(folder / "lake")


@contextmanager
def lakefs(folder: Path) -> Iterator[str]:
    """The address of a lake on the lakeFS server that `DFP_TEST_LAKEFS` names, else on the tests' double of one."""
    import pytest

    from tests.lakefs_double.places import new_repository, use_lakefs

    with pytest.MonkeyPatch.context() as patch:
        use_lakefs(patch, folder)
        yield new_repository()


KEEPERS = {"embedded": embedded, "lakefs": lakefs}


@contextmanager
def served(lake: str) -> Iterator[str]:
    """The address of a server over a new lake."""
    from dfp_platform.lake import open_lake

    open_lake(lake, create=True)
    command = [sys.executable, "-m", "dfp_platform.cli", "catalog", "serve", "--port", "0", "--json", "--lake", lake]
    # the kit puts tables into folders of its own choice
    command += ["--allow-location", tempfile.gettempdir(), "--allow-location", "/tmp"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None  # piped above
        told = ""
        while not told.rstrip().endswith("}"):
            line = server.stdout.readline()
            if not line:
                sys.exit("the server ended before it answered")
            told += line
        yield json.loads(told)["uri"]
    finally:
        server.terminate()
        server.wait(timeout=30)


def run_suite(suite: str, uri: str, jars: str, reports: Path) -> Outcome:
    """Let JUnit run one suite against a server."""
    command = ["java", "-cp", jars, "org.junit.platform.console.ConsoleLauncher", "execute"]
    command += ["--select-class", f"org.apache.iceberg.rest.{SUITES[suite]}", "--config=rck.local=false"]
    command += ["--disable-banner", "--details=none", f"--reports-dir={reports}"]
    environment = {**os.environ, **SWITCHES, "CATALOG_URI": uri}
    with (reports.parent / f"{suite}.log").open("w") as log:
        subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    return outcome(reports / "TEST-junit-jupiter.xml")


def outcome(report: Path) -> Outcome:
    """What JUnit's report says of each test."""
    passed, failed, skipped = set(), {}, set()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name, parts = case.get("name", ""), {part.tag: part for part in case}
        wrong = parts.get("failure", parts.get("error"))
        if wrong is not None:
            failed[name] = (wrong.get("message") or wrong.text or "").strip()
        elif "skipped" in parts:
            skipped.add(name)
        else:
            passed.add(name)
    return Outcome(passed, failed, skipped)


def judged(found: Outcome, not_applicable: dict[str, str]) -> Judged:
    """Who failed or passed against expectation; a test that should not apply may fail or be skipped, not pass."""
    wrong = [f"{name}: {why}" for name, why in found.failed.items() if name not in not_applicable]
    wrong += [f"{name}: was skipped" for name in found.skipped if name not in not_applicable]
    wrong += [f"{name}: passed, though it should not apply" for name in found.passed if name in not_applicable]
    known = found.passed | found.failed.keys() | found.skipped
    wrong += [f"{name}: is no test of the kit" for name in not_applicable if name not in known]
    expected = [name for name in not_applicable if name in found.failed or name in found.skipped]
    return Judged(len(found.passed), len(expected), sorted(wrong))


def judge_suite(suite: str, keeper: str, jars: str) -> Judged:
    """Run one suite over a new lake and say how it went."""
    expectations = tomllib.loads((HERE / "not_applicable.toml").read_text())
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dfp-conformance-") as folder, KEEPERS[keeper](Path(folder)) as lake:
        reports = Path(folder) / "reports"
        reports.mkdir()
        with served(lake) as uri:
            found = judged(run_suite(suite, uri, jars, reports), expectations[suite])
    for line in found.wrong:
        print(f"  {line}")
    print(f"{keeper}, {suite}: {said(found)} ({time.monotonic() - begun:.0f} s)", flush=True)
    return found


def main() -> None:
    """Run the suites that were asked for; see the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--suite", choices=[*SUITES, "all"], default="all")
    parser.add_argument("--keeper", choices=[*KEEPERS, "all"], default="all", help="who keeps the lakes it runs over")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache", help="where the class path is kept")
    asked = parser.parse_args()
    jars = class_path(asked.cache.absolute())
    totals = [
        judge_suite(suite, keeper, jars)
        for keeper in (KEEPERS if asked.keeper == "all" else [asked.keeper])
        for suite in (SUITES if asked.suite == "all" else [asked.suite])
    ]
    whole = Judged(
        sum(one.passed for one in totals),
        sum(one.not_applicable for one in totals),
        [w for t in totals for w in t.wrong],
    )
    print(said(whole))
    sys.exit(bool(whole.wrong))


def said(found: Judged) -> str:
    """An outcome in one line."""
    return f"{found.passed} passed, {len(found.wrong)} failed, {found.not_applicable} not applicable"


if __name__ == "__main__":
    main()
