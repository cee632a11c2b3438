"""A small code location for tests of publishing: three assets, one blocking check each, steered by files of a folder.

`<home>/toy/<name>` holds what an asset writes or how a step behaves; `defs` is a function so that every load sees the
settings of its test.
"""

import time
from pathlib import Path

import dagster as dg

from dfp_platform.publishing.executor import EXECUTORS
from dfp_platform.resources.io_managers import io_managers
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings


def knob(name: str, default: str = "") -> str:
    """What a test wrote to `<home>/toy/<name>`."""
    path = settings().home / "toy" / name
    return path.read_text() if path.exists() else default


def turn(home: Path, name: str, value: str) -> None:
    """Set a knob."""
    path = home / "toy" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value)


def obey(step: str) -> None:
    """Fail, or wait until told to go on, as the knob of a step says."""
    wish = knob(step)
    if wish == "fail":
        raise RuntimeError(f"{step} was told to fail")
    if wish == "wait":
        (settings().home / "toy" / f"{step}.waiting").touch()
        deadline = time.monotonic() + 150
        while knob(step) == "wait" and time.monotonic() < deadline:
            time.sleep(0.02)


def report(text: str) -> dict[str, bytes]:
    """An artifact with one line of text."""
    return {"report.json": text.encode()}


@dg.asset(key=["reports", "a"], io_manager_key="report", code_version="1")
def a() -> dict[str, bytes]:
    obey("a")
    return report(knob("a.value", "a1"))


@dg.asset(key=["reports", "b"], io_manager_key="report", code_version="1", ins={"a": dg.AssetIn(["reports", "a"])})
def b(a: dict[str, bytes]) -> dict[str, bytes]:
    obey("b")
    return report(a["report.json"].decode() + knob("b.value", ">b1"))


@dg.asset(
    key=["reports", "c"],
    io_manager_key="report",
    code_version="1",
    ins={"b": dg.AssetIn(["reports", "b"])},
    retry_policy=dg.RetryPolicy(max_retries=1),
)
def c(context: dg.AssetExecutionContext, b: dict[str, bytes]) -> dict[str, bytes]:
    obey("c")
    if knob("c") == "fail once" and context.retry_number == 0:
        raise RuntimeError("c fails once")
    return report(b["report.json"].decode() + knob("c.value", ">c1"))


def check_of(name: str) -> dg.AssetChecksDefinition:
    """A blocking check that fails while the asset's text says BAD."""

    @dg.asset_check(asset=dg.AssetKey(["reports", name]), name=f"{name}_is_good", blocking=True)
    def is_good(lake: LakeResource) -> dg.AssetCheckResult:
        obey(f"{name}.check")
        text = lake.store.read(lake.ref, f"reports/{name}/report.json").decode()
        return dg.AssetCheckResult(passed="BAD" not in text, metadata={"figure": float(len(text)), "limit": 100.0})

    return is_good


def defs() -> dg.Definitions:
    """The code location."""
    lake = LakeResource()
    return dg.Definitions(
        assets=[a, b, c],
        jobs=[dg.define_asset_job("without_checks", dg.AssetSelection.assets(["reports", "a"]).without_checks())],
        asset_checks=[check_of(name) for name in "abc"],
        resources={"lake": lake, **io_managers(lake)},
        executor=EXECUTORS[knob("inner", "in_process")](),
    )
