"""A double of adb for tests: a program on PATH that plays one device, its files in a folder, from a script in JSON.

The folder that `ADB_DOUBLE` names holds `script.json` (what the device is and where it fails), `device/` (its files)
and `calls.jsonl` (what was asked). Only the standard library: it starts once a call.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

PLACE = Path(os.environ["ADB_DOUBLE"])
SCRIPT = json.loads((PLACE / "script.json").read_text())
DEVICE = PLACE / "device"
APP = PLACE / "installed"
ACTS = {}


def fails(act):
    """End as the script says for this act, if it says so: [exit code, stdout, stderr]."""
    if act in SCRIPT.get("fails", {}):
        code, said, complained = SCRIPT["fails"][act]
        sys.stdout.write(said)
        sys.stderr.write(complained)
        sys.exit(code)


def there(path):
    return DEVICE / path.lstrip("/")


def shell(words):
    line = " ".join(words)
    for act in SCRIPT.get("fails", {}):
        if line.startswith(act):
            fails(act)
    if line == "getprop":
        print("\n".join(f"[{name}]: [{value}]" for name, value in SCRIPT["properties"].items()))
    elif line == "dumpsys battery":
        temperatures = SCRIPT["temperatures"]
        looks = PLACE / "looks"
        number = int(looks.read_text()) if looks.exists() else 0
        looks.write_text(str(number + 1))
        told = temperatures[min(number, len(temperatures) - 1)]
        print("Current Battery Service state:\n  level: 80\n" + ("" if told is None else f"  temperature: {told}"))
    elif line.startswith("dumpsys thermalservice"):
        print(SCRIPT.get("thermal", "Thermal Status: 0"))
    elif line.startswith("pm path"):
        print("package:/data/app/base.apk" if APP.exists() else "")
    elif line.startswith(("pm install", "pm uninstall")):
        APP.touch() if "uninstall" not in line else APP.unlink()
        print("Success")
    elif line.startswith("mkdir -p "):
        there(words[-1]).mkdir()  # the app made the folder above it
    elif line.startswith("rm -rf "):
        for path in words[2:]:
            shutil.rmtree(there(path), ignore_errors=True)
    elif line.startswith("ls "):
        folder = there(line.split()[1])
        print("\n".join(p.name for p in folder.iterdir()) if folder.exists() else "")
    elif line.startswith("am instrument"):
        instrument({words[i + 1]: words[i + 2] for i, word in enumerate(words) if word == "-e"})
    elif line != "true" and not line.startswith("am force-stop"):
        sys.exit(f"the double does not know: shell {line}")


def instrument(asked):
    """What the app does, as far as a computer sees it."""
    home = there(SCRIPT.get("home", "/sdcard/Android/data/dev.dfp.lab/files"))
    if asked.get("act") == "prepare" and APP.exists():
        for name in ("sessions", "results"):
            (home / name).mkdir(parents=True, exist_ok=True)
        print(f"INSTRUMENTATION_RESULT: dfp_home=/{home.relative_to(DEVICE)}\nINSTRUMENTATION_CODE: -1")
        return
    artifact = asked.get("artifact")
    if not APP.exists() or not (home / "sessions" / asked["session"] / "session.json").exists():
        print("INSTRUMENTATION_FAILED: dev.dfp.lab/.LabInstrumentation", flush=True)
        return
    how = SCRIPT.get("app", {}).get(artifact, "answers")
    if how == "crashes":
        print("INSTRUMENTATION_RESULT: shortMsg=Process crashed.\nINSTRUMENTATION_CODE: 0")
        return
    if how == "goes away":
        (PLACE / "gone").touch()
        return
    if how == "hangs":
        (PLACE / "hanging").touch()
        time.sleep(60)
    if how == "complains":
        print("INSTRUMENTATION_RESULT: dfp_error=this build has no runtime for it\nINSTRUMENTATION_CODE: 0")
        return
    if asked.get("act") == "load":
        print("INSTRUMENTATION_RESULT: dfp_cold_load_ms=9.5\nINSTRUMENTATION_CODE: -1")
        return
    for done in range(4):
        for line in ("dfp_stage=queries", f"dfp_done={done}", "dfp_total=4"):
            print(f"INSTRUMENTATION_STATUS: {line}")
        print("INSTRUMENTATION_STATUS_CODE: 0", flush=True)
    place = home / "results" / asked["session"] / f"{artifact}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(row(home / "sessions" / asked["session"], asked)))
    print(f"INSTRUMENTATION_RESULT: dfp_row=/{place.relative_to(DEVICE)}\nINSTRUMENTATION_CODE: -1")


def row(session, asked):
    [model] = (session / asked["artifact"]).glob("model.*")
    loads = [float(load) for load in asked["cold_loads"].split(",") if load]
    return (
        SCRIPT["row"]
        | {
            "session": asked["session"],
            "lake_commit": json.loads((session / "session.json").read_text())["lake_commit"],
            "artifact": asked["artifact"],
            "artifact_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "threads": int(asked["threads"]),
            "mode": asked["mode"],
            "cold_loads_ms": [*loads, 11.0],
        }
        | SCRIPT.get("lies", {})
    )


def main(words):
    with (PLACE / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    if words[0] == "devices":
        print("List of devices attached\n" + "".join(f"{line}\n" for line in SCRIPT["devices"]))
        return
    assert words[0] == "-s", words
    act, rest = words[2], words[3:]
    if (PLACE / "gone").exists():
        if act == "logcat":
            time.sleep(60)  # as adb's own waits for the device to come back
        sys.exit(f"error: device '{words[1]}' not found")
    if act != "shell":
        fails(act)
    if act == "shell":
        shell(rest)
    elif act == "install":
        APP.touch()
        print("Performing Streamed Install\nSuccess")
    elif act == "uninstall":
        APP.unlink()
        print("Success")
    elif act == "push":
        shutil.copytree(rest[0], there(rest[1]), dirs_exist_ok=True)
    elif act == "pull":
        source = there(rest[0])
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, rest[1])
    elif act == "logcat":
        print("E AndroidRuntime: java.lang.UnsatisfiedLinkError: libtensorflowlite_jni.so")
    else:
        sys.exit(f"the double does not know: {act}")


main(sys.argv[1:])
