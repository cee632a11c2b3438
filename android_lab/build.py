"""The plain build of the Android lab: javac, d8, aapt2, zipalign and apksigner; no Gradle, no Android SDK.

    python android_lab/build.py apk [--output FILE]
    python android_lab/build.py test --session FOLDER

Libraries and d8 come from Maven Central by `mvn`, the other tools from Debian: apt install aapt apksigner zipalign.
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
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "app" / "src"
CACHE = HERE.parent / ".cache" / "android"
APK = HERE / "build" / "dfp-lab.apk"
TOOLS = ("javac", "java", "keytool", "mvn", "aapt2", "zipalign", "apksigner")
_BULKY = "nativeruntime-dist-compat"  # 154 MB of Robolectric that draw pictures, which no test asks for
_PASSWORD = "android"  # of the debug key, which is made on this machine and proves nothing


@dataclass(frozen=True, slots=True)
class Lab:
    """What `lab.toml` says.

    Attributes:
        app: package, versions, SDKs, ABIs and the source sets of every build.
        tools: name → Maven coordinates of what builds and tests.
        runtimes: name → libraries, and whether a build without them is none.
    """

    app: dict[str, Any]
    tools: dict[str, str]
    runtimes: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, file: Path = HERE / "lab.toml") -> Lab:
        """What the file says."""
        return cls(**tomllib.loads(file.read_text()))


@dataclass(frozen=True, slots=True)
class Library:
    """An AAR or jar: its classes, and its native libraries by their place in an APK."""

    classes: Path
    native: dict[str, bytes]


def missing_tools() -> list[str]:
    """Tools that are not on PATH."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def fetched(coordinates: Sequence[str], *, closure: bool = False) -> list[Path] | None:
    """Files of `group:artifact:version[@type]`, from Maven's own store; None: Maven does not have them all.

    Args:
        closure: with what they need themselves.
    """
    text = _pom(coordinates, _BULKY if closure else "*")
    folder = CACHE / hashlib.sha256(text.encode()).hexdigest()[:12]
    listed = folder / "files.json"
    if listed.exists():
        files = [Path(file) for file in json.loads(listed.read_text())]
        if all(file.exists() for file in files):
            return files
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pom.xml").write_text(text)
    path = folder / "classpath.txt"
    command = ["mvn", "-q", "-B", "dependency:build-classpath", f"-Dmdep.outputFile={path}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        return None
    files = [Path(file) for file in path.read_text().strip().split(os.pathsep)]
    listed.write_text(json.dumps([str(file) for file in files]))
    return files


def _pom(coordinates: Sequence[str], without: str) -> str:
    """A project that has these as its dependencies, and what they need but for the artifact `without` (``*``: all)."""
    parts = []
    for coordinate in coordinates:
        name, _, kind = coordinate.partition("@")
        group, artifact, version = name.split(":")
        parts.append(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
            f"<type>{kind or 'jar'}</type>"
            f"<exclusions><exclusion><groupId>*</groupId><artifactId>{without}</artifactId></exclusion></exclusions>"
            "</dependency>"
        )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>dfp</groupId><artifactId>lab</artifactId><version>1</version>\n<dependencies>\n"
        + "\n".join(parts)
        + "\n</dependencies></project>\n"
    )


def unpacked(file: Path, folder: Path) -> Library:
    """The classes and native libraries of an AAR or jar."""
    if file.suffix != ".aar":
        return Library(file, {})
    classes = folder / f"{file.stem}.jar"
    with zipfile.ZipFile(file) as archive:
        classes.write_bytes(archive.read("classes.jar"))
        native = {
            name.replace("jni/", "lib/", 1): archive.read(name)
            for name in archive.namelist()
            if name.startswith("jni/") and name.endswith(".so")
        }
    return Library(classes, native)


def available(lab: Lab) -> dict[str, list[Path]]:
    """Runtime → files of its libraries, as far as Maven has them. Ends the build if a required one is missing."""
    found: dict[str, list[Path]] = {}
    for name, runtime in lab.runtimes.items():
        files = fetched(runtime["libraries"])
        if files is not None:
            found[name] = files
        elif runtime["required"]:
            sys.exit(f"Maven does not have {', '.join(runtime['libraries'])}\n  next: run mvn by hand and see why")
        else:
            print(f"left out: {name} (Maven here does not have {runtime['libraries'][0]})", flush=True)
    return found


def compiled(lab: Lab, sources: Iterable[str], classpath: Sequence[Path], output: Path, *more: Path) -> list[Path]:
    """Class files of source sets, and of `more` folders of Java. Warnings are errors."""
    folders = [SOURCES / name / "java" for name in sources] + list(more)
    files = sorted(str(file) for folder in folders for file in folder.rglob("*.java"))
    output.mkdir(parents=True, exist_ok=True)
    command = ["javac", "--release", str(lab.app["java"]), "-Xlint:all,-options,-processing,-classfile", "-Werror"]
    joined = os.pathsep.join(str(path) for path in classpath)
    _run(*command, "-encoding", "UTF-8", "-proc:none", "-cp", joined, "-d", str(output), *files)
    return sorted(output.rglob("*.class"))


def built(lab: Lab, output: Path) -> tuple[Path, list[str]]:
    """A signed APK, and the names of the runtimes in it."""
    if missing := missing_tools():
        sys.exit(f"not on PATH: {', '.join(missing)}\n  next: apt install openjdk-17-jdk maven aapt apksigner zipalign")
    tools = fetched([lab.tools["android"], lab.tools["d8"]])
    if tools is None:
        sys.exit(f"Maven does not have {lab.tools['android']} and {lab.tools['d8']}\n  next: run mvn by hand")
    android, d8 = tools
    runtimes = available(lab)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        libraries = [unpacked(file, work) for files in runtimes.values() for file in files]
        linked = _linked(lab, android, work)
        jars = [library.classes for library in libraries]
        classes = compiled(
            lab, [*lab.app["sources"], *runtimes], [android, *jars], work / "classes", work / "generated"
        )
        java_home = Path(shutil.which("javac") or "").resolve().parent.parent
        listed = work / "inputs.txt"
        listed.write_text("\n".join(str(path) for path in [*classes, *jars]))
        where = ("--lib", str(android), "--lib", str(java_home), "--min-api", str(lab.app["min_sdk"]))
        _run(
            "java", "-cp", str(d8), "com.android.tools.r8.D8", "--release", *where, "--output", str(work), f"@{listed}"
        )
        _add(linked, lab, sorted(work.glob("classes*.dex")), libraries)
        _run("zipalign", "-f", "-p", "4", str(linked), str(work / "aligned.apk"))
        _sign(work / "aligned.apk", work / "signed.apk", lab)
        output.parent.mkdir(parents=True, exist_ok=True)
        unfinished = output.with_name(f".{output.name}")
        shutil.copyfile(work / "signed.apk", unfinished)
        unfinished.replace(output)
    return output, list(runtimes)


def _linked(lab: Lab, android: Path, work: Path) -> Path:
    """An APK of manifest and resources, and R.java beneath `work/generated`."""
    app, linked = lab.app, work / "linked.apk"
    sdks = f'android:minSdkVersion="{app["min_sdk"]}" android:targetSdkVersion="{app["target_sdk"]}"'
    versions = f'android:versionCode="{app["version_code"]}" android:versionName="{app["version"]}"'
    manifest = (SOURCES / "main" / "AndroidManifest.xml").read_text()
    manifest = manifest.replace("<manifest", f'<manifest package="{app["package"]}" {versions}', 1)
    manifest = manifest.replace("<application", f"<uses-sdk {sdks} />\n    <application", 1)
    (work / "AndroidManifest.xml").write_text(manifest)
    _run("aapt2", "compile", "--dir", str(SOURCES / "main" / "res"), "-o", str(work / "resources.zip"))
    where = ("-I", str(android), "--manifest", str(work / "AndroidManifest.xml"), "--java", str(work / "generated"))
    _run("aapt2", "link", "-o", str(linked), *where, str(work / "resources.zip"))
    return linked


def _add(apk: Path, lab: Lab, dex: Iterable[Path], libraries: Iterable[Library]) -> None:
    """Put code and native libraries of the wanted ABIs into an APK."""
    with zipfile.ZipFile(apk, "a", zipfile.ZIP_DEFLATED) as archive:
        for file in dex:
            archive.write(file, file.name)
        for library in libraries:
            for name, data in sorted(library.native.items()):
                if name.split("/")[1] in lab.app["abis"]:
                    archive.writestr(name, data)


def _sign(apk: Path, signed: Path, lab: Lab) -> None:
    """Sign with this machine's debug key, made at the first build: a phone takes an update only by the same key."""
    key = CACHE / "debug.keystore"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        young = key.with_suffix(".young")
        secret = ("-storepass", _PASSWORD, "-keypass", _PASSWORD, "-dname", "CN=dfp lab debug")
        kind = ("-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-storetype", "PKCS12")
        _run("keytool", "-genkeypair", "-keystore", str(young), "-alias", "lab", *kind, *secret)
        young.replace(key)
    access = ("--ks", str(key), "--ks-pass", f"pass:{_PASSWORD}", "--min-sdk-version", str(lab.app["min_sdk"]))
    _run("apksigner", "sign", *access, "--out", str(signed), str(apk))


def tested(lab: Lab, session: Path) -> int:
    """JUnit over the app on this JVM; `session` is a folder as `dfp device run` pushes. Its exit code."""
    names = ("junit", "onnxruntime", "android", "android_on_jvm")
    tools = fetched([lab.tools[name] for name in names])
    robolectric = fetched([lab.tools["robolectric"], lab.tools["junit4"]], closure=True)
    if tools is None or robolectric is None:
        sys.exit(f"Maven does not have all of {', '.join(lab.tools.values())}\n  next: run mvn by hand")
    junit, onnxruntime, android, on_jvm = tools
    with tempfile.TemporaryDirectory() as scratch:
        work, classes = Path(scratch), Path(scratch, "classes")
        jars = [junit, onnxruntime, *(unpacked(file, work).classes for file in robolectric), android]
        linked = _linked(lab, android, work)
        sources = [*lab.app["sources"], "onnxruntime", "executorch", "test"]
        compiled(lab, sources, jars, classes, work / "generated")
        _tell_robolectric(lab, work, linked)
        path = os.pathsep.join(str(part) for part in [classes, *jars])
        told = {
            "dfp.session": session,
            "java.io.tmpdir": scratch,
            "robolectric.offline": "true",
            "robolectric.dependency.dir": on_jvm.parent,
        }
        command = ["java", *(f"-D{name}={value}" for name, value in told.items()), "-cp", path]
        launcher = ("org.junit.platform.console.ConsoleLauncher", "execute", f"--scan-classpath={classes}")
        return subprocess.run(
            [*command, *launcher, "--disable-banner", "--details=tree", "--disable-ansi-colors"]
        ).returncode


def _tell_robolectric(lab: Lab, work: Path, linked: Path) -> None:
    """Where Robolectric finds manifest and resources; it reads that on the class path."""
    place = work / "classes" / "com" / "android" / "tools" / "test_config.properties"
    place.parent.mkdir(parents=True)
    told = {
        "android_merged_manifest": work / "AndroidManifest.xml",
        "android_resource_apk": linked,
        "android_custom_package": lab.app["package"],
    }
    place.write_text("".join(f"{name}={value}\n" for name, value in told.items()))
    (work / "classes" / "robolectric.properties").write_text("sqliteMode=LEGACY\n")


def _run(*command: str) -> None:
    """Run a tool; end the build with what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def main() -> None:
    """Build or test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    acts = parser.add_subparsers(dest="act", required=True)
    acts.add_parser("apk").add_argument("--output", type=Path, default=APK)
    acts.add_parser("test").add_argument("--session", type=Path, required=True)
    told = parser.parse_args()
    if told.act == "test":
        sys.exit(tested(Lab.read(), told.session))
    apk, runtimes = built(Lab.read(), told.output)
    print(f"{apk} ({apk.stat().st_size / 1e6:.1f} MB; runtimes: {', '.join(runtimes)})")


if __name__ == "__main__":
    main()
